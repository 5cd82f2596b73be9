/* demo-fleet: a few models that answer requests and emit events to Kafka as real ones would: users,
 * a daily rhythm (an hour long here), two roles, failures. Which version serves is asked of the
 * deployment API once in a while.
 *
 *   demo-fleet BROKERS TOPIC DEPLOY_URL            until SIGTERM
 *   demo-fleet --play BROKERS TOPIC FILE...        plays recorded events instead, as fast as they
 * go, keyed by model
 *
 * A version whose name ends in "-slow" answers 60 % slower; one that ends in "-shifted" gives other
 * scores. */
#include "core/memory.h"
#include "demo/deploy_json.h"
#include "ports/clock.h"
#include "ports/http_out.h"
#include "ports/journal.h"
#include "ports/log.h"
#include "ports/trace.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 50, ASK_MS = 250, DAY_MS = 3600 * 1000, USERS = 5000 };

struct model {
	const char *name;
	double per_second;
	double latency_ms;           /* median */
	double spread;               /* standard deviation of its logarithm */
	double failures;             /* share */
	double score_mean, score_sd; /* of the logit; no scores when sd is 0 */
	struct deployment deployment;
	double owed; /* events not yet emitted */
};

static struct model models[] = {
	{.name = "fraud", .per_second = 400, .latency_ms = 20, .spread = 0.35, .failures = 0.002},
	{.name = "recommend",
		.per_second = 400,
		.latency_ms = 35,
		.spread = 0.3,
		.failures = 0.001,
		.score_mean = -1,
		.score_sd = 1},
	{.name = "search", .per_second = 100, .latency_ms = 60, .spread = 0.5, .failures = 0.004},
};
enum { MODELS = sizeof models / sizeof *models };

struct fleet {
	struct log *log;
	struct log_writer *writer;
	struct http_out *http;
	const char *topic, *deploy_url;
	uint64_t chance; /* state of the generator */
	uint64_t request;
	uint64_t on_the_way; /* records handed over and not yet acknowledged */
	int64_t asked_at;
	struct config_http urls[MODELS];
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

/* xorshift64* (Vigna 2016), enough for traffic. */
static double uniform(struct fleet *fleet)
{
	fleet->chance ^= fleet->chance >> 12;
	fleet->chance ^= fleet->chance << 25;
	fleet->chance ^= fleet->chance >> 27;
	return (double)((fleet->chance * 2685821657736338717ULL) >> 11) / 9007199254740992.0;
}

/* Box and Muller 1958. */
static double normal(struct fleet *fleet)
{
	double u = uniform(fleet);

	return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * uniform(fleet));
}

