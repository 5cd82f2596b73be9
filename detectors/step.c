#include "core/memory.h"
#include "core/topics.h"
#include "detectors/fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_VERSION = 1, CURSOR_VERSION = 2 /* 1: without whole_from */ };

struct detectors *detectors_new(const struct config *config, const char *log_name)
{
	struct detectors *detectors = memory_new(1, sizeof *detectors);

	detectors->config = config;
	snprintf(detectors->log_name, sizeof detectors->log_name, "%s", log_name);
	detectors->next = 1;
	detectors->next_due_ms = INT64_MIN;
	return detectors;
}

void detectors_free(struct detectors *detectors)
{
	if (!detectors)
		return;
	map_free_values(&detectors->models, model_free);
	change_done(&detectors->waiting);
	free(detectors);
}

/* One false alarm is expected in the budget's time over all comparisons that the deployment may
 * have, or as many as the budget says. */
static double line_of(const struct config *config, const struct config_model *model)
{
	double comparisons = (double)config->capacity_models * (double)config->capacity_comparisons;
	double ticks = (double)config->false_alarms_per_s * 1000 / (double)model->tick_ms;

	return sr_line(comparisons > 1 ? comparisons : 1,
		ticks > config->false_alarms ? ticks / config->false_alarms : 1);
}

struct terms fold_terms(struct detectors *detectors, const char *model, const char *segment)
{
	const struct config_model *found = config_model(detectors->config, model, segment);

	return (struct terms){
		.config = detectors->config,
		.model = found,
		.line = line_of(detectors->config, found),
		.change = &detectors->waiting,
		.findings = detectors->counts.findings,
	};
}

struct terms fold_terms_at(
	struct detectors *detectors, const struct closed_tick *tick, const char *segment)
{
	struct terms terms = fold_terms(detectors, tick->model, segment);

	terms.from_ms = tick->from_ms;
	terms.to_ms = tick->to_ms;
	return terms;
}

static void judge_touched(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick)
{
	for (size_t i = 0; i < model->count; i++) {
		struct comparison *comparison = model->list[i];
		uint64_t steps = comparison->steps;

		if (!comparison->touched)
			continue;
		struct terms terms = fold_terms_at(detectors, tick, comparison->series.segment);

		comparison->touched = false;
		if (detector_judges_silence(comparison->detector)) {
			silence_seen(comparison, &terms, comparison->arm.n);
			tally_clear(&comparison->arm);
			int64_t due_ms = silence_due(comparison, &terms);

			if (due_ms < detectors->next_due_ms)
				detectors->next_due_ms = due_ms;
		} else {
			comparison_tick(comparison, &terms);
		}
		detectors->counts.steps += comparison->steps != steps;
	}
}

/* Nobody was silent in what is lost. */
static void excuse_silence(struct detectors *detectors, int64_t until_ms)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&detectors->models, &place))) {
		struct model *model = entry->value;

		for (size_t i = 0; i < model->count; i++)
			if (detector_judges_silence(model->list[i]->detector))
				silence_excuse(model->list[i], until_ms);
	}
	detectors->next_due_ms = INT64_MIN;
}

static void fold_tick(struct detectors *detectors, const struct closed_tick *tick)
{
	bool whole = tick->from_ms >= detectors->whole_from_ms;

	if (!whole)
		excuse_silence(detectors, tick->to_ms);
	fold_time_passes(detectors, tick->to_ms);
	struct model *model = fold_model(detectors, tick->model);

	model->last_ms = tick->to_ms;
	if (model->last_ms + IDLE_MAX_MS < detectors->next_due_ms)
		detectors->next_due_ms = model->last_ms + IDLE_MAX_MS;
	detectors->counts.ticks++;
	if (!whole)
		return;
	traffic_tick(&model->traffic, tick);
	fold_end_comparisons(detectors, model, tick);
	fold_refer(model);
	fold_take_windows(detectors, model, tick);
	judge_touched(detectors, model, tick);
}

