/* ports/log_kind.h: what log.c dispatches to: a log, its readers and writers each know their
 * functions. Private to ports/log*.c; the contract of every function is the one of its namesake in
 * ports/log.h. */
#ifndef PORTS_LOG_KIND_H
#define PORTS_LOG_KIND_H

#include "ports/log.h"

struct log_kind {
	void (*close)(struct log *log);
	enum rc (*partitions)(
		struct log *log, const char *topic, int wait_ms, int32_t *count, struct err *err);
	enum rc (*create)(
		struct log *log, const struct log_topic *topic, int wait_ms, struct err *err);
	enum rc (*peek)(struct log *log, const char *topic, int32_t partition, int64_t offset,
		int wait_ms, struct bytes *key, struct bytes *value, int64_t *append_ms,
		struct err *err);
	bool (*is_well)(struct log *log, char *text, size_t size);
	enum rc (*reader_open)(struct log *log, struct log_reader **opened, struct err *err);
	enum rc (*writer_open)(struct log *log, const char *const topics[], size_t topic_count,
		struct log_writer **opened, struct err *err);
};

struct log_reader_kind {
	void (*close)(struct log_reader *reader);
	enum rc (*assign)(struct log_reader *reader, const char *topic, int32_t partition,
		int64_t offset, struct err *err);
	void (*unassign)(struct log_reader *reader, const char *topic, int32_t partition);
	enum rc (*take)(struct log_reader *reader, int wait_ms, size_t max,
		const struct log_message **messages, size_t *count, struct log_gap *gap,
		struct err *err);
	int64_t (*end_age_ms)(struct log_reader *reader, const char *topic, int32_t partition);
	int64_t (*lag)(struct log_reader *reader, const char *topic, int32_t partition);
};

struct log_writer_kind {
	void (*close)(struct log_writer *writer);
	enum rc (*write)(struct log_writer *writer, const char *topic, struct view key,
		struct view value, struct view headers, uint64_t tag, struct err *err);
	size_t (*written)(struct log_writer *writer, int wait_ms, size_t max, uint64_t tags[],
		bool delivered[]);
};

/* The first member of every implementation's struct, so that one pointer is both. */
struct log {
	const struct log_kind *kind;
};
struct log_reader {
	const struct log_reader_kind *kind;
};
struct log_writer {
	const struct log_writer_kind *kind;
};

/* Fates of written records on their way to log_written(): first in, first out. All zero is empty.
 */
struct log_fates {
	struct log_fate {
		uint64_t tag;
		bool delivered;
	} * list;
	size_t first, count, capacity;
};
void log_fates_add(struct log_fates *fates, uint64_t tag, bool delivered);
size_t log_fates_take(struct log_fates *fates, size_t max, uint64_t tags[], bool delivered[]);
void log_fates_done(struct log_fates *fates);

#endif
