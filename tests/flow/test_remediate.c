/* The fold of remediate on a memory store: one incident from the alert to the verification, and
 * every way in which it may be interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/command.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ports/store.h"
#include "remediate/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 64 };

/* A deployment with one target and one policy, its log of actions, and a clock that tests move. */
struct world {
	struct config config;
	struct config_policy policy;
	struct config_target target;
	struct config_operation operation;
	char *ladder[2];
	struct store *store;
	struct fold fold;
	struct head head;
	struct remediate *remediate;
	int64_t now;
	struct bytes actions[RECORDS_MAX]; /* the topic */
	size_t action_count;
	size_t read; /* of them, by the fold */
	int64_t alert_offset, command_offset;
};

static char empty[] = "";

static void setup(struct world *world, enum policy_mode mode, bool idempotent)
{
	static char prefix[] = "modelwatch", name[] = "latency", target[] = "fraud",
		    post[] = "POST", rollback[] = "rollback", page[] = "page",
		    url[] = "http://127.0.0.1:1/x", pointer[] = "/converged", value[] = "true";

	*world = (struct world){.now = 1000000, .fold = {FOLD_REMEDIATE, FOLD_REMEDIATE}};
	world->ladder[0] = rollback;
	world->ladder[1] = page;
	world->operation = (struct config_operation){
		.name = rollback, .method = post, .http = {.url = url, .ca = empty}, .body = empty};
	world->target = (struct config_target){.name = target,
		.operations = &world->operation,
		.operation_count = 1,
		.status = {.url = url, .ca = empty},
		.converged_pointer = pointer,
		.converged_value = value,
		.idempotent = idempotent};
	world->policy = (struct config_policy){.name = name,
		.mode = mode,
		.target = target,
		.ladder = world->ladder,
		.ladder_count = 2,
		.cooldown_ms = 900000,
		.budget_hour = 3,
		.budget_day = 6,
		.verify_hold_ms = 30000,
		.verify_timeout_ms = 600000};
	world->config = (struct config){.kafka = {.prefix = prefix},
		.targets = &world->target,
		.target_count = 1,
		.policies = &world->policy,
		.policy_count = 1};
	world->store = store_memory_open();
}

static void load(struct world *world)
{
	struct err err;

	world->remediate = remediate_new(&world->config);
	assert_int_equal(store_load(world->store, &world->fold, &world->head, remediate_restore,
				 world->remediate, &err),
		RC_OK);
	remediate_restored(world->remediate);
}

static void kill_and_load(struct world *world)
{
	remediate_free(world->remediate);
	load(world);
}

static void teardown(struct world *world)
{
	remediate_free(world->remediate);
	store_close(world->store);
	for (size_t i = 0; i < world->action_count; i++)
		bytes_done(&world->actions[i]);
}

/* Stores the step; its outputs reach the topic. */
static void advance(struct world *world)
{
	struct change change = {0};
	struct err err;

	remediate_change(world->remediate, &change);
	assert_int_equal(
		store_advance(world->store, &world->fold, &world->head, &change, &err), RC_OK);
	for (size_t i = 0; i < change.output_count; i++) {
		const struct output *output = &change.outputs[i];
		struct view value = change_view(&change, output->value, output->value_size);

		assert_true(world->action_count < RECORDS_MAX);
		bytes_add(&world->actions[world->action_count++], value.data, value.size);
	}
	change_done(&change);
}

static void take(struct world *world, const char *topic, int64_t offset, struct view value)
{
	struct log_message message = {.topic = topic, .offset = offset, .value = value};
	struct err err = {0};
	enum rc rc = remediate_take(world->remediate, &message, world->now, &err);

	if (rc != RC_OK)
		fail_msg("%s: %s", topic, err.text);
}

static void read_actions(struct world *world)
{
	for (; world->read < world->action_count; world->read++)
		take(world, "modelwatch.actions", (int64_t)world->read,
			bytes_view(&world->actions[world->read]));
}

/* Everything a turn of the service does but calls. */
static void turn(struct world *world)
{
	static const unsigned char chance[16] = "0123456789abcdef";

	for (int i = 0; i < 3; i++) {
		read_actions(world);
		remediate_time(world->remediate, world->now, chance);
		advance(world);
	}
}

