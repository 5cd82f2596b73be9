#include "core/event.h"
#include "core/event_fields.h"
#include "core/json_tree.h"
#include "core/memory.h"
#include "core/time_text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128, ID_MAX_BYTES = 256, FRAME_BYTES = 5, VALUE_TEXT_SIZE = 96 };

static const int64_t ts_max = 253402300799999; /* 9999-12-31T23:59:59.999Z */
static const double number_max = 1e12;         /* so that sums in millionths stay exact */

struct event_decoder {
	const struct config *config;
	struct tree tree;
	struct event_fields fields;
	size_t frame; /* bytes before the JSON text */
	struct rejection *rejection;
	char texts[FIELD_COUNT][NUMBER_TEXT_SIZE]; /* canonical texts of numbers */
};

struct event_decoder *event_decoder_new(const struct config *config)
{
	struct event_decoder *decoder = memory_new(1, sizeof *decoder);

	decoder->config = config;
	return decoder;
}

void event_decoder_free(struct event_decoder *decoder)
{
	if (!decoder)
		return;
	tree_done(&decoder->tree);
	free(decoder);
}

/* All checks run; what stands first in the order of codes, and then of checks, is what is told. */
static void refuse(struct event_decoder *decoder, enum event_code code, int64_t byte,
	const char *format, ...) PRINTF_LIKE(4, 5);

static void refuse(
	struct event_decoder *decoder, enum event_code code, int64_t byte, const char *format, ...)
{
	struct rejection *rejection = decoder->rejection;
	va_list args;

	if (rejection->code != E_GOOD && rejection->code <= code)
		return;
	rejection->code = code;
	rejection->byte = byte < 0 ? -1 : byte + (int64_t)decoder->frame;
	va_start(args, format);
	vsnprintf(rejection->detail, sizeof rejection->detail, format, args);
	va_end(args);
}

/* A text as it may be shown: cut, control characters escaped, disguised unless payloads are kept in
 * full. */
static void shown_text(const struct event_decoder *decoder, struct view text, char *shown)
{
	bool full = decoder->config->deadletter_payload == PAYLOAD_FULL;
	size_t used = 0;
	size_t i = 0;

	shown[used++] = '"';
	while (i < text.size && i < 40) {
		size_t length = utf8_length((struct view){text.data + i, text.size - i});
		unsigned char c = (unsigned char)text.data[i];

		if (!full || c < 0x20 || c == 0x7f || c == '"')
			shown[used++] = full ? '?' : 'x';
		else
			for (size_t k = 0; k < length; k++)
				shown[used++] = text.data[i + k];
		i += length ? length : 1;
	}
	snprintf(shown + used, VALUE_TEXT_SIZE - used, "\"%s", i < text.size ? "..." : "");
}

static const char *shown(const struct event_decoder *decoder, const struct tree_node *node,
	char text[VALUE_TEXT_SIZE])
{
	static const char *const kinds[] = {
		"null", "false", "true", "a number", "a text", "an array", "an object"};
	bool full = decoder->config->deadletter_payload == PAYLOAD_FULL;

	if (node->kind == TREE_TEXT)
		shown_text(decoder, node->text, text);
	else if (node->kind == TREE_NUMBER && isfinite(node->number) && full)
		number_text(node->number, text);
	else if (node->kind == TREE_NUMBER && !isfinite(node->number))
		snprintf(text, VALUE_TEXT_SIZE, "%s", isnan(node->number) ? "NaN" : "an infinity");
	else
		snprintf(text, VALUE_TEXT_SIZE, "%s", kinds[node->kind]);
	return text;
}

static void refuse_value(struct event_decoder *decoder, enum event_code code, const char *name,
	const struct tree_node *node, const char *expected)
{
	char text[VALUE_TEXT_SIZE];

	if (decoder->rejection->code != E_GOOD && decoder->rejection->code <= code)
		return;
	refuse(decoder, code, (int64_t)node->byte, "%s: found %s, expected %s", name,
		shown(decoder, node, text), expected);
}

