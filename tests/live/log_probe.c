/* tests/live/log_probe.c: ports/log.h on a real broker, one command per line of stdin, for
 * test_log.py.
 *
 * log_probe BROKERS [NAME=VALUE | NAME@FILE]...: the properties; of the second form the value is a
 * secret in a file. Every command is answered by lines, the last of which starts with the name of
 * an outcome: ok, none, retry, reject, fatal; then numbers or the sentence. */
#include "core/memory.h"
#include "ports/clock.h"
#include "ports/log.h"

#include <librdkafka/rdkafka.h> /* to trim a topic: nothing of ours does that */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_MAX = 64, WORDS_MAX = 32, TAKE_MAX = 10000 };

struct probe {
	struct log *log;
	struct log_reader *reader;
	struct log_writer *writer;
	const char *brokers;
};

static const char *const outcomes[] = {"ok", "none", "retry", "reject", "fatal"};

static void answer(enum rc rc, const struct err *err)
{
	printf("%s %s\n", outcomes[rc], rc == RC_OK ? "" : err->text);
}

static const char *or_nothing(struct view view)
{
	return view.data ? view.data : "";
}

static struct log_writer *need_writer(struct probe *probe, char **topics, size_t count)
{
	struct err err;

	if (!probe->writer && log_writer_open(probe->log, (const char *const *)topics, count,
				      &probe->writer, &err) != RC_OK) {
		printf("fatal %s\n", err.text);
		exit(1);
	}
	return probe->writer;
}

static void do_take(struct probe *probe, char **words)
{
	const struct log_message *messages;
	size_t count;
	struct log_gap gap;
	struct err err = {0};
	enum rc rc = log_take(probe->reader, atoi(words[1]), strtoul(words[2], NULL, 10), &messages,
		&count, &gap, &err);

	if (rc == RC_REJECT) /* before the sentence */
		printf("gap %s %d %lld %lld %lld\n", gap.topic, (int)gap.partition,
			(long long)gap.offset, (long long)gap.low, (long long)gap.high);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		printf("message %s %d %lld %lld %s=%.*s\n", messages[i].topic,
			(int)messages[i].partition, (long long)messages[i].offset,
			(long long)messages[i].append_ms, messages[i].key.data ? "key" : "nokey",
			(int)(messages[i].value.size < 100 ? messages[i].value.size : 100),
			messages[i].value.data ? messages[i].value.data : "tombstone");
	answer(rc, &err);
}

/* stream N WAIT_S [FROM]: takes N messages and checks that offsets of each partition go up by one,
 * from FROM or on from the last stream. Answers: taken, jumps, times unwell, milliseconds, longest
 * pause. */
static void do_stream(struct probe *probe, size_t wanted, int64_t wait_ms, int64_t from)
{
	static int64_t next[PLACES_MAX];
	int64_t started_ms = clock_monotonic_ms(), pause_ms = 0, before_ms = started_ms;
	size_t taken = 0, jumps = 0, retries = 0;
	enum rc rc = RC_OK;
	struct err err = {0};

	for (size_t i = 0; i < PLACES_MAX && from >= 0; i++)
		next[i] = from;
	while (taken < wanted && clock_monotonic_ms() < started_ms + wait_ms) {
		const struct log_message *messages;
		size_t count;
		struct log_gap gap;

		rc = log_take(probe->reader, 20, TAKE_MAX, &messages, &count, &gap, &err);
		if (rc == RC_REJECT || rc == RC_FATAL)
			break;
		retries += rc == RC_RETRY;
		for (size_t i = 0; i < count; i++) {
			int32_t partition = messages[i].partition;

			jumps += messages[i].offset != next[partition];
			next[partition] = messages[i].offset + 1;
		}
		taken += count;
		if (count) {
			int64_t now_ms = clock_monotonic_ms();

			pause_ms = now_ms - before_ms > pause_ms ? now_ms - before_ms : pause_ms;
			before_ms = now_ms;
		}
	}
	if (rc == RC_REJECT || rc == RC_FATAL)
		answer(rc, &err);
	else
		printf("ok %zu %zu %zu %lld %lld\n", taken, jumps, retries,
			(long long)(clock_monotonic_ms() - started_ms), (long long)pause_ms);
}

