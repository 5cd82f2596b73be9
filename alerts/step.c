#include "alerts/step.h"

#include "alerts/group.h"
#include "alerts/payload_json.h"
#include "alerts/told.h"
#include "core/action.h"
#include "core/command.h"
#include "core/map.h"
#include "core/memory.h"
#include "core/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DAY_S = 86400,
	RECORDS_TTL_S = 30 * DAY_S,
	SEEN_FOR_MS = 7 * DAY_S * 1000, /* findings come again at most so late: the topic is read from a cursor */
	GIVE_UP_AFTER_MS = 3 * DAY_S * 1000,
	RETRY_FIRST_MS = 2000,
	RETRY_MAX_MS = 3600 * 1000,
	SEEN_SWEEP = 4096,
};

struct pending {
	struct notification notification;
};

struct timer { /* of a group that was stored and does not exist yet */
	int64_t next_flush_at;
	bool flushed;
};

struct alerts {
	const struct config *config;
	char *external_url;
	struct cursors cursors;
	struct map incidents; /* identity -> struct incident * */
	struct groups groups;
	struct map timers;    /* group key -> struct timer *, while restoring */
	struct map told;      /* told_key -> struct told * */
	struct map seen;      /* finding id -> int64_t * (ts) */
	struct pending **pending; /* by created_at */
	size_t pending_count;
	struct change change; /* collects between alerts_change() calls */
	struct alerts_counts counts;
};

struct alerts *alerts_new(const struct config *config)
{
	struct alerts *alerts = memory_new(1, sizeof *alerts);
	struct bytes url = {0};

	bytes_format(&url, "http://%s:%d", config->console.host, config->console.port);
	alerts->config = config;
	alerts->external_url = url.data;
	return alerts;
}

static void free_values(struct map *map, void (*done)(void *))
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(map, &place)))
		done(entry->value);
	map_done(map);
}

static void free_incident(void *incident)
{
	incident_done(incident);
	free(incident);
}

static void free_told(void *told)
{
	told_free(told);
}

void alerts_free(struct alerts *alerts)
{
	if (!alerts)
		return;
	groups_done(&alerts->groups);
	free_values(&alerts->incidents, free_incident);
	free_values(&alerts->timers, free);
	free_values(&alerts->told, free_told);
	free_values(&alerts->seen, free);
	for (size_t i = 0; i < alerts->pending_count; i++) {
		notification_done(&alerts->pending[i]->notification);
		free(alerts->pending[i]);
	}
	free(alerts->pending);
	cursors_done(&alerts->cursors);
	change_done(&alerts->change);
	free(alerts->external_url);
	free(alerts);
}

/* ---- state records */

static void put_state(struct change *change, const char *kind, struct view name, struct view data)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_text(&field, kind);
	bytes_add(&field, name.data, name.size);
	change_put(change, TABLE_STATE, (struct view){field.data, field.size}, data);
}

static void drop_state(struct change *change, const char *kind, struct view name)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_text(&field, kind);
	bytes_add(&field, name.data, name.size);
	change_drop(change, TABLE_STATE, (struct view){field.data, field.size});
}

static struct view view(const struct bytes *bytes)
{
	return (struct view){bytes->data, bytes->size};
}

static void incident_to_record(const struct incident *incident, struct bytes *out)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	alert_to_json(&incident->alert, &json);
	bytes_sized(out, json.data, json.size);
	bytes_varint(out, incident->untold);
	bytes_sized(out, incident->action, strlen(incident->action));
	bytes_varint(out, incident->open_count);
	for (size_t i = 0; i < incident->open_count; i++) {
		bytes_clear(&json);
		finding_to_json(&incident->open[i].finding, &json);
		bytes_sized(out, json.data, json.size);
	}
}

static enum rc open_from_record(struct reader *reader, struct incident *incident, struct err *err)
{
	uint64_t count = reader_varint(reader);

	for (uint64_t i = 0; i < count && reader->ok; i++) {
		struct finding finding = {0};

		TRY(finding_from_json(reader_sized(reader), &finding, err));
		incident_add_open(incident, &finding);
	}
	return reader->ok ? RC_OK : err_set(err, RC_FATAL, "state of an incident is damaged");
}

