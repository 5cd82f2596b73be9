/* The fold of alerts on a memory store: from findings to alerts, groups, notifications and their
 * tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alerts/step.h"
#include "core/alert.h"
#include "core/topics.h"
#include "ports/store.h"

#include <stdio.h>
#include <string.h>

enum { OUTPUTS_MAX = 64 };

struct world {
	struct config config;
	struct config_receiver receivers[1];
	struct config_integration integrations[2];
	struct config_model models[1];
	char *group_by[2];
	struct store *store;
	struct fold fold;
	struct head head;
	struct alerts *alerts;
	int64_t now, offset;
	struct bytes told[OUTPUTS_MAX]; /* alerts topic */
	size_t told_count;
	struct bytes sent[OUTPUTS_MAX]; /* notifications topic */
	size_t sent_count;
};

static void setup(struct world *world)
{
	static char prefix[] = "modelwatch", name[] = "oncall", empty[] = "", model[] = "model",
		    alertname[] = "alertname", any[] = "*", owner[] = "payments",
		    url[] = "http://127.0.0.1:1/", host[] = "127.0.0.1";

	*world = (struct world){.now = 1000000, .fold = {FOLD_ALERTS, FOLD_ALERTS}};
	for (int i = 0; i < 2; i++)
		world->integrations[i] = (struct config_integration){.kind = RECEIVER_WEBHOOK,
			.http = {.url = url, .ca = empty},
			.send_resolved = true};
	world->receivers[0] = (struct config_receiver){
		.name = name, .integrations = world->integrations, .integration_count = 1};
	world->group_by[0] = model;
	world->group_by[1] = alertname;
	world->models[0] =
		(struct config_model){.match_model = any, .match_segment = any, .owner = owner};
	world->config = (struct config){.kafka = {.prefix = prefix},
		.console = {.host = host, .port = 9130},
		.models = world->models,
		.model_count = 1,
		.receivers = world->receivers,
		.receiver_count = 1,
		.route = {.receiver = name,
			.group_by = world->group_by,
			.group_by_count = 2,
			.group_wait_ms = 30000,
			.group_interval_ms = 300000,
			.repeat_interval_ms = 14400000}};
	world->store = store_memory_open();
}

static void load(struct world *world)
{
	struct err err;

	world->alerts = alerts_new(&world->config);
	assert_int_equal(store_load(world->store, &world->fold, &world->head, alerts_restore,
				 world->alerts, &err),
		RC_OK);
	alerts_restored(world->alerts, world->now);
}

static void kill_and_load(struct world *world)
{
	alerts_free(world->alerts);
	load(world);
}

static void start(struct world *world)
{
	setup(world);
	load(world);
}

static void teardown(struct world *world)
{
	alerts_free(world->alerts);
	store_close(world->store);
	for (size_t i = 0; i < world->told_count; i++)
		bytes_done(&world->told[i]);
	for (size_t i = 0; i < world->sent_count; i++)
		bytes_done(&world->sent[i]);
}

static void advance(struct world *world)
{
	struct change change = {0};
	struct err err;

	alerts_change(world->alerts, &change);
	assert_int_equal(
		store_advance(world->store, &world->fold, &world->head, &change, &err), RC_OK);
	for (size_t i = 0; i < change.output_count; i++) {
		const struct output *output = &change.outputs[i];
		struct view topic = change_view(&change, output->topic, output->topic_size);
		struct view value = change_view(&change, output->value, output->value_size);
		struct bytes *to = view_is(topic, TOPIC_ALERTS) ? &world->told[world->told_count++]
								: &world->sent[world->sent_count++];

		assert_true(world->told_count < OUTPUTS_MAX && world->sent_count < OUTPUTS_MAX);
		bytes_add(to, value.data, value.size);
	}
	change_done(&change);
}

static struct finding finding_of(const char *model, const char *version, const char *against,
	enum verdict verdict, int64_t ts)
{
	struct finding finding = {.ts = ts, .verdict = verdict, .since_ms = ts - 1000};

