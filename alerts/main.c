/* modelwatch-alerts: makes incidents of findings and tells people, until they have heard.
 * reads:  PREFIX.findings, PREFIX.actions, PREFIX.commands; PREFIX.notifications after a loss of Redis
 * writes: PREFIX.alerts, PREFIX.notifications, calls of receivers */
#include "alerts/delivery.h"
#include "alerts/payload_json.h"
#include "alerts/step.h"
#include "alerts/told.h"
#include "core/map.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"
#include "ports/http_out.h"
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
	CALLS_AT_ONCE = 8, /* of one integration */
	TOPICS_WAIT_MS = 1000,
	TOPICS_EVERY_MS = 60000,
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
	char names[INPUTS][256];
	char notifications[256], alerts[256];
	int32_t partitions[INPUTS]; /* assigned to the reader; 0 = not yet */
};

struct flight { /* a call on its way */
	uint64_t tag;
	const struct config_integration *to;
	char id[ID_SIZE]; /* of the notification; "" = a refresh */
	char receiver[NAME_SIZE];
};

struct room {
	struct service service;
	struct config *reloaded; /* what replaced service.config; NULL = nothing yet */
	struct ports ports;
	struct fold fold;
	struct head head;
	struct alerts *alerts; /* NULL: to be loaded */
	struct change change;
	struct flight *flights;
	size_t flight_count;
	uint64_t last_tag;
	bool dirty;              /* the step has something to store */
	int64_t deliver_at;      /* wall: when a pending notification may be due; 0 = look */
	int64_t refresh_at;      /* monotonic, like all below */
	int64_t topics_at;       /* when partitions are counted again */
	bool caught_up;          /* since the last load the inputs were read to their ends once */
	int64_t catch_up_until;  /* or nothing has come for so long */
	int64_t measure_at;
	struct alerts_counts counted; /* what the counters of /metrics have already */
	struct backoff backoff;
};

/* ---- ports */

static enum rc open_ports(const struct config *config, const struct fold *fold, struct ports *ports, struct err *err)
{
	const char *const outputs[] = {ports->alerts, ports->notifications};

	*ports = (struct ports){.config = config};
	for (int i = 0; i < INPUTS; i++)
		snprintf(ports->names[i], sizeof ports->names[i], "%s.%s", config->kafka.prefix, inputs[i]);
	snprintf(ports->notifications, sizeof ports->notifications, "%s.%s", config->kafka.prefix,
		TOPIC_NOTIFICATIONS);
	snprintf(ports->alerts, sizeof ports->alerts, "%s.%s", config->kafka.prefix, TOPIC_ALERTS);
	TRY(store_open(&config->redis, &ports->store, err));
	TRY(log_open(&config->kafka, "modelwatch-alerts", &ports->log, err));
	TRY(log_reader_open(ports->log, &ports->reader, err));
	TRY(log_writer_open(ports->log, outputs, 2, &ports->writer, err));
	ports->outbox = outbox_open(ports->store, fold, ports->writer, config->kafka.prefix);
	return http_out_open(config->http_allow, config->http_allow_count, &ports->http, err);
}

static void close_ports(struct ports *ports)
{
	http_out_close(ports->http);
	outbox_close(ports->outbox);
	log_writer_close(ports->writer);
	log_reader_close(ports->reader);
	log_close(ports->log);
	store_close(ports->store);
	*ports = (struct ports){0};
}

static enum rc count_partitions(struct ports *ports, const char *topic, int32_t *count, struct err *err)
{
	enum rc rc = log_partitions(ports->log, topic, TOPICS_WAIT_MS, count, err);

	if (rc == RC_NONE)
		return err_set(err, RC_RETRY, "topic %s: run modelwatch init", topic);
	return rc;
}

/* Assigns partitions that the reader does not have yet; topics may grow. */
static enum rc assign_inputs(struct room *room, struct err *err)
{
	struct ports *ports = &room->ports;

