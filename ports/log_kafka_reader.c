/* ports/log_kafka_reader.c: pulls messages of assigned partitions.
 * TOUCHES: Kafka. */
#include "ports/log_kafka_reader.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- assigning */

static void remove_place(struct kafka_reader *reader, struct place *place)
{
	size_t i = 0;

	pthread_mutex_lock(&reader->mutex);
	while (reader->places[i] != place)
		i++;
	reader->place_count--;
	memmove(reader->places + i, reader->places + i + 1,
		(reader->place_count - i) * sizeof *reader->places);
	pthread_mutex_unlock(&reader->mutex);
	free(place);
}

static void add_place(
	struct kafka_reader *reader, const char *topic, int32_t partition, int64_t offset)
{
	struct place *place = memory_new(1, sizeof *place);

	snprintf(place->topic, sizeof place->topic, "%s", topic);
	place->partition = partition;
	place->next = offset >= 0 ? offset : -1;
	place->heard_ms = -1;
	place->gapped_ms = -1;
	pthread_mutex_lock(&reader->mutex);
	reader->places =
		memory_grow(reader->places, reader->place_count + 1, sizeof *reader->places);
	reader->places[reader->place_count++] = place;
	pthread_mutex_unlock(&reader->mutex);
}

static void unassign(struct log_reader *base, const char *topic, int32_t partition)
{
	struct kafka_reader *reader = (struct kafka_reader *)base;
	struct place *place = kafka_place(reader, topic, partition);

	if (!place)
		return;
	kafka_unassign(reader->client, topic, partition);
	remove_place(reader, place);
}

static enum rc assign(struct log_reader *base, const char *topic, int32_t partition, int64_t offset,
	struct err *err)
{
	struct kafka_reader *reader = (struct kafka_reader *)base;

	unassign(base, topic, partition);
	TRY(kafka_assign(reader->client, topic, partition, offset, err));
	add_place(reader, topic, partition, offset);
	return RC_OK;
}

/* ---- taking */

static void let_go(struct kafka_reader *reader)
{
	for (size_t i = 0; i < reader->held_count; i++)
		rd_kafka_message_destroy(reader->held[i]);
	reader->held_count = 0;
	reader->message_count = 0;
}

/* The partition stops; what there is instead is the helper's to ask, and log_take()'s to tell then.
 */
static void note_gap(struct kafka_reader *reader, struct place *place, int64_t offset)
{
	kafka_unassign(reader->client, place->topic, place->partition);
	if (place->next < 0)
		place->next = offset;
	place->gapped_ms = clock_monotonic_ms();
	place->ask_ms = 0;
	pthread_cond_signal(&reader->changed);
}

/* RC_OK: nothing to complain about. */
static enum rc sort_out(struct kafka_reader *reader, struct place *place,
	const rd_kafka_message_t *message, struct err *err)
{
	switch (message->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (place && place->next < message->offset)
			place->next = message->offset;
		return RC_OK;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		/* Of an offset that lies behind us it is a late word about an earlier place. */
		if (place && place->gapped_ms < 0 && message->offset >= place->next)
			note_gap(reader, place, message->offset);
		return RC_OK;
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		return RC_OK; /* we use no group */
	default:
		return err_set(err, RC_RETRY, "%s%s%s", place ? place->topic : "",
			place ? ": " : "", rd_kafka_message_errstr(message));
	}
}

static void give_out(struct kafka_reader *reader, struct place *place, const char *topic,
	const rd_kafka_message_t *message)
{
	place->next = message->offset + 1;
	reader->messages[reader->message_count++] = (struct log_message){
		.topic = topic,
		.partition = message->partition,
		.offset = message->offset,
		.append_ms = kafka_append_ms(message),
		.key = {message->key, message->key_len},
		.value = {message->payload, message->len},
	};
}

/* Waits for the first one only: librdkafka would wait until the array is full. */
static void pull(struct kafka_reader *reader, int wait_ms, size_t max)
{
	ssize_t got = rd_kafka_consume_batch_queue(reader->queue, wait_ms, reader->held, 1);

	reader->held_count = got > 0 ? (size_t)got : 0;
	if (reader->held_count && max > 1) {
		got = rd_kafka_consume_batch_queue(reader->queue, 0, reader->held + 1, max - 1);
		reader->held_count += got > 0 ? (size_t)got : 0;
	}
}

/* With the mutex held. The name of a topic lives as long as its messages, the place may not. */
static enum rc sort_all(struct kafka_reader *reader, struct err *err)
{
	rd_kafka_topic_t *topic = NULL; /* messages come in runs of one partition */
	int32_t partition = -1;
	const char *name = NULL;
	struct place *place = NULL;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < reader->held_count; i++) {
		const rd_kafka_message_t *message = reader->held[i];

		if (message->rkt != topic || message->partition != partition) {
			topic = message->rkt;
			partition = message->partition;
			name = topic ? rd_kafka_topic_name(topic) : NULL;
			place = topic ? kafka_place(reader, name, partition) : NULL;
		}
		if (message->err) {
			enum rc found = sort_out(reader, place, message, err);

			rc = found == RC_OK ? rc : found;
		} else if (place) {
			give_out(reader, place, name, message);
		}
	}
	return rc;
}

static enum rc pull_and_sort(struct kafka_reader *reader, int wait_ms, size_t max, struct err *err)
{
	let_go(reader);
	pull(reader, wait_ms, max);
	pthread_mutex_lock(&reader->mutex);
	enum rc rc = sort_all(reader, err);
	pthread_mutex_unlock(&reader->mutex);
	return reader->message_count ? RC_OK : rc; /* what is wrong with others comes again */
}

