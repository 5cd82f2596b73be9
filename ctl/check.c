/* ctl/check.c: all mistakes of a configuration, or what it amounts to. */
#include "ctl/commands.h"
#include "ctl/words.h"
#include "ports/config_file.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static void print_kafka(const struct config_kafka *kafka)
{
	printf("kafka: %s; topics", kafka->brokers);
	for (size_t i = 0; i < kafka->topic_count; i++)
		printf("%s %s", i ? "," : "", kafka->topics[i].name);
	printf("; %zu propert%s; our own topics %s.*, replication %d\n", kafka->property_count,
		kafka->property_count == 1 ? "y" : "ies", kafka->prefix, kafka->replication);
}

static void print_redis(const struct config_redis *redis)
{
	if (redis->transport == REDIS_UNIX)
		printf("redis: unix socket %s", redis->path);
	else
		printf("redis: %s:%d%s", redis->host, redis->port,
			redis->transport == REDIS_TLS ? " by TLS" : "");
	printf("%s%s%s; keys %s:*\n", *redis->user ? ", user " : "", redis->user,
		redis->password ? ", with a password" : "", redis->prefix);
}

static void print_budget(const struct config *config)
{
	struct bytes period = {0};

	words_duration(config->false_alarms_per_s * 1000, &period);
	printf("false alarms: %g per %s; capacity %" PRId64 " models, %" PRId64
	       " comparisons each\n",
		config->false_alarms, period.data, config->capacity_models,
		config->capacity_comparisons);
	bytes_done(&period);
}

static void print_people(const struct config *config)
{
	size_t integrations = 0, automatic = 0;

	for (size_t i = 0; i < config->receiver_count; i++)
		integrations += config->receivers[i].integration_count;
	for (size_t i = 0; i < config->policy_count; i++)
		automatic += config->policies[i].mode == MODE_AUTO;
	printf("receivers: %zu with %zu integration%s; default route to %s, %zu route%s below it\n",
		config->receiver_count, integrations, plural(integrations),
		config->route.receiver && *config->route.receiver ? config->route.receiver
								  : "nobody",
		config->route.route_count, plural(config->route.route_count));
	printf("remediation: %zu target%s, %zu polic%s, %zu of them auto\n", config->target_count,
		plural(config->target_count), config->policy_count,
		config->policy_count == 1 ? "y" : "ies", automatic);
}

static void print_summary(const struct config *config)
{
	static const char *const names[] = {"ingest", "detectors", "alerts", "remediate"};

	print_kafka(&config->kafka);
	print_redis(&config->redis);
	print_budget(config);
	printf("models: %zu entr%s (the last one holds the defaults); %zu format%s\n",
		config->model_count, config->model_count == 1 ? "y" : "ies", config->format_count,
		plural(config->format_count));
	print_people(config);
	printf("addresses: console %s:%d; metrics", config->console.host, config->console.port);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		printf("%s %s %s:%d", i ? "," : " of", names[i], config->metrics[i].host,
			config->metrics[i].port);
	printf("\ndigest: %s\n", config->digest);
}

int check_main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"without-secrets", no_argument, NULL, 'w'}, {0}};
	struct mistakes mistakes = {0};
	struct config config = {0};
	const char *path = NULL;
	bool with_secrets = true;
	int option, status = EXIT_SUCCESS;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return EXIT_USAGE;
		if (option == 'c')
			path = optarg;
		else
			with_secrets = false;
	}
	if (optind < argc)
		path = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "modelwatch check: too many arguments: %s\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (config_file_load(path, with_secrets, &config, &mistakes) == RC_OK) {
		print_summary(&config);
	} else {
		fprintf(stderr, "%s%zu mistake%s\n", mistakes.text.data ? mistakes.text.data : "",
			mistakes.count, plural(mistakes.count));
		status = EXIT_USAGE;
	}
	config_done(&config);
	bytes_done(&mistakes.text);
	return status;
}