	for (int i = 0; i < INPUTS; i++) {
		int32_t count;

		TRY(count_partitions(ports, ports->names[i], &count, err));
		for (; ports->partitions[i] < count; ports->partitions[i]++) {
			int32_t partition = ports->partitions[i];
			int64_t next = alerts_position(room->alerts, ports->names[i], partition);

			TRY(log_assign(ports->reader, ports->names[i], partition,
				next < 0 ? OFFSET_BEGINNING : next, err));
		}
	}
	room->topics_at = clock_monotonic_ms() + TOPICS_EVERY_MS;
	return RC_OK;
}

/* ---- loading */

struct hearing { /* the newest notification of each receiver, integration and group */
	struct map newest;
};

static void hearing_done(struct hearing *hearing)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&hearing->newest, &place))) {
		notification_done(entry->value);
		free(entry->value);
	}
	map_done(&hearing->newest);
}

static void hear(struct hearing *hearing, const struct log_message *message)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	struct notification *read = memory_new(1, sizeof *read);
	struct err err;

	if (notification_from_json(message->value, read, &err) != RC_OK) {
		journal(JOURNAL_WARNING, "record_refused", "topic", message->topic, "reason", err.text,
			"action", "ignore", NULL);
		free(read);
		return;
	}
	told_key(read->receiver, read->integration, read->group_key, &key);
	struct notification *old = map_get(&hearing->newest, key.data, key.size);

	if (read->state == NOTIFICATION_PENDING || (old && old->created_at > read->created_at)) {
		old = read;
	} else {
		map_put(&hearing->newest, key.data, key.size, read);
	}
	if (old) {
		notification_done(old);
		free(old);
	}
}

static bool is_read(struct log_reader *reader, const char *topic, int32_t partitions)
{
	for (int32_t p = 0; p < partitions; p++)
		if (log_end_age_ms(reader, topic, p) < 0)
			return false;
	return true;
}

static enum rc hear_all(struct room *room, struct log_reader *reader, struct hearing *hearing, struct err *err)
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
			return err_set(err, RC_RETRY, "asked to stop while reading %s", topic);
		enum rc rc = log_take(reader, TAKE_WAIT_MS, TAKE_MAX, &messages, &count, &gap, err);

		if (rc == RC_NONE)
			continue;
		TRY(rc);
		for (size_t i = 0; i < count; i++)
			if (messages[i].value.data)
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

	if (rc == RC_OK) {
		struct map_entry **sorted = map_sorted(&hearing.newest);

		for (size_t i = 0; i < hearing.newest.count; i++)
			alerts_heard(room->alerts, sorted[i]->value);
		free(sorted);
	}
	log_reader_close(reader);
	return rc;
}

static void drop(struct room *room)
{
	alerts_free(room->alerts);
	room->alerts = NULL;
	room->counted = (struct alerts_counts){0};
	memset(room->ports.partitions, 0, sizeof room->ports.partitions);
}

static enum rc load_state(struct room *room, struct err *err)
{
	TRY(store_load(room->ports.store, &room->fold, &room->head, alerts_restore, room->alerts, err));
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
	room->deliver_at = 0;
	room->caught_up = false;
	room->catch_up_until = clock_monotonic_ms() + CATCH_UP_MS;
	return RC_OK;
}

/* ---- the fold */

/* Stores what the step changed. After a failure memory is dropped, since it may have happened or not; calls under way
 * go on, and their outcomes count if their notification is still there. */
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

static enum rc skip_gap(struct room *room, const struct log_gap *gap, struct err *err)
{
	journal(JOURNAL_ERROR, "gap", "topic", gap->topic, "reason", err->text, "action",
		"go on with the first record that is there", NULL);
	alerts_moved(room->alerts, gap->topic, gap->partition, gap->low);
	room->dirty = true;
	return log_assign(room->ports.reader, gap->topic, gap->partition, gap->low, err);
}

