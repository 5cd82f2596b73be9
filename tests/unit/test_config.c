#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/config_section.h"
#include "core/memory.h"
#include "ports/config_file.h"
#include "ports/yaml.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MINIMAL                                                                                    \
	"kafka: {brokers: 'localhost:9092', topics: [ml.events]}\n"                                \
	"receivers: [{name: oncall, webhook_configs: [{url: 'https://pager.example/hook'}]}]\n"

static struct secret *no_secret(void *context, const char *path, struct err *err)
{
	(void)context;
	if (strcmp(path, "missing") == 0) {
		err_set(err, RC_FATAL, "%s is not there", path);
		return NULL;
	}
	return secret_new(path, strlen(path));
}

static enum rc read_text(const char *text, struct config *config, struct mistakes *mistakes)
{
	struct node *document = yaml_parse(view_of(text), "f.yaml", mistakes);

	if (!document) {
		*config = (struct config){0};
		return RC_FATAL;
	}
	const struct node *documents[] = {document};
	enum rc rc = config_read(documents, 1, no_secret, NULL, config, mistakes);

	node_free(document);
	return rc;
}

static void read_well(const char *text, struct config *config)
{
	struct mistakes mistakes = {0};

	if (read_text(text, config, &mistakes) != RC_OK)
		fail_msg("%s", mistakes.text.data);
	assert_int_equal(mistakes.count, 0);
	bytes_done(&mistakes.text);
}

/* The first line that differs is the one to know; cmocka cuts long texts. */
static void assert_lines(const char *found_ones, const char *expected)
{
	while (*found_ones || *expected) {
		int size = (int)strcspn(found_ones, "\n"),
		    size_expected = (int)strcspn(expected, "\n");

		if (size != size_expected || memcmp(found_ones, expected, (size_t)size) != 0)
			fail_msg("said     %.*s\nexpected %.*s", size, found_ones, size_expected,
				expected);
		found_ones += size + (found_ones[size] == '\n');
		expected += size + (expected[size] == '\n');
	}
}

/* The text has exactly these mistakes. */
static void expect_mistakes(const char *text, const char *expected)
{
	struct mistakes mistakes = {0};
	struct config config;
	enum rc rc = read_text(text, &config, &mistakes);

	assert_lines(mistakes.text.data ? mistakes.text.data : "", expected);
	assert_int_equal(rc, *expected ? RC_FATAL : RC_OK);
	config_done(&config);
	bytes_done(&mistakes.text);
}

static void assert_double(double value, double expected)
{
	if (value != expected)
		fail_msg("%.17g is not %.17g", value, expected);
}

static void assert_default_model(const struct config_model *model)
{
	assert_string_equal(model->match_model, "*");
	assert_string_equal(model->match_segment, "*");
	assert_string_equal(model->owner, "");
	assert_string_equal(model->baseline, "");
	assert_int_equal(model->canary, CANARY_CANDIDATE);
	assert_int_equal(model->score, SCORE_PROBABILITY);
	assert_int_equal(model->tick_ms, 5000);
	assert_int_equal(model->min, 20);
	assert_int_equal(model->clear_for, 10);
	assert_int_equal(model->silent_after_ms, 60000);
	assert_double(model->tolerate.latency_p50, 1.05);
	assert_double(model->tolerate.latency_p99, 1.25);
	assert_double(model->tolerate.errors, 1.5);
	assert_double(model->tolerate.score_sd, 0.05);
	assert_double(model->tolerate.class_abs, 0.01);
	assert_double(model->tolerate.class_rel, 0.10);
	assert_double(model->tolerate.rate, 1.06);
	assert_int_equal(model->severity_count, 0);
}

static void assert_default_services(const struct config *config)
{
	assert_string_equal(config->console.host, "127.0.0.1");
	assert_int_equal(config->console.port, 9130);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(config->metrics[i].host, "127.0.0.1");
		assert_int_equal(config->metrics[i].port, 9131 + i);
	}
	assert_int_equal(config->redis.transport, REDIS_TCP);
	assert_string_equal(config->redis.host, "localhost");
	assert_int_equal(config->redis.port, 6379);
	assert_string_equal(config->redis.path, "");
	assert_string_equal(config->redis.user, "");
	assert_null(config->redis.password);
	assert_string_equal(config->redis.ca, "");
	assert_string_equal(config->redis.prefix, "modelwatch");
	assert_string_equal(config->kafka.prefix, "modelwatch");
	assert_int_equal(config->kafka.replication, 1);
	assert_int_equal(config->kafka.property_count, 0);
	assert_int_equal(config->http_allow_count, 0);
}

static void assert_default_judging(const struct config *config)
{
	assert_double(config->false_alarms, 1);
	assert_int_equal(config->false_alarms_per_s, 30 * 86400);
	assert_int_equal(config->capacity_models, 1000);
	assert_int_equal(config->capacity_comparisons, 60);
	assert_int_equal(config->time.max_age_ms, 86400000);
	assert_int_equal(config->time.max_ahead_ms, 300000);
	assert_int_equal(config->time.lateness_ms, 2000);
	assert_int_equal(config->time.max_late_ms, 600000);
	assert_int_equal(config->limits.event_bytes, 65536);
	assert_int_equal(config->limits.depth, 8);
	assert_int_equal(config->limits.features, 512);
	assert_int_equal(config->limits.classes, 256);
	assert_int_equal(config->limits.models, 1000);
	assert_int_equal(config->limits.versions, 16);
	assert_int_equal(config->limits.deadletters_s, 100);
	assert_int_equal(config->deadletter_payload, PAYLOAD_FULL);
	assert_int_equal(config->format_count, 0);
	assert_int_equal(config->model_count, 1);
	assert_default_model(&config->models[0]);
}

static void assert_default_route(const struct config_route *route)
{
	assert_string_equal(route->receiver, "oncall");
	assert_int_equal(route->matcher_count, 0);
	assert_int_equal(route->group_by_count, 2);
	assert_string_equal(route->group_by[0], "model");
	assert_string_equal(route->group_by[1], "alertname");
	assert_int_equal(route->group_wait_ms, 30000);
	assert_int_equal(route->group_interval_ms, 300000);
	assert_int_equal(route->repeat_interval_ms, 4 * 3600000);
	assert_false(route->go_on);
	assert_int_equal(route->route_count, 0);
}