	snprintf(finding.series.model, NAME_SIZE, "%s", model);
	snprintf(finding.series.version, NAME_SIZE, "%s", version);
	snprintf(finding.series.role, NAME_SIZE, "production");
	snprintf(finding.series.signal, SIGNAL_SIZE, "latency");
	snprintf(finding.against, sizeof finding.against, "%s", against);
	snprintf(finding.detector, sizeof finding.detector, "arms");
	snprintf(finding.evidence.arm, sizeof finding.evidence.arm, "production");
	snprintf(finding.evidence.reference, sizeof finding.evidence.reference, "canary");
	snprintf(finding.evidence.effect.name, sizeof finding.evidence.effect.name, "p99 ratio");
	finding.evidence.effect.value = 1.5;
	finding.evidence.effect.low = 1.3;
	finding.evidence.effect.high = 1.7;
	finding.evidence.effect.tolerance = 1.25;
	finding.evidence.log_e = 30;
	finding.evidence.line = 24;
	finding_identify(&finding);
	return finding;
}

static void take(struct world *world, const struct finding *finding)
{
	struct bytes json = {0};
	struct err err;

	finding_to_json(finding, &json);
	struct log_message message = {.topic = "modelwatch.findings",
		.offset = world->offset++,
		.value = bytes_view(&json)};

	if (alerts_take(world->alerts, &message, world->now, &err) != RC_OK)
		fail_msg("%s", err.text);
	bytes_done(&json);
	advance(world);
}

static void find(struct world *world, const char *model, const char *version, const char *against,
	enum verdict verdict, int64_t ts)
{
	struct finding finding = finding_of(model, version, against, verdict, ts);

	take(world, &finding);
}

static void pass(struct world *world, int64_t ms)
{
	world->now += ms;
	alerts_time(world->alerts, world->now);
	advance(world);
}

static struct alert last_told(const struct world *world)
{
	struct alert alert = {0};
	struct err err;

	assert_true(world->told_count > 0);
	if (alert_from_json(bytes_view(&world->told[world->told_count - 1]), &alert, &err) != RC_OK)
		fail_msg("%s", err.text);
	return alert;
}

static void deliver(struct world *world)
{
	struct attempt attempt = {.delivered = true, .retry_after_ms = -1};

	while (alerts_pending_count(world->alerts)) {
		char id[ID_SIZE];

		memcpy(id, alerts_pending(world->alerts, 0)->id, ID_SIZE);
		alerts_tried(world->alerts, id, &attempt, world->now);
	}
	advance(world);
}

static void an_alarm_opens_an_alert_with_its_labels(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	struct alert alert = last_told(&world);

	assert_int_equal(alert.state, ALERT_FIRING);
	assert_string_equal(alert.alertname, "ModelLatency");
	assert_string_equal(labels_get(&alert.labels, "model"), "fraud");
	assert_string_equal(labels_get(&alert.labels, "version"), "v2");
	assert_string_equal(labels_get(&alert.labels, "owner"), "payments");
	assert_string_equal(labels_get(&alert.labels, "severity"), "page");
	assert_int_equal(alert.starts_at, 5000);
	assert_int_equal(alert.finding_count, 1);
	assert_non_null(strstr(labels_get(&alert.annotations, "summary"), "p99 ratio 1.5"));
	alert_done(&alert);
	teardown(&world);
}

static void an_alert_resolves_when_the_last_of_its_alarms_has_closed(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	find(&world, "fraud", "", "history", VERDICT_ALARM, 6000);
	find(&world, "fraud", "v2", "canary", VERDICT_SUPERSEDED, 7000);
	struct alert open = last_told(&world);

	assert_int_equal(open.state, ALERT_FIRING);
	find(&world, "fraud", "", "history", VERDICT_OK, 8000);
	struct alert closed = last_told(&world);

	assert_string_equal(open.id, closed.id);
	assert_int_equal(closed.state, ALERT_RESOLVED);
	assert_int_equal(closed.ends_at, 8000);
	assert_string_equal(closed.reason, "ok");
	alert_done(&open);
	alert_done(&closed);
	teardown(&world);
}

static void superseded_becomes_ok_when_the_successor_is_judged(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	find(&world, "fraud", "v2", "canary", VERDICT_SUPERSEDED, 7000);
	struct alert alert = last_told(&world);

	assert_string_equal(alert.reason, "superseded");
	alert_done(&alert);
	find(&world, "fraud", "v1", "canary", VERDICT_OK, 9000);
	alert = last_told(&world);
	assert_string_equal(alert.reason, "ok");
	assert_int_equal(alert.ends_at, 7000);
	alert_done(&alert);
	teardown(&world);
}