static enum rc take(struct room *room, struct err *err)
{
	int wait_ms = http_out_running(room->ports.http) ? 0 : TAKE_WAIT_MS;
	const struct log_message *messages;
	struct log_gap gap;
	size_t count;
	enum rc rc = log_take(room->ports.reader, wait_ms, TAKE_MAX, &messages, &count, &gap, err);

	if (rc == RC_NONE)
		return RC_OK;
	if (rc == RC_REJECT)
		return skip_gap(room, &gap, err);
	TRY(rc);
	for (size_t i = 0; i < count; i++)
		if (alerts_take(room->alerts, &messages[i], clock_wall_ms(), err) == RC_REJECT)
			journal(JOURNAL_WARNING, "record_refused", "topic", messages[i].topic, "reason",
				err->text, "action", "ignore", NULL);
	room->dirty = true;
	if (!room->caught_up)
		room->catch_up_until = clock_monotonic_ms() + CATCH_UP_MS;
	return RC_OK;
}

/* What lies in the log may have ended what a timer would tell: the log is read to its end first, unless Kafka is
 * away, which is no reason to be silent. */
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
	room->deliver_at = 0;
}

/* ---- calls */

static size_t flights_to(const struct room *room, const struct config_integration *to)
{
	size_t count = 0;

	for (size_t i = 0; i < room->flight_count; i++)
		count += room->flights[i].to == to;
	return count;
}

static bool is_refreshing(const struct room *room, const struct config_integration *to)
{
	for (size_t i = 0; i < room->flight_count; i++)
		if (room->flights[i].to == to && !room->flights[i].id[0])
			return true;
	return false;
}

static bool in_flight(const struct room *room, const char *id)
{
	for (size_t i = 0; i < room->flight_count; i++)
		if (strcmp(room->flights[i].id, id) == 0)
			return true;
	return false;
}

/* id and receiver are "" for a refresh. */
static void start_call(struct room *room, const struct config_integration *to, const char *id,
	const char *receiver, struct view body)
{
	struct flight flight = {.tag = ++room->last_tag, .to = to};
	struct delivery delivery;
	struct http_call call;

	snprintf(flight.id, sizeof flight.id, "%s", id);
	snprintf(flight.receiver, sizeof flight.receiver, "%s", receiver);
	room->flights = memory_grow(room->flights, room->flight_count + 1, sizeof *room->flights);
	room->flights[room->flight_count++] = flight;
	delivery_call(to, id, body, clock_wall_ms(), &delivery, &call);
	call.tag = flight.tag;
	http_out_start(room->ports.http, &call);
	delivery_done(&delivery);
}

static void count_try(struct room *room, const char *receiver, const struct attempt *attempt)
{
	const char *outcome = attempt->delivered ? "delivered" : attempt->final ? "refused" : "retried";
	const char *const labels[] = {"receiver", receiver, "outcome", outcome, NULL};

	metric_add(metrics_get(&room->service.metrics, METRIC_COUNTER, "modelwatch_alerts_notifications_total",
			   "Tries to deliver a notification.", labels), 1);
}

static void tried(struct room *room, const char *id, const char *receiver, const struct attempt *attempt)
{
	alerts_tried(room->alerts, id, attempt, clock_wall_ms());
	room->dirty = true;
	room->deliver_at = 0;
	count_try(room, receiver, attempt);
	if (attempt->delivered)
		journal(JOURNAL_DEBUG, "notification_delivered", "notification", id, "receiver", receiver, NULL);
	else if (attempt->final)
		journal(JOURNAL_ERROR, "notification_refused", "notification", id, "receiver", receiver, "reason",
			attempt->result, NULL);
	else
		journal(JOURNAL_WARNING, "notification_not_delivered", "notification", id, "receiver", receiver,
			"reason", attempt->result, "action", "retry", NULL);
}

static void start_pending(struct room *room, const struct notification *notification)
{
	const struct config_integration *to = alerts_integration(room->alerts, notification);

	start_call(room, to, notification->id, notification->receiver, view_of(notification->payload));
}

