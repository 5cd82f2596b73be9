/* tests/live/test_store.c: the store in a real Redis; test_store.py says which, and runs this.
 *
 *   test_store contract SETTING...   the tests that every store passes (store_contract.h)
 *   test_store drive SETTING...      carries out commands from stdin, one a line, one answer a line
 *
 * Settings: unix=PATH, or host=HOST port=PORT [tls=yes] [ca=FILE]; [user=NAME] [password=TEXT].
 * An answer is the outcome ("ok", "none", "retry", "reject", "fatal"), ": ", and a result or the
 * reason. */
#include "tests/live/store_contract.h"

static const char *const outcomes[] = {"ok", "none", "retry", "reject", "fatal"};

static const char *setting(int argc, char **argv, const char *name, const char *otherwise)
{
	size_t size = strlen(name);

	for (int i = 2; i < argc; i++)
		if (strncmp(argv[i], name, size) == 0 && argv[i][size] == '=')
			return argv[i] + size + 1;
	return otherwise;
}

static struct config_redis settings_of(int argc, char **argv)
{
	const char *password = setting(argc, argv, "password", NULL);
	struct config_redis settings = {
		.path = (char *)setting(argc, argv, "unix", ""),
		.host = (char *)setting(argc, argv, "host", ""),
		.port = atoi(setting(argc, argv, "port", "0")),
		.ca = (char *)setting(argc, argv, "ca", ""),
		.user = (char *)setting(argc, argv, "user", ""),
		.password = password ? secret_new(password, strlen(password)) : NULL,
		.prefix = (char *)"modelwatch",
	};

	settings.transport = settings.path[0]                  ? REDIS_UNIX
			     : *setting(argc, argv, "tls", "") ? REDIS_TLS
							       : REDIS_TCP;
	return settings;
}

struct drive {
	struct fold fold;
	struct head head;
	struct change change; /* what the next advance carries out */
	struct bytes result;
};

/* A command and up to three words. "-" asks for so many bytes of x in place of data: put state a
 * -1000. */
static enum rc carry_out(struct drive *drive, char words[4][128], struct err *err)
{
	const char *command = words[0];
	struct view third = view_of(words[3]);
	struct bytes filler = {0};

	if (words[3][0] == '-') {
		for (long i = atol(words[3] + 1); i > 0; i--)
			bytes_text(&filler, "x");
		third = (struct view){filler.data, filler.size};
	}
	enum rc rc = RC_OK;

	if (strcmp(command, "install") == 0) {
		rc = store_install(contract_store, err);
	} else if (strcmp(command, "load") == 0) {
		rc = store_load(contract_store, &drive->fold, &drive->head, collect_record,
			&drive->result, err);
	} else if (strcmp(command, "epoch") == 0) {
		bytes_format(&drive->result, "%s%s", drive->head.epoch,
			drive->head.fresh ? " fresh" : "");
	} else if (strcmp(command, "put") == 0) {
		change_put(&drive->change, words[1], view_of(words[2]), third);
	} else if (strcmp(command, "put_for") == 0) {
		change_put_for(
			&drive->change, words[1], view_of(words[2]), view_of("x"), atoll(words[3]));
	} else if (strcmp(command, "append") == 0) {
		change_append(&drive->change, words[1], strtoull(words[2], NULL, 10), third, 0, 0);
	} else if (strcmp(command, "emit") == 0) {
		change_emit(&drive->change, words[1], view_of(words[2]), third, NULL);
	} else if (strcmp(command, "advance") == 0) {
		rc = store_advance(contract_store, &drive->fold, &drive->head, &drive->change, err);
		change_clear(&drive->change);
	} else if (strcmp(command, "stream") == 0) {
		rc = store_stream(contract_store, &drive->fold, &drive->head, words[1], 0, 1000,
			collect_entry, &drive->result, err);
	} else {
		rc = err_set(err, RC_FATAL, "%s: no such command", command);
	}
	bytes_done(&filler);
	return rc;
}

static int drive_by_stdin(void)
{
	struct drive drive = {.fold = {.service = "ingest", .log = "ml.events-0"}};
	char line[1024];

	while (fgets(line, sizeof line, stdin)) {
		char words[4][128] = {0};
		struct err err = {0};

		sscanf(line, "%127s %127s %127s %127s", words[0], words[1], words[2], words[3]);
		bytes_clear(&drive.result);
		enum rc rc = carry_out(&drive, words, &err);

		printf("%s: %s\n", outcomes[rc],
			rc != RC_OK         ? err.text
			: drive.result.size ? drive.result.data
					    : "");
		fflush(stdout);
	}
	change_done(&drive.change);
	bytes_done(&drive.result);
	return 0;
}

int main(int argc, char **argv)
{
	struct config_redis settings = settings_of(argc, argv);
	struct err err;
	int failures = 2;

	if (argc < 3 || store_open(&settings, &contract_store, &err) != RC_OK)
		return failures;
	if (strcmp(argv[1], "contract") == 0)
		failures =
			cmocka_run_group_tests_name("store in Redis", contract_tests, NULL, NULL);
	if (strcmp(argv[1], "drive") == 0)
		failures = drive_by_stdin();
	store_close(contract_store);
	secret_free(settings.password);
	return failures;
}
