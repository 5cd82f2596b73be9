/* ports/log_memory.c: logs in memory, for replay and flow tests: never unwell, never waits.
 * TOUCHES nothing. Offsets start at 0 and have no holes; what was trimmed is a gap to whoever wants
 * it. */
#include "ports/log_kind.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record {
	char *data; /* key, then value; owned */
	size_t key_size, value_size;
	int64_t append_ms;
	bool has_key, has_value;
};

struct partition {
	struct record *records; /* those from number `first` on are there */
	size_t first, count, capacity;
	int64_t low; /* the offset of the first one */
};

struct topic {
	char name[256];
	struct partition *partitions;
	int32_t partition_count;
	bool compacted;
	int64_t retention_ms;
};

struct memory_log {
	struct log log;
	struct topic **topics; /* a handful */
	size_t topic_count;
};

struct place {
	struct topic *topic;
	int32_t partition;
	int64_t next; /* offset of the first message not yet taken */
};

struct memory_reader {
	struct log_reader reader;
	struct memory_log *log;
	struct place *places;
	size_t place_count;
	size_t turn; /* the place that is asked first next time, so that none starves */
	struct log_message *messages;
	size_t message_capacity;
};

struct memory_writer {
	struct log_writer writer;
	struct memory_log *log;
	struct log_fates fates;
};

static struct topic *find_topic(const struct memory_log *memory, const char *name)
{
	for (size_t i = 0; i < memory->topic_count; i++)
		if (!strcmp(memory->topics[i]->name, name))
			return memory->topics[i];
	return NULL;
}

/* The topic, made if it is not there, with at least so many partitions. */
static struct topic *need_topic(struct memory_log *memory, const char *name, int32_t partitions)
{
	struct topic *topic = find_topic(memory, name);

	if (!topic) {
		topic = memory_new(1, sizeof *topic);
		snprintf(topic->name, sizeof topic->name, "%s", name);
		topic->retention_ms = -1;
		memory->topics = memory_grow(
			memory->topics, memory->topic_count + 1, sizeof *memory->topics);
		memory->topics[memory->topic_count++] = topic;
	}
	if (topic->partition_count < partitions) {
		topic->partitions = memory_grow(
			topic->partitions, (size_t)partitions, sizeof *topic->partitions);
		memset(topic->partitions + topic->partition_count, 0,
			(size_t)(partitions - topic->partition_count) * sizeof *topic->partitions);
		topic->partition_count = partitions;
	}
	return topic;
}

static int64_t end_of(const struct partition *partition)
{
	return partition->low + (int64_t)partition->count;
}

static struct record *record_at(const struct partition *partition, int64_t offset)
{
	return &partition->records[partition->first + (size_t)(offset - partition->low)];
}

static void make_room(struct partition *partition)
{
	if (partition->first + partition->count < partition->capacity)
		return;
	if (partition->first > partition->count) {
		memmove(partition->records, partition->records + partition->first,
			partition->count * sizeof *partition->records);
		partition->first = 0;
		return;
	}
	partition->capacity = partition->capacity ? partition->capacity * 2 : 64;
	partition->records =
		memory_grow(partition->records, partition->capacity, sizeof *partition->records);
}

static void append(
	struct partition *partition, struct view key, struct view value, int64_t append_ms)
{
	char *data = memory_new(key.size + value.size, 1);

	if (key.size)
		memcpy(data, key.data, key.size);
	if (value.size)
		memcpy(data + key.size, value.data, value.size);
	make_room(partition);
	partition->records[partition->first + partition->count++] = (struct record){
		.data = data,
		.key_size = key.size,
		.value_size = value.size,
		.append_ms = append_ms,
		.has_key = key.data != NULL,
		.has_value = value.data != NULL,
	};
}

static void trim(struct partition *partition, int64_t below)
{
	while (partition->count && partition->low < below) {
		free(partition->records[partition->first].data);
		partition->first++;
		partition->count--;
		partition->low++;
	}
	if (!partition->count)
		partition->first = 0;
}

void log_memory_append(struct log *log, const char *topic, int32_t partition, struct view key,
	struct view value, int64_t append_ms)
{
	struct topic *to = need_topic((struct memory_log *)log, topic, partition + 1);

	append(&to->partitions[partition], key, value, append_ms);
}

void log_memory_trim(struct log *log, const char *topic, int32_t partition, int64_t below)
{
	struct topic *of = find_topic((struct memory_log *)log, topic);

	if (of && partition < of->partition_count)
		trim(&of->partitions[partition], below);
}

/* ---- the log */

