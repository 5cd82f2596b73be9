/* ports/log_kafka.c: logs in Kafka: settings, health, single messages. Topics, readers and writers
 * are in log_kafka_topics.c, log_kafka_reader.c, log_kafka_writer.c.
 * TOUCHES: Kafka. Written for librdkafka 2.0.2 of Debian 12. */
#include "ports/log_kafka.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ours unless the user says otherwise. */
static const struct kafka_setting defaults[] = {
	{"reconnect.backoff.max.ms", "500"}, /* its own 10 s makes 10 s of every outage */
	{"socket.timeout.ms", "10000"},
	{"fetch.wait.max.ms", "100"},            /* a newly assigned partition waits for it once */
	{"queued.max.messages.kbytes", "65536"}, /* of a reader's memory */
	{"queue.buffering.max.kbytes", "65536"}, /* of a writer's memory */
	{"message.max.bytes", "16777216"},       /* the topic's own limit is what decides */
	{"message.timeout.ms", "0"}, /* for ever: giving up on a record would only reorder it */
	{"linger.ms", "1"},          /* findings must be fast */
	{"compression.type", "lz4"},
};

/* What the guarantees rest on; whatever the user says. */
static const struct kafka_setting demands[] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.offset.reset", "error"},   /* a hole in the log must be heard of */
	{"enable.partition.eof", "true"}, /* steps over ends of transactions: no messages */
	{"isolation.level", "read_committed"},
	{"check.crcs", "true"},
	{"allow.auto.create.topics", "false"},
	{"enable.idempotence", "true"},
	{"acks", "all"},
	{"partitioner", "murmur2_random"},
};

enum { REFUSED_MS = 300 }; /* so long, and it is one */

/* ---- settings */

/* Never says the value: it may be a password. librdkafka's own words often do. */
static enum rc set(rd_kafka_conf_t *settings, const char *name, const char *value, struct err *err)
{
	char why[512];

	switch (rd_kafka_conf_set(settings, name, value, why, sizeof why)) {
	case RD_KAFKA_CONF_OK:
		return RC_OK;
	case RD_KAFKA_CONF_UNKNOWN:
		return err_set(err, RC_FATAL,
			"kafka property %s: librdkafka %s has no such property", name,
			rd_kafka_version_str());
	default:
		return err_set(err, RC_FATAL,
			"kafka property %s: its value is not one that librdkafka %s takes", name,
			rd_kafka_version_str());
	}
}

static enum rc set_all(
	rd_kafka_conf_t *settings, const struct kafka_setting *list, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		TRY(set(settings, list[i].name, list[i].value, err));
	return RC_OK;
}

static enum rc set_property(
	rd_kafka_conf_t *settings, const struct config_property *property, struct err *err)
{
	if (!property->secret)
		return set(settings, property->name, property->value, err);

	struct view secret = secret_reveal(property->secret);
	char *text = memory_copy(secret.data, secret.size);
	enum rc rc = set(settings, property->name, text, err);

	explicit_bzero(text, secret.size);
	free(text);
	return rc;
}

static enum rc set_everything(rd_kafka_conf_t *settings, const struct config_kafka *kafka,
	const char *client_id, struct err *err)
{
	const struct kafka_setting names[] = {
		{"bootstrap.servers", kafka->brokers}, {"client.id", client_id},
		{"group.id",
			client_id}, /* the consumer API asks for one; no group is ever joined */
	};
	char ignored[128];

	TRY(set_all(settings, names, sizeof names / sizeof *names, err));
	TRY(set_all(settings, defaults, sizeof defaults / sizeof *defaults, err));
	/* Since 2.2; for older ones see log_kafka_ends.c. */
	rd_kafka_conf_set(settings, "fetch.queue.backoff.ms", "10", ignored, sizeof ignored);
	for (size_t i = 0; i < kafka->property_count; i++)
		TRY(set_property(settings, &kafka->properties[i], err));
	return set_all(settings, demands, sizeof demands / sizeof *demands, err);
}

/* ---- health */

void kafka_is_well(struct kafka_log *log)
{
	pthread_mutex_lock(&log->mutex);
	log->unwell = false;
	log->refusal = REFUSED_NOT;
	log->reason[0] = '\0';
	pthread_mutex_unlock(&log->mutex);
}