static enum rc incident_from_record(struct view data, struct incident *incident, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);

	TRY(alert_from_json(reader_sized(&reader), &incident->alert, err));
	incident->exists = true;
	incident->untold = reader_varint(&reader) != 0;
	view_copy(reader_sized(&reader), incident->action, sizeof incident->action);
	return open_from_record(&reader, incident, err);
}

static void told_to_record(const struct told *told, struct bytes *out)
{
	bytes_zigzag(out, told->at);
	bytes_zigzag(out, told->repeat);
	bytes_varint(out, told->alert_count);
	for (size_t i = 0; i < told->alert_count; i++)
		bytes_sized(out, told->alerts[i], strlen(told->alerts[i]));
}

static enum rc told_from_record(struct view data, struct told *told, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);

	told->at = reader_zigzag(&reader);
	told->repeat = reader_zigzag(&reader);
	uint64_t count = reader_varint(&reader);

	for (uint64_t i = 0; i < count && reader.ok; i++) {
		struct view alert = reader_sized(&reader);

		told->alerts = memory_grow(
			told->alerts, told->alert_count + 1, sizeof *told->alerts);
		told->alerts[told->alert_count++] = memory_copy(alert.data, alert.size);
	}
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state of a receiver is damaged");
}

static enum rc restore_incident(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct incident *incident = memory_new(1, sizeof *incident);

	map_put(&alerts->incidents, name.data, name.size, incident);
	return incident_from_record(data, incident, err);
}

static enum rc restore_told(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct told *told = memory_new(1, sizeof *told);

	map_put(&alerts->told, name.data, name.size, told);
	return told_from_record(data, told, err);
}

static enum rc restore_group(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);
	struct timer *timer = memory_new(1, sizeof *timer);

	timer->next_flush_at = reader_zigzag(&reader);
	timer->flushed = reader_varint(&reader) != 0;
	map_put(&alerts->timers, name.data, name.size, timer);
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state of a group is damaged");
}

static enum rc restore_seen(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);
	int64_t *ts = memory_new(1, sizeof *ts);

	*ts = reader_zigzag(&reader);
	map_put(&alerts->seen, name.data, name.size, ts);
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state of a finding id is damaged");
}

static struct pending *add_pending(struct alerts *alerts)
{
	alerts->pending = memory_grow(
		alerts->pending, alerts->pending_count + 1, sizeof(struct pending *));
	return alerts->pending[alerts->pending_count++] = memory_new(1, sizeof(struct pending));
}

static enum rc restore_notification(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	(void)name;
	return notification_from_json(data, &add_pending(alerts)->notification, err);
}

static const struct {
	const char *kind;
	enum rc (*restore)(
		struct alerts *alerts, struct view name, struct view data, struct err *err);
} kinds[] = {
	{"group:", restore_group},
	{"incident:", restore_incident},
	{"notification:", restore_notification},
	{"seen:", restore_seen},
	{"told:", restore_told},
};

enum rc alerts_restore(void *context, struct view field, struct view data, struct err *err)
{
	struct alerts *alerts = context;
	enum rc rc = cursors_restore(&alerts->cursors, field, data, err);

	if (rc != RC_NONE)
		return rc;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t size = strlen(kinds[i].kind);

		if (field.size >= size && memcmp(field.data, kinds[i].kind, size) == 0)
			return kinds[i].restore(alerts,
				(struct view){field.data + size, field.size - size}, data, err);
	}
	return err_set(err, RC_FATAL, "state record %.*s is of no kind that we know",
		(int)field.size, field.data);
}

static int by_creation(const void *left, const void *right)
{
	const struct notification *a = &(*(struct pending *const *)left)->notification;
	const struct notification *b = &(*(struct pending *const *)right)->notification;

	if (a->created_at != b->created_at)
		return a->created_at < b->created_at ? -1 : 1;
	return strcmp(a->id, b->id);
}

static void route(struct alerts *alerts, struct incident *incident, int64_t now)
{
	groups_route(&alerts->groups, alerts->config, incident, now);
}

