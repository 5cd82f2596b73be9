#include "alerts/payload_json.h"

#include "core/strict_json.h"
#include "core/time_text.h"

#include <string.h>

static void set_time(json_t *object, const char *field, int64_t ms)
{
	char text[TIME_TEXT_SIZE];

	time_text_print(ms, text);
	json_set_text(object, field, text);
}

static json_t *labels_value(const struct labels *labels)
{
	json_t *value = json_object();

	for (size_t i = 0; i < labels->count; i++)
		json_set_text(value, labels->list[i].name, labels->list[i].value);
	return value;
}

/* The labels that all listed alerts share, name and value. */
static json_t *common_value(json_t *const *list, size_t count, const char *field)
{
	json_t *common = count ? json_deep_copy(json_object_get(list[0], field)) : json_object();

	for (size_t i = 1; i < count; i++) {
		const char *name;
		json_t *value;
		void *next;

		json_object_foreach_safe(common, next, name,
			value) if (!json_equal(value,
					   json_object_get(json_object_get(list[i], field), name)))
			json_object_del(common, name);
	}
	return common;
}

static bool lists(const struct notification *notification, const struct alert *alert)
{
	for (size_t i = 0; i < notification->alert_count; i++)
		if (strncmp(notification->alerts[i], alert->id, strlen(alert->id)) == 0)
			return true;
	return false;
}

static void set_generator(json_t *object, const struct alert *alert, const char *external_url)
{
	struct bytes url = {0};

	bytes_format(&url, "%s/api/v1/alerts/%s", external_url, alert->id);
	json_set_text(object, "generatorURL", url.data);
	bytes_done(&url);
}

/* Alertmanager's zero time stands for "still firing". */
static json_t *webhook_alert(const struct alert *alert, const char *external_url)
{
	json_t *object = json_object();
	char fingerprint[17];
	bool firing = alert->state == ALERT_FIRING;

	json_set_text(object, "status", firing ? "firing" : "resolved");
	json_object_set_new(object, "labels", labels_value(&alert->labels));
	json_object_set_new(object, "annotations", labels_value(&alert->annotations));
	set_time(object, "startsAt", alert->starts_at);
	if (firing)
		json_set_text(object, "endsAt", "0001-01-01T00:00:00Z");
	else
		set_time(object, "endsAt", alert->ends_at);
	set_generator(object, alert, external_url);
	labels_fingerprint(&alert->labels, fingerprint);
	json_set_text(object, "fingerprint", fingerprint);
	return object;
}

static json_t *api_alert(const struct alert *alert, const char *external_url, int64_t ends_at)
{
	json_t *object = json_object();

	json_object_set_new(object, "labels", labels_value(&alert->labels));
	json_object_set_new(object, "annotations", labels_value(&alert->annotations));
	set_time(object, "startsAt", alert->starts_at);
	if (alert->state == ALERT_RESOLVED)
		set_time(object, "endsAt", alert->ends_at);
	else
		set_time(object, "endsAt", ends_at);
	set_generator(object, alert, external_url);
	return object;
}

static json_t *our_alert(const struct alert *alert)
{
	CLEANUP(bytes_done) struct bytes text = {0};
	struct json_position position;
	struct err err;

	alert_to_json(alert, &text);
	return strict_json_parse((struct view){text.data, text.size}, 16, &position, &err);
}

static bool any_firing(const struct group *group, const struct notification *notification)
{
	for (size_t i = 0; i < group->member_count; i++)
		if (lists(notification, &group->members[i]->alert) &&
			group->members[i]->alert.state == ALERT_FIRING)
			return true;
	return false;
}

/* The listed alerts as an array made by the shape of this kind; *left_out of them beyond the limit.
 */
static json_t *alert_list(const struct config_integration *integration, const struct group *group,
	const struct notification *notification, const char *external_url, int64_t *left_out)
{
	json_t *list = json_array();

	*left_out = 0;
	for (size_t i = 0; i < group->member_count; i++) {
		const struct alert *alert = &group->members[i]->alert;

		if (!lists(notification, alert))
			continue;
		if (integration->max_alerts &&
			json_array_size(list) >= (size_t)integration->max_alerts) {
			++*left_out;
			continue;
		}
		if (integration->kind == RECEIVER_ALERTMANAGER_WEBHOOK)
			json_array_append_new(list, webhook_alert(alert, external_url));
		else if (integration->kind == RECEIVER_ALERTMANAGER)
			json_array_append_new(
				list, api_alert(alert, external_url,
					      notification->created_at + ALERTMANAGER_HOLD_MS));
		else
			json_array_append_new(list, our_alert(alert));
	}
	return list;
}

static json_t *common_of(json_t *list, const char *field)
{
	json_t *first[64];
	size_t count = 0;

	for (; count < json_array_size(list) && count < 64; count++)
		first[count] = json_array_get(list, count);
	return common_value(first, count, field);
}

static json_t *webhook_v4(const struct group *group, const struct notification *notification,
	const char *external_url, json_t *alerts, int64_t left_out)
{
	json_t *object = json_object();

	json_set_text(object, "version", "4");
	json_set_text(object, "groupKey", group->key);
	json_set_integer(object, "truncatedAlerts", left_out);
	json_set_text(object, "status", any_firing(group, notification) ? "firing" : "resolved");
	json_set_text(object, "receiver", notification->receiver);
	json_object_set_new(object, "groupLabels", labels_value(&group->labels));
	json_object_set_new(object, "commonLabels", common_of(alerts, "labels"));
	json_object_set_new(object, "commonAnnotations", common_of(alerts, "annotations"));
	json_set_text(object, "externalURL", external_url);
	json_set_text(object, "notification_reason", notification->reason);
	json_object_set_new(object, "alerts", alerts);
	return object;
}

static json_t *our_webhook(const struct group *group, const struct notification *notification,
	json_t *alerts, int64_t left_out)
{
	json_t *object = json_object();
	json_t *data = json_object();

	json_set_text(object, "type",
		any_firing(group, notification) ? "alerts.firing" : "alerts.resolved");
	set_time(object, "timestamp", notification->created_at);
	json_set_text(data, "id", notification->id);
	json_set_text(data, "receiver", notification->receiver);
	json_set_text(data, "group_key", group->key);
	json_object_set_new(data, "group_labels", labels_value(&group->labels));
	json_set_text(data, "reason", notification->reason);
	json_set_integer(data, "truncated_alerts", left_out);
	json_object_set_new(data, "alerts", alerts);
	json_object_set_new(object, "data", data);
	return object;
}

void payload_write(const struct config_integration *integration, const struct group *group,
	const struct notification *notification, const char *external_url, struct bytes *out)
{
	int64_t left_out;
	json_t *alerts = alert_list(integration, group, notification, external_url, &left_out);

	switch (integration->kind) {
	case RECEIVER_ALERTMANAGER:
		strict_json_write(alerts, out);
		return;
	case RECEIVER_ALERTMANAGER_WEBHOOK:
		strict_json_write(
			webhook_v4(group, notification, external_url, alerts, left_out), out);
		return;
	case RECEIVER_WEBHOOK:
		strict_json_write(our_webhook(group, notification, alerts, left_out), out);
		return;
	}
}

void payload_refresh(
	const struct group *group, const char *external_url, int64_t ends_at, struct bytes *out)
{
	json_t *list = json_array();

	for (size_t i = 0; i < group->member_count; i++)
		if (group->members[i]->alert.state == ALERT_FIRING)
			json_array_append_new(
				list, api_alert(&group->members[i]->alert, external_url, ends_at));
	strict_json_write(list, out);
}