static void hear(struct kafka_log *log, bool unwell, enum refusal refusal, const char *reason)
{
	pthread_mutex_lock(&log->mutex);
	if (unwell && !log->unwell) {
		log->unwell = true;
		log->unwell_since_ms = clock_monotonic_ms();
	}
	if (refusal && !log->refusal)
		log->refused_since_ms = clock_monotonic_ms();
	if (reason) {
		log->refusal = refusal;
		snprintf(log->reason, sizeof log->reason, "%s", reason);
	}
	pthread_mutex_unlock(&log->mutex);
}

void kafka_is_unwell(struct kafka_log *log, const char *reason)
{
	hear(log, true, REFUSED_NOT, reason);
}

/* A broker that dies in the middle of a handshake looks like a refusal too, but not for long. */
static enum rc state(const struct kafka_log *log, struct err *err)
{
	int64_t now_ms = clock_monotonic_ms();
	bool refused = log->refusal && now_ms >= log->refused_since_ms + REFUSED_MS;

	if (!log->unwell)
		return RC_OK;
	if (refused && log->refusal == REFUSED_LOGIN)
		return err_set(err, RC_FATAL,
			"kafka refuses our login (look at sasl.username, sasl.password, "
			"sasl.mechanism): %s",
			log->reason);
	if (refused)
		return err_set(err, RC_FATAL,
			"kafka and we do not agree on TLS (look at security.protocol, "
			"ssl.ca.location): %s",
			log->reason);
	return err_set(err, RC_RETRY, "kafka does not answer since %lld s: %s",
		(long long)(now_ms - log->unwell_since_ms) / 1000,
		log->reason[0] ? log->reason : "no reason known");
}

enum rc kafka_state(struct kafka_log *log, struct err *err)
{
	pthread_mutex_lock(&log->mutex);
	enum rc rc = state(log, err);
	pthread_mutex_unlock(&log->mutex);
	return rc;
}

/* One lost connection is no outage; that no broker is left is one, and the last lost connection is
 * its reason. */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *context)
{
	(void)client;
	switch (code) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		hear(context, true, REFUSED_LOGIN, reason);
		break;
	case RD_KAFKA_RESP_ERR__SSL:
		hear(context, true, REFUSED_TLS, reason);
		break;
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		hear(context, true, REFUSED_NOT, NULL);
		break;
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
		hear(context, false, REFUSED_NOT, reason);
		break;
	default:
		break; /* about topics and partitions: heard where they are used */
	}
}

/* What matters arrives as an error too; nothing may be printed here. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	(void)client;
	(void)level;
	(void)facility;
	(void)text;
}

static bool is_well(struct log *base, char *text, size_t size)
{
	struct err err = {0};
	bool well = kafka_state((struct kafka_log *)base, &err) == RC_OK;

	if (size)
		snprintf(text, size, "%s", err.text);
	return well;
}

/* ---- clients */

enum rc kafka_client(
	rd_kafka_type_t type, rd_kafka_conf_t *settings, rd_kafka_t **client, struct err *err)
{
	char why[512];

	*client = rd_kafka_new(type, settings, why, sizeof why);
	if (*client)
		return RC_OK;
	rd_kafka_conf_destroy(settings);
	return err_set(err, RC_FATAL, "kafka settings: %s", why);
}

