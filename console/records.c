/* console/records.c: lists of findings, alerts, actions and groups of dead letters, and one in
 * full. */
#include "console/answer.h"
#include "console/facts_json.h"
#include "console/logs.h"
#include "core/memory.h"
#include "core/topics.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1000, LIMIT_MAX = 100000 };

struct family {
	const char *name; /* in the answer */
	const char *service, *table;
	const char *one;   /* what one is called when it is not there */
	bool newest_first; /* else in order of the table's fields */
};

static const struct family findings = {"findings", FOLD_DETECTORS, TABLE_FINDINGS, "finding", true};
static const struct family alerts = {"alerts", FOLD_ALERTS, TABLE_ALERTS, "alert", true};
static const struct family actions = {"actions", FOLD_REMEDIATE, TABLE_ACTIONS, "action", false};
static const struct family deadletters = {
	"deadletters", FOLD_INGEST, TABLE_DEADLETTERS, "group of dead letters", true};

struct record {
	struct facts facts;
	char *text;
};

struct list {
	struct store *store;
	const struct family *family;
	const char *id, *model, *state, *target; /* what is wanted; NULL: any */
	struct record *records;
	size_t count, capacity;
	size_t unreadable; /* records that are no JSON */
};

static void list_done(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->records[i].text);
	free(list->records);
}

static bool is_wanted(const struct list *list, const struct facts *facts)
{
	return (!list->id || strcmp(list->id, facts->id) == 0) &&
	       (!list->model || strcmp(list->model, facts->model) == 0) &&
	       (!list->state || strcmp(list->state, facts->state) == 0) &&
	       (!list->target || strcmp(list->target, facts->target) == 0);
}

static enum rc take_record(void *context, struct view field, struct view data, struct err *err)
{
	struct list *list = context;
	struct facts facts;

	(void)field;
	/* One bad record must not hide the others from whoever is on call. */
	if (facts_from_json(data, &facts, err) != RC_OK) {
		list->unreadable++;
		return RC_OK;
	}
	if (!is_wanted(list, &facts))
		return RC_OK;
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 64;
		list->records = memory_grow(list->records, list->capacity, sizeof *list->records);
	}
	list->records[list->count++] =
		(struct record){.facts = facts, .text = memory_copy(data.data, data.size)};
	return RC_OK;
}

static enum rc take_log(
	void *context, const struct fold *fold, const struct head *head, struct err *err)
{
	struct list *list = context;

	return store_table(list->store, fold, head, list->family->table, take_record, list, err);
}

static int newer_first(const void *left, const void *right)
{
	const struct facts *a = &((const struct record *)left)->facts;
	const struct facts *b = &((const struct record *)right)->facts;

	if (a->at != b->at)
		return a->at > b->at ? -1 : 1;
	return strcmp(a->id, b->id);
}

static enum rc write_list(
	const struct list *list, size_t first, size_t count, struct bytes *out, struct err *err)
{
	bytes_format(out, "{\"%s\":[", list->family->name);
	for (size_t i = first; i < first + count; i++) {
		bytes_text(out, i > first ? "," : "");
		bytes_text(out, list->records[i].text);
		if (out->size > ANSWER_BYTES_MAX)
			return err_set(err, RC_REJECT,
				"more than %d bytes; ask with a smaller limit", ANSWER_BYTES_MAX);
	}
	bytes_text(out, "]");
	if (list->unreadable)
		bytes_format(out, ",\"unreadable\":%zu", list->unreadable);
	bytes_text(out, "}\n");
	return RC_OK;
}

static enum rc answer_list(
	struct list *list, const struct http_request *request, struct bytes *out, struct err *err)
{
	int64_t limit;

	TRY(query_integer(request, "limit", 1, LIMIT_MAX, LIMIT, &limit, err));
	TRY(logs_visit(list->store, list->family->service, take_log, list, err));
	if (list->id && !list->count)
		return err_set(err, RC_NONE, "there is no %s %.100s", list->family->one, list->id);
	size_t count = list->count < (size_t)limit ? list->count : (size_t)limit;

	if (!list->family->newest_first)
		return write_list(list, list->count - count, count, out, err);
	if (list->count)
		qsort(list->records, list->count, sizeof *list->records, newer_first);
	return write_list(list, 0, count, out, err);
}

struct wanted {
	struct store *store;
	const struct family *family;
	const char *id;
	struct bytes *out;
};

static enum rc get_from_log(
	void *context, const struct fold *fold, const struct head *head, struct err *err)
{
	struct wanted *wanted = context;

	if (wanted->out->size)
		return RC_OK;
	enum rc rc = store_get(wanted->store, fold, head, wanted->family->table,
		view_of(wanted->id), wanted->out, err);

	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc answer_one(const struct api *api, const struct family *family, const char *id,
	struct bytes *out, struct err *err)
{
	struct wanted wanted = {.store = api->store, .family = family, .id = id, .out = out};

	TRY(logs_visit(api->store, family->service, get_from_log, &wanted, err));
	if (!out->size)
		return err_set(err, RC_NONE, "there is no %s %.100s", family->one, id);
	bytes_text(out, "\n");
	return RC_OK;
}

enum rc answer_findings(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err)
{
	CLEANUP(list_done)
	struct list list = {
		.store = api->store, .family = &findings, .model = http_query(request, "model")};

	return id ? answer_one(api, &findings, id, out, err)
		  : answer_list(&list, request, out, err);
}

enum rc answer_alerts(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err)
{
	CLEANUP(list_done)
	struct list list = {.store = api->store,
		.family = &alerts,
		.model = http_query(request, "model"),
		.state = http_query(request, "state")};

	if (list.state && strcmp(list.state, "firing") != 0 && strcmp(list.state, "resolved") != 0)
		return err_set(err, RC_REJECT,
			"state: found \"%.40s\", expected firing or resolved", list.state);
	return id ? answer_one(api, &alerts, id, out, err) : answer_list(&list, request, out, err);
}

/* One action is several records, from intent to verified, so one in full is a list too. */
enum rc answer_actions(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err)
{
	CLEANUP(list_done)
	struct list list = {.store = api->store,
		.family = &actions,
		.id = id,
		.target = http_query(request, "target")};

	return answer_list(&list, request, out, err);
}

/* Each partition has its own group of one fingerprint. */
enum rc answer_deadletters(const struct api *api, const struct http_request *request,
	const char *id, struct bytes *out, struct err *err)
{
	CLEANUP(list_done)
	struct list list = {.store = api->store, .family = &deadletters, .id = id};

	return answer_list(&list, request, out, err);
}
