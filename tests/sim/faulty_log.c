#include "tests/sim/faulty_log.h"

#include "core/memory.h"
#include "ports/log_kind.h"

#include <assert.h>
#include <stdlib.h>

struct faulty_writer {
	struct log_writer writer;
	struct log_writer *inside;
	struct chance *chance;
	const struct log_faults *faults;
	struct log_fates fates;
};

static struct faulty_writer *faulty_of(struct log_writer *writer)
{
	return (struct faulty_writer *)writer;
}

static void close_writer(struct log_writer *writer)
{
	struct faulty_writer *faulty = faulty_of(writer);

	log_writer_close(faulty->inside);
	log_fates_done(&faulty->fates);
	free(faulty);
}

static enum rc write_record(struct log_writer *writer, const char *topic, struct view key,
	struct view value, struct view headers, uint64_t tag, struct err *err)
{
	struct faulty_writer *faulty = faulty_of(writer);
	uint64_t tags[1];
	bool delivered[1];

	if (chance_hits(faulty->chance, faulty->faults->lost)) {
		log_fates_add(&faulty->fates, tag, false);
		return RC_OK;
	}
	TRY(log_write(faulty->inside, topic, key, value, headers, tag, err));
	while (log_written(faulty->inside, 0, 1, tags, delivered))
		continue;
	log_fates_add(&faulty->fates, tag, !chance_hits(faulty->chance, faulty->faults->ack_lost));
	return RC_OK;
}

static size_t written(
	struct log_writer *writer, int wait_ms, size_t max, uint64_t tags[], bool delivered[])
{
	struct faulty_writer *faulty = faulty_of(writer);

	(void)wait_ms;
	if (chance_hits(faulty->chance, faulty->faults->fate_untold))
		return 0;
	return log_fates_take(&faulty->fates, max, tags, delivered);
}

static const struct log_writer_kind faulty_kind = {
	.close = close_writer, .write = write_record, .written = written};

struct log_writer *faulty_writer_open(
	struct log *log, struct chance *chance, const struct log_faults *faults)
{
	struct faulty_writer *faulty = memory_new(1, sizeof *faulty);
	struct err err;
	enum rc rc = log_writer_open(log, NULL, 0, &faulty->inside, &err);

	assert(rc == RC_OK);
	faulty->writer.kind = &faulty_kind;
	faulty->chance = chance;
	faulty->faults = faults;
	return &faulty->writer;
}
