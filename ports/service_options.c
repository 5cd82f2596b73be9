#include "ports/service_options.h"

#include "core/memory.h"
#include "ports/service.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, INSTANCES_MAX = 4096 };

static void print_help(const char *name, bool takes_instance)
{
	printf("modelwatch-%s: one service of modelwatch, in the foreground\n\n"
	       "  --config FILE|DIR     default: $MODELWATCH_CONFIG or "
	       "/etc/modelwatch/modelwatch.yaml\n",
		name);
	if (takes_instance)
		printf("  --instance I/N        takes the partitions p with p mod N = I\n");
	printf("  --metrics HOST:PORT   instead of the configured address of /metrics; port 0: "
	       "off\n"
	       "  --log-level LEVEL     error, warning, info (default) or debug\n"
	       "  --help  --version\n\n"
	       "SIGTERM ends it, SIGHUP reads the configuration again.\n"
	       "Exit status: 0 asked to stop, 1 fatal, 2 usage, 78 configuration.\n");
}

static bool wrong(struct err *err, const char *option, const char *value, const char *expected)
{
	err_set(err, RC_FATAL, "%s: found \"%.100s\", expected %s", option, value, expected);
	return false;
}

static bool read_whole(const char *text, long least, long most, int *value)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end || *text < '0' || *text > '9' || number < least || number > most)
		return false;
	*value = (int)number;
	return true;
}

static bool read_instance(struct service_options *options, const char *text)
{
	char first[16];
	const char *slash = strchr(text, '/');

	if (!slash || (size_t)(slash - text) >= sizeof first)
		return false;
	view_copy((struct view){text, (size_t)(slash - text)}, first, sizeof first);
	return read_whole(slash + 1, 1, INSTANCES_MAX, &options->instances) &&
	       read_whole(first, 0, options->instances - 1, &options->instance);
}

/* "127.0.0.1:9131" or "[::1]:9131"; cuts the text in two. */
static bool read_address(char *text, struct config_listen *address)
{
	char *colon = strrchr(text, ':');

	if (!colon || colon == text || !read_whole(colon + 1, 0, 65535, &address->port))
		return false;
	*colon = '\0';
	if (*text == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		text++;
	}
	address->host = text;
	return true;
}

static bool read_level(const char *text, enum journal_level *level)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(text, names[i]) == 0) {
			*level = (enum journal_level)i;
			return true;
		}
	}
	return false;
}

static bool read_option(
	struct service_options *options, int option, bool takes_instance, struct err *err)
{
	switch (option) {
	case 'c':
		free(options->config_path);
		options->config_path = memory_text(optarg);
		return true;
	case 'i':
		if (takes_instance && read_instance(options, optarg))
			return true;
		return wrong(err, "--instance", optarg,
			takes_instance ? "I/N with 0 <= I < N, such as 0/2"
				       : "no such option: this service is one, and standbys");
	case 'm':
		free(options->metrics_text);
		options->metrics_text = memory_text(optarg);
		return read_address(options->metrics_text, &options->metrics) ||
		       wrong(err, "--metrics", optarg, "HOST:PORT");
	case 'l':
		return read_level(optarg, &options->level) ||
		       wrong(err, "--log-level", optarg, "error, warning, info or debug");
	default: /* getopt has said why */
		return false;
	}
}

void service_options_done(struct service_options *options)
{
	free(options->config_path);
	free(options->metrics_text);
}

bool service_options_read(struct service_options *options, const char *name, bool takes_instance,
	int argc, char **argv, int *exit_status, struct err *err)
{
	static const struct option known[] = {{"config", required_argument, NULL, 'c'},
		{"instance", required_argument, NULL, 'i'},
		{"metrics", required_argument, NULL, 'm'},
		{"log-level", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'}, {0}};
	int option;

	*options = (struct service_options){.instances = 1, .level = JOURNAL_INFO};
	*exit_status = EXIT_USAGE;
	optind = 1;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'h')
			print_help(name, takes_instance);
		else if (option == 'v')
			printf("modelwatch-%s %s\n", name, MODELWATCH_VERSION);
		else if (read_option(options, option, takes_instance, err))
			continue;
		if (option == 'h' || option == 'v')
			*exit_status = 0;
		return false;
	}
	if (optind < argc)
		return wrong(err, "arguments", argv[optind], "options only; see --help");
	return true;
}