static void brokers_topics_and_a_receiver_are_a_complete_configuration(void **state)
{
	struct config config;
	(void)state;

	read_well(MINIMAL, &config);
	assert_string_equal(config.kafka.brokers, "localhost:9092");
	assert_int_equal(config.kafka.topic_count, 1);
	assert_string_equal(config.kafka.topics[0].name, "ml.events");
	assert_string_equal(config.kafka.topics[0].format, "");
	assert_default_services(&config);
	assert_default_judging(&config);
	assert_default_route(&config.route);
	assert_int_equal(config.receiver_count, 1);

	const struct config_integration *webhook = &config.receivers[0].integrations[0];

	assert_int_equal(config.receivers[0].integration_count, 1);
	assert_int_equal(webhook->kind, RECEIVER_WEBHOOK);
	assert_string_equal(webhook->http.url, "https://pager.example/hook");
	assert_null(webhook->http.bearer);
	assert_string_equal(webhook->http.ca, "");
	assert_int_equal(webhook->http.timeout_ms, 15000);
	assert_null(webhook->secret);
	assert_true(webhook->send_resolved);
	assert_int_equal(webhook->max_alerts, 0);
	assert_int_equal(config.target_count, 0);
	assert_int_equal(config.policy_count, 0);
	assert_string_equal(config.digest, "");
	config_done(&config);
}

static void targets_and_policies_have_the_defaults_of_the_reference(void **state)
{
	struct config config;
	(void)state;

	read_well(MINIMAL "targets: [{name: t, http: {rollback: {url: 'http://x'}}}]\n"
			  "policies: [{matchers: ['a=b'], target: t}]\n",
		&config);
	const struct config_target *target = &config.targets[0];
	const struct config_policy *policy = &config.policies[0];

	assert_string_equal(target->operations[0].method, "POST");
	assert_string_equal(target->operations[0].body, "");
	assert_int_equal(target->operations[0].http.timeout_ms, 15000);
	assert_string_equal(target->status.url, "");
	assert_int_equal(target->status.timeout_ms, 15000);
	assert_string_equal(target->converged_pointer, "/converged");
	assert_string_equal(target->converged_value, "true");
	assert_true(target->idempotent);
	assert_string_equal(policy->name, "0");
	assert_int_equal(policy->mode, MODE_PROPOSE);
	assert_int_equal(policy->ladder_count, 1);
	assert_string_equal(policy->ladder[0], "page");
	assert_int_equal(policy->cooldown_ms, 15 * 60000);
	assert_int_equal(policy->budget_hour, 3);
	assert_int_equal(policy->budget_day, 6);
	assert_int_equal(policy->verify_hold_ms, 30000);
	assert_int_equal(policy->verify_timeout_ms, 600000);
	assert_false(policy->allow_quality);
	config_done(&config);
}

/* Every section, with no value at its default where it can have another. */
static const char full[] =
	"kafka:\n"
	"  brokers: localhost:9092\n"
	"  topics: [ml.events, {topic: ml.raw, format: ours}]\n"
	"  properties: {security.protocol: SASL_SSL, sasl.password_file: kafka.password, n: 5}\n"
	"redis: {url: 'rediss://watch@redis.example:6380', password_file: redis.password, ca: "
	"ca.pem}\n"
	"false_alarms: 2 per week\n"
	"time: {max_age: off, max_ahead: 1h30m}\n"
	"limits: {event_bytes: 1MiB}\n"
	"deadletter: {payload: redacted}\n"
	"formats: {ours: {class: /predicted_class, latency_ms: {pointer: /seconds, unit: s},\n"
	"  status: {pointer: /ok, map: {\"true\": ok, \"false\": error}}, model: {const: fraud},\n"
	"  ts: {unit: us}}}\n"
	"models:\n"
	"  - match: {model: \"fraud*\"}\n"
	"    owner: payments\n"
	"    canary: stable\n"
	"    baseline: fraud-2026-10\n"
	"    tick: 1s\n"
	"    tolerate: {latency: {p50: 7%, p99: x1.3}, errors: x2, score: 0.1sd, rate: 14%,\n"
	"      class: {abs: 2%, rel: 0.2}}\n"
	"    severity: {ScoreDrift: page}\n"
	"  - match: {model: 'price-?', segment: eu}\n"
	"    score: real\n"
	"receivers:\n"
	"  - name: oncall\n"
	"    alertmanager_configs: [{url: \"http://localhost:9093\"}]\n"
	"    webhook_configs: [{url: \"https://pager.example/hook\", secret_file: hook.key,\n"
	"      max_alerts: 5, send_resolved: false}]\n"
	"  - name: am\n"
	"    alertmanager_webhook_configs: [{url: \"http://[::1]:80/x\", bearer_token_file: b}]\n"
	"route:\n"
	"  group_wait: 10s\n"
	"  routes:\n"
	"    - matchers: [severity=\"ticket\"]\n"
	"      receiver: am\n"
	"      group_by: [...]\n"
	"      continue: true\n"
	"      routes: [{matchers: ['model=~\"a.*\"'], repeat_interval: 1d}]\n"
	"    - matchers: [role!=canary]\n"
	"  receiver: oncall\n"
	"targets:\n"
	"  - name: fraud\n"
	"    http: {rollback: {url: \"https://deploy.example/rollback\", method: PUT, body: "
	"\"{}\"},\n"
	"      status: {url: \"https://deploy.example/fraud\", converged: /done, value: \"yes\"},\n"
	"      idempotent: false}\n"
	"policies:\n"
	"  - matchers: [alertname=\"ModelLatency\", model=\"fraud\"]\n"
	"    mode: auto\n"
	"    target: fraud\n"
	"    ladder: [rollback, page]\n"
	"    cooldown: 30m\n"
	"  - name: drift\n"
	"    matchers: [alertname=\"ScoreDrift\"]\n"
	"    mode: auto\n"
	"    allow_quality: true\n"
	"    target: fraud\n"
	"http: {allow: [127.0.0.0/8, 'fd00::/8']}\n"
	"listen: {console: 'localhost:1', ingest: off, detectors: '0.0.0.0:9999', alerts: "
	"'[::1]:7'}\n";

static void assert_secret(const struct secret *secret, const char *expected)
{
	assert_non_null(secret);
	assert_true(view_is(secret_reveal(secret), expected));
}

