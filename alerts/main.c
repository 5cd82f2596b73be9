/* modelwatch-alerts: makes incidents of findings and tells people, until they have heard.
 * reads:  PREFIX.findings, PREFIX.actions, PREFIX.commands; PREFIX.notifications after a loss of
 * Redis writes: PREFIX.alerts, PREFIX.notifications, calls of receivers */
#include "alerts/calls.h"
#include "alerts/hearing.h"
#include "alerts/payload_json.h"
#include "alerts/step.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"
#include "ports/journal.h"
#include "ports/log.h"
#include "ports/outbox.h"
#include "ports/service.h"
#include "ports/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	INPUTS = 3,
	TAKE_MAX = 500,
	TAKE_WAIT_MS = 20,
	CALLS_WAIT_MS = 10,
	KAFKA_WAIT_MS = 1000,
	PARTITIONS_EVERY_MS = 60000,
	CATCH_UP_MS = 30000,
	MEASURE_MS = 1000,
};

static const char *const inputs[INPUTS] = {TOPIC_FINDINGS, TOPIC_ACTIONS, TOPIC_COMMANDS};

struct ports {
	const struct config *config;
	struct store *store;
	struct log *log;
	struct log_reader *reader;
	struct log_writer *writer;
	struct outbox *outbox;
	struct http_out *http;
	struct calls *calls;
	char names[INPUTS][256];
	char notifications[256], alerts[256];
	int32_t partitions[INPUTS]; /* assigned to the reader */
};

struct room {
	struct service service;
	struct config *reloaded; /* what replaced service.config; NULL = nothing yet */
	struct ports ports;
	struct fold fold;
	struct head head;
	struct alerts *alerts; /* NULL: to be loaded */
	struct change change;
	bool dirty;             /* the fold has something to store */
	int64_t start_at;       /* wall: when a pending notification may be due; 0 = look */
	int64_t refresh_at;     /* monotonic, like all below */
	int64_t partitions_at;  /* when partitions are counted again */
	bool caught_up;         /* since it was loaded, the inputs were read to their ends once */
	int64_t catch_up_until; /* or nothing has come for so long */
	int64_t measure_at;
	struct alerts_counts counted; /* what the counters of /metrics have already */
	struct backoff backoff;
};

/* ---- ports */

static enum rc open_ports(
	const struct config *config, const struct fold *fold, struct ports *ports, struct err *err)
{
	const char *prefix = config->kafka.prefix;
	const char *const outputs[] = {ports->alerts, ports->notifications};

	*ports = (struct ports){.config = config};
	for (int i = 0; i < INPUTS; i++)
		snprintf(ports->names[i], sizeof ports->names[i], "%s.%s", prefix, inputs[i]);
	snprintf(ports->notifications, sizeof ports->notifications, "%s.%s", prefix,
		TOPIC_NOTIFICATIONS);
	snprintf(ports->alerts, sizeof ports->alerts, "%s.%s", prefix, TOPIC_ALERTS);
	TRY(store_open(&config->redis, &ports->store, err));
	TRY(log_open(&config->kafka, "modelwatch-alerts", &ports->log, err));
	TRY(log_reader_open(ports->log, &ports->reader, err));
	TRY(log_writer_open(ports->log, outputs, 2, &ports->writer, err));
	ports->outbox = outbox_open(ports->store, fold, ports->writer, prefix);
	TRY(http_out_open(config->http_allow, config->http_allow_count, &ports->http, err));
	ports->calls = calls_new(ports->http);
	return RC_OK;
}

static void close_ports(struct ports *ports)
{
	calls_free(ports->calls);
	http_out_close(ports->http);
	outbox_close(ports->outbox);
	log_writer_close(ports->writer);
	log_reader_close(ports->reader);
	log_close(ports->log);
	store_close(ports->store);
	*ports = (struct ports){0};
}

static enum rc count_partitions(
	struct ports *ports, const char *topic, int32_t *count, struct err *err)
{
	enum rc rc = log_partitions(ports->log, topic, KAFKA_WAIT_MS, count, err);

