#include "ingest/step.h"

#include "core/close.h"
#include "core/cursor.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ingest/deadletters.h"
#include "ingest/models.h"
#include "ingest/place.h"
#include "ingest/windows.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CLOSES_KEPT = 100000,
	CLOSES_TTL_S = 7 * 86400,
	MARKS_KEPT = 100000,
	RECORD_WINDOWS_MAX = 200, /* of a close record, unless one tick has more */
	WAITING_BYTES_MAX = 1 << 20,
	WAITING_LETTERS_MAX = 500,
};

struct ingest {
	const struct config *config;
	const struct format *format;
	struct event_decoder *decoder;
	char log_name[280];
	struct place place;
	struct models models;
	struct windows windows;
	struct deadletters deadletters;
	struct change waiting;  /* what the next step stores besides what is dirty then */
	int64_t last_append_ms; /* of the newest message, like these */
	struct bytes last_key,
		last_value; /* of the last message, until its fingerprint is asked for */
	bool fingerprint_due;
	struct cut cut;  /* sequence 0: none whose snapshot is to be written */
	bool record_due; /* a close record is written even if no tick has closed */
	bool dirty;
};

struct ingest *ingest_new(
	const struct config *config, const char *log_name, const struct format *format)
{
	struct ingest *ingest = memory_new(1, sizeof *ingest);

	ingest->config = config;
	ingest->format = format;
	ingest->decoder = event_decoder_new(config);
	snprintf(ingest->log_name, sizeof ingest->log_name, "%s", log_name);
	place_init(&ingest->place, log_name);
	ingest->models.config = config;
	ingest->windows = (struct windows){.config = config,
		.models = &ingest->models,
		.change = &ingest->waiting,
		.next_close_ms = INT64_MAX};
	ingest->deadletters.config = config;
	return ingest;
}

void ingest_use_format(struct ingest *ingest, const struct format *format)
{
	ingest->format = format;
}

void ingest_free(struct ingest *ingest)
{
	if (!ingest)
		return;
	event_decoder_free(ingest->decoder);
	windows_done(&ingest->windows);
	models_done(&ingest->models);
	deadletters_done(&ingest->deadletters);
	place_done(&ingest->place);
	change_done(&ingest->waiting);
	bytes_done(&ingest->last_key);
	bytes_done(&ingest->last_value);
	free(ingest);
}

static bool starts_with(struct view field, const char *prefix)
{
	size_t size = strlen(prefix);

	return field.size > size && memcmp(field.data, prefix, size) == 0;
}

enum rc ingest_restore(void *context, struct view field, struct view data, struct err *err)
{
	struct ingest *ingest = context;
	enum rc rc;

	if (view_is(field, "cursor") || view_is(field, "counters") ||
		view_is(field, FIELD_RESTORED))
		rc = place_restore(&ingest->place, field, data, err);
	else if (starts_with(field, "model:"))
		rc = models_restore(&ingest->models, data, err);
	else if (starts_with(field, "deadletter:"))
		rc = deadletters_restore(&ingest->deadletters, data, err);
	else if (starts_with(field, "open:"))
		rc = windows_restore(&ingest->windows, field, data, err);
	else if (view_is(field, FIELD_SNAPSHOT) && cut_read(data, &ingest->cut))
		rc = RC_OK;
	else
		rc = err_set(err, RC_FATAL, "not a record of this version");
	return rc == RC_OK ? RC_OK
			   : err_prefix(err, rc, "state of %s, field %.*s: ", ingest->log_name,
				     (int)(field.size > 60 ? 60 : field.size), field.data);
}

static enum event_code refuse(struct rejection *rejection, enum event_code code, const char *format,
	...) PRINTF_LIKE(3, 4);

static enum event_code refuse(
	struct rejection *rejection, enum event_code code, const char *format, ...)
{
	va_list args;

	rejection->code = code;
	rejection->byte = -1;
	va_start(args, format);
	vsnprintf(rejection->detail, sizeof rejection->detail, format, args);
	va_end(args);
	return code;
}

