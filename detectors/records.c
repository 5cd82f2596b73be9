/* detectors/records.c: what is stored of a comparison: its record, and its summary for people.
 * THINKS. The record: version, detector and signal, then the fields in the order below. */
#include "core/json_tree.h"
#include "core/memory.h"
#include "core/stats/counts.h"
#include "detectors/table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { RECORD_VERSION = 1, MEMBERS_MAX = 4096 };

static void write_text(const char *text, struct bytes *out)
{
	bytes_sized(out, text, strlen(text));
}

void rate_write(const struct counts_rate *rate, struct bytes *out)
{
	bytes_double(out, rate->level);
	bytes_double(out, rate->phi_mean);
	bytes_double(out, rate->last);
	bytes_double(out, rate->last_season);
	bytes_varint(out, rate->ticks);
	bytes_varint(out, rate->differences);
}

void rate_read(struct counts_rate *rate, struct reader *in)
{
	rate->level = reader_double(in);
	rate->phi_mean = reader_double(in);
	rate->last = reader_double(in);
	rate->last_season = reader_double(in);
	rate->ticks = reader_varint(in);
	rate->differences = reader_varint(in);
}

static void write_life(const struct comparison *comparison, struct bytes *out)
{
	bytes_varint(out, comparison->verdict);
	bytes_varint(out, comparison->actionable);
	bytes_varint(out, comparison->inherited);
	bytes_double(out, comparison->log_e);
	bytes_double(out, comparison->alarm_log_e);
	bytes_zigzag(out, comparison->since_ms);
	bytes_zigzag(out, comparison->pinned_ms);
	bytes_varint(out, comparison->steps_pinned);
	bytes_varint(out, comparison->held);
	bytes_varint(out, comparison->held_surely);
	bytes_zigzag(out, comparison->updated_ms);
}

static void write_members(const struct comparison *comparison, struct bytes *out)
{
	bytes_varint(out, comparison->member_count);
	bytes_varint(out, comparison->member_most);
	for (size_t j = 0; j < comparison->member_count; j++) {
		bytes_double(out, comparison->members[j].log_r);
		bytes_double(out, comparison->members[j].cusum);
		bytes_zigzag(out, comparison->members[j].since);
	}
}

void comparison_write(const struct comparison *comparison, struct bytes *out)
{
	const struct series *series = &comparison->series;

	bytes_varint(out, RECORD_VERSION);
	write_text(comparison->detector->name, out);
	write_text(series->signal, out);
	write_text(series->model, out);
	write_text(series->segment, out);
	write_text(series->role, out);
	write_text(series->version, out);
	write_text(comparison->reference_version, out);
	bytes_varint(out, comparison->layout);
	names_write(&comparison->names, out);
	tally_write(&comparison->arm, out);
	tally_write(&comparison->reference, out);
	bytes_zigzag(out, comparison->waiting_from_ms);
	bytes_varint(out, comparison->waiting_ticks);
	bytes_zigzag(out, comparison->stepped_ms);
	bytes_zigzag(out, comparison->seen_ms);
	write_members(comparison, out);
	spans_write(&comparison->spans, out);
	bytes_varint(out, comparison->steps);
	bytes_varint(out, comparison->n_arm);
	bytes_varint(out, comparison->n_reference);
	write_life(comparison, out);
	comparison->detector->own_write(comparison->own, out);
}

static void read_life(struct comparison *comparison, struct reader *in)
{
	uint64_t verdict = reader_varint(in);

	if (verdict > VERDICT_ALARM)
		in->ok = false;
	comparison->verdict = (enum verdict)verdict;
	comparison->actionable = reader_varint(in) != 0;
	comparison->inherited = reader_varint(in) != 0;
	comparison->log_e = reader_double(in);
	comparison->alarm_log_e = reader_double(in);
	comparison->since_ms = reader_zigzag(in);
	comparison->pinned_ms = reader_zigzag(in);
	comparison->steps_pinned = reader_varint(in);
	comparison->held = reader_varint(in);
	comparison->held_surely = reader_varint(in);
	comparison->updated_ms = reader_zigzag(in);
}

