#include "remediate/step.h"

#include "core/command.h"
#include "core/map.h"
#include "core/memory.h"
#include "core/topics.h"
#include "remediate/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORDS_TTL_S = 400 * 86400,
	APPROVAL_MS = 15 * 60 * 1000,
	CALLS_MAX = 6,
	CALL_WAIT_MS = 1000,
	CALL_WAIT_MAX_MS = 30000,
	PROBE_WAIT_MS = 1000,
};

/* What the log says of an action id: its first INTENT, its last record. */
struct past {
	char token[33];
	struct action last;
};

struct remediate {
	const struct config *config;
	struct cursors cursors;
	struct map alerts;  /* alert id -> struct alert *: firing, or with a case that is open */
	struct map cases;   /* alert id -> struct remedy * */
	struct map past;    /* action id -> struct past * */
	struct map targets; /* name -> struct target_use * */
	uint64_t sequence;  /* of table actions */
	char last_hash[65]; /* of the newest record of the log, read or on its way there */
	uint64_t unread;    /* emitted and not yet read back */
	bool meta_dirty;
	struct change change;
	struct remediate_counts counts;
};

struct remediate *remediate_new(const struct config *config)
{
	struct remediate *remediate = memory_new(1, sizeof *remediate);

	remediate->config = config;
	return remediate;
}

static void free_alert(struct alert *alert)
{
	if (!alert)
		return;
	alert_done(alert);
	free(alert);
}

static void free_plain(struct map *map)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(map, &place)))
		free(entry->value);
	map_done(map);
}

void remediate_free(struct remediate *remediate)
{
	struct map_entry *entry;
	size_t place = 0;

	if (!remediate)
		return;
	while ((entry = map_next(&remediate->alerts, &place)))
		free_alert(entry->value);
	map_done(&remediate->alerts);
	free_plain(&remediate->cases);
	free_plain(&remediate->past);
	free_plain(&remediate->targets);
	cursors_done(&remediate->cursors);
	change_done(&remediate->change);
	free(remediate);
}

/* ---- state records */

static struct view view(const struct bytes *bytes)
{
	return (struct view){bytes->data, bytes->size};
}

static void put_state(
	struct remediate *remediate, const char *kind, const char *name, const struct bytes *data)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_format(&field, "%s%s", kind, name);
	change_put(&remediate->change, TABLE_STATE, view(&field), view(data));
}

static void drop_state(struct remediate *remediate, const char *kind, const char *name)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_format(&field, "%s%s", kind, name);
	change_drop(&remediate->change, TABLE_STATE, view(&field));
}

static struct past *past_of(struct remediate *remediate, const char *action_id)
{
	return map_get(&remediate->past, action_id, strlen(action_id));
}

static struct past *make_past(struct remediate *remediate, const char *action_id)
{
	struct past *past = past_of(remediate, action_id);

	if (!past) {
		past = memory_new(1, sizeof *past);
		map_put(&remediate->past, action_id, strlen(action_id), past);
	}
	return past;
}

static struct target_use *use_of(struct remediate *remediate, const char *target)
{
	struct target_use *use = map_get(&remediate->targets, target, strlen(target));

	if (!use) {
		use = memory_new(1, sizeof *use);
		snprintf(use->name, sizeof use->name, "%s", target);
		map_put(&remediate->targets, target, strlen(target), use);
	}
	return use;
}

static void keep_alert(struct remediate *remediate, struct alert *alert)
{
	size_t size = strlen(alert->id);
	struct alert *kept = memory_new(1, sizeof *kept);

	*kept = *alert;
	*alert = (struct alert){0};
	free_alert(map_get(&remediate->alerts, kept->id, size));
	map_put(&remediate->alerts, kept->id, size, kept);
}

static enum rc restore_alert(
	struct remediate *remediate, const char *name, struct view data, struct err *err)
{
	struct alert alert = {0};

	(void)name;
	TRY(alert_from_json(data, &alert, err));
	keep_alert(remediate, &alert);
	return RC_OK;
}

static enum rc restore_case(
	struct remediate *remediate, const char *name, struct view data, struct err *err)
{
	struct remedy *remedy = memory_new(1, sizeof *remedy);

	map_put(&remediate->cases, name, strlen(name), remedy);
	return remedy_from_record(data, remedy, err);
}

