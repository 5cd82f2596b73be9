/* tests/tsan/kafka_stand_in.c: what the reader of the Kafka door calls of librdkafka, in a hurry
 * and in a bad mood: answers come late or not at all, offsets are gone, brokers are lost, and a
 * thread of its own says so to the log callback. The real one is not built with the thread
 * sanitizer. Lists of partitions and names of errors are the real ones. */
#include "tests/tsan/kafka_stand_in.h"

#include "core/memory.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct rd_kafka_conf_s {
	void *opaque;
	void (*on_error)(rd_kafka_t *client, int code, const char *reason, void *opaque);
	void (*on_log)(const rd_kafka_t *client, int level, const char *facility, const char *text);
};

struct rd_kafka_s {
	rd_kafka_conf_t conf;
	pthread_t thread;
	atomic_bool ends;
};

static atomic_uint chances = 1;

unsigned stand_in_chance(unsigned below)
{
	unsigned x = atomic_fetch_add(&chances, 0x9e3779b9u);

	x ^= x >> 16;
	x *= 0x85ebca6bu;
	x ^= x >> 13;
	x *= 0xc2b2ae35u;
	return (x ^ x >> 16) % below;
}

void stand_in_pause(unsigned us_max)
{
	const struct timespec pause = {.tv_nsec = 1000L * stand_in_chance(us_max)};

	nanosleep(&pause, NULL);
}

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
	return memory_new(1, sizeof(rd_kafka_conf_t));
}

rd_kafka_conf_t *rd_kafka_conf_dup(const rd_kafka_conf_t *conf)
{
	rd_kafka_conf_t *copy = rd_kafka_conf_new();

	*copy = *conf;
	return copy;
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *conf)
{
	free(conf);
}

rd_kafka_conf_res_t rd_kafka_conf_set(
	rd_kafka_conf_t *conf, const char *name, const char *value, char *says, size_t size)
{
	(void)conf, (void)name, (void)value, (void)says, (void)size;
	return RD_KAFKA_CONF_OK;
}

void rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque)
{
	conf->opaque = opaque;
}

void rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf,
	void (*on_error)(rd_kafka_t *client, int code, const char *reason, void *opaque))
{
	conf->on_error = on_error;
}

void rd_kafka_conf_set_log_cb(rd_kafka_conf_t *conf,
	void (*on_log)(const rd_kafka_t *client, int level, const char *facility, const char *text))
{
	conf->on_log = on_log;
}

void *rd_kafka_opaque(const rd_kafka_t *client)
{
	return client->conf.opaque;
}

static void *complain(void *context)
{
	rd_kafka_t *client = context;

	while (!atomic_load(&client->ends)) {
		client->conf.on_log(client, 3, "FAIL", "broker 1: SASL authentication failed");
		stand_in_pause(500);
	}
	return NULL;
}

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *says, size_t size)
{
	rd_kafka_t *client = memory_new(1, sizeof *client);

	(void)type, (void)says, (void)size;
	client->conf = *conf;
	free(conf);
	if (pthread_create(&client->thread, NULL, complain, client) == 0)
		return client;
	free(client);
	return NULL;
}

void rd_kafka_destroy_flags(rd_kafka_t *client, int flags)
{
	(void)flags;
	atomic_store(&client->ends, true);
	pthread_join(client->thread, NULL);
	free(client);
}

int rd_kafka_poll(rd_kafka_t *client, int wait_ms)
{
	(void)wait_ms;
	if (stand_in_chance(3))
		return 0;
	client->conf.on_error(client, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down",
		client->conf.opaque);
	return 1;
}

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *client)
{
	(void)client;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_error_t *rd_kafka_incremental_assign(
	rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list)
{
	(void)client, (void)list;
	return NULL;
}

rd_kafka_error_t *rd_kafka_incremental_unassign(
	rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list)
{
	(void)client, (void)list;
	return NULL;
}

rd_kafka_resp_err_t rd_kafka_offsets_for_times(
	rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int wait_ms)
{
	(void)client, (void)wait_ms;
	stand_in_pause(300);
	for (int i = 0; i < list->cnt; i++) {
		list->elems[i].offset = stand_in_chance(50);
		list->elems[i].err =
			stand_in_chance(20) ? 0 : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	}
	return stand_in_chance(10) ? 0 : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

/* The client is its own queue, and each topic is its name. */
rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *client)
{
	return (rd_kafka_queue_t *)client;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
	(void)queue;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic)
{
	return (const char *)topic;
}

ssize_t rd_kafka_consume_batch_queue(
	rd_kafka_queue_t *queue, int wait_ms, rd_kafka_message_t **messages, size_t size)
{
	static const rd_kafka_resp_err_t troubles[] = {RD_KAFKA_RESP_ERR__PARTITION_EOF,
		RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR__TRANSPORT};
	size_t count = stand_in_chance(3) ? stand_in_chance((unsigned)size + 1) : 0;

	(void)queue, (void)wait_ms;
	for (size_t i = 0; i < count; i++) {
		rd_kafka_message_t *message = memory_new(1, sizeof *message);

		message->rkt = (rd_kafka_topic_t *)(uintptr_t)STAND_IN_TOPIC;
		message->partition = (int32_t)stand_in_chance(STAND_IN_PARTITIONS);
		message->offset = stand_in_chance(50);
		message->err = stand_in_chance(4) ? 0 : troubles[stand_in_chance(3)];
		messages[i] = message;
	}
	return (ssize_t)count;
}

void rd_kafka_message_destroy(rd_kafka_message_t *message)
{
	free(message);
}

const char *rd_kafka_message_errstr(const rd_kafka_message_t *message)
{
	return rd_kafka_err2str(message->err);
}

int64_t rd_kafka_message_timestamp(
	const rd_kafka_message_t *message, rd_kafka_timestamp_type_t *type)
{
	(void)message;
	*type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
	return -1;
}