	if (rc == RC_NONE)
		return err_set(err, RC_RETRY, "topic %s: run modelwatch init", topic);
	return rc;
}

/* ---- where to read from */

static void move(struct room *room, struct cursor *cursor, int64_t to, const char *why)
{
	journal(JOURNAL_ERROR, "gap", "topic", cursor->topic, "reason", why, "action",
		"go on with the first record that is there", NULL);
	cursor->next = to;
	cursor->fingerprint = 0;
	cursor->dirty = room->dirty = true;
}

/* An offset alone does not prove that the log is the one that was read: a topic may have been
 * deleted and created again. Findings that come twice are recognised by their ids. */
static enum rc check_log(struct room *room, struct cursor *cursor, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	int64_t append_ms;

	if (cursor->next <= 0 || !cursor->fingerprint)
		return RC_OK;
	enum rc rc = log_peek(room->ports.log, cursor->topic, cursor->partition, cursor->next - 1,
		KAFKA_WAIT_MS, &key, &value, &append_ms, err);

	if (rc == RC_NONE) /* too old to be kept, or log_take() will tell of a gap */
		return RC_OK;
	TRY(rc);
	if (cursor_fingerprint((struct view){key.data, key.size},
		    (struct view){value.data, value.size}) != cursor->fingerprint)
		move(room, cursor, 0, "another log than the one that was read");
	return RC_OK;
}

static enum rc assign(struct room *room, const char *topic, int32_t partition, struct err *err)
{
	struct cursor *cursor = alerts_cursor(room->alerts, topic, partition);

	TRY(check_log(room, cursor, err));
	return log_assign(room->ports.reader, topic, partition,
		cursor->next > 0 ? cursor->next : OFFSET_BEGINNING, err);
}

/* Assigns what the reader does not have yet; topics may grow. */
static enum rc assign_inputs(struct room *room, struct err *err)
{
	struct ports *ports = &room->ports;

	room->partitions_at = clock_monotonic_ms() + PARTITIONS_EVERY_MS;
	for (int i = 0; i < INPUTS; i++) {
		int32_t count;

		TRY(count_partitions(ports, ports->names[i], &count, err));
		for (; ports->partitions[i] < count; ports->partitions[i]++)
			TRY(assign(room, ports->names[i], ports->partitions[i], err));
	}
	return RC_OK;
}

static bool is_read(struct log_reader *reader, const char *topic, int32_t partitions)
{
	for (int32_t p = 0; p < partitions; p++)
		if (log_end_age_ms(reader, topic, p) < 0)
			return false;
	return true;
}

/* ---- loading */

static void hear(struct hearing *hearing, const struct log_message *message)
{
	struct err err;

	if (message->value.data && hearing_take(hearing, message->value, &err) != RC_OK)
		journal(JOURNAL_WARNING, "record_refused", "topic", message->topic, "reason",
			err.text, "action", "ignore", NULL);
}

static enum rc hear_all(
	struct room *room, struct log_reader *reader, struct hearing *hearing, struct err *err)
{
	const char *topic = room->ports.notifications;
	const struct log_message *messages;
	struct log_gap gap;
	int32_t partitions;
	size_t count;

	TRY(count_partitions(&room->ports, topic, &partitions, err));
	for (int32_t p = 0; p < partitions; p++)
		TRY(log_assign(reader, topic, p, OFFSET_BEGINNING, err));
	while (!is_read(reader, topic, partitions)) {
		if (!service_turn(&room->service))
			return err_set(err, RC_RETRY, "%s to be read, but asked to stop", topic);
		enum rc rc = log_take(reader, TAKE_WAIT_MS, TAKE_MAX, &messages, &count, &gap, err);

		if (rc == RC_NONE)
			continue;
		TRY(rc);
		for (size_t i = 0; i < count; i++)
			hear(hearing, &messages[i]);
	}
	return RC_OK;
}

/* Redis knows nothing: what receivers were told is in the log, and is not told again. */
static enum rc recover(struct room *room, struct err *err)
{
	CLEANUP(hearing_done) struct hearing hearing = {0};
	struct log_reader *reader;