static void do_write(struct probe *probe, char **words, size_t count)
{
	CLEANUP(bytes_done) struct bytes headers = {0};
	struct err err = {0};
	struct view value = view_of(words[3]);

	for (size_t i = 5; i < count; i++)
		bytes_sized(&headers, words[i], strlen(words[i]));
	if (!strcmp(words[3], "tombstone"))
		value = (struct view){0};
	answer(log_write(need_writer(probe, words + 1, 1), words[1], view_of(words[2]), value,
		       (struct view){headers.data, headers.size}, strtoull(words[4], NULL, 10),
		       &err),
		&err);
}

/* Of a size, key "k". */
static void do_write_big(struct probe *probe, char **words)
{
	size_t size = strtoul(words[2], NULL, 10);
	char *value = memory_new(size, 1);
	struct err err = {0};

	memset(value, 'x', size);
	for (size_t i = 0; i < size; i++) /* not to be compressed away */
		value[i] = (char)('0' + (i * i * 2654435761U >> 16) % 64);
	answer(log_write(need_writer(probe, words + 1, 1), words[1], view_of("k"),
		       (struct view){value, size}, (struct view){0}, strtoull(words[3], NULL, 10),
		       &err),
		&err);
	free(value);
}

static void do_written(struct probe *probe, char **words)
{
	uint64_t tags[64];
	bool delivered[64];
	size_t count = log_written(probe->writer, atoi(words[1]), 64, tags, delivered);

	printf("ok");
	for (size_t i = 0; i < count; i++)
		printf(" %llu:%d", (unsigned long long)tags[i], delivered[i]);
	printf("\n");
}

/* load TOPIC N SIZE: writes N numbered records and waits for all acknowledgements. */
static void do_load(struct probe *probe, char **words)
{
	size_t count = strtoul(words[2], NULL, 10), size = strtoul(words[3], NULL, 10);
	size_t given = 0, acknowledged = 0, failed = 0;
	int64_t started_ms = clock_monotonic_ms();
	struct log_writer *writer = need_writer(probe, words + 1, 1);
	char *value = memory_new(size + 32, 1);
	static uint64_t tags[TAKE_MAX];
	static bool delivered[TAKE_MAX];

	memset(value, '.', size);
	while (acknowledged < count) {
		char key[32];
		struct err err;
		enum rc rc = RC_RETRY;

		if (given < count) {
			snprintf(key, sizeof key, "%zu", given % 1000);
			value[snprintf(value, 32, "%zu", given)] = '.';
			rc = log_write(writer, words[1], view_of(key), (struct view){value, size},
				(struct view){0}, given, &err);
			given += rc == RC_OK;
		}
		if (rc == RC_RETRY || given % 1000 == 0) {
			size_t known = log_written(
				writer, rc == RC_RETRY ? 10 : 0, TAKE_MAX, tags, delivered);
			acknowledged += known;
			for (size_t i = 0; i < known; i++)
				failed += !delivered[i];
		}
	}
	printf("ok %zu %lld\n", failed, (long long)(clock_monotonic_ms() - started_ms));
	free(value);
}

static void do_peek(struct probe *probe, char **words)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	int64_t append_ms;
	struct err err = {0};
	enum rc rc = log_peek(probe->log, words[1], atoi(words[2]), atoll(words[3]), atoi(words[4]),
		&key, &value, &append_ms, &err);

	if (rc == RC_OK)
		printf("ok %lld %s %s\n", (long long)append_ms,
			or_nothing((struct view){key.data, key.size}),
			or_nothing((struct view){value.data, value.size}));
	else
		answer(rc, &err);
}

static void do_create(struct probe *probe, char **words)
{
	struct log_topic topic = {.name = words[1],
		.partitions = atoi(words[2]),
		.replication = 1,
		.compacted = !strcmp(words[3], "compacted"),
		.retention_ms = atoll(words[4]),
		.message_bytes_max = atoll(words[5])};
	struct err err = {0};

	answer(log_create(probe->log, &topic, 5000, &err), &err);
}

static void do_trim(struct probe *probe, char **words)
{
	char why[256];
	rd_kafka_conf_t *settings = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *before = rd_kafka_topic_partition_list_new(1);

	rd_kafka_conf_set(settings, "bootstrap.servers", probe->brokers, why, sizeof why);
	rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, settings, why, sizeof why);
	rd_kafka_queue_t *answers = rd_kafka_queue_new(client);
	rd_kafka_topic_partition_list_add(before, words[1], atoi(words[2]))->offset =
		atoll(words[3]);
	rd_kafka_DeleteRecords_t *order = rd_kafka_DeleteRecords_new(before);
	rd_kafka_DeleteRecords(client, &order, 1, NULL, answers);
	rd_kafka_event_t *event = rd_kafka_queue_poll(answers, 10000);
	printf("%s\n", event && !rd_kafka_event_error(event) ? "ok" : "fatal not trimmed");

	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_DeleteRecords_destroy(order);
	rd_kafka_queue_destroy(answers);
	rd_kafka_topic_partition_list_destroy(before);
	rd_kafka_destroy(client);
}