static void assert_full_sources(const struct config *config)
{
	const struct format *ours = &config->formats[0];

	assert_int_equal(config->kafka.topic_count, 2);
	assert_string_equal(config->kafka.topics[1].name, "ml.raw");
	assert_string_equal(config->kafka.topics[1].format, "ours");
	assert_int_equal(config->kafka.property_count, 3);
	assert_string_equal(config->kafka.properties[0].name, "security.protocol");
	assert_string_equal(config->kafka.properties[0].value, "SASL_SSL");
	assert_string_equal(config->kafka.properties[1].name, "sasl.password");
	assert_null(config->kafka.properties[1].value);
	assert_secret(config->kafka.properties[1].secret, "kafka.password");
	assert_string_equal(config->kafka.properties[2].value, "5");
	assert_int_equal(config->redis.transport, REDIS_TLS);
	assert_string_equal(config->redis.host, "redis.example");
	assert_int_equal(config->redis.port, 6380);
	assert_string_equal(config->redis.user, "watch");
	assert_secret(config->redis.password, "redis.password");
	assert_string_equal(config->redis.ca, "ca.pem");

	assert_int_equal(config->format_count, 1);
	assert_string_equal(ours->name, "ours");
	assert_string_equal(ours->fields[FIELD_CLASS].pointer, "/predicted_class");
	assert_string_equal(ours->fields[FIELD_LATENCY_MS].pointer, "/seconds");
	assert_double(ours->fields[FIELD_LATENCY_MS].scale, 1000);
	assert_string_equal(ours->fields[FIELD_TS].pointer, "/ts");
	assert_double(ours->fields[FIELD_TS].scale, 0.001);
	assert_int_equal(ours->fields[FIELD_STATUS].map_count, 2);
	assert_string_equal(ours->fields[FIELD_STATUS].from[1], "false");
	assert_string_equal(ours->fields[FIELD_STATUS].to[1], "error");
	assert_null(ours->fields[FIELD_MODEL].pointer);
	assert_string_equal(ours->fields[FIELD_MODEL].constant, "fraud");
	assert_null(ours->fields[FIELD_SCORE].pointer);
	assert_double(ours->fields[FIELD_SCORE].scale, 1);
}

static void assert_full_models(const struct config *config)
{
	const struct config_model *fraud = &config->models[0];

	assert_int_equal(config->model_count, 3);
	assert_string_equal(fraud->owner, "payments");
	assert_int_equal(fraud->canary, CANARY_STABLE);
	assert_string_equal(fraud->baseline, "fraud-2026-10");
	assert_int_equal(fraud->tick_ms, 1000);
	assert_double(fraud->tolerate.latency_p50, 1.07);
	assert_double(fraud->tolerate.latency_p99, 1.3);
	assert_double(fraud->tolerate.errors, 2);
	assert_double(fraud->tolerate.score_sd, 0.1);
	assert_double(fraud->tolerate.rate, 1.14);
	assert_double(fraud->tolerate.class_abs, 0.02);
	assert_double(fraud->tolerate.class_rel, 0.2);
	assert_int_equal(fraud->severity_count, 1);
	assert_string_equal(fraud->severities[0].alertname, "ScoreDrift");
	assert_string_equal(fraud->severities[0].severity, "page");
	assert_int_equal(config->models[1].score, SCORE_REAL);
	assert_default_model(&config->models[2]);
	assert_ptr_equal(config_model(config, "fraud-eu", ""), fraud);
	assert_ptr_equal(config_model(config, "price-1", "eu"), &config->models[1]);
	assert_ptr_equal(config_model(config, "price-1", ""), &config->models[2]);
	assert_ptr_equal(config_model(config, "price-12", "eu"), &config->models[2]);
}

static void assert_full_alerting(const struct config *config)
{
	const struct config_integration *first = config->receivers[0].integrations;
	const struct config_route *route = &config->route, *child = &route->routes[0];

	assert_int_equal(config->receivers[0].integration_count, 2);
	assert_int_equal(first[0].kind, RECEIVER_WEBHOOK);
	assert_secret(first[0].secret, "hook.key");
	assert_int_equal(first[0].max_alerts, 5);
	assert_false(first[0].send_resolved);
	assert_int_equal(first[1].kind, RECEIVER_ALERTMANAGER);
	assert_true(first[1].send_resolved);
	assert_int_equal(config->receivers[1].integrations[0].kind, RECEIVER_ALERTMANAGER_WEBHOOK);
	assert_secret(config->receivers[1].integrations[0].http.bearer, "b");

	assert_string_equal(route->receiver, "oncall");
	assert_int_equal(route->route_count, 2);
	assert_string_equal(child->receiver, "am");
	assert_int_equal(child->matcher_count, 1);
	assert_string_equal(child->matchers[0].name, "severity");
	assert_int_equal(child->group_by_count, 1);
	assert_string_equal(child->group_by[0], "...");
	assert_int_equal(child->group_wait_ms, 10000);
	assert_true(child->go_on);
	assert_string_equal(child->routes[0].receiver, "am");
	assert_string_equal(child->routes[0].group_by[0], "...");
	assert_int_equal(child->routes[0].repeat_interval_ms, 86400000);
	assert_false(child->routes[0].go_on);
	assert_string_equal(route->routes[1].receiver, "oncall");
	assert_int_equal(route->routes[1].group_by_count, 2);
	assert_int_equal(route->routes[1].matchers[0].kind, MATCH_NOT_EQUAL);
}

static void assert_full_remediation(const struct config *config)
{
	const struct config_target *target = &config->targets[0];
	const struct config_policy *policy = &config->policies[0];

	assert_int_equal(target->operation_count, 1);
	assert_string_equal(target->operations[0].name, "rollback");
	assert_string_equal(target->operations[0].method, "PUT");
	assert_string_equal(target->operations[0].body, "{}");
	assert_string_equal(target->status.url, "https://deploy.example/fraud");
	assert_string_equal(target->converged_pointer, "/done");
	assert_string_equal(target->converged_value, "yes");
	assert_false(target->idempotent);
	assert_int_equal(config->policy_count, 2);
	assert_int_equal(policy->mode, MODE_AUTO);
	assert_string_equal(policy->target, "fraud");
	assert_int_equal(policy->matcher_count, 2);
	assert_int_equal(policy->ladder_count, 2);
	assert_string_equal(policy->ladder[0], "rollback");
	assert_int_equal(policy->cooldown_ms, 1800000);
	assert_string_equal(config->policies[1].name, "drift");
	assert_true(config->policies[1].allow_quality);
}

