/* core/strict_json.h: JSON texts to and from jansson values, for the *_json.c files of core/ only.
 * THINKS. Strict on the way in (size, depth, duplicates, UTF-8, numbers), stable on the way out:
 * the same record gives the same bytes (keys in the order they were set, shortest exact numbers).
 */
#ifndef CORE_STRICT_JSON_H
#define CORE_STRICT_JSON_H

#include "core/bytes.h"

#include <jansson.h>

/* Why a text is not acceptable JSON; the event decoder turns these into its codes. */
enum json_fault {
	JSON_GOOD,
	JSON_EMPTY,
	JSON_SYNTAX,
	JSON_UTF8,
	JSON_DEPTH,
	JSON_DUPLICATE_KEY,
	JSON_NUMBER, /* too large for a double or an integer of 64 bits */
};

struct json_position {
	enum json_fault fault;
	size_t byte; /* where in the text, from 0 */
};

/* Parses one JSON value of at most depth_max nested arrays and objects (checked before the parser
 * recurses). NULL with err and position filled when it is none; the value is the caller's
 * (json_decref). */
json_t *strict_json_parse(
	struct view text, size_t depth_max, struct json_position *position, struct err *err);

/* Parses an object and demands "kind": kind. */
enum rc strict_json_record(
	struct view text, const char *kind, json_t **object, struct err *err) MUST_CHECK;

/* Fields of an object. The texts stay the object's. Missing or of another type: RC_REJECT with a
 * sentence that names field and expectation. The _or forms give the fallback when it is missing. */
enum rc json_field_text(
	const json_t *object, const char *field, const char **text, struct err *err) MUST_CHECK;
enum rc json_field_text_or(const json_t *object, const char *field, const char *fallback,
	const char **text, struct err *err) MUST_CHECK;
enum rc json_field_copy(const json_t *object, const char *field, char *text, size_t size,
	struct err *err) MUST_CHECK; /* "" when missing; RC_REJECT when it does not fit */
enum rc json_field_integer(
	const json_t *object, const char *field, int64_t *value, struct err *err) MUST_CHECK;
/* RC_REJECT: also below 0 or above INT32_MAX. */
enum rc json_field_small(
	const json_t *object, const char *field, int *value, struct err *err) MUST_CHECK;
enum rc json_field_integer_or(const json_t *object, const char *field, int64_t fallback,
	int64_t *value, struct err *err) MUST_CHECK;
enum rc json_field_number(
	const json_t *object, const char *field, double *value, struct err *err) MUST_CHECK;
enum rc json_field_object(const json_t *object, const char *field, json_t **value,
	struct err *err) MUST_CHECK; /* borrowed */

/* Non-finite numbers become null (JSON has none). */
void json_set_number(json_t *object, const char *field, double value);
void json_set_integer(json_t *object, const char *field, int64_t value);
void json_set_text(json_t *object, const char *field, const char *text);

/* Appends the compact text; takes the value over (json_decref inside). Doubles with the fewest
 * digits that read back exactly. */
void strict_json_write(json_t *value, struct bytes *out);

#endif