static void tell_alert(struct world *world, int64_t starts_at, enum alert_state state,
	bool actionable, const char *reason)
{
	struct alert alert = {.state = state, .starts_at = starts_at, .actionable = actionable};
	struct bytes json = {0};

	snprintf(alert.id, sizeof alert.id, "a-%032lld", (long long)starts_at);
	snprintf(alert.alertname, sizeof alert.alertname, "ModelLatency");
	snprintf(alert.reason, sizeof alert.reason, "%s", reason);
	labels_set(&alert.labels, "alertname", "ModelLatency");
	labels_set(&alert.labels, "model", "fraud");
	labels_set(&alert.labels, "role", "production");
	alert_to_json(&alert, &json);
	take(world, "modelwatch.alerts", world->alert_offset++, bytes_view(&json));
	bytes_done(&json);
	alert_done(&alert);
}

/* Up to the INTENT that was read back. */
static void begin_incident(struct world *world, enum policy_mode mode, bool idempotent)
{
	setup(world, mode, idempotent);
	load(world);
	tell_alert(world, 5000, ALERT_FIRING, true, "");
	turn(world);
}

static void tell_command(struct world *world, enum command_kind kind, const char *subject)
{
	struct command command = {.command = kind, .at = world->now};
	struct bytes json = {0};

	snprintf(command.subject, sizeof command.subject, "%s", subject);
	snprintf(command.actor, sizeof command.actor, "ada");
	command_to_json(&command, &json);
	take(world, "modelwatch.commands", world->command_offset++, bytes_view(&json));
	bytes_done(&json);
}

static struct action record(const struct world *world, size_t place)
{
	struct action action = {0};
	struct err err;

	assert_int_equal(
		action_from_json(bytes_view(&world->actions[place]), &action, &err), RC_OK);
	return action;
}

static void expect_states(const struct world *world, const char *expected)
{
	struct bytes found = {0};

	bytes_text(&found, "");
	for (size_t i = 0; i < world->action_count; i++)
		bytes_format(
			&found, "%s%s", i ? " " : "", action_state_names[record(world, i).state]);
	assert_string_equal(found.data, expected);
	bytes_done(&found);
}

/* The one task of this kind, its action's id in id; false: none. */
static bool task(struct world *world, enum task_kind kind, char id[ID_SIZE])
{
	struct task tasks[8];
	size_t count = remediate_tasks(world->remediate, world->now, tasks, 8);

	assert_true(count <= 1);
	if (!count || tasks[0].kind != kind)
		return false;
	memcpy(id, tasks[0].remedy->action.id, ID_SIZE);
	return true;
}

static void start_call(struct world *world, char id[ID_SIZE])
{
	assert_true(task(world, TASK_CALL, id));
	remediate_calling(world->remediate, id, world->now);
	advance(world);
}

static void call(struct world *world, enum call_result result)
{
	char id[ID_SIZE];

	assert_true(task(world, TASK_CALL, id));
	remediate_calling(world->remediate, id, world->now);
	advance(world);
	remediate_called(world->remediate, id, result, -1, "answered", world->now);
	advance(world);
}

static void up_to_verifying(struct world *world)
{
	setup(world, MODE_AUTO, true);
	load(world);
	tell_alert(world, 5000, ALERT_FIRING, true, "");
	turn(world);
	call(world, CALL_ACCEPTED);
}

static void an_actionable_alert_is_rolled_back_once_and_verified(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	up_to_verifying(&world);
	expect_states(&world, "intent done");
	assert_true(task(&world, TASK_PROBE, id));
	remediate_probed(world.remediate, id, true, "converged", world.now);
	tell_alert(&world, 5000, ALERT_RESOLVED, true, "superseded");
	turn(&world);
	world.now += 60000;
	turn(&world);
	expect_states(&world, "intent done"); /* superseded is not ok */
	tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
	turn(&world);
	world.now += 29000;
	turn(&world);
	expect_states(&world, "intent done"); /* not held yet */
	world.now += 1000;
	turn(&world);
	expect_states(&world, "intent done verified");
	teardown(&world);
}

