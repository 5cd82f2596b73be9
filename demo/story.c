/* demo-story: makes two releases go bad and tells, in plain sentences and as it happens, what comes
 * of it. It is also the receiver of the webhooks.
 *
 *   demo-story DEPLOY_URL CONSOLE_URL HOOK_PORT SECRET_FILE
 *
 * Exit status 0: the story came true. 1: it did not; the sentence says where. */
#include "core/action.h"
#include "core/alert.h"
#include "core/digest.h"
#include "core/map.h"
#include "core/memory.h"
#include "demo/deploy_json.h"
#include "demo/story_json.h"
#include "ports/clock.h"
#include "ports/http_in.h"
#include "ports/http_out.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 200 };

/* What has been seen, in the order in which it is waited for. */
enum fact {
	FACT_JUDGED_OK,
	FACT_FINDING,
	FACT_ALERT,
	FACT_HOOK,
	FACT_INTENT,
	FACT_DONE,
	FACT_RESOLVED,
	FACT_HOOK_RESOLVED,
	FACT_VERIFIED,
	FACT_PROPOSED,
	FACTS,
};

struct chapter { /* one fault, and when its facts were seen; 0 = not yet */
	const char *model;
	const char *alertname;
	const char *signal;
	int64_t injected_at;
	int64_t seen_at[FACTS];
};