static void a_configuration_with_every_section_has_the_values_that_it_says(void **state)
{
	struct config config;
	(void)state;

	read_well(full, &config);
	assert_full_sources(&config);
	assert_full_models(&config);
	assert_full_alerting(&config);
	assert_full_remediation(&config);
	assert_double(config.false_alarms, 2);
	assert_int_equal(config.false_alarms_per_s, 7 * 86400);
	assert_int_equal(config.time.max_age_ms, -1);
	assert_int_equal(config.time.max_ahead_ms, 5400000);
	assert_int_equal(config.limits.event_bytes, 1 << 20);
	assert_int_equal(config.deadletter_payload, PAYLOAD_REDACTED);
	assert_int_equal(config.http_allow_count, 2);
	assert_string_equal(config.http_allow[1], "fd00::/8");
	assert_string_equal(config.console.host, "127.0.0.1");
	assert_int_equal(config.console.port, 1);
	assert_int_equal(config.metrics[SERVICE_INGEST].port, 0);
	assert_string_equal(config.metrics[SERVICE_DETECTORS].host, "0.0.0.0");
	assert_string_equal(config.metrics[SERVICE_ALERTS].host, "::1");
	assert_int_equal(config.metrics[SERVICE_REMEDIATE].port, 9134);
	config_done(&config);
}

static const struct {
	const char *text, *transport_host_user_path;
	int port;
} redis_urls[] = {
	{"redis://h", "0 h  ", 6379},
	{"redis://u@h:1/", "0 h u ", 1},
	{"redis://[::1]:2", "0 ::1  ", 2},
	{"rediss://h", "2 h  ", 6379},
	{"unix:/run/r.sock", "1 localhost  /run/r.sock", 6379},
	{"unix:///run/r.sock", "1 localhost  /run/r.sock", 6379},
};

static void a_redis_url_says_transport_host_user_and_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof redis_urls / sizeof *redis_urls; i++) {
		struct config config;
		char text[512];

		snprintf(text, sizeof text, MINIMAL "redis: '%s'\n", redis_urls[i].text);
		read_well(text, &config);
		snprintf(text, sizeof text, "%d %s %s %s", (int)config.redis.transport,
			config.redis.host, config.redis.user, config.redis.path);
		assert_string_equal(text, redis_urls[i].transport_host_user_path);
		assert_int_equal(config.redis.port, redis_urls[i].port);
		config_done(&config);
	}
}

/* Every kind of mistake, all told at once, in the order of the file; no value that may be a secret
 * is shown. */