bool detectors_follow(struct detectors *detectors, const char *epoch, const struct cut *restored)
{
	bool another = detectors->epoch[0] && strcmp(detectors->epoch, epoch) != 0;
	bool goes_on = restored && strcmp(detectors->epoch, restored->epoch) == 0 &&
		       detectors->next == restored->sequence + 1;

	if (strcmp(detectors->epoch, epoch) == 0)
		return false;
	snprintf(detectors->epoch, sizeof detectors->epoch, "%s", epoch);
	detectors->cursor_dirty = true;
	if (goes_on)
		return false;
	detectors->next = 1;
	if (!another)
		return false;
	detectors->gaps++;
	struct map_entry **sorted = map_sorted(&detectors->models);

	for (size_t m = 0; m < detectors->models.count; m++) {
		struct model *model = sorted[m]->value;

		for (size_t i = 0; i < model->count;) {
			if (model->list[i]->verdict == VERDICT_ALARM)
				comparison_restart(model->list[i++]);
			else
				fold_remove(detectors, model, i);
		}
	}
	free(sorted);
	return true;
}

uint64_t detectors_next(const struct detectors *detectors)
{
	return detectors->next;
}

/* All ticks that end before have been folded, with this record. */
static int64_t clock_of(const struct detectors *detectors, const struct close_record *record)
{
	return record->watermark_ms - detectors->config->time.lateness_ms;
}

static void note_gap(struct detectors *detectors, const struct close_record *record)
{
	detectors->gaps++;
	detectors->records_lost += record->sequence - detectors->next;
	excuse_silence(detectors,
		record->tick_count ? record->ticks[0].from_ms : clock_of(detectors, record));
}

/* A gap in ingest's log: the ticks of that time are not what happened, and judge nothing. */
static void note_holes(struct detectors *detectors, const struct close_record *record)
{
	int64_t clock_ms = clock_of(detectors, record);

	if (record->whole_from_ms == detectors->whole_from_ms)
		return;
	detectors->whole_from_ms = record->whole_from_ms;
	excuse_silence(
		detectors, record->whole_from_ms > clock_ms ? clock_ms : record->whole_from_ms);
}

static void note_cut(struct detectors *detectors, const struct close_record *record)
{
	if (!record->cut)
		return;
	detectors->cut = (struct cut){.sequence = record->sequence,
		.number = record->cut,
		.watermark_ms = record->watermark_ms,
		.offset = record->offset};
	view_copy(view_of(detectors->epoch), detectors->cut.epoch, sizeof detectors->cut.epoch);
	cut_put(&detectors->waiting, &detectors->cut);
}

void detectors_close(struct detectors *detectors, const struct close_record *record)
{
	if (record->sequence < detectors->next)
		return;
	if (record->sequence > detectors->next)
		note_gap(detectors, record);
	note_holes(detectors, record);
	detectors->next = record->sequence + 1;
	detectors->cursor_dirty = true;
	for (size_t i = 0; i < record->tick_count; i++)
		fold_tick(detectors, &record->ticks[i]);
	if (record->watermark_ms > 0)
		fold_time_passes(detectors, clock_of(detectors, record));
	note_cut(detectors, record);
	detectors->counts.records++;
}

const struct cut *detectors_cut(const struct detectors *detectors)
{
	return detectors->cut.sequence ? &detectors->cut : NULL;
}

void detectors_cut_taken(struct detectors *detectors)
{
	detectors->cut = (struct cut){0};
}

static void put_comparison(struct detectors *detectors, struct comparison *comparison)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes data = {0};
	const char prefix[] = "comparison:";
	size_t size = sizeof prefix - 1;
	struct terms terms =
		fold_terms(detectors, comparison->series.model, comparison->series.segment);

	bytes_text(&field, prefix);
	comparison_key(comparison, &field);
	comparison_write(comparison, &data);
	change_put(&detectors->waiting, TABLE_STATE, bytes_view(&field), bytes_view(&data));
	comparison->dirty = false;
	if (!comparison->told)
		return;
	bytes_clear(&data);
	comparison_summary(comparison, terms.line, &data);
	change_put(&detectors->waiting, TABLE_VERDICTS,
		(struct view){field.data + size, field.size - size}, bytes_view(&data));
	comparison->told = false;
}

