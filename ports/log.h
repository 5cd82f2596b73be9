/* ports/log.h: logs of records: Kafka topics, or memory (replay and flow tests).
 * TOUCHES. Implementations: log_kafka*.c (the only users of librdkafka) and log_memory.c.
 * Offsets come from the caller, never from Kafka's groups. */
#ifndef PORTS_LOG_H
#define PORTS_LOG_H

#include "core/bytes.h"
#include "core/config.h"

struct log; /* a connection to a broker (or a memory): makes readers and writers, knows topics */
struct log_reader; /* pulls from partitions assigned to it */
struct log_writer;

struct log_message { /* views valid until the next log_take() of the same reader */
	const char *topic;
	int32_t partition;
	int64_t offset;
	int64_t append_ms; /* when the broker (or the producer, by topic setting) stamped it; -1
			      unknown */
	struct view key, value; /* value.data NULL: a tombstone */
};

/* The configuration must outlive the log. No connection is awaited here. RC_FATAL: a property that
 * librdkafka does not take (the property is named, its value not). What the guarantees rest on
 * (acknowledgements, idempotence, isolation, offsets, partitioner) stays as it must be, whatever a
 * property says. */
enum rc log_open(const struct config_kafka *settings, const char *client_id, struct log **opened,
	struct err *err) MUST_CHECK;
struct log *log_memory_open(void);
void log_close(struct log *log);

/* The number of partitions of a topic. RC_NONE: no such topic. RC_RETRY: no answer within wait_ms;
 * RC_FATAL: authentication or TLS refused (a sentence that says which). */
enum rc log_partitions(struct log *log, const char *topic, int wait_ms, int32_t *count,
	struct err *err) MUST_CHECK;

struct log_topic { /* for creating */
	const char *name;
	int32_t partitions;
	int replication;
	bool compacted;
	int64_t retention_ms;      /* -1 = for ever */
	int64_t message_bytes_max; /* 0 = the broker's */
};
/* Creates a topic. RC_NONE: it is there already (its settings are checked: a difference is told in
 * err, for a warning). */
enum rc log_create(
	struct log *log, const struct log_topic *topic, int wait_ms, struct err *err) MUST_CHECK;

enum { OFFSET_BEGINNING = -2, OFFSET_END = -1 };

enum rc log_reader_open(struct log *log, struct log_reader **opened, struct err *err) MUST_CHECK;
void log_reader_close(struct log_reader *reader);

/* From now on the reader pulls this partition from this offset (or OFFSET_BEGINNING, OFFSET_END);
 * again for the same partition moves it there, and nothing of the old place comes any more. */
enum rc log_assign(struct log_reader *reader, const char *topic, int32_t partition, int64_t offset,
	struct err *err) MUST_CHECK;
void log_unassign(struct log_reader *reader, const char *topic, int32_t partition);

/* Up to max messages of all assigned partitions (in order within each) that arrive within wait_ms:
 * returns as soon as any are there. RC_NONE: none. RC_RETRY: broker unwell. RC_REJECT: an assigned
 * offset is not in the log: *gap tells where (its partition is unassigned until log_assign()
 * again). */
struct log_gap {
	char topic[256];
	int32_t partition;
	int64_t offset;    /* what was wanted */
	int64_t low, high; /* what there is: low <= first readable, high = end */
};
enum rc log_take(struct log_reader *reader, int wait_ms, size_t max,
	const struct log_message **messages, size_t *count, struct log_gap *gap,
	struct err *err) MUST_CHECK;

/* How long ago, in milliseconds, it was last confirmed by the broker that nothing lies beyond what
 * was taken of this partition; -1: never, or something does. Kept up to date by a helper of the
 * port. */
int64_t log_end_age_ms(struct log_reader *reader, const char *topic, int32_t partition);

/* Records between what was taken and the end, as last heard; -1 unknown. */
int64_t log_lag(struct log_reader *reader, const char *topic, int32_t partition);

/* Reads the one message at an offset, for comparing fingerprints. RC_NONE: there is none such. */
enum rc log_peek(struct log *log, const char *topic, int32_t partition, int64_t offset, int wait_ms,
	struct bytes *key, struct bytes *value, int64_t *append_ms, struct err *err) MUST_CHECK;

/* topics: opened at once, so that the first record of an idle writer does not wait (up to 1 s). */
enum rc log_writer_open(struct log *log, const char *const topics[], size_t topic_count,
	struct log_writer **opened, struct err *err) MUST_CHECK;
void log_writer_close(struct log_writer *writer); /* does not wait for what is on its way */

/* Hands a record over (copied): idempotent producer, acks=all, partition by murmur2 of the key.
 * headers: pairs of bytes_sized(name), bytes_sized(value), or empty. tag comes back from
 * log_written(). RC_RETRY: the queue is full. RC_REJECT: the record is too large for the topic. */
enum rc log_write(struct log_writer *writer, const char *topic, struct view key, struct view value,
	struct view headers, uint64_t tag, struct err *err) MUST_CHECK;

/* Tags of records whose fate is known, up to max, within wait_ms. delivered[i] false: give it
 * again. */
size_t log_written(
	struct log_writer *writer, int wait_ms, size_t max, uint64_t tags[], bool delivered[]);

/* murmur2 as Kafka's Java client computes it: every client's default when told murmur2_random. */
int32_t log_partition_of(struct view key, int32_t partition_count);

/* Whether the broker answers at the moment; text says since when not and why. For STATUS. */
bool log_is_well(struct log *log, char *text, size_t size);

/* Of a memory log only. Puts a message at the end of a partition (topic and partition are made if
 * they are not there; log_write() makes a topic of one partition). And frees those below an offset:
 * views of them die. */
void log_memory_append(struct log *log, const char *topic, int32_t partition, struct view key,
	struct view value, int64_t append_ms);
void log_memory_trim(struct log *log, const char *topic, int32_t partition, int64_t below);

#endif
