/* ports/log_kafka.h: what the files of the Kafka door share: clients alike in settings, and one
 * view of whether the brokers answer. Private to ports/log_kafka*.c, the only users of librdkafka.
 * TOUCHES: Kafka. */
#ifndef PORTS_LOG_KAFKA_H
#define PORTS_LOG_KAFKA_H

#include "ports/log_kind.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

struct kafka_setting {
	const char *name, *value;
};

enum refusal { REFUSED_NOT, REFUSED_LOGIN, REFUSED_TLS };

struct kafka_log {
	struct log log;
	rd_kafka_conf_t
		*settings;        /* of every client; callbacks get the kafka_log as their opaque */
	rd_kafka_t *asker;        /* asks about topics, creates them, peeks */
	rd_kafka_queue_t *peeked; /* what the asker reads for log_peek() */

	pthread_mutex_t mutex; /* of the rest, which threads of librdkafka and helpers change too */
	bool unwell;
	int64_t unwell_since_ms; /* monotonic */
	enum refusal refusal;    /* the last that was heard is one */
	int64_t refused_since_ms;
	char reason[300]; /* the last one heard; "" none */
};

/* A client with these settings (taken over). RC_FATAL: librdkafka does not accept them together. */
enum rc kafka_client(rd_kafka_type_t type, rd_kafka_conf_t *settings, rd_kafka_t **client,
	struct err *err) MUST_CHECK;

/* A broker answered; or it did not, and why. */
void kafka_is_well(struct kafka_log *log);
void kafka_is_unwell(struct kafka_log *log, const char *reason);

/* RC_OK: nothing bad known. Else RC_RETRY with a sentence, or RC_FATAL when we are refused. */
enum rc kafka_state(struct kafka_log *log, struct err *err) MUST_CHECK;

/* From now on the consumer reads the partition from an offset, or no more. Other partitions are not
 * disturbed. */
enum rc kafka_assign(rd_kafka_t *client, const char *topic, int32_t partition, int64_t offset,
	struct err *err) MUST_CHECK;
void kafka_unassign(rd_kafka_t *client, const char *topic, int32_t partition);

int kafka_left_ms(int64_t deadline_ms); /* of a wait until then (monotonic); 0: over */

int64_t kafka_append_ms(const rd_kafka_message_t *message);

enum rc kafka_partitions(struct log *log, const char *topic, int wait_ms, int32_t *count,
	struct err *err) MUST_CHECK;
enum rc kafka_create(
	struct log *log, const struct log_topic *topic, int wait_ms, struct err *err) MUST_CHECK;
enum rc kafka_reader_open(struct log *log, struct log_reader **opened, struct err *err) MUST_CHECK;
enum rc kafka_writer_open(struct log *log, const char *const topics[], size_t topic_count,
	struct log_writer **opened, struct err *err) MUST_CHECK;

#endif