struct story {
	struct http_in *hooks;
	struct http_out *http;
	const char *deploy_url, *console_url;
	struct bytes secret;
	struct map told; /* sentences that were said */
	int64_t started_at;
	struct chapter *chapter;
	int64_t bad_signatures;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static void say(struct story *story, const char *sentence)
{
	printf("%7.1f s  %s\n", (double)(clock_monotonic_ms() - story->started_at) / 1000,
		sentence);
	fflush(stdout);
}

/* Says it once, and notes the fact. */
static void note(struct story *story, enum fact fact, const char *sentence)
{
	if (!map_get(&story->told, sentence, strlen(sentence))) {
		map_put(&story->told, sentence, strlen(sentence), story);
		say(story, sentence);
	}
	if (!story->chapter->seen_at[fact])
		story->chapter->seen_at[fact] = clock_monotonic_ms();
}

/* ---- what the console shows */

static void see_verdict(void *context, const struct story_verdict *verdict)
{
	struct story *story = context;
	const struct chapter *chapter = story->chapter;
	char text[1024];

	if (strcmp(verdict->model, chapter->model) != 0 ||
		strcmp(verdict->signal, chapter->signal) != 0 ||
		strcmp(verdict->verdict, "ok") != 0 || strcmp(verdict->against, "history") == 0 ||
		chapter->injected_at)
		return;
	snprintf(text, sizeof text, "%s of %s is judged against its %s: ok", verdict->signal,
		verdict->model, verdict->against);
	note(story, FACT_JUDGED_OK, text);
}

static void see_finding(void *context, struct view record)
{
	struct story *story = context;
	const struct chapter *chapter = story->chapter;
	struct finding finding = {0};
	struct err err;
	char text[2048];

	if (finding_from_json(record, &finding, &err) != RC_OK ||
		strcmp(finding.series.model, chapter->model) != 0 ||
		strcmp(finding.series.signal, chapter->signal) != 0 || !chapter->injected_at)
		return;
	const struct evidence *evidence = &finding.evidence;

	if (finding.verdict == VERDICT_ALARM)
		snprintf(text, sizeof text,
			"finding: %s of %s %s %s against %s: %s %.3g, interval %.3g to %.3g, "
			"tolerance "
			"%.3g; %s%s",
			finding.series.signal, finding.series.model, finding.series.role,
			finding.series.version, finding.against, evidence->effect.name,
			evidence->effect.value, evidence->effect.low, evidence->effect.high,
			evidence->effect.tolerance,
			evidence->moved_count ? evidence->moved[0].what : "",
			finding.actionable ? " (fit for automatic action)" : "");
	else
		snprintf(text, sizeof text, "finding: %s of %s %s %s against %s is %s%s%s",
			finding.series.signal, finding.series.model, finding.series.role,
			finding.series.version, finding.against, verdict_names[finding.verdict],
			finding.reason[0] ? ": " : "", finding.reason);
	if (finding.verdict == VERDICT_ALARM)
		note(story, FACT_FINDING, text);
	else
		say(story, text);
}

static void see_finding_once(void *context, struct view record)
{
	struct story *story = context;
	struct finding finding = {0};
	struct err err;

	if (finding_from_json(record, &finding, &err) != RC_OK ||
		map_get(&story->told, finding.id, strlen(finding.id)))
		return;
	map_put(&story->told, finding.id, strlen(finding.id), story);
	see_finding(context, record);
}

static void see_alert(void *context, struct view record)
{
	struct story *story = context;
	const struct chapter *chapter = story->chapter;
	struct alert alert = {0};
	struct err err;
	char text[1024];

	if (alert_from_json(record, &alert, &err) != RC_OK)
		return;
	if (strcmp(labels_get(&alert.labels, "model"), chapter->model) == 0 &&
		strcmp(alert.alertname, chapter->alertname) == 0 && chapter->injected_at) {
		bool firing = alert.state == ALERT_FIRING;

		snprintf(text, sizeof text, "alert %s of %s %s%s%s (%s)", alert.alertname,
			chapter->model,
			firing ? "fires" : "is resolved: ", firing ? "" : alert.reason,
			firing ? "" : "", alert.id);
		note(story, firing ? FACT_ALERT : FACT_RESOLVED, text);
	}
	alert_done(&alert);
}

static void see_action(void *context, struct view record)
{
	static const struct {
		enum action_state state;
		enum fact fact;
	} facts[] = {
		{ACTION_INTENT, FACT_INTENT},
		{ACTION_DONE, FACT_DONE},
		{ACTION_VERIFIED, FACT_VERIFIED},
		{ACTION_PROPOSED, FACT_PROPOSED},
	};
	struct story *story = context;
	struct action action;
	struct err err;
	char text[2048];

	if (action_from_json(record, &action, &err) != RC_OK ||
		strcmp(action.model, story->chapter->model) != 0)
		return;
	snprintf(text, sizeof text, "action: %s of %s %s%s%s", action.operation, action.target,
		action_state_names[action.state], action.result[0] ? ": " : "", action.result);
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		if (facts[i].state == action.state)
			note(story, facts[i].fact, text);
}

/* One answer of the console or the deployment API; status 0: none came. */
static int ask(struct story *story, const char *method, const char *base, const char *path,
	const char *body, struct bytes *out)
{
	struct bytes url = {0};
	struct http_outcome outcome;
	int status = 0;

	bytes_format(&url, "%s%s", base, path);
	struct config_http to = {.url = url.data, .ca = (char[]){""}, .timeout_ms = 3000};
	struct http_call call = {.method = method, .to = &to, .body = view_of(body)};

	http_out_start(story->http, &call);
	while (!stopped && http_out_running(story->http)) {
		http_in_poll(story->hooks, 0);
		if (!http_out_take(story->http, 5, &outcome))
			continue;
		status = outcome.fate == HTTP_ANSWERED ? outcome.status : 0;
		bytes_add(out, outcome.body.data, outcome.body.size);
	}
	bytes_done(&url);
	return status;
}

static void look(struct story *story)
{
	static const struct {
		const char *path, *field;
		story_record use;
	} lists[] = {
		{"/api/v1/findings", "findings", see_finding_once},
		{"/api/v1/alerts", "alerts", see_alert},
		{"/api/v1/actions", "actions", see_action},
	};
	struct bytes answer = {0};

	if (ask(story, "GET", story->console_url, "/api/v1/status", "", &answer) == 200)
		story_verdicts(bytes_view(&answer), see_verdict, story);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		bytes_clear(&answer);
		if (ask(story, "GET", story->console_url, lists[i].path, "", &answer) == 200)
			story_records(bytes_view(&answer), lists[i].field, lists[i].use, story);
	}
	bytes_done(&answer);
}

/* ---- webhooks */

