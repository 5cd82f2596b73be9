/* ports/log_kafka_writer.c: hands records to Kafka, once and in order, to all replicas in sync.
 * TOUCHES: Kafka.
 *
 * That a record is too large for its topic is known only from the broker, and the broker refuses
 * whole batches. So a record whose batch was refused is sent alone when it is given again; refused
 * alone, it is too large, and log_write() says so the next time. */
#include "ports/log_kafka.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

struct outlet { /* an output topic */
	char *name;
	rd_kafka_topic_t *handle;
	struct kafka_writer *writer;
	size_t under_way;
	size_t suspect_size;   /* records of so many bytes and more go alone; 0: none was refused */
	size_t too_large_size; /* was refused alone; 0: none */
	bool alone;            /* what is under way must have no company */
};

struct kafka_writer {
	struct log_writer writer;
	struct kafka_log *log;
	rd_kafka_t *client;
	struct outlet **outlets;
	size_t outlet_count;
	struct log_fates fates;
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
	struct outlet *outlet = rd_kafka_topic_opaque(message->rkt);
	struct kafka_writer *writer = outlet->writer;
	size_t size = message->len + message->key_len;

	(void)client;
	(void)context;
	outlet->under_way--;
	if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
		if (outlet->alone)
			outlet->too_large_size = size;
		if (!outlet->suspect_size || outlet->suspect_size > size)
			outlet->suspect_size = size;
	}
	outlet->alone = false;
	if (!message->err)
		kafka_is_well(writer->log);
	log_fates_add(&writer->fates, (uint64_t)(uintptr_t)message->_private, !message->err);
}

static struct outlet *need_outlet(struct kafka_writer *writer, const char *topic)
{
	for (size_t i = 0; i < writer->outlet_count; i++)
		if (!strcmp(writer->outlets[i]->name, topic))
			return writer->outlets[i];

	struct outlet *outlet = memory_new(1, sizeof *outlet);
	rd_kafka_topic_conf_t *settings = rd_kafka_default_topic_conf_dup(writer->client);

	rd_kafka_topic_conf_set_opaque(settings, outlet);
	outlet->handle = rd_kafka_topic_new(writer->client, topic, settings);
	if (!outlet->handle) {
		rd_kafka_topic_conf_destroy(settings);
		free(outlet);
		return NULL;
	}
	outlet->writer = writer;
	outlet->name = memory_text(topic);
	writer->outlets =
		memory_grow(writer->outlets, writer->outlet_count + 1, sizeof(struct outlet *));
	writer->outlets[writer->outlet_count++] = outlet;
	return outlet;
}

/* NULL: they are not pairs. */
static rd_kafka_headers_t *read_headers(struct view pairs)
{
	struct reader reader = reader_of(pairs.data, pairs.size);
	rd_kafka_headers_t *headers = rd_kafka_headers_new(4);

	while (reader.ok && reader.at < reader.end) {
		struct view name = reader_sized(&reader);
		struct view value = reader_sized(&reader);

		if (reader.ok)
			rd_kafka_header_add(headers, name.data, (ssize_t)name.size, value.data,
				(ssize_t)value.size);
	}
	if (reader.ok)
		return headers;
	rd_kafka_headers_destroy(headers);
	return NULL;
}

static enum rc judge_size(struct outlet *outlet, size_t size, struct err *err)
{
	bool suspect = outlet->suspect_size && size >= outlet->suspect_size;

	if (outlet->too_large_size && size >= outlet->too_large_size) {
		outlet->too_large_size =
			0; /* somebody may raise the limit: the next one is tried */
		return err_set(err, RC_REJECT,
			"topic %s: a record of %zu bytes is larger than its max.message.bytes",
			outlet->name, size);
	}
	if (outlet->under_way && (suspect || outlet->alone))
		return err_set(err, RC_RETRY,
			"topic %s: a record that may be too large is tried alone", outlet->name);
	outlet->alone = suspect;
	return RC_OK;
}

