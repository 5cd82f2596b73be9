/* core/event.h: one event of a model, decoded and checked; and the codes of what is not one.
 * THINKS. event_json.c decodes; its jansson may give way to a faster decoder behind this same
 * contract: an event is views into the message and into the decoder's scratch, no allocation is
 * promised or needed. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "core/config.h"

enum event_type {
	EVENT_PREDICTION,
	EVENT_LATENCY,
	EVENT_LABEL,
	EVENT_METRIC,
	EVENT_HEARTBEAT,
	EVENT_DEPLOY,
	EVENT_TYPES,
};
extern const char *const event_type_names[EVENT_TYPES];

/* Exactly one for each rejected event, in the fixed order of stages. Names: event_code_names. */
enum event_code {
	E_GOOD,
	E_EMPTY,
	E_OVERSIZE, /* transport */
	E_JSON,
	E_UTF8,
	E_DEPTH,
	E_DUPKEY,
	E_NUMBER,
	E_FRAME, /* syntax */
	E_MISSING,
	E_TYPE,
	E_ENUM,
	E_NAME, /* schema */
	E_RANGE,
	E_NONFINITE,
	E_LATENCY_NEG, /* range */
	E_LATE,
	E_FUTURE, /* time */
	E_CARD_MODEL,
	E_CARD_VERSION,
	E_CARD_FEATURE, /* cardinality */
	E_CODES,
};
extern const char *const event_code_names[E_CODES];
/* "transport", "syntax", "schema", "range", "time", "cardinality" */
const char *event_code_stage(enum event_code code);

struct rejection {
	enum event_code code;
	char detail[200]; /* object, value (cut, escaped), expectation, hint */
	int64_t byte;     /* position in the message, -1 unknown */
};

enum {
	HAS_LATENCY = 1,
	HAS_STATUS = 2,
	HAS_SCORE = 4,
	HAS_CLASS = 8,
	HAS_LABEL = 16,
	HAS_VALUE = 32
};

struct event {
	enum event_type type;
	int64_t ts; /* ms since 1970 */
	struct view model, version, role, segment, request_id, unit;
	unsigned has; /* HAS_... */
	double latency_ms;
	bool failed; /* from status or error */
	double score;
	struct view class; /* canonical text */
	struct view label;
	struct view name; /* metric */
	double value;
	size_t feature_count; /* decoded, checked, counted */
};

/* Decoder with its scratch memory, reused for every message. */
struct event_decoder;
struct event_decoder *event_decoder_new(const struct config *config);
void event_decoder_free(struct event_decoder *decoder);

/* Decodes one message by a format (NULL: our own). E_GOOD, and *event valid until the next call;
 * else *rejection is filled. Time and cardinality are not judged here (they need a state): ingest
 * does. */
enum event_code event_from_json(struct event_decoder *decoder, const struct format *format,
	struct view message, struct event *event, struct rejection *rejection);

#endif