/* RC_NONE: no gap, or its ends are not yet known (*waits then). */
static enum rc report_gap(
	struct kafka_reader *reader, struct log_gap *gap, bool *waits, struct err *err)
{
	struct place *found = NULL;

	*waits = false;
	pthread_mutex_lock(&reader->mutex);
	for (size_t i = 0; i < reader->place_count && !found; i++) {
		struct place *place = reader->places[i];

		*waits = *waits || kafka_gap_waits(place);
		if (place->gapped_ms >= 0 && !kafka_gap_waits(place))
			found = place;
	}
	pthread_mutex_unlock(&reader->mutex);
	if (!found)
		return RC_NONE;

	*gap = (struct log_gap){.partition = found->partition,
		.offset = found->next,
		.low = found->low,
		.high = found->high};
	memcpy(gap->topic, found->topic, sizeof gap->topic);
	remove_place(reader, found);
	return err_set(err, RC_REJECT,
		"%s-%d: offset %lld is not in the log, which has %lld to %lld", gap->topic,
		(int)gap->partition, (long long)gap->offset, (long long)gap->low,
		(long long)gap->high);
}

/* Why nothing came, if that is not just silence. */
static enum rc excuse(struct kafka_reader *reader, struct err *err)
{
	enum rc rc = kafka_state(reader->log, err);

	if (rc != RC_OK)
		return RC_RETRY;
	pthread_mutex_lock(&reader->mutex);
	for (size_t i = 0; i < reader->place_count && rc == RC_OK; i++)
		if (reader->places[i]->trouble)
			rc = err_set(err, RC_RETRY, "%s-%d: %s", reader->places[i]->topic,
				(int)reader->places[i]->partition,
				rd_kafka_err2str(reader->places[i]->trouble));
	pthread_mutex_unlock(&reader->mutex);
	return rc == RC_OK ? RC_NONE : rc;
}

static void make_room(struct kafka_reader *reader, size_t max)
{
	if (reader->capacity >= max)
		return;
	let_go(reader);
	reader->held = memory_grow(reader->held, max, sizeof(rd_kafka_message_t *));
	reader->messages = memory_grow(reader->messages, max, sizeof *reader->messages);
	reader->capacity = max;
}

static enum rc take(struct log_reader *base, int wait_ms, size_t max,
	const struct log_message **messages, size_t *count, struct log_gap *gap, struct err *err)
{
	struct kafka_reader *reader = (struct kafka_reader *)base;
	int64_t deadline_ms = clock_monotonic_ms() + wait_ms;
	int64_t left_ms = wait_ms;

	*count = 0;
	make_room(reader, max);
	do {
		bool gap_waits;

		if (report_gap(reader, gap, &gap_waits, err) == RC_REJECT) {
			let_go(reader);
			return RC_REJECT;
		}
		if (gap_waits && left_ms > 10)
			left_ms = 10;
		TRY(pull_and_sort(reader, (int)left_ms, max, err));
		left_ms = deadline_ms - clock_monotonic_ms();
	} while (!reader->message_count && left_ms > 0);

	if (!reader->message_count)
		return excuse(reader, err);
	*messages = reader->messages;
	*count = reader->message_count;
	return RC_OK;
}

/* ---- ends */

static int64_t end_age_ms(struct log_reader *base, const char *topic, int32_t partition)
{
	struct kafka_reader *reader = (struct kafka_reader *)base;
	const struct place *place = kafka_place(reader, topic, partition);
	int64_t age_ms = -1;

	if (!place)
		return -1;
	pthread_mutex_lock(&reader->mutex);
	if (place->heard_ms >= 0 && place->gapped_ms < 0 && place->high == place->next)
		age_ms = clock_monotonic_ms() - place->heard_ms;
	pthread_mutex_unlock(&reader->mutex);
	return age_ms;
}

static int64_t lag(struct log_reader *base, const char *topic, int32_t partition)
{
	struct kafka_reader *reader = (struct kafka_reader *)base;
	const struct place *place = kafka_place(reader, topic, partition);
	int64_t records = -1;

	if (!place)
		return -1;
	pthread_mutex_lock(&reader->mutex);
	if (place->heard_ms >= 0 && place->next >= 0)
		records = place->high > place->next ? place->high - place->next : 0;
	pthread_mutex_unlock(&reader->mutex);
	return records;
}

/* ---- the reader */

static void release(struct kafka_reader *reader)
{
	let_go(reader);
	while (reader->place_count)
		free(reader->places[--reader->place_count]);
	rd_kafka_queue_destroy(reader->queue);
	rd_kafka_destroy_flags(reader->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	free(reader->places);
	free(reader->held);
	free(reader->messages);
	free(reader);
}

static void close_reader(struct log_reader *base)
{
	kafka_helper_stop((struct kafka_reader *)base);
	release((struct kafka_reader *)base);
}

enum rc kafka_reader_open(struct log *base, struct log_reader **opened, struct err *err)
{
	static const struct log_reader_kind kind = {
		.close = close_reader,
		.assign = assign,
		.unassign = unassign,
		.take = take,
		.end_age_ms = end_age_ms,
		.lag = lag,
	};
	struct kafka_log *log = (struct kafka_log *)base;
	rd_kafka_t *client;

	TRY(kafka_client(RD_KAFKA_CONSUMER, rd_kafka_conf_dup(log->settings), &client, err));
	struct kafka_reader *reader = memory_new(1, sizeof *reader);
	reader->reader.kind = &kind;
	reader->log = log;
	reader->client = client;
	rd_kafka_poll_set_consumer(client);
	reader->queue = rd_kafka_queue_get_consumer(client);
	if (!kafka_helper_start(reader)) {
		release(reader);
		return err_set(err, RC_FATAL, "no thread to be had for a reader of kafka");
	}
	*opened = &reader->reader;
	return RC_OK;
}
