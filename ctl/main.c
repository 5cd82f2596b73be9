/* ctl/main.c: the `modelwatch` command: finds the command that was meant, and explains them all. */
#include "ctl/commands.h"
#include "ports/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int help_main(int argc, char **argv);

#define ASKING "  --json                one record per line, as stored\n" WHERE

#define WHERE                                                                                      \
	"  --url URL             of the console; else $MODELWATCH_URL, else what the "             \
	"configuration\n"                                                                          \
	"                        says, else http://127.0.0.1:9130\n"                               \
	"  --config FILE|DIR     else $MODELWATCH_CONFIG, else /etc/modelwatch/modelwatch.yaml\n"

#define TIMES "Times: RFC 3339, Unix milliseconds, now, or 15m for a quarter of an hour ago.\n"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments, *summary, *details;
} commands[] = {
	{"init", init_main, "", "creates our topics and loads the Redis function",
		"Harmless to repeat; a topic that is there with other settings is told and left "
		"alone.\n\n"
		"  --partitions N        of the topics that are created: 1\n"
		"  --wait DURATION       how long Kafka and Redis are waited for: 30s\n"
		"  --config FILE|DIR\n\nExit status: 1 when one of them is away.\n"},
	{"check", check_main, "[CONFIG]",
		"tells all mistakes of a configuration, or what it amounts to",
		"  --without-secrets     on a machine that does not have the files of secrets\n"
		"  --config FILE|DIR     the same as the argument\n\nExit status: 2 when there are "
		"any.\n"},
	{"replay", replay_main, "TRACE...", "runs the whole pipeline over recorded events",
		"  --config FILE|DIR\n"
		"  --format NAME         of the files after it, as declared in the configuration\n"
		"  --windows             prints windows, too\n"
		"  --verdicts            prints the last verdicts, too\n"
		"  --marks FILE          idle marks, as `modelwatch marks --json` prints them\n"
		"  --topic NAME          that the events are taken to come from: the first "
		"configured one\n"
		"  --partitions N        into which models are spread by their names: 1\n\n"
		"TRACE: .jsonl or .jsonl.zst, - for standard input. Findings, alerts and would-be\n"
		"actions come as JSON lines on stdout; progress, and at last what became of the\n"
		"events, on stderr.\n"},
	{"status", status_main, "[MODEL]", "models with their verdicts, logs with their counters",
		"With MODEL: its verdicts, also those that are ok.\n\n"
		"  --json                the console's answer, one object\n" WHERE},
	{"windows", windows_main, "MODEL", "exact counts and sums per tick and series",
		"  --from TIME           default: an hour (1m: a day, 10m: 30 days) before --to\n"
		"  --to TIME             default: now; event times t with from <= t < to\n"
		"  --level LEVEL         tick (kept an hour; default), 1m (a day) or 10m (30 "
		"days)\n"
		"  --signal NAME  --role NAME  --version NAME\n" ASKING "\n" TIMES},
	{"findings", findings_main, "[ID]",
		"changes of verdicts, newest first; or one with its evidence",
		"  --model NAME  --limit N\n" ASKING},
	{"alerts", alerts_main, "[ID]", "incidents, newest first; or one with its evidence",
		"  --state firing|resolved  --model NAME  --limit N\n" ASKING},
	{"actions", actions_main, "[ID]", "steps of remediations in their order; or all of one",
		"  --target NAME  --limit N\n" ASKING},
	{"deadletter", deadletter_main, "list | show FINGERPRINT",
		"rejected events, grouped by what is wrong with them", "  --limit N\n" ASKING},
	{"marks", marks_main, "", "idle marks, for replay", ASKING},
	{"help", help_main, "[COMMAND]", "explains a command", ""},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

static int complain(const char *name)
{
	const char *names[COMMANDS + 1] = {0};

	for (size_t i = 0; i < COMMANDS; i++)
		names[i] = commands[i].name;
	const char *nearest = nearest_name(name, names);

	fprintf(stderr, "modelwatch: no such command: %s%s%s%s\n", name,
		nearest ? "; did you mean " : "", nearest ? nearest : "; see modelwatch help",
		nearest ? "?" : "");
	return EXIT_USAGE;
}

static void print_commands(FILE *to)
{
	fprintf(to, "modelwatch: watches machine-learning models in production\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-10s %-24s %s\n", commands[i].name, commands[i].arguments,
			commands[i].summary);
	fprintf(to, "\nmodelwatch help COMMAND tells its options; modelwatch --version.\n"
		    "Exit status: 0 done, 1 it could not be done, 2 wrong use.\n");
}

static int print_help(const char *name)
{
	const struct command *command = find(name);

	if (!command)
		return complain(name);
	printf("modelwatch %s%s%s: %s\n\n%s", name, *command->arguments ? " " : "",
		command->arguments, command->summary, command->details);
	return EXIT_SUCCESS;
}

static int help_main(int argc, char **argv)
{
	if (argc > 1)
		return print_help(argv[1]);
	print_commands(stdout);
	return EXIT_SUCCESS;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		print_commands(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("modelwatch %s\n", MODELWATCH_VERSION);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help_main(1, argv);
	const struct command *command = find(argv[1]);

	if (!command)
		return complain(argv[1]);
	if (asks_for_help(argc - 1, argv + 1))
		return print_help(argv[1]);
	char program[64];

	snprintf(program, sizeof program, "modelwatch %s", command->name);
	argv[1] = program; /* as getopt names it in complaints */
	return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	/* A full disk behind a redirection must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("modelwatch: standard output");
		return EXIT_FAILURE;
	}
	return status;
}
