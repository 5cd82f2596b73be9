#include "alerts/fold.h"
#include "core/action.h"
#include "core/command.h"
#include "core/map.h"
#include "core/memory.h"
#include "core/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SEEN_FOR_MS =
		7 * ALERTS_DAY_S *
		1000, /* a finding comes again at most so late: topics are read from a cursor */
	SEEN_SWEEP = 4096,
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
	map_free_values(&alerts->incidents, free_incident);
	map_free_values(&alerts->timers, free);
	map_free_values(&alerts->told, free_told);
	map_free_values(&alerts->seen, free);
	for (size_t i = 0; i < alerts->pending_count; i++) {
		notification_done(alerts->pending[i]);
		free(alerts->pending[i]);
	}
	free(alerts->pending);
	cursors_done(&alerts->cursors);
	change_done(&alerts->change);
	free(alerts->external_url);
	free(alerts);
}

void alerts_heard(struct alerts *alerts, const struct notification *notification)
{
	if (notification->state != NOTIFICATION_PENDING)
		alerts_set_told(alerts, notification);
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
	alerts_put_state(alerts, "seen:", view_of(finding->id), bytes_view(&data));
	return false;
}

/* Ids older than the newest by more than a finding can come again are forgotten, now and then. They
 * are gathered first: each that is taken out moves entries of the map. */
static void forget_seen(struct alerts *alerts, int64_t newest)
{
	if (alerts->seen.count < SEEN_SWEEP || alerts->seen.count % SEEN_SWEEP)
		return;
	struct map_entry **sorted = map_sorted(&alerts->seen);
	size_t count = alerts->seen.count;
	char **old = memory_new(count, sizeof *old);
	size_t old_count = 0;

	for (size_t i = 0; i < count; i++) {
		const int64_t *ts = sorted[i]->value;

		if (newest - *ts > SEEN_FOR_MS)
			old[old_count++] = memory_copy(sorted[i]->key, sorted[i]->key_size);
	}
	free(sorted);
	for (size_t i = 0; i < old_count; i++) {
		alerts_drop_state(alerts, "seen:", view_of(old[i]));
		free(map_take(&alerts->seen, old[i], strlen(old[i])));
		free(old[i]);
	}
	free(old);
}

/* An incident that not every receiver knows to have ended, and whose identity fires anew: its end
 * is kept under a key of its own until it is told. */
static void keep_ended(struct alerts *alerts, struct incident *incident, struct view key)
{
	CLEANUP(bytes_done) struct bytes own = {0};

	bytes_add(&own, key.data, key.size);
	bytes_text(&own, incident->alert.id);
	struct incident *ended = incident_of(alerts, bytes_view(&own));

	alert_copy(&ended->alert, &incident->alert);
	ended->exists = ended->untold = ended->ended = ended->dirty = true;
	memcpy(ended->action, incident->action, sizeof ended->action);
	groups_replace(&alerts->groups, incident, ended);
	incident->untold = false;
}

/* Each turn of an incident's life is a record of its own, also when several fall into one step. */
static void tell(struct alerts *alerts, const struct alert *alert)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	alert_to_json(alert, &json);
	change_put_for(&alerts->change, TABLE_ALERTS, view_of(alert->id), bytes_view(&json),
		ALERTS_RECORDS_TTL_S);
	change_emit(&alerts->change, TOPIC_ALERTS, view_of(alert->id), bytes_view(&json), NULL);
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
	struct incident *incident = incident_of(alerts, bytes_view(&key));

	if (incident->untold && finding.verdict == VERDICT_ALARM)
		keep_ended(alerts, incident, bytes_view(&key));
	if (life_take(incident, &finding, alerts->config)) {
		tell(alerts, &incident->alert);
		groups_route(&alerts->groups, alerts->config, incident, now);
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
	snprintf(
		incident->action, sizeof incident->action, "%s", action_state_names[action->state]);
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
			groups_route(&alerts->groups, alerts->config, incident, now);
	}
	return RC_OK;
}

/* Commands to alerts (acknowledge, silence) are read so that the cursor stands right; they act
 * later. */
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

	if (!cursor_pass(cursor, message->offset, message->append_ms, message->key, message->value))
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

struct cursors *alerts_cursors(struct alerts *alerts)
{
	return &alerts->cursors;
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
