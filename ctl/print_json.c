#include "ctl/print_json.h"

#include "core/strict_json.h"
#include "ctl/table.h"
#include "ctl/words.h"

#include <inttypes.h>
#include <string.h>

enum { DEPTH_MAX = 20, COLUMNS_MAX = 12, CELL_BYTES_MAX = 160 };

enum cell { CELL_TEXT, CELL_TIME, CELL_EFFECT, CELL_LASTED, CELL_MEAN };

struct column {
	const char *heading;
	const char *field; /* "labels.model": one level down */
	enum cell cell;
};

static const struct column window_columns[] = {{"FROM", "from", CELL_TIME}, {"SIGNAL", "signal", 0},
	{"ROLE", "role", 0}, {"VERSION", "version", 0}, {"SEGMENT", "segment", 0}, {"N", "n", 0},
	{"SUM", "sum", 0}, {"MEAN", "", CELL_MEAN}, {0}};
static const struct column finding_columns[] = {{"WHEN", "ts", CELL_TIME}, {"MODEL", "model", 0},
	{"ROLE", "role", 0}, {"VERSION", "version", 0}, {"SIGNAL", "signal", 0},
	{"AGAINST", "against", 0}, {"VERDICT", "verdict", 0},
	{"EFFECT", "evidence.effect", CELL_EFFECT}, {"ID", "id", 0}, {0}};
static const struct column alert_columns[] = {{"STATE", "state", 0}, {"ALERT", "alertname", 0},
	{"MODEL", "labels.model", 0}, {"ROLE", "labels.role", 0},
	{"SEVERITY", "labels.severity", 0}, {"SINCE", "starts_at", CELL_TIME},
	{"FOR", "", CELL_LASTED}, {"SUMMARY", "annotations.summary", 0}, {"ID", "id", 0}, {0}};
static const struct column action_columns[] = {{"WHEN", "at", CELL_TIME}, {"STATE", "state", 0},
	{"TARGET", "target", 0}, {"OPERATION", "operation", 0}, {"RUNG", "rung", 0},
	{"MODEL", "model", 0}, {"BY", "by", 0}, {"REASON", "reason", 0}, {"ID", "id", 0}, {0}};
static const struct column deadletter_columns[] = {{"LAST SEEN", "last_seen", CELL_TIME},
	{"FIRST SEEN", "first_seen", CELL_TIME}, {"CODE", "code", 0}, {"TOTAL", "total", 0},
	{"FINGERPRINT", "fingerprint", 0}, {"DETAIL", "detail", 0}, {0}};
static const struct column mark_columns[] = {
	{"LOG", "log", 0}, {"OFFSET", "offset", 0}, {"WATERMARK", "watermark", CELL_TIME}, {0}};

static const struct column *const columns_of[] = {
	[PRINT_WINDOWS] = window_columns,
	[PRINT_FINDINGS] = finding_columns,
	[PRINT_ALERTS] = alert_columns,
	[PRINT_ACTIONS] = action_columns,
	[PRINT_DEADLETTERS] = deadletter_columns,
	[PRINT_MARKS] = mark_columns,
};

static enum rc parse(struct view text, json_t **value, struct err *err)
{
	struct json_position position;

	*value = strict_json_parse(text, DEPTH_MAX, &position, err);
	return *value ? RC_OK : err_prefix(err, RC_FATAL, "the console's answer: ");
}

/* ---- records as they are */

/* The record that starts at *at and ends where its brackets close; *at then stands behind it. */
static struct view next_record(const char **at, const char *end)
{
	const char *start = *at;
	bool in_text = false;
	int depth = 0;

	for (const char *c = start; c < end; c++) {
		if (in_text && *c == '\\')
			c++;
		else if (*c == '"')
			in_text = !in_text;
		else if (!in_text && (*c == '{' || *c == '['))
			depth++;
		else if (!in_text && (*c == '}' || *c == ']') && --depth == 0) {
			*at = c + 1;
			return (struct view){start, (size_t)(c + 1 - start)};
		}
	}
	return (struct view){0};
}

enum rc print_lines(struct view answer, struct err *err)
{
	const char *at = answer.size ? memchr(answer.data, '[', answer.size) : NULL;
	const char *end = answer.data + answer.size;

	if (!at)
		return err_set(err, RC_FATAL, "the console's answer has no list");
	for (at++; at < end && *at != ']'; at++) {
		struct view record = next_record(&at, end);

		if (!record.size)
			return err_set(err, RC_FATAL, "the console's answer ends inside a record");
		fwrite(record.data, 1, record.size, stdout);
		putchar('\n');
		if (at < end && *at == ']')
			break;
	}
	return RC_OK;
}