/* Event time against the broker's: a fixed rule, so that reading again decides the same. */
static enum event_code check_time(const struct ingest *ingest, const struct event *event,
	int64_t append_ms, struct rejection *rejection)
{
	const struct config_time *time = &ingest->config->time;

	if (append_ms < 0)
		return E_GOOD;
	if (time->max_age_ms >= 0 && event->ts < append_ms - time->max_age_ms)
		return refuse(rejection, E_LATE,
			"ts: %" PRId64 " is %" PRId64
			" s before its arrival, expected at most %" PRId64 "%s",
			event->ts, (append_ms - event->ts) / 1000, time->max_age_ms / 1000,
			event->ts > append_ms / 2000 && event->ts < append_ms / 500
				? "; hint: ts is in milliseconds"
				: "");
	if (time->max_ahead_ms >= 0 && event->ts > append_ms + time->max_ahead_ms)
		return refuse(rejection, E_FUTURE,
			"ts: %" PRId64 " is %" PRId64
			" s after its arrival, expected at most %" PRId64,
			event->ts, (event->ts - append_ms) / 1000, time->max_ahead_ms / 1000);
	return E_GOOD;
}

static enum event_code admit(struct ingest *ingest, const struct event *event, struct arm **arm,
	struct rejection *rejection)
{
	const struct config_limits *limits = &ingest->config->limits;

	if ((int64_t)event->feature_count > limits->features)
		return refuse(rejection, E_CARD_FEATURE, "%zu features, expected at most %" PRId64,
			event->feature_count, limits->features);
	switch (models_admit(
		&ingest->models, event, ingest->place.watermark_ms, &ingest->waiting, arm)) {
	case E_CARD_MODEL:
		return refuse(rejection, E_CARD_MODEL,
			"model \"%.*s\": %" PRId64 " models are known that no entry of the "
			"configuration names; hint: name this one, or raise limits.models",
			(int)(event->model.size < 40 ? event->model.size : 40), event->model.data,
			limits->models);
	case E_CARD_VERSION:
		return refuse(rejection, E_CARD_VERSION,
			"version \"%.*s\" of model \"%.*s\": %" PRId64
			" versions are known; hint: raise limits.versions",
			(int)(event->version.size < 40 ? event->version.size : 40),
			event->version.data, (int)(event->model.size < 40 ? event->model.size : 40),
			event->model.data, limits->versions);
	default:
		return E_GOOD;
	}
}

static bool counts_in_windows(const struct event *event)
{
	return event->type == EVENT_PREDICTION || event->type == EVENT_LATENCY ||
	       event->type == EVENT_HEARTBEAT;
}

/* Counts an event in its tick; where that has closed, in the oldest open one and as late; one that
 * is far too late as late alone. */
static void count(struct ingest *ingest, struct arm *arm, const struct event *event)
{
	const struct config_time *time = &ingest->config->time;
	struct ingest_counters *counters = &ingest->place.counters;
	int64_t passed = ingest->place.watermark_ms - time->lateness_ms;
	int64_t tick_ms = arm->model->tick_ms;
	int64_t from_ms = windows_floor(event->ts, tick_ms);
	int64_t late_ms = ingest->place.watermark_ms - event->ts;
	bool closed = from_ms + tick_ms <= passed;

	counters->types[event->type]++;
	models_touch(&ingest->models, arm, event);
	if (closed && counts_in_windows(event)) {
		from_ms = windows_floor(passed, tick_ms);
		windows_count_late(&ingest->windows, arm, from_ms, late_ms);
		if (late_ms > time->max_late_ms) {
			counters->late++;
			return;
		}
	}
	windows_count_event(&ingest->windows, arm, from_ms, event);
	counters->counted++;
}

static enum event_code judge(struct ingest *ingest, const struct log_message *message,
	struct event *event, struct rejection *rejection)
{
	struct arm *arm;
	enum event_code code =
		event_from_json(ingest->decoder, ingest->format, message->value, event, rejection);

	if (code == E_GOOD)
		code = check_time(ingest, event, message->append_ms, rejection);
	if (code == E_GOOD)
		code = admit(ingest, event, &arm, rejection);
	if (code != E_GOOD)
		return code;
	if (!windows_may_open(arm->model, windows_floor(event->ts, arm->model->tick_ms)))
		return refuse(rejection, E_FUTURE,
			"ts: %" PRId64 " would open a tick, and %d of the model are open; hint: "
			"time.max_ahead",
			event->ts, OPEN_TICKS_MAX);
	count(ingest, arm, event);
	return E_GOOD;
}

