/* ports/log_kafka_reader.c: pulls messages of assigned partitions, and knows how far away their ends are.
 * TOUCHES: Kafka.
 *
 * Each reader has a helper thread that asks brokers for the ends of its partitions all the time. That tells the
 * lag, and confirms the end of the log to whoever must know that silence is silence. It asks over the asker's
 * connections: on the reader's own ones an answer waits behind a fetch that waits for data (half a second).
 * Only while there is a lag it asks there too, because that wakes librdkafka 2.0.2, which otherwise sleeps up
 * to a second after its queue was full (librdkafka issue 2879). */
#include "ports/log_kafka.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ASK_EVERY_MS = 100,
	ASK_WAIT_MS = 1000,  /* for answers */
	ASK_AGAIN_MS = 2000, /* who did not answer is asked again, alone, so that others do not wait for it */
	WAKE_WAIT_MS = 50,   /* the request is what wakes; its answer does not matter */
};

struct place { /* all but the first two under the reader's mutex */
	char topic[256];
	int32_t partition;
	int64_t next;      /* offset of the first message not yet taken; -1: not yet known */
	int64_t low, high; /* as last heard; low only after a gap */
	int64_t heard_ms;  /* monotonic, when that was asked; -1: nothing heard */
	rd_kafka_resp_err_t trouble; /* of the last question */
	int64_t ask_ms;    /* when in trouble: not to be asked before */
	int64_t gapped_ms; /* since when its offset is known not to be in the log; -1: it is */
};

struct kafka_reader {
	struct log_reader reader;
	struct kafka_log *log;
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	rd_kafka_message_t **held; /* what the last take gave out */
	size_t held_count, capacity;
	struct log_message *messages;
	size_t message_count;

	pthread_t helper;
	pthread_mutex_t mutex; /* of what follows; only the reader's own thread changes the list */
	pthread_cond_t changed;
	struct place **places;
	size_t place_count;
	bool closing;
};

static struct place *find_place(
	const struct kafka_reader *reader, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < reader->place_count; i++)
		if (reader->places[i]->partition == partition &&
			!strcmp(reader->places[i]->topic, topic))
			return reader->places[i];
	return NULL;
}

/* ---- the helper */

static void list_place(rd_kafka_topic_partition_list_t *list, const struct place *place)
{
	rd_kafka_topic_partition_list_add(list, place->topic, place->partition);
}

/* Asks for one offset of each partition of the list, which gets the answers. */
static rd_kafka_resp_err_t ask(
	rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int64_t which, int wait_ms)
{
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = which;
	/* "For time -1" and "-2" are the protocol's words for end and beginning (ListOffsets). */
	rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client, list, wait_ms);

	for (int i = 0; i < list->cnt && !code; i++)
		code = list->elems[i].err;
	return code;
}

/* RC_OK and the high ends (and the low ones in lows, which may be NULL) of all, or trouble with some. */
static rd_kafka_resp_err_t ask_ends(struct kafka_log *log, rd_kafka_topic_partition_list_t *highs,
	rd_kafka_topic_partition_list_t *lows)
{
	rd_kafka_resp_err_t code = ask(log->asker, highs, RD_KAFKA_OFFSET_END, ASK_WAIT_MS);

	if (!code && lows)
		code = ask(log->asker, lows, RD_KAFKA_OFFSET_BEGINNING, ASK_WAIT_MS);
	if (!code)
		kafka_is_well(log);
	else if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT)
		kafka_is_unwell(log, "no answer to a question for the ends of partitions");
	return code;
}

static void hear(struct kafka_reader *reader, const rd_kafka_topic_partition_list_t *highs,
	int64_t asked_ms)
{
	for (int i = 0; i < highs->cnt; i++) {
		struct place *place =
			find_place(reader, highs->elems[i].topic, highs->elems[i].partition);

		if (!place)
			continue; /* unassigned meanwhile */
		place->high = highs->elems[i].offset;
		place->heard_ms = asked_ms;
		place->trouble = RD_KAFKA_RESP_ERR_NO_ERROR;
	}
}

/* Like all below: with the mutex held, which is given up for the question itself, so that places may be gone
 * afterwards. The time of the question counts, not of the answer. */
static rd_kafka_resp_err_t ask_many(
	struct kafka_reader *reader, rd_kafka_topic_partition_list_t *highs)
{
	int64_t asked_ms = clock_monotonic_ms();

	pthread_mutex_unlock(&reader->mutex);
	rd_kafka_resp_err_t code = ask_ends(reader->log, highs, NULL);
	pthread_mutex_lock(&reader->mutex);
	if (!code)
		hear(reader, highs, asked_ms);
	return code;
}

/* One alone, with its low end: because it is in trouble, or behind a gap. */
static void ask_one(struct kafka_reader *reader, const char *topic, int32_t partition)
{
	rd_kafka_topic_partition_list_t *highs = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(highs, topic, partition);
	rd_kafka_topic_partition_list_t *lows = rd_kafka_topic_partition_list_copy(highs);
	int64_t asked_ms = clock_monotonic_ms();

	pthread_mutex_unlock(&reader->mutex);
	rd_kafka_resp_err_t code = ask_ends(reader->log, highs, lows);
	pthread_mutex_lock(&reader->mutex);

	struct place *place = find_place(reader, highs->elems[0].topic, partition);
	if (place && !code) {
		hear(reader, highs, asked_ms);
		place->low = lows->elems[0].offset;
	} else if (place) {
		place->trouble = code;
		place->ask_ms = clock_monotonic_ms() + ASK_AGAIN_MS;
	}
	rd_kafka_topic_partition_list_destroy(highs);
	rd_kafka_topic_partition_list_destroy(lows);
}

