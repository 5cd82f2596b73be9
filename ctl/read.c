/* ctl/read.c: the commands that show: a question to the console, its answer as lines of JSON or for
 * people. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "ctl/print_json.h"
#include "ctl/words.h"
#include "ports/clock.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_kind {
	OPTION_JSON = 1,
	OPTION_URL,
	OPTION_CONFIG,
	OPTION_FROM, /* from here on: parameters of the question, by their own names */
	OPTION_TO,
	OPTION_LEVEL,
	OPTION_SIGNAL,
	OPTION_ROLE,
	OPTION_VERSION,
	OPTION_MODEL,
	OPTION_STATE,
	OPTION_TARGET,
	OPTION_LIMIT,
	OPTION_COUNT,
};

static const struct option all_options[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"url", required_argument, NULL, OPTION_URL},
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"from", required_argument, NULL, OPTION_FROM},
	{"to", required_argument, NULL, OPTION_TO},
	{"level", required_argument, NULL, OPTION_LEVEL},
	{"signal", required_argument, NULL, OPTION_SIGNAL},
	{"role", required_argument, NULL, OPTION_ROLE},
	{"version", required_argument, NULL, OPTION_VERSION},
	{"model", required_argument, NULL, OPTION_MODEL},
	{"state", required_argument, NULL, OPTION_STATE},
	{"target", required_argument, NULL, OPTION_TARGET},
	{"limit", required_argument, NULL, OPTION_LIMIT},
	{0},
};

#define TAKES(option) (1u << (option))

struct question {
	const char *name;     /* of the command */
	const char *family;   /* of the API */
	unsigned takes;       /* which parameters */
	const char *argument; /* what one argument is, for usage; NULL: none */
	bool needs_argument;
	bool argument_is_id; /* else the model */
	bool json;
	const char *url, *config;
	const char *values[OPTION_COUNT];
	char times[OPTION_COUNT][24]; /* of from and to, in milliseconds */
	const char *given;            /* the argument */
};

static int usage(const struct question *question, const char *problem, const char *what)
{
	fprintf(stderr, "modelwatch %s: %s%s; see modelwatch help %s\n", question->name, problem,
		what, question->name);
	return EXIT_USAGE;
}

static bool read_time(struct question *question, int option, const char *text)
{
	int64_t ms;

	if (!words_parse_time(text, clock_wall_ms(), &ms)) {
		fprintf(stderr,
			"modelwatch %s: --%s: found \"%s\", expected RFC 3339, Unix milliseconds, "
			"now, or "
			"15m for a quarter of an hour ago\n",
			question->name, all_options[option - 1].name, text);
		return false;
	}
	snprintf(question->times[option], sizeof question->times[option], "%" PRId64, ms);
	question->values[option] = question->times[option];
	return true;
}

/* 0, or the exit status. */
static int read_options(struct question *question, int argc, char **argv)
{
	int option;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", all_options, NULL)) != -1) {
		if (option == OPTION_JSON)
			question->json = true;
		else if (option == OPTION_URL)
			question->url = optarg;
		else if (option == OPTION_CONFIG)
			question->config = optarg;
		else if (option == '?')
			return usage(question,
				"unknown option, or one without its value: ", argv[optind - 1]);
		else if (!(question->takes & TAKES(option)))
			return usage(question, "takes no --", all_options[option - 1].name);
		else if (option != OPTION_FROM && option != OPTION_TO)
			question->values[option] = optarg;
		else if (!read_time(question, option, optarg))
			return EXIT_USAGE;
	}
	if (optind < argc && question->argument)
		question->given = argv[optind++];
	if (optind < argc)
		return usage(question, "too many arguments: ", argv[optind]);
	if (question->needs_argument && !question->given)
		return usage(question, "expected ", question->argument);
	return 0;
}

static void write_path(const struct question *question, struct bytes *path)
{
	bytes_format(path, "/api/v1/%s", question->family);
	if (question->given && question->argument_is_id)
		ask_segment(path, question->given);
	else
		ask_parameter(path, "model", question->given);
	for (int i = OPTION_FROM; i < OPTION_COUNT; i++)
		ask_parameter(path, all_options[i - 1].name, question->values[i]);
}

/* The answer to the command line, or an exit status. */
static int put(struct question *question, int argc, char **argv, struct bytes *answer)
{
	CLEANUP(bytes_done) struct bytes address = {0}, path = {0};
	struct err err = {0};
	int status = read_options(question, argc, argv);

	if (status)
		return status;
	write_path(question, &path);
	enum rc rc = ask_address(question->url, question->config, &address, &err);

	if (rc == RC_OK)
		rc = ask(address.data, path.data, answer, &err);
	if (rc == RC_OK)
		return 0;
	fprintf(stderr, "modelwatch %s: %s\n", question->name, err.text);
	return rc == RC_REJECT ? EXIT_USAGE : EXIT_FAILURE; /* refused as we would have */
}