/* Standard Webhooks: v1,base64(HMAC-SHA256(secret, id.timestamp.body)). */
static bool signature_is_good(const struct story *story, const struct http_request *request)
{
	const char *id = http_header(request, "webhook-id");
	const char *timestamp = http_header(request, "webhook-timestamp");
	const char *signature = http_header(request, "webhook-signature");
	CLEANUP(bytes_done) struct bytes signed_text = {0};
	CLEANUP(bytes_done) struct bytes expected = {0};
	unsigned char digest[DIGEST_SIZE];

	if (!id || !timestamp || !signature)
		return false;
	bytes_format(&signed_text, "%s.%s.", id, timestamp);
	bytes_add(&signed_text, request->body.data, request->body.size);
	digest_hmac(bytes_view(&story->secret), bytes_view(&signed_text), digest);
	bytes_text(&expected, "v1,");
	base64_encode((struct view){(const char *)digest, DIGEST_SIZE}, &expected);
	return strcmp(expected.data, signature) == 0;
}

static void take_hook(void *context, const struct http_request *request, struct http_answer *answer)
{
	struct story *story = context;
	struct story_hook hook;
	char text[1024];

	bytes_text(&answer->body, "{}");
	if (!signature_is_good(story, request)) {
		story->bad_signatures++;
		answer->status = 401;
		say(story, "a webhook with a wrong signature arrived and was refused");
		return;
	}
	if (!story->chapter || !story_hook_read(request->body, &hook) ||
		strcmp(hook.model, story->chapter->model) != 0)
		return;
	bool firing = strcmp(hook.type, "alerts.firing") == 0;

	snprintf(text, sizeof text, "webhook received, signature good: %s of %s %s", hook.alertname,
		hook.model, firing ? "fires" : "is resolved");
	note(story, firing ? FACT_HOOK : FACT_HOOK_RESOLVED, text);
}

/* ---- the script */

static bool wait_for(struct story *story, enum fact fact, const char *what, int64_t seconds)
{
	int64_t end = clock_monotonic_ms() + seconds * 1000;

	while (!stopped && clock_monotonic_ms() < end) {
		look(story);
		if (story->chapter->seen_at[fact])
			return true;
		http_in_poll(story->hooks, POLL_MS);
	}
	if (!stopped)
		printf("           the story did not come true: %s was awaited for %lld s\n", what,
			(long long)seconds);
	return false;
}

static bool release(struct story *story, const char *model, const char *body)
{
	CLEANUP(bytes_done) struct bytes path = {0};
	CLEANUP(bytes_done) struct bytes answer = {0};

	bytes_format(&path, "/models/%s/release", model);
	return ask(story, "POST", story->deploy_url, path.data, body, &answer) == 200;
}

static bool deployment(struct story *story, const char *model, struct deployment *found)
{
	CLEANUP(bytes_done) struct bytes path = {0};
	CLEANUP(bytes_done) struct bytes answer = {0};

	bytes_format(&path, "/models/%s", model);
	return ask(story, "GET", story->deploy_url, path.data, "", &answer) == 200 &&
	       deployment_read(bytes_view(&answer), found);
}

static bool first_releases(struct story *story)
{
	say(story, "three models start to serve: fraud, recommend, search");
	return release(story, "fraud",
		       "{\"production\":\"2026-11-01\",\"canary\":\"2026-11-01\",\"canary_share\":"
		       "0.25}") &&
	       release(story, "recommend", "{\"production\":\"v7\"}") &&
	       release(story, "search", "{\"production\":\"s3\"}");
}

static bool slow_release(struct story *story, struct chapter *chapter)
{
	struct deployment now = {0};

	story->chapter = chapter;
	if (!wait_for(story, FACT_JUDGED_OK, "a first verdict on fraud", 90))
		return false;
	say(story,
		"FAULT 1: fraud 2026-11-02-slow is released to production; it answers 60 % slower");
	chapter->injected_at = clock_monotonic_ms();
	if (!release(story, "fraud", "{\"production\":\"2026-11-02-slow\"}") ||
		!wait_for(story, FACT_FINDING, "a finding on fraud", 90) ||
		!wait_for(story, FACT_HOOK, "the webhook", 30) ||
		!wait_for(story, FACT_DONE, "the rollback", 60) ||
		!wait_for(story, FACT_VERIFIED, "the verification", 180) ||
		!wait_for(story, FACT_HOOK_RESOLVED, "the resolved notice", 60))
		return false;
	return deployment(story, "fraud", &now) && now.rollbacks == 1 &&
	       strcmp(now.production, "2026-11-01") == 0;
}

