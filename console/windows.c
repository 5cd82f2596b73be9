/* console/windows.c: the windows of one model in a span of event time, as ingest stored them:
 * tables "windows:LEVEL:BUCKET", fields of 8 bytes (from, big endian) and the key of the series. */
#include "console/answer.h"
#include "console/logs.h"
#include "core/topics.h"
#include "core/window.h"
#include "ports/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BUCKETS_MAX = 1000 };

static const struct level {
	const char *name;
	int64_t bucket_ms; /* event time in one table */
	int64_t span_ms;   /* asked for when no from is given */
} levels[] = {
	{"tick", 3600000, 3600000},
	{"1m", 86400000, 86400000},
	{"10m", 2592000000, 2592000000},
};

struct query {
	struct store *store;
	const char *model, *signal, *role, *version; /* but for model NULL: any */
	const struct level *level;
	int64_t from_ms, to_ms;
	struct bytes *out;
	bool any;
};

static enum rc read_level(
	const struct http_request *request, const struct level **level, struct err *err)
{
	const char *name = http_query(request, "level");

	*level = &levels[0];
	for (size_t i = 0; name && i < sizeof levels / sizeof *levels; i++) {
		if (strcmp(name, levels[i].name) == 0) {
			*level = &levels[i];
			return RC_OK;
		}
	}
	if (name)
		return err_set(
			err, RC_REJECT, "level: found \"%.40s\", expected tick, 1m or 10m", name);
	return RC_OK;
}

static enum rc read_query(const struct http_request *request, struct query *query, struct err *err)
{
	int64_t most = INT64_C(1) << 52;

	query->model = http_query(request, "model");
	query->signal = http_query(request, "signal");
	query->role = http_query(request, "role");
	query->version = http_query(request, "version");
	if (!query->model)
		return err_set(
			err, RC_REJECT, "model: found nothing, expected the name of a model");
	TRY(read_level(request, &query->level, err));
	TRY(query_integer(request, "to", 0, most, clock_wall_ms(), &query->to_ms, err));
	int64_t from = query->to_ms - query->level->span_ms;

	TRY(query_integer(request, "from", 0, most, from > 0 ? from : 0, &query->from_ms, err));
	if (query->from_ms >= query->to_ms)
		return err_set(err, RC_REJECT,
			"from: found %" PRId64 ", expected less than to, %" PRId64, query->from_ms,
			query->to_ms);
	int64_t buckets = (query->to_ms - query->from_ms) / query->level->bucket_ms;

	if (buckets > BUCKETS_MAX)
		return err_set(err, RC_REJECT,
			"from, to: a span of %" PRId64 " ms, expected at most %" PRId64
			" of level %s",
			query->to_ms - query->from_ms, BUCKETS_MAX * query->level->bucket_ms,
			query->level->name);
	return RC_OK;
}

/* The next of the texts of a key that end with a NUL each; "" when there is none. */
static const char *next_text(struct view *rest)
{
	const char *text = rest->data;
	size_t size = strnlen(text, rest->size);

	if (size == rest->size)
		return "";
	rest->data += size + 1;
	rest->size -= size + 1;
	return text;
}

static bool is_wanted(const struct query *query, struct view field)
{
	uint64_t from = 0;

	if (field.size < 8)
		return false;
	for (size_t i = 0; i < 8; i++)
		from = from << 8 | (unsigned char)field.data[i];
	if ((int64_t)from < query->from_ms || (int64_t)from >= query->to_ms)
		return false;
	struct view key = {field.data + 8, field.size - 8};
	const char *model = next_text(&key);

	if (strcmp(model, query->model) != 0)
		return false;
	next_text(&key); /* the segment */
	const char *signal = next_text(&key), *role = next_text(&key), *version = next_text(&key);

	return (!query->signal || strcmp(signal, query->signal) == 0) &&
	       (!query->role || strcmp(role, query->role) == 0) &&
	       (!query->version || strcmp(version, query->version) == 0);
}

static enum rc take_window(void *context, struct view field, struct view data, struct err *err)
{
	struct query *query = context;
	CLEANUP(window_done) struct window window = {0};

	if (!is_wanted(query, field))
		return RC_OK;
	if (window_from_blob(data, &window, err) != RC_OK)
		return err_prefix(err, RC_FATAL, "a window of %.100s: ", query->model);
	bytes_text(query->out, query->any ? "," : "");
	query->any = true;
	window_to_json(&window, query->out);
	if (query->out->size > ANSWER_BYTES_MAX)
		return err_set(err, RC_REJECT,
			"more than %d bytes; ask for a shorter span or one signal",
			ANSWER_BYTES_MAX);
	return RC_OK;
}

static enum rc take_log(
	void *context, const struct fold *fold, const struct head *head, struct err *err)
{
	struct query *query = context;
	int64_t bucket_ms = query->level->bucket_ms;

	for (int64_t bucket = query->from_ms / bucket_ms; bucket <= (query->to_ms - 1) / bucket_ms;
		bucket++) {
		char table[64];

		snprintf(table, sizeof table, "windows:%s:%" PRId64, query->level->name, bucket);
		TRY(store_table(query->store, fold, head, table, take_window, query, err));
	}
	return RC_OK;
}

enum rc answer_windows(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err)
{
	struct query query = {.store = api->store, .out = out};

	(void)id;
	TRY(read_query(request, &query, err));
	bytes_text(out, "{\"windows\":[");
	TRY(logs_visit(api->store, FOLD_INGEST, take_log, &query, err));
	bytes_text(out, "]}\n");
	return RC_OK;
}
