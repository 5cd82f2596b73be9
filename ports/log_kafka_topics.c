/* ports/log_kafka_topics.c: asks about topics and creates them.
 * TOUCHES: Kafka. */
#include "ports/log_kafka.h"

#include "ports/clock.h"

#include <stdio.h>
#include <string.h>

static enum rc count_partitions(const struct rd_kafka_metadata *metadata, const char *topic,
	int32_t *count, struct err *err)
{
	if (metadata->topic_cnt != 1)
		return err_set(
			err, RC_RETRY, "topic %s: the broker's answer does not name it", topic);

	switch (metadata->topics[0].err) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		return err_set(err, RC_NONE, "topic %s does not exist", topic);
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		return err_set(err, RC_FATAL, "topic %s: kafka does not let us see it", topic);
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE: /* of some partition; they can be counted */
		break;
	default:
		return err_set(err, RC_RETRY, "topic %s: %s", topic,
			rd_kafka_err2str(metadata->topics[0].err));
	}
	if (!metadata->topics[0].partition_cnt)
		return err_set(err, RC_RETRY, "topic %s has no partitions yet", topic);
	*count = metadata->topics[0].partition_cnt;
	return RC_OK;
}

/* In slices, because only between them it is heard that we are refused. */
static enum rc ask_partitions(struct kafka_log *log, rd_kafka_topic_t *handle, const char *topic,
	int wait_ms, int32_t *count, struct err *err)
{
	const struct rd_kafka_metadata *metadata;
	int64_t deadline_ms = clock_monotonic_ms() + wait_ms;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;

	for (int slice_ms = 250; kafka_left_ms(deadline_ms); slice_ms *= 2) {
		int left = kafka_left_ms(deadline_ms);

		code = rd_kafka_metadata(
			log->asker, 0, handle, &metadata, left < slice_ms ? left : slice_ms);
		rd_kafka_poll(log->asker, 0);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
			kafka_is_well(log);
			enum rc rc = count_partitions(metadata, topic, count, err);
			rd_kafka_metadata_destroy(metadata);
			return rc;
		}
		if (kafka_state(log, err) == RC_FATAL)
			return RC_FATAL;
	}
	enum rc rc = kafka_state(log, err);
	if (rc != RC_OK)
		return rc;
	pthread_mutex_lock(&log->mutex);
	err_set(err, RC_RETRY, "topic %s: no answer from kafka within %d ms: %s", topic, wait_ms,
		log->reason[0] ? log->reason : rd_kafka_err2str(code));
	pthread_mutex_unlock(&log->mutex);
	return RC_RETRY;
}

enum rc kafka_partitions(
	struct log *base, const char *topic, int wait_ms, int32_t *count, struct err *err)
{
	struct kafka_log *log = (struct kafka_log *)base;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(log->asker, topic, NULL);

	if (!handle)
		return err_set(err, RC_FATAL, "topic %s: %s", topic,
			rd_kafka_err2str(rd_kafka_last_error()));
	enum rc rc = ask_partitions(log, handle, topic, wait_ms, count, err);
	rd_kafka_topic_destroy(handle);
	return rc;
}

static void number_text(char text[24], int64_t number)
{
	snprintf(text, 24, "%lld", (long long)number);
}

/* The answer to a request of the administrator's kind, or NULL with err. */
static rd_kafka_event_t *await(
	struct kafka_log *log, rd_kafka_queue_t *answers, int wait_ms, enum rc *rc, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + wait_ms;
	rd_kafka_event_t *event = NULL;

	while (!event && kafka_left_ms(deadline_ms)) {
		event = rd_kafka_queue_poll(answers, 50);
		rd_kafka_poll(log->asker, 0);
		*rc = kafka_state(log, err);
		if (!event && *rc == RC_FATAL)
			return NULL;
	}
	if (event && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_is_well(log);
		*rc = RC_OK;
		return event;
	}
	if (*rc == RC_OK)
		*rc = err_set(err, RC_RETRY, "kafka: %s",
			event ? rd_kafka_event_error_string(event) : "no answer in time");
	if (event)
		rd_kafka_event_destroy(event);
	return NULL;
}

/* What is there, compared with what was wanted; differences are added to the sentence. */
static void compare(const rd_kafka_ConfigResource_t *found, const struct kafka_setting *wanted,
	size_t wanted_count, struct bytes *differences)
{
	size_t count;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(found, &count);

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < wanted_count; j++) {
			const char *value = rd_kafka_ConfigEntry_value(entries[i]);

			if (!strcmp(rd_kafka_ConfigEntry_name(entries[i]), wanted[j].name) &&
				value && strcmp(value, wanted[j].value) != 0)
				bytes_format(differences, "%s%s is %s, expected %s",
					differences->size ? "; " : "", wanted[j].name, value,
					wanted[j].value);
		}
}