void alerts_restored(struct alerts *alerts, int64_t now)
{
	struct map_entry **sorted = map_sorted(&alerts->incidents);
	struct map_entry *entry;
	size_t place = 0;

	for (size_t i = 0; i < alerts->incidents.count; i++) {
		struct incident *incident = sorted[i]->value;

		if (incident->alert.state == ALERT_FIRING || incident->untold)
			route(alerts, incident, now);
	}
	free(sorted);
	while ((entry = map_next(&alerts->timers, &place))) {
		const struct timer *timer = entry->value;

		groups_restore(&alerts->groups, entry->key, timer->next_flush_at, timer->flushed);
	}
	free_values(&alerts->timers, free);
	if (alerts->pending_count)
		qsort(alerts->pending, alerts->pending_count, sizeof(struct pending *), by_creation);
}

/* ---- inputs */

static void set_told(struct alerts *alerts, const struct notification *notification)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes record = {0};
	struct told *told = told_after(notification);

	told_key(notification->receiver, notification->integration, notification->group_key, &key);
	told_free(map_get(&alerts->told, key.data, key.size));
	map_put(&alerts->told, key.data, key.size, told);
	told_to_record(told, &record);
	put_state(&alerts->change, "told:", view(&key), view(&record));
}

void alerts_heard(struct alerts *alerts, const struct notification *notification)
{
	if (notification->state != NOTIFICATION_PENDING)
		set_told(alerts, notification);
}

static struct incident *incident_of(struct alerts *alerts, struct view key)
{
	struct incident *incident = map_get(&alerts->incidents, key.data, key.size);

	if (!incident) {
		incident = memory_new(1, sizeof *incident);
		map_put(&alerts->incidents, key.data, key.size, incident);
	}
	return incident;
}

static bool seen_before(struct alerts *alerts, const struct finding *finding)
{
	CLEANUP(bytes_done) struct bytes data = {0};

	if (map_get(&alerts->seen, finding->id, strlen(finding->id)))
		return true;
	int64_t *ts = memory_new(1, sizeof *ts);

	*ts = finding->ts;
	map_put(&alerts->seen, finding->id, strlen(finding->id), ts);
	bytes_zigzag(&data, finding->ts);
	put_state(&alerts->change, "seen:", view_of(finding->id), view(&data));
	return false;
}

/* Ids older than the newest by more than a finding can come again are forgotten, now and then. */
static void forget_seen(struct alerts *alerts, int64_t newest)
{
	if (alerts->seen.count < SEEN_SWEEP || alerts->seen.count % SEEN_SWEEP)
		return;
	struct map_entry **sorted = map_sorted(&alerts->seen);
	size_t count = alerts->seen.count;

	for (size_t i = 0; i < count; i++) {
		int64_t *ts = sorted[i]->value;
		struct view id = {sorted[i]->key, sorted[i]->key_size};

		if (newest - *ts <= SEEN_FOR_MS)
			sorted[i] = NULL;
		else
			drop_state(&alerts->change, "seen:", id);
	}
	for (size_t i = 0; i < count; i++) {
		if (sorted[i]) {
			char *id = memory_copy(sorted[i]->key, sorted[i]->key_size);

			free(map_take(&alerts->seen, id, strlen(id)));
			free(id);
		}
	}
	free(sorted);
}

/* Each turn of an incident's life is a record of its own, also when several fall into one step. */
static void tell(struct alerts *alerts, const struct alert *alert)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	alert_to_json(alert, &json);
	change_put_for(
		&alerts->change, TABLE_ALERTS, view_of(alert->id), view(&json), RECORDS_TTL_S);
	change_emit(&alerts->change, TOPIC_ALERTS, view_of(alert->id), view(&json), NULL);
}

static enum rc take_finding(
	struct alerts *alerts, const struct log_message *message, int64_t now, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	struct finding finding = {0};

	TRY(finding_from_json(message->value, &finding, err));
	alerts->counts.findings++;
	if (seen_before(alerts, &finding))
		return RC_OK;
	forget_seen(alerts, finding.ts);
	life_identity(&finding, &key);
	struct incident *incident = incident_of(alerts, view(&key));

	if (life_take(incident, &finding, alerts->config)) {
		tell(alerts, &incident->alert);
		route(alerts, incident, now);
	}
	return RC_OK;
}