/* ---- cells */

static const json_t *field_of(const json_t *record, const char *path)
{
	const char *dot = strchr(path, '.');
	char name[32];

	if (!dot)
		return json_object_get(record, path);
	view_copy((struct view){path, (size_t)(dot - path)}, name, sizeof name);
	return field_of(json_object_get(record, name), dot + 1);
}

static void add_value(const json_t *value, struct bytes *out)
{
	if (json_is_string(value))
		words_text(view_of(json_string_value(value)), out);
	else if (json_is_integer(value))
		bytes_format(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		bytes_format(out, "%.6g", json_real_value(value));
	else if (json_is_boolean(value))
		bytes_text(out, json_is_true(value) ? "yes" : "no");
}

static void add_time(const json_t *value, struct bytes *out)
{
	if (json_is_integer(value) && json_integer_value(value) > 0)
		words_time(json_integer_value(value), out);
}

/* "p99 ratio 1.31 [1.18, 1.47]" */
static void add_effect(const json_t *effect, struct bytes *out)
{
	const json_t *low = json_object_get(effect, "low"), *high = json_object_get(effect, "high");

	if (!json_is_number(json_object_get(effect, "value")))
		return;
	add_value(json_object_get(effect, "name"), out);
	bytes_format(out, " %.4g", json_number_value(json_object_get(effect, "value")));
	if (json_is_number(low) && json_is_number(high))
		bytes_format(out, " [%.4g, %.4g]", json_number_value(low), json_number_value(high));
}

static void add_lasted(const json_t *alert, int64_t now_ms, struct bytes *out)
{
	const json_t *ends_at = json_object_get(alert, "ends_at");
	int64_t start = json_integer_value(json_object_get(alert, "starts_at"));
	int64_t end = json_is_integer(ends_at) ? json_integer_value(ends_at) : now_ms;

	if (end >= start)
		words_duration(end - start, out);
}

static void add_mean(const json_t *window, struct bytes *out)
{
	const json_t *sum = json_object_get(window, "sum");
	double n = json_number_value(json_object_get(window, "n"));

	if (json_is_number(sum) && n > 0)
		bytes_format(out, "%.6g", json_number_value(sum) / n);
}

static void add_cell(
	struct table *table, const struct column *column, const json_t *record, int64_t now_ms)
{
	CLEANUP(bytes_done) struct bytes cell = {0};
	const json_t *value = field_of(record, column->field);

	switch (column->cell) {
	case CELL_TEXT:
		add_value(value, &cell);
		break;
	case CELL_TIME:
		add_time(value, &cell);
		break;
	case CELL_EFFECT:
		add_effect(value, &cell);
		break;
	case CELL_LASTED:
		add_lasted(record, now_ms, &cell);
		break;
	case CELL_MEAN:
		add_mean(record, &cell);
		break;
	}
	table_add(table, &cell);
}

static void begin_table(struct table *table, const struct column *columns)
{
	const char *headings[COLUMNS_MAX + 1] = {0};

	for (size_t i = 0; columns[i].heading; i++)
		headings[i] = columns[i].heading;
	table_begin(table, headings);
}

static void add_row(
	struct table *table, const struct column *columns, const json_t *record, int64_t now_ms)
{
	for (size_t i = 0; columns[i].heading; i++)
		add_cell(table, &columns[i], record, now_ms);
}

static void print_or_say_none(struct table *table)
{
	if (table_rows(table))
		table_print(table, stdout);
	else
		puts("none");
	table_done(table);
}

enum rc print_table(enum print_kind kind, struct view answer, int64_t now_ms, struct err *err)
{
	struct table table = {0};
	json_t *object;

	TRY(parse(answer, &object, err));
	const json_t *list = json_object_iter_value(json_object_iter(object));

	begin_table(&table, columns_of[kind]);
	for (size_t i = 0; i < json_array_size(list); i++)
		add_row(&table, columns_of[kind], json_array_get(list, i), now_ms);
	print_or_say_none(&table);
	json_decref(object);
	return RC_OK;
}

/* ---- one in full */

static bool is_time(const char *key, const json_t *value)
{
	static const char *const keys[] = {"ts", "since", "from", "to", "starts_at", "ends_at",
		"updated_at", "updated", "at", "first_seen", "last_seen", "last_ts", "watermark"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(key, keys[i]) == 0)
			return json_is_integer(value) && json_integer_value(value) > 0;
	return false;
}

static void print_fields(json_t *value, int indent);

static void print_field(const char *key, json_t *value, int indent)
{
	CLEANUP(bytes_done) struct bytes line = {0};

	bytes_format(&line, "%*s", indent, "");
	words_text(view_of(key), &line);
	bytes_text(&line, ": ");
	if (is_time(key, value))
		add_time(value, &line);
	else
		add_value(value, &line);
	puts(line.data);
	print_fields(value, indent + 2);
}

static void print_fields(json_t *value, int indent)
{
	const char *key;
	json_t *member;
	size_t i;

	json_object_foreach(value, key, member) print_field(key, member, indent);
	json_array_foreach(value, i, member) print_field("-", member, indent);
}

enum rc print_full(struct view record, struct err *err)
{
	json_t *object;

	TRY(parse(record, &object, err));
	print_fields(object, 0);
	json_decref(object);
	return RC_OK;
}

/* ---- status */

static const struct column verdict_columns[] = {{"MODEL", "model", 0}, {"SEGMENT", "segment", 0},
	{"SIGNAL", "signal", 0}, {"ROLE", "role", 0}, {"VERSION", "version", 0},
	{"AGAINST", "against", 0}, {"VERDICT", "verdict", 0}, {"EFFECT", "effect", CELL_EFFECT},
	{"LOG E", "log_e", 0}, {"LINE", "line", 0}, {"SINCE", "since", CELL_TIME}, {0}};

static bool is_ok(const json_t *verdict)
{
	const char *text = json_string_value(json_object_get(verdict, "verdict"));

	return text && (strcmp(text, "ok") == 0 || strcmp(text, "not enough data") == 0);
}

/* The gravest verdict of a model. */
static const char *worst_of(const json_t *model)
{
	static const char *const order[] = {"alarm", "suspected", "ok"};
	const json_t *verdicts = json_object_get(model, "verdicts");

	if (json_is_true(json_object_get(model, "split")))
		return "split: on several partitions, not judged; see rekey";
	for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
		for (size_t i = 0; i < json_array_size(verdicts); i++) {
			const json_t *verdict =
				json_object_get(json_array_get(verdicts, i), "verdict");

			if (json_is_string(verdict) &&
				strcmp(json_string_value(verdict), order[k]) == 0)
				return order[k];
		}
	}
	return "not enough data";
}

