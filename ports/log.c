/* ports/log.c: which implementation a log, a reader or a writer belongs to; and what they share.
 * TOUCHES nothing itself. */
#include "ports/log_kind.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

void log_close(struct log *log)
{
	if (log)
		log->kind->close(log);
}

enum rc log_partitions(
	struct log *log, const char *topic, int wait_ms, int32_t *count, struct err *err)
{
	return log->kind->partitions(log, topic, wait_ms, count, err);
}

enum rc log_create(struct log *log, const struct log_topic *topic, int wait_ms, struct err *err)
{
	return log->kind->create(log, topic, wait_ms, err);
}

enum rc log_peek(struct log *log, const char *topic, int32_t partition, int64_t offset, int wait_ms,
	struct bytes *key, struct bytes *value, int64_t *append_ms, struct err *err)
{
	return log->kind->peek(log, topic, partition, offset, wait_ms, key, value, append_ms, err);
}

bool log_is_well(struct log *log, char *text, size_t size)
{
	return log->kind->is_well(log, text, size);
}

enum rc log_reader_open(struct log *log, struct log_reader **opened, struct err *err)
{
	return log->kind->reader_open(log, opened, err);
}

void log_reader_close(struct log_reader *reader)
{
	if (reader)
		reader->kind->close(reader);
}

enum rc log_assign(struct log_reader *reader, const char *topic, int32_t partition, int64_t offset,
	struct err *err)
{
	return reader->kind->assign(reader, topic, partition, offset, err);
}

void log_unassign(struct log_reader *reader, const char *topic, int32_t partition)
{
	reader->kind->unassign(reader, topic, partition);
}

enum rc log_take(struct log_reader *reader, int wait_ms, size_t max,
	const struct log_message **messages, size_t *count, struct log_gap *gap, struct err *err)
{
	return reader->kind->take(reader, wait_ms, max, messages, count, gap, err);
}

int64_t log_end_age_ms(struct log_reader *reader, const char *topic, int32_t partition)
{
	return reader->kind->end_age_ms(reader, topic, partition);
}

int64_t log_lag(struct log_reader *reader, const char *topic, int32_t partition)
{
	return reader->kind->lag(reader, topic, partition);
}

enum rc log_writer_open(struct log *log, const char *const topics[], size_t topic_count,
	struct log_writer **opened, struct err *err)
{
	return log->kind->writer_open(log, topics, topic_count, opened, err);
}

void log_writer_close(struct log_writer *writer)
{
	if (writer)
		writer->kind->close(writer);
}

enum rc log_write(struct log_writer *writer, const char *topic, struct view key, struct view value,
	struct view headers, uint64_t tag, struct err *err)
{
	return writer->kind->write(writer, topic, key, value, headers, tag, err);
}

size_t log_written(
	struct log_writer *writer, int wait_ms, size_t max, uint64_t tags[], bool delivered[])
{
	return writer->kind->written(writer, wait_ms, max, tags, delivered);
}

/* Austin Appleby's MurmurHash2 with the seed of Kafka's Java client (Utils.murmur2). */
static uint32_t murmur2(struct view key)
{
	const uint32_t m = 0x5bd1e995;
	const unsigned char *at = (const unsigned char *)key.data;
	size_t left = key.size;
	uint32_t hash = 0x9747b28c ^ (uint32_t)key.size;

	for (; left >= 4; at += 4, left -= 4) {
		uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
			     (uint32_t)at[3] << 24;

		k *= m;
		k ^= k >> 24;
		hash = hash * m ^ k * m;
	}
	if (left >= 3)
		hash ^= (uint32_t)at[2] << 16;
	if (left >= 2)
		hash ^= (uint32_t)at[1] << 8;
	if (left >= 1)
		hash = (hash ^ at[0]) * m;
	hash ^= hash >> 13;
	hash *= m;
	return hash ^ hash >> 15;
}

int32_t log_partition_of(struct view key, int32_t partition_count)
{
	return (int32_t)((murmur2(key) & 0x7fffffff) % (uint32_t)partition_count);
}

void log_fates_add(struct log_fates *fates, uint64_t tag, bool delivered)
{
	if (fates->first + fates->count == fates->capacity && fates->first > fates->count) {
		memmove(fates->list, fates->list + fates->first,
			fates->count * sizeof *fates->list);
		fates->first = 0;
	}
	if (fates->first + fates->count == fates->capacity) {
		fates->capacity = fates->capacity ? fates->capacity * 2 : 64;
		fates->list = memory_grow(fates->list, fates->capacity, sizeof *fates->list);
	}
	fates->list[fates->first + fates->count++] =
		(struct log_fate){.tag = tag, .delivered = delivered};
}

size_t log_fates_take(struct log_fates *fates, size_t max, uint64_t tags[], bool delivered[])
{
	size_t count = fates->count < max ? fates->count : max;

	for (size_t i = 0; i < count; i++) {
		tags[i] = fates->list[fates->first + i].tag;
		delivered[i] = fates->list[fates->first + i].delivered;
	}
	fates->count -= count;
	fates->first = fates->count ? fates->first + count : 0;
	return count;
}

void log_fates_done(struct log_fates *fates)
{
	free(fates->list);
	*fates = (struct log_fates){0};
}