static void every_mistake_is_told_at_once_in_file_order(void **state)
{
	(void)state;
	expect_mistakes("kafka:\n"
			"  broker: localhost:9092\n"
			"  topics: [ml.events, ml.events, {topic: ml.raw, format: our}, 'a b', "
			"{format: ours}]\n"
			"  properties: {sasl.password: hunter2, a: [1], b: x, b_file: y}\n"
			"redis: redis://me:hunter2@localhost\n"
			"false_alarms: 1 per month\n"
			"fals_alarms: 1\n"
			"capacity: {models: 0, comparisons: '60'}\n"
			"time: {max_late: off, lateness: 2}\n"
			"formats:\n"
			"  ours: {clas: /x, class: x, latency_ms: {pointer: /s, unit: min}, score: "
			"{unit: s}}\n"
			"models:\n"
			"  - match: {modle: 'fraud*'}\n"
			"    tick: 0s\n"
			"    severity: {ModelLatncy: page}\n"
			"    tolerate: {latency: 5%, errors: 0%, class: {abs: 2}}\n"
			"    tick: 5s\n"
			"  - tick: 7s\n"
			"  - owner:\n"
			"receivers:\n"
			"  - name: oncall\n"
			"    webhook_configs: [{url: 'ftp://x'}, {url: 'https://a:hunter2@c/'}, "
			"{secret_file: missing}]\n"
			"  - name: oncall\n"
			"route:\n"
			"  receiver: oncal\n"
			"  matchers: [a=b]\n"
			"  routes:\n"
			"    - matchers: ['alertname=~\"(\"', 'alertname=\"ModelLatncy\"']\n"
			"targets:\n"
			"  - name: fraud\n"
			"    http: {rollback: {url: 'http://x'}, idempotnt: true, page: {url: "
			"'http://x'}}\n"
			"policies:\n"
			"  - matchers: [alertname=\"ScoreDrift\"]\n"
			"    mode: auto\n"
			"    target: fraud\n"
			"    ladder: [rollbak, page]\n"
			"  - matchers: []\n"
			"    mode: automatic\n"
			"    target: frad\n"
			"http: {allow: [10.0.0.0/33]}\n"
			"listen: {console: '0.0.0.0:9130'}\n",

		"f.yaml:2:3: brokers: missing in kafka, expected HOST:PORT, several with commas or "
		"as a list\n"
		"f.yaml:2:3: broker: no such key in kafka; did you mean 'brokers'?\n"
		"f.yaml:3:23: topics[1]: \"ml.events\" is topics[0] already\n"
		"f.yaml:3:58: format: \"our\" is not in formats; did you mean 'ours'?\n"
		"f.yaml:3:64: topic: found \"a b\", expected the name of a topic: 1 to 249 "
		"letters, digits and ._-\n"
		"f.yaml:3:71: topic: missing in kafka.topics[4], expected the name of a topic: 1 "
		"to 249 letters, "
		"digits and ._-\n"
		"f.yaml:4:16: sasl.password: found a secret, expected the path of a file that "
		"holds it: "
		"sasl.password_file\n"
		"f.yaml:4:43: a: found a list, expected a text or number\n"
		"f.yaml:4:62: b_file: found both b and b_file, expected one of them\n"
		"f.yaml:5:8: redis: found a password in a URL, expected none; secrets stand in "
		"files: redis: "
		"{url: ..., password_file: ...}\n"
		"f.yaml:6:15: false_alarms: found \"1 per month\", expected a rate such as 1 per "
		"30 days, 2 per "
		"week or 1 per day\n"
		"f.yaml:7:1: fals_alarms: no such key; did you mean 'false_alarms'?\n"
		"f.yaml:8:20: models: found \"0\", expected a whole number from 1 to 1000000\n"
		"f.yaml:8:36: comparisons: found \"60\", expected a whole number from 1 to 100000, "
		"without quotes\n"
		"f.yaml:9:18: max_late: found \"off\", expected a duration from 0s to 1d\n"
		"f.yaml:9:33: lateness: found \"2\", expected a duration from 0s to 1h\n"
		"f.yaml:11:10: clas: no such field of an event in formats.ours; did you mean "
		"'class'?\n"
		"f.yaml:11:27: class: found \"x\", expected a JSON pointer such as /status/code, "
		"or a mapping with "
		"pointer or const\n"
		"f.yaml:11:62: unit: found \"min\", expected s, ms, us or ns\n"
		"f.yaml:11:82: unit: found a unit of score, expected one of latency_ms or ts only\n"
		"f.yaml:13:13: modle: no such key in models[0].match; did you mean 'model'?\n"
		"f.yaml:14:11: tick: found \"0s\", expected a duration from 1s to 1d\n"
		"f.yaml:15:16: ModelLatncy: no alert has this name; did you mean 'ModelLatency'?\n"
		"f.yaml:16:25: models[0].tolerate.latency: found \"5%\", expected a mapping of "
		"p50, p99\n"
		"f.yaml:16:37: errors: found \"0%\", expected a ratio such as 5% or x1.5, above 0% "
		"and up to x100\n"
		"f.yaml:16:54: abs: found \"2\", expected a share such as 0.01 or 1%, above 0 and "
		"up to 1\n"
		"f.yaml:17:5: tick: given twice, first in line 14\n"
		"f.yaml:18:11: tick: found \"7s\", expected a duration that divides a day, such as "
		"1s, 5s, 1m or 1h\n"
		"f.yaml:19:5: models[2]: never used, models[1] matches every model before it\n"
		"f.yaml:19:11: owner: found nothing, expected a text\n"
		"f.yaml:22:29: url: found \"ftp://x\", expected a URL such as "
		"https://host:8443/path (http or https)\n"
		"f.yaml:22:47: url: found a user or password in a URL, expected none; secrets "
		"stand in files: "
		"bearer_token_file\n"
		"f.yaml:22:72: url: missing in receivers[0].webhook_configs[2], expected a URL "
		"such as "
		"https://host:8443/path (http or https)\n"
		"f.yaml:22:86: secret_file: missing is not there\n"
		"f.yaml:23:11: name: \"oncall\" is the name of receivers[0] already, expected "
		"another one for "
		"receivers[1]\n"
		"f.yaml:25:13: receiver: \"oncal\" is not in receivers; did you mean 'oncall'?\n"
		"f.yaml:26:13: matchers: found at the top route, expected only below routes; the "
		"top takes every "
		"alert\n"
		"f.yaml:28:18: matchers: matcher 'alertname=~\"(\"': not a POSIX extended regular "
		"expression: "
		"Unmatched ( or \\(\n"
		"f.yaml:28:36: ModelLatncy: no alert has this name; did you mean 'ModelLatency'?\n"
		"f.yaml:31:52: idempotnt: found \"true\", expected an operation: a mapping with "
		"url; did you mean "
		"'idempotent'?\n"
		"f.yaml:31:58: page: expected the name of an operation: 1 to 31 of a-z, 0-9, _ and "
		"-, and not page\n"
		"f.yaml:34:11: mode: found \"auto\" for ScoreDrift, expected observe, propose or "
		"approve, or "
		"allow_quality: true\n"
		"f.yaml:36:14: ladder: \"rollbak\" is no operation of target \"fraud\"; did you "
		"mean 'rollback'?\n"
		"f.yaml:37:15: matchers: found an empty list, expected a list of matchers such as "
		"alertname=\"ModelLatency\" or model=~\"fraud.*\"\n"
		"f.yaml:38:11: mode: found \"automatic\", expected observe, propose, approve or "
		"auto\n"
		"f.yaml:39:13: target: \"frad\" is not in targets; did you mean 'fraud'?\n"
		"f.yaml:40:16: allow[0]: found \"10.0.0.0/33\", expected a network such as "
		"10.1.0.0/16, 127.0.0.1/32 "
		"or fd00::/8\n"
		"f.yaml:41:19: console: found \"0.0.0.0:9130\", expected a loopback address and "
		"port such as "
		"127.0.0.1:9130 or [::1]:9130 (others need TLS)\n");
}

