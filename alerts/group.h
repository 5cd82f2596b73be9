/* alerts/group.h: which receivers an alert goes to, together with which others, and when:
 * Alertmanager's routing tree, grouping and timers. THINKS. Time is what the caller says; a group
 * is flushed by the step that brings the time. */
#ifndef ALERTS_GROUP_H
#define ALERTS_GROUP_H

#include "alerts/life.h"
#include "core/map.h"

struct group {
	char *key; /* "{}/{model="x"}:{alertname="ModelLatency"}": route path and sorted group
		      labels */
	const struct config_route *route;
	const struct config_receiver *receiver;
	struct labels labels;
	int64_t next_flush_at; /* ms */
	bool flushed;          /* at least once: then group_interval, not group_wait */
	bool dirty;
	struct incident **members; /* borrowed: firing, or resolved and not yet told */
	size_t member_count;
};

struct groups {            /* all zero is valid and empty */
	struct map by_key; /* key -> struct group * */
};

void groups_done(struct groups *groups);

/* Makes the incident a member of every group that its labels lead to, leaving those it no longer
 * belongs to. New groups flush after group_wait. */
void groups_route(
	struct groups *groups, const struct config *config, struct incident *incident, int64_t now);

/* Timers that were stored: applied when the group exists. */
void groups_restore(struct groups *groups, const char *key, int64_t next_flush_at, bool flushed);

/* The earliest flush; INT64_MAX: none. */
int64_t groups_next(const struct groups *groups);

/* All groups due at now, by key; the array is the caller's, ended with free(). */
struct group **groups_due(const struct groups *groups, int64_t now, size_t *count);

/* After a flush (its notifications are durable): resolved members leave; sets the next flush. The
 * group is gone (freed) when nobody is left: returns false then. */
bool group_flushed(struct groups *groups, struct group *group, int64_t now);

/* Wherever the one is a member, the other is instead. */
void groups_replace(struct groups *groups, const struct incident *member, struct incident *by);

/* Whether some group has yet to flush the incident. */
bool groups_hold(const struct groups *groups, const struct incident *incident);

#endif
