#include "tests/sim/faulty_log.h"

#include "core/memory.h"
#include "ports/log_kind.h"
#include "tests/sim/clock.h"
#include "tests/sim/trace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_MAX_MS = 1500, AGAIN_MAX_MS = 40000 };

struct faulty_writer {
	struct log_writer writer;
	struct log_wire *wire;
	struct log_fates fates;
};

struct parcel {
	struct faulty_writer *from; /* NULL: its process is gone */
	int64_t due_ms;
	uint64_t tag;
	char *topic;
	struct bytes key, value;
};

struct log_wire {
	struct log_writer *inside;
	struct chance *chance;
	const struct log_faults *faults;
	struct parcel *parcels; /* as they were given; of one writer none is due before another */
	size_t count;
};

/* ---- the wire */

struct log_wire *log_wire_open(
	struct log *log, struct chance *chance, const struct log_faults *faults)
{
	struct log_wire *wire = memory_new(1, sizeof *wire);
	struct err err;
	enum rc rc = log_writer_open(log, NULL, 0, &wire->inside, &err);

	assert(rc == RC_OK);
	wire->chance = chance;
	wire->faults = faults;
	return wire;
}

static void free_parcel(struct parcel *parcel)
{
	free(parcel->topic);
	bytes_done(&parcel->key);
	bytes_done(&parcel->value);
}

void log_wire_close(struct log_wire *wire)
{
	for (size_t i = 0; i < wire->count; i++)
		free_parcel(&wire->parcels[i]);
	free(wire->parcels);
	log_writer_close(wire->inside);
	free(wire);
}

static enum rc arrive(struct log_wire *wire, const char *topic, struct view key, struct view value,
	struct err *err)
{
	uint64_t tags[1];
	bool delivered[1];

	TRY(log_write(wire->inside, topic, key, value, (struct view){0}, 0, err));
	while (log_written(wire->inside, 0, 1, tags, delivered))
		continue;
	return RC_OK;
}

static void acknowledge(struct faulty_writer *writer, uint64_t tag)
{
	bool heard = !chance_hits(writer->wire->chance, writer->wire->faults->ack_lost);

	if (!heard)
		trace("log", "an acknowledgement is lost");
	log_fates_add(&writer->fates, tag, heard);
}

static struct view view_or_none(const struct bytes *bytes)
{
	return bytes->size ? bytes_view(bytes) : (struct view){0};
}

void log_wire_turn(struct log_wire *wire, int64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < wire->count; i++) {
		struct parcel *parcel = &wire->parcels[i];
		struct err err;

		if (parcel->due_ms > now_ms) {
			wire->parcels[kept++] = *parcel;
			continue;
		}
		enum rc rc = arrive(wire, parcel->topic, view_or_none(&parcel->key),
			view_or_none(&parcel->value), &err);

		assert(rc == RC_OK);
		trace("log", "a late record of %s arrives%s", parcel->topic,
			parcel->from ? "" : ", whose writer is gone");
		if (parcel->from)
			acknowledge(parcel->from, parcel->tag);
		free_parcel(parcel);
	}
	wire->count = kept;
}

static int64_t last_due(const struct log_wire *wire, const struct faulty_writer *writer)
{
	for (size_t i = wire->count; i; i--)
		if (wire->parcels[i - 1].from == writer)
			return wire->parcels[i - 1].due_ms;
	return 0;
}

static void send(struct log_wire *wire, struct faulty_writer *writer, const char *topic,
	struct view key, struct view value, uint64_t tag, int64_t due_ms)
{
	struct parcel *parcel;

	wire->parcels = memory_grow(wire->parcels, wire->count + 1, sizeof *wire->parcels);
	parcel = &wire->parcels[wire->count++];
	*parcel = (struct parcel){
		.from = writer, .due_ms = due_ms, .tag = tag, .topic = memory_text(topic)};
	bytes_add(&parcel->key, key.data, key.size);
	bytes_add(&parcel->value, value.data, value.size);
}

static int64_t later(struct log_wire *wire, uint64_t max_ms)
{
	return sim_clock_now() + 1 + (int64_t)chance_below(wire->chance, max_ms);
}

/* ---- the writer */

static struct faulty_writer *faulty_of(struct log_writer *writer)
{
	return (struct faulty_writer *)writer;
}

static void close_writer(struct log_writer *writer)
{
	struct faulty_writer *faulty = faulty_of(writer);
	struct log_wire *wire = faulty->wire;

	for (size_t i = 0; i < wire->count; i++)
		if (wire->parcels[i].from == faulty)
			wire->parcels[i].from = NULL;
	log_fates_done(&faulty->fates);
	free(faulty);
}

static enum rc write_record(struct log_writer *writer, const char *topic, struct view key,
	struct view value, struct view headers, uint64_t tag, struct err *err)
{
	struct faulty_writer *faulty = faulty_of(writer);
	struct log_wire *wire = faulty->wire;
	int64_t due_ms = last_due(wire, faulty);

	(void)headers; /* a memory log keeps none */
	if (chance_hits(wire->chance, wire->faults->lost)) {
		trace("log", "a record of %s is lost", topic);
		log_fates_add(&faulty->fates, tag, false);
		return RC_OK;
	}
	if (chance_hits(wire->chance, wire->faults->again))
		send(wire, NULL, topic, key, value, 0, later(wire, AGAIN_MAX_MS));
	if (chance_hits(wire->chance, wire->faults->late)) {
		int64_t late_ms = later(wire, LATE_MAX_MS);

		due_ms = late_ms > due_ms ? late_ms : due_ms;
	}
	if (due_ms) {
		send(wire, faulty, topic, key, value, tag, due_ms);
		return RC_OK;
	}
	TRY(arrive(wire, topic, key, value, err));
	acknowledge(faulty, tag);
	return RC_OK;
}

static size_t written(
	struct log_writer *writer, int wait_ms, size_t max, uint64_t tags[], bool delivered[])
{
	struct faulty_writer *faulty = faulty_of(writer);

	(void)wait_ms;
	if (chance_hits(faulty->wire->chance, faulty->wire->faults->fate_untold))
		return 0;
	return log_fates_take(&faulty->fates, max, tags, delivered);
}

static const struct log_writer_kind faulty_kind = {
	.close = close_writer, .write = write_record, .written = written};

struct log_writer *faulty_writer_open(struct log_wire *wire)
{
	struct faulty_writer *faulty = memory_new(1, sizeof *faulty);

	faulty->writer.kind = &faulty_kind;
	faulty->wire = wire;
	return &faulty->writer;
}