static void bury(
	struct ingest *ingest, const struct log_message *message, const struct rejection *rejection)
{
	struct deadletter letter = {
		.topic = message->topic,
		.partition = message->partition,
		.offset = message->offset,
		.append_ms = message->append_ms,
		.value = message->value,
		.seen_ms =
			message->append_ms >= 0 ? message->append_ms : ingest->place.watermark_ms,
		.rejection = rejection,
	};

	ingest->place.counters.rejected[rejection->code]++;
	deadletters_add(&ingest->deadletters, &letter, &ingest->waiting);
}

/* Kept for later: one digest a step is enough. */
static void remember(struct ingest *ingest, const struct log_message *message)
{
	bytes_clear(&ingest->last_key);
	bytes_clear(&ingest->last_value);
	bytes_add(&ingest->last_key, message->key.data, message->key.size);
	bytes_add(&ingest->last_value, message->value.data, message->value.size);
	ingest->last_append_ms = message->append_ms;
	ingest->fingerprint_due = true;
}

void ingest_message(struct ingest *ingest, const struct log_message *message)
{
	struct rejection rejection;
	struct event event;

	if (!place_pass(&ingest->place, message->offset))
		return;
	ingest->dirty = true;
	remember(ingest, message);
	if (place_is_repeat(&ingest->place, message->append_ms))
		return;
	if (judge(ingest, message, &event, &rejection) == E_GOOD)
		place_event(&ingest->place, event.ts, message->append_ms);
	else
		bury(ingest, message, &rejection);
	windows_close(&ingest->windows, ingest->place.watermark_ms);
}

void ingest_mark(struct ingest *ingest, int64_t watermark_ms)
{
	struct place *place = &ingest->place;
	CLEANUP(bytes_done) struct bytes json = {0};
	struct mark mark = {.offset = place->next, .watermark_ms = watermark_ms};

	if (place->last_ts < 0 || watermark_ms <= place->watermark_ms)
		return;
	place->watermark_ms = watermark_ms;
	view_copy(view_of(ingest->log_name), mark.log, sizeof mark.log);
	mark_to_json(&mark, &json);
	change_append(
		&ingest->waiting, TABLE_MARKS, ++place->marks, bytes_view(&json), MARKS_KEPT, 0);
	ingest->record_due = true;
	ingest->dirty = true;
	windows_close(&ingest->windows, watermark_ms);
}

void ingest_close_all(struct ingest *ingest)
{
	struct place *place = &ingest->place;

	place->watermark_ms = windows_close_all(&ingest->windows, place->watermark_ms);
	ingest->record_due = true;
	ingest->dirty = true;
}

void ingest_gap(struct ingest *ingest, int64_t from, int64_t to, const char *reason)
{
	place_gap(&ingest->place, from, to, reason);
	ingest->fingerprint_due = false;
	ingest->dirty = true;
}

bool ingest_is_dirty(const struct ingest *ingest)
{
	return ingest->dirty;
}

bool ingest_wants_step(const struct ingest *ingest)
{
	return ingest->record_due || ingest->windows.closed_count ||
	       ingest->waiting.output_count >= WAITING_LETTERS_MAX ||
	       ingest->waiting.arena.size >= WAITING_BYTES_MAX;
}

/* Ticks from `first` on that go into one close record. */
static size_t ticks_of_record(const struct windows *windows, size_t first)
{
	size_t end = first;
	size_t count = 0;

	while (end < windows->closed_count) {
		count += windows->closed[end].window_count;
		if (end > first && count > RECORD_WINDOWS_MAX)
			break;
		end++;
	}
	return end - first;
}

/* A record that others of the same step follow does not say more of the watermark than holds for
 * all ticks in it: those of the next record had not closed before. */
static int64_t watermark_of_record(const struct ingest *ingest, size_t end)
{
	const struct windows *windows = &ingest->windows;

	if (end == windows->closed_count)
		return ingest->place.watermark_ms;
	int64_t before_next = windows->closed[end].to_ms + ingest->config->time.lateness_ms - 1;
	int64_t own = windows->closed[end - 1].watermark_ms;

	return own < before_next ? own : before_next;
}