	TRY(log_reader_open(room->ports.log, &reader, err));
	enum rc rc = hear_all(room, reader, &hearing, err);

	if (rc == RC_OK)
		hearing_tell(&hearing, room->alerts);
	log_reader_close(reader);
	room->dirty = true;
	return rc;
}

static void drop(struct room *room)
{
	alerts_free(room->alerts);
	room->alerts = NULL;
	room->dirty = false;
	room->counted = (struct alerts_counts){0};
	memset(room->ports.partitions, 0, sizeof room->ports.partitions);
}

static void count_try(struct room *room, const char *receiver, const char *outcome)
{
	const char *const labels[] = {"receiver", receiver, "outcome", outcome, NULL};

	metric_add(metrics_get(&room->service.metrics, METRIC_COUNTER,
			   "modelwatch_alerts_notifications_total",
			   "Tries to deliver a notification; dead: it was given up.", labels),
		1);
}

static void tried(
	struct room *room, const char *id, const char *receiver, const struct attempt *attempt)
{
	uint64_t dead_before = alerts_counts(room->alerts).notifications_dead;

	alerts_tried(room->alerts, id, attempt, clock_wall_ms());
	room->dirty = true;
	bool dead = alerts_counts(room->alerts).notifications_dead > dead_before;

	count_try(room, receiver, attempt->delivered ? "delivered" : dead ? "dead" : "failed");
	if (dead)
		journal(JOURNAL_ERROR, "notification_dead", "notification", id, "receiver",
			receiver, "reason", attempt->result, NULL);
	else if (!attempt->delivered)
		journal(JOURNAL_WARNING, "notification_failed", "notification", id, "receiver",
			receiver, "reason", attempt->result, "action", "retry", NULL);
}

/* What waits for a receiver that was configured away will never be delivered, and says so. */
static void end_homeless(struct room *room)
{
	for (size_t i = alerts_pending_count(room->alerts); i-- > 0;) {
		const struct notification *notification = alerts_pending(room->alerts, i);
		struct attempt attempt = {.final = true,
			.retry_after_ms = -1,
			.result = "the receiver is not configured any more"};
		char id[ID_SIZE], receiver[NAME_SIZE];

		if (alerts_integration(room->alerts, notification))
			continue;
		memcpy(id, notification->id, sizeof id);
		snprintf(receiver, sizeof receiver, "%s", notification->receiver);
		tried(room, id, receiver, &attempt);
	}
}

static enum rc load_state(struct room *room, struct err *err)
{
	TRY(store_load(
		room->ports.store, &room->fold, &room->head, alerts_restore, room->alerts, err));
	if (room->head.fresh)
		TRY(recover(room, err));
	alerts_restored(room->alerts, clock_wall_ms());
	return assign_inputs(room, err);
}

static enum rc load(struct room *room, struct err *err)
{
	room->alerts = alerts_new(room->ports.config);
	enum rc rc = load_state(room, err);

	if (rc != RC_OK) {
		drop(room);
		return rc;
	}
	end_homeless(room);
	room->start_at = room->refresh_at = 0;
	room->caught_up = false;
	room->catch_up_until = clock_monotonic_ms() + CATCH_UP_MS;
	return RC_OK;
}

/* ---- the fold */

/* After a failure memory is dropped, since the step may have happened or not; calls under way go
 * on, and their outcomes count if their notification is still there. */
static enum rc advance(struct room *room, struct err *err)
{
	if (!room->dirty)
		return RC_OK;
	alerts_change(room->alerts, &room->change);
	enum rc rc = store_advance(room->ports.store, &room->fold, &room->head, &room->change, err);
	bool spoke = room->change.output_count > 0;

	room->dirty = false;
	change_clear(&room->change);
	if (rc != RC_OK) {
		drop(room);
		return rc == RC_FATAL ? RC_FATAL : RC_RETRY;
	}
	return spoke ? outbox_turn(room->ports.outbox, &room->head, true, err) : RC_OK;
}

