#include "detectors/step.h"

#include "core/map.h"
#include "core/memory.h"
#include "core/topics.h"
#include "detectors/table.h"
#include "detectors/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DAY_MS = 86400000,
	ENDS_AFTER_MS = DAY_MS,        /* of a version that is gone, in no alarm */
	RECORD_VERSION = 1,
	EPOCH_MAX = 64,
};

#define IDLE_MAX_MS (30 * (int64_t)DAY_MS) /* of a comparison or a model: then it is forgotten */

struct model {
	char name[NAME_SIZE];
	struct traffic traffic;
	struct comparison **list; /* sorted by comparison_order() */
	size_t count;
	int64_t last_ms; /* end of its last tick */
};

struct detectors {
	const struct config *config;
	char log_name[280];
	char epoch[EPOCH_MAX]; /* of ingest's fold; "" before the first */
	uint64_t next;
	uint64_t gaps, records_lost;
	bool cursor_dirty;
	struct map models;     /* name -> struct model * */
	int64_t next_due_ms;   /* nothing falls silent, and no model is forgotten, before */
	struct change waiting; /* findings, and what ended, until the next detectors_change() */
	struct detectors_counts counts;
};

struct detectors *detectors_new(const struct config *config, const char *log_name)
{
	struct detectors *detectors = memory_new(1, sizeof *detectors);

	detectors->config = config;
	snprintf(detectors->log_name, sizeof detectors->log_name, "%s", log_name);
	detectors->next = 1;
	detectors->next_due_ms = INT64_MIN;
	return detectors;
}

static void model_free(void *value)
{
	struct model *model = value;

	for (size_t i = 0; i < model->count; i++)
		comparison_free(model->list[i]);
	free(model->list);
	traffic_done(&model->traffic);
	free(model);
}

void detectors_free(struct detectors *detectors)
{
	if (!detectors)
		return;
	map_free_values(&detectors->models, model_free);
	change_done(&detectors->waiting);
	free(detectors);
}

void detectors_configure(struct detectors *detectors, const struct config *config)
{
	detectors->config = config;
	detectors->next_due_ms = INT64_MIN;
}

static struct model *model_of(struct detectors *detectors, const char *name)
{
	struct model *model = map_get(&detectors->models, name, strlen(name));

	if (!model) {
		model = memory_new(1, sizeof *model);
		view_copy(view_of(name), model->name, sizeof model->name);
		map_put(&detectors->models, name, strlen(name), model);
	}
	return model;
}

/* One false alarm is expected in the budget's time over all comparisons that the deployment may have,
 * or as many as the budget says. */
static double line_of(const struct config *config, const struct config_model *model)
{
	double comparisons =
		(double)config->capacity_models * (double)config->capacity_comparisons;
	double ticks = (double)config->false_alarms_per_s * 1000 / (double)model->tick_ms;

	return sr_line(comparisons > 1 ? comparisons : 1,
		ticks > config->false_alarms ? ticks / config->false_alarms : 1);
}

static struct terms terms_of(struct detectors *detectors, const char *model, const char *segment)
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

static struct terms terms_at(struct detectors *detectors, const struct closed_tick *tick,
	const char *segment)
{
	struct terms terms = terms_of(detectors, tick->model, segment);

	terms.from_ms = tick->from_ms;
	terms.to_ms = tick->to_ms;
	return terms;
}