static void a_finding_that_comes_twice_counts_once(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	assert_int_equal(world.told_count, 1);
	kill_and_load(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	assert_int_equal(world.told_count, 1);
	teardown(&world);
}

static void ids_that_are_swept_away_are_the_old_ones(void **state)
{
	const int64_t day = 86400000;
	struct world world;
	char model[8];
	(void)state;

	start(&world);
	for (int i = 0; i < 4096 - 16; i++)
		find(&world, "old", "v1", "canary", VERDICT_OK, 1 + i);
	for (int i = 0; i < 16; i++) {
		snprintf(model, sizeof model, "m%d", i);
		find(&world, model, "v2", "canary", VERDICT_ALARM, 8 * day);
	}
	for (int i = 0; i < 16; i++) {
		snprintf(model, sizeof model, "m%d", i);
		find(&world, model, "v2", "canary", VERDICT_OK, 8 * day + 1);
	}
	assert_int_equal(world.told_count, 32);
	for (int i = 0; i < 16; i++) {
		snprintf(model, sizeof model, "m%d", i);
		find(&world, model, "v2", "canary", VERDICT_ALARM, 8 * day);
	}
	assert_int_equal(world.told_count, 32);
	teardown(&world);
}

static void a_group_waits_then_tells_all_its_alerts_at_once(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 29999);
	assert_int_equal(alerts_pending_count(world.alerts), 0);
	pass(&world, 1);
	assert_int_equal(alerts_pending_count(world.alerts), 1);
	const struct notification *notification = alerts_pending(world.alerts, 0);

	assert_string_equal(notification->reason, "first notification");
	assert_non_null(strstr(notification->payload, "\"alerts.firing\""));
	assert_non_null(strstr(notification->group_key, "model=\"fraud\""));
	teardown(&world);
}

static void what_was_told_is_repeated_only_after_the_repeat_interval(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	deliver(&world);
	for (int i = 0; i < 47; i++)
		pass(&world, 300000);
	assert_int_equal(alerts_pending_count(world.alerts), 0);
	pass(&world, 300000);
	assert_int_equal(alerts_pending_count(world.alerts), 1);
	assert_string_equal(alerts_pending(world.alerts, 0)->reason, "repeat");
	teardown(&world);
}

static void a_resolved_notice_survives_a_restart(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	deliver(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_OK, 9000);
	kill_and_load(&world);
	pass(&world, 300000);
	assert_int_equal(alerts_pending_count(world.alerts), 1);
	assert_string_equal(alerts_pending(world.alerts, 0)->reason, "all resolved");
	deliver(&world);
	pass(&world, 300000);
	assert_int_equal(alerts_pending_count(world.alerts), 0);
	assert_int_equal(alerts_next(world.alerts), INT64_MAX);
	teardown(&world);
}

static void an_incident_that_ended_untold_is_told_though_its_identity_fires_anew(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	deliver(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_OK, 9000);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 11000);
	kill_and_load(&world);
	pass(&world, 300000);
	assert_int_equal(alerts_pending_count(world.alerts), 1);
	const struct notification *notification = alerts_pending(world.alerts, 0);

	assert_int_equal(notification->alert_count, 2);
	assert_true((strstr(notification->alerts[0], ":resolved") != NULL) !=
		    (strstr(notification->alerts[1], ":resolved") != NULL));
	deliver(&world);
	pass(&world, 300000);
	assert_int_equal(alerts_pending_count(world.alerts), 0);
	teardown(&world);
}

