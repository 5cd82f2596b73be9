#include "remediate/fold.h"

#include "core/command.h"
#include "core/memory.h"
#include "core/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct remediate *remediate_new(const struct config *config)
{
	struct remediate *remediate = memory_new(1, sizeof *remediate);

	remediate->config = config;
	return remediate;
}

void remediate_free_alert(struct alert *alert)
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
		remediate_free_alert(entry->value);
	map_done(&remediate->alerts);
	free_plain(&remediate->cases);
	free_plain(&remediate->past);
	free_plain(&remediate->targets);
	cursors_done(&remediate->cursors);
	change_done(&remediate->change);
	free(remediate);
}

static enum rc take_alert(struct remediate *remediate, const struct log_message *message,
	int64_t now, struct err *err)
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

		remediate_keep_alert(remediate, &alert);
		bytes_add(&json, message->value.data, message->value.size);
		remediate_put_state(remediate, "alert:", id, &json);
	}
	alert_done(&alert);
	return RC_OK;
}

struct remedy *remediate_case_of(struct remediate *remediate, const char *action_id)
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

bool remediate_honours_key(const struct remediate *remediate, const struct remedy *remedy)
{
	const struct config_target *target = target_named(remediate->config, remedy->action.target);

	return target && target->idempotent;
}

void remediate_take_over(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	if (!remediate_honours_key(remediate, remedy)) {
		remediate_end_unknown(remediate, remedy,
			"another worker wrote the first INTENT and the target has no idempotency "
			"key",
			now);
		return;
	}
	remedy_enter(remedy, CASE_CALLING, now);
	remedy->maybe_called = true;
}

static enum rc take_action(struct remediate *remediate, const struct log_message *message,
	int64_t now, struct err *err)
{
	struct action action = {0};

	TRY(action_from_json(message->value, &action, err));
	if (remediate->unread)
		remediate->unread--;
	else
		digest_sha256_hex(message->value, remediate->last_hash);
	remediate->meta_dirty = true;

	struct remedy *remedy = remediate_case_of(remediate, action.id);
	bool ours = remedy && strcmp(remedy->action.token, action.token) == 0;

	if (action.state == ACTION_INTENT && !ours && !remediate_past(remediate, action.id))
		target_used(remediate_use(remediate, action.target), action.at);
	remediate_set_past(remediate, &action);
	if (!remedy || remedy->state != CASE_INTENDED || action.state != ACTION_INTENT)
		return RC_OK;
	if (strcmp(remediate_past(remediate, action.id)->token, remedy->action.token) == 0)
		remedy_enter(remedy, CASE_CALLING, now);
	else
		remediate_take_over(remediate, remedy, now);
	return RC_OK;
}

static void decided_by_person(struct remediate *remediate, struct remedy *remedy,
	const struct command *command, int64_t now)
{
	snprintf(remedy->action.by, sizeof remedy->action.by, "%s", command->actor);
	snprintf(remedy->action.authenticated_as, sizeof remedy->action.authenticated_as, "%s",
		command->actor);
	if (command->command == COMMAND_REJECT) {
		remediate_end(remediate, remedy, ACTION_REJECTED, command->comment, now);
		return;
	}
	remediate_tell(remediate, remedy, ACTION_APPROVED, command->comment, now);
	remedy_enter(remedy, CASE_OPEN, now);
}

static enum rc take_command(struct remediate *remediate, const struct log_message *message,
	int64_t now, struct err *err)
{
	struct command command;

	TRY(command_from_json(message->value, &command, err));
	struct remedy *remedy = remediate_case_of(remediate, command.subject);
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

enum rc remediate_take(struct remediate *remediate, const struct log_message *message, int64_t now,
	struct err *err)
{
	const char *prefix = remediate->config->kafka.prefix;
	size_t size = strlen(prefix);
	struct cursor *cursor = cursors_of(&remediate->cursors, message->topic, message->partition);

	if (!cursor_pass(cursor, message->offset, message->append_ms, message->key, message->value))
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

struct cursors *remediate_cursors(struct remediate *remediate)
{
	return &remediate->cursors;
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