static enum rc take(struct room *room, struct err *err)
{
	int wait_ms = calls_running(room->ports.calls) ? 0 : TAKE_WAIT_MS;
	const struct log_message *messages;
	struct log_gap gap;
	size_t count;
	enum rc rc = log_take(room->ports.reader, wait_ms, TAKE_MAX, &messages, &count, &gap, err);

	if (rc == RC_NONE)
		return RC_OK;
	if (rc == RC_REJECT) {
		move(room, alerts_cursor(room->alerts, gap.topic, gap.partition), gap.low,
			err->text);
		return log_assign(room->ports.reader, gap.topic, gap.partition, gap.low, err);
	}
	TRY(rc);
	for (size_t i = 0; i < count; i++)
		if (alerts_take(room->alerts, &messages[i], clock_wall_ms(), err) == RC_REJECT)
			journal(JOURNAL_WARNING, "record_refused", "topic", messages[i].topic,
				"reason", err->text, "action", "ignore", NULL);
	room->dirty = true;
	room->catch_up_until = clock_monotonic_ms() + CATCH_UP_MS;
	return RC_OK;
}

/* What lies in the log may have ended what a timer would tell: after a start the log is read to its
 * end first. Unless Kafka is away, which is no reason to be silent. */
static bool may_tell(struct room *room)
{
	struct ports *ports = &room->ports;
	bool all = true;

	for (int i = 0; i < INPUTS && !room->caught_up; i++)
		all = all && is_read(ports->reader, ports->names[i], ports->partitions[i]);
	room->caught_up = room->caught_up || all;
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

static const char *receiver_of(
	const struct config *config, const struct config_integration *integration)
{
	for (size_t i = 0; i < config->receiver_count; i++) {
		const struct config_receiver *receiver = &config->receivers[i];

		for (size_t k = 0; k < receiver->integration_count; k++)
			if (&receiver->integrations[k] == integration)
				return receiver->name;
	}
	return "";
}

static void take_results(struct room *room)
{
	int wait_ms = calls_running(room->ports.calls) ? CALLS_WAIT_MS : 0;
	struct call_result result;

	while (calls_take(room->ports.calls, wait_ms, &result)) {
		const char *receiver = receiver_of(room->ports.config, result.to);

		if (result.id[0])
			tried(room, result.id, receiver, &result.attempt);
		else if (!result.attempt.delivered)
			journal(JOURNAL_WARNING, "refresh_failed", "receiver", receiver, "reason",
				result.attempt.result, "action", "retry", NULL);
		room->start_at = 0;
		wait_ms = 0;
	}
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

static void relay(struct room *room)
{
	uint64_t tags[TAKE_MAX];
	bool delivered[TAKE_MAX];
	size_t count = log_written(room->ports.writer, 0, TAKE_MAX, tags, delivered);

	for (size_t i = 0; i < count; i++)
		outbox_written(room->ports.outbox, tags[i], delivered[i]);
}

/* Calls start after advance(): whatever is told was stored before. A Kafka that is unwell does not
 * keep from telling what is known already. */
static enum rc turn(struct room *room, struct err *err)
{
	struct err of_kafka;

	if (!room->alerts)
		TRY(load(room, err));
	enum rc rc = take(room, &of_kafka);

	if (rc == RC_OK && clock_monotonic_ms() >= room->partitions_at)
		rc = assign_inputs(room, &of_kafka);
	take_results(room);
	tell_due(room);
	TRY(advance(room, err));
	start_calls(room);
	relay(room);
	TRY(outbox_turn(room->ports.outbox, &room->head, false, err));
	if (rc != RC_OK)
		*err = of_kafka;
	return rc;
}

/* The configuration takes effect as if the service had been started again; the old one goes on if
 * it cannot. */
static void reload(struct room *room)
{
	struct config *fresh = memory_new(1, sizeof *fresh);
	struct ports ports;
	struct err err;

	room->service.reload_wanted = false;
	if (!service_reload(&room->service, fresh)) {
		free(fresh);
		return;
	}
	if (open_ports(fresh, &room->fold, &ports, &err) != RC_OK) {
		journal(JOURNAL_ERROR, "reload_refused", "reason", err.text, "action",
			"the old one goes on", NULL);
		close_ports(&ports);
		config_done(fresh);
		free(fresh);
		return;
	}
	drop(room);
	close_ports(&room->ports);
	if (room->reloaded)
		config_done(room->reloaded);
	free(room->reloaded);
	room->reloaded = fresh;
	room->ports = ports;
	journal(JOURNAL_INFO, "reloaded", "config", fresh->digest, NULL);
}

static void add_to(struct room *room, const char *name, const char *help, uint64_t more)
{
	metric_add(metrics_get(&room->service.metrics, METRIC_COUNTER, name, help, NULL),
		(double)more);
}

static void set_to(struct room *room, const char *name, const char *help, size_t value)
{
	metric_set(
		metrics_get(&room->service.metrics, METRIC_GAUGE, name, help, NULL), (double)value);
}

/* The first receiver that did not take its last try, in words. */
static void describe_receivers(const struct room *room, char *text, size_t size)
{
	snprintf(text, size, "receivers ok");
	for (size_t i = 0; i < alerts_pending_count(room->alerts); i++) {
		const struct notification *notification = alerts_pending(room->alerts, i);

		if (!notification->tries)
			continue;
		snprintf(text, size, "receiver %s: %s", notification->receiver,
			notification->result);
		return;
	}
}

static void measure(struct room *room)
{
	char receivers[400];

	if (clock_monotonic_ms() < room->measure_at)
		return;
	room->measure_at = clock_monotonic_ms() + MEASURE_MS;
	struct alerts_counts counts = alerts_counts(room->alerts);

	add_to(room, "modelwatch_alerts_findings_total", "Findings taken in.",
		counts.findings - room->counted.findings);
	add_to(room, "modelwatch_alerts_rejected_total",
		"Records of inputs that are of no kind that we know.",
		counts.rejected - room->counted.rejected);
	set_to(room, "modelwatch_alerts_firing", "Incidents that are firing.", counts.firing);
	set_to(room, "modelwatch_alerts_pending", "Notifications not yet delivered.",
		counts.pending);
	room->counted = counts;
	describe_receivers(room, receivers, sizeof receivers);
	service_status(&room->service, true, "%zu firing, %zu pending, %s", counts.firing,
		counts.pending, receivers);
}

static enum rc run(struct room *room, struct err *err)
{
	TRY(open_ports(&room->service.config, &room->fold, &room->ports, err));
	while (service_turn(&room->service)) {
		if (room->service.reload_wanted)
			reload(room);
		enum rc rc = turn(room, err);

		if (rc == RC_FATAL)
			return rc;
		if (rc == RC_OK) {
			backoff_reset(&room->backoff);
			measure(room);
			continue;
		}
		room->measure_at = 0;
		service_status(&room->service, false, "waiting for %s", err->text);
		journal(JOURNAL_WARNING, "unwell", "reason", err->text, "action", "retry", NULL);
		if (!room->alerts || !calls_running(room->ports.calls))
			service_back_off(&room->service, &room->backoff);
	}
	return RC_OK;
}

int main(int argc, char **argv)
{
	struct room *room = memory_new(1, sizeof *room);
	struct err err = {0};
	int status = 0;

	room->fold = (struct fold){.service = FOLD_ALERTS, .log = FOLD_ALERTS};
	if (!service_open(&room->service, "alerts", SERVICE_ALERTS, false, argc, argv, &status)) {
		free(room);
		return status;
	}
	enum rc rc = run(room, &err);

	if (rc == RC_FATAL)
		journal(JOURNAL_ERROR, "fatal", "reason", err.text, "action", "exit", NULL);
	alerts_free(room->alerts);
	close_ports(&room->ports);
	if (room->reloaded)
		config_done(room->reloaded);
	free(room->reloaded);
	change_done(&room->change);
	service_close(&room->service);
	free(room);
	return rc == RC_FATAL ? 1 : 0;
}
