/* modelwatch-alerts: makes incidents of findings and tells people, until they have heard.
 * reads:  PREFIX.findings, PREFIX.actions, PREFIX.commands; PREFIX.notifications, if Redis was lost
 * writes: PREFIX.alerts, PREFIX.notifications, calls of receivers */
#include "alerts/calls.h"
#include "alerts/measure.h"
#include "alerts/payload_json.h"
#include "alerts/recovery.h"
#include "core/topics.h"
#include "ports/clock.h"
#include "ports/crash_point.h"
#include "ports/inputs.h"
#include "ports/journal.h"
#include "ports/owner.h"
#include "ports/service.h"

#include <stdio.h>

enum {
	TAKE_MAX = 500,
	TAKE_WAIT_MS = 20,
	CALLS_WAIT_MS = 10,
	CATCH_UP_MS = 30000,
	MEASURE_MS = 1000,
};

struct ports {
	const struct config *config;
	struct store *store;
	struct log *log;
	struct inputs *inputs;
	struct log_writer *writer;
	struct owner *owner;
	struct http_out *http;
	struct calls *calls;
};

struct room {
	struct service service;
	struct ports ports;
	struct alerts *alerts; /* NULL: to be loaded */
	struct change change;
	bool dirty;             /* the fold has something to store */
	int64_t start_at;       /* wall: when a pending notification may be due; 0 = look */
	int64_t refresh_at;     /* monotonic, like all below */
	bool caught_up;         /* since it was loaded, the inputs were read to their ends once */
	int64_t catch_up_until; /* or nothing has come for so long */
	int64_t measure_at;
	struct alerts_counts counted; /* what the counters of /metrics have already */
};

/* ---- ports */

static const struct fold fold = {.service = FOLD_ALERTS, .log = FOLD_ALERTS};

static enum rc open_ports(const struct config *config, const struct owner *before,
	struct ports *ports, struct err *err)
{
	static const char *const inputs[] = {TOPIC_FINDINGS, TOPIC_ACTIONS, TOPIC_COMMANDS};
	const char *prefix = config->kafka.prefix;
	char names[2][256];
	const char *const outputs[] = {names[0], names[1]};

	*ports = (struct ports){.config = config};
	snprintf(names[0], sizeof names[0], "%s.%s", prefix, TOPIC_ALERTS);
	snprintf(names[1], sizeof names[1], "%s.%s", prefix, TOPIC_NOTIFICATIONS);
	TRY(store_open(&config->redis, &ports->store, err));
	TRY(log_open(&config->kafka, "modelwatch-alerts", &ports->log, err));
	TRY(inputs_open(ports->log, prefix, inputs, 3, &ports->inputs, err));
	TRY(log_writer_open(ports->log, outputs, 2, &ports->writer, err));
	ports->owner = owner_open(ports->store, &fold, ports->writer, prefix, before);
	TRY(http_out_open(config->http_allow, config->http_allow_count, &ports->http, err));
	ports->calls = calls_new(ports->http);
	return RC_OK;
}

static void close_ports(struct ports *ports)
{
	calls_free(ports->calls);
	http_out_close(ports->http);
	owner_close(ports->owner);
	log_writer_close(ports->writer);
	inputs_close(ports->inputs);
	log_close(ports->log);
	store_close(ports->store);
	*ports = (struct ports){0};
}

/* ---- loading */

static void drop(struct room *room)
{
	alerts_free(room->alerts);
	room->alerts = NULL;
	room->dirty = false;
	room->counted = (struct alerts_counts){0};
	if (room->ports.inputs)
		inputs_stop(room->ports.inputs);
}

static void tell_refused(const char *topic, const struct err *err)
{
	journal(JOURNAL_WARNING, "record_refused", "topic", topic, "reason", err->text, "action",
		"ignore", NULL);
}

/* Redis knows nothing. */
static enum rc recover(struct room *room, struct err *err)
{
	enum rc rc = recovery_run(&room->service, room->ports.log, room->ports.config->kafka.prefix,
		room->alerts, err);

	room->dirty = true;
	if (rc != RC_REJECT)
		return rc;
	tell_refused(TOPIC_NOTIFICATIONS, err);
	return RC_OK;
}

static enum rc load(struct room *room, struct err *err)
{
	bool fresh;

	room->alerts = alerts_new(room->ports.config);
	TRY(owner_load(room->ports.owner, alerts_restore, room->alerts, clock_monotonic_ms(),
		&fresh, err));
	if (fresh)
		TRY(recover(room, err));
	alerts_restored(room->alerts, clock_wall_ms());
	TRY(inputs_start(room->ports.inputs, alerts_cursors(room->alerts), err));
	room->start_at = room->refresh_at = 0;
	room->caught_up = false;
	room->catch_up_until = clock_monotonic_ms() + CATCH_UP_MS;
	return RC_OK;
}

/* ---- the fold */

/* After a failure memory is dropped; calls under way go on, and their outcomes count if their
 * notification is still there. */
static enum rc advance(struct room *room, struct err *err)
{
	if (room->dirty)
		alerts_change(room->alerts, &room->change);
	room->dirty = false;
	enum rc rc = owner_advance(room->ports.owner, &room->change, clock_monotonic_ms(), err);

	if (rc != RC_OK)
		drop(room);
	return rc;
}

