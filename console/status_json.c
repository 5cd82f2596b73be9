/* console/status_json.c: models with their verdicts, logs with their counters, alerts that fire. */
#include "console/answer.h"
#include "console/logs.h"
#include "core/memory.h"
#include "core/strict_json.h"
#include "core/topics.h"

#include <stdlib.h>
#include <string.h>

static const char counters_field[] = "counters";
static const char model_prefix[] = "model:";

struct status {
	const struct api *api;
	const char *model; /* the only one wanted; NULL: all */
	const char *log;   /* that is being read */
	json_t *models, *logs;
	json_t *verdicts; /* from "LOG/MODEL" to an array */
	json_int_t firing;
};

static enum rc parse(
	struct view data, const char *table, struct view field, json_t **object, struct err *err)
{
	struct json_position position;

	*object = strict_json_parse(data, 16, &position, err);
	if (*object)
		return RC_OK;
	return err_prefix(err, RC_FATAL, "table %s, field %.*s: ", table,
		(int)(field.size < 80 ? field.size : 80), field.data);
}

/* Moves all fields of a stored record but its kind behind those that are there. */
static void add_fields(json_t *object, json_t *record)
{
	const char *key;
	json_t *value;

	json_object_foreach(
		record, key, value) if (strcmp(key, "kind") != 0 && !json_object_get(object, key))
		json_object_set(object, key, value);
	json_decref(record);
}

/* ---- what ingest knows */

static enum rc take_model(void *context, struct view field, struct view data, struct err *err)
{
	struct status *status = context;
	size_t prefix = sizeof model_prefix - 1;
	json_t *record;

	if (field.size <= prefix || memcmp(field.data, model_prefix, prefix) != 0)
		return RC_OK;
	struct view name = {field.data + prefix, field.size - prefix};

	if (status->model && !view_is(name, status->model))
		return RC_OK;
	TRY(parse(data, TABLE_STATE, field, &record, err));
	json_t *model = json_object();
	char text[256];

	view_copy(name, text, sizeof text);
	json_set_text(model, "model", text);
	json_set_text(model, "log", status->log);
	const struct config_model *settings = config_model(status->api->config, text, "");

	json_set_text(model, "owner", settings->owner);
	json_set_integer(model, "tick", settings->tick_ms);
	add_fields(model, record);
	json_array_append_new(status->models, model);
	return RC_OK;
}

/* Of a log that is being caught up with. */
static enum rc take_progress(void *context, struct view field, struct view data, struct err *err)
{
	json_t *progress, *record;

	TRY(parse(data, TABLE_PROGRESS, field, &record, err));
	progress = json_object();
	add_fields(progress, record);
	json_object_set_new(context, "progress", progress);
	return RC_OK;
}

static enum rc take_ingest(
	void *context, const struct fold *fold, const struct head *head, struct err *err)
{
	struct status *status = context;
	CLEANUP(bytes_done) struct bytes counters = {0};
	json_t *log = json_object(), *record;

	json_set_text(log, "log", fold->log);
	json_array_append_new(status->logs, log);
	status->log = fold->log;
	enum rc rc = store_get(status->api->store, fold, head, TABLE_STATE, view_of(counters_field),
		&counters, err);

	if (rc == RC_OK)
		TRY(parse((struct view){counters.data, counters.size}, TABLE_STATE,
			view_of(counters_field), &record, err));
	if (rc == RC_OK)
		add_fields(log, record);
	else if (rc != RC_NONE)
		return rc;
	TRY(store_table(status->api->store, fold, head, TABLE_PROGRESS, take_progress, log, err));
	return store_table(status->api->store, fold, head, TABLE_STATE, take_model, status, err);
}

/* ---- what detectors and alerts know */

static json_t *verdicts_of(struct status *status, const char *log, const char *model)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	json_t *list;

	bytes_format(&key, "%s/%s", log, model);
	list = json_object_get(status->verdicts, key.data);
	if (list)
		return list;
	list = json_array();
	json_object_set_new(status->verdicts, key.data, list);
	return list;
}

/* Cheap, and true for too many: spares parsing the verdicts of a thousand other models. */
static bool mentions(struct view data, const char *model)
{
	return memmem(data.data, data.size, model, strlen(model)) != NULL;
}

