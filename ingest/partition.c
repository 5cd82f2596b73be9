#include "ingest/partition.h"

#include "core/cursor.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEP_EVERY_MS = 200,
	STEP_MESSAGES_MAX = 20000,
	PEEK_WAIT_MS = 1000,
	IDLE_MS = 250,         /* without an event before time is taken to go on */
	END_AGE_MAX_MS = 2000, /* since the end of the log was last confirmed */
	RETURN_MS = 10000,     /* after the broker was away: producers need so long to come back */
	MARK_EVERY_MS = 5000,  /* when no tick waits for one: silence must be noticed */
	LOAD_WAIT_MIN_MS = 50,
	LOAD_WAIT_MAX_MS = 1000,
};

struct partition *partition_new(
	const struct partition_ports *ports, const char *topic, int32_t number)
{
	struct partition *partition = memory_new(1, sizeof *partition);

	partition->fold.service = FOLD_INGEST;
	snprintf(partition->fold.log, sizeof partition->fold.log, "%s-%d", topic, (int)number);
	snprintf(partition->topic, sizeof partition->topic, "%s", topic);
	partition->number = number;
	partition->outbox =
		outbox_open(ports->store, &partition->fold, ports->writer, ports->prefix);
	return partition;
}

void partition_drop(struct partition *partition, const struct partition_ports *ports)
{
	if (partition->ingest)
		log_unassign(ports->reader, partition->topic, partition->number);
	ingest_free(partition->ingest);
	partition->ingest = NULL;
}

void partition_free(struct partition *partition, const struct partition_ports *ports)
{
	partition_drop(partition, ports);
	snapshot_search_end(ports->search, &partition->fold);
	outbox_close(partition->outbox);
	free(partition);
}

static const struct format *format_of(const struct config *config, const char *topic)
{
	const char *name = "";

	for (size_t i = 0; i < config->kafka.topic_count; i++)
		if (strcmp(config->kafka.topics[i].name, topic) == 0)
			name = config->kafka.topics[i].format;
	for (size_t i = 0; i < config->format_count; i++)
		if (strcmp(config->formats[i].name, name) == 0)
			return &config->formats[i];
	return NULL;
}

/* An offset alone does not prove that the log is the one that was read: a topic may have been
 * deleted and made again, or have lost its tail and got a new one. */
static enum rc check_log(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	uint64_t fingerprint;
	int64_t append_ms;
	int64_t offset = ingest_fingerprint(partition->ingest, &fingerprint);

	partition->rewound = false;
	if (offset < 0)
		return RC_OK;
	enum rc rc = log_peek(ports->log, partition->topic, partition->number, offset, PEEK_WAIT_MS,
		&key, &value, &append_ms, err);

	if (rc == RC_NONE) /* too old to be kept; or log_take() will tell of a gap */
		return RC_OK;
	TRY(rc);
	partition->rewound =
		cursor_fingerprint(append_ms, bytes_view(&key), bytes_view(&value)) != fingerprint;
	return RC_OK;
}

/* Event time goes on from what the events told, or from where marks had taken it before. */
static void note_time(struct partition *partition)
{
	const struct ingest_counters *counters = ingest_counters(partition->ingest);
	int64_t last_ts = ingest_last_ts(partition->ingest);
	int64_t watermark_ms = ingest_watermark(partition->ingest);

	partition->accepted = counters->counted + counters->late;
	partition->accepted_at = clock_monotonic_ms();
	partition->accepted_ms = last_ts > watermark_ms ? last_ts : watermark_ms;
}

/* The log still has what follows the snapshot. RC_NONE: not. */
static enum rc check_reach(const struct partition *partition, const struct partition_ports *ports,
	const struct snapshot *snapshot, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	int64_t append_ms;

	if (snapshot->cut.offset < 0)
		return RC_OK;
	return log_peek(ports->log, partition->topic, partition->number, snapshot->cut.offset,
		PEEK_WAIT_MS, &key, &value, &append_ms, err);
}

/* The snapshot that reaches back far enough; where the log does not have what follows it, the
 * oldest whose log is there; else the newest, with a gap behind it. NULL: none reaches so far. */
