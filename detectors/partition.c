#include "detectors/partition.h"

#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 200, LOOK_EVERY_MS = 1000, LOAD_WAIT_MS = 250 };

struct partition *partition_new(
	const struct partition_ports *ports, const char *topic, int32_t number)
{
	struct partition *partition = memory_new(1, sizeof *partition);

	partition->fold.service = FOLD_DETECTORS;
	partition->ingest_fold.service = FOLD_INGEST;
	snprintf(partition->fold.log, LOG_NAME_SIZE, "%s-%d", topic, (int)number);
	memcpy(partition->ingest_fold.log, partition->fold.log, LOG_NAME_SIZE);
	snprintf(partition->topic, sizeof partition->topic, "%s", topic);
	partition->number = number;
	partition->outbox =
		outbox_open(ports->store, &partition->fold, ports->writer, ports->prefix);
	return partition;
}

void partition_drop(struct partition *partition)
{
	detectors_free(partition->detectors);
	partition->detectors = NULL;
	partition->load_at = clock_monotonic_ms() + LOAD_WAIT_MS;
}

void partition_free(struct partition *partition)
{
	detectors_free(partition->detectors);
	outbox_close(partition->outbox);
	change_done(&partition->change);
	free(partition);
}

static enum rc load(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	enum rc rc =
		store_head(ports->store, &partition->ingest_fold, &partition->ingest_head, err);

	if (rc == RC_NONE) {
		err_set(err, RC_NONE, "ingest has not begun to read %s", partition->fold.log);
		return RC_NONE;
	}
	TRY(rc);
	partition->detectors = detectors_new(ports->config, partition->fold.log);
	TRY(store_load(ports->store, &partition->fold, &partition->head, detectors_restore,
		partition->detectors, err));
	detectors_follow(partition->detectors, partition->ingest_head.epoch);
	partition->looked_at = clock_monotonic_ms();
	return RC_OK;
}

enum rc partition_load(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	if (clock_monotonic_ms() < partition->load_at)
		return RC_NONE;
	enum rc rc = load(partition, ports, err);

	if (rc != RC_OK)
		partition_drop(partition);
	return rc;
}

/* Ingest that began anew, after a loss of Redis, writes under another epoch. RC_NONE: it has. */
static enum rc look_at_ingest(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	int64_t now = clock_monotonic_ms();

	if (now - partition->looked_at < LOOK_EVERY_MS)
		return RC_OK;
	partition->looked_at = now;
	enum rc rc =
		store_head(ports->store, &partition->ingest_fold, &partition->ingest_head, err);

	if (rc == RC_NONE)
		return RC_OK;
	TRY(rc);
	if (!detectors_follow(partition->detectors, partition->ingest_head.epoch))
		return RC_OK;
	return err_set(err, RC_NONE, "ingest began %s anew: its comparisons begin anew",
		partition->fold.log);
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
	return RC_OK;
}

static enum rc step(struct partition *partition, const struct partition_ports *ports, bool *spoke,
	struct err *err)
{
	struct change *change = &partition->change;
	enum rc rc = RC_OK;

	detectors_change(partition->detectors, change);
	*spoke = change->output_count > 0;
	if (change->write_count || change->output_count)
		rc = store_advance(ports->store, &partition->fold, &partition->head, change, err);
	change_clear(change);
	return rc;
}

enum rc partition_turn(
	struct partition *partition, const struct partition_ports *ports, struct err *err)
{
	struct reading reading = {.detectors = partition->detectors};
	enum rc looked = look_at_ingest(partition, ports, err);
	bool spoke = false;
	enum rc rc = looked == RC_NONE ? RC_OK : looked;

	if (rc == RC_OK)
		rc = store_stream(ports->store, &partition->ingest_fold, &partition->ingest_head,
			TABLE_CLOSES, detectors_next(partition->detectors), RECORDS_MAX,
			take_record, &reading, err);
	if (rc == RC_OK)
		rc = step(partition, ports, &spoke, err);
	partition->behind = reading.count == RECORDS_MAX;
	if (rc != RC_OK) {
		partition_drop(partition);
		return rc == RC_FATAL ? RC_FATAL : RC_RETRY;
	}
	rc = outbox_turn(partition->outbox, &partition->head, spoke, err);
	return rc == RC_OK ? looked : rc;
}
