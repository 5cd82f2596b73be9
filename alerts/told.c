#include "alerts/told.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void told_free(struct told *told)
{
	if (!told)
		return;
	for (size_t i = 0; i < told->alert_count; i++)
		free(told->alerts[i]);
	free(told->alerts);
	free(told);
}

void told_key(const char *receiver, int integration, const char *group_key, struct bytes *key)
{
	bytes_add(key, receiver, strlen(receiver) + 1);
	bytes_format(key, "%d", integration);
	bytes_add(key, "", 1);
	bytes_add(key, group_key, strlen(group_key) + 1);
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool knows(const struct told *last, const char *alert)
{
	for (size_t i = 0; last && i < last->alert_count; i++)
		if (strcmp(last->alerts[i], alert) == 0)
			return true;
	return false;
}

static bool is_resolved(const char *alert)
{
	return strstr(alert, ":resolved") != NULL;
}

static bool knew_firing(const struct told *last, const char *resolved)
{
	size_t id = strcspn(resolved, ":");

	for (size_t i = 0; last && i < last->alert_count; i++)
		if (strncmp(last->alerts[i], resolved, id) == 0 && !is_resolved(last->alerts[i]))
			return true;
	return false;
}

static char *entry_of(const struct incident *incident)
{
	struct bytes text = {0};

	bytes_format(&text, "%s:%s", incident->alert.id,
		incident->alert.state == ALERT_FIRING ? "firing" : "resolved");
	if (incident->action[0])
		bytes_format(&text, ":%s", incident->action);
	return text.data;
}

/* Who never heard that an alert fires is not told that it does not. */
static void list_members(const struct group *group, bool send_resolved, const struct told *last,
	struct notification *out)
{
	out->alerts = memory_new(group->member_count, sizeof *out->alerts);
	for (size_t i = 0; i < group->member_count; i++) {
		char *entry = entry_of(group->members[i]);
		bool wanted = !is_resolved(entry) ||
			      (send_resolved && (knew_firing(last, entry) || knows(last, entry)));

		if (wanted)
			out->alerts[out->alert_count++] = entry;
		else
			free(entry);
	}
	if (out->alert_count)
		qsort(out->alerts, out->alert_count, sizeof *out->alerts, by_text);
}

struct news {
	size_t firing, resolved;         /* in the list */
	size_t new_firing, new_resolved; /* of these, not told before */
};

static struct news news_of(const struct notification *list, const struct told *last)
{
	struct news news = {0};

	for (size_t i = 0; i < list->alert_count; i++) {
		bool known = knows(last, list->alerts[i]);

		if (is_resolved(list->alerts[i])) {
			news.resolved++;
			news.new_resolved += !known;
		} else {
			news.firing++;
			news.new_firing += !known;
		}
	}
	return news;
}

/* Alertmanager's order: new firing ones, all resolved, some resolved, repeat; NULL: nothing to
 * tell. */
static const char *reason_of(const struct news *news, const struct told *last,
	const struct config_route *route, int64_t now)
{
	if (news->new_firing)
		return last ? "new alerts" : "first notification";
	if (news->new_resolved)
		return news->firing ? "some resolved" : "all resolved";
	if (news->firing && last && now - last->at >= route->repeat_interval_ms)
		return "repeat";
	return NULL;
}

enum rc told_next(const struct group *group, int integration, const struct told *last, int64_t now,
	struct notification *notification)
{
	struct notification made = {
		.integration = integration, .created_at = now, .next_try_at = now};

	if (!group->receiver)
		return RC_NONE;
	list_members(group, group->receiver->integrations[integration].send_resolved, last, &made);
	struct news news = news_of(&made, last);
	const char *reason = reason_of(&news, last, group->route, now);

	if (!reason) {
		notification_done(&made);
		return RC_NONE;
	}
	made.receiver = memory_text(group->receiver->name);
	made.group_key = memory_text(group->key);
	made.reason = memory_text(reason);
	made.sequence = last ? last->sequence + 1 : 0;
	made.result = memory_text("");
	notification_identify(&made);
	*notification = made;
	return RC_OK;
}

struct told *told_after(const struct notification *notification)
{
	struct told *told = memory_new(1, sizeof *told);

	told->alerts = memory_new(notification->alert_count, sizeof *told->alerts);
	for (size_t i = 0; i < notification->alert_count; i++)
		told->alerts[told->alert_count++] = memory_text(notification->alerts[i]);
	told->at = notification->created_at;
	told->sequence = notification->sequence;
	return told;
}