static void read_members(struct comparison *comparison, struct reader *in)
{
	uint64_t count = reader_varint(in);
	uint64_t most = reader_varint(in);

	if (count > MEMBERS_MAX || most < count) {
		in->ok = false;
		return;
	}
	comparison_bet(comparison, count);
	comparison->member_most = most;
	for (size_t j = 0; j < count; j++) {
		comparison->members[j].log_r = reader_double(in);
		comparison->members[j].cusum = reader_double(in);
		comparison->members[j].since = reader_zigzag(in);
	}
}

static void read_fields(struct comparison *comparison, struct reader *in)
{
	view_copy(reader_sized(in), comparison->reference_version,
		sizeof comparison->reference_version);
	comparison->layout = (enum layout)reader_varint(in);
	names_read(&comparison->names, in);
	tally_read(&comparison->arm, in);
	tally_read(&comparison->reference, in);
	comparison->waiting_from_ms = reader_zigzag(in);
	comparison->waiting_ticks = reader_varint(in);
	comparison->stepped_ms = reader_zigzag(in);
	comparison->seen_ms = reader_zigzag(in);
	read_members(comparison, in);
	spans_read(&comparison->spans, in);
	comparison->steps = reader_varint(in);
	comparison->n_arm = reader_varint(in);
	comparison->n_reference = reader_varint(in);
	read_life(comparison, in);
	comparison->detector->own_read(comparison->own, in);
}

struct comparison *comparison_read(struct view data)
{
	struct reader in = reader_of(data.data, data.size);
	struct series series = {0};
	char name[32];

	if (reader_varint(&in) != RECORD_VERSION)
		return NULL;
	view_copy(reader_sized(&in), name, sizeof name);
	view_copy(reader_sized(&in), series.signal, sizeof series.signal);
	view_copy(reader_sized(&in), series.model, sizeof series.model);
	view_copy(reader_sized(&in), series.segment, sizeof series.segment);
	view_copy(reader_sized(&in), series.role, sizeof series.role);
	view_copy(reader_sized(&in), series.version, sizeof series.version);
	const struct detector *detector = detector_named(name, series.signal);

	if (!in.ok || !detector)
		return NULL;
	struct comparison *comparison = comparison_new(detector, &series);

	read_fields(comparison, &in);
	comparison->dirty = false;
	if (in.ok && in.at == in.end)
		return comparison;
	comparison_free(comparison);
	return NULL;
}

static void add_text(struct bytes *json, const char *name, const char *value)
{
	bytes_format(json, ",\"%s\":", name);
	json_add_text(json, view_of(value));
}

static void add_number(struct bytes *json, const char *name, double value)
{
	bytes_format(json, ",\"%s\":", name);
	json_add_number(json, value);
}

static void add_integer(struct bytes *json, const char *name, int64_t value)
{
	bytes_format(json, ",\"%s\":%" PRId64, name, value);
}

void comparison_summary(const struct comparison *comparison, double line, struct bytes *json)
{
	const struct series *series = &comparison->series;
	const struct measure *measure = &comparison->measure;

	bytes_text(json, "{\"kind\":\"verdict\"");
	add_text(json, "model", series->model);
	add_text(json, "version", series->version);
	add_text(json, "role", series->role);
	add_text(json, "segment", series->segment);
	add_text(json, "signal", series->signal);
	add_text(json, "against", comparison_against(comparison));
	add_text(json, "reference_version", comparison->reference_version);
	add_text(json, "detector", comparison->detector->name);
	add_text(json, "verdict", verdict_names[comparison->verdict]);
	add_integer(json, "n_arm", (int64_t)comparison->n_arm);
	add_integer(json, "n_reference", (int64_t)comparison->n_reference);
	add_number(json, "log_e", comparison->log_e);
	add_number(json, "line", line);
	add_integer(json, "since", comparison->since_ms);
	add_integer(json, "updated", comparison->updated_ms);
	if (measure->name) {
		bytes_text(json, ",\"effect\":{\"name\":");
		json_add_text(json, view_of(measure->name));
		add_number(json, "value", measure->effect.value);
		add_number(json, "low", measure->effect.low);
		add_number(json, "high", measure->effect.high);
		add_number(json, "tolerance", measure->tolerance);
		bytes_text(json, "}");
	}
	bytes_text(json, "}");
}