static enum rc restore_past(
	struct remediate *remediate, const char *name, struct view data, struct err *err)
{
	struct past *past = make_past(remediate, name);
	struct reader reader = reader_of(data.data, data.size);

	view_copy(reader_sized(&reader), past->token, sizeof past->token);
	return action_from_json(reader_sized(&reader), &past->last, err);
}

static enum rc restore_target(
	struct remediate *remediate, const char *name, struct view data, struct err *err)
{
	struct target_use *use = use_of(remediate, name);
	struct reader reader = reader_of(data.data, data.size);

	use->count = (size_t)reader_varint(&reader);
	if (use->count > USES_MAX)
		return err_set(err, RC_FATAL, "state of target %s is damaged", name);
	for (size_t i = 0; i < use->count; i++)
		use->at[i] = reader_zigzag(&reader);
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state of target %s is damaged", name);
}

static enum rc restore_meta(
	struct remediate *remediate, const char *name, struct view data, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);

	(void)name;
	remediate->sequence = reader_varint(&reader);
	remediate->unread = reader_varint(&reader);
	view_copy(reader_sized(&reader), remediate->last_hash, sizeof remediate->last_hash);
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state record meta is damaged");
}

static const struct {
	const char *kind;
	enum rc (*restore)(struct remediate *remediate, const char *name, struct view data,
		struct err *err);
} kinds[] = {
	{"alert:", restore_alert},
	{"case:", restore_case},
	{"past:", restore_past},
	{"target:", restore_target},
	{"meta:", restore_meta},
};

enum rc remediate_restore(void *context, struct view field, struct view data, struct err *err)
{
	struct remediate *remediate = context;
	enum rc rc = cursors_restore(&remediate->cursors, field, data, err);
	char name[512];

	if (rc != RC_NONE)
		return rc;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t size = strlen(kinds[i].kind);

		if (field.size < size || memcmp(field.data, kinds[i].kind, size) != 0)
			continue;
		view_copy((struct view){field.data + size, field.size - size}, name, sizeof name);
		return kinds[i].restore(remediate, name, data, err);
	}
	return err_set(err, RC_FATAL, "state record %.*s is of no kind that we know",
		(int)field.size, field.data);
}

static const struct config_policy *policy_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->policy_count; i++)
		if (strcmp(config->policies[i].name, name) == 0)
			return &config->policies[i];
	return NULL;
}

void remediate_restored(struct remediate *remediate)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->cases, &place))) {
		struct remedy *remedy = entry->value;

		remedy->policy = policy_named(remediate->config, remedy->policy_name);
	}
}

/* ---- telling */

static void set_past(struct remediate *remediate, const struct action *action)
{
	struct past *past = make_past(remediate, action->id);
	CLEANUP(bytes_done) struct bytes data = {0};
	CLEANUP(bytes_done) struct bytes json = {0};

	if (action->state == ACTION_INTENT && !past->token[0])
		memcpy(past->token, action->token, sizeof past->token);
	past->last = *action;
	action_to_json(action, &json);
	bytes_sized(&data, past->token, strlen(past->token));
	bytes_sized(&data, json.data, json.size);
	put_state(remediate, "past:", action->id, &data);
}

static void tell(struct remediate *remediate, struct remedy *remedy, enum action_state state,
	const char *result, int64_t now)
{
	struct action *action = &remedy->action;
	CLEANUP(bytes_done) struct bytes json = {0};
	char number[24];

	action->state = state;
	action->at = now;
	snprintf(action->result, sizeof action->result, "%s", result);
	memcpy(action->previous, remediate->last_hash, sizeof action->previous);
	action_to_json(action, &json);
	digest_sha256_hex(view(&json), remediate->last_hash);
	snprintf(number, sizeof number, "%016llu", (unsigned long long)++remediate->sequence);
	change_emit(&remediate->change, TOPIC_ACTIONS, view_of(action->target), view(&json), NULL);
	change_put_for(&remediate->change, TABLE_ACTIONS, view_of(number), view(&json),
		RECORDS_TTL_S);
	remediate->unread++;
	remediate->meta_dirty = true;
	remediate->counts.actions[state]++;
	remedy->dirty = true;
}

static void enter(struct remedy *remedy, enum case_state state, int64_t now)
{
	remedy->state = state;
	remedy->since = now;
	remedy->next_try_at = now;
	remedy->tries = 0;
	remedy->good_since = 0;
	remedy->dirty = true;
}