static void an_alert_that_is_not_actionable_waits_until_it_is(void **state)
{
	struct world world;
	(void)state;

	setup(&world, MODE_AUTO, true);
	load(&world);
	tell_alert(&world, 5000, ALERT_FIRING, false, "");
	turn(&world);
	expect_states(&world, "");
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	turn(&world);
	expect_states(&world, "intent");
	teardown(&world);
}

static void nothing_is_called_before_the_intent_is_read_back(void **state)
{
	static const unsigned char chance[16] = {1};
	struct world world;
	char id[ID_SIZE];
	(void)state;

	setup(&world, MODE_AUTO, true);
	load(&world);
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	remediate_time(world.remediate, world.now, chance);
	advance(&world);
	expect_states(&world, "intent");
	assert_false(task(&world, TASK_CALL, id));
	read_actions(&world);
	assert_true(task(&world, TASK_CALL, id));
	teardown(&world);
}

static void killed_between_intent_and_outcome_it_repeats_under_the_same_key(void **state)
{
	struct world world;
	char first[ID_SIZE], again[ID_SIZE];
	(void)state;

	begin_incident(&world, MODE_AUTO, true);
	assert_true(task(&world, TASK_CALL, first));
	remediate_calling(world.remediate, first, world.now);
	advance(&world);
	kill_and_load(&world);
	turn(&world);
	assert_true(task(&world, TASK_CALL, again));
	assert_string_equal(first, again);
	remediate_calling(world.remediate, again, world.now);
	assert_true(task(&world, TASK_CALL, again));
	expect_states(&world, "intent");
	teardown(&world);
}

static void a_blind_target_is_never_called_again_but_handed_to_a_person(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	begin_incident(&world, MODE_AUTO, false);
	start_call(&world, id);
	kill_and_load(&world);
	turn(&world);
	start_call(&world, id);
	assert_false(task(&world, TASK_CALL, id));
	expect_states(&world, "intent unknown escalated");
	teardown(&world);
}

static void an_unknown_outcome_at_a_blind_target_is_not_retried(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	begin_incident(&world, MODE_AUTO, false);
	call(&world, CALL_UNKNOWN);
	world.now += 3600000;
	turn(&world);
	assert_false(task(&world, TASK_CALL, id));
	expect_states(&world, "intent unknown escalated");
	teardown(&world);
}

static void a_proposal_waits_for_a_person_and_acts_when_approved(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	begin_incident(&world, MODE_PROPOSE, true);
	world.now += 86400000;
	turn(&world);
	expect_states(&world, "proposed");
	assert_false(task(&world, TASK_CALL, id));
	struct action proposed = record(&world, 0);

	tell_command(&world, COMMAND_APPROVE, proposed.id);
	turn(&world);
	assert_true(task(&world, TASK_CALL, id));
	expect_states(&world, "proposed approved intent");
	struct action intent = record(&world, 2);

	assert_string_equal(intent.by, "ada");
	teardown(&world);
}

static void a_second_incident_within_the_cooldown_goes_to_a_person(void **state)
{
	struct world world;
	(void)state;

	up_to_verifying(&world);
	char id[ID_SIZE];

	assert_true(task(&world, TASK_PROBE, id));
	remediate_probed(world.remediate, id, true, "", world.now);
	tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
	turn(&world);
	world.now += 31000;
	turn(&world);
	kill_and_load(&world); /* the cooldown survives */
	tell_alert(&world, 50000, ALERT_FIRING, true, "");
	turn(&world);
	expect_states(&world, "intent done verified skipped escalated");
	teardown(&world);
}

static void what_does_not_help_in_time_goes_to_the_next_rung(void **state)
{
	struct world world;
	(void)state;

	up_to_verifying(&world);
	world.now += 600001;
	turn(&world);
	expect_states(&world, "intent done failed escalated");
	struct action last = record(&world, 3);

	assert_string_equal(last.operation, "page");
	assert_int_equal(last.rung, 2);
	teardown(&world);
}