static void obey(struct probe *probe, char **words, size_t count)
{
	struct err err = {0};
	int32_t partitions = 0;
	const char *command = words[0];
	char text[600];

	if (!strcmp(command, "partitions")) {
		enum rc rc =
			log_partitions(probe->log, words[1], atoi(words[2]), &partitions, &err);

		if (rc == RC_OK)
			printf("ok %d\n", (int)partitions);
		else
			answer(rc, &err);
	} else if (!strcmp(command, "create")) {
		do_create(probe, words);
	} else if (!strcmp(command, "assign")) {
		answer(log_assign(probe->reader, words[1], atoi(words[2]), atoll(words[3]), &err),
			&err);
	} else if (!strcmp(command, "unassign")) {
		log_unassign(probe->reader, words[1], atoi(words[2]));
		printf("ok\n");
	} else if (!strcmp(command, "take")) {
		do_take(probe, words);
	} else if (!strcmp(command, "stream")) {
		do_stream(probe, strtoul(words[1], NULL, 10), atoll(words[2]) * 1000,
			count > 3 ? atoll(words[3]) : -1);
	} else if (!strcmp(command, "age")) {
		printf("ok %lld %lld\n",
			(long long)log_end_age_ms(probe->reader, words[1], atoi(words[2])),
			(long long)log_lag(probe->reader, words[1], atoi(words[2])));
	} else if (!strcmp(command, "peek")) {
		do_peek(probe, words);
	} else if (!strcmp(command, "write")) {
		do_write(probe, words, count);
	} else if (!strcmp(command, "big")) {
		do_write_big(probe, words);
	} else if (!strcmp(command, "trim")) {
		do_trim(probe, words);
	} else if (!strcmp(command, "written")) {
		do_written(probe, words);
	} else if (!strcmp(command, "load")) {
		do_load(probe, words);
	} else if (!strcmp(command, "well")) {
		printf("ok %d ", log_is_well(probe->log, text, sizeof text));
		printf("%s\n", text);
	} else {
		printf("fatal %s is no command\n", command);
	}
	fflush(stdout);
}

static void read_property(char *word, struct config_property *property)
{
	char *at = strpbrk(word, "=@");
	char secret[256] = "";

	if (!at)
		return;
	property->name = memory_copy(word, (size_t)(at - word));
	if (*at == '=') {
		property->value = at + 1;
		return;
	}
	FILE *file = fopen(at + 1, "r");
	if (!file || !fgets(secret, sizeof secret, file)) {
		perror(at + 1);
		exit(1);
	}
	fclose(file);
	property->secret = secret_new(secret, strlen(secret));
}

int main(int argc, char **argv)
{
	struct config_property properties[WORDS_MAX] = {0};
	struct config_kafka kafka = {.brokers = argc > 1 ? argv[1] : "", .properties = properties};
	struct probe probe = {.brokers = kafka.brokers};
	struct err err = {0};
	char line[4096], *words[WORDS_MAX] = {0};

	for (int i = 2; i < argc && i - 2 < WORDS_MAX; i++)
		read_property(argv[i], &properties[kafka.property_count++]);
	enum rc rc = log_open(&kafka, "log_probe", &probe.log, &err);
	if (rc == RC_OK)
		rc = log_reader_open(probe.log, &probe.reader, &err);
	answer(rc, &err);
	fflush(stdout);
	while (rc == RC_OK && fgets(line, sizeof line, stdin)) {
		size_t count = 0;

		for (char *word = strtok(line, " \n"); word && count < WORDS_MAX;
			word = strtok(NULL, " \n"))
			words[count++] = word;
		obey(&probe, words, count);
	}
	log_writer_close(probe.writer);
	log_reader_close(probe.reader);
	log_close(probe.log);
	for (size_t i = 0; i < kafka.property_count; i++) {
		free(properties[i].name);
		secret_free(properties[i].secret);
	}
	return 0;
}