static const struct {
	const char *text, *mistake;
} single[] = {
	{"", ""},
	{"redis: unix:run\n", "f.yaml:3:8: redis: found \"unix:run\", expected"},
	{"redis: redis://h:70000\n", "f.yaml:3:8: redis: found"},
	{"redis: redis://h/1\n", "f.yaml:3:8: redis: found"},
	{"redis: {url: 'redis://u@h', user: v}\n",
		"f.yaml:3:35: user: found a user here and in url"},
	{"redis: {ca: x}\n", "f.yaml:3:13: ca: found a file of certificates"},
	{"redis: {ca: missing, url: 'rediss://h'}\n", "f.yaml:3:13: ca: missing is not there"},
	{"false_alarms: 0 per day\n", "f.yaml:3:15: false_alarms: found"},
	{"false_alarms: 1.5 per 2 weeks\n", ""},
	{"false_alarms: 1 per 5 minutes\n", "f.yaml:3:15: false_alarms: found"},
	{"time: {max_age: 1h30}\n", "f.yaml:3:17: max_age: found \"1h30\""},
	{"time: {max_age: 30m1h}\n", "f.yaml:3:17: max_age: found \"30m1h\""},
	{"time: {max_age: 1h1h}\n", "f.yaml:3:17: max_age: found \"1h1h\""},
	{"time: {max_age: 99999999999999999999s}\n", "f.yaml:3:17: max_age: found"},
	{"time: {max_age: -1s}\n", "f.yaml:3:17: max_age: found \"-1s\""},
	{"limits: {event_bytes: 64 KiB, depth: 0x8}\n", "f.yaml:3:38: depth: found \"0x8\""},
	{"limits: {event_bytes: 64KB}\n",
		"f.yaml:3:23: event_bytes: found \"64KB\", expected bytes from 1KiB to 16MiB"},
	{"models: {}\n",
		"f.yaml:3:9: models: found an empty mapping, expected a list of mappings of match"},
	{"models: [1]\n", "f.yaml:3:10: models[0]: found \"1\", expected a mapping of match"},
	{"models: []\n", ""},
	{"models: [{tolerate: {score: 5%}}]\n",
		"f.yaml:3:29: score: found \"5%\", expected standard deviations"},
	{"models: [{tolerate: {rate: x1}}]\n", "f.yaml:3:28: rate: found \"x1\""},
	{"models: [{tolerate: {rate: nan%}}]\n", "f.yaml:3:28: rate: found \"nan%\""},
	{"route: {group_by: [..., model]}\n", "f.yaml:3:20: group_by: found ... among others"},
	{"route: {group_by: ['a b']}\n", "f.yaml:3:20: group_by[0]: found \"a b\""},
	{"route: {routes: [{continue: yes}]}\n",
		"f.yaml:3:29: continue: found \"yes\", expected true or false\n"},
	{"route: {routes: [{continue: 'true'}]}\n",
		"f.yaml:3:29: continue: found \"true\", expected true or false, without quotes\n"},
	{"targets: [{name: t, http: {status: {url: 'http://x'}}}]\n",
		"f.yaml:3:27: http: found no operation"},
	{"listen: {ingest: 'x:1'}\n", "f.yaml:3:18: ingest: found \"x:1\""},
	{"listen: {console: off}\n", "f.yaml:3:19: console: found \"off\""},
	{"http: {allow: [10.0.0.1]}\n", "f.yaml:3:16: allow[0]: found \"10.0.0.1\""},
	{"formats: {a: {score: {const: 1, pointer: /x}}}\n",
		"f.yaml:3:22: score: found const and other keys"},
	{"formats: {a: {score: /a~2}}\n",
		"f.yaml:3:22: score: found \"/a~2\", expected a JSON pointer"},
	{"x\x7f: 1\n", "f.yaml:3:2: control characters are not allowed"},
};

static void a_single_mistake_is_told_where_it_stands(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
		struct mistakes mistakes = {0};
		struct config config;
		char text[1024];

		snprintf(text, sizeof text, MINIMAL "%s", single[i].text);
		enum rc rc = read_text(text, &config, &mistakes);

		if (mistakes.count != (*single[i].mistake != 0) || (rc == RC_OK) != !mistakes.count)
			fail_msg("%s: %zu mistakes: %s", single[i].text, mistakes.count,
				mistakes.text.data);
		if (mistakes.count && strncmp(mistakes.text.data, single[i].mistake,
					      strlen(single[i].mistake)) != 0)
			fail_msg("%s: said %s, expected %s", single[i].text, mistakes.text.data,
				single[i].mistake);
		config_done(&config);
		bytes_done(&mistakes.text);
	}
}

static void a_secret_among_the_properties_is_a_mistake_and_is_not_shown(void **state)
{
	static const char *const names[] = {"sasl.password", "ssl.KEY.password",
		"sasl.oauthbearer.client.secret", "ssl.key.pem"};
	(void)state;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char text[256], expected[256];

		snprintf(text, sizeof text,
			"kafka: {brokers: b, topics: [t], properties: {%s: hunter2}}\n"
			"receivers: [{name: a}]\n",
			names[i]);
		snprintf(expected, sizeof expected,
			"f.yaml:1:47: %s: found a secret, expected the path of a file that holds "
			"it: %s_file\n",
			names[i], names[i]);
		expect_mistakes(text, expected);
	}
}

static void a_key_of_any_length_has_its_mistake(void **state)
{
	struct bytes text = {0};
	(void)state;

	bytes_text(&text, MINIMAL);
	for (int i = 0; i < 500; i++)
		bytes_text(&text, "k");
	bytes_text(&text, ": 1\n");
	expect_mistakes(text.data,
		"f.yaml:3:1: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: no such "
		"key\n");
	bytes_done(&text);
}

static void what_must_be_there_and_is_not_is_missing(void **state)
{
	static const char missing[] = "f.yaml:1:1: kafka: missing, expected a mapping of brokers, "
				      "topics, properties, prefix, "
				      "replication\n"
				      "f.yaml:1:1: receivers: missing, expected a list of mappings "
				      "of name, webhook_configs, "
				      "alertmanager_webhook_configs, alertmanager_configs\n";
	(void)state;

	expect_mistakes("", missing);
	expect_mistakes("{}", missing);
}

static void of_very_many_mistakes_all_are_counted_and_the_first_are_shown(void **state)
{
	struct bytes text = {0};
	struct mistakes mistakes = {0};
	struct config config;
	size_t lines = 0;
	(void)state;

	bytes_text(&text, MINIMAL);
	for (int i = 0; i < 20000; i++)
		bytes_format(&text, "key%d: 1\n", i);
	assert_int_equal(read_text(text.data, &config, &mistakes), RC_FATAL);
	assert_int_equal(mistakes.count, 20000);
	for (const char *at = mistakes.text.data; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 1000);
	config_done(&config);
	bytes_done(&mistakes.text);
	bytes_done(&text);
}

static void mistakes_of_several_files_stand_file_by_file(void **state)
{
	struct mistakes mistakes = {0};
	(void)state;

	mistakes_add(&mistakes, "b", 3, 1, "five");
	mistakes_add(&mistakes, "a", 10, 1, "three");
	mistakes_add(&mistakes, "a", 9, 2, "two");
	mistakes_add(&mistakes, "b", 0, 0, "four: 1:2: is not a place");
	mistakes_add(&mistakes, "a", 9, 1, "one\nline");
	mistakes_add(&mistakes, "b", 3, 1, "six");
	assert_string_equal(mistakes.text.data,
		"a:9:1: one?line\na:9:2: two\na:10:1: three\n"
		"b: four: 1:2: is not a place\nb:3:1: five\nb:3:1: six\n");
	bytes_done(&mistakes.text);
}

/* Files. */

static char directory[] = "/tmp/test_config_XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("MODELWATCH_CONFIG");
	return mkdtemp(directory) ? 0 : -1;
}