static void after_redis_was_lost_the_log_of_actions_keeps_it_from_acting_again(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	up_to_verifying(&world);
	remediate_free(world.remediate);
	store_close(world.store);
	world.store = store_memory_open();
	world.read = 0;
	world.alert_offset = 0;
	load(&world);
	assert_true(world.head.fresh);
	read_actions(&world);
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	turn(&world);
	expect_states(&world, "intent done");
	assert_false(task(&world, TASK_CALL, id));
	assert_true(task(&world, TASK_PROBE, id));
	teardown(&world);
}

static void every_record_carries_the_hash_of_the_one_before(void **state)
{
	struct world world;
	char hash[DIGEST_HEX_SIZE];
	(void)state;

	up_to_verifying(&world);
	kill_and_load(&world);
	world.now += 600001;
	turn(&world);
	assert_true(world.action_count == 4);
	assert_string_equal(record(&world, 0).previous, "");
	for (size_t i = 1; i < world.action_count; i++) {
		digest_sha256_hex(bytes_view(&world.actions[i - 1]), hash);
		assert_string_equal(record(&world, i).previous, hash);
	}
	teardown(&world);
}

static void another_workers_intent_that_was_first_keeps_a_blind_target_from_being_called(
	void **state)
{
	static const unsigned char chance[16] = {7};
	struct world world;
	struct bytes foreign = {0};
	char id[ID_SIZE];
	(void)state;

	setup(&world, MODE_AUTO, false);
	load(&world);
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	remediate_time(world.remediate, world.now, chance);
	advance(&world);
	struct action ours = record(&world, 0), theirs = ours;

	snprintf(theirs.token, sizeof theirs.token, "somebody else");
	action_to_json(&theirs, &foreign);
	take(&world, "modelwatch.actions", 0, bytes_view(&foreign));
	take(&world, "modelwatch.actions", 1, bytes_view(&world.actions[0]));
	advance(&world);
	assert_false(task(&world, TASK_CALL, id));
	expect_states(&world, "intent unknown escalated");
	bytes_done(&foreign);
	teardown(&world);
}

static void a_redis_that_went_back_in_time_makes_no_second_call_of_a_blind_target(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	begin_incident(&world, MODE_AUTO, false);
	struct store *before = store_memory_copy(world.store);

	call(&world, CALL_ACCEPTED);
	store_close(world.store);
	world.store = before;
	kill_and_load(&world);
	turn(&world);
	start_call(&world, id);
	assert_false(task(&world, TASK_CALL, id));
	expect_states(&world, "intent done unknown escalated");
	teardown(&world);
}

static void a_call_that_was_not_sent_does_not_unmake_the_one_before(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	begin_incident(&world, MODE_AUTO, true);
	call(&world, CALL_UNKNOWN);
	world.now += 60000;
	call(&world, CALL_NOT_SENT);
	tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
	world.now += 60000;
	turn(&world);
	expect_states(&world, "intent"); /* not expired: it may have been done */
	assert_true(task(&world, TASK_CALL, id));
	for (int i = 0; i < 4; i++) {
		world.now += 60000;
		call(&world, CALL_NOT_SENT);
	}
	expect_states(&world, "intent unknown escalated"); /* not refused */
	teardown(&world);
}

static void a_refusal_does_not_unmake_the_call_before(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	for (int i = 0; i < 2; i++) {
		begin_incident(&world, MODE_AUTO, true);
		if (i == 0) {
			call(&world, CALL_UNKNOWN);
		} else {
			start_call(&world, id);
			kill_and_load(&world);
		}
		world.now += 60000;
		call(&world, CALL_REFUSED);
		turn(&world);
		expect_states(&world, "intent unknown escalated"); /* not refused */
		teardown(&world);
	}
}

static void an_intent_that_the_log_has_lost_goes_to_a_person(void **state)
{
	static const unsigned char chance[16] = {1};
	struct world world;
	(void)state;

	setup(&world, MODE_AUTO, true);
	load(&world);
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	remediate_time(world.remediate, world.now, chance);
	advance(&world);
	expect_states(&world, "intent");
	bytes_done(&world.actions[--world.action_count]);
	world.now += 15 * 60 * 1000;
	turn(&world);
	expect_states(&world, "");
	world.now++;
	turn(&world);
	expect_states(&world, "escalated");
	teardown(&world);
}

