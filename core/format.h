/* core/format.h: a declared mapping: where the fields of an event stand in somebody else's JSON.
 * THINKS. `formats: {ours: {class: /predicted_class, latency_ms: {pointer: /seconds, unit: s},
 * status: {pointer: /ok, map: {"true": ok}}, model: {const: fraud}}}`. A field that a mapping
 * leaves out is read under its own name. */
#ifndef CORE_FORMAT_H
#define CORE_FORMAT_H

#include <stddef.h>

/* The fields of an event that a mapping can place, in the order of format_field_names. */
enum format_field {
	FIELD_TYPE,
	FIELD_TS,
	FIELD_MODEL,
	FIELD_VERSION,
	FIELD_ROLE,
	FIELD_SEGMENT,
	FIELD_REQUEST_ID,
	FIELD_UNIT,
	FIELD_LATENCY_MS,
	FIELD_STATUS,
	FIELD_ERROR,
	FIELD_SCORE,
	FIELD_CLASS,
	FIELD_FEATURES,
	FIELD_LABEL,
	FIELD_NAME,
	FIELD_VALUE,
	FIELD_COUNT,
};
extern const char *const format_field_names[FIELD_COUNT];

struct field_place {
	char *pointer;  /* JSON pointer (RFC 6901); NULL = not mapped by pointer */
	char *constant; /* a value for every event; NULL = none */
	double scale; /* a number is multiplied by this: unit s = 1000, ms = 1, us = 0.001; default
			 1 */
	char **from,
		**to; /* map: canonical text to text; a value that is not listed stays as it is */
	size_t map_count;
};

struct format {
	char *name;
	struct field_place fields[FIELD_COUNT];
};

void format_done(struct format *format);

#endif