static bool may_start(const struct room *room, const struct notification *notification, int64_t now)
{
	const struct config_integration *to = alerts_integration(room->alerts, notification);

	/* A refresh that arrived after a resolution would undo it. */
	return notification->next_try_at <= now && !in_flight(room, notification->id) &&
	       flights_to(room, to) < CALLS_AT_ONCE && !is_refreshing(room, to);
}

/* Whose receiver was configured away is at its end. */
static void end_homeless(struct room *room)
{
	for (size_t i = alerts_pending_count(room->alerts); i-- > 0;) {
		const struct notification *notification = alerts_pending(room->alerts, i);
		struct attempt attempt = {.final = true, .retry_after_ms = -1};

		if (alerts_integration(room->alerts, notification))
			continue;
		snprintf(attempt.result, sizeof attempt.result, "receiver %.128s is not configured any more",
			notification->receiver);
		tried(room, notification->id, notification->receiver, &attempt);
	}
}

/* Of one receiver's integration and group only the oldest is tried, so that nobody hears of a resolution first. */
static void deliver(struct room *room)
{
	int64_t now = clock_wall_ms();
	struct map first = {0};

	if (now < room->deliver_at)
		return;
	room->deliver_at = INT64_MAX;
	for (size_t i = 0; i < alerts_pending_count(room->alerts); i++) {
		const struct notification *notification = alerts_pending(room->alerts, i);
		CLEANUP(bytes_done) struct bytes key = {0};

		told_key(notification->receiver, notification->integration, notification->group_key, &key);
		if (map_get(&first, key.data, key.size))
			continue;
		map_put(&first, key.data, key.size, room);
		if (may_start(room, notification, now))
			start_pending(room, notification);
		else if (notification->next_try_at > now && notification->next_try_at < room->deliver_at)
			room->deliver_at = notification->next_try_at;
	}
	map_done(&first);
}

/* All firing alerts of one Alertmanager, in one body. */
struct refresh {
	const struct config_integration *to;
	struct bytes body;
};
struct refreshes {
	struct refresh *list;
	size_t count;
};

static struct refresh *refresh_of(struct refreshes *refreshes, const struct config_integration *to)
{
	for (size_t i = 0; i < refreshes->count; i++)
		if (refreshes->list[i].to == to)
			return &refreshes->list[i];
	refreshes->list = memory_grow(refreshes->list, refreshes->count + 1, sizeof *refreshes->list);
	refreshes->list[refreshes->count] = (struct refresh){.to = to};
	return &refreshes->list[refreshes->count++];
}

/* Joins JSON arrays: [a] and [b] to [a,b. The last bracket comes when the call starts. */
static void add_refresh(void *context, const struct config_integration *to, struct view array)
{
	struct refresh *refresh = refresh_of(context, to);

	if (array.size <= 2)
		return;
	bytes_text(&refresh->body, refresh->body.size ? "," : "[");
	bytes_add(&refresh->body, array.data + 1, array.size - 2);
}

static void refresh_alertmanagers(struct room *room)
{
	struct refreshes refreshes = {0};

	if (clock_monotonic_ms() < room->refresh_at)
		return;
	room->refresh_at = clock_monotonic_ms() + ALERTMANAGER_REFRESH_MS;
	alerts_refresh_all(room->alerts, clock_wall_ms(), add_refresh, &refreshes);
	for (size_t i = 0; i < refreshes.count; i++) {
		struct refresh *refresh = &refreshes.list[i];

		bytes_text(&refresh->body, "]");
		if (refresh->body.size > 1 && !flights_to(room, refresh->to))
			start_call(room, refresh->to, "", "", (struct view){refresh->body.data, refresh->body.size});
		bytes_done(&refresh->body);
	}
	free(refreshes.list);
}

static struct flight land(struct room *room, uint64_t tag)
{
	size_t place = 0;

	while (room->flights[place].tag != tag)
		place++;
	struct flight flight = room->flights[place];

	room->flights[place] = room->flights[--room->flight_count];
	return flight;
}