static void a_call_whose_target_was_configured_away_goes_to_a_person(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	begin_incident(&world, MODE_AUTO, true);
	start_call(&world, id);
	world.config.target_count = 0;
	kill_and_load(&world);
	turn(&world);
	expect_states(&world, "intent unknown escalated");
	teardown(&world);
}

/* As if Redis had been lost when this much of the log was out. */
static void lose_redis_alone(struct world *world, size_t actions)
{
	remediate_free(world->remediate);
	store_close(world->store);
	while (world->action_count > actions)
		bytes_done(&world->actions[--world->action_count]);
	world->store = store_memory_open();
	world->read = 0;
	world->alert_offset = 0;
	load(world);
	read_actions(world);
}

static void lose_redis(struct world *world, size_t actions)
{
	lose_redis_alone(world, actions);
	tell_alert(world, 5000, ALERT_FIRING, true, "");
	turn(world);
}

static void after_redis_was_lost_what_was_intended_is_told_though_its_alert_has_ended(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	for (int idempotent = 0; idempotent < 2; idempotent++) {
		begin_incident(&world, MODE_AUTO, idempotent);
		start_call(&world, id);
		lose_redis_alone(&world, 1);
		tell_alert(&world, 5000, ALERT_FIRING, true, "");
		tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
		turn(&world);
		turn(&world);
		assert_false(task(&world, TASK_CALL, id));
		expect_states(&world, "intent unknown escalated");
		teardown(&world);
	}
}

static void after_redis_was_lost_what_was_done_is_verified_though_its_alert_has_ended(void **state)
{
	static const char *const reasons[] = {"ok", "superseded"};
	struct world world;
	char id[ID_SIZE];
	(void)state;

	for (size_t i = 0; i < 2; i++) {
		begin_incident(&world, MODE_AUTO, true);
		call(&world, CALL_ACCEPTED);
		lose_redis_alone(&world, 2);
		tell_alert(&world, 5000, ALERT_FIRING, true, "");
		tell_alert(&world, 5000, ALERT_RESOLVED, true, reasons[i]);
		turn(&world);
		tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
		turn(&world);
		assert_false(task(&world, TASK_CALL, id));
		assert_true(task(&world, TASK_PROBE, id));
		remediate_probed(world.remediate, id, true, "converged", world.now);
		turn(&world);
		world.now += 30000;
		turn(&world);
		expect_states(&world, "intent done verified");
		teardown(&world);
	}
}

static void an_old_redis_that_knows_of_no_intent_tells_what_the_log_left_open(void **state)
{
	struct world world;
	char id[ID_SIZE];
	(void)state;

	setup(&world, MODE_AUTO, true);
	load(&world);
	tell_alert(&world, 5000, ALERT_FIRING, false, "");
	turn(&world);
	struct store *before = store_memory_copy(world.store);

	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	turn(&world);
	start_call(&world, id);
	store_close(world.store);
	world.store = before;
	kill_and_load(&world);
	world.read = 0;
	world.alert_offset = 1;
	read_actions(&world);
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
	turn(&world);
	turn(&world);
	expect_states(&world, "intent unknown escalated");
	teardown(&world);
}

static void a_record_that_comes_twice_reopens_nothing(void **state)
{
	struct world world;
	struct bytes intent = {0};
	(void)state;

	begin_incident(&world, MODE_AUTO, true);
	call(&world, CALL_REFUSED);
	tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
	turn(&world);
	bytes_add(&intent, world.actions[0].data, world.actions[0].size);
	world.actions[world.action_count++] = intent;
	turn(&world);
	expect_states(&world, "intent refused intent");
	teardown(&world);
}

static void after_redis_was_lost_what_the_log_leaves_open_is_gone_on_with(void **state)
{
	static const struct {
		bool idempotent;
		enum call_result result;
		const char *expected;
	} rows[] = {
		{true, CALL_REFUSED, "intent refused escalated"},
		{false, CALL_UNKNOWN, "intent unknown escalated"},
	};
	struct world world;
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin_incident(&world, MODE_AUTO, rows[i].idempotent);
		call(&world, rows[i].result);
		lose_redis(&world, 2);
		expect_states(&world, rows[i].expected);
		teardown(&world);
	}
}