static void memory_close(struct log *log)
{
	struct memory_log *memory = (struct memory_log *)log;

	for (size_t i = 0; i < memory->topic_count; i++) {
		struct topic *topic = memory->topics[i];

		for (int32_t p = 0; p < topic->partition_count; p++) {
			trim(&topic->partitions[p], INT64_MAX);
			free(topic->partitions[p].records);
		}
		free(topic->partitions);
		free(topic);
	}
	free(memory->topics);
	free(memory);
}

static enum rc memory_partitions(
	struct log *log, const char *topic, int wait_ms, int32_t *count, struct err *err)
{
	const struct topic *found = find_topic((struct memory_log *)log, topic);

	(void)wait_ms;
	if (!found)
		return err_set(err, RC_NONE, "topic %s does not exist", topic);
	*count = found->partition_count;
	return RC_OK;
}

static enum rc memory_create(
	struct log *log, const struct log_topic *topic, int wait_ms, struct err *err)
{
	struct memory_log *memory = (struct memory_log *)log;
	struct topic *found = find_topic(memory, topic->name);

	(void)wait_ms;
	err->text[0] = '\0';
	if (!found) {
		found = need_topic(memory, topic->name, topic->partitions);
		found->compacted = topic->compacted;
		found->retention_ms = topic->retention_ms;
		return RC_OK;
	}
	if (found->partition_count != topic->partitions || found->compacted != topic->compacted ||
		found->retention_ms != topic->retention_ms)
		return err_set(err, RC_NONE, "topic %s is there with other settings", topic->name);
	return RC_NONE;
}

static enum rc memory_peek(struct log *log, const char *topic, int32_t partition, int64_t offset,
	int wait_ms, struct bytes *key, struct bytes *value, int64_t *append_ms, struct err *err)
{
	const struct topic *found = find_topic((struct memory_log *)log, topic);

	(void)wait_ms;
	if (!found || partition >= found->partition_count ||
		offset < found->partitions[partition].low ||
		offset >= end_of(&found->partitions[partition]))
		return err_set(err, RC_NONE, "%s-%d has no message at offset %lld", topic,
			(int)partition, (long long)offset);

	const struct record *record = record_at(&found->partitions[partition], offset);
	bytes_clear(key);
	bytes_clear(value);
	bytes_add(key, record->data, record->key_size);
	bytes_add(value, record->data + record->key_size, record->value_size);
	*append_ms = record->append_ms;
	return RC_OK;
}

static bool memory_is_well(struct log *log, char *text, size_t size)
{
	(void)log;
	if (size)
		text[0] = '\0';
	return true;
}

/* ---- reading */

static struct place *find_place(
	const struct memory_reader *reader, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < reader->place_count; i++)
		if (reader->places[i].partition == partition &&
			!strcmp(reader->places[i].topic->name, topic))
			return &reader->places[i];
	return NULL;
}

static struct partition *partition_of(const struct place *place)
{
	return &place->topic->partitions[place->partition];
}

static void drop_place(struct memory_reader *reader, struct place *place)
{
	size_t after = reader->place_count - (size_t)(place - reader->places) - 1;

	memmove(place, place + 1, after * sizeof *place);
	reader->place_count--;
}

static void reader_close(struct log_reader *base)
{
	struct memory_reader *reader = (struct memory_reader *)base;

	free(reader->places);
	free(reader->messages);
	free(reader);
}

static enum rc reader_assign(struct log_reader *base, const char *topic, int32_t partition,
	int64_t offset, struct err *err)
{
	struct memory_reader *reader = (struct memory_reader *)base;
	struct place *place = find_place(reader, topic, partition);

	(void)err;
	if (!place) {
		reader->places = memory_grow(
			reader->places, reader->place_count + 1, sizeof *reader->places);
		place = &reader->places[reader->place_count++];
		place->topic = need_topic(reader->log, topic, partition + 1);
		place->partition = partition;
	}
	place->next = offset == OFFSET_BEGINNING ? partition_of(place)->low
		      : offset == OFFSET_END     ? end_of(partition_of(place))
						 : offset;
	return RC_OK;
}

static void reader_unassign(struct log_reader *base, const char *topic, int32_t partition)
{
	struct memory_reader *reader = (struct memory_reader *)base;
	struct place *place = find_place(reader, topic, partition);

	if (place)
		drop_place(reader, place);
}

static size_t take_from(struct place *place, struct log_message *messages, size_t max)
{
	const struct partition *partition = partition_of(place);
	size_t count = 0;

	for (; count < max && place->next < end_of(partition); count++, place->next++) {
		const struct record *record = record_at(partition, place->next);

		messages[count] = (struct log_message){
			.topic = place->topic->name,
			.partition = place->partition,
			.offset = place->next,
			.append_ms = record->append_ms,
			.key = {record->has_key ? record->data : NULL, record->key_size},
			.value = {record->has_value ? record->data + record->key_size : NULL,
				record->value_size},
		};
	}
	return count;
}