static enum rc judge_handing(struct kafka_writer *writer, const struct outlet *outlet, size_t size,
	rd_kafka_resp_err_t code, struct err *err)
{
	char why[256];

	switch (code) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return RC_OK;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		return err_set(err, RC_REJECT,
			"topic %s: a record of %zu bytes is larger than the property "
			"message.max.bytes",
			outlet->name, size);
	case RD_KAFKA_RESP_ERR__FATAL:
		rd_kafka_fatal_error(writer->client, why, sizeof why);
		return err_set(err, RC_FATAL, "topic %s: %s", outlet->name, why);
	default:
		return err_set(err, RC_RETRY, "topic %s: %s", outlet->name, rd_kafka_err2str(code));
	}
}

static enum rc write_record(struct log_writer *base, const char *topic, struct view key,
	struct view value, struct view headers, uint64_t tag, struct err *err)
{
	struct kafka_writer *writer = (struct kafka_writer *)base;
	struct outlet *outlet = need_outlet(writer, topic);
	size_t size = key.size + value.size;

	if (!outlet)
		return err_set(err, RC_REJECT, "'%s' can not be the name of a topic", topic);
	TRY(judge_size(outlet, size, err));
	rd_kafka_headers_t *pairs = read_headers(headers);
	if (!pairs)
		return err_set(err, RC_REJECT, "topic %s: headers are not pairs", topic);

	rd_kafka_resp_err_t code = rd_kafka_producev(writer->client, RD_KAFKA_V_RKT(outlet->handle),
		RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_KEY((void *)(uintptr_t)key.data, key.size),
		RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.size),
		RD_KAFKA_V_HEADERS(pairs), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)tag),
		RD_KAFKA_V_END);
	if (code)
		rd_kafka_headers_destroy(pairs);
	else
		outlet->under_way++;
	return judge_handing(writer, outlet, size, code, err);
}

static size_t written(
	struct log_writer *base, int wait_ms, size_t max, uint64_t tags[], bool delivered[])
{
	struct kafka_writer *writer = (struct kafka_writer *)base;

	rd_kafka_poll(writer->client, writer->fates.count ? 0 : wait_ms);
	return log_fates_take(&writer->fates, max, tags, delivered);
}

static void close_writer(struct log_writer *base)
{
	struct kafka_writer *writer = (struct kafka_writer *)base;

	for (size_t i = 0; i < writer->outlet_count; i++)
		rd_kafka_topic_destroy(writer->outlets[i]->handle);
	rd_kafka_destroy(writer->client);
	for (size_t i = 0; i < writer->outlet_count; i++) {
		free(writer->outlets[i]->name);
		free(writer->outlets[i]);
	}
	free(writer->outlets);
	log_fates_done(&writer->fates);
	free(writer);
}

enum rc kafka_writer_open(struct log *base, const char *const topics[], size_t topic_count,
	struct log_writer **opened, struct err *err)
{
	static const struct log_writer_kind kind = {
		.close = close_writer,
		.write = write_record,
		.written = written,
	};
	struct kafka_log *log = (struct kafka_log *)base;
	rd_kafka_conf_t *settings = rd_kafka_conf_dup(log->settings);
	rd_kafka_t *client;

	rd_kafka_conf_set_dr_msg_cb(settings, on_delivery);
	TRY(kafka_client(RD_KAFKA_PRODUCER, settings, &client, err));
	struct kafka_writer *writer = memory_new(1, sizeof *writer);
	writer->writer.kind = &kind;
	writer->log = log;
	writer->client = client;
	for (size_t i = 0; i < topic_count; i++)
		if (!need_outlet(writer, topics[i])) {
			close_writer(&writer->writer);
			return err_set(
				err, RC_FATAL, "'%s' can not be the name of a topic", topics[i]);
		}
	*opened = &writer->writer;
	return RC_OK;
}
