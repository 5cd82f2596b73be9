#include "ingest/windows.h"

#include "core/memory.h"
#include "core/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of a level: in tables of so many milliseconds, that live for so many seconds longer.
 */
static const struct {
	const char *name;
	int64_t length_ms; /* 0: the tick's */
	int64_t table_ms;
	int64_t ttl_s;
} levels[LEVELS] = {
	[LEVEL_TICK] = {"tick", 0, 3600000, 2 * 3600},
	[LEVEL_MINUTE] = {"1m", 60000, 86400000, 25 * 3600},
	[LEVEL_TEN_MINUTES] = {"10m", 600000, 2592000000, 30 * 86400},
};

int64_t windows_floor(int64_t ms, int64_t length_ms)
{
	int64_t rest = ms % length_ms;

	return ms - (rest < 0 ? rest + length_ms : rest);
}

/* A level as long as the tick or shorter holds ticks as they are. */
static bool is_merged(const struct model *model, enum level level)
{
	return level != LEVEL_TICK && levels[level].length_ms > model->tick_ms;
}

static int64_t length_of(const struct model *model, enum level level)
{
	return level == LEVEL_TICK ? model->tick_ms : levels[level].length_ms;
}

/* The watermark at which a span closes: no tick that begins in it is open any more. */
static int64_t close_ms(
	const struct windows *windows, const struct model *model, const struct span *span)
{
	int64_t last = windows_floor(span->to_ms - 1, model->tick_ms) + model->tick_ms;

	return (last > span->to_ms ? last : span->to_ms) + windows->config->time.lateness_ms;
}

static void note_changed(struct windows *windows, struct open_window *window)
{
	if (window->dirty)
		return;
	if (windows->changed_count == windows->changed_capacity) {
		windows->changed_capacity = windows->changed_capacity * 2 + 64;
		windows->changed = memory_grow(
			windows->changed, windows->changed_capacity, sizeof(struct open_window *));
	}
	windows->changed[windows->changed_count++] = window;
	window->dirty = windows->changed_count;
}

static void forget_changed(struct windows *windows, struct open_window *window)
{
	if (!window->dirty)
		return;
	struct open_window *last = windows->changed[--windows->changed_count];

	windows->changed[window->dirty - 1] = last;
	last->dirty = window->dirty;
	window->dirty = 0;
}

/* The first place not before from_ms. Nearly always the last one is wanted, or the one behind it.
 */
static size_t span_place(const struct spans *spans, int64_t from_ms)
{
	size_t place = spans->count;

	while (place && spans->list[place - 1].from_ms >= from_ms)
		place--;
	return place;
}

static size_t cell_place(const struct cells *cells, int64_t from_ms)
{
	size_t place = cells->count;

	while (place && cells->list[place - 1].from_ms >= from_ms)
		place--;
	return place;
}

static struct span *need_span(
	struct windows *windows, struct model *model, enum level level, int64_t from_ms)
{
	struct spans *spans = &model->open[level];
	size_t place = span_place(spans, from_ms);

	if (place < spans->count && spans->list[place].from_ms == from_ms)
		return &spans->list[place];
	if (spans->count == spans->capacity) {
		spans->capacity = spans->capacity * 2 + 4;
		spans->list = memory_grow(spans->list, spans->capacity, sizeof *spans->list);
	}
	struct span *span = &spans->list[place];

	memmove(span + 1, span, (spans->count - place) * sizeof *span);
	spans->count++;
	*span = (struct span){.from_ms = from_ms, .to_ms = from_ms + length_of(model, level)};
	if (close_ms(windows, model, span) < windows->next_close_ms)
		windows->next_close_ms = close_ms(windows, model, span);
	return span;
}

static struct cell *need_cell(struct cells *cells, int64_t from_ms)
{
	size_t place = cell_place(cells, from_ms);

	if (place < cells->count && cells->list[place].from_ms == from_ms)
		return &cells->list[place];
	if (cells->count == cells->capacity) {
		cells->capacity = cells->capacity * 2 + 2;
		cells->list = memory_grow(cells->list, cells->capacity, sizeof *cells->list);
	}
	struct cell *cell = &cells->list[place];

