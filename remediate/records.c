#include "remediate/fold.h"

#include "core/memory.h"
#include "core/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REMEDIATE_RECORDS_TTL_S = 400 * 86400,
};

void remediate_put_state(
	struct remediate *remediate, const char *kind, const char *name, const struct bytes *data)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_format(&field, "%s%s", kind, name);
	change_put(&remediate->change, TABLE_STATE, bytes_view(&field), bytes_view(data));
}

void remediate_drop_state(struct remediate *remediate, const char *kind, const char *name)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_format(&field, "%s%s", kind, name);
	change_drop(&remediate->change, TABLE_STATE, bytes_view(&field));
}

struct past *remediate_past(struct remediate *remediate, const char *action_id)
{
	return map_get(&remediate->past, action_id, strlen(action_id));
}

static struct past *make_past(struct remediate *remediate, const char *action_id)
{
	struct past *past = remediate_past(remediate, action_id);

	if (!past) {
		past = memory_new(1, sizeof *past);
		map_put(&remediate->past, action_id, strlen(action_id), past);
	}
	return past;
}

struct target_use *remediate_use(struct remediate *remediate, const char *target)
{
	struct target_use *use = map_get(&remediate->targets, target, strlen(target));

	if (!use) {
		use = memory_new(1, sizeof *use);
		snprintf(use->name, sizeof use->name, "%s", target);
		map_put(&remediate->targets, target, strlen(target), use);
	}
	return use;
}

void remediate_keep_alert(struct remediate *remediate, struct alert *alert)
{
	size_t size = strlen(alert->id);
	struct alert *kept = memory_new(1, sizeof *kept);

	*kept = *alert;
	*alert = (struct alert){0};
	remediate_free_alert(map_get(&remediate->alerts, kept->id, size));
	map_put(&remediate->alerts, kept->id, size, kept);
}

static enum rc restore_alert(
	struct remediate *remediate, const char *name, struct view data, struct err *err)
{
	struct alert alert = {0};

	(void)name;
	TRY(alert_from_json(data, &alert, err));
	remediate_keep_alert(remediate, &alert);
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
	struct target_use *use = remediate_use(remediate, name);
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
	struct view hash = reader_sized(&reader);

	view_copy(hash, remediate->last_hash, sizeof remediate->last_hash);
	reader.ok &= strspn(remediate->last_hash, "0123456789abcdef") == hash.size;
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state record meta is damaged");
}

static const struct {
	const char *kind;
	enum rc (*restore)(
		struct remediate *remediate, const char *name, struct view data, struct err *err);
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
		/* What is stored may be older than what was done (a replica that lagged, a second
		 * that no disk had): only the life that wrote an INTENT knows of its calls. */
		remedy->unsure_before =
			remedy->state == CASE_INTENDED || remedy->state == CASE_CALLING;
		if (remedy->unsure_before && !remediate_honours_key(remediate, remedy))
			remedy->maybe_called = true;
	}
}

static bool is_end(enum action_state state)
{
	return state != ACTION_PROPOSED && state != ACTION_APPROVED && state != ACTION_INTENT &&
	       state != ACTION_UNKNOWN;
}

bool past_is_open(const struct past *past)
{
	return past->last.state == ACTION_INTENT || past->last.state == ACTION_UNKNOWN;
}

void remediate_set_past(struct remediate *remediate, const struct action *action)
{
	struct past *past = make_past(remediate, action->id);
	CLEANUP(bytes_done) struct bytes data = {0};
	CLEANUP(bytes_done) struct bytes json = {0};

	if (action->state == ACTION_INTENT && !past->token[0])
		memcpy(past->token, action->token, sizeof past->token);
	/* A record that comes late, or twice, reopens nothing. */
	if (!past->last.id[0] || !is_end(past->last.state) || is_end(action->state))
		past->last = *action;
	action_to_json(&past->last, &json);
	bytes_sized(&data, past->token, strlen(past->token));
	bytes_sized(&data, json.data, json.size);
	remediate_put_state(remediate, "past:", action->id, &data);
}

void remediate_tell(struct remediate *remediate, struct remedy *remedy, enum action_state state,
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
	digest_sha256_hex(bytes_view(&json), remediate->last_hash);
	snprintf(number, sizeof number, "%016llu", (unsigned long long)++remediate->sequence);
	change_emit(&remediate->change, TOPIC_ACTIONS, view_of(action->target), bytes_view(&json),
		NULL);
	change_put_for(&remediate->change, TABLE_ACTIONS, view_of(number), bytes_view(&json),
		REMEDIATE_RECORDS_TTL_S);
	remediate->unread++;
	remediate->meta_dirty = true;
	remediate->counts.actions[state]++;
	remedy->dirty = true;
	if (state != ACTION_INTENT) /* which counts where the log has it */
		remediate_set_past(remediate, action);
}

void remedy_enter(struct remedy *remedy, enum case_state state, int64_t now)
{
	remedy->state = state;
	remedy->since = now;
	remedy->next_try_at = now;
	remedy->tries = 0;
	remedy->good_since = 0;
	remedy->dirty = true;
}

void remediate_end(struct remediate *remediate, struct remedy *remedy, enum action_state state,
	const char *result, int64_t now)
{
	remediate_tell(remediate, remedy, state, result, now);
	remedy_enter(remedy, CASE_ENDED, now);
}

void remediate_end_unknown(
	struct remediate *remediate, struct remedy *remedy, const char *result, int64_t now)
{
	remediate_tell(remediate, remedy, ACTION_UNKNOWN, result, now);
	remediate_end(remediate, remedy, ACTION_ESCALATED, result, now);
}

void remediate_verify(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	const struct config_target *target = target_named(remediate->config, remedy->action.target);

	remedy_enter(remedy, CASE_VERIFYING, now);
	remedy->converged = !target || !target->status.url[0];
}

static void change_cases(struct remediate *remediate)
{
	struct map_entry **sorted = map_sorted(&remediate->cases);

	for (size_t i = 0; i < remediate->cases.count; i++) {
		struct remedy *remedy = sorted[i]->value;
		CLEANUP(bytes_done) struct bytes record = {0};

		if (!remedy->dirty)
			continue;
		remedy_to_record(remedy, &record);
		remediate_put_state(remediate, "case:", remedy->alert_id, &record);
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
		remediate_put_state(remediate, "target:", use->name, &record);
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
	remediate_put_state(remediate, "meta:", "", &record);
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