static void put_model(struct detectors *detectors, struct model *model)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes data = {0};

	for (size_t i = 0; i < model->count; i++)
		if (model->list[i]->dirty)
			put_comparison(detectors, model->list[i]);
	if (!model->traffic.dirty)
		return;
	bytes_format(&field, "model:%s", model->name);
	bytes_varint(&data, RECORD_VERSION);
	bytes_zigzag(&data, model->last_ms);
	traffic_write(&model->traffic, &data);
	change_put(&detectors->waiting, TABLE_STATE, bytes_view(&field), bytes_view(&data));
	model->traffic.dirty = false;
}

static void put_cursor(struct detectors *detectors)
{
	CLEANUP(bytes_done) struct bytes data = {0};

	if (!detectors->cursor_dirty)
		return;
	bytes_varint(&data, CURSOR_VERSION);
	bytes_sized(&data, detectors->epoch, strlen(detectors->epoch));
	bytes_varint(&data, detectors->next);
	bytes_varint(&data, detectors->gaps);
	bytes_varint(&data, detectors->records_lost);
	bytes_zigzag(&data, detectors->whole_from_ms);
	change_put(&detectors->waiting, TABLE_STATE, view_of("cursor"), bytes_view(&data));
	detectors->cursor_dirty = false;
}

void detectors_change(struct detectors *detectors, struct change *change)
{
	struct map_entry **sorted = map_sorted(&detectors->models);
	struct change empty = *change;

	for (size_t i = 0; i < detectors->models.count; i++)
		put_model(detectors, sorted[i]->value);
	free(sorted);
	put_cursor(detectors);
	*change = detectors->waiting;
	detectors->waiting = empty;
	change_clear(&detectors->waiting);
}

static bool restore_cursor(struct detectors *detectors, struct view data)
{
	struct reader in = reader_of(data.data, data.size);
	uint64_t version = reader_varint(&in);

	if (!version || version > CURSOR_VERSION)
		return false;
	view_copy(reader_sized(&in), detectors->epoch, sizeof detectors->epoch);
	detectors->next = reader_varint(&in);
	detectors->gaps = reader_varint(&in);
	detectors->records_lost = reader_varint(&in);
	if (version > 1)
		detectors->whole_from_ms = reader_zigzag(&in);
	return in.ok && in.at == in.end;
}

static bool restore_model(struct detectors *detectors, const char *name, struct view data)
{
	struct reader in = reader_of(data.data, data.size);

	if (reader_varint(&in) != RECORD_VERSION || strlen(name) >= NAME_SIZE)
		return false;
	struct model *model = fold_model(detectors, name);

	model->last_ms = reader_zigzag(&in);
	traffic_read(&model->traffic, &in);
	return in.ok && in.at == in.end;
}

static bool restore_comparison(struct detectors *detectors, struct view data)
{
	struct comparison *comparison = comparison_read(data);

	if (!comparison)
		return false;
	model_insert(fold_model(detectors, comparison->series.model), comparison);
	return true;
}

enum rc detectors_restore(void *context, struct view field, struct view data, struct err *err)
{
	struct detectors *detectors = context;
	char name[NAME_SIZE + 8];
	bool good = false;

	view_copy(field, name, sizeof name);
	if (strcmp(name, "cursor") == 0)
		good = restore_cursor(detectors, data);
	else if (strcmp(name, FIELD_SNAPSHOT) == 0)
		good = cut_read(data, &detectors->cut);
	else if (strcmp(name, FIELD_RESTORED) == 0)
		good = true;
	else if (strncmp(name, "model:", 6) == 0)
		good = restore_model(detectors, name + 6, data);
	else if (strncmp(name, "comparison:", 11) == 0)
		good = restore_comparison(detectors, data);
	if (good)
		return RC_OK;
	return err_set(err, RC_FATAL,
		"state of detectors over %s, field %.60s: %zu bytes, expected a record of version "
		"%d",
		detectors->log_name, name, data.size, RECORD_VERSION);
}

struct detectors_counts detectors_counts(const struct detectors *detectors)
{
	struct detectors_counts counts = detectors->counts;
	struct map_entry *entry;
	size_t place = 0;

	counts.gaps = detectors->gaps;
	counts.records_lost = detectors->records_lost;
	counts.models = detectors->models.count;
	while ((entry = map_next(&detectors->models, &place))) {
		const struct model *model = entry->value;

		counts.comparisons += model->count;
		for (size_t i = 0; i < model->count; i++)
			counts.verdicts[model->list[i]->verdict]++;
	}
	return counts;
}
