/* demo-deploy: a deployment API for the demo: it holds which version of each model serves in which
 * role, and the fleet obeys it.
 *
 *   GET  /models/NAME {"model","production","canary","canary_share","converged","rollbacks"} POST
 * /models/NAME/release    {"production": "...", "canary": "...", "canary_share": 0.1} POST
 * /models/NAME/rollback   production goes back to the version before; Idempotency-Key is honoured
 *
 * A change takes --settle milliseconds until the status says that it has converged, as a real
 * rollout would. */
#include "core/memory.h"
#include "demo/deploy_json.h"
#include "ports/clock.h"
#include "ports/http_in.h"
#include "ports/journal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPLOYMENTS_MAX = 32, KEYS_MAX = 256 };

struct deploy {
	struct deployment deployments[DEPLOYMENTS_MAX];
	size_t count;
	char keys[KEYS_MAX][ID_TEXT_SIZE]; /* Idempotency-Keys that had their effect */
	size_t key_count;
	int64_t settle_ms;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static struct deployment *deployment_of(struct deploy *deploy, const char *model)
{
	for (size_t i = 0; i < deploy->count; i++)
		if (strcmp(deploy->deployments[i].model, model) == 0)
			return &deploy->deployments[i];
	if (deploy->count == DEPLOYMENTS_MAX)
		return NULL;
	struct deployment *made = &deploy->deployments[deploy->count++];

	snprintf(made->model, sizeof made->model, "%s", model);
	return made;
}

static bool key_is_used(struct deploy *deploy, const char *key)
{
	for (size_t i = 0; key && i < deploy->key_count; i++)
		if (strcmp(deploy->keys[i], key) == 0)
			return true;
	if (key && deploy->key_count < KEYS_MAX)
		snprintf(deploy->keys[deploy->key_count++], ID_TEXT_SIZE, "%s", key);
	return false;
}

static void roll_back(struct deploy *deploy, struct deployment *deployment, const char *key)
{
	deployment->rollback_calls++;
	if (key_is_used(deploy, key))
		return;
	deployment->rollbacks++;
	memcpy(deployment->production, deployment->before, sizeof deployment->production);
	deployment->changed_at = clock_monotonic_ms();
}

static void answer(void *context, const struct http_request *request, struct http_answer *out)
{
	struct deploy *deploy = context;
	char model[NAME_TEXT_SIZE] = "";
	char verb[32] = "";
	int fields = sscanf(request->path, "/models/%127[^/]/%31s", model, verb);
	struct deployment *deployment = fields >= 1 ? deployment_of(deploy, model) : NULL;
	bool post = strcmp(request->method, "POST") == 0;

	if (!deployment) {
		out->status = 404;
		bytes_text(&out->body, "{\"error\":\"no such path\"}");
		return;
	}
	if (post && strcmp(verb, "release") == 0) {
		if (!deployment_release(deployment, request->body))
			out->status = 400;
		deployment->changed_at = clock_monotonic_ms();
	} else if (post && strcmp(verb, "rollback") == 0) {
		roll_back(deploy, deployment, http_header(request, "Idempotency-Key"));
	}
	deployment->converged = clock_monotonic_ms() - deployment->changed_at >= deploy->settle_ms;
	deployment_write(deployment, &out->body);
}

int main(int argc, char **argv)
{
	struct deploy *deploy = memory_new(1, sizeof *deploy);
	struct http_in *http;
	struct err err = {0};

	if (argc != 3) {
		fprintf(stderr, "usage: demo-deploy PORT SETTLE_MS\n");
		return 2;
	}
	deploy->settle_ms = atoll(argv[2]);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	journal_open("demo-deploy", JOURNAL_INFO);
	if (http_in_open("127.0.0.1", atoi(argv[1]), answer, deploy, &http, &err) != RC_OK) {
		journal(JOURNAL_ERROR, "cannot_serve", "reason", err.text, NULL);
		return 1;
	}
	while (!stopped)
		http_in_poll(http, 100);
	http_in_close(http);
	free(deploy);
	return 0;
}