static bool is_notable(enum action_state state)
{
	return state == ACTION_PROPOSED || state == ACTION_VERIFIED || state == ACTION_FAILED ||
	       state == ACTION_ESCALATED || state == ACTION_UNKNOWN || state == ACTION_REFUSED;
}

static void annotate(struct incident *incident, const struct action *action)
{
	CLEANUP(bytes_done) struct bytes text = {0};

	bytes_format(&text, "%s of %s %s%s%s%s%s (%s)", action->operation, action->target,
		action_state_names[action->state], action->reason[0] ? ": " : "", action->reason,
		action->result[0] ? ": " : "", action->result, action->id);
	labels_set(&incident->alert.annotations, "action", text.data);
	snprintf(incident->action, sizeof incident->action, "%s", action_state_names[action->state]);
	incident->dirty = true;
}

/* What a remediation did, or asks for, belongs to the incident and is told like news of it. */
static enum rc take_action(
	struct alerts *alerts, const struct log_message *message, int64_t now, struct err *err)
{
	struct action action = {0};
	struct map_entry *entry;
	size_t place = 0;

	TRY(action_from_json(message->value, &action, err));
	while (is_notable(action.state) && (entry = map_next(&alerts->incidents, &place))) {
		struct incident *incident = entry->value;

		if (strcmp(incident->alert.id, action.alert) != 0)
			continue;
		annotate(incident, &action);
		tell(alerts, &incident->alert);
		if (incident->alert.state == ALERT_FIRING)
			route(alerts, incident, now);
	}
	return RC_OK;
}

/* Commands to alerts (acknowledge, silence) are read so that the cursor stands right; they act later. */
static enum rc take_command(
	struct alerts *alerts, const struct log_message *message, int64_t now, struct err *err)
{
	struct command command;

	(void)alerts;
	(void)now;
	return command_from_json(message->value, &command, err);
}

static const struct {
	const char *topic;
	enum rc (*take)(struct alerts *alerts, const struct log_message *message, int64_t now,
		struct err *err);
} inputs[] = {
	{TOPIC_FINDINGS, take_finding},
	{TOPIC_ACTIONS, take_action},
	{TOPIC_COMMANDS, take_command},
};

/* The part of a topic's name behind the configured prefix. */
static const char *short_name(const struct alerts *alerts, const char *topic)
{
	size_t size = strlen(alerts->config->kafka.prefix);

	if (strncmp(topic, alerts->config->kafka.prefix, size) == 0 && topic[size] == '.')
		return topic + size + 1;
	return "";
}

enum rc alerts_take(
	struct alerts *alerts, const struct log_message *message, int64_t now, struct err *err)
{
	const char *name = short_name(alerts, message->topic);
	struct cursor *cursor = cursors_of(&alerts->cursors, message->topic, message->partition);

	if (!cursor_pass(cursor, message->offset, message->key, message->value))
		return RC_NONE;
	for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
		if (strcmp(name, inputs[i].topic) != 0)
			continue;
		enum rc rc = inputs[i].take(alerts, message, now, err);

		alerts->counts.rejected += rc == RC_REJECT;
		return rc;
	}
	return err_set(err, RC_REJECT, "topic %s is none of ours", message->topic);
}

int64_t alerts_position(struct alerts *alerts, const char *topic, int32_t partition)
{
	return cursors_of(&alerts->cursors, topic, partition)->next;
}

/* ---- time */

static void store_pending(struct alerts *alerts, const struct notification *notification)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	notification_to_json(notification, &json);
	put_state(&alerts->change, "notification:", view_of(notification->id), view(&json));
	change_put_for(&alerts->change, TABLE_NOTIFICATIONS, view_of(notification->id), view(&json),
		RECORDS_TTL_S);
}