static void end(struct remediate *remediate, struct remedy *remedy, enum action_state state,
	const char *result, int64_t now)
{
	tell(remediate, remedy, state, result, now);
	enter(remedy, CASE_ENDED, now);
}

/* ---- inputs */

static enum rc take_alert(
	struct remediate *remediate, const struct log_message *message, int64_t now, struct err *err)
{
	struct alert alert = {0};
	char id[ID_SIZE];

	(void)now;
	TRY(alert_from_json(message->value, &alert, err));
	memcpy(id, alert.id, sizeof id);
	bool wanted = alert.state == ALERT_FIRING ||
		      map_get(&remediate->alerts, alert.id, strlen(alert.id));

	if (wanted) {
		CLEANUP(bytes_done) struct bytes json = {0};

		keep_alert(remediate, &alert);
		bytes_add(&json, message->value.data, message->value.size);
		put_state(remediate, "alert:", id, &json);
	}
	alert_done(&alert);
	return RC_OK;
}

static struct remedy *case_of_action(struct remediate *remediate, const char *action_id)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->cases, &place))) {
		struct remedy *remedy = entry->value;

		if (strcmp(remedy->action.id, action_id) == 0)
			return remedy;
	}
	return NULL;
}

static bool honours_key(const struct remediate *remediate, const struct remedy *remedy)
{
	const struct config_target *target =
		target_named(remediate->config, remedy->action.target);

	return target && target->idempotent;
}

/* Somebody wrote the first INTENT of this id, in an earlier life or another process, and may have called. */
static void take_over(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	if (!honours_key(remediate, remedy)) {
		tell(remediate, remedy, ACTION_UNKNOWN,
			"another worker wrote the first INTENT and the target has no idempotency key",
			now);
		end(remediate, remedy, ACTION_ESCALATED, "", now);
		return;
	}
	enter(remedy, CASE_CALLING, now);
	remedy->maybe_called = true;
}

static enum rc take_action(
	struct remediate *remediate, const struct log_message *message, int64_t now, struct err *err)
{
	struct action action = {0};

	TRY(action_from_json(message->value, &action, err));
	if (remediate->unread)
		remediate->unread--;
	else
		digest_sha256_hex(message->value, remediate->last_hash);
	remediate->meta_dirty = true;

	struct remedy *remedy = case_of_action(remediate, action.id);
	bool ours = remedy && strcmp(remedy->action.token, action.token) == 0;

	if (action.state == ACTION_INTENT && !ours && !past_of(remediate, action.id))
		target_used(use_of(remediate, action.target), action.at);
	set_past(remediate, &action);
	if (!remedy || remedy->state != CASE_INTENDED || action.state != ACTION_INTENT)
		return RC_OK;
	if (strcmp(past_of(remediate, action.id)->token, remedy->action.token) == 0)
		enter(remedy, CASE_CALLING, now);
	else
		take_over(remediate, remedy, now);
	return RC_OK;
}

static void decided_by_person(
	struct remediate *remediate, struct remedy *remedy, const struct command *command, int64_t now)
{
	snprintf(remedy->action.by, sizeof remedy->action.by, "%s", command->actor);
	snprintf(remedy->action.authenticated_as, sizeof remedy->action.authenticated_as, "%s",
		command->actor);
	if (command->command == COMMAND_REJECT) {
		end(remediate, remedy, ACTION_REJECTED, command->comment, now);
		return;
	}
	tell(remediate, remedy, ACTION_APPROVED, command->comment, now);
	enter(remedy, CASE_OPEN, now);
}

static enum rc take_command(
	struct remediate *remediate, const struct log_message *message, int64_t now, struct err *err)
{
	struct command command;

	TRY(command_from_json(message->value, &command, err));
	struct remedy *remedy = case_of_action(remediate, command.subject);
	bool decision = command.command == COMMAND_APPROVE || command.command == COMMAND_REJECT;

	if (decision && remedy && remedy->state == CASE_PROPOSED)
		decided_by_person(remediate, remedy, &command, now);
	return RC_OK;
}

static const struct {
	const char *topic;
	enum rc (*take)(struct remediate *remediate, const struct log_message *message, int64_t now,
		struct err *err);
} inputs[] = {
	{TOPIC_ALERTS, take_alert},
	{TOPIC_ACTIONS, take_action},
	{TOPIC_COMMANDS, take_command},
};

