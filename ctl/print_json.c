#include "ctl/print_json.h"

#include "ctl/cells_json.h"
#include "ctl/words.h"

#include <stdio.h>
#include <string.h>

static const struct column window_columns[] = {{"FROM", "from", CELL_TIME}, {"SIGNAL", "signal", 0},
	{"ROLE", "role", 0}, {"VERSION", "version", 0}, {"SEGMENT", "segment", 0}, {"N", "n", 0},
	{"SUM", "sum", 0}, {"MEAN", "", CELL_MEAN}, {"OF THESE", "bins", CELL_NAMES}, {0}};
static const struct column finding_columns[] = {{"WHEN", "ts", CELL_TIME}, {"MODEL", "model", 0},
	{"ROLE", "role", 0}, {"VERSION", "version", 0}, {"SIGNAL", "signal", 0},
	{"AGAINST", "against", 0}, {"VERDICT", "verdict", 0},
	{"EFFECT", "evidence.effect", CELL_EFFECT}, {"ID", "id", 0}, {0}};
static const struct column alert_columns[] = {{"STATE", "state", 0}, {"ALERT", "alertname", 0},
	{"MODEL", "labels.model", 0}, {"ROLE", "labels.role", 0},
	{"SEVERITY", "labels.severity", 0}, {"SINCE", "starts_at", CELL_TIME},
	{"FOR", "", CELL_LASTED}, {"ID", "id", 0}, {"SUMMARY", "annotations.summary", 0}, {0}};
static const struct column action_columns[] = {{"WHEN", "at", CELL_TIME}, {"STATE", "state", 0},
	{"TARGET", "target", 0}, {"OPERATION", "operation", 0}, {"RUNG", "rung", 0},
	{"MODEL", "model", 0}, {"BY", "by", 0}, {"ID", "id", 0}, {"REASON", "reason", 0}, {0}};
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
	at++;
	while (at < end && *at != ']') {
		struct view record = next_record(&at, end);

		if (!record.size)
			break;
		fwrite(record.data, 1, record.size, stdout);
		putchar('\n');
		if (at < end && *at == ',')
			at++;
	}
	if (at < end && *at == ']')
		return RC_OK;
	return err_set(err, RC_FATAL, "the console's answer is no whole list");
}

static void print_or_say_none(struct table *table)
{
	if (table_rows(table))
		table_print(table, stdout);
	else
		puts("none");
	table_done(table);
}

static void add_to(json_t *group, const json_t *other, const char *field)
{
	json_int_t sum = json_integer_value(json_object_get(group, field)) +
			 json_integer_value(json_object_get(other, field));

	json_object_set_new(group, field, json_integer(sum));
}

static void take_earlier(json_t *group, json_t *other, const char *field)
{
	json_t *time = json_object_get(other, field);

	if (json_integer_value(time) < json_integer_value(json_object_get(group, field)))
		json_object_set(group, field, time);
}

/* Dead letters come as one group for each partition; what is wrong with them is one thing. The list
 * is newest first. */
static void merge_groups(json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *group = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(group, "fingerprint"));

		for (size_t k = json_array_size(list); name && --k > i;) {
			json_t *other = json_array_get(list, k);
			const char *same = json_string_value(json_object_get(other, "fingerprint"));

			if (!same || strcmp(name, same) != 0)
				continue;
			add_to(group, other, "total");
			take_earlier(group, other, "first_seen");
			json_array_remove(list, k);
		}
	}
}

enum rc print_table(enum print_kind kind, struct view answer, int64_t now_ms, struct err *err)
{
	struct table table = {0};
	json_t *object;

	TRY(cells_parse(answer, &object, err));
	json_t *list = json_object_iter_value(json_object_iter(object));

	if (kind == PRINT_DEADLETTERS)
		merge_groups(list);
	cells_begin(&table, columns_of[kind]);
	for (size_t i = 0; i < json_array_size(list); i++)
		cells_row(&table, columns_of[kind], json_array_get(list, i), now_ms);
	print_or_say_none(&table);
	if (json_object_get(object, "unreadable"))
		printf("and %" JSON_INTEGER_FORMAT " that cannot be read\n",
			json_integer_value(json_object_get(object, "unreadable")));
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

/* "key: value"; of a list "- value". What is inside a value follows, further in. */
static void print_field(const char *key, json_t *value, int indent)
{
	CLEANUP(bytes_done) struct bytes line = {0}, text = {0};

	bytes_format(&line, "%*s", indent, "");
	if (key)
		words_text(view_of(key), &line);
	bytes_text(&line, key ? ":" : "-");
	if (key && is_time(key, value))
		cell_time(value, &text);
	else
		cell_value(value, &text);
	if (text.size)
		bytes_format(&line, " %s", text.data);
	puts(line.data);
	print_fields(value, indent + 2);
}

static void print_fields(json_t *value, int indent)
{
	const char *key;
	json_t *member;
	size_t i;

	json_object_foreach(value, key, member)
	{
		print_field(key, member, indent);
	}
	json_array_foreach(value, i, member)
	{
		print_field(NULL, member, indent);
	}
}

enum rc print_full(struct view record, struct err *err)
{
	json_t *object, *list, *member;
	size_t i;

	TRY(cells_parse(record, &object, err));
	list = json_object_iter_value(json_object_iter(object));
	json_array_foreach(list, i, member)
	{
		printf("%s", i ? "\n" : "");
		print_fields(member, 0);
	}
	if (!json_is_array(list))
		print_fields(object, 0);
	json_decref(object);
	return RC_OK;
}

void print_error_sentence(struct view answer, char *text, size_t size)
{
	CLEANUP(bytes_done) struct bytes clean = {0};
	struct err err;
	json_t *object = NULL;

	if (cells_parse(answer, &object, &err) != RC_OK)
		object = NULL;
	const char *sentence = json_string_value(json_object_get(object, "error"));

	words_text(sentence ? view_of(sentence) : answer, &clean);
	view_copy((struct view){clean.data, clean.size}, text, size);
	json_decref(object);
}