static bool is_pending(const struct alerts *alerts, const char *id)
{
	for (size_t i = 0; i < alerts->pending_count; i++)
		if (strcmp(alerts->pending[i]->notification.id, id) == 0)
			return true;
	return false;
}

static void notify_integration(
	struct alerts *alerts, const struct group *group, int integration, int64_t now)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	struct notification made;

	told_key(group->receiver->name, integration, group->key, &key);
	const struct told *last = map_get(&alerts->told, key.data, key.size);

	if (told_next(group, integration, last, now, &made) != RC_OK)
		return;
	set_told(alerts, &made);
	if (is_pending(alerts, made.id)) {
		notification_done(&made);
		return;
	}
	struct bytes payload = {0};

	payload_write(&group->receiver->integrations[integration], group, &made,
		alerts->external_url, &payload);
	made.payload = payload.data;
	add_pending(alerts)->notification = made;
	store_pending(alerts, &made);
}

static void store_group(struct alerts *alerts, const struct group *group)
{
	CLEANUP(bytes_done) struct bytes data = {0};

	bytes_zigzag(&data, group->next_flush_at);
	bytes_varint(&data, group->flushed);
	put_state(&alerts->change, "group:", view_of(group->key), view(&data));
}

static void release_told(struct alerts *alerts)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&alerts->incidents, &place))) {
		struct incident *incident = entry->value;

		if (incident->untold && !groups_hold(&alerts->groups, incident)) {
			incident->untold = false;
			incident->dirty = true;
		}
	}
}

bool alerts_time(struct alerts *alerts, int64_t now)
{
	size_t count;
	struct group **due = groups_due(&alerts->groups, now, &count);

	for (size_t i = 0; i < count; i++) {
		struct group *group = due[i];
		CLEANUP(bytes_done) struct bytes key = {0};

		for (size_t k = 0; group->receiver && k < group->receiver->integration_count; k++)
			notify_integration(alerts, group, (int)k, now);
		bytes_text(&key, group->key);
		if (!group_flushed(&alerts->groups, group, now))
			drop_state(&alerts->change, "group:", view(&key));
	}
	free(due);
	if (count)
		release_told(alerts);
	return count > 0;
}

int64_t alerts_next(const struct alerts *alerts)
{
	return groups_next(&alerts->groups);
}

/* ---- deliveries */

size_t alerts_pending_count(const struct alerts *alerts)
{
	return alerts->pending_count;
}

const struct notification *alerts_pending(const struct alerts *alerts, size_t place)
{
	return &alerts->pending[place]->notification;
}

const struct config_integration *alerts_integration(
	const struct alerts *alerts, const struct notification *notification)
{
	for (size_t i = 0; i < alerts->config->receiver_count; i++) {
		const struct config_receiver *receiver = &alerts->config->receivers[i];

		if (strcmp(receiver->name, notification->receiver) == 0 &&
			(size_t)notification->integration < receiver->integration_count)
			return &receiver->integrations[notification->integration];
	}
	return NULL;
}

static void end_pending(struct alerts *alerts, size_t place, enum notification_state state)
{
	struct pending *pending = alerts->pending[place];
	struct notification *notification = &pending->notification;
	CLEANUP(bytes_done) struct bytes json = {0};

	notification->state = state;
	free(notification->payload);
	notification->payload = NULL;
	notification_to_json(notification, &json);
	change_emit(&alerts->change, TOPIC_NOTIFICATIONS, view_of(notification->id), view(&json), NULL);
	change_put_for(&alerts->change, TABLE_NOTIFICATIONS, view_of(notification->id), view(&json),
		RECORDS_TTL_S);
	drop_state(&alerts->change, "notification:", view_of(notification->id));
	notification_done(notification);
	free(pending);
	alerts->pending_count--;
	memmove(&alerts->pending[place], &alerts->pending[place + 1],
		(alerts->pending_count - place) * sizeof(struct pending *));
}