	memmove(cell + 1, cell, (cells->count - place) * sizeof *cell);
	cells->count++;
	*cell = (struct cell){.from_ms = from_ms};
	return cell;
}

static enum layout layout_of(const struct arm *arm, enum signal signal)
{
	switch (signal) {
	case SIGNAL_LATENCY:
		return LAYOUT_LATENCY;
	case SIGNAL_ERRORS:
		return LAYOUT_RESULT;
	case SIGNAL_SCORE:
		return arm->score_layout;
	case SIGNAL_CLASS:
		return LAYOUT_NAMES;
	default:
		return LAYOUT_COUNT;
	}
}

static bool goes_by_version(enum signal signal)
{
	return signal != SIGNAL_RATE && signal != SIGNAL_LATE;
}

static struct open_window *add_window(struct windows *windows, struct arm *arm, struct cell *cell,
	struct span *span, enum level level, enum signal signal)
{
	struct open_window *window = memory_new(1, sizeof *window);

	window->arm = arm;
	window->level = level;
	window->signal = signal;
	window->window.series = arm->series;
	snprintf(window->window.series.signal, SIGNAL_SIZE, "%s", signal_names[signal]);
	window->window.from_ms = span->from_ms;
	window->window.to_ms = span->to_ms;
	window->window.layout = layout_of(arm, signal);
	if (span->count == span->capacity) {
		span->capacity = span->capacity * 2 + 8;
		span->windows =
			memory_grow(span->windows, span->capacity, sizeof(struct open_window *));
	}
	span->windows[span->count++] = window;
	cell->windows[signal] = window;
	windows->count++;
	if (goes_by_version(signal))
		arm->version->open++;
	return window;
}

/* The open window, made if it is not there, and marked as changed. */
static struct window *need_window(struct windows *windows, struct arm *arm, enum level level,
	int64_t from_ms, enum signal signal)
{
	struct cell *cell = need_cell(&arm->cells[level], from_ms);
	struct open_window *window = cell->windows[signal];

	if (!window)
		window = add_window(windows, arm, cell,
			need_span(windows, arm->model, level, from_ms), level, signal);
	note_changed(windows, window);
	return &window->window;
}

bool windows_may_open(const struct model *model, int64_t from_ms)
{
	const struct spans *spans = &model->open[LEVEL_TICK];

	if (spans->count < OPEN_TICKS_MAX)
		return true;
	size_t place = span_place(spans, from_ms);

	return place < spans->count && spans->list[place].from_ms == from_ms;
}

static void count_number(struct windows *windows, struct arm *arm, int64_t from_ms,
	enum signal signal, double number)
{
	struct window *window = need_window(windows, arm, LEVEL_TICK, from_ms, signal);
	int32_t bin = layout_bin(window->layout, number);

	window_count(window, bin, 1);
	if (bin < BIN_SPECIAL_MIN)
		window->sum += millionths_of(number);
}

static void count_answer(
	struct windows *windows, struct arm *arm, int64_t from_ms, const struct event *event)
{
	if (!(event->has & (HAS_STATUS | HAS_SCORE | HAS_CLASS)))
		return;
	window_count(need_window(windows, arm, LEVEL_TICK, from_ms, SIGNAL_ERRORS),
		event->failed ? 1 : 0, 1);
	window_count(need_window(windows, arm->lane, LEVEL_TICK, from_ms, SIGNAL_RATE), 0, 1);
}

void windows_count_event(
	struct windows *windows, struct arm *arm, int64_t from_ms, const struct event *event)
{
	if (event->type == EVENT_HEARTBEAT) /* a window that says: alive, and nothing was asked */
		need_window(windows, arm->lane, LEVEL_TICK, from_ms, SIGNAL_RATE);
	if (event->type != EVENT_PREDICTION && event->type != EVENT_LATENCY)
		return;
	count_answer(windows, arm, from_ms, event);
	if (event->has & HAS_LATENCY)
		count_number(windows, arm, from_ms, SIGNAL_LATENCY, event->latency_ms);
	if (event->has & HAS_SCORE)
		count_number(windows, arm, from_ms, SIGNAL_SCORE, event->score);
	if (event->has & HAS_CLASS)
		window_count_name(need_window(windows, arm, LEVEL_TICK, from_ms, SIGNAL_CLASS),
			event->class, 1, (size_t)windows->config->limits.classes);
}

