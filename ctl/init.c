/* ctl/init.c: makes the topics that are ours and loads the Redis function. Again and again is
 * harmless. */
#include "core/topics.h"
#include "ctl/commands.h"
#include "ctl/words.h"
#include "ports/clock.h"
#include "ports/config_file.h"
#include "ports/log.h"
#include "ports/store.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRY_MS = 2000, PAUSE_MS = 500, PARTITIONS_MAX = 10000 };

#define DAY_MS INT64_C(86400000)

static const struct own_topic {
	const char *name;
	int64_t retention_ms; /* -1 = for ever */
	bool compacted;
} own_topics[] = {
	{TOPIC_EVENTS, 7 * DAY_MS, false},
	{TOPIC_FINDINGS, 30 * DAY_MS, false},
	{TOPIC_ALERTS, 30 * DAY_MS, false},
	{TOPIC_ACTIONS, 400 * DAY_MS, false},
	{TOPIC_COMMANDS, 400 * DAY_MS, false},
	{TOPIC_NOTIFICATIONS, 30 * DAY_MS, false},
	{TOPIC_DEADLETTER, 7 * DAY_MS, false},
	{TOPIC_STATE, -1, true},
};

struct init {
	struct config config;
	const char *config_path;
	int64_t wait_ms;
	int64_t deadline_ms; /* monotonic: until then what is away is waited for */
	int32_t partitions;
	bool dots; /* some are on the line */
	struct log *log;
	struct store *store;
};

/* One more try, after a pause and with a dot on a terminal; false: it took too long. */
static bool again(struct init *init)
{
	if (clock_monotonic_ms() >= init->deadline_ms)
		return false;
	if (isatty(STDERR_FILENO)) {
		fputc('.', stderr);
		init->dots = true;
	}
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
	return true;
}

static void end_dots(struct init *init)
{
	if (init->dots)
		fputc('\n', stderr);
	init->dots = false;
}

static enum rc create_topic(struct init *init, const struct own_topic *own, struct err *err)
{
	char name[256];
	const struct log_topic topic = {.name = name,
		.partitions = init->partitions,
		.replication = init->config.kafka.replication,
		.compacted = own->compacted,
		.retention_ms = own->retention_ms};
	enum rc rc;

	snprintf(name, sizeof name, "%s.%s", init->config.kafka.prefix, own->name);
	do {
		*err = (struct err){0};
		rc = log_create(init->log, &topic, TRY_MS, err);
	} while (rc == RC_RETRY && again(init));
	end_dots(init);
	if (rc == RC_OK)
		printf("topic %s: created, %d partition%s\n", name, init->partitions,
			init->partitions == 1 ? "" : "s");
	else if (rc == RC_NONE && err->text[0])
		printf("warning: %s\n", err->text);
	else if (rc == RC_NONE)
		printf("topic %s: is there\n", name);
	else
		return rc;
	return RC_OK;
}

/* The users' topics are theirs; that one is missing is worth a word, no more. */
static void look_at_event_topic(struct init *init, const char *name)
{
	struct err err = {0};
	int32_t partitions;
	enum rc rc = log_partitions(init->log, name, TRY_MS, &partitions, &err);

	if (rc == RC_OK)
		printf("topic %s: is there, %d partition%s of events\n", name, partitions,
			partitions == 1 ? "" : "s");
	else if (rc == RC_NONE)
		printf("warning: topic %s does not exist yet; ingest waits for it\n", name);
	else
		printf("warning: %s\n", err.text);
}

static enum rc install(struct init *init, struct err *err)
{
	enum rc rc;

	do
		rc = store_install(init->store, err);
	while (rc == RC_RETRY && again(init));
	end_dots(init);
	if (rc == RC_OK)
		printf("redis: the function library is loaded\n");
	return rc;
}

static enum rc run(struct init *init, struct err *err)
{
	const struct config_kafka *kafka = &init->config.kafka;

	init->deadline_ms = clock_monotonic_ms() + init->wait_ms;
	TRY(log_open(kafka, "modelwatch-init", &init->log, err));
	TRY(store_open(&init->config.redis, &init->store, err));
	for (size_t i = 0; i < sizeof own_topics / sizeof *own_topics; i++)
		TRY(create_topic(init, &own_topics[i], err));
	for (size_t i = 0; i < kafka->topic_count; i++)
		look_at_event_topic(init, kafka->topics[i].name);
	return install(init, err);
}

static bool wrong(const char *option, const char *expected)
{
	fprintf(stderr, "modelwatch init: --%s: found \"%s\", expected %s\n", option, optarg,
		expected);
	return false;
}

static bool read_options(struct init *init, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"partitions", required_argument, NULL, 'p'},
		{"wait", required_argument, NULL, 'w'}, {0}};
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return false;
		if (option == 'c')
			init->config_path = optarg;
		if (option == 'w' && !words_parse_duration(optarg, &init->wait_ms))
			return wrong("wait", "a duration such as 30s or 2m");
		if (option == 'p') {
			char *end;
			long number = strtol(optarg, &end, 10);

			if (*end || number < 1 || number > PARTITIONS_MAX)
				return wrong("partitions", "a whole number from 1 to 10000");
			init->partitions = (int32_t)number;
		}
	}
	if (optind < argc)
		fprintf(stderr, "modelwatch init: too many arguments: %s\n", argv[optind]);
	return optind == argc;
}

int init_main(int argc, char **argv)
{
	struct init init = {.wait_ms = 30000, .partitions = 1};
	struct mistakes mistakes = {0};
	struct err err = {0};
	int status = EXIT_USAGE;

	if (!read_options(&init, argc, argv))
		return status;
	if (config_file_load(init.config_path, true, &init.config, &mistakes) != RC_OK) {
		fprintf(stderr, "%smodelwatch init: %zu mistake%s in the configuration\n",
			mistakes.text.data ? mistakes.text.data : "", mistakes.count,
			mistakes.count == 1 ? "" : "s");
	} else {
		enum rc rc = run(&init, &err);

		status = rc == RC_OK ? EXIT_SUCCESS : EXIT_FAILURE;
		if (rc == RC_RETRY)
			fprintf(stderr, "modelwatch init: gave up after %g s: %s\n",
				(double)init.wait_ms / 1000, err.text);
		else if (rc != RC_OK)
			fprintf(stderr, "modelwatch init: %s\n", err.text);
	}
	log_close(init.log);
	store_close(init.store);
	config_done(&init.config);
	bytes_done(&mistakes.text);
	return status;
}