enum rc remediate_take(
	struct remediate *remediate, const struct log_message *message, int64_t now, struct err *err)
{
	const char *prefix = remediate->config->kafka.prefix;
	size_t size = strlen(prefix);
	struct cursor *cursor =
		cursors_of(&remediate->cursors, message->topic, message->partition);

	if (!cursor_pass(cursor, message->offset, message->key, message->value))
		return RC_NONE;
	for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
		if (strncmp(message->topic, prefix, size) != 0 ||
			strcmp(message->topic + size + 1, inputs[i].topic) != 0)
			continue;
		enum rc rc = inputs[i].take(remediate, message, now, err);

		remediate->counts.rejected += rc == RC_REJECT;
		return rc;
	}
	return err_set(err, RC_REJECT, "topic %s is none of ours", message->topic);
}

int64_t remediate_position(struct remediate *remediate, const char *topic, int32_t partition)
{
	return cursors_of(&remediate->cursors, topic, partition)->next;
}

/* ---- deciding */

static const struct alert *alert_of(const struct remediate *remediate, const struct remedy *remedy)
{
	return map_get(&remediate->alerts, remedy->alert_id, strlen(remedy->alert_id));
}

static bool is_firing(const struct alert *alert)
{
	return alert && alert->state == ALERT_FIRING;
}

static bool target_is_busy(const struct remediate *remediate, const struct remedy *except)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->cases, &place))) {
		const struct remedy *remedy = entry->value;
		bool acts = remedy->state == CASE_INTENDED || remedy->state == CASE_CALLING ||
			    remedy->state == CASE_VERIFYING;

		if (remedy != except && acts &&
			strcmp(remedy->action.target, except->action.target) == 0)
			return true;
	}
	return false;
}

static void stand_on_rung(struct remedy *remedy, int rung)
{
	struct action *action = &remedy->action;

	action->rung = rung;
	snprintf(action->operation, sizeof action->operation, "%s", remedy_operation(remedy));
	action->token[0] = '\0';
	action_identify(action);
	remedy->converged = false;
	remedy->maybe_called = false;
}

static void next_rung(struct remedy *remedy, int64_t now)
{
	stand_on_rung(remedy, remedy->action.rung + 1);
	enter(remedy, CASE_OPEN, now);
}

static void intend(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	/* Two cases may intend in one step: the id makes their tokens differ. */
	char id[ID_SIZE];
	char hex[33];

	for (size_t i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", chance[i]);
	digest_id(id, 't', (const char *const[]){remedy->action.id, hex, NULL});
	memcpy(remedy->action.token, id + 2, sizeof remedy->action.token);
	target_used(use_of(remediate, remedy->action.target), now);
	tell(remediate, remedy, ACTION_INTENT, "", now);
	enter(remedy, CASE_INTENDED, now);
}

static bool needs_person(const struct remedy *remedy, const struct alert *alert)
{
	bool quality = strcmp(alert->alertname, "ScoreDrift") == 0 ||
		       strcmp(alert->alertname, "FeatureDrift") == 0 ||
		       strcmp(alert->alertname, "PredictionQuality") == 0;

	return remedy->policy->mode != MODE_AUTO || (quality && !remedy->policy->allow_quality);
}

/* Ladders go on without waiting for the cooldown: it guards against the next incident. */
static void act_if_allowed(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	struct target_use *use = use_of(remediate, remedy->action.target);
	char why[256];

	if (target_is_busy(remediate, remedy))
		return;
	if (remedy->action.state == ACTION_APPROVED || remedy->action.rung > 1 ||
		policy_allows(remedy->policy, use, now, why, sizeof why)) {
		intend(remediate, remedy, now, chance);
		return;
	}
	tell(remediate, remedy, ACTION_SKIPPED, why, now);
	end(remediate, remedy, ACTION_ESCALATED, why, now);
}

static void decide_open(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	const struct alert *alert = alert_of(remediate, remedy);

	if (!is_firing(alert) || !remedy->policy) {
		enter(remedy, CASE_ENDED, now);
		return;
	}
	bool approved = remedy->action.state == ACTION_APPROVED;

	if (strcmp(remedy->action.operation, "page") == 0)
		end(remediate, remedy, ACTION_ESCALATED, "the ladder ends with a person", now);
	else if (remedy->policy->mode == MODE_OBSERVE)
		end(remediate, remedy, ACTION_OBSERVED, "the policy only observes", now);
	else if (needs_person(remedy, alert) && !approved) {
		tell(remediate, remedy, ACTION_PROPOSED, "", now);
		enter(remedy, CASE_PROPOSED, now);
	} else if (approved || alert->actionable)
		act_if_allowed(remediate, remedy, now, chance);
}

static void decide_proposed(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	if (!is_firing(alert_of(remediate, remedy)))
		end(remediate, remedy, ACTION_EXPIRED, "the alert ended before anybody decided", now);
	else if (remedy->policy && remedy->policy->mode == MODE_APPROVE &&
		 now - remedy->since > APPROVAL_MS)
		end(remediate, remedy, ACTION_ESCALATED, "nobody approved within 15 minutes", now);
}

static void decide_calling(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	if (!remedy->maybe_called && !is_firing(alert_of(remediate, remedy)))
		end(remediate, remedy, ACTION_EXPIRED, "the alert ended before the call", now);
}

static bool same_identity(const struct alert *a, const struct alert *b)
{
	static const char *const names[] = {"alertname", "model", "role", "segment"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(labels_get(&a->labels, names[i]), labels_get(&b->labels, names[i])) != 0)
			return false;
	return true;
}

static bool fires_again(const struct remediate *remediate, const struct alert *alert)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->alerts, &place))) {
		const struct alert *other = entry->value;

		if (is_firing(other) && same_identity(alert, other))
			return true;
	}
	return false;
}