void windows_count_late(
	struct windows *windows, struct arm *arm, int64_t from_ms, int64_t lateness_ms)
{
	struct window *window = need_window(windows, arm->lane, LEVEL_TICK, from_ms, SIGNAL_LATE);

	window_count(window, 0, 1);
	window->sum += (millionths)lateness_ms * 1000000;
}

/* Eight bytes of from_ms, highest first, so that fields sort by time; then the series. */
static void add_key(const struct window *window, struct bytes *key)
{
	for (int shift = 56; shift >= 0; shift -= 8) {
		char byte = (char)((uint64_t)window->from_ms >> shift & 0xff);

		bytes_add(key, &byte, 1);
	}
	series_key(&window->series, key);
}

static void state_field(const struct open_window *window, struct bytes *field)
{
	bytes_clear(field);
	bytes_format(field, "open:%s:", levels[window->level].name);
	add_key(&window->window, field);
}

static void put_closed(struct windows *windows, const struct window *window, enum level level)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes blob = {0};
	char table[64];

	snprintf(table, sizeof table, "windows:%s:%" PRId64, levels[level].name,
		window->from_ms / levels[level].table_ms);
	add_key(window, &field);
	window_to_blob(window, &blob);
	change_put_for(windows->change, table, bytes_view(&field), bytes_view(&blob),
		levels[level].ttl_s + (window->to_ms - window->from_ms) / 1000);
}

/* Gives a closed window to the levels above: as it is where they are not longer than the tick, else
 * as a part. Only a reload that made another kind of score leads to two layouts; the older part is
 * left out then. */
static void hand_on(struct windows *windows, const struct open_window *closed)
{
	struct model *model = closed->arm->model;

	for (enum level level = closed->level + 1; level < LEVELS; level++) {
		if (!is_merged(model, level)) {
			put_closed(windows, &closed->window, level);
			continue;
		}
		struct window *above = need_window(windows, closed->arm, level,
			windows_floor(closed->window.from_ms, levels[level].length_ms),
			closed->signal);

		if (above->layout == closed->window.layout)
			window_merge(
				above, &closed->window, (size_t)windows->config->limits.classes);
		return;
	}
}

static void end_window(struct windows *windows, struct open_window *window)
{
	struct cells *cells = &window->arm->cells[window->level];
	size_t place = cell_place(cells, window->window.from_ms);

	forget_changed(windows, window);
	if (place < cells->count && cells->list[place].from_ms == window->window.from_ms) {
		cells->count--;
		memmove(cells->list + place, cells->list + place + 1,
			(cells->count - place) * sizeof *cells->list);
	}
	windows->count--;
	if (goes_by_version(window->signal))
		window->arm->version->open--;
	free(window);
}

static int by_series(const void *left, const void *right)
{
	const struct open_window *a = *(struct open_window *const *)left;
	const struct open_window *b = *(struct open_window *const *)right;

	return series_compare(&a->window.series, &b->window.series);
}

static struct closed_tick *new_closed_tick(
	struct windows *windows, const struct model *model, const struct span *span)
{
	if (windows->closed_count == windows->closed_capacity) {
		windows->closed_capacity = windows->closed_capacity * 2 + 8;
		windows->closed = memory_grow(
			windows->closed, windows->closed_capacity, sizeof *windows->closed);
	}
	struct closed_tick *tick = &windows->closed[windows->closed_count++];

	*tick = (struct closed_tick){.from_ms = span->from_ms,
		.to_ms = span->to_ms,
		.windows = memory_new(span->count, sizeof *tick->windows)};
	view_copy(view_of(model->name), tick->model, sizeof tick->model);
	return tick;
}

