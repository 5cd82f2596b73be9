/* modelwatch-remediate: decides what is done about alerts, does it, and checks that it helped.
 * reads:  PREFIX.alerts, PREFIX.commands, PREFIX.actions
 * writes: PREFIX.actions, calls of deployment APIs */
#include "core/topics.h"
#include "ports/clock.h"
#include "ports/crash_point.h"
#include "ports/inputs.h"
#include "ports/journal.h"
#include "ports/owner.h"
#include "ports/service.h"
#include "remediate/flights.h"
#include "remediate/step.h"

#include <stdio.h>

enum { TAKE_WAIT_MS = 20, TAKE_MAX = 500, TASKS_MAX = 32, END_FRESH_MS = 3000 };

struct ports {
	const struct config *config;
	struct store *store;
	struct log *log;
	struct inputs *inputs;
	struct log_writer *writer;
	struct owner *owner;
	struct http_out *http;
	struct flights *flights;
};

struct room {
	struct service service;
	struct ports ports;
	struct remediate *remediate; /* NULL: to be loaded */
	struct change change;
};

static const struct fold fold = {.service = FOLD_REMEDIATE, .log = FOLD_REMEDIATE};

static enum rc open_ports(const struct config *config, const struct owner *before,
	struct ports *ports, struct err *err)
{
	static const char *const inputs[] = {TOPIC_ACTIONS, TOPIC_ALERTS, TOPIC_COMMANDS};
	const char *prefix = config->kafka.prefix;
	char name[256];
	const char *const outputs[] = {name};

	*ports = (struct ports){.config = config};
	snprintf(name, sizeof name, "%s.%s", prefix, TOPIC_ACTIONS);
	TRY(store_open(&config->redis, &ports->store, err));
	TRY(log_open(&config->kafka, "modelwatch-remediate", &ports->log, err));
	TRY(inputs_open(ports->log, prefix, inputs, 3, &ports->inputs, err));
	TRY(log_writer_open(ports->log, outputs, 1, &ports->writer, err));
	ports->owner = owner_open(ports->store, &fold, ports->writer, prefix, before);
	TRY(http_out_open(config->http_allow, config->http_allow_count, &ports->http, err));
	ports->flights = flights_new(ports->http);
	return RC_OK;
}

static void close_ports(struct ports *ports)
{
	flights_free(ports->flights);
	http_out_close(ports->http);
	owner_close(ports->owner);
	log_writer_close(ports->writer);
	inputs_close(ports->inputs);
	log_close(ports->log);
	store_close(ports->store);
}

/* ---- the fold */

/* Calls under way go on, and their outcomes count if the fold still waits for them. */
static void drop(struct room *room)
{
	remediate_free(room->remediate);
	room->remediate = NULL;
	if (room->ports.inputs)
		inputs_stop(room->ports.inputs);
}

static enum rc load(struct room *room, struct err *err)
{
	bool fresh;

	room->remediate = remediate_new(room->ports.config);
	TRY(owner_load(room->ports.owner, remediate_restore, room->remediate, clock_monotonic_ms(),
		&fresh, err));
	remediate_restored(room->remediate);
	return inputs_start(room->ports.inputs, remediate_cursors(room->remediate), err);
}

static enum rc advance(struct room *room, struct err *err)
{
	remediate_change(room->remediate, &room->change);
	enum rc rc = owner_advance(room->ports.owner, &room->change, clock_monotonic_ms(), err);

	if (rc != RC_OK)
		drop(room);
	return rc;
}

static enum rc take(struct room *room, struct err *err)
{
	const struct log_message *messages;
	size_t count;
	enum rc rc =
		inputs_take(room->ports.inputs, TAKE_WAIT_MS, TAKE_MAX, &messages, &count, err);

	if (rc == RC_REJECT)
		journal(JOURNAL_ERROR, "gap", "reason", err->text, "action",
			"go on with the first record that is there", NULL);
	if (rc == RC_NONE || rc == RC_REJECT)
		return RC_OK;
	TRY(rc);
	for (size_t i = 0; i < count; i++)
		if (remediate_take(room->remediate, &messages[i], clock_wall_ms(), err) ==
			RC_REJECT)
			journal(JOURNAL_WARNING, "record_refused", "topic", messages[i].topic,
				"reason", err->text, "action", "ignore", NULL);
	return RC_OK;
}

/* ---- calls */

/* A call is started only after the step that says so is stored. */
static enum rc start_tasks(struct room *room, struct err *err)
{
	struct flights *flights = room->ports.flights;
	struct task tasks[TASKS_MAX];
	int64_t now = clock_wall_ms();
	size_t count = remediate_tasks(room->remediate, now, tasks, TASKS_MAX);