static void decide_verifying(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	const struct alert *alert = alert_of(remediate, remedy);
	bool good = remedy->converged && alert && alert->state == ALERT_RESOLVED &&
		    strcmp(alert->reason, "ok") == 0 && !fires_again(remediate, alert);

	if (!remedy->policy) {
		end(remediate, remedy, ACTION_ESCALATED, "its policy was configured away", now);
		return;
	}
	if (good != (remedy->good_since != 0)) {
		remedy->good_since = good ? now : 0;
		remedy->dirty = true;
	}
	if (good && now - remedy->good_since >= remedy->policy->verify_hold_ms) {
		end(remediate, remedy, ACTION_VERIFIED,
			"the target has converged and the signal is ok", now);
	} else if (now - remedy->since > remedy->policy->verify_timeout_ms) {
		tell(remediate, remedy, ACTION_FAILED,
			remedy->converged ? "the signal did not become ok in time"
					  : "the target did not converge in time",
			now);
		next_rung(remedy, now);
	}
}

static void decide(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	switch (remedy->state) {
	case CASE_OPEN:
		decide_open(remediate, remedy, now, chance);
		break;
	case CASE_PROPOSED:
		decide_proposed(remediate, remedy, now);
		break;
	case CASE_CALLING:
		decide_calling(remediate, remedy, now);
		break;
	case CASE_VERIFYING:
		decide_verifying(remediate, remedy, now);
		break;
	case CASE_INTENDED:
	case CASE_ENDED:
		break;
	}
}

/* What the log already tells of this id is gone on with, not done again. */
static void adopt_past(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	const struct past *past;

	while ((past = past_of(remediate, remedy->action.id))) {
		remedy->action = past->last;
		switch (past->last.state) {
		case ACTION_INTENT:
			take_over(remediate, remedy, now);
			return;
		case ACTION_DONE:
			enter(remedy, CASE_VERIFYING, now);
			return;
		case ACTION_PROPOSED:
			enter(remedy, CASE_PROPOSED, now);
			return;
		case ACTION_APPROVED:
			return;
		case ACTION_FAILED:
			next_rung(remedy, now);
			continue;
		default:
			enter(remedy, CASE_ENDED, now);
			return;
		}
	}
}