static void refuse_field(struct event_decoder *decoder, enum event_code code,
	enum format_field field, const char *expected)
{
	refuse_value(
		decoder, code, format_field_names[field], decoder->fields.found[field], expected);
}

static void refuse_missing(
	struct event_decoder *decoder, enum format_field field, const char *expected)
{
	refuse(decoder, E_MISSING, -1, "%s: missing, expected %s", format_field_names[field],
		expected);
}

static bool is_name_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_.:/@-", c));
}

static bool is_name(struct view text)
{
	if (!text.size || text.size > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (!is_name_character(text.data[i]))
			return false;
	return true;
}

/* UTF-8 is checked already: here only length and control characters (C0, DEL, C1). */
static bool is_free_name(struct view text, size_t bytes_max)
{
	if (!text.size || text.size > bytes_max)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == 0xc2 && (unsigned char)text.data[i + 1] < 0xa0)
			return false;
	}
	return true;
}

/* Model, version, segment. "" is the same as left out. */
static struct view read_name(struct event_decoder *decoder, enum format_field field)
{
	const struct tree_node *node = decoder->fields.found[field];

	if (!node)
		return (struct view){"", 0};
	if (node->kind != TREE_TEXT)
		refuse_field(decoder, E_TYPE, field, "a text");
	else if (node->text.size && !is_name(node->text))
		refuse_field(decoder, E_NAME, field, "1 to 128 of A-Z a-z 0-9 _ . : / @ -");
	else
		return node->text;
	return (struct view){"", 0};
}

static struct view read_free_name(
	struct event_decoder *decoder, enum format_field field, size_t bytes_max)
{
	const struct tree_node *node = decoder->fields.found[field];
	struct view text = {"", 0};

	if (!node)
		return text;
	if (!node_text(node, decoder->texts[field], &text))
		refuse_field(decoder, E_TYPE, field, "a text, a number or a boolean");
	else if (!is_free_name(text, bytes_max))
		refuse_field(decoder, E_NAME, field,
			bytes_max == ID_MAX_BYTES ? "1 to 256 bytes without control characters"
						  : "1 to 128 bytes without control characters");
	return text;
}

static void read_role(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *node = decoder->fields.found[FIELD_ROLE];

	event->role = view_of("production");
	if (!node)
		return;
	event->role = node->text;
	if (node->kind != TREE_TEXT)
		refuse_field(decoder, E_TYPE, FIELD_ROLE, "a text");
	else if (!view_is(node->text, "production") && !view_is(node->text, "canary"))
		refuse_field(decoder, E_ENUM, FIELD_ROLE, "production or canary");
}

static void read_ts(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *node = decoder->fields.found[FIELD_TS];
	double number;

	if (!node) {
		refuse_missing(decoder, FIELD_TS, "Unix milliseconds or RFC 3339 text");
		return;
	}
	if (node->kind == TREE_TEXT) {
		if (!time_text_parse(node->text, &event->ts))
			refuse_field(decoder, E_TYPE, FIELD_TS,
				"Unix milliseconds or RFC 3339 text such as 2026-11-01T12:00:00Z");
		return;
	}
	if (node->kind != TREE_NUMBER) {
		refuse_field(decoder, E_TYPE, FIELD_TS, "Unix milliseconds or RFC 3339 text");
		return;
	}
	number = decoder->fields.scaled[FIELD_TS] ? nearbyint(node->number) : node->number;
	if (number != trunc(number))
		refuse_field(decoder, E_TYPE, FIELD_TS,
			"whole milliseconds; hint: round them, or map ts with its unit");
	else if (!(number >= 0 && number <= (double)ts_max))
		refuse_field(decoder, E_RANGE, FIELD_TS, "a moment from 1970 to 9999");
	else
		event->ts = (int64_t)number;
}

static bool infer_type(const struct event_fields *fields, enum event_type *type)
{
	const struct tree_node *const *found = fields->found;

	if (found[FIELD_LABEL])
		*type = EVENT_LABEL;
	else if (found[FIELD_NAME] && found[FIELD_VALUE])
		*type = EVENT_METRIC;
	else if (found[FIELD_SCORE] || found[FIELD_CLASS] || found[FIELD_FEATURES] ||
		 found[FIELD_STATUS] || found[FIELD_ERROR])
		*type = EVENT_PREDICTION;
	else if (found[FIELD_LATENCY_MS])
		*type = EVENT_LATENCY;
	else
		return false;
	return true;
}