static int drop_directory(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -r '%s'", directory);
	return system(command);
}

static const char *path_to(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_to(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void load(const char *path, enum rc expected, struct config *config, const char *mistakes)
{
	struct mistakes found_ones = {0};
	struct bytes wanted = {0};
	enum rc rc = config_file_load(path, true, config, &found_ones);

	/* A % stands for the directory. */
	bytes_text(&wanted, "");
	for (; *mistakes; mistakes++)
		if (*mistakes == '%')
			bytes_text(&wanted, directory);
		else
			bytes_add(&wanted, mistakes, 1);
	assert_lines(found_ones.text.data ? found_ones.text.data : "", wanted.data);
	assert_int_equal(rc, expected);
	bytes_done(&found_ones.text);
	bytes_done(&wanted);
}

static void a_directory_is_merged_in_the_order_of_names(void **state)
{
	struct config config;
	(void)state;

	mkdir(path_to("d"), 0700);
	write_file("d/20.yml", "kafka: {brokers: 'b:1', topics: [two]}\n"
			       "models: [{match: {model: 'b*'}, owner: second}]\n");
	write_file("d/10.yaml", "kafka: {topics: [one]}\nlimits: {depth: 9}\n"
				"models: [{match: {model: '*b'}, owner: first}]\n"
				"receivers: [{name: a, webhook_configs: [{url: 'http://x', "
				"secret_file: key, ca: ca.pem}]}]\n");
	write_file("d/.30.yaml", "not: read\n");
	write_file("d/30.txt", "not: read\n");
	write_file("d/key", "s3cret\n");
	write_file("d/ca.pem", "certificate");
	load(path_to("d"), RC_OK, &config, "");
	assert_string_equal(config.kafka.brokers, "b:1");
	assert_int_equal(config.kafka.topic_count, 2);
	assert_string_equal(config.kafka.topics[0].name, "one");
	assert_int_equal(config.limits.depth, 9);
	assert_string_equal(config_model(&config, "bb", "")->owner, "first");
	assert_string_equal(config_model(&config, "bc", "")->owner, "second");
	assert_secret(config.receivers[0].integrations[0].secret, "s3cret");
	assert_string_equal(config.receivers[0].integrations[0].http.ca, path_to("d/ca.pem"));
	config_done(&config);
}

static void mistakes_of_a_directory_name_their_files(void **state)
{
	struct config config;
	(void)state;

	mkdir(path_to("e"), 0700);
	write_file("e/1.yaml", MINIMAL "limits: {depth: 9}\nfalse_alarms: 1 per day\n");
	write_file("e/2.yaml", "limits: {depth: 8, dept: 1}\nfalse_alarms: 1 per week\nkafka: x\n");
	load(path_to("e"), RC_FATAL, &config,
		"%/e/2.yaml:1:10: depth: given twice, first in %/e/1.yaml:3:17\n"
		"%/e/2.yaml:1:20: dept: no such key in limits; did you mean 'depth'?\n"
		"%/e/2.yaml:2:1: false_alarms: given twice, first in %/e/1.yaml:4:15\n"
		"%/e/2.yaml:3:1: kafka: given twice, first in %/e/1.yaml:1:8\n");
	config_done(&config);
	write_file("e/2.yaml", "a: b: c\n");
	write_file("e/3.yaml", "[\n");
	load(path_to("e"), RC_FATAL, &config,
		"%/e/2.yaml:1:5: mapping values are not allowed in this context\n"
		"%/e/3.yaml:2:1: while parsing a flow node: did not find expected node content\n");
	config_done(&config);
}

static void files_that_cannot_be_read_are_mistakes(void **state)
{
	struct config config;
	(void)state;

	load(path_to("nowhere.yaml"), RC_FATAL, &config,
		"%/nowhere.yaml: cannot be read: No such file or directory; say where the "
		"configuration "
		"is with --config or MODELWATCH_CONFIG\n");
	config_done(&config);
	mkdir(path_to("empty"), 0700);
	load(path_to("empty"), RC_FATAL, &config,
		"%/empty: found no *.yaml or *.yml in this directory, expected at least one\n");
	config_done(&config);
	write_file("s.yaml", MINIMAL "redis: {password_file: none.key}\n"
				     "policies: []\n"
				     "targets: [{name: t, http: {stop: {url: 'http://x', "
				     "bearer_token_file: empty.key, ca: /}}}]\n");
	write_file("empty.key", "\n");
	load(path_to("s.yaml"), RC_FATAL, &config,
		"%/s.yaml:3:24: password_file: %/none.key cannot be read: No such file or "
		"directory\n"
		"%/s.yaml:5:71: bearer_token_file: %/empty.key is empty, expected a secret\n"
		"%/s.yaml:5:86: ca: / cannot be read: Is a directory\n");
	config_done(&config);
}

static void without_secrets_their_files_are_not_opened(void **state)
{
	struct mistakes mistakes = {0};
	struct config config;
	(void)state;

	write_file("w.yaml", MINIMAL "redis: {password_file: none.key}\n");
	assert_int_equal(config_file_load(path_to("w.yaml"), false, &config, &mistakes), RC_OK);
	assert_null(config.redis.password);
	config_done(&config);
}

static void credentials_come_before_files_beside_the_configuration(void **state)
{
	struct config config;
	(void)state;

	mkdir(path_to("credentials"), 0700);
	write_file("credentials/p.key", "from credentials");
	write_file("p.key", "from beside");
	write_file("q.key", "q");
	write_file("c.yaml", MINIMAL "redis: {password_file: p.key}\n"
				     "targets: [{name: t, http: {stop: {url: 'http://x', "
				     "bearer_token_file: q.key}}}]\n");
	setenv("CREDENTIALS_DIRECTORY", path_to("credentials"), 1);
	setenv("MODELWATCH_CONFIG", path_to("c.yaml"), 1);
	load(NULL, RC_OK, &config, "");
	assert_secret(config.redis.password, "from credentials");
	assert_secret(config.targets[0].operations[0].http.bearer, "q");
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("MODELWATCH_CONFIG");
	config_done(&config);
}

static void the_digest_is_over_the_bytes_of_the_files_in_order(void **state)
{
	struct config config;
	(void)state;

	mkdir(path_to("g"), 0700);
	write_file("g/b.yaml", "receivers: [{name: a}]\n");
	write_file("g/a.yaml", "kafka: {brokers: b, topics: [t]}\n");
	load(path_to("g"), RC_OK, &config, "");
	/* The same two lines, a.yaml first, through sha256sum. */
	assert_string_equal(
		config.digest, "74a2dffeb7a093fdd710a29b42e25ce3b9863b26b1055f6c20a0fb696d27937c");
	config_done(&config);
}

/* What is shipped. */

static char *read_whole(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = memory_new(1 << 20, 1);

	if (!file)
		fail_msg("%s: not there; tests run from the root of the repository", path);
	size_t size = fread(text, 1, (1 << 20) - 1, file);

	text[size] = '\0';
	fclose(file);
	return text;
}

static void the_shipped_example_is_right_and_has_every_section(void **state)
{
	struct mistakes mistakes = {0};
	struct config config;
	(void)state;

	if (config_file_load("config/modelwatch.yaml", true, &config, &mistakes) != RC_OK)
		fail_msg("%s", mistakes.text.data);
	config_done(&config);

	char *text = read_whole("config/modelwatch.yaml");
	struct node *document = yaml_parse(view_of(text), "config/modelwatch.yaml", &mistakes);

	for (size_t i = 0; i < section_config.key_count; i++)
		if (!node_get(document, section_config.keys[i].name))
			fail_msg("config/modelwatch.yaml: no %s", section_config.keys[i].name);
	node_free(document);
	free(text);
}

/* Each row of the reference stands in the page, and the page has no row that is not in the
 * reference. */
static void compare_rows(const char *text, const char *within, const char *what)
{
	for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL) {
		char row[1024];

		if (strncmp(at, "| `", 3) != 0 || strncmp(at, "| kind", 6) == 0)
			continue;
		snprintf(row, sizeof row, "%.*s", (int)strcspn(at, "\n") + 1, at);
		if (!strstr(within, row))
			fail_msg("%s: %s", what, row);
	}
}

static void the_reference_page_says_what_the_tables_say(void **state)
{
	struct bytes reference = {0};
	char *page = read_whole("docs/configuration.md");
	(void)state;

	config_describe(&reference);
	compare_rows(reference.data, page, "not in docs/configuration.md");
	compare_rows(page, reference.data, "in docs/configuration.md only");
	bytes_done(&reference);
	free(page);
}

/* The part of a schema that is about a mapping. */
static json_t *mapping_of(json_t *schema, json_t *whole)
{
	json_t *alternative, *found_one = NULL;
	size_t i;

	if (json_object_get(schema, "$ref"))
		return json_object_get(json_object_get(whole, "$defs"), "route");
	if (json_object_get(schema, "items"))
		return mapping_of(json_object_get(schema, "items"), whole);
	json_array_foreach(json_object_get(schema, "anyOf"), i,
		alternative) if (json_object_get(alternative, "additionalProperties")) found_one =
		alternative;
	return found_one ? found_one : schema;
}

static bool is_required(json_t *mapping, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(mapping, "required"), i,
		entry) if (strcmp(json_string_value(entry), name) == 0) return true;
	return false;
}