static void open_case(struct remediate *remediate, const struct alert *alert, int64_t now)
{
	const struct config_policy *policy = policy_for(remediate->config, alert);

	if (!policy || map_get(&remediate->cases, alert->id, strlen(alert->id)))
		return;
	struct remedy *remedy = memory_new(1, sizeof *remedy);
	struct action *action = &remedy->action;

	remedy->policy = policy;
	memcpy(remedy->alert_id, alert->id, sizeof remedy->alert_id);
	snprintf(remedy->policy_name, sizeof remedy->policy_name, "%s", policy->name);
	memcpy(action->alert, alert->id, sizeof action->alert);
	snprintf(action->policy, sizeof action->policy, "%s", policy->name);
	snprintf(action->target, sizeof action->target, "%s", policy->target);
	snprintf(action->model, sizeof action->model, "%s", labels_get(&alert->labels, "model"));
	snprintf(action->version, sizeof action->version, "%s",
		labels_get(&alert->labels, "version"));
	snprintf(action->by, sizeof action->by, "policy");
	snprintf(action->reason, sizeof action->reason, "%s",
		labels_get(&alert->annotations, "summary"));
	stand_on_rung(remedy, 1);
	enter(remedy, CASE_OPEN, now);
	map_put(&remediate->cases, alert->id, strlen(alert->id), remedy);
	adopt_past(remediate, remedy, now);
}

static void forget(struct remediate *remediate, const char *id)
{
	free_alert(map_take(&remediate->alerts, id, strlen(id)));
	free(map_take(&remediate->cases, id, strlen(id)));
	drop_state(remediate, "alert:", id);
	drop_state(remediate, "case:", id);
}

/* An alert that has resolved is kept as long as its case needs it. */
static void forget_settled(struct remediate *remediate)
{
	struct map_entry **sorted = map_sorted(&remediate->alerts);
	char(*settled)[ID_SIZE] = memory_new(remediate->alerts.count, sizeof *settled);
	size_t count = 0;

	for (size_t i = 0; i < remediate->alerts.count; i++) {
		const struct alert *alert = sorted[i]->value;
		const struct remedy *remedy =
			map_get(&remediate->cases, alert->id, strlen(alert->id));

		if (alert->state == ALERT_RESOLVED && (!remedy || remedy->state == CASE_ENDED))
			memcpy(settled[count++], alert->id, ID_SIZE);
	}
	for (size_t i = 0; i < count; i++)
		forget(remediate, settled[i]);
	free(settled);
	free(sorted);
}

void remediate_time(struct remediate *remediate, int64_t now, const unsigned char chance[16])
{
	struct map_entry **alerts = map_sorted(&remediate->alerts);
	size_t count = remediate->alerts.count;

	for (size_t i = 0; i < count; i++)
		if (is_firing(alerts[i]->value))
			open_case(remediate, alerts[i]->value, now);
	free(alerts);

	struct map_entry **cases = map_sorted(&remediate->cases);

	count = remediate->cases.count;
	for (size_t i = 0; i < count; i++)
		decide(remediate, cases[i]->value, now, chance);
	free(cases);
	forget_settled(remediate);
}

/* ---- acting */

size_t remediate_tasks(struct remediate *remediate, int64_t now, struct task *tasks, size_t max)
{
	struct map_entry **cases = map_sorted(&remediate->cases);
	size_t count = 0;

	for (size_t i = 0; i < remediate->cases.count && count < max; i++) {
		struct remedy *remedy = cases[i]->value;
		const struct config_target *target =
			target_named(remediate->config, remedy->action.target);
		bool call = remedy->state == CASE_CALLING;
		bool probe = remedy->state == CASE_VERIFYING && !remedy->converged;

		if ((!call && !probe) || remedy->next_try_at > now || !target)
			continue;
		tasks[count++] = (struct task){.kind = call ? TASK_CALL : TASK_PROBE,
			.remedy = remedy,
			.target = target};
	}
	free(cases);
	return count;
}

void remediate_calling(struct remediate *remediate, const char *action_id, int64_t now)
{
	struct remedy *remedy = case_of_action(remediate, action_id);

	if (!remedy || remedy->state != CASE_CALLING)
		return;
	if (remedy->maybe_called && !honours_key(remediate, remedy)) {
		tell(remediate, remedy, ACTION_UNKNOWN,
			"a call was started before a restart and the target has no idempotency key",
			now);
		end(remediate, remedy, ACTION_ESCALATED, "", now);
		return;
	}
	remedy->maybe_called = true;
	remedy->tries++;
	remedy->dirty = true;
}

static void call_again(struct remedy *remedy, int64_t retry_after_ms, int64_t now)
{
	int64_t wait = CALL_WAIT_MS;

	for (int64_t i = 1; i < remedy->tries && wait < CALL_WAIT_MAX_MS; i++)
		wait *= 2;
	if (retry_after_ms > wait)
		wait = retry_after_ms;
	remedy->next_try_at = now + wait;
	remedy->dirty = true;
}