/* 2 s doubling to an hour, each wait between half and the whole of it; what the receiver asks for goes first. */
static int64_t retry_wait(const struct notification *notification, const struct attempt *attempt)
{
	int64_t wait = RETRY_FIRST_MS;

	if (attempt->retry_after_ms >= 0)
		return attempt->retry_after_ms < RETRY_MAX_MS ? attempt->retry_after_ms
							      : RETRY_MAX_MS;
	for (int64_t i = 1; i < notification->tries && wait < RETRY_MAX_MS; i++)
		wait *= 2;
	if (wait > RETRY_MAX_MS)
		wait = RETRY_MAX_MS;
	return wait / 2 + (int64_t)(attempt->chance % (uint32_t)(wait / 2 + 1));
}

static void record_attempt(
	struct notification *notification, const struct attempt *attempt, int64_t now)
{
	notification->tries++;
	notification->done_at = now;
	free(notification->result);
	notification->result = memory_text(attempt->result);
	notification->next_try_at = now + retry_wait(notification, attempt);
}

void alerts_tried(struct alerts *alerts, const char *id, const struct attempt *attempt, int64_t now)
{
	for (size_t i = 0; i < alerts->pending_count; i++) {
		struct notification *notification = &alerts->pending[i]->notification;

		if (strcmp(notification->id, id) != 0)
			continue;
		record_attempt(notification, attempt, now);
		alerts->counts.tries++;
		bool dead = attempt->final || now - notification->created_at > GIVE_UP_AFTER_MS;

		alerts->counts.notifications_sent += attempt->delivered;
		alerts->counts.notifications_dead += !attempt->delivered && dead;
		if (attempt->delivered || dead)
			end_pending(alerts, i,
				attempt->delivered ? NOTIFICATION_SENT : NOTIFICATION_DEAD);
		else
			store_pending(alerts, notification);
		return;
	}
}

void alerts_refresh_all(struct alerts *alerts, int64_t now, alerts_refresh use, void *context)
{
	struct map_entry **sorted = map_sorted(&alerts->groups.by_key);

	for (size_t i = 0; i < alerts->groups.by_key.count; i++) {
		const struct group *group = sorted[i]->value;

		for (size_t k = 0; group->receiver && k < group->receiver->integration_count; k++) {
			const struct config_integration *to = &group->receiver->integrations[k];
			CLEANUP(bytes_done) struct bytes body = {0};

			if (to->kind != RECEIVER_ALERTMANAGER || !group->flushed)
				continue;
			payload_refresh(
				group, alerts->external_url, now + ALERTMANAGER_HOLD_MS, &body);
			use(context, to, view(&body));
		}
	}
	free(sorted);
}

/* ---- what is stored */

static void change_incidents(struct alerts *alerts)
{
	struct map_entry **sorted = map_sorted(&alerts->incidents);

	for (size_t i = 0; i < alerts->incidents.count; i++) {
		struct incident *incident = sorted[i]->value;
		CLEANUP(bytes_done) struct bytes record = {0};

		if (!incident->dirty)
			continue;
		incident_to_record(incident, &record);
		put_state(&alerts->change, "incident:",
			(struct view){sorted[i]->key, sorted[i]->key_size}, view(&record));
		incident->dirty = false;
	}
	free(sorted);
}

static void change_groups(struct alerts *alerts)
{
	struct map_entry **sorted = map_sorted(&alerts->groups.by_key);

	for (size_t i = 0; i < alerts->groups.by_key.count; i++) {
		struct group *group = sorted[i]->value;

		if (group->dirty)
			store_group(alerts, group);
		group->dirty = false;
	}
	free(sorted);
}

void alerts_change(struct alerts *alerts, struct change *change)
{
	cursors_change(&alerts->cursors, &alerts->change);
	change_incidents(alerts);
	change_groups(alerts);

	struct change swap = *change;

	*change = alerts->change;
	alerts->change = swap;
	change_clear(&alerts->change);
}

struct alerts_counts alerts_counts(const struct alerts *alerts)
{
	struct alerts_counts counts = alerts->counts;
	struct map_entry *entry;
	size_t place = 0;

	counts.pending = alerts->pending_count;
	while ((entry = map_next(&alerts->incidents, &place))) {
		const struct incident *incident = entry->value;

		counts.firing += incident->exists && incident->alert.state == ALERT_FIRING;
	}
	return counts;
}