/* False: not known, so what it must have cannot be checked. */
static bool read_type(struct event_decoder *decoder, struct event *event)
{
	static const char expected[] = "prediction, latency, label, metric, heartbeat or deploy";
	const struct tree_node *node = decoder->fields.found[FIELD_TYPE];

	if (!node) {
		if (infer_type(&decoder->fields, &event->type))
			return true;
		refuse(decoder, E_MISSING, -1, "type: missing, and no field tells it, expected %s",
			expected);
		return false;
	}
	if (node->kind != TREE_TEXT) {
		refuse_field(decoder, E_TYPE, FIELD_TYPE, "a text");
		return false;
	}
	for (int type = 0; type < EVENT_TYPES; type++) {
		if (view_is(node->text, event_type_names[type])) {
			event->type = (enum event_type)type;
			return true;
		}
	}
	refuse_field(decoder, E_ENUM, FIELD_TYPE, expected);
	return false;
}

static void read_latency(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *node = decoder->fields.found[FIELD_LATENCY_MS];

	if (!node)
		return;
	if (node->kind != TREE_NUMBER)
		refuse_field(decoder, E_TYPE, FIELD_LATENCY_MS, "a number of milliseconds");
	else if (!isfinite(node->number))
		refuse_field(decoder, E_NONFINITE, FIELD_LATENCY_MS, "a finite number");
	else if (node->number < 0)
		refuse_field(decoder, E_LATENCY_NEG, FIELD_LATENCY_MS, "0 or more");
	else if (node->number > number_max)
		refuse_field(decoder, E_RANGE, FIELD_LATENCY_MS, "at most 1e12");
	event->has |= HAS_LATENCY;
	event->latency_ms = node->number;
}

static void read_status(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *node = decoder->fields.found[FIELD_STATUS];

	if (!node)
		return;
	event->has |= HAS_STATUS;
	if (node->kind == TREE_NUMBER) {
		if (!(node->number >= 0 && node->number <= 999))
			refuse_field(decoder, E_RANGE, FIELD_STATUS, "0 to 999");
		event->failed = node->number >= 400;
	} else if (node->kind != TREE_TEXT) {
		refuse_field(decoder, E_TYPE, FIELD_STATUS, "a number, or ok or error");
	} else if (view_is(node->text, "error")) {
		event->failed = true;
	} else if (!view_is(node->text, "ok")) {
		refuse_field(decoder, E_ENUM, FIELD_STATUS, "a number, or ok or error");
	}
}

/* "error": "timeout" says that the answer failed; "" and false say that it did not. */
static void read_error(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *node = decoder->fields.found[FIELD_ERROR];

	if (!node)
		return;
	event->has |= HAS_STATUS;
	if (node->kind != TREE_TEXT && node->kind != TREE_TRUE && node->kind != TREE_FALSE)
		refuse_field(decoder, E_TYPE, FIELD_ERROR, "a text or a boolean");
	else if (node->kind == TREE_TRUE || node->text.size)
		event->failed = true;
}

static bool is_probability(const struct event_decoder *decoder, const struct event *event)
{
	char model[NAME_MAX_BYTES + 1];
	char segment[NAME_MAX_BYTES + 1];

	view_copy(event->model, model, sizeof model);
	view_copy(event->segment, segment, sizeof segment);
	return config_model(decoder->config, model, segment)->score == SCORE_PROBABILITY;
}

static void read_score(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *node = decoder->fields.found[FIELD_SCORE];

	if (!node)
		return;
	event->has |= HAS_SCORE;
	event->score = node->number;
	if (node->kind != TREE_NUMBER)
		refuse_field(decoder, E_TYPE, FIELD_SCORE, "a number");
	else if (isfinite(node->number) && fabs(node->number) > number_max)
		refuse_field(decoder, E_RANGE, FIELD_SCORE, "-1e12 to 1e12");
	else if (isfinite(node->number) && !(node->number >= 0 && node->number <= 1) &&
		 is_probability(decoder, event))
		refuse_field(decoder, E_RANGE, FIELD_SCORE,
			"0 to 1; hint: score: real in this model's configuration");
}