static void a_skip_that_nobody_was_told_of_is_told_after_redis_was_lost(void **state)
{
	struct world world;
	(void)state;

	setup(&world, MODE_AUTO, true);
	world.policy.budget_hour = 0;
	load(&world);
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	turn(&world);
	lose_redis(&world, 1);
	expect_states(&world, "skipped escalated");
	teardown(&world);
}

static void a_target_without_status_is_verified_after_redis_was_lost_too(void **state)
{
	struct world world;
	(void)state;

	setup(&world, MODE_AUTO, true);
	world.target.status = (struct config_http){.url = empty, .ca = empty};
	load(&world);
	tell_alert(&world, 5000, ALERT_FIRING, true, "");
	turn(&world);
	call(&world, CALL_ACCEPTED);
	lose_redis(&world, 2);
	tell_alert(&world, 5000, ALERT_RESOLVED, true, "ok");
	turn(&world);
	world.now += 30000;
	turn(&world);
	expect_states(&world, "intent done verified");
	teardown(&world);
}

static void a_hash_that_is_none_is_no_state(void **state)
{
	CLEANUP(bytes_done) struct bytes data = {0};
	const char hash[] = "ca0bccfd667f46b2ecba31aa4e149556\215c6e10823becffe88e3c832e0f737ae";
	struct world world;
	struct err err;
	(void)state;

	setup(&world, MODE_AUTO, true);
	load(&world);
	bytes_varint(&data, 2);
	bytes_varint(&data, 0);
	bytes_sized(&data, hash, sizeof hash - 1);
	assert_int_equal(
		remediate_restore(world.remediate, view_of("meta:"), bytes_view(&data), &err),
		RC_FATAL);
	assert_non_null(strstr(err.text, "meta"));
	teardown(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_actionable_alert_is_rolled_back_once_and_verified),
		cmocka_unit_test(an_alert_that_is_not_actionable_waits_until_it_is),
		cmocka_unit_test(nothing_is_called_before_the_intent_is_read_back),
		cmocka_unit_test(killed_between_intent_and_outcome_it_repeats_under_the_same_key),
		cmocka_unit_test(a_blind_target_is_never_called_again_but_handed_to_a_person),
		cmocka_unit_test(an_unknown_outcome_at_a_blind_target_is_not_retried),
		cmocka_unit_test(a_proposal_waits_for_a_person_and_acts_when_approved),
		cmocka_unit_test(a_second_incident_within_the_cooldown_goes_to_a_person),
		cmocka_unit_test(what_does_not_help_in_time_goes_to_the_next_rung),
		cmocka_unit_test(
			after_redis_was_lost_the_log_of_actions_keeps_it_from_acting_again),
		cmocka_unit_test(every_record_carries_the_hash_of_the_one_before),
		cmocka_unit_test(
			another_workers_intent_that_was_first_keeps_a_blind_target_from_being_called),
		cmocka_unit_test(
			a_redis_that_went_back_in_time_makes_no_second_call_of_a_blind_target),
		cmocka_unit_test(a_call_that_was_not_sent_does_not_unmake_the_one_before),
		cmocka_unit_test(a_refusal_does_not_unmake_the_call_before),
		cmocka_unit_test(an_intent_that_the_log_has_lost_goes_to_a_person),
		cmocka_unit_test(a_call_whose_target_was_configured_away_goes_to_a_person),
		cmocka_unit_test(
			after_redis_was_lost_what_was_intended_is_told_though_its_alert_has_ended),
		cmocka_unit_test(
			after_redis_was_lost_what_was_done_is_verified_though_its_alert_has_ended),
		cmocka_unit_test(an_old_redis_that_knows_of_no_intent_tells_what_the_log_left_open),
		cmocka_unit_test(a_record_that_comes_twice_reopens_nothing),
		cmocka_unit_test(after_redis_was_lost_what_the_log_leaves_open_is_gone_on_with),
		cmocka_unit_test(a_skip_that_nobody_was_told_of_is_told_after_redis_was_lost),
		cmocka_unit_test(a_target_without_status_is_verified_after_redis_was_lost_too),
		cmocka_unit_test(a_hash_that_is_none_is_no_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
