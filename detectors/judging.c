#include "detectors/judging.h"

#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 200, LOOK_EVERY_MS = 1000, LOAD_WAIT_MS = 250 };

struct judging *judging_new(const struct judging_ports *ports, const char *topic, int32_t number)
{
	struct judging *judging = memory_new(1, sizeof *judging);

	judging->fold.service = FOLD_DETECTORS;
	judging->ingest_fold.service = FOLD_INGEST;
	snprintf(judging->fold.log, LOG_NAME_SIZE, "%s-%d", topic, (int)number);
	memcpy(judging->ingest_fold.log, judging->fold.log, LOG_NAME_SIZE);
	snprintf(judging->topic, sizeof judging->topic, "%s", topic);
	judging->number = number;
	judging->outbox = outbox_open(ports->store, &judging->fold, ports->writer, ports->prefix);
	return judging;
}

void judging_drop(struct judging *judging)
{
	detectors_free(judging->detectors);
	judging->detectors = NULL;
	judging->load_at = clock_monotonic_ms() + LOAD_WAIT_MS;
}

void judging_free(struct judging *judging, const struct judging_ports *ports)
{
	snapshot_search_end(ports->search, &judging->fold);
	detectors_free(judging->detectors);
	outbox_close(judging->outbox);
	change_done(&judging->change);
	free(judging);
}

/* With what the life began that this head is of. */
static enum rc read_restored(const struct judging *judging, const struct judging_ports *ports,
	const struct head *head, struct cut *restored, struct err *err)
{
	CLEANUP(bytes_done) struct bytes data = {0};
	enum rc rc = store_get(ports->store, &judging->ingest_fold, head, TABLE_STATE,
		view_of(FIELD_RESTORED), &data, err);

	*restored = (struct cut){0};
	if (rc == RC_NONE)
		return RC_OK;
	TRY(rc);
	if (cut_read(bytes_view(&data), restored))
		return RC_OK;
	return err_set(err, RC_FATAL, "state of ingest over %s, field %s: expected a cut",
		judging->fold.log, FIELD_RESTORED);
}

/* Ingest's head, and the cut with which its life began: once in a life. RC_NONE: it has not begun.
 */
static enum rc look(struct judging *judging, const struct judging_ports *ports, struct err *err)
{
	struct cut restored = judging->restored;
	struct head head;

	TRY(store_head(ports->store, &judging->ingest_fold, &head, err));
	if (strcmp(head.epoch, judging->ingest_head.epoch) != 0)
		TRY(read_restored(judging, ports, &head, &restored, err));
	judging->ingest_head = head;
	judging->restored = restored;
	return RC_OK;
}

static bool follow(struct judging *judging)
{
	return detectors_follow(judging->detectors, judging->ingest_head.epoch,
		judging->restored.sequence ? &judging->restored : NULL);
}

/* Nothing is stored. RC_NONE: call again, there is a snapshot to begin with, or may be. */
static enum rc begin(struct judging *judging, const struct judging_ports *ports, struct err *err)
{
	const struct snapshots *found;

	if (!judging->restored.sequence)
		return RC_OK;
	TRY(snapshot_search(ports->search, &judging->fold, &found, err));
	const struct snapshot *chosen = snapshots_at(found, &judging->restored);

	if (!chosen)
		return RC_OK;
	TRY(snapshot_bring_back(ports->store, &judging->fold, &judging->head, chosen, err));
	return err_set(err, RC_NONE, "%s: its state is that of a snapshot", judging->fold.log);
}

static enum rc load(struct judging *judging, const struct judging_ports *ports, struct err *err)
{
	enum rc rc = look(judging, ports, err);

	if (rc == RC_NONE)
		return err_set(err, RC_NONE, "ingest has not begun to read %s", judging->fold.log);
	TRY(rc);
	judging->detectors = detectors_new(ports->config, judging->fold.log);
	TRY(store_load(ports->store, &judging->fold, &judging->head, detectors_restore,
		judging->detectors, err));
	if (judging->head.fresh)
		TRY(begin(judging, ports, err));
	snapshot_search_end(ports->search, &judging->fold);
	follow(judging);
	judging->looked_at = clock_monotonic_ms();
	return RC_OK;
}

