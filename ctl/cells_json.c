#include "ctl/cells_json.h"

#include "core/strict_json.h"
#include "ctl/words.h"

#include <string.h>

enum { DEPTH_MAX = 20, COLUMNS_MAX = 12, NAMES_MAX = 4 };

enum rc cells_parse(struct view text, json_t **value, struct err *err)
{
	struct json_position position;

	*value = strict_json_parse(text, DEPTH_MAX, &position, err);
	return *value ? RC_OK : err_prefix(err, RC_FATAL, "the console's answer: ");
}

static const json_t *field_of(const json_t *record, const char *path)
{
	const char *dot = strchr(path, '.');
	char name[32];

	if (!dot)
		return json_object_get(record, path);
	view_copy((struct view){path, (size_t)(dot - path)}, name, sizeof name);
	return field_of(json_object_get(record, name), dot + 1);
}

void cell_value(const json_t *value, struct bytes *out)
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

void cell_time(const json_t *value, struct bytes *out)
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
	cell_value(json_object_get(effect, "name"), out);
	bytes_format(out, " %.3g", json_number_value(json_object_get(effect, "value")));
	if (json_is_number(low) && json_is_number(high))
		bytes_format(out, " [%.3g, %.3g]", json_number_value(low), json_number_value(high));
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

static void add_names(const json_t *bins, struct bytes *out)
{
	size_t count = json_array_size(bins);

	for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
		const json_t *bin = json_array_get(bins, i);

		if (json_array_size(bin) != 2)
			return;
		bytes_text(out, i ? ", " : "");
		cell_value(json_array_get(bin, 0), out);
		bytes_format(
			out, " %" JSON_INTEGER_FORMAT, json_integer_value(json_array_get(bin, 1)));
	}
	if (count > NAMES_MAX)
		bytes_format(out, " and %zu more", count - NAMES_MAX);
}

static void add_ago(const json_t *time, int64_t now_ms, struct bytes *out)
{
	int64_t ms = json_integer_value(time);

	if (ms > 0 && now_ms - ms < 1000)
		bytes_text(out, "0 s");
	else if (ms > 0)
		words_duration((now_ms - ms) / 1000 * 1000, out);
}

static void add_sides(const json_t *verdict, struct bytes *out)
{
	cell_value(json_object_get(verdict, "n_arm"), out);
	bytes_text(out, "/");
	cell_value(json_object_get(verdict, "n_reference"), out);
}

static void add_log_e(const json_t *verdict, struct bytes *out)
{
	const json_t *log_e = json_object_get(verdict, "log_e");

	if (json_is_number(log_e))
		bytes_format(out, "%.3g/%.3g", json_number_value(log_e),
			json_number_value(json_object_get(verdict, "line")));
}

void cells_add(
	struct table *table, const struct column *column, const json_t *record, int64_t now_ms)
{
	CLEANUP(bytes_done) struct bytes cell = {0};
	const json_t *value = field_of(record, column->field);

	switch (column->cell) {
	case CELL_TEXT:
		cell_value(value, &cell);
		break;
	case CELL_TIME:
		cell_time(value, &cell);
		break;
	case CELL_AGO:
		add_ago(value, now_ms, &cell);
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
	case CELL_NAMES:
		add_names(value, &cell);
		break;
	case CELL_SIDES:
		add_sides(record, &cell);
		break;
	case CELL_LOG_E:
		add_log_e(record, &cell);
		break;
	}
	table_add(table, &cell);
}

void cells_begin(struct table *table, const struct column *columns)
{
	const char *headings[COLUMNS_MAX + 1] = {0};

	for (size_t i = 0; columns[i].heading; i++)
		headings[i] = columns[i].heading;
	table_begin(table, headings);
}

void cells_row(
	struct table *table, const struct column *columns, const json_t *record, int64_t now_ms)
{
	for (size_t i = 0; columns[i].heading; i++)
		cells_add(table, &columns[i], record, now_ms);
}