static void add_ago(const json_t *time, int64_t now_ms, struct table *table)
{
	CLEANUP(bytes_done) struct bytes cell = {0};

	add_time(time, &cell);
	if (cell.size && json_integer_value(time) <= now_ms) {
		bytes_text(&cell, " (");
		words_duration(now_ms - json_integer_value(time), &cell);
		bytes_text(&cell, " ago)");
	}
	table_add(table, &cell);
}

static void add_field(struct table *table, const json_t *record, const char *field)
{
	add_cell(table, &(struct column){"", field, CELL_TEXT}, record, 0);
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
	table_text(table, worst_of(model));
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

	begin_table(&table, verdict_columns);
	for (size_t i = 0; i < json_array_size(models); i++) {
		const json_t *verdicts = json_object_get(json_array_get(models, i), "verdicts");

		for (size_t k = 0; k < json_array_size(verdicts); k++)
			if (all || !is_ok(json_array_get(verdicts, k)))
				add_row(&table, verdict_columns, json_array_get(verdicts, k), 0);
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

	TRY(parse(answer, &object, err));
	const json_t *models = json_object_get(object, "models");
	json_int_t firing = json_integer_value(json_object_get(object, "alerts_firing"));

	print_models(models, now_ms);
	print_verdicts(models, verdicts);
	print_logs(json_object_get(object, "logs"), now_ms);
	printf("\n%" JSON_INTEGER_FORMAT " %s firing\n", firing, firing == 1 ? "alert" : "alerts");
	json_decref(object);
	return RC_OK;
}

void print_error_sentence(struct view answer, char *text, size_t size)
{
	CLEANUP(bytes_done) struct bytes clean = {0};
	struct json_position position;
	struct err err;
	json_t *object = strict_json_parse(answer, DEPTH_MAX, &position, &err);
	const char *sentence = json_string_value(json_object_get(object, "error"));

	words_text(sentence ? view_of(sentence) : answer, &clean);
	view_copy((struct view){clean.data, clean.size}, text, size);
	json_decref(object);
}
