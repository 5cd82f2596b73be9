#include "core/memory.h"
#include "ports/clock.h"
#include "tests/sim/clock.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { FATES_MAX = 64 };

static struct log_reader *open_reader(struct world *world)
{
	struct log_reader *reader;
	struct err err;
	enum rc rc = log_reader_open(world->log, &reader, &err);

	assert(rc == RC_OK);
	return reader;
}

/* ---- ingest */

void ingest_start(struct world *world, struct ingest_process *process)
{
	process->ports = (struct partition_ports){.config = &world->config,
		.store = world->store,
		.log = world->log,
		.reader = open_reader(world),
		.writer = faulty_writer_open(world->wire),
		.search = snapshot_search_open(world->log, world->config.kafka.prefix),
		.prefix = world->config.kafka.prefix};
	for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
		process->partitions[p] = partition_new(&process->ports, EVENT_TOPIC, p);
}

void ingest_end(struct ingest_process *process)
{
	for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
		partition_free(process->partitions[p], &process->ports);
	snapshot_search_close(process->ports.search);
	log_writer_close(process->ports.writer);
	log_reader_close(process->ports.reader);
}

static void crash_ingest(struct world *world, struct ingest_process *process)
{
	world->crashes++;
	trace("ingest", "crashes");
	ingest_end(process);
	ingest_start(world, process);
}

static void take_events(struct world *world, struct ingest_process *process)
{
	const struct log_message *messages;
	struct log_gap gap;
	struct err err;
	size_t count;

	if (sim_clock_now() < world->stalled_to)
		return;
	if (log_take(process->ports.reader, 0, 1 + chance_below(&world->chance, 60), &messages,
		    &count, &gap, &err) != RC_OK)
		return;
	for (size_t i = 0; i < count; i++) {
		struct partition *partition = process->partitions[messages[i].partition];
		enum rc rc =
			partition->ingest ? partition_take(partition, &messages[i], &err) : RC_OK;

		if (rc != RC_OK && rc != RC_NONE)
			printf("ingest refuses a message: %s\n", err.text);
	}
}

static void turn_ingest(struct world *world, struct ingest_process *process)
{
	uint64_t tags[FATES_MAX];
	bool delivered[FATES_MAX];
	struct err err;

	for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
		if (!process->partitions[p]->ingest &&
			partition_load(process->partitions[p], &process->ports, &err) == RC_FATAL) {
			crash_ingest(world, process);
			return;
		}
	take_events(world, process);
	for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
		if (process->partitions[p]->ingest &&
			partition_turn(process->partitions[p], &process->ports, &err) == RC_FATAL) {
			crash_ingest(world, process);
			return;
		}
	size_t count = log_written(process->ports.writer, 0, FATES_MAX, tags, delivered);

	for (size_t i = 0; i < count; i++)
		for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
			if (outbox_number(process->partitions[p]->outbox) == tags[i] >> 48)
				outbox_written(
					process->partitions[p]->outbox, tags[i], delivered[i]);
}

void ingest_turn(struct world *world, struct ingest_process *process)
{
	turn_ingest(world, process);
	judge_marks(world);
}

/* ---- detectors */

void detectors_start(struct world *world, struct detectors_process *process)
{
	process->ports = (struct judging_ports){.config = &world->config,
		.store = world->store,
		.writer = faulty_writer_open(world->wire),
		.search = snapshot_search_open(world->log, world->config.kafka.prefix),
		.prefix = world->config.kafka.prefix};
	for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
		process->judgings[p] = judging_new(&process->ports, EVENT_TOPIC, p);
}

void detectors_end(struct detectors_process *process)
{
	for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
		judging_free(process->judgings[p], &process->ports);
	snapshot_search_close(process->ports.search);
	log_writer_close(process->ports.writer);
}

static enum rc turn_judging(struct detectors_process *process, struct judging *judging)
{
	struct err err;

	if (!judging->detectors && judging_load(judging, &process->ports, &err) == RC_FATAL)
		return RC_FATAL;
	return judging->detectors ? judging_turn(judging, &process->ports, &err) : RC_OK;
}

void detectors_turn(struct world *world, struct detectors_process *process)
{
	uint64_t tags[FATES_MAX];
	bool delivered[FATES_MAX];

	for (int32_t p = 0; p < EVENT_PARTITIONS; p++) {
		if (turn_judging(process, process->judgings[p]) != RC_FATAL)
			continue;
		world->crashes++;
		trace("detectors", "crashes");
		detectors_end(process);
		detectors_start(world, process);
		return;
	}
	size_t count = log_written(process->ports.writer, 0, FATES_MAX, tags, delivered);

	for (size_t i = 0; i < count; i++)
		for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
			if (outbox_number(process->judgings[p]->outbox) == tags[i] >> 48)
				outbox_written(process->judgings[p]->outbox, tags[i], delivered[i]);
}