static enum rc report_gap(
	struct memory_reader *reader, struct place *place, struct log_gap *gap, struct err *err)
{
	*gap = (struct log_gap){
		.partition = place->partition,
		.offset = place->next,
		.low = partition_of(place)->low,
		.high = end_of(partition_of(place)),
	};
	memcpy(gap->topic, place->topic->name, sizeof gap->topic);
	drop_place(reader, place);
	return err_set(err, RC_REJECT,
		"%s-%d: offset %lld is not in the log, which has %lld to %lld", gap->topic,
		(int)gap->partition, (long long)gap->offset, (long long)gap->low,
		(long long)gap->high);
}

static enum rc reader_take(struct log_reader *base, int wait_ms, size_t max,
	const struct log_message **messages, size_t *count, struct log_gap *gap, struct err *err)
{
	struct memory_reader *reader = (struct memory_reader *)base;
	size_t first = reader->turn++;

	(void)wait_ms;
	*count = 0;
	for (size_t i = 0; i < reader->place_count; i++) {
		struct place *place = &reader->places[i];

		if (place->next < partition_of(place)->low ||
			place->next > end_of(partition_of(place)))
			return report_gap(reader, place, gap, err);
	}
	if (reader->message_capacity < max) {
		reader->messages = memory_grow(reader->messages, max, sizeof *reader->messages);
		reader->message_capacity = max;
	}
	for (size_t i = 0; i < reader->place_count && *count < max; i++) {
		struct place *place = &reader->places[(first + i) % reader->place_count];

		*count += take_from(place, reader->messages + *count, max - *count);
	}
	*messages = reader->messages;
	return *count ? RC_OK : RC_NONE;
}

static int64_t reader_lag(struct log_reader *base, const char *topic, int32_t partition)
{
	const struct place *place = find_place((struct memory_reader *)base, topic, partition);

	return place ? end_of(partition_of(place)) - place->next : -1;
}

static int64_t reader_end_age_ms(struct log_reader *base, const char *topic, int32_t partition)
{
	return reader_lag(base, topic, partition) == 0 ? 0 : -1;
}

static enum rc memory_reader_open(struct log *log, struct log_reader **opened, struct err *err)
{
	static const struct log_reader_kind kind = {
		.close = reader_close,
		.assign = reader_assign,
		.unassign = reader_unassign,
		.take = reader_take,
		.end_age_ms = reader_end_age_ms,
		.lag = reader_lag,
	};
	struct memory_reader *reader = memory_new(1, sizeof *reader);

	(void)err;
	reader->reader.kind = &kind;
	reader->log = (struct memory_log *)log;
	*opened = &reader->reader;
	return RC_OK;
}

/* ---- writing */

static void writer_close(struct log_writer *base)
{
	struct memory_writer *writer = (struct memory_writer *)base;

	log_fates_done(&writer->fates);
	free(writer);
}

/* A record without a key goes to partition 0: chance has no place in a replay. Headers are not
 * kept: nothing reads them back. */
static enum rc writer_write(struct log_writer *base, const char *topic, struct view key,
	struct view value, struct view headers, uint64_t tag, struct err *err)
{
	struct memory_writer *writer = (struct memory_writer *)base;
	struct topic *to = need_topic(writer->log, topic, 1);
	int32_t partition = key.data ? log_partition_of(key, to->partition_count) : 0;

	(void)headers;
	(void)err;
	append(&to->partitions[partition], key, value, -1);
	log_fates_add(&writer->fates, tag, true);
	return RC_OK;
}

static size_t writer_written(
	struct log_writer *base, int wait_ms, size_t max, uint64_t tags[], bool delivered[])
{
	(void)wait_ms;
	return log_fates_take(&((struct memory_writer *)base)->fates, max, tags, delivered);
}

static enum rc memory_writer_open(struct log *log, const char *const topics[], size_t topic_count,
	struct log_writer **opened, struct err *err)
{
	static const struct log_writer_kind kind = {
		.close = writer_close,
		.write = writer_write,
		.written = writer_written,
	};
	struct memory_writer *writer = memory_new(1, sizeof *writer);

	(void)topics;
	(void)topic_count;
	(void)err;
	writer->writer.kind = &kind;
	writer->log = (struct memory_log *)log;
	*opened = &writer->writer;
	return RC_OK;
}

struct log *log_memory_open(void)
{
	static const struct log_kind kind = {
		.close = memory_close,
		.partitions = memory_partitions,
		.create = memory_create,
		.peek = memory_peek,
		.is_well = memory_is_well,
		.reader_open = memory_reader_open,
		.writer_open = memory_writer_open,
	};
	struct memory_log *memory = memory_new(1, sizeof *memory);

	memory->log.kind = &kind;
	return &memory->log;
}