static enum rc choose_snapshot(const struct partition *partition,
	const struct partition_ports *ports, const struct snapshots *found,
	const struct snapshot **chosen, struct err *err)
{
	const struct snapshot *at = snapshots_before(found, ports->config->time.rebuild_ms);

	*chosen = at;
	for (; at; at = snapshots_after(found, &at->cut)) {
		enum rc rc = check_reach(partition, ports, at, err);

		*chosen = at;
		if (rc != RC_NONE)
			return rc;
	}
	return RC_OK;
}

/* Nothing is stored. RC_NONE: call again, there is a snapshot to begin with, or may be. */
static enum rc begin(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	const struct snapshots *found;
	const struct snapshot *chosen;

	if (ports->config->time.rebuild_ms <= 0)
		return RC_OK;
	TRY(snapshot_search(ports->search, &partition->fold, &found, err));
	TRY(choose_snapshot(partition, ports, found, &chosen, err));
	if (!chosen)
		return RC_OK;
	partition->rebuilt_from_ms = chosen->cut.watermark_ms;
	TRY(snapshot_bring_back(ports->store, &partition->fold, &partition->head, chosen, err));
	return err_set(err, RC_NONE, "%s: its state is that of a snapshot", partition->fold.log);
}

static enum rc load(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	TRY(store_load(ports->store, &partition->fold, &partition->head, ingest_restore,
		partition->ingest, err));
	if (partition->head.fresh)
		TRY(begin(partition, ports, err));
	snapshot_search_end(ports->search, &partition->fold);
	TRY(check_log(partition, ports, err));
	int64_t offset = ingest_offset(partition->ingest);

	TRY(log_assign(ports->reader, partition->topic, partition->number,
		offset < 0 || partition->rewound ? OFFSET_BEGINNING : offset, err));
	note_time(partition);
	partition->progress = (struct progress){0};
	partition->marked_at = partition->stepped_at = clock_monotonic_ms();
	partition->messages = 0;
	partition->wake = true;
	return RC_OK;
}

/* Drops memory; the next try is a little later, and later still until a step succeeds: another
 * process may own the fold, and two must not race. */
static enum rc drop_for_a_while(
	struct partition *partition, const struct partition_ports *ports, enum rc rc)
{
	int64_t wait_ms = partition->load_wait_ms * 2;

	partition_drop(partition, ports);
	if (wait_ms < LOAD_WAIT_MIN_MS)
		wait_ms = LOAD_WAIT_MIN_MS;
	if (wait_ms > LOAD_WAIT_MAX_MS)
		wait_ms = LOAD_WAIT_MAX_MS;
	partition->load_wait_ms = wait_ms;
	partition->load_at = clock_monotonic_ms() + wait_ms;
	return rc == RC_FATAL ? RC_FATAL : RC_RETRY;
}

enum rc partition_load(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	if (clock_monotonic_ms() < partition->load_at)
		return RC_NONE;
	partition->ingest = ingest_new(
		ports->config, partition->fold.log, format_of(ports->config, partition->topic));
	enum rc rc = load(partition, ports, err);

	if (rc == RC_NONE)
		partition_drop(partition, ports);
	return rc == RC_OK || rc == RC_NONE ? rc : drop_for_a_while(partition, ports, rc);
}

static enum rc record_gap(
	struct partition *partition, int64_t to, const char *reason, struct err *err)
{
	int64_t from = ingest_offset(partition->ingest);

	ingest_gap(partition->ingest, from, to, reason);
	partition->gaps++;
	return err_set(err, RC_NONE, "%s: offsets %" PRId64 " to %" PRId64 ": %s",
		partition->fold.log, from, to, reason);
}

enum rc partition_take(
	struct partition *partition, const struct log_message *message, struct err *err)
{
	enum rc rc = RC_OK;

	if (partition->rewound)
		rc = record_gap(partition, message->offset, "another log", err);
	partition->rewound = false;
	ingest_message(partition->ingest, message);
	partition->messages++;
	return rc;
}