static void siblings_with_the_same_matchers_are_groups_of_their_own(void **state)
{
	static char name[] = "oncall";
	struct config_route twins[2];
	struct world world;
	(void)state;

	setup(&world);
	for (int i = 0; i < 2; i++) {
		twins[i] = world.config.route;
		twins[i].receiver = name;
		twins[i].go_on = true;
	}
	world.config.route.routes = twins;
	world.config.route.route_count = 2;
	load(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	assert_int_equal(alerts_pending_count(world.alerts), 2);
	teardown(&world);
}

static void labels_stay_as_they_were_told(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	find(&world, "fraud", "v3", "canary", VERDICT_ALARM, 6000);
	struct alert alert = last_told(&world);

	assert_string_equal(labels_get(&alert.labels, "version"), "v2");
	alert_done(&alert);
	teardown(&world);
}

static void who_never_heard_that_it_fires_is_not_told_that_it_does_not(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	find(&world, "fraud", "v2", "canary", VERDICT_OK, 6000);
	pass(&world, 30000);
	assert_int_equal(alerts_pending_count(world.alerts), 0);
	teardown(&world);
}

static void a_try_that_fails_is_repeated_under_the_same_id_and_waits(void **state)
{
	struct world world;
	struct attempt attempt = {.retry_after_ms = -1, .chance = 7};
	char id[ID_SIZE];
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	memcpy(id, alerts_pending(world.alerts, 0)->id, ID_SIZE);
	alerts_tried(world.alerts, id, &attempt, world.now);
	advance(&world);
	kill_and_load(&world);
	const struct notification *notification = alerts_pending(world.alerts, 0);

	assert_string_equal(notification->id, id);
	assert_int_equal(notification->tries, 1);
	assert_true(notification->next_try_at >= world.now + 1000 &&
		    notification->next_try_at <= world.now + 2000);
	attempt.retry_after_ms = 77000;
	alerts_tried(world.alerts, id, &attempt, world.now);
	assert_int_equal(alerts_pending(world.alerts, 0)->next_try_at, world.now + 77000);
	teardown(&world);
}

static void after_three_days_a_notification_is_dead_and_said_to_be(void **state)
{
	struct world world;
	struct attempt attempt = {.retry_after_ms = -1};
	char id[ID_SIZE];
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	memcpy(id, alerts_pending(world.alerts, 0)->id, ID_SIZE);
	world.now += 3LL * 86400 * 1000 + 1;
	alerts_tried(world.alerts, id, &attempt, world.now);
	advance(&world);
	assert_int_equal(alerts_pending_count(world.alerts), 0);
	assert_int_equal(world.sent_count, 1);
	assert_non_null(strstr(world.sent[0].data, "\"state\":\"dead\""));
	teardown(&world);
}

static void after_redis_was_lost_nothing_is_told_again(void **state)
{
	struct world world;
	struct notification heard;
	struct err err;
	(void)state;

	start(&world);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	deliver(&world);
	assert_int_equal(world.sent_count, 1);

	alerts_free(world.alerts);
	store_close(world.store);
	world.store = store_memory_open();
	world.offset = 0;
	load(&world);
	assert_true(world.head.fresh);
	assert_int_equal(notification_from_json(bytes_view(&world.sent[0]), &heard, &err), RC_OK);
	alerts_heard(world.alerts, &heard);
	notification_done(&heard);
	find(&world, "fraud", "v2", "canary", VERDICT_ALARM, 5000);
	pass(&world, 30000);
	assert_int_equal(alerts_pending_count(world.alerts), 0);
	teardown(&world);
}

static void a_message_that_is_no_finding_is_passed_over(void **state)
{
	struct world world;
	struct err err;
	struct log_message message = {
		.topic = "modelwatch.findings", .value = view_of("{\"kind\":\"finding\"")};
	(void)state;

	start(&world);
	assert_int_equal(alerts_take(world.alerts, &message, world.now, &err), RC_REJECT);
	assert_int_equal(alerts_take(world.alerts, &message, world.now, &err), RC_NONE);
	assert_int_equal(alerts_position(world.alerts, "modelwatch.findings", 0), 1);
	teardown(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_alarm_opens_an_alert_with_its_labels),
		cmocka_unit_test(an_alert_resolves_when_the_last_of_its_alarms_has_closed),
		cmocka_unit_test(superseded_becomes_ok_when_the_successor_is_judged),
		cmocka_unit_test(a_finding_that_comes_twice_counts_once),
		cmocka_unit_test(ids_that_are_swept_away_are_the_old_ones),
		cmocka_unit_test(a_group_waits_then_tells_all_its_alerts_at_once),
		cmocka_unit_test(what_was_told_is_repeated_only_after_the_repeat_interval),
		cmocka_unit_test(a_resolved_notice_survives_a_restart),
		cmocka_unit_test(
			an_incident_that_ended_untold_is_told_though_its_identity_fires_anew),
		cmocka_unit_test(siblings_with_the_same_matchers_are_groups_of_their_own),
		cmocka_unit_test(labels_stay_as_they_were_told),
		cmocka_unit_test(who_never_heard_that_it_fires_is_not_told_that_it_does_not),
		cmocka_unit_test(a_try_that_fails_is_repeated_under_the_same_id_and_waits),
		cmocka_unit_test(after_three_days_a_notification_is_dead_and_said_to_be),
		cmocka_unit_test(after_redis_was_lost_nothing_is_told_again),
		cmocka_unit_test(a_message_that_is_no_finding_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
