#include "alerts/fold.h"
#include "alerts/payload_json.h"
#include "core/memory.h"
#include "core/topics.h"

#include <stdlib.h>
#include <string.h>

static bool is_pending(const struct alerts *alerts, const char *id)
{
	for (size_t i = 0; i < alerts->pending_count; i++)
		if (strcmp(alerts->pending[i]->id, id) == 0)
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
	alerts_set_told(alerts, &made);
	if (is_pending(alerts, made.id)) {
		notification_done(&made);
		return;
	}
	struct bytes payload = {0};

	payload_write(&group->receiver->integrations[integration], group, &made,
		alerts->external_url, &payload);
	made.payload = payload.data;
	*alerts_add_pending(alerts) = made;
	alerts_store_pending(alerts, &made);
}

static void forget_incident(struct alerts *alerts, struct view key)
{
	struct incident *incident = map_take(&alerts->incidents, key.data, key.size);

	alerts_drop_state(alerts, "incident:", key);
	incident_done(incident);
	free(incident);
}

/* Resolved incidents that every group has flushed are told; where the identity fires anew, that is
 * their end. */
static void release_told(struct alerts *alerts)
{
	struct map_entry **sorted = map_sorted(&alerts->incidents);
	size_t count = alerts->incidents.count;
	struct bytes *ended = memory_new(count, sizeof *ended);

	for (size_t i = 0; i < count; i++) {
		struct incident *incident = sorted[i]->value;

		if (!incident->untold || groups_hold(&alerts->groups, incident))
			continue;
		incident->untold = false;
		incident->dirty = true;
		if (incident->ended)
			bytes_add(&ended[i], sorted[i]->key, sorted[i]->key_size);
	}
	free(sorted);
	for (size_t i = 0; i < count; i++) {
		if (ended[i].size)
			forget_incident(alerts, bytes_view(&ended[i]));
		bytes_done(&ended[i]);
	}
	free(ended);
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
			alerts_drop_state(alerts, "group:", bytes_view(&key));
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