enum rc judging_load(struct judging *judging, const struct judging_ports *ports, struct err *err)
{
	if (clock_monotonic_ms() < judging->load_at)
		return RC_NONE;
	enum rc rc = load(judging, ports, err);

	if (rc != RC_OK)
		judging_drop(judging);
	return rc;
}

/* Ingest that began anew, after a loss of Redis, writes under another epoch. RC_NONE: it has. */
static enum rc look_at_ingest(
	struct judging *judging, const struct judging_ports *ports, struct err *err)
{
	int64_t now = clock_monotonic_ms();

	if (now - judging->looked_at < LOOK_EVERY_MS)
		return RC_OK;
	judging->looked_at = now;
	enum rc rc = look(judging, ports, err);

	if (rc == RC_NONE)
		return RC_OK;
	TRY(rc);
	if (!follow(judging))
		return RC_OK;
	return err_set(err, RC_NONE, "ingest began %s anew: its comparisons begin anew",
		judging->fold.log);
}

struct reading {
	struct detectors *detectors;
	size_t count;
};

static enum rc take_record(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct reading *reading = context;
	struct close_record record = {0};

	(void)sequence;
	if (close_record_from_blob(data, &record, err) != RC_OK)
		return err_prefix(
			err, RC_FATAL, "close record %llu: ", (unsigned long long)sequence);
	detectors_close(reading->detectors, &record);
	close_record_done(&record);
	reading->count++;
	if (detectors_cut(reading->detectors))
		return err_set(err, RC_NONE, "a cut");
	return RC_OK;
}

static enum rc step(
	struct judging *judging, const struct judging_ports *ports, bool *spoke, struct err *err)
{
	struct change *change = &judging->change;
	enum rc rc = RC_OK;

	detectors_change(judging->detectors, change);
	*spoke = *spoke || change->output_count > 0;
	if (change->write_count || change->output_count)
		rc = store_advance(ports->store, &judging->fold, &judging->head, change, err);
	change_clear(change);
	return rc;
}

/* The snapshot of the cut that the last step made, before anything else is stored. */
static enum rc take_snapshot(
	struct judging *judging, const struct judging_ports *ports, bool *spoke, struct err *err)
{
	if (!detectors_cut(judging->detectors))
		return RC_OK;
	TRY(snapshot_take(ports->store, &judging->fold, &judging->head,
		detectors_cut(judging->detectors), err));
	detectors_cut_taken(judging->detectors);
	*spoke = true;
	return RC_OK;
}

/* One step over the records that are there, up to the next cut. */
static enum rc read_records(
	struct judging *judging, const struct judging_ports *ports, bool *spoke, struct err *err)
{
	struct reading reading = {.detectors = judging->detectors};
	enum rc rc = store_stream(ports->store, &judging->ingest_fold, &judging->ingest_head,
		TABLE_CLOSES, detectors_next(judging->detectors), RECORDS_MAX, take_record,
		&reading, err);

	judging->behind = reading.count == RECORDS_MAX || rc == RC_NONE;
	if (rc != RC_NONE)
		TRY(rc);
	return step(judging, ports, spoke, err);
}

enum rc judging_turn(struct judging *judging, const struct judging_ports *ports, struct err *err)
{
	bool spoke = false;
	enum rc looked = look_at_ingest(judging, ports, err);
	enum rc rc = looked == RC_NONE ? RC_OK : looked;

	if (rc == RC_OK)
		rc = take_snapshot(judging, ports, &spoke, err);
	if (rc == RC_OK)
		rc = read_records(judging, ports, &spoke, err);
	if (rc == RC_OK)
		rc = take_snapshot(judging, ports, &spoke, err);
	if (rc != RC_OK) {
		judging_drop(judging);
		return rc == RC_FATAL ? RC_FATAL : RC_RETRY;
	}
	rc = outbox_turn(judging->outbox, &judging->head, spoke, err);
	return rc == RC_OK ? looked : rc;
}