enum rc partition_gap(struct partition *partition, const struct partition_ports *ports,
	const struct log_gap *gap, struct err *err)
{
	if (gap->offset < gap->low) {
		record_gap(partition, gap->low, "no longer kept", err);
		return log_assign(
			ports->reader, partition->topic, partition->number, gap->low, err);
	}
	/* The end of the log lies before what was read of it. */
	partition->rewound = true;
	err_set(err, RC_NONE, "%s: offset %" PRId64 " lies behind the end of the log, %" PRId64,
		partition->fold.log, gap->offset, gap->high);
	return log_assign(
		ports->reader, partition->topic, partition->number, OFFSET_BEGINNING, err);
}

/* Whether the end of the log was confirmed just now, and was all the time in which producers may
 * have had to wait. What they kept back meanwhile is not late because of a mark. */
static bool is_idle(struct partition *partition, const struct partition_ports *ports, int64_t now)
{
	int64_t age_ms = log_end_age_ms(ports->reader, partition->topic, partition->number);
	char reason[256];

	if (age_ms >= END_AGE_MAX_MS || !log_is_well(ports->log, reason, sizeof reason))
		partition->away_until = now + RETURN_MS;
	return age_ms >= 0 && age_ms < END_AGE_MAX_MS && now >= partition->away_until &&
	       now - partition->accepted_at >= IDLE_MS;
}

static void mark_if_idle(struct partition *partition, const struct partition_ports *ports)
{
	const struct ingest_counters *counters = ingest_counters(partition->ingest);
	int64_t now = clock_monotonic_ms();

	if (counters->counted + counters->late != partition->accepted)
		note_time(partition);
	if (ingest_last_ts(partition->ingest) < 0 || !is_idle(partition, ports, now))
		return;
	int64_t reached = partition->accepted_ms + (now - partition->accepted_at);
	int64_t wall = clock_wall_ms();

	reached = reached < wall ? reached : wall;
	if (reached <= ingest_watermark(partition->ingest))
		return;
	if (reached < ingest_next_close(partition->ingest) &&
		(!ingest_model_count(partition->ingest) ||
			now - partition->marked_at < MARK_EVERY_MS))
		return;
	ingest_mark(partition->ingest, reached);
	partition->marked_at = now;
}

static void look_at_progress(struct partition *partition, const struct partition_ports *ports)
{
	progress_look(&partition->progress, ingest_offset(partition->ingest),
		log_lag(ports->reader, partition->topic, partition->number), clock_monotonic_ms());
}

/* The snapshot of the cut that the last step made, before anything else is stored. */
static enum rc take_snapshot(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	if (!ingest_cut(partition->ingest) || partition->head.fresh)
		return RC_OK;
	struct cut cut = *ingest_cut(partition->ingest);

	memcpy(cut.epoch, partition->head.epoch, sizeof cut.epoch);
	enum rc rc = snapshot_take(ports->store, &partition->fold, &partition->head, &cut, err);

	if (rc != RC_OK)
		return drop_for_a_while(partition, ports, rc);
	ingest_cut_taken(partition->ingest);
	partition->wake = true;
	return RC_OK;
}

static enum rc step(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	CLEANUP(change_done) struct change change = {0};

	ingest_change(partition->ingest, &change);
	progress_change(&partition->progress, &change);
	enum rc rc = store_advance(ports->store, &partition->fold, &partition->head, &change, err);

	if (rc != RC_OK)
		return drop_for_a_while(partition, ports, rc);
	partition->stepped_at = clock_monotonic_ms();
	partition->messages = 0;
	partition->steps++;
	partition->load_wait_ms = 0;
	partition->wake = partition->wake || change.output_count > 0;
	return RC_OK;
}

static bool step_is_due(const struct partition *partition)
{
	if (progress_is_over(&partition->progress))
		return true;
	return ingest_is_dirty(partition->ingest) &&
	       (ingest_wants_step(partition->ingest) || partition->messages >= STEP_MESSAGES_MAX ||
		       clock_monotonic_ms() - partition->stepped_at >= STEP_EVERY_MS);
}

enum rc partition_turn(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	TRY(take_snapshot(partition, ports, err));
	mark_if_idle(partition, ports);
	look_at_progress(partition, ports);
	if (step_is_due(partition))
		TRY(step(partition, ports, err));
	if (partition->head.fresh) /* nothing is stored yet, so there is no outbox */
		return RC_OK;
	enum rc rc = outbox_turn(partition->outbox, &partition->head, partition->wake, err);

	partition->wake = false;
	return rc;
}
