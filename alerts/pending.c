#include "alerts/fold.h"
#include "alerts/payload_json.h"
#include "core/memory.h"
#include "core/topics.h"

#include <stdlib.h>
#include <string.h>

enum {
	GIVE_UP_AFTER_MS = 3 * ALERTS_DAY_S * 1000,
	RETRY_FIRST_MS = 2000,
	RETRY_MAX_MS = 3600 * 1000,
};

struct notification *alerts_add_pending(struct alerts *alerts)
{
	alerts->pending = memory_grow(
		alerts->pending, alerts->pending_count + 1, sizeof(struct notification *));
	return alerts->pending[alerts->pending_count++] =
		       memory_new(1, sizeof(struct notification));
}

void alerts_store_pending(struct alerts *alerts, const struct notification *notification)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	notification_to_json(notification, &json);
	alerts_put_state(alerts, "notification:", view_of(notification->id), bytes_view(&json));
	change_put_for(&alerts->change, TABLE_NOTIFICATIONS, view_of(notification->id),
		bytes_view(&json), ALERTS_RECORDS_TTL_S);
}

size_t alerts_pending_count(const struct alerts *alerts)
{
	return alerts->pending_count;
}

const struct notification *alerts_pending(const struct alerts *alerts, size_t place)
{
	return alerts->pending[place];
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
	struct notification *notification = alerts->pending[place];
	CLEANUP(bytes_done) struct bytes json = {0};

	notification->state = state;
	free(notification->payload);
	notification->payload = NULL;
	notification_to_json(notification, &json);
	change_emit(&alerts->change, TOPIC_NOTIFICATIONS, view_of(notification->id),
		bytes_view(&json), NULL);
	change_put_for(&alerts->change, TABLE_NOTIFICATIONS, view_of(notification->id),
		bytes_view(&json), ALERTS_RECORDS_TTL_S);
	alerts_drop_state(alerts, "notification:", view_of(notification->id));
	notification_done(notification);
	free(notification);
	alerts->pending_count--;
	memmove(&alerts->pending[place], &alerts->pending[place + 1],
		(alerts->pending_count - place) * sizeof(struct notification *));
}

/* 2 s doubling to an hour, each wait between half and the whole of it; what the receiver asks for
 * goes first. */
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
		struct notification *notification = alerts->pending[i];

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
			alerts_store_pending(alerts, notification);
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
			use(context, to, group->receiver->name, bytes_view(&body));
		}
	}
	free(sorted);
}