static bool wants_gap(const struct place *place)
{
	return place->gapped_ms >= 0 && place->heard_ms < place->gapped_ms;
}

static struct place *find_single(struct kafka_reader *reader)
{
	int64_t now_ms = clock_monotonic_ms();

	for (size_t i = 0; i < reader->place_count; i++) {
		struct place *place = reader->places[i];

		if ((wants_gap(place) || place->trouble) && place->ask_ms <= now_ms)
			return place;
	}
	return NULL;
}

/* All that are not in trouble, in one question; if that fails, each alone, to find out which are. */
static void ask_all(struct kafka_reader *reader)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

	for (size_t i = 0; i < reader->place_count; i++)
		if (!reader->places[i]->trouble)
			list_place(list, reader->places[i]);
	if (list->cnt && ask_many(reader, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		for (int i = 0; i < list->cnt && !reader->closing; i++)
			ask_one(reader, list->elems[i].topic, list->elems[i].partition);
	rd_kafka_topic_partition_list_destroy(list);
}

static void wake(struct kafka_reader *reader)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

	for (size_t i = 0; i < reader->place_count; i++)
		if (!reader->places[i]->trouble && reader->places[i]->high > reader->places[i]->next)
			list_place(list, reader->places[i]);
	if (list->cnt) {
		pthread_mutex_unlock(&reader->mutex);
		ask(reader->client, list, RD_KAFKA_OFFSET_END, WAKE_WAIT_MS);
		pthread_mutex_lock(&reader->mutex);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static void rest(struct kafka_reader *reader)
{
	int64_t until_ms = clock_monotonic_ms() + ASK_EVERY_MS;
	struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * 1000000};

	pthread_cond_timedwait(&reader->changed, &reader->mutex, &until);
}

static void *help(void *context)
{
	struct kafka_reader *reader = context;

	pthread_mutex_lock(&reader->mutex);
	while (!reader->closing) {
		struct place *single = find_single(reader);

		if (single)
			ask_one(reader, single->topic, single->partition);
		ask_all(reader);
		wake(reader);
		rd_kafka_poll(reader->log->asker, 0); /* its errors */
		if (!reader->closing)
			rest(reader);
	}
	pthread_mutex_unlock(&reader->mutex);
	return NULL;
}

/* Signals are for the main thread. */
static void start_helper(struct kafka_reader *reader)
{
	sigset_t all, before;
	pthread_condattr_t monotonic;

	pthread_mutex_init(&reader->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&reader->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_create(&reader->helper, NULL, help, reader);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_helper(struct kafka_reader *reader)
{
	pthread_mutex_lock(&reader->mutex);
	reader->closing = true;
	pthread_cond_signal(&reader->changed);
	pthread_mutex_unlock(&reader->mutex);
	pthread_join(reader->helper, NULL);
	pthread_cond_destroy(&reader->changed);
	pthread_mutex_destroy(&reader->mutex);
}

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
	struct place *place = find_place(reader, topic, partition);

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

/* The partition stops; what there is instead is the helper's to ask, and log_take()'s to tell then. */
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

static void give_out(
	struct kafka_reader *reader, struct place *place, const rd_kafka_message_t *message)
{
	place->next = message->offset + 1;
	reader->messages[reader->message_count++] = (struct log_message){
		.topic = place->topic,
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
		got = rd_kafka_consume_batch_queue(
			reader->queue, 0, reader->held + 1, max - 1);
		reader->held_count += got > 0 ? (size_t)got : 0;
	}
}

/* With the mutex held. */
static enum rc sort_all(struct kafka_reader *reader, struct err *err)
{
	rd_kafka_topic_t *topic = NULL; /* messages come in runs of one partition */
	int32_t partition = -1;
	struct place *place = NULL;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < reader->held_count; i++) {
		const rd_kafka_message_t *message = reader->held[i];

		if (!place || message->rkt != topic || message->partition != partition) {
			topic = message->rkt;
			partition = message->partition;
			place = topic ? find_place(reader, rd_kafka_topic_name(topic), partition)
				      : NULL;
		}
		if (message->err) {
			enum rc found = sort_out(reader, place, message, err);

			rc = found == RC_OK ? rc : found;
		} else if (place) {
			give_out(reader, place, message);
		}
	}
	return rc;
}

static enum rc pull_and_sort(
	struct kafka_reader *reader, int wait_ms, size_t max, struct err *err)
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

		*waits = *waits || wants_gap(place);
		if (place->gapped_ms >= 0 && !wants_gap(place))
			found = place;
	}
	pthread_mutex_unlock(&reader->mutex);
	if (!found)
		return RC_NONE;

	*gap = (struct log_gap){.partition = found->partition, .offset = found->next,
		.low = found->low, .high = found->high};
	memcpy(gap->topic, found->topic, sizeof gap->topic);
	remove_place(reader, found);
	return err_set(err, RC_REJECT, "%s-%d: offset %lld is not in the log, which has %lld to %lld",
		gap->topic, (int)gap->partition, (long long)gap->offset, (long long)gap->low,
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
	const struct place *place = find_place(reader, topic, partition);
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
	const struct place *place = find_place(reader, topic, partition);
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

static void close_reader(struct log_reader *base)
{
	struct kafka_reader *reader = (struct kafka_reader *)base;

	stop_helper(reader);
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

	TRY(kafka_client(
		RD_KAFKA_CONSUMER, rd_kafka_conf_dup(log->settings), &client, err));
	struct kafka_reader *reader = memory_new(1, sizeof *reader);
	reader->reader.kind = &kind;
	reader->log = log;
	reader->client = client;
	rd_kafka_poll_set_consumer(client);
	reader->queue = rd_kafka_queue_get_consumer(client);
	start_helper(reader);
	*opened = &reader->reader;
	return RC_OK;
}
