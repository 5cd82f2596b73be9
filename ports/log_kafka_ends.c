/* ports/log_kafka_ends.c: a reader's helper thread: it asks brokers for the ends of partitions all
 * the time.
 * TOUCHES: Kafka.
 *
 * That tells the lag, and confirms the end of the log to whoever must know that silence is silence.
 * It asks over the asker's connections: on the reader's own ones an answer waits behind a fetch
 * that waits for data. Only while there is a lag it asks there too, because that wakes
 * librdkafka 2.0.2, which otherwise sleeps up to a second after its queue was full (librdkafka
 * issue 2879). */
#include "ports/log_kafka_reader.h"

#include "ports/clock.h"

#include <signal.h>
#include <string.h>
#include <time.h>

/* A place that did not answer is asked again after a while only: the others wait meanwhile. What
 * wakes is the request, so nobody waits long for its answer. */
enum {
	ASK_EVERY_MS = 100,
	ASK_ALL_WAIT_MS = 1000,
	ASK_ONE_WAIT_MS = 500,
	ASK_AGAIN_MS = 2000,
	WAKE_WAIT_MS = 50,
};

struct place *kafka_place(const struct kafka_reader *reader, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < reader->place_count; i++)
		if (reader->places[i]->partition == partition &&
			!strcmp(reader->places[i]->topic, topic))
			return reader->places[i];
	return NULL;
}

bool kafka_gap_waits(const struct place *place)
{
	return place->gapped_ms >= 0 && place->heard_ms < place->gapped_ms;
}

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

/* The ends that a consumer of committed messages sees: in the middle of a transaction, where that
 * began. */
static rd_kafka_resp_err_t ask_ends(struct kafka_log *log, rd_kafka_topic_partition_list_t *highs,
	rd_kafka_topic_partition_list_t *lows, int wait_ms)
{
	rd_kafka_resp_err_t code = ask(log->asker, highs, RD_KAFKA_OFFSET_END, wait_ms);

	if (!code && lows)
		code = ask(log->asker, lows, RD_KAFKA_OFFSET_BEGINNING, wait_ms);
	if (!code)
		kafka_is_well(log);
	else if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT)
		kafka_is_unwell(log, "no answer to a question for the ends of partitions");
	return code;
}

static void hear(struct place *place, int64_t high, int64_t asked_ms)
{
	place->high = high;
	place->heard_ms = asked_ms;
	place->trouble = RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Those that are not in trouble, in one question; if that fails, all are until asked alone. Like
 * all below: with the mutex held, which is given up for the question itself, so that places may be
 * gone afterwards. The time of the question counts, not of the answer. */
static void ask_all(struct kafka_reader *reader)
{
	rd_kafka_topic_partition_list_t *highs = rd_kafka_topic_partition_list_new(16);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	int64_t asked_ms = clock_monotonic_ms();

	for (size_t i = 0; i < reader->place_count; i++)
		if (!reader->places[i]->trouble && reader->places[i]->gapped_ms < 0)
			list_place(highs, reader->places[i]);
	if (highs->cnt) {
		pthread_mutex_unlock(&reader->mutex);
		code = ask_ends(reader->log, highs, NULL, ASK_ALL_WAIT_MS);
		pthread_mutex_lock(&reader->mutex);
	}
	for (int i = 0; i < highs->cnt; i++) {
		const rd_kafka_topic_partition_t *answer = &highs->elems[i];
		struct place *place = kafka_place(reader, answer->topic, answer->partition);

		if (!place || place->gapped_ms >= 0)
			continue;
		if (!code) {
			hear(place, answer->offset, asked_ms);
		} else {
			place->trouble = code;
			place->ask_ms = asked_ms;
		}
	}
	rd_kafka_topic_partition_list_destroy(highs);
}

/* One alone, with its low end. False: no answer. */
static bool ask_one(struct kafka_reader *reader, const struct place *which)
{
	rd_kafka_topic_partition_list_t *highs = rd_kafka_topic_partition_list_new(1);
	list_place(highs, which);
	rd_kafka_topic_partition_list_t *lows = rd_kafka_topic_partition_list_copy(highs);
	int64_t asked_ms = clock_monotonic_ms();

	pthread_mutex_unlock(&reader->mutex);
	rd_kafka_resp_err_t code = ask_ends(reader->log, highs, lows, ASK_ONE_WAIT_MS);
	pthread_mutex_lock(&reader->mutex);

	struct place *place = kafka_place(reader, highs->elems[0].topic, highs->elems[0].partition);
	if (place && !code) {
		hear(place, highs->elems[0].offset, asked_ms);
		place->low = lows->elems[0].offset;
	} else if (place) {
		place->trouble = code;
		place->ask_ms = clock_monotonic_ms() + ASK_AGAIN_MS;
	}
	rd_kafka_topic_partition_list_destroy(highs);
	rd_kafka_topic_partition_list_destroy(lows);
	return !code;
}

/* The one that has waited longest to be asked alone: it is in trouble, or behind a gap. */
static struct place *find_single(struct kafka_reader *reader)
{
	int64_t now_ms = clock_monotonic_ms();
	struct place *found = NULL;

	for (size_t i = 0; i < reader->place_count; i++) {
		struct place *place = reader->places[i];

		if ((kafka_gap_waits(place) || place->trouble) && place->ask_ms <= now_ms &&
			(!found || place->ask_ms < found->ask_ms))
			found = place;
	}
	return found;
}

/* Until one does not answer: that costs time enough for one beat. */
static void ask_singles(struct kafka_reader *reader)
{
	struct place *place;

	while (!reader->closing && (place = find_single(reader)))
		if (!ask_one(reader, place))
			return;
}

static void wake(struct kafka_reader *reader)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

	for (size_t i = 0; i < reader->place_count; i++)
		if (!reader->places[i]->trouble &&
			reader->places[i]->high > reader->places[i]->next)
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
	struct timespec until = {
		.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

	pthread_cond_timedwait(&reader->changed, &reader->mutex, &until);
}

static void *help(void *context)
{
	struct kafka_reader *reader = context;

	pthread_mutex_lock(&reader->mutex);
	while (!reader->closing) {
		ask_all(reader);
		ask_singles(reader);
		wake(reader);
		rd_kafka_poll(reader->log->asker, 0); /* its errors */
		if (!reader->closing)
			rest(reader);
	}
	pthread_mutex_unlock(&reader->mutex);
	return NULL;
}

/* Signals are for the main thread. */
bool kafka_helper_start(struct kafka_reader *reader)
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
	bool started = pthread_create(&reader->helper, NULL, help, reader) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

void kafka_helper_stop(struct kafka_reader *reader)
{
	pthread_mutex_lock(&reader->mutex);
	reader->closing = true;
	pthread_cond_signal(&reader->changed);
	pthread_mutex_unlock(&reader->mutex);
	pthread_join(reader->helper, NULL);
	pthread_cond_destroy(&reader->changed);
	pthread_mutex_destroy(&reader->mutex);
}