/* The place of a comparison in its model's list, or where it belongs. */
static size_t place_of(const struct model *model, const struct detector *detector,
	const struct series *series)
{
	size_t low = 0;
	size_t high = model->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (comparison_order(detector, series, model->list[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct comparison *comparison_find(const struct model *model,
	const struct detector *detector, const struct series *series)
{
	size_t place = place_of(model, detector, series);

	return place < model->count &&
			       comparison_order(detector, series, model->list[place]) == 0
		       ? model->list[place]
		       : NULL;
}

static void insert(struct model *model, struct comparison *comparison)
{
	size_t place = place_of(model, comparison->detector, &comparison->series);

	model->list = memory_grow(model->list, model->count + 1, sizeof(struct comparison *));
	memmove(model->list + place + 1, model->list + place,
		(model->count - place) * sizeof(struct comparison *));
	model->list[place] = comparison;
	model->count++;
}

static enum role other_role(enum role role)
{
	return role == ROLE_CANARY ? ROLE_PRODUCTION : ROLE_CANARY;
}

/* Who is on trial. */
static enum role judged_role(const struct config_model *model)
{
	return model->canary == CANARY_CANDIDATE ? ROLE_CANARY : ROLE_PRODUCTION;
}

/* The comparison of a version with the other role's main one. NULL: the other role is not there. */
static struct comparison *arms_of(
	struct model *model, const struct detector *detector, const struct series *series)
{
	struct comparison *comparison = comparison_find(model, detector, series);
	const char *main =
		traffic_main(&model->traffic, other_role(role_of(series->role)));

	if (!comparison && main) {
		comparison = comparison_new(detector, series);
		comparison_refer(comparison, main);
		insert(model, comparison);
	}
	return comparison;
}

static struct comparison *history_of(
	struct model *model, const struct detector *detector, const struct series *series)
{
	struct series versionless = *series;
	struct comparison *comparison;

	versionless.version[0] = '\0';
	view_copy(view_of(detector->signal), versionless.signal, sizeof versionless.signal);
	comparison = comparison_find(model, detector, &versionless);
	if (!comparison) {
		comparison = comparison_new(detector, &versionless);
		insert(model, comparison);
	}
	return comparison;
}

/* ---- windows of a tick */

static void take_arm(struct model *model, const struct detector *detector,
	const struct window *window, const struct terms *terms)
{
	const struct series *series = &window->series;

	if (strcmp(detector->signal, series->signal) != 0)
		return;
	if (detector->rival == RIVAL_ROLE) {
		if (role_of(series->role) != judged_role(terms->model))
			return;
		struct comparison *comparison = arms_of(model, detector, series);

		if (comparison)
			comparison_add(comparison, &comparison->arm, window, terms);
	} else if (role_of(series->role) == ROLE_PRODUCTION) {
		struct comparison *comparison = history_of(model, detector, series);

		comparison_add(comparison, &comparison->arm, window, terms);
	}
}

/* Anything but lateness is a sign of life; the largest window says how many events there were. */
static void take_life(struct model *model, const struct window *window)
{
	if (role_of(window->series.role) != ROLE_PRODUCTION ||
		strcmp(window->series.signal, "late") == 0)
		return;
	struct comparison *comparison = history_of(model, &silence_rate, &window->series);

	comparison->touched = true;
	if (window->n > comparison->arm.n) {
		tally_clear(&comparison->arm);
		tally_add(&comparison->arm, 0, window->n);
	}
}

/* A window of the reference version waits with every comparison that it is the reference of. */
static void take_reference(struct model *model, const struct detector *detector,
	const struct window *window, const struct terms *terms)
{
	enum role judged = judged_role(terms->model);
	struct series first = window->series;

	if (detector->rival != RIVAL_ROLE || strcmp(detector->signal, first.signal) != 0 ||
		role_of(first.role) != other_role(judged))
		return;
	view_copy(view_of(role_names[judged]), first.role, sizeof first.role);
	first.version[0] = '\0';
	for (size_t i = place_of(model, detector, &first); i < model->count; i++) {
		struct comparison *comparison = model->list[i];

		if (comparison->detector != detector ||
			strcmp(comparison->series.segment, first.segment) != 0 ||
			strcmp(comparison->series.role, first.role) != 0)
			break;
		if (strcmp(comparison->reference_version, window->series.version) == 0)
			comparison_add(comparison, &comparison->reference, window, terms);
	}
}

/* Arms first: they make the comparisons that references are taken into. */
static void take_windows(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick)
{
	for (int references = 0; references <= 1; references++) {
		for (size_t i = 0; i < tick->window_count; i++) {
			const struct window *window = &tick->windows[i];
			struct terms terms = terms_at(detectors, tick, window->series.segment);

			for (size_t k = 0; k < detector_count; k++) {
				if (references)
					take_reference(model, detector_table[k], window, &terms);
				else if (detector_judges_silence(detector_table[k]))
					take_life(model, window);
				else
					take_arm(model, detector_table[k], window, &terms);
			}
		}
	}
}

static void judge_touched(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick)
{
	for (size_t i = 0; i < model->count; i++) {
		struct comparison *comparison = model->list[i];
		uint64_t steps = comparison->steps;

		if (!comparison->touched)
			continue;
		struct terms terms = terms_at(detectors, tick, comparison->series.segment);

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

/* ---- ends and successors */

static void drop_record(struct detectors *detectors, const struct comparison *comparison)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	const char prefix[] = "comparison:";
	size_t size = sizeof prefix - 1;

	bytes_text(&field, prefix);
	comparison_key(comparison, &field);
	change_drop(&detectors->waiting, TABLE_STATE, bytes_view(&field));
	change_drop(&detectors->waiting, TABLE_VERDICTS,
		(struct view){field.data + size, field.size - size});
}

static void remove_at(struct detectors *detectors, struct model *model, size_t place)
{
	drop_record(detectors, model->list[place]);
	comparison_free(model->list[place]);
	model->count--;
	memmove(model->list + place, model->list + place + 1,
		(model->count - place) * sizeof(struct comparison *));
}

/* What serves instead is judged on, and says when it is ok. */
static void hand_over(struct model *model, const struct comparison *ended,
	const char *version, const struct terms *terms)
{
	struct series series = ended->series;

	view_copy(view_of(version), series.version, sizeof series.version);
	struct comparison *successor = arms_of(model, ended->detector, &series);

	if (successor)
		comparison_inherit(successor, terms);
}

/* Whether a comparison is over, and which version serves instead. */
static bool is_over(const struct model *model, const struct comparison *comparison,
	const struct closed_tick *tick, const char **replaced_by)
{
	int64_t idle_ms = tick->to_ms - comparison->seen_ms;
	bool awaited = comparison->verdict == VERDICT_ALARM || comparison->inherited;

	*replaced_by = "";
	if (comparison->detector->rival == RIVAL_ROLE &&
		traffic_is_gone(&model->traffic, role_of(comparison->series.role),
			comparison->series.version, tick, replaced_by) &&
		(awaited || idle_ms >= ENDS_AFTER_MS))
		return true;
	return comparison->seen_ms && idle_ms >= IDLE_MAX_MS;
}

static void end_comparisons(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick)
{
	for (size_t i = 0; i < model->count;) {
		struct comparison *comparison = model->list[i];
		const char *replaced_by;
		char version[NAME_SIZE];

		if (!is_over(model, comparison, tick, &replaced_by)) {
			i++;
			continue;
		}
		struct terms terms = terms_at(detectors, tick, comparison->series.segment);
		bool awaited = comparison->verdict == VERDICT_ALARM || comparison->inherited;

		view_copy(view_of(replaced_by), version, sizeof version);
		comparison_supersede(comparison, &terms, version);
		if (awaited && version[0] && strcmp(version, comparison->series.version) != 0)
			hand_over(model, comparison, version, &terms);
		remove_at(detectors, model, place_of(model, comparison->detector, &comparison->series));
	}
}

/* The reference is the version with most traffic. */
static void refer(struct model *model)
{
	for (size_t i = 0; i < model->count; i++) {
		struct comparison *comparison = model->list[i];

		if (comparison->detector->rival != RIVAL_ROLE)
			continue;
		const char *main = traffic_main(
			&model->traffic, other_role(role_of(comparison->series.role)));

		if (main && strcmp(main, comparison->reference_version) != 0)
			comparison_refer(comparison, main);
	}
}

/* ---- silence */

struct due {
	struct model *model;
	struct comparison *comparison;
	int64_t due_ms;
};

static int due_compare(const void *left, const void *right)
{
	const struct due *a = left;
	const struct due *b = right;

	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms ? -1 : 1;
	int order = strcmp(a->model->name, b->model->name);

	return order ? order : strcmp(a->comparison->series.segment, b->comparison->series.segment);
}

static struct due *dues_of(struct detectors *detectors, size_t *count)
{
	struct map_entry *entry;
	size_t place = 0;
	size_t capacity = 0;
	struct due *dues = NULL;

	*count = 0;
	while ((entry = map_next(&detectors->models, &place))) {
		struct model *model = entry->value;

		for (size_t i = 0; i < model->count; i++) {
			if (!detector_judges_silence(model->list[i]->detector))
				continue;
			struct terms terms =
				terms_of(detectors, model->name, model->list[i]->series.segment);

			if (*count == capacity) {
				capacity = capacity ? capacity * 2 : 16;
				dues = memory_grow(dues, capacity, sizeof *dues);
			}
			dues[(*count)++] = (struct due){
				model, model->list[i], silence_due(model->list[i], &terms)};
		}
	}
	if (*count)
		qsort(dues, *count, sizeof *dues, due_compare);
	return dues;
}

static void forget_model(struct detectors *detectors, struct model *model)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	while (model->count) {
		struct comparison *comparison = model->list[model->count - 1];
		struct terms terms =
			terms_of(detectors, model->name, comparison->series.segment);

		terms.from_ms = model->last_ms;
		terms.to_ms = model->last_ms + IDLE_MAX_MS;
		comparison_supersede(comparison, &terms, "");
		remove_at(detectors, model, model->count - 1);
	}
	bytes_format(&field, "model:%s", model->name);
	change_drop(&detectors->waiting, TABLE_STATE, bytes_view(&field));
	model_free(map_take(&detectors->models, model->name, strlen(model->name)));
}

/* Models that had no tick for long; returns when the next one will be due. */
static int64_t forget_models(struct detectors *detectors, int64_t clock_ms)
{
	struct map_entry **sorted = map_sorted(&detectors->models);
	size_t count = detectors->models.count;
	int64_t next_ms = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		struct model *model = sorted[i]->value;
		int64_t due_ms = model->last_ms + IDLE_MAX_MS;

		sorted[i] = due_ms < clock_ms ? sorted[i] : NULL;
		if (!sorted[i] && due_ms < next_ms)
			next_ms = due_ms;
	}
	for (size_t i = 0; i < count; i++)
		if (sorted[i])
			forget_model(detectors, sorted[i]->value);
	free(sorted);
	return next_ms;
}

/* All ticks that end before this moment have been folded: what had to come by then has not. */
static void time_passes(struct detectors *detectors, int64_t clock_ms)
{
	size_t count;

	if (detectors->next_due_ms >= clock_ms)
		return;
	struct due *dues = dues_of(detectors, &count);

	detectors->next_due_ms = INT64_MAX;
	for (size_t i = 0; i < count; i++) {
		struct terms terms = terms_of(detectors, dues[i].model->name,
			dues[i].comparison->series.segment);

		if (dues[i].due_ms >= clock_ms) {
			detectors->next_due_ms = dues[i].due_ms;
			break;
		}
		silence_fall(dues[i].comparison, &terms, dues[i].due_ms);
	}
	free(dues);
	int64_t forget_ms = forget_models(detectors, clock_ms);

	if (forget_ms < detectors->next_due_ms)
		detectors->next_due_ms = forget_ms;
}

/* ---- records */

static void fold_tick(struct detectors *detectors, const struct closed_tick *tick)
{
	time_passes(detectors, tick->to_ms);
	struct model *model = model_of(detectors, tick->model);

	model->last_ms = tick->to_ms;
	traffic_tick(&model->traffic, tick);
	end_comparisons(detectors, model, tick);
	refer(model);
	take_windows(detectors, model, tick);
	judge_touched(detectors, model, tick);
	detectors->counts.ticks++;
}

bool detectors_follow(struct detectors *detectors, const char *epoch)
{
	bool another = detectors->epoch[0] && strcmp(detectors->epoch, epoch) != 0;

	if (strcmp(detectors->epoch, epoch) == 0)
		return false;
	snprintf(detectors->epoch, sizeof detectors->epoch, "%s", epoch);
	detectors->cursor_dirty = true;
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
				remove_at(detectors, model, i);
		}
	}
	free(sorted);
	return true;
}

uint64_t detectors_next(const struct detectors *detectors)
{
	return detectors->next;
}

/* Nobody was silent in what is lost. */
static void note_gap(struct detectors *detectors, const struct close_record *record)
{
	int64_t until_ms = record->tick_count
				   ? record->ticks[0].from_ms
				   : record->watermark_ms - detectors->config->time.lateness_ms;
	struct map_entry *entry;
	size_t place = 0;

	detectors->gaps++;
	detectors->records_lost += record->sequence - detectors->next;
	while ((entry = map_next(&detectors->models, &place))) {
		struct model *model = entry->value;

		for (size_t i = 0; i < model->count; i++)
			if (detector_judges_silence(model->list[i]->detector))
				silence_excuse(model->list[i], until_ms);
	}
	detectors->next_due_ms = INT64_MIN;
}

void detectors_close(struct detectors *detectors, const struct close_record *record)
{
	if (record->sequence < detectors->next)
		return;
	if (record->sequence > detectors->next)
		note_gap(detectors, record);
	detectors->next = record->sequence + 1;
	detectors->cursor_dirty = true;
	for (size_t i = 0; i < record->tick_count; i++)
		fold_tick(detectors, &record->ticks[i]);
	if (record->watermark_ms > 0)
		time_passes(
			detectors, record->watermark_ms - detectors->config->time.lateness_ms);
	detectors->counts.records++;
}

static void put_comparison(struct detectors *detectors, struct comparison *comparison)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes data = {0};
	const char prefix[] = "comparison:";
	size_t size = sizeof prefix - 1;
	struct terms terms = terms_of(
		detectors, comparison->series.model, comparison->series.segment);

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
	bytes_varint(&data, RECORD_VERSION);
	bytes_sized(&data, detectors->epoch, strlen(detectors->epoch));
	bytes_varint(&data, detectors->next);
	bytes_varint(&data, detectors->gaps);
	bytes_varint(&data, detectors->records_lost);
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

	if (reader_varint(&in) != RECORD_VERSION)
		return false;
	view_copy(reader_sized(&in), detectors->epoch, sizeof detectors->epoch);
	detectors->next = reader_varint(&in);
	detectors->gaps = reader_varint(&in);
	detectors->records_lost = reader_varint(&in);
	return in.ok && in.at == in.end;
}

static bool restore_model(struct detectors *detectors, const char *name, struct view data)
{
	struct reader in = reader_of(data.data, data.size);
	struct model *model = model_of(detectors, name);

	if (reader_varint(&in) != RECORD_VERSION)
		return false;
	model->last_ms = reader_zigzag(&in);
	traffic_read(&model->traffic, &in);
	return in.ok && in.at == in.end;
}

static bool restore_comparison(struct detectors *detectors, struct view data)
{
	struct comparison *comparison = comparison_read(data);

	if (!comparison)
		return false;
	insert(model_of(detectors, comparison->series.model), comparison);
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