/* RC_OK with the differences, possibly none. */
static enum rc describe(struct kafka_log *log, const char *topic,
	const struct kafka_setting *wanted, size_t wanted_count, int wait_ms,
	struct bytes *differences, struct err *err)
{
	rd_kafka_ConfigResource_t *resource =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
	rd_kafka_queue_t *answers = rd_kafka_queue_new(log->asker);
	enum rc rc = RC_RETRY;

	rd_kafka_DescribeConfigs(log->asker, &resource, 1, NULL, answers);
	rd_kafka_event_t *event = await(log, answers, wait_ms, &rc, err);
	if (event) {
		size_t count;
		const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
			rd_kafka_event_DescribeConfigs_result(event), &count);

		if (count == 1 && !rd_kafka_ConfigResource_error(found[0]))
			compare(found[0], wanted, wanted_count, differences);
		else
			rc = err_set(err, RC_RETRY, "%s",
				count ? rd_kafka_err2str(rd_kafka_ConfigResource_error(found[0]))
				      : "no answer about it");
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(answers);
	rd_kafka_ConfigResource_destroy(resource);
	return rc;
}

static enum rc check_existing(struct kafka_log *log, const struct log_topic *topic,
	const struct kafka_setting *wanted, size_t wanted_count, int wait_ms, struct err *err)
{
	CLEANUP(bytes_done) struct bytes differences = {0};
	struct err why = {0};
	int32_t count = topic->partitions;

	err->text[0] = '\0';
	if (describe(log, topic->name, wanted, wanted_count, wait_ms, &differences, &why) !=
			RC_OK ||
		kafka_partitions(&log->log, topic->name, wait_ms, &count, &why) != RC_OK)
		return err_set(err, RC_NONE,
			"topic %s is there, but its settings could not be read: %s", topic->name,
			why.text);
	if (count != topic->partitions)
		bytes_format(&differences, "%spartitions are %d, expected %d",
			differences.size ? "; " : "", (int)count, (int)topic->partitions);
	if (differences.size)
		return err_set(err, RC_NONE, "topic %s is there with other settings: %s",
			topic->name, differences.data);
	return RC_NONE;
}

static enum rc judge_creation(const rd_kafka_topic_result_t *result, struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_topic_result_error(result);
	const char *why = rd_kafka_topic_result_error_string(result);

	switch (code) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return RC_OK;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return RC_NONE;
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
		return err_set(err, RC_RETRY, "topic %s is not created: %s",
			rd_kafka_topic_result_name(result), why ? why : rd_kafka_err2str(code));
	default: /* not allowed, too few brokers, forbidden by a policy: waiting does not help */
		return err_set(err, RC_FATAL, "topic %s can not be created: %s",
			rd_kafka_topic_result_name(result), why ? why : rd_kafka_err2str(code));
	}
}

static enum rc order_creation(
	struct kafka_log *log, rd_kafka_NewTopic_t *topic, int wait_ms, struct err *err)
{
	char ignored[128]; /* a wait that is out of range stays librdkafka's default */
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(log->asker, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_queue_t *answers = rd_kafka_queue_new(log->asker);
	enum rc rc = RC_RETRY;

	rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, ignored, sizeof ignored);
	rd_kafka_AdminOptions_set_operation_timeout(options, wait_ms, ignored, sizeof ignored);
	rd_kafka_CreateTopics(log->asker, &topic, 1, options, answers);
	rd_kafka_event_t *event = await(log, answers, wait_ms, &rc, err);
	if (event) {
		size_t count;
		const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
			rd_kafka_event_CreateTopics_result(event), &count);

		rc = count == 1 ? judge_creation(results[0], err)
				: err_set(err, RC_RETRY, "kafka's answer does not name the topic");
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(answers);
	rd_kafka_AdminOptions_destroy(options);
	return rc;
}

enum rc kafka_create(struct log *base, const struct log_topic *topic, int wait_ms, struct err *err)
{
	struct kafka_log *log = (struct kafka_log *)base;
	char retention[24], size_max[24], why[256];
	const struct kafka_setting wanted[] = {
		{"cleanup.policy", topic->compacted ? "compact" : "delete"},
		{"retention.ms", retention},
		{"max.message.bytes", size_max},
	};
	size_t count = topic->message_bytes_max ? 3 : 2;

	number_text(retention, topic->retention_ms);
	number_text(size_max, topic->message_bytes_max);
	rd_kafka_NewTopic_t *new_topic = rd_kafka_NewTopic_new(
		topic->name, topic->partitions, topic->replication, why, sizeof why);
	if (!new_topic)
		return err_set(err, RC_FATAL, "topic %s can not be created: %s", topic->name, why);
	for (size_t i = 0; i < count; i++)
		rd_kafka_NewTopic_set_config(new_topic, wanted[i].name, wanted[i].value);

	enum rc rc = order_creation(log, new_topic, wait_ms, err);
	rd_kafka_NewTopic_destroy(new_topic);
	if (rc == RC_NONE)
		return check_existing(log, topic, wanted, count, wait_ms, err);
	return rc;
}