static enum rc take_verdict(void *context, struct view field, struct view data, struct err *err)
{
	struct status *status = context;
	json_t *record, *verdict;

	if (status->model && !mentions(data, status->model))
		return RC_OK;
	TRY(parse(data, TABLE_VERDICTS, field, &record, err));
	const char *model = json_string_value(json_object_get(record, "model"));

	if (!model || (status->model && strcmp(model, status->model) != 0)) {
		json_decref(record);
		return RC_OK;
	}
	json_t *list = verdicts_of(status, status->log, model);

	verdict = json_object();
	add_fields(verdict, record);
	json_array_append_new(list, verdict);
	return RC_OK;
}

static enum rc take_detectors(
	void *context, const struct fold *fold, const struct head *head, struct err *err)
{
	struct status *status = context;

	status->log = fold->log;
	return store_table(
		status->api->store, fold, head, TABLE_VERDICTS, take_verdict, status, err);
}

static enum rc take_alert(void *context, struct view field, struct view data, struct err *err)
{
	struct status *status = context;
	json_t *alert;

	TRY(parse(data, TABLE_ALERTS, field, &alert, err));
	const char *state = json_string_value(json_object_get(alert, "state"));
	const char *model =
		json_string_value(json_object_get(json_object_get(alert, "labels"), "model"));

	if (state && strcmp(state, "firing") == 0 &&
		(!status->model || (model && strcmp(model, status->model) == 0)))
		status->firing++;
	json_decref(alert);
	return RC_OK;
}

static enum rc take_alerts(
	void *context, const struct fold *fold, const struct head *head, struct err *err)
{
	struct status *status = context;

	return store_table(status->api->store, fold, head, TABLE_ALERTS, take_alert, status, err);
}

/* ---- the answer */

static const char *name_of(const json_t *model)
{
	return json_string_value(json_object_get(model, "model"));
}

static int by_model_then_log(const void *left, const void *right)
{
	const json_t *const *a = left, *const *b = right;
	int order = strcmp(name_of(*a), name_of(*b));

	if (order)
		return order;
	return strcmp(json_string_value(json_object_get(*a, "log")),
		json_string_value(json_object_get(*b, "log")));
}

/* A model on two logs is judged on none. */
static bool is_split(json_t *const *models, size_t count, size_t i)
{
	return (i > 0 && strcmp(name_of(models[i - 1]), name_of(models[i])) == 0) ||
	       (i + 1 < count && strcmp(name_of(models[i + 1]), name_of(models[i])) == 0);
}

static json_t *finish_models(struct status *status)
{
	size_t count = json_array_size(status->models);
	json_t **models = memory_new(count + 1, sizeof *models), *sorted = json_array();

	for (size_t i = 0; i < count; i++)
		models[i] = json_array_get(status->models, i);
	qsort(models, count, sizeof(json_t *), by_model_then_log);
	for (size_t i = 0; i < count; i++) {
		const char *log = json_string_value(json_object_get(models[i], "log"));

		json_object_set_new(models[i], "split", json_boolean(is_split(models, count, i)));
		json_object_set(
			models[i], "verdicts", verdicts_of(status, log, name_of(models[i])));
		json_array_append(sorted, models[i]);
	}
	free(models);
	return sorted;
}

static enum rc collect(struct status *status, struct err *err)
{
	struct store *store = status->api->store;

	TRY(logs_visit(store, FOLD_INGEST, take_ingest, status, err));
	TRY(logs_visit(store, FOLD_DETECTORS, take_detectors, status, err));
	return logs_visit(store, FOLD_ALERTS, take_alerts, status, err);
}

enum rc answer_status(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err)
{
	struct status status = {.api = api,
		.model = http_query(request, "model"),
		.models = json_array(),
		.logs = json_array(),
		.verdicts = json_object()};
	enum rc rc = collect(&status, err);

	(void)id;
	if (rc == RC_OK) {
		json_t *object = json_object();

		json_object_set_new(object, "models", finish_models(&status));
		json_object_set(object, "logs", status.logs);
		json_set_integer(object, "alerts_firing", status.firing);
		strict_json_write(object, out);
		bytes_text(out, "\n");
	}
	json_decref(status.models);
	json_decref(status.logs);
	json_decref(status.verdicts);
	return rc;
}