/* Closes the first span of a level of a model. */
static void close_span(
	struct windows *windows, struct model *model, enum level level, int64_t watermark_ms)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	struct spans *spans = &model->open[level];
	struct span span = spans->list[0];
	struct closed_tick *tick =
		level == LEVEL_TICK ? new_closed_tick(windows, model, &span) : NULL;

	spans->count--;
	memmove(spans->list, spans->list + 1, spans->count * sizeof *spans->list);
	qsort(span.windows, span.count, sizeof(struct open_window *), by_series);
	if (tick)
		tick->watermark_ms = watermark_ms;
	for (size_t i = 0; i < span.count; i++) {
		struct open_window *window = span.windows[i];

		if (window->stored) {
			state_field(window, &field);
			change_drop(windows->change, TABLE_STATE, bytes_view(&field));
		}
		put_closed(windows, &window->window, level);
		hand_on(windows, window);
		if (tick)
			tick->windows[tick->window_count++] = window->window;
		else
			window_done(&window->window);
		end_window(windows, window);
	}
	free(span.windows);
}

struct due { /* a model with an open tick that closes */
	struct model *model;
	int64_t to_ms;
};

static int by_end_and_model(const void *left, const void *right)
{
	const struct due *a = left;
	const struct due *b = right;

	if (a->to_ms != b->to_ms)
		return a->to_ms < b->to_ms ? -1 : 1;
	return strcmp(a->model->name, b->model->name);
}

static size_t due_of(const struct windows *windows, const struct model *model, enum level level,
	int64_t watermark_ms)
{
	const struct spans *spans = &model->open[level];
	size_t count = 0;

	while (count < spans->count &&
		close_ms(windows, model, &spans->list[count]) <= watermark_ms)
		count++;
	return count;
}

/* Closes all spans of a level that are due, by their end and then by model. */
static void close_level(struct windows *windows, enum level level, int64_t watermark_ms)
{
	struct models *models = windows->models;
	struct due *due = NULL;
	size_t count = 0;

	for (size_t i = 0; i < models->count; i++) {
		struct model *model = models->list[i];
		size_t more = due_of(windows, model, level, watermark_ms);

		if (more)
			due = memory_grow(due, count + more, sizeof *due);
		for (size_t k = 0; k < more; k++)
			due[count++] = (struct due){
				.model = model, .to_ms = model->open[level].list[k].to_ms};
	}
	if (count)
		qsort(due, count, sizeof *due, by_end_and_model);
	for (size_t i = 0; i < count; i++)
		close_span(windows, due[i].model, level, watermark_ms);
	free(due);
}

static int64_t next_close_ms(const struct windows *windows)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < windows->models->count; i++) {
		const struct model *model = windows->models->list[i];

		for (int level = 0; level < LEVELS; level++) {
			if (!model->open[level].count)
				continue;
			int64_t at = close_ms(windows, model, &model->open[level].list[0]);

			next = at < next ? at : next;
		}
	}
	return next;
}

void windows_close(struct windows *windows, int64_t watermark_ms)
{
	if (watermark_ms < windows->next_close_ms)
		return;
	for (enum level level = LEVEL_TICK; level < LEVELS; level++)
		close_level(windows, level, watermark_ms);
	windows->next_close_ms = next_close_ms(windows);
}

int64_t windows_close_all(struct windows *windows, int64_t watermark_ms)
{
	for (size_t i = 0; i < windows->models->count; i++) {
		const struct model *model = windows->models->list[i];
		const struct spans *ticks = &model->open[LEVEL_TICK];

		if (!ticks->count)
			continue;
		int64_t at = close_ms(windows, model, &ticks->list[ticks->count - 1]);

		watermark_ms = at > watermark_ms ? at : watermark_ms;
	}
	close_level(windows, LEVEL_TICK, watermark_ms);
	close_level(windows, LEVEL_MINUTE, INT64_MAX);
	close_level(windows, LEVEL_TEN_MINUTES, INT64_MAX);
	windows->next_close_ms = INT64_MAX;
	return watermark_ms;
}