static void give_up_call(struct remediate *remediate, struct remedy *remedy,
	enum action_state state, const char *sentence, int64_t now)
{
	tell(remediate, remedy, state, sentence, now);
	if (state == ACTION_UNKNOWN)
		end(remediate, remedy, ACTION_ESCALATED, sentence, now);
	else
		next_rung(remedy, now);
}

void remediate_called(struct remediate *remediate, const char *action_id, enum call_result result,
	int64_t retry_after_ms, const char *sentence, int64_t now)
{
	struct remedy *remedy = case_of_action(remediate, action_id);

	if (!remedy || remedy->state != CASE_CALLING)
		return;
	bool may_repeat = remedy->tries < CALLS_MAX &&
			  (result == CALL_NOT_SENT || honours_key(remediate, remedy));

	if (result == CALL_NOT_SENT)
		remedy->maybe_called = false;
	if (result == CALL_ACCEPTED) {
		const struct config_target *target =
			target_named(remediate->config, remedy->action.target);

		tell(remediate, remedy, ACTION_DONE, sentence, now);
		enter(remedy, CASE_VERIFYING, now);
		remedy->converged = !target || !target->status.url[0];
	} else if (result == CALL_REFUSED) {
		give_up_call(remediate, remedy, ACTION_REFUSED, sentence, now);
	} else if (may_repeat) {
		call_again(remedy, retry_after_ms, now);
	} else {
		give_up_call(remediate, remedy,
			result == CALL_NOT_SENT ? ACTION_REFUSED : ACTION_UNKNOWN, sentence, now);
	}
}

void remediate_probed(struct remediate *remediate, const char *action_id, bool converged,
	const char *sentence, int64_t now)
{
	struct remedy *remedy = case_of_action(remediate, action_id);

	(void)sentence;
	if (!remedy || remedy->state != CASE_VERIFYING)
		return;
	remedy->next_try_at = now + PROBE_WAIT_MS;
	if (converged != remedy->converged) {
		remedy->converged = converged;
		remedy->dirty = true;
	}
}

/* ---- what is stored */

static void change_cases(struct remediate *remediate)
{
	struct map_entry **sorted = map_sorted(&remediate->cases);

	for (size_t i = 0; i < remediate->cases.count; i++) {
		struct remedy *remedy = sorted[i]->value;
		CLEANUP(bytes_done) struct bytes record = {0};

		if (!remedy->dirty)
			continue;
		remedy_to_record(remedy, &record);
		put_state(remediate, "case:", remedy->alert_id, &record);
		remedy->dirty = false;
	}
	free(sorted);
}

static void change_targets(struct remediate *remediate)
{
	struct map_entry **sorted = map_sorted(&remediate->targets);

	for (size_t i = 0; i < remediate->targets.count; i++) {
		struct target_use *use = sorted[i]->value;
		CLEANUP(bytes_done) struct bytes record = {0};

		if (!use->dirty)
			continue;
		bytes_varint(&record, use->count);
		for (size_t k = 0; k < use->count; k++)
			bytes_zigzag(&record, use->at[k]);
		put_state(remediate, "target:", use->name, &record);
		use->dirty = false;
	}
	free(sorted);
}

static void change_meta(struct remediate *remediate)
{
	CLEANUP(bytes_done) struct bytes record = {0};

	if (!remediate->meta_dirty)
		return;
	bytes_varint(&record, remediate->sequence);
	bytes_varint(&record, remediate->unread);
	bytes_sized(&record, remediate->last_hash, strlen(remediate->last_hash));
	put_state(remediate, "meta:", "", &record);
	remediate->meta_dirty = false;
}

void remediate_change(struct remediate *remediate, struct change *change)
{
	cursors_change(&remediate->cursors, &remediate->change);
	change_cases(remediate);
	change_targets(remediate);
	change_meta(remediate);

	struct change swap = *change;

	*change = remediate->change;
	remediate->change = swap;
	change_clear(&remediate->change);
}

struct remediate_counts remediate_counts(const struct remediate *remediate)
{
	struct remediate_counts counts = remediate->counts;
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->cases, &place))) {
		const struct remedy *remedy = entry->value;

		counts.cases_open += remedy->state != CASE_ENDED;
	}
	return counts;
}