static void take_outcomes(struct room *room)
{
	int wait_ms = http_out_running(room->ports.http) ? CALLS_WAIT_MS : 0;
	struct http_outcome outcome;

	while (http_out_take(room->ports.http, wait_ms, &outcome)) {
		struct flight flight = land(room, outcome.tag);
		uint32_t chance;

		clock_chance(&chance, sizeof chance);
		struct attempt attempt = delivery_judge(&outcome, chance);

		if (flight.id[0])
			tried(room, flight.id, flight.receiver, &attempt);
		else if (!attempt.delivered)
			journal(JOURNAL_WARNING, "refresh_failed", "url", flight.to->http.url, "reason",
				attempt.result, "action", "retry", NULL);
		room->deliver_at = 0;
		wait_ms = 0;
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

/* Whatever is told was stored before: calls start after advance(). */
static enum rc turn(struct room *room, struct err *err)
{
	if (!room->alerts)
		TRY(load(room, err));
	if (clock_monotonic_ms() >= room->topics_at)
		TRY(assign_inputs(room, err));
	TRY(take(room, err));
	take_outcomes(room);
	end_homeless(room);
	tell_due(room);
	TRY(advance(room, err));
	deliver(room);
	refresh_alertmanagers(room);
	relay(room);
	return outbox_turn(room->ports.outbox, &room->head, false, err);
}

/* The configuration takes effect as if the service had been started again; the old one goes on if it cannot. */
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
		journal(JOURNAL_ERROR, "reload_refused", "reason", err.text, "action", "the old one goes on", NULL);
		close_ports(&ports);
		config_done(fresh);
		free(fresh);
		return;
	}
	drop(room);
	close_ports(&room->ports);
	room->flight_count = 0;
	if (room->reloaded)
		config_done(room->reloaded);
	free(room->reloaded);
	room->reloaded = fresh;
	room->ports = ports;
	journal(JOURNAL_INFO, "reloaded", "config", fresh->digest, NULL);
}

static void add_to(struct room *room, const char *name, const char *help, uint64_t more)
{
	metric_add(metrics_get(&room->service.metrics, METRIC_COUNTER, name, help, NULL), (double)more);
}

static void set_to(struct room *room, const char *name, const char *help, size_t value)
{
	metric_set(metrics_get(&room->service.metrics, METRIC_GAUGE, name, help, NULL), (double)value);
}

/* The first receiver that did not take its last try, in words. */
static void describe_receivers(struct room *room, char *text, size_t size)
{
	snprintf(text, size, "receivers ok");
	for (size_t i = 0; i < alerts_pending_count(room->alerts); i++) {
		const struct notification *notification = alerts_pending(room->alerts, i);

		if (!notification->tries)
			continue;
		snprintf(text, size, "receiver %s: %s", notification->receiver, notification->result);
		return;
	}
}

static void measure(struct room *room)
{
	char receivers[300];

	if (clock_monotonic_ms() < room->measure_at)
		return;
	room->measure_at = clock_monotonic_ms() + MEASURE_MS;
	struct alerts_counts counts = alerts_counts(room->alerts);

	add_to(room, "modelwatch_alerts_findings_total", "Findings taken in.",
		counts.findings - room->counted.findings);
	add_to(room, "modelwatch_alerts_rejected_total", "Records of inputs that are none that we know.",
		counts.rejected - room->counted.rejected);
	add_to(room, "modelwatch_alerts_dead_total", "Notifications given up.",
		counts.notifications_dead - room->counted.notifications_dead);
	set_to(room, "modelwatch_alerts_firing", "Incidents that are firing.", counts.firing);
	set_to(room, "modelwatch_alerts_pending", "Notifications not yet delivered.", counts.pending);
	room->counted = counts;
	describe_receivers(room, receivers, sizeof receivers);
	service_status(&room->service, true, "%zu firing, %zu pending, %s", counts.firing, counts.pending,
		receivers);
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
	free(room->flights);
	change_done(&room->change);
	service_close(&room->service);
	free(room);
	return rc == RC_FATAL ? 1 : 0;
}