void windows_forget_closed(struct windows *windows)
{
	for (size_t i = 0; i < windows->closed_count; i++) {
		for (size_t w = 0; w < windows->closed[i].window_count; w++)
			window_done(&windows->closed[i].windows[w]);
		free(windows->closed[i].windows);
	}
	windows->closed_count = 0;
}

void windows_done(struct windows *windows)
{
	for (size_t i = 0; i < windows->models->count; i++) {
		struct model *model = windows->models->list[i];

		for (int level = 0; level < LEVELS; level++) {
			for (size_t k = 0; k < model->open[level].count; k++) {
				struct span *span = &model->open[level].list[k];

				for (size_t w = 0; w < span->count; w++) {
					window_done(&span->windows[w]->window);
					free(span->windows[w]);
				}
			}
		}
	}
	windows_forget_closed(windows);
	free(windows->closed);
	free(windows->changed);
}

void windows_change(struct windows *windows, struct change *change)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes blob = {0};

	for (size_t i = 0; i < windows->changed_count; i++) {
		struct open_window *window = windows->changed[i];

		state_field(window, &field);
		bytes_clear(&blob);
		window_to_blob(&window->window, &blob);
		change_put(change, TABLE_STATE, bytes_view(&field), bytes_view(&blob));
		window->stored = true;
		window->dirty = 0;
	}
	windows->changed_count = 0;
}

static bool find_level(struct view field, enum level *level)
{
	for (int i = 0; i < LEVELS; i++) {
		CLEANUP(bytes_done) struct bytes prefix = {0};

		bytes_format(&prefix, "open:%s:", levels[i].name);
		if (field.size > prefix.size && memcmp(field.data, prefix.data, prefix.size) == 0) {
			*level = (enum level)i;
			return true;
		}
	}
	return false;
}

static bool find_signal(const char *name, enum signal *signal)
{
	for (int i = 0; i < SIGNALS; i++) {
		if (strcmp(name, signal_names[i]) == 0) {
			*signal = (enum signal)i;
			return true;
		}
	}
	return false;
}

/* A window of the state goes on as it was. If a reload has changed the tick (or the kind of score),
 * what was open becomes a part of the new tick that it began in, and its record goes. */
static void place_window(struct windows *windows, struct view field, enum level level,
	enum signal signal, struct arm *arm, struct window *restored)
{
	int64_t from_ms = windows_floor(restored->from_ms, length_of(arm->model, level));
	struct cell *cell = need_cell(&arm->cells[level], from_ms);
	struct open_window *window = cell->windows[signal];
	bool same = from_ms == restored->from_ms &&
		    restored->to_ms - from_ms == length_of(arm->model, level);

	if (same && !window) {
		struct span *span = need_span(windows, arm->model, level, from_ms);

		window = add_window(windows, arm, cell, span, level, signal);
		window->window = *restored;
		window->stored = true;
		return;
	}
	struct window *part = need_window(windows, arm, level, from_ms, signal);

	if (part->layout == restored->layout)
		window_merge(part, restored, (size_t)windows->config->limits.classes);
	window_done(restored);
	if (same)
		window->stored = true;
	else
		change_drop(windows->change, TABLE_STATE, field);
}

enum rc windows_restore(
	struct windows *windows, struct view field, struct view data, struct err *err)
{
	struct window restored;
	enum level level;
	enum signal signal;

	if (!find_level(field, &level))
		return err_set(err, RC_FATAL, "an open window of a level that is not known");
	if (window_from_blob(data, &restored, err) != RC_OK)
		return err_prefix(err, RC_FATAL, "an open window is damaged: ");
	struct arm *arm = models_arm_of(windows->models, &restored.series);

	if (arm && find_signal(restored.series.signal, &signal)) {
		place_window(windows, field, level, signal, arm, &restored);
		return RC_OK;
	}
	window_done(&restored);
	return err_set(err, RC_FATAL,
		"an open window is of model %s or signal %s, expected known ones",
		restored.series.model, restored.series.signal);
}