static void read_feature(struct event_decoder *decoder, const struct tree_node *feature)
{
	char name[VALUE_TEXT_SIZE];

	if (!is_free_name(feature->key, NAME_MAX_BYTES)) {
		shown_text(decoder, feature->key, name);
		refuse(decoder, E_NAME, (int64_t)feature->byte,
			"features: name %s, expected 1 to 128 bytes without control characters",
			name);
	}
	if (feature->kind == TREE_ARRAY || feature->kind == TREE_OBJECT)
		refuse_value(decoder, E_TYPE, "a feature", feature,
			"a number, a text, a boolean or null");
	else if (feature->kind == TREE_NUMBER && isfinite(feature->number) &&
		 fabs(feature->number) > number_max)
		refuse_value(decoder, E_RANGE, "a feature", feature, "-1e12 to 1e12");
}

static void read_features(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *node = decoder->fields.found[FIELD_FEATURES];

	if (!node)
		return;
	if (node->kind != TREE_OBJECT) {
		refuse_field(decoder, E_TYPE, FIELD_FEATURES, "an object of names and values");
		return;
	}
	event->feature_count = node->count;
	for (const struct tree_node *feature = tree_child(&decoder->tree, node); feature;
		feature = tree_next(&decoder->tree, feature))
		read_feature(decoder, feature);
}

static void read_answer(struct event_decoder *decoder, struct event *event)
{
	const struct event_fields *fields = &decoder->fields;

	read_latency(decoder, event);
	read_status(decoder, event);
	read_error(decoder, event);
	read_score(decoder, event);
	event->class = read_free_name(decoder, FIELD_CLASS, NAME_MAX_BYTES);
	event->has |= fields->found[FIELD_CLASS] ? HAS_CLASS : 0;
	read_features(decoder, event);
	if (event->type == EVENT_LATENCY && !fields->found[FIELD_LATENCY_MS])
		refuse_missing(decoder, FIELD_LATENCY_MS, "a number of milliseconds");
	if (!event->has && !fields->found[FIELD_FEATURES])
		refuse(decoder, E_MISSING, -1,
			"a prediction without latency_ms, status, error, score, class and "
			"features, "
			"expected at least one");
}

static void read_label(struct event_decoder *decoder, struct event *event)
{
	event->label = read_free_name(decoder, FIELD_LABEL, NAME_MAX_BYTES);
	event->has |= HAS_LABEL;
	if (!decoder->fields.found[FIELD_LABEL])
		refuse_missing(decoder, FIELD_LABEL, "a text, a number or a boolean");
	if (!decoder->fields.found[FIELD_REQUEST_ID])
		refuse_missing(decoder, FIELD_REQUEST_ID, "that of the prediction");
}

static void read_metric(struct event_decoder *decoder, struct event *event)
{
	const struct tree_node *value = decoder->fields.found[FIELD_VALUE];

	event->name = read_free_name(decoder, FIELD_NAME, NAME_MAX_BYTES);
	event->has |= HAS_VALUE;
	if (!decoder->fields.found[FIELD_NAME])
		refuse_missing(decoder, FIELD_NAME, "the name of the metric");
	if (!value) {
		refuse_missing(decoder, FIELD_VALUE, "a number");
		return;
	}
	event->value = value->number;
	if (value->kind != TREE_NUMBER)
		refuse_field(decoder, E_TYPE, FIELD_VALUE, "a number");
	else if (isfinite(value->number) && fabs(value->number) > number_max)
		refuse_field(decoder, E_RANGE, FIELD_VALUE, "-1e12 to 1e12");
}

