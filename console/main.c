/* console/main.c: modelwatch-console: answers what is known, on loopback.
 * reads: tables of all folds (Redis). writes: nothing. */
#include "console/api.h"
#include "ports/clock.h"
#include "ports/journal.h"
#include "ports/service.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 100, CHECK_MS = 1000 };

struct console {
	struct service service;
	struct api api;
	struct http_in *http;
	int64_t checked_at;
};

static void answer_request(
	void *context, const struct http_request *request, struct http_answer *answer)
{
	struct console *console = context;

	if (!service_answer(&console->service, request, answer))
		api_answer(&console->api, request, answer);
}

static enum rc open_all(struct console *console, struct err *err)
{
	const struct config *config = &console->service.config;

	console->api = (struct api){.config = config, .metrics = &console->service.metrics};
	TRY(store_open(&config->redis, &console->api.store, err));
	return http_in_open(config->console.host, config->console.port, answer_request, console,
		&console->http, err);
}

static enum rc ignore(void *context, struct view field, struct view data, struct err *err)
{
	(void)context, (void)field, (void)data, (void)err;
	return RC_OK;
}

static void check_store(struct console *console)
{
	struct service *service = &console->service;
	struct err err = {0};
	int64_t now = clock_monotonic_ms();

	if (now - console->checked_at < CHECK_MS)
		return;
	console->checked_at = now;
	if (store_folds(console->api.store, ignore, NULL, &err) == RC_OK)
		service_status(service, true, "answering on %s:%d", service->config.console.host,
			http_in_port(console->http));
	else
		service_status(service, false, "waiting: %s", err.text);
}

/* All but the address that it listens on follows the new configuration. */
static void reload(struct console *console)
{
	struct config *fresh = service_reload(&console->service);
	struct store *store;
	struct err err = {0};

	if (!fresh)
		return;
	if (store_open(&fresh->redis, &store, &err) != RC_OK) {
		service_refuse(fresh, &err);
		return;
	}
	store_close(console->api.store);
	console->api.store = store;
	console->api.config = fresh;
	service_adopt(&console->service, fresh);
}

static int run(struct console *console)
{
	struct err err = {0};
	enum rc rc = open_all(console, &err);

	if (rc != RC_OK)
		journal(JOURNAL_ERROR, "start_failed", "reason", err.text, NULL);
	while (rc == RC_OK && service_turn(&console->service)) {
		if (console->service.reload_wanted)
			reload(console);
		check_store(console);
		http_in_poll(console->http, WAIT_MS);
	}
	http_in_close(console->http);
	store_close(console->api.store);
	return rc == RC_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct console console = {.checked_at = -CHECK_MS};
	int exit_status;

	if (!service_open(&console.service, "console", SERVICE_SERVES_ITSELF, false, argc, argv,
		    &exit_status))
		return exit_status;
	exit_status = run(&console);
	service_close(&console.service);
	return exit_status;
}