static bool shifted_canary(struct story *story, struct chapter *chapter)
{
	struct deployment now = {0};

	story->chapter = chapter;
	say(story, "FAULT 2: recommend gets a canary, v8-shifted, with 30 % of the traffic; its "
		   "scores differ");
	chapter->injected_at = clock_monotonic_ms();
	if (!release(story, "recommend", "{\"canary\":\"v8-shifted\",\"canary_share\":0.3}") ||
		!wait_for(story, FACT_FINDING, "a finding on recommend", 90) ||
		!wait_for(story, FACT_HOOK, "the webhook", 30) ||
		!wait_for(story, FACT_PROPOSED, "the proposal", 30))
		return false;
	for (int64_t end = clock_monotonic_ms() + 5000; !stopped && clock_monotonic_ms() < end;) {
		look(story);
		http_in_poll(story->hooks, POLL_MS);
	}
	if (!deployment(story, "recommend", &now) || now.rollback_calls)
		return false;
	say(story, "nobody has decided, and nothing was called: the canary goes on serving");
	return true;
}

static void interval(const struct chapter *chapter, enum fact fact, const char *what)
{
	if (chapter->seen_at[fact])
		printf("    %-34s %6.1f s\n", what,
			(double)(chapter->seen_at[fact] - chapter->injected_at) / 1000);
}

static void summarize(const struct story *story, const struct chapter *slow,
	const struct chapter *shifted, bool came_true)
{
	printf("\nseconds from the release of the slow version to\n");
	interval(slow, FACT_FINDING, "the finding");
	interval(slow, FACT_HOOK, "the webhook's arrival");
	interval(slow, FACT_DONE, "the rollback accepted");
	interval(slow, FACT_RESOLVED, "the alert resolved");
	interval(slow, FACT_VERIFIED, "the rollback verified");
	printf("seconds from the start of the shifted canary to\n");
	interval(shifted, FACT_FINDING, "the finding");
	interval(shifted, FACT_PROPOSED, "the proposal to a human");
	printf("webhooks with a wrong signature: %lld\n%s\n", (long long)story->bad_signatures,
		came_true ? "The story came true." : "The story did NOT come true.");
}

static enum rc read_secret(struct story *story, const char *path, struct err *err)
{
	FILE *file = fopen(path, "r");
	char text[1024];

	if (!file || !fgets(text, sizeof text, file))
		return err_set(
			err, RC_FATAL, "%s: cannot be read, expected the webhook's secret", path);
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	bytes_text(&story->secret, text);
	return RC_OK;
}

static enum rc open_story(struct story *story, char **argv, struct err *err)
{
	static char loopback[] = "127.0.0.0/8";
	static char *const allow[] = {loopback};

	story->deploy_url = argv[1];
	story->console_url = argv[2];
	story->started_at = clock_monotonic_ms();
	TRY(read_secret(story, argv[4], err));
	TRY(http_out_open(allow, 1, &story->http, err));
	return http_in_open("127.0.0.1", atoi(argv[3]), take_hook, story, &story->hooks, err);
}

int main(int argc, char **argv)
{
	struct story *story = memory_new(1, sizeof *story);
	struct chapter slow = {.model = "fraud", .alertname = "ModelLatency", .signal = "latency"};
	struct chapter shifted = {
		.model = "recommend", .alertname = "ScoreDrift", .signal = "score"};
	struct err err = {0};

	if (argc != 5) {
		fprintf(stderr, "usage: demo-story DEPLOY_URL CONSOLE_URL HOOK_PORT SECRET_FILE\n");
		return 2;
	}
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	if (open_story(story, argv, &err) != RC_OK) {
		fprintf(stderr, "demo-story: %s\n", err.text);
		return 1;
	}
	story->chapter = &slow;
	bool came_true = first_releases(story) && slow_release(story, &slow) &&
			 shifted_canary(story, &shifted) && !story->bad_signatures;

	summarize(story, &slow, &shifted, came_true);
	http_in_close(story->hooks);
	http_out_close(story->http);
	map_done(&story->told);
	bytes_done(&story->secret);
	free(story);
	return came_true ? 0 : 1;
}