static void read_by_type(struct event_decoder *decoder, struct event *event)
{
	switch (event->type) {
	case EVENT_PREDICTION:
	case EVENT_LATENCY:
		read_answer(decoder, event);
		break;
	case EVENT_LABEL:
		read_label(decoder, event);
		break;
	case EVENT_METRIC:
		read_metric(decoder, event);
		break;
	case EVENT_DEPLOY:
		if (!event->version.size)
			refuse_missing(decoder, FIELD_VERSION, "the version that was deployed");
		break;
	default:
		break;
	}
}

static void read_event(struct event_decoder *decoder, struct event *event)
{
	if (decoder->fields.stray)
		refuse(decoder, E_JSON, (int64_t)decoder->fields.stray_byte,
			"NaN or Infinity, expected only as values of features, score and value");
	read_ts(decoder, event);
	event->model = read_name(decoder, FIELD_MODEL);
	if (!decoder->fields.found[FIELD_MODEL])
		refuse_missing(decoder, FIELD_MODEL, "the name of the model");
	else if (!decoder->fields.found[FIELD_MODEL]->text.size)
		refuse_field(decoder, E_NAME, FIELD_MODEL, "1 to 128 of A-Z a-z 0-9 _ . : / @ -");
	event->version = read_name(decoder, FIELD_VERSION);
	event->segment = read_name(decoder, FIELD_SEGMENT);
	read_role(decoder, event);
	event->request_id = read_free_name(decoder, FIELD_REQUEST_ID, ID_MAX_BYTES);
	event->unit = read_free_name(decoder, FIELD_UNIT, ID_MAX_BYTES);
	if (read_type(decoder, event))
		read_by_type(decoder, event);
}

/* Five bytes of a schema registry's frame (0 and a schema id) may stand before the text. */
static bool find_frame(struct event_decoder *decoder, struct view message)
{
	decoder->frame = 0;
	if (message.data[0] != '\0')
		return true;
	size_t at = FRAME_BYTES;

	while (at < message.size && strchr(" \t\r\n", message.data[at]) && message.data[at])
		at++;
	if (at >= message.size || message.data[at] != '{') {
		refuse(decoder, E_FRAME, 0,
			"a schema registry's frame without a JSON object in it, expected JSON; "
			"hint: "
			"Avro and Protobuf are not read");
		return false;
	}
	decoder->frame = FRAME_BYTES;
	return true;
}

static const struct tree_node *parse(struct event_decoder *decoder, struct view text)
{
	static const enum event_code codes[] = {
		[TREE_SYNTAX] = E_JSON,
		[TREE_UTF8] = E_UTF8,
		[TREE_DEPTH] = E_DEPTH,
		[TREE_DUPLICATE] = E_DUPKEY,
		[TREE_RANGE] = E_NUMBER,
	};
	struct tree_fault fault;
	const struct tree_node *root = tree_parse(
		&decoder->tree, text, (size_t)decoder->config->limits.depth, true, &fault);

	if (!root)
		refuse(decoder, codes[fault.flaw], (int64_t)fault.byte, "JSON: %s", fault.why);
	return root;
}

enum event_code event_from_json(struct event_decoder *decoder, const struct format *format,
	struct view message, struct event *event, struct rejection *rejection)
{
	int64_t bytes_max = decoder->config->limits.event_bytes;

	*event = (struct event){0};
	*rejection = (struct rejection){.byte = -1};
	decoder->rejection = rejection;
	decoder->frame = 0;
	if (!message.size) {
		refuse(decoder, E_EMPTY, -1, "an empty message, expected one JSON object");
		return rejection->code;
	}
	if ((int64_t)message.size > bytes_max) {
		refuse(decoder, E_OVERSIZE, -1, "%zu bytes, expected at most %lld", message.size,
			(long long)bytes_max);
		return rejection->code;
	}
	if (!find_frame(decoder, message))
		return rejection->code;
	const struct tree_node *root = parse(decoder,
		(struct view){message.data + decoder->frame, message.size - decoder->frame});

	if (!root)
		return rejection->code;
	if (root->kind != TREE_OBJECT) {
		refuse_value(decoder, E_TYPE, "the message", root, "one JSON object");
		return rejection->code;
	}
	event_fields_find(&decoder->fields, format, &decoder->tree, root);
	read_event(decoder, event);
	return rejection->code;
}