	count = flights_choose(flights, tasks, count);
	for (size_t i = 0; i < count; i++)
		if (tasks[i].kind == TASK_CALL) {
			CRASH_POINT("remediate.after_intent");
			remediate_calling(room->remediate, tasks[i].remedy->action.id, now);
		}
	TRY(advance(room, err));
	for (size_t i = 0; i < count; i++) {
		const struct remedy *remedy = tasks[i].remedy;

		if (remedy->state != CASE_ENDED && !flights_start(flights, &tasks[i]))
			remediate_called(room->remediate, remedy->action.id, CALL_REFUSED, -1,
				"the target has no such operation", now);
	}
	return RC_OK;
}

/* Without a fold, which another process has then, they are told to the journal alone. */
static void take_landings(struct room *room)
{
	struct landing landing;

	while (flights_take(room->ports.flights, &landing)) {
		int64_t now = clock_wall_ms();

		if (landing.kind == TASK_CALL) {
			CRASH_POINT("remediate.after_call");
			journal(JOURNAL_INFO, "called", "action", landing.action_id, "result",
				landing.sentence, NULL);
		}
		if (room->remediate && landing.kind == TASK_CALL)
			remediate_called(room->remediate, landing.action_id, landing.result,
				landing.retry_after_ms, landing.sentence, now);
		else if (room->remediate)
			remediate_probed(room->remediate, landing.action_id, landing.converged,
				landing.sentence, now);
	}
}

/* ---- the loop */

/* Nobody acts on old news: what is decided and started waits until all inputs are read. */
static enum rc act(struct room *room, struct err *err)
{
	bool current = inputs_are_read(room->ports.inputs, END_FRESH_MS);
	unsigned char chance[16];

	clock_chance(chance, sizeof chance);
	if (current)
		remediate_time(room->remediate, clock_wall_ms(), chance);
	TRY(advance(room, err));
	return current && !room->service.reload_wanted ? start_tasks(room, err) : RC_OK;
}

static enum rc turn(struct room *room, struct err *err)
{
	enum rc rc = room->remediate ? RC_OK : load(room, err);
	struct err of_kafka;

	if (rc != RC_OK) {
		drop(room);
		return rc;
	}
	rc = take(room, &of_kafka);
	take_landings(room);
	TRY(act(room, err));
	enum rc relayed = owner_relay(room->ports.owner, err);

	if (relayed == RC_REJECT)
		journal(JOURNAL_ERROR, "output_lost", "reason", err->text, NULL);
	else
		TRY(relayed);
	if (rc != RC_OK)
		*err = of_kafka;
	return rc;
}

/* The configuration takes effect as if the service had been started again; the old one goes on if
 * it cannot. */
static void reload(struct room *room)
{
	struct config *fresh = service_reload(&room->service);
	struct ports ports;
	struct err err;

	if (!fresh)
		return;
	if (open_ports(fresh, room->ports.owner, &ports, &err) != RC_OK) {
		close_ports(&ports);
		service_refuse(fresh, &err);
		return;
	}
	drop(room);
	close_ports(&room->ports);
	room->ports = ports;
	service_adopt(&room->service, fresh);
}

static void measure(struct room *room)
{
	struct remediate_counts counts = remediate_counts(room->remediate);
	struct metrics *metrics = &room->service.metrics;

	metric_set(metrics_get(metrics, METRIC_GAUGE, "modelwatch_remediate_cases_open",
			   "Incidents that a policy answers and that are not settled", NULL),
		(double)counts.cases_open);
	for (int i = 0; i <= ACTION_SKIPPED; i++) {
		const char *const labels[] = {"state", action_state_names[i], NULL};

		metric_set(
			metrics_get(metrics, METRIC_COUNTER, "modelwatch_remediate_actions_total",
				"Action records told, by state", labels),
			(double)counts.actions[i]);
	}
	service_status(&room->service, true, "%zu cases open, %zu calls running", counts.cases_open,
		flights_running(room->ports.flights));
}

/* A reload cuts no call off whose outcome this process could store. */
static bool calls_are_awaited(const struct room *room)
{
	return room->remediate && flights_running(room->ports.flights);
}

static enum rc run(struct room *room, struct err *err)
{
	TRY(open_ports(&room->service.config, NULL, &room->ports, err));
	while (service_turn(&room->service)) {
		if (room->service.reload_wanted && !calls_are_awaited(room))
			reload(room);
		enum rc rc = turn(room, err);

		if (rc == RC_FATAL)
			return rc;
		if (rc == RC_OK)
			measure(room);
		if (rc == RC_NONE)
			take_landings(room);
		service_came(&room->service, rc, err, true);
	}
	return RC_OK;
}

int main(int argc, char **argv)
{
	struct room room = {0};
	struct err err = {0};
	int status = 0;

	if (!service_open(
		    &room.service, "remediate", SERVICE_REMEDIATE, false, argc, argv, &status))
		return status;
	enum rc rc = run(&room, &err);

	if (rc != RC_OK)
		journal(JOURNAL_ERROR, "fatal", "reason", err.text, "action", "exit", NULL);
	remediate_free(room.remediate);
	close_ports(&room.ports);
	change_done(&room.change);
	service_close(&room.service);
	return rc == RC_OK ? 0 : 1;
}