static enum rc take(struct room *room, struct err *err)
{
	int wait_ms = calls_running(room->ports.calls) ? 0 : TAKE_WAIT_MS;
	const struct log_message *messages;
	size_t count;
	enum rc rc = inputs_take(room->ports.inputs, wait_ms, TAKE_MAX, &messages, &count, err);

	if (rc == RC_NONE)
		return RC_OK;
	if (rc == RC_REJECT) {
		journal(JOURNAL_ERROR, "gap", "reason", err->text, "action",
			"go on with the first record that is there", NULL);
		room->dirty = true;
		return RC_OK;
	}
	TRY(rc);
	for (size_t i = 0; i < count; i++)
		if (alerts_take(room->alerts, &messages[i], clock_wall_ms(), err) == RC_REJECT)
			tell_refused(messages[i].topic, err);
	room->dirty = true;
	room->catch_up_until = clock_monotonic_ms() + CATCH_UP_MS;
	return RC_OK;
}

/* What lies in the log may have ended what a timer would tell: after a start the log is read to its
 * end first. Unless Kafka is away, which is no reason to be silent. */
static bool may_tell(struct room *room)
{
	room->caught_up = room->caught_up || inputs_are_read(room->ports.inputs, INT64_MAX);
	return room->caught_up || clock_monotonic_ms() >= room->catch_up_until;
}

static void tell_due(struct room *room)
{
	int64_t now = clock_wall_ms();

	if (now < alerts_next(room->alerts) || !may_tell(room))
		return;
	if (alerts_time(room->alerts, now))
		room->dirty = true;
	room->start_at = 0;
}

/* ---- calls */

static void tried(struct room *room, const struct call_result *result)
{
	const struct attempt *attempt = &result->attempt;
	uint64_t dead_before = alerts_counts(room->alerts).notifications_dead;

	CRASH_POINT("alerts.after_call");
	alerts_tried(room->alerts, result->id, attempt, clock_wall_ms());
	room->dirty = true;
	bool dead = alerts_counts(room->alerts).notifications_dead > dead_before;

	measure_try(&room->service, result->receiver,
		attempt->delivered ? "delivered"
		: dead             ? "dead"
				   : "failed");
	if (!attempt->delivered)
		journal(dead ? JOURNAL_ERROR : JOURNAL_WARNING,
			dead ? "notification_dead" : "notification_failed", "notification",
			result->id, "receiver", result->receiver, "reason", attempt->result,
			"action", dead ? "give up" : "retry", NULL);
}

static void take_results(struct room *room)
{
	int wait_ms = calls_running(room->ports.calls) ? CALLS_WAIT_MS : 0;
	struct call_result result;

	while (calls_take(room->ports.calls, wait_ms, &result)) {
		if (result.id[0])
			tried(room, &result);
		else if (!result.attempt.delivered)
			journal(JOURNAL_WARNING, "refresh_failed", "receiver", result.receiver,
				"reason", result.attempt.result, "action", "retry", NULL);
		room->start_at = 0;
		wait_ms = 0;
	}
}

/* Another process tells what is pending, also what is under way here. */
static void end_calls(struct room *room)
{
	struct call_result ignored;

	while (calls_take(room->ports.calls, 0, &ignored))
		continue;
}

static void start_calls(struct room *room)
{
	int64_t now = clock_wall_ms();

	if (now >= room->start_at)
		room->start_at = calls_start(room->ports.calls, room->alerts, now);
	if (clock_monotonic_ms() >= room->refresh_at && may_tell(room)) {
		room->refresh_at = clock_monotonic_ms() + ALERTMANAGER_REFRESH_MS;
		calls_refresh(room->ports.calls, room->alerts, now);
	}
}

/* ---- the loop */

/* Calls start after advance(): whatever is told was stored before. A Kafka that is unwell does not
 * keep from telling what is known already. */
static enum rc turn(struct room *room, struct err *err)
{
	enum rc rc = room->alerts ? RC_OK : load(room, err);
	struct err of_kafka;

	if (rc != RC_OK) {
		drop(room);
		return rc;
	}
	rc = take(room, &of_kafka);
	take_results(room);
	tell_due(room);
	TRY(advance(room, err));
	start_calls(room);
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
	if (clock_monotonic_ms() < room->measure_at)
		return;
	room->measure_at = clock_monotonic_ms() + MEASURE_MS;
	measure_alerts(&room->service, room->alerts, &room->counted);
}

static enum rc run(struct room *room, struct err *err)
{
	TRY(open_ports(&room->service.config, NULL, &room->ports, err));
	while (service_turn(&room->service)) {
		if (room->service.reload_wanted)
			reload(room);
		enum rc rc = turn(room, err);

		if (rc == RC_FATAL)
			return rc;
		if (rc == RC_OK)
			measure(room);
		else
			room->measure_at = 0;
		if (rc == RC_NONE)
			end_calls(room);
		service_came(&room->service, rc, err,
			!room->alerts || !calls_running(room->ports.calls));
	}
	return RC_OK;
}

int main(int argc, char **argv)
{
	struct room room = {0};
	struct err err = {0};
	int status = 0;

	if (!service_open(&room.service, "alerts", SERVICE_ALERTS, false, argc, argv, &status))
		return status;
	enum rc rc = run(&room, &err);

	if (rc != RC_OK)
		journal(JOURNAL_ERROR, "fatal", "reason", err.text, "action", "exit", NULL);
	alerts_free(room.alerts);
	close_ports(&room.ports);
	change_done(&room.change);
	service_close(&room.service);
	return rc == RC_OK ? 0 : 1;
}
