/* ctl/status_json.c: the answer to `modelwatch status` for people. */
#include "ctl/cells_json.h"
#include "ctl/print_json.h"
#include "ctl/words.h"

#include <stdio.h>
#include <string.h>

static const struct column verdict_columns[] = {{"MODEL", "model", 0}, {"SEGMENT", "segment", 0},
	{"SIGNAL", "signal", 0}, {"ROLE", "role", 0}, {"VERSION", "version", 0},
	{"AGAINST", "against", 0}, {"BY", "detector", 0}, {"VERDICT", "verdict", 0},
	{"N/REF", "", CELL_SIDES}, {"LOG E/LINE", "", CELL_LOG_E}, {"SINCE", "since", CELL_AGO},
	{"EFFECT", "effect", CELL_EFFECT}, {0}};

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

/* As the detectors see it: no traffic for ten ticks and half a minute while its role has some. */
static bool is_superseded(const json_t *model, const json_t *version)
{
	const json_t *versions = json_object_get(model, "versions");
	json_int_t patience = 10 * json_integer_value(json_object_get(model, "tick"));
	json_int_t last = json_integer_value(json_object_get(version, "last_ts"));

	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *other = json_array_get(versions, i);

		if (strcmp(text_of(other, "role"), text_of(version, "role")) == 0 &&
			json_integer_value(json_object_get(other, "last_ts")) - last >
				(patience > 30000 ? patience : 30000))
			return true;
	}
	return false;
}

/* The gravest verdict on a version (NULL: on the model). */
static const char *worst_of(const json_t *model, const json_t *version)
{
	static const char *const order[] = {"alarm", "suspected", "ok"};
	const json_t *verdicts = json_object_get(model, "verdicts");

	if (json_is_true(json_object_get(model, "split")))
		return "split: on several partitions, not judged; see rekey";
	if (version && is_superseded(model, version))
		return "superseded";
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

static void add_cell(struct table *table, const json_t *record, const char *field, enum cell cell,
	int64_t now_ms)
{
	cells_add(table, &(struct column){"", field, cell}, record, now_ms);
}

static void add_field(struct table *table, const json_t *record, const char *field)
{
	add_cell(table, record, field, CELL_TEXT, 0);
}

static void add_version(
	struct table *table, const json_t *model, const json_t *version, int64_t now_ms)
{
	add_field(table, model, "model");
	add_field(table, version, "role");
	add_field(table, version, "version");
	add_field(table, model, "owner");
	add_cell(table, version ? version : model, "last_ts", CELL_AGO, now_ms);
	table_text(table, worst_of(model, version));
}

static void print_models(const json_t *models, const char *asked, int64_t now_ms)
{
	const char *const headings[] = {
		"MODEL", "ROLE", "VERSION", "OWNER", "LAST EVENT", "VERDICT", NULL};
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
		printf("no model%s%s was seen yet\n", asked ? " " : "", asked ? asked : "");
	else
		table_print(&table, stdout);
	table_done(&table);
}

static void print_verdicts(const json_t *models, bool all, int64_t now_ms)
{
	/* Of one model its name is known. */
	const struct column *columns = all ? verdict_columns + 1 : verdict_columns;
	struct table table = {0};

	cells_begin(&table, columns);
	for (size_t i = 0; i < json_array_size(models); i++) {
		const json_t *verdicts = json_object_get(json_array_get(models, i), "verdicts");

		for (size_t k = 0; k < json_array_size(verdicts); k++)
			if (all || !is_quiet(json_array_get(verdicts, k)))
				cells_row(&table, columns, json_array_get(verdicts, k), now_ms);
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
	if (total)
		bytes_format(&cell, "%" JSON_INTEGER_FORMAT " (%s)", total, codes.data);
	table_add(table, &cell);
}

/* Nothing for 0: a column of zeros is left out. */
static void add_count(struct table *table, json_int_t count)
{
	char text[24] = "";

	if (count)
		snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, count);
	table_text(table, text);
}

/* How long ago what closed earlier was not rebuilt after a loss of Redis; nothing where all was. */
static void add_rebuilt(const json_t *log, struct table *table, int64_t now_ms)
{
	if (json_integer_value(json_object_get(log, "rebuilt_from")))
		add_cell(table, log, "rebuilt_from", CELL_AGO, now_ms);
	else
		table_text(table, "");
}

/* "43 %, 310000/s, 130 s left" of a log that is far behind its end; nothing of others. */
static void add_progress(const json_t *progress, struct table *table)
{
	CLEANUP(bytes_done) struct bytes cell = {0};
	json_int_t left = json_integer_value(json_object_get(progress, "seconds_left"));

	if (progress)
		bytes_format(&cell, "%" JSON_INTEGER_FORMAT " %%, %" JSON_INTEGER_FORMAT "/s",
			json_integer_value(json_object_get(progress, "percent")),
			json_integer_value(json_object_get(progress, "per_second")));
	if (progress && left >= 0)
		bytes_format(&cell, ", %" JSON_INTEGER_FORMAT " s left", left);
	table_add(table, &cell);
}

static void print_logs(const json_t *logs, int64_t now_ms)
{
	static const char *const counts[] = {"late", "duplicate", "control"};
	const char *const headings[] = {"LOG", "OFFSET", "BEHIND", "COUNTED", "LATE", "DUPLICATE",
		"CONTROL", "GAPS", "WINDOWS FROM", "REJECTED", "CATCHING UP", NULL};
	struct table table = {0};

	table_begin(&table, headings);
	for (size_t i = 0; i < json_array_size(logs); i++) {
		const json_t *log = json_array_get(logs, i);

		add_field(&table, log, "log");
		add_field(&table, log, "offset");
		add_cell(&table, log, "watermark", CELL_AGO, now_ms);
		add_field(&table, log, "counted");
		for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
			add_count(&table, json_integer_value(json_object_get(log, counts[k])));
		add_count(&table, (json_int_t)json_array_size(json_object_get(log, "gaps")));
		add_rebuilt(log, &table, now_ms);
		add_rejected(json_object_get(log, "rejected"), &table);
		add_progress(json_object_get(log, "progress"), &table);
	}
	if (table_rows(&table)) {
		puts("");
		table_print(&table, stdout);
	}
	table_done(&table);
}

/* "1008 models: 1 alarm, 2 suspected; 1 alert firing", last, where a long list does not hide it. */
static void print_sum(const json_t *models, json_int_t firing)
{
	size_t count = json_array_size(models), alarm = 0, suspected = 0;

	for (size_t i = 0; i < count; i++) {
		const char *worst = worst_of(json_array_get(models, i), NULL);

		alarm += strcmp(worst, "alarm") == 0;
		suspected += strcmp(worst, "suspected") == 0;
	}
	printf("\n%zu model%s: %zu in alarm, %zu suspected; %" JSON_INTEGER_FORMAT
	       " alert%s firing\n",
		count, count == 1 ? "" : "s", alarm, suspected, firing, firing == 1 ? "" : "s");
}

enum rc print_status(struct view answer, const char *model, int64_t now_ms, struct err *err)
{
	json_t *object;

	TRY(cells_parse(answer, &object, err));
	const json_t *models = json_object_get(object, "models");

	print_models(models, model, now_ms);
	print_verdicts(models, model != NULL, now_ms);
	print_logs(json_object_get(object, "logs"), now_ms);
	print_sum(models, json_integer_value(json_object_get(object, "alerts_firing")));
	json_decref(object);
	return RC_OK;
}