/* Snapshots are made behind this record, which ends the step. */
static uint64_t cut_here(struct ingest *ingest, uint64_t sequence)
{
	struct place *place = &ingest->place;

	place->cut_ms = place->watermark_ms;
	ingest->cut = (struct cut){.sequence = sequence,
		.number = ++place->cuts,
		.watermark_ms = place->watermark_ms,
		.offset = place->last_offset};
	cut_put(&ingest->waiting, &ingest->cut);
	return ingest->cut.number;
}

static void append_record(struct ingest *ingest, size_t first, size_t count)
{
	CLEANUP(bytes_done) struct bytes blob = {0};
	struct place *place = &ingest->place;
	bool last = first + count == ingest->windows.closed_count;
	struct close_record record = {
		.sequence = ++place->closes,
		.watermark_ms = watermark_of_record(ingest, first + count),
		.offset = place->next,
		.whole_from_ms = place_whole_from(place),
		.ticks = count ? ingest->windows.closed + first : NULL,
		.tick_count = count,
		.configured = strcmp(place->config_digest, ingest->config->digest) != 0,
	};

	if (last && place_cut_is_due(place, ingest->config->time.rebuild_ms))
		record.cut = cut_here(ingest, record.sequence);
	if (record.configured) {
		view_copy(view_of(ingest->config->digest), record.config_digest,
			sizeof record.config_digest);
		view_copy(view_of(ingest->config->digest), place->config_digest,
			sizeof place->config_digest);
	}
	close_record_to_blob(&record, &blob);
	change_append(&ingest->waiting, TABLE_CLOSES, record.sequence, bytes_view(&blob),
		CLOSES_KEPT, CLOSES_TTL_S);
	uint64_t below = place_trim(place, blob.size);

	if (below)
		change_trim(&ingest->waiting, TABLE_CLOSES, below);
}

static void append_records(struct ingest *ingest)
{
	struct windows *windows = &ingest->windows;
	bool due = ingest->record_due || windows->closed_count ||
		   strcmp(ingest->place.config_digest, ingest->config->digest) != 0;
	size_t first = 0;

	while (first < windows->closed_count || due) {
		size_t count = ticks_of_record(windows, first);

		append_record(ingest, first, count);
		first += count;
		due = false;
	}
	ingest->place.counters.closed_ticks += (int64_t)windows->closed_count;
	windows_forget_closed(windows);
	ingest->record_due = false;
}

static void compute_fingerprint(struct ingest *ingest)
{
	if (ingest->fingerprint_due)
		ingest->place.fingerprint = cursor_fingerprint(ingest->last_append_ms,
			bytes_view(&ingest->last_key), bytes_view(&ingest->last_value));
	ingest->fingerprint_due = false;
}

void ingest_change(struct ingest *ingest, struct change *change)
{
	struct change *waiting = &ingest->waiting;

	append_records(ingest);
	windows_change(&ingest->windows, waiting);
	models_change(&ingest->models, waiting);
	deadletters_change(
		&ingest->deadletters, ingest->place.topic, ingest->place.partition, waiting);
	compute_fingerprint(ingest);
	place_change(&ingest->place, ingest->log_name, waiting);
	ingest->dirty = false;

	struct change filled = *waiting;

	*waiting = *change;
	*change = filled;
}

const struct cut *ingest_cut(const struct ingest *ingest)
{
	return ingest->cut.sequence ? &ingest->cut : NULL;
}

void ingest_cut_taken(struct ingest *ingest)
{
	ingest->cut = (struct cut){0};
}

int64_t ingest_offset(const struct ingest *ingest)
{
	return ingest->place.next;
}

int64_t ingest_watermark(const struct ingest *ingest)
{
	return ingest->place.watermark_ms;
}

int64_t ingest_last_ts(const struct ingest *ingest)
{
	return ingest->place.last_ts;
}

int64_t ingest_next_close(const struct ingest *ingest)
{
	return ingest->windows.next_close_ms;
}

int64_t ingest_fingerprint(const struct ingest *ingest, uint64_t *fingerprint)
{
	*fingerprint = ingest->place.fingerprint;
	return ingest->place.fingerprint ? ingest->place.last_offset : -1;
}

size_t ingest_model_count(const struct ingest *ingest)
{
	return ingest->models.count;
}

size_t ingest_open_windows(const struct ingest *ingest)
{
	return ingest->windows.count;
}

const struct ingest_counters *ingest_counters(const struct ingest *ingest)
{
	return &ingest->place.counters;
}