static void compare_schema(const struct section *section, json_t *schema, json_t *whole);

static void compare_key(
	const struct key *key, json_t *property, const struct section *section, json_t *whole)
{
	const char *help = json_string_value(json_object_get(property, "description"));

	if (!property || !help)
		fail_msg("%s: not in the schema", key->name);
	assert_string_equal(help, key->help);
	if (key->section && key->section != section)
		compare_schema(key->section, property, whole);
}

static void compare_schema(const struct section *section, json_t *schema, json_t *whole)
{
	json_t *mapping = mapping_of(schema, whole);
	json_t *properties = json_object_get(mapping, "properties");
	json_t *other = json_object_get(mapping, "additionalProperties");

	assert_int_equal(json_object_size(properties), section->key_count);
	for (size_t i = 0; i < section->key_count; i++) {
		const struct key *key = &section->keys[i];

		compare_key(key, json_object_get(properties, key->name), section, whole);
		assert_int_equal(is_required(mapping, key->name), key->required);
	}
	if (section->other)
		compare_key(section->other, other, section, whole);
	else
		assert_true(json_is_false(other));
}

static void the_shipped_schema_has_the_keys_that_the_tables_have(void **state)
{
	json_error_t error;
	json_t *schema =
		json_load_file("config/schemas/configuration.json", JSON_REJECT_DUPLICATES, &error);
	(void)state;

	if (!schema)
		fail_msg("%s", error.text);
	compare_schema(&section_config, schema, schema);
	json_decref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brokers_topics_and_a_receiver_are_a_complete_configuration),
		cmocka_unit_test(targets_and_policies_have_the_defaults_of_the_reference),
		cmocka_unit_test(a_configuration_with_every_section_has_the_values_that_it_says),
		cmocka_unit_test(a_redis_url_says_transport_host_user_and_path),
		cmocka_unit_test(every_mistake_is_told_at_once_in_file_order),
		cmocka_unit_test(a_single_mistake_is_told_where_it_stands),
		cmocka_unit_test(a_secret_among_the_properties_is_a_mistake_and_is_not_shown),
		cmocka_unit_test(a_key_of_any_length_has_its_mistake),
		cmocka_unit_test(what_must_be_there_and_is_not_is_missing),
		cmocka_unit_test(of_very_many_mistakes_all_are_counted_and_the_first_are_shown),
		cmocka_unit_test(mistakes_of_several_files_stand_file_by_file),
		cmocka_unit_test(a_directory_is_merged_in_the_order_of_names),
		cmocka_unit_test(mistakes_of_a_directory_name_their_files),
		cmocka_unit_test(files_that_cannot_be_read_are_mistakes),
		cmocka_unit_test(without_secrets_their_files_are_not_opened),
		cmocka_unit_test(credentials_come_before_files_beside_the_configuration),
		cmocka_unit_test(the_digest_is_over_the_bytes_of_the_files_in_order),
		cmocka_unit_test(the_shipped_example_is_right_and_has_every_section),
		cmocka_unit_test(the_reference_page_says_what_the_tables_say),
		cmocka_unit_test(the_shipped_schema_has_the_keys_that_the_tables_have),
	};
	return cmocka_run_group_tests(tests, make_directory, drop_directory);
}
