#include "core/memory.h"
#include "core/notification.h"
#include "core/strict_json.h"

#include <string.h>

void notification_to_json(const struct notification *notification, struct bytes *out)
{
	json_t *object = json_object();
	json_t *alerts = json_array();

	json_set_text(object, "kind", "notification");
	json_set_text(object, "id", notification->id);
	json_set_text(object, "state", notification_state_names[notification->state]);
	json_set_text(object, "receiver", notification->receiver);
	json_set_integer(object, "integration", notification->integration);
	json_set_text(object, "group_key", notification->group_key);
	for (size_t i = 0; i < notification->alert_count; i++)
		json_array_append_new(alerts, json_string(notification->alerts[i]));
	json_object_set_new(object, "alerts", alerts);
	json_set_integer(object, "sequence", notification->sequence);
	json_set_text(object, "reason", notification->reason ? notification->reason : "");
	if (notification->payload)
		json_set_text(object, "payload", notification->payload);
	json_set_integer(object, "created_at", notification->created_at);
	json_set_integer(object, "next_try_at", notification->next_try_at);
	json_set_integer(object, "tries", notification->tries);
	json_set_integer(object, "done_at", notification->done_at);
	json_set_text(object, "result", notification->result ? notification->result : "");
	strict_json_write(object, out);
}

static enum rc get_text(const json_t *object, const char *field, char **text, struct err *err)
{
	const char *found;

	TRY(json_field_text_or(object, field, "", &found, err));
	*text = memory_text(found);
	return RC_OK;
}

static enum rc get_state(const json_t *object, struct notification *notification, struct err *err)
{
	const char *state;

	TRY(json_field_text(object, "state", &state, err));
	for (size_t i = 0; i <= NOTIFICATION_DEAD; i++) {
		if (strcmp(state, notification_state_names[i]) == 0) {
			notification->state = (enum notification_state)i;
			return RC_OK;
		}
	}
	return err_set(
		err, RC_REJECT, "state: found \"%.40s\", expected pending, sent or dead", state);
}

static enum rc get_alerts(const json_t *object, struct notification *notification, struct err *err)
{
	const json_t *list = json_object_get(object, "alerts");
	size_t count = json_array_size(list);

	if (!json_is_array(list))
		return err_set(err, RC_REJECT, "alerts: expected an array");
	notification->alerts = memory_new(count, sizeof *notification->alerts);
	for (size_t i = 0; i < count; i++) {
		const char *alert = json_string_value(json_array_get(list, i));

		if (!alert)
			return err_set(err, RC_REJECT, "alerts[%zu]: expected a text", i);
		notification->alerts[notification->alert_count++] = memory_text(alert);
	}
	return RC_OK;
}

static enum rc read_fields(const json_t *object, struct notification *read, struct err *err)
{
	TRY(json_field_copy(object, "id", read->id, sizeof read->id, err));
	TRY(get_state(object, read, err));
	TRY(get_text(object, "receiver", &read->receiver, err));
	TRY(json_field_small(object, "integration", &read->integration, err));
	TRY(get_text(object, "group_key", &read->group_key, err));
	TRY(get_alerts(object, read, err));
	TRY(json_field_integer_or(object, "sequence", 0, &read->sequence, err));
	TRY(get_text(object, "reason", &read->reason, err));
	if (json_object_get(object, "payload"))
		TRY(get_text(object, "payload", &read->payload, err));
	TRY(json_field_integer(object, "created_at", &read->created_at, err));
	TRY(json_field_integer_or(object, "next_try_at", 0, &read->next_try_at, err));
	TRY(json_field_integer_or(object, "tries", 0, &read->tries, err));
	TRY(json_field_integer_or(object, "done_at", 0, &read->done_at, err));
	return get_text(object, "result", &read->result, err);
}

enum rc notification_from_json(struct view text, struct notification *notification, struct err *err)
{
	struct notification read = {0};
	json_t *object;

	TRY(strict_json_record(text, "notification", &object, err));
	enum rc rc = read_fields(object, &read, err);

	json_decref(object);
	if (rc == RC_OK)
		*notification = read;
	else
		notification_done(&read);
	return rc;
}
