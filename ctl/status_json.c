/* ctl/status_json.c: the answer to `modelwatch status` for people. */
#include "ctl/cells_json.h"
#include "ctl/print_json.h"
#include "ctl/words.h"

#include <stdio.h>
#include <string.h>

static const struct column verdict_columns[] = {{"MODEL", "model", 0}, {"SEGMENT", "segment", 0},
	{"SIGNAL", "signal", 0}, {"ROLE", "role", 0}, {"VERSION", "version", 0},
	{"AGAINST", "against", 0}, {"VERDICT", "verdict", 0}, {"EFFECT", "effect", CELL_EFFECT},
	{"LOG E", "log_e", 0}, {"LINE", "line", 0}, {"SINCE", "since", CELL_TIME}, {0}};

static const char *text_of(const json_t *record, const char *field)
{
	const char *text = json_string_value(json_object_get(record, field));

	return text ? text : "";
}

static bool is_quiet(const json_t *verdict)
{
	const char *text = text_of(verdict, "verdict");

	return strcmp(text, "alarm") != 0 && strcmp(text, "suspected") != 0;
}

/* Verdicts on rate and silence go by role, without a version. */
static bool is_about(const json_t *verdict, const json_t *version)
{
	const char *name = text_of(verdict, "version");

	return !version || (strcmp(text_of(verdict, "role"), text_of(version, "role")) == 0 &&
				   (!*name || strcmp(name, text_of(version, "version")) == 0));
}

/* The gravest verdict on a version (NULL: on the model). */
static const char *worst_of(const json_t *model, const json_t *version)
{
	static const char *const order[] = {"alarm", "suspected", "ok"};
	const json_t *verdicts = json_object_get(model, "verdicts");

	if (json_is_true(json_object_get(model, "split")))
		return "split: on several partitions, not judged; see rekey";
	for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
		for (size_t i = 0; i < json_array_size(verdicts); i++) {
			const json_t *verdict = json_array_get(verdicts, i);

			if (is_about(verdict, version) &&
				strcmp(text_of(verdict, "verdict"), order[k]) == 0)
				return order[k];
		}
	}
	return "not enough data";
}

static void add_ago(const json_t *time, int64_t now_ms, struct table *table)
{
	CLEANUP(bytes_done) struct bytes cell = {0};

	cell_time(time, &cell);
	if (cell.size && json_integer_value(time) <= now_ms) {
		bytes_text(&cell, " (");
		words_duration(now_ms - json_integer_value(time), &cell);
		bytes_text(&cell, " ago)");
	}
	table_add(table, &cell);
}

static void add_field(struct table *table, const json_t *record, const char *field)
{
	cells_add(table, &(struct column){"", field, CELL_TEXT}, record, 0);
}

static void add_version(
	struct table *table, const json_t *model, const json_t *version, int64_t now_ms)
{
	const json_t *time = json_object_get(version ? version : model, "last_ts");

	add_field(table, model, "model");
	add_field(table, version, "role");
	add_field(table, version, "version");
	add_field(table, model, "owner");
	add_field(table, model, "log");
	add_ago(time, now_ms, table);
	table_text(table, worst_of(model, version));
}

static void print_models(const json_t *models, int64_t now_ms)
{
	const char *const headings[] = {
		"MODEL", "ROLE", "VERSION", "OWNER", "LOG", "LAST EVENT", "VERDICT", NULL};
	struct table table = {0};

	table_begin(&table, headings);
	for (size_t i = 0; i < json_array_size(models); i++) {
		const json_t *model = json_array_get(models, i);
		const json_t *versions = json_object_get(model, "versions");

		if (!json_array_size(versions))
			add_version(&table, model, NULL, now_ms);
		for (size_t k = 0; k < json_array_size(versions); k++)
			add_version(&table, model, json_array_get(versions, k), now_ms);
	}
	if (!table_rows(&table))
		puts("no model was seen yet");
	else
		table_print(&table, stdout);
	table_done(&table);
}

static void print_verdicts(const json_t *models, bool all)
{
	struct table table = {0};

	cells_begin(&table, verdict_columns);
	for (size_t i = 0; i < json_array_size(models); i++) {
		const json_t *verdicts = json_object_get(json_array_get(models, i), "verdicts");

		for (size_t k = 0; k < json_array_size(verdicts); k++)
			if (all || !is_quiet(json_array_get(verdicts, k)))
				cells_row(&table, verdict_columns, json_array_get(verdicts, k), 0);
	}
	if (table_rows(&table)) {
		puts("");
		table_print(&table, stdout);
	}
	table_done(&table);
}

/* "1203 (E_JSON 1200, E_MISSING 3)" */
static void add_rejected(json_t *rejected, struct table *table)
{
	CLEANUP(bytes_done) struct bytes codes = {0}, cell = {0};
	json_int_t total = 0;
	const char *code;
	json_t *count;

	json_object_foreach(rejected, code, count)
	{
		if (!json_integer_value(count))
			continue;
		total += json_integer_value(count);
		bytes_format(&codes, "%s%s %" JSON_INTEGER_FORMAT, codes.size ? ", " : "", code,
			json_integer_value(count));
	}
	bytes_format(&cell, "%" JSON_INTEGER_FORMAT, total);
	if (codes.size)
		bytes_format(&cell, " (%s)", codes.data);
	table_add(table, &cell);
}

static void print_logs(const json_t *logs, int64_t now_ms)
{
	const char *const headings[] = {"LOG", "OFFSET", "WATERMARK", "COUNTED", "LATE",
		"DUPLICATE", "CONTROL", "GAPS", "REJECTED", NULL};
	struct table table = {0};

	table_begin(&table, headings);
	for (size_t i = 0; i < json_array_size(logs); i++) {
		const json_t *log = json_array_get(logs, i);
		char gaps[24];

		add_field(&table, log, "log");
		add_field(&table, log, "offset");
		add_ago(json_object_get(log, "watermark"), now_ms, &table);
		add_field(&table, log, "counted");
		add_field(&table, log, "late");
		add_field(&table, log, "duplicate");
		add_field(&table, log, "control");
		snprintf(gaps, sizeof gaps, "%zu", json_array_size(json_object_get(log, "gaps")));
		table_text(&table, gaps);
		add_rejected(json_object_get(log, "rejected"), &table);
	}
	if (table_rows(&table)) {
		puts("");
		table_print(&table, stdout);
	}
	table_done(&table);
}

enum rc print_status(struct view answer, bool verdicts, int64_t now_ms, struct err *err)
{
	json_t *object;

	TRY(cells_parse(answer, &object, err));
	const json_t *models = json_object_get(object, "models");
	json_int_t firing = json_integer_value(json_object_get(object, "alerts_firing"));

	print_models(models, now_ms);
	print_verdicts(models, verdicts);
	print_logs(json_object_get(object, "logs"), now_ms);
	printf("\n%" JSON_INTEGER_FORMAT " %s firing\n", firing, firing == 1 ? "alert" : "alerts");
	json_decref(object);
	return RC_OK;
}