static int finish(const struct question *question, enum rc rc, const struct err *err)
{
	if (rc == RC_OK)
		return EXIT_SUCCESS;
	fprintf(stderr, "modelwatch %s: %s\n", question->name, err->text);
	return EXIT_FAILURE;
}

static void print_as_it_is(struct view answer)
{
	fwrite(answer.data, 1, answer.size, stdout);
}

/* Lists, and one record in full where an id is given. */
static int show(struct question *question, enum print_kind kind, int argc, char **argv)
{
	CLEANUP(bytes_done) struct bytes answer = {0};
	struct err err = {0};
	enum rc rc = RC_OK;
	int status = put(question, argc, argv, &answer);
	struct view text = {answer.data, answer.size};
	bool one = question->given && question->argument_is_id;

	if (status)
		return status;
	if (question->json && one && (kind == PRINT_FINDINGS || kind == PRINT_ALERTS))
		print_as_it_is(text);
	else if (question->json)
		rc = print_lines(text, &err);
	else if (one)
		rc = print_full(text, &err);
	else
		rc = print_table(kind, text, clock_wall_ms(), &err);
	return finish(question, rc, &err);
}

int status_main(int argc, char **argv)
{
	struct question question = {.name = "status", .family = "status", .argument = "MODEL"};
	CLEANUP(bytes_done) struct bytes answer = {0};
	struct err err = {0};
	int status = put(&question, argc, argv, &answer);
	struct view text = {answer.data, answer.size};

	if (status)
		return status;
	if (question.json) {
		print_as_it_is(text);
		return EXIT_SUCCESS;
	}
	return finish(&question, print_status(text, question.given, clock_wall_ms(), &err), &err);
}

int windows_main(int argc, char **argv)
{
	struct question question = {.name = "windows",
		.family = "windows",
		.argument = "MODEL",
		.needs_argument = true,
		.takes = TAKES(OPTION_FROM) | TAKES(OPTION_TO) | TAKES(OPTION_LEVEL) |
			 TAKES(OPTION_SIGNAL) | TAKES(OPTION_ROLE) | TAKES(OPTION_VERSION)};

	return show(&question, PRINT_WINDOWS, argc, argv);
}

int findings_main(int argc, char **argv)
{
	struct question question = {.name = "findings",
		.family = "findings",
		.argument = "ID",
		.argument_is_id = true,
		.takes = TAKES(OPTION_MODEL) | TAKES(OPTION_LIMIT)};

	return show(&question, PRINT_FINDINGS, argc, argv);
}

int alerts_main(int argc, char **argv)
{
	struct question question = {.name = "alerts",
		.family = "alerts",
		.argument = "ID",
		.argument_is_id = true,
		.takes = TAKES(OPTION_MODEL) | TAKES(OPTION_STATE) | TAKES(OPTION_LIMIT)};

	return show(&question, PRINT_ALERTS, argc, argv);
}

int actions_main(int argc, char **argv)
{
	struct question question = {.name = "actions",
		.family = "actions",
		.argument = "ID",
		.argument_is_id = true,
		.takes = TAKES(OPTION_TARGET) | TAKES(OPTION_LIMIT)};

	return show(&question, PRINT_ACTIONS, argc, argv);
}

int deadletter_main(int argc, char **argv)
{
	static const char *const names[] = {"list", "show", NULL};
	struct question question = {.name = "deadletter", .family = "deadletters"};
	const char *name = argc > 1 ? argv[1] : "nothing";
	const char *nearest = nearest_name(name, names);

	if (strcmp(name, "list") == 0) {
		question.takes = TAKES(OPTION_LIMIT);
		return show(&question, PRINT_DEADLETTERS, argc - 1, argv + 1);
	}
	if (strcmp(name, "show") == 0) {
		question.argument = "FINGERPRINT";
		question.needs_argument = question.argument_is_id = true;
		return show(&question, PRINT_DEADLETTERS, argc - 1, argv + 1);
	}
	fprintf(stderr,
		"modelwatch deadletter: found %s, expected list or show FINGERPRINT%s%s%s\n", name,
		nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return EXIT_USAGE;
}

int marks_main(int argc, char **argv)
{
	struct question question = {.name = "marks", .family = "marks"};

	return show(&question, PRINT_MARKS, argc, argv);
}