static bool ends_in(const char *text, const char *end)
{
	size_t size = strlen(text);

	return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static void write_event(
	struct fleet *fleet, const struct model *model, int64_t now, struct bytes *out)
{
	const struct deployment *deployment = &model->deployment;
	bool canary = deployment->canary[0] && uniform(fleet) < deployment->canary_share;
	const char *version = canary ? deployment->canary : deployment->production;
	double latency = model->latency_ms * exp(model->spread * normal(fleet));
	bool failed = uniform(fleet) < model->failures;

	if (ends_in(version, "-slow"))
		latency *= 1.6;
	bytes_format(out,
		"{\"type\":\"prediction\",\"ts\":%lld,\"model\":\"%s\",\"version\":\"%s\","
		"\"role\":\"%s\",\"request_id\":\"r-%llu\",\"unit\":\"u-%d\",\"latency_ms\":%.3f,"
		"\"status\":%d",
		(long long)now, model->name, version, canary ? "canary" : "production",
		(unsigned long long)fleet->request++, (int)(uniform(fleet) * USERS), latency,
		failed ? 500 : 200);
	if (model->score_sd > 0) {
		double shift = ends_in(version, "-shifted") ? 0.6 : 0;
		double logit = model->score_mean + shift + model->score_sd * normal(fleet);

		bytes_format(out, ",\"score\":%.5f", 1 / (1 + exp(-logit)));
	}
	bytes_text(out, "}");
}

/* What is not delivered counts as done too: a demo does not keep its events. */
static void settle(struct fleet *fleet, int wait_ms)
{
	uint64_t tags[256];
	bool delivered[256];

	fleet->on_the_way -= log_written(fleet->writer, wait_ms, 256, tags, delivered);
}

/* The writer's queue may be full: the fleet waits, as a producer with back pressure would. */
static void put(struct fleet *fleet, struct view key, struct view value)
{
	struct view none = {"", 0};
	struct err err;
	enum rc rc;

	while ((rc = log_write(fleet->writer, fleet->topic, key, value, none, 0, &err)) ==
			RC_RETRY &&
		!stopped)
		settle(fleet, 20);
	fleet->on_the_way += rc == RC_OK;
	settle(fleet, 0);
}

static void emit(struct fleet *fleet, struct model *model, int64_t now)
{
	double day = sin(6.283185307179586 * (double)(now % DAY_MS) / DAY_MS);
	struct bytes event = {0};

	model->owed += model->per_second * (1 + 0.05 * day) * STEP_MS / 1000;
	/* Arrivals within a step vary as a Poisson count would, by its normal approximation. */
	double jitter = sqrt(model->owed > 0 ? model->owed : 0) * normal(fleet) * 0.3;
	int64_t count = (int64_t)(model->owed + jitter);

	for (int64_t i = 0; i < count && model->deployment.production[0]; i++) {
		bytes_clear(&event);
		write_event(fleet, model, now - (int64_t)(uniform(fleet) * STEP_MS), &event);
		put(fleet, view_of(model->name), bytes_view(&event));
	}
	if (count > 0)
		model->owed -= (double)count;
	bytes_done(&event);
}

static void ask_deployments(struct fleet *fleet, int64_t now)
{
	struct http_outcome outcome;

	if (now - fleet->asked_at >= ASK_MS) {
		fleet->asked_at = now;
		for (size_t i = 0; i < MODELS; i++)
			http_out_start(fleet->http,
				&(struct http_call){
					.method = "GET", .to = &fleet->urls[i], .tag = i});
	}
	while (http_out_take(fleet->http, 0, &outcome))
		if (outcome.fate == HTTP_ANSWERED && outcome.status == 200)
			deployment_read(outcome.body, &models[outcome.tag].deployment);
}

static void serve(struct fleet *fleet)
{
	int64_t next = clock_monotonic_ms();

	while (!stopped) {
		int64_t now = clock_monotonic_ms();

		ask_deployments(fleet, now);
		if (now < next) {
			settle(fleet, (int)(next - now));
			continue;
		}
		next += STEP_MS;
		for (size_t i = 0; i < MODELS; i++)
			emit(fleet, &models[i], clock_wall_ms());
	}
}

/* The text behind "model":, good enough for a key: recorded events are ours to play. */
static struct view model_of(struct view line)
{
	static const char mark[] = "\"model\":\"";
	const char *found = memmem(line.data, line.size, mark, sizeof mark - 1);

	if (!found)
		return (struct view){"", 0};
	found += sizeof mark - 1;
	const char *end = memchr(found, '"', (size_t)(line.data + line.size - found));

	return (struct view){found, end ? (size_t)(end - found) : 0};
}

static enum rc play(struct fleet *fleet, const char *path, struct err *err)
{
	struct trace *trace;
	struct view line;
	enum rc rc = trace_open(path, &trace, err);

	if (rc != RC_OK)
		return rc;
	while (!stopped && (rc = trace_next(trace, &line, err)) == RC_OK)
		put(fleet, model_of(line), line);
	trace_close(trace);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc open_fleet(struct fleet *fleet, struct config_kafka *kafka, struct err *err)
{
	static char loopback[] = "127.0.0.0/8";
	static char *const allow[] = {loopback};
	struct log_topic topic = {
		.name = fleet->topic, .partitions = 4, .replication = 1, .retention_ms = -1};

	TRY(log_open(kafka, "demo-fleet", &fleet->log, err));
	enum rc created = log_create(fleet->log, &topic, 10000, err);

	if (created != RC_OK && created != RC_NONE)
		return created;
	TRY(log_writer_open(fleet->log, &fleet->topic, 1, &fleet->writer, err));
	return http_out_open(allow, 1, &fleet->http, err);
}

static void name_urls(struct fleet *fleet)
{
	for (size_t i = 0; i < MODELS; i++) {
		struct bytes url = {0};

		bytes_format(&url, "%s/models/%s", fleet->deploy_url, models[i].name);
		fleet->urls[i] = (struct config_http){
			.url = url.data, .ca = memory_text(""), .timeout_ms = 2000};
	}
}

int main(int argc, char **argv)
{
	bool recorded = argc > 4 && strcmp(argv[1], "--play") == 0;
	int first = recorded ? 2 : 1;
	struct fleet *fleet = memory_new(1, sizeof *fleet);
	struct config_kafka kafka = {0};
	struct err err = {0};
	enum rc rc;

	if (argc < 4) {
		fprintf(stderr, "usage: demo-fleet BROKERS TOPIC DEPLOY_URL\n"
				"       demo-fleet --play BROKERS TOPIC FILE...\n");
		return 2;
	}
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	journal_open("demo-fleet", JOURNAL_INFO);
	kafka.brokers = argv[first];
	fleet->topic = argv[first + 1];
	fleet->deploy_url = argv[first + 2];
	fleet->chance = 0x9e3779b97f4a7c15ULL;
	rc = open_fleet(fleet, &kafka, &err);
	for (int i = first + 2; recorded && rc == RC_OK && i < argc; i++)
		rc = play(fleet, argv[i], &err);
	while (rc == RC_OK && recorded && fleet->on_the_way && !stopped)
		settle(fleet, 100);
	if (rc == RC_OK && !recorded) {
		name_urls(fleet);
		serve(fleet);
	}
	if (rc != RC_OK)
		journal(JOURNAL_ERROR, "fleet_ends", "reason", err.text, NULL);
	http_out_close(fleet->http);
	log_writer_close(fleet->writer);
	log_close(fleet->log);
	free(fleet);
	return rc == RC_OK ? 0 : 1;
}