static enum rc change_assignment(rd_kafka_t *client, bool add, const char *topic, int32_t partition,
	int64_t offset, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	rd_kafka_error_t *error = add ? rd_kafka_incremental_assign(client, list)
				      : rd_kafka_incremental_unassign(client, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (!error)
		return RC_OK;
	err_set(err, RC_RETRY, "%s-%d can not be assigned: %s", topic, (int)partition,
		rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return RC_RETRY;
}

enum rc kafka_assign(
	rd_kafka_t *client, const char *topic, int32_t partition, int64_t offset, struct err *err)
{
	return change_assignment(client, true, topic, partition, offset, err);
}

void kafka_unassign(rd_kafka_t *client, const char *topic, int32_t partition)
{
	struct err ignored; /* it is not assigned: fine */

	if (change_assignment(client, false, topic, partition, RD_KAFKA_OFFSET_INVALID, &ignored) !=
		RC_OK)
		return;
}

int64_t kafka_append_ms(const rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	int64_t ms = rd_kafka_message_timestamp(message, &type);

	return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : ms;
}

/* ---- one message */

int kafka_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_monotonic_ms();

	return left > 0 ? (int)left : 0;
}

static enum rc judge_peeked(const rd_kafka_message_t *message, int64_t offset, struct bytes *key,
	struct bytes *value, int64_t *append_ms, struct err *err)
{
	switch (message->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		if (message->offset != offset)
			break; /* it was compacted away, or never was a message */
		bytes_clear(key);
		bytes_clear(value);
		bytes_add(key, message->key, message->key_len);
		bytes_add(value, message->payload, message->len);
		*append_ms = kafka_append_ms(message);
		return RC_OK;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		break;
	default:
		return err_set(err, RC_RETRY, "%s", rd_kafka_message_errstr(message));
	}
	return err_set(err, RC_NONE, "no message has offset %lld", (long long)offset);
}

/* An answer may be a late one to an earlier question that was given up. */
static bool is_answer(
	const rd_kafka_message_t *message, const char *topic, int32_t partition, int64_t offset)
{
	return message->rkt && message->partition == partition &&
	       !strcmp(rd_kafka_topic_name(message->rkt), topic) && message->offset >= offset;
}

static enum rc await_peeked(struct kafka_log *log, const char *topic, int32_t partition,
	int64_t offset, int wait_ms, struct bytes *key, struct bytes *value, int64_t *append_ms,
	struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + wait_ms;
	enum rc rc = err_set(err, RC_RETRY, "no answer within %d ms", wait_ms);

	while (rc == RC_RETRY && kafka_left_ms(deadline_ms)) {
		rd_kafka_message_t *message;

		rd_kafka_poll(log->asker, 0);
		if (rd_kafka_consume_batch_queue(log->peeked, 50, &message, 1) != 1)
			continue;
		if (is_answer(message, topic, partition, offset))
			rc = judge_peeked(message, offset, key, value, append_ms, err);
		rd_kafka_message_destroy(message);
	}
	return rc;
}

static enum rc peek(struct log *base, const char *topic, int32_t partition, int64_t offset,
	int wait_ms, struct bytes *key, struct bytes *value, int64_t *append_ms, struct err *err)
{
	struct kafka_log *log = (struct kafka_log *)base;

	TRY(kafka_assign(log->asker, topic, partition, offset, err));
	enum rc rc =
		await_peeked(log, topic, partition, offset, wait_ms, key, value, append_ms, err);
	kafka_unassign(log->asker, topic, partition);
	if (rc != RC_RETRY)
		kafka_is_well(log);
	else if (kafka_state(log, err) == RC_FATAL)
		rc = RC_FATAL;
	return rc == RC_OK ? RC_OK : err_prefix(err, rc, "%s-%d: ", topic, (int)partition);
}

/* ---- the log */

static void close_log(struct log *base)
{
	struct kafka_log *log = (struct kafka_log *)base;

	if (log->peeked)
		rd_kafka_queue_destroy(log->peeked);
	if (log->asker)
		rd_kafka_destroy_flags(log->asker, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	rd_kafka_conf_destroy(log->settings);
	pthread_mutex_destroy(&log->mutex);
	free(log);
}

/* It reads single messages: the next one must not wait behind a fetch for more of the last one's
 * partition. */
static enum rc open_asker(struct kafka_log *log, struct err *err)
{
	rd_kafka_conf_t *settings = rd_kafka_conf_dup(log->settings);
	enum rc rc = set(settings, "fetch.wait.max.ms", "10", err);

	if (rc != RC_OK) {
		rd_kafka_conf_destroy(settings);
		return rc;
	}
	TRY(kafka_client(RD_KAFKA_CONSUMER, settings, &log->asker, err));
	log->peeked = rd_kafka_queue_get_consumer(log->asker);
	return RC_OK;
}

enum rc log_open(const struct config_kafka *settings, const char *client_id, struct log **opened,
	struct err *err)
{
	static const struct log_kind kind = {
		.close = close_log,
		.partitions = kafka_partitions,
		.create = kafka_create,
		.peek = peek,
		.is_well = is_well,
		.reader_open = kafka_reader_open,
		.writer_open = kafka_writer_open,
	};
	struct kafka_log *log = memory_new(1, sizeof *log);

	log->log.kind = &kind;
	pthread_mutex_init(&log->mutex, NULL);
	log->settings = rd_kafka_conf_new();
	rd_kafka_conf_set_opaque(log->settings, log);
	rd_kafka_conf_set_error_cb(log->settings, on_error);
	rd_kafka_conf_set_log_cb(log->settings, on_log);

	enum rc rc = set_everything(log->settings, settings, client_id, err);
	if (rc == RC_OK)
		rc = open_asker(log, err);
	if (rc != RC_OK) {
		close_log(&log->log);
		return rc;
	}
	*opened = &log->log;
	return RC_OK;
}
