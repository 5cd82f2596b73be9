#include "alerts/group.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

static void group_free(struct group *group)
{
	labels_done(&group->labels);
	free(group->members);
	free(group->key);
	free(group);
}

void groups_done(struct groups *groups)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&groups->by_key, &place)))
		group_free(entry->value);
	map_done(&groups->by_key);
}

static bool route_matches(const struct config_route *route, const struct labels *labels)
{
	for (size_t i = 0; i < route->matcher_count; i++)
		if (!matcher_matches(
			    &route->matchers[i], labels_get(labels, route->matchers[i].name)))
			return false;
	return true;
}

static void group_labels(
	const struct config_route *route, const struct labels *labels, struct labels *out)
{
	for (size_t i = 0; i < route->group_by_count; i++) {
		if (strcmp(route->group_by[i], "...") == 0) {
			labels_copy(out, labels);
			return;
		}
		labels_set(out, route->group_by[i], labels_get(labels, route->group_by[i]));
	}
}

static const struct config_receiver *receiver_of(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->receiver_count; i++)
		if (strcmp(config->receivers[i].name, name) == 0)
			return &config->receivers[i];
	return NULL;
}

static const char *const operators[] = {[MATCH_EQUAL] = "=",
	[MATCH_NOT_EQUAL] = "!=",
	[MATCH_REGEX] = "=~",
	[MATCH_NOT_REGEX] = "!~"};

static void add_path(const struct config_route *route, struct bytes *path)
{
	bytes_text(path, "{");
	for (size_t i = 0; i < route->matcher_count; i++)
		bytes_format(path, "%s%s%s\"%s\"", i ? "," : "", route->matchers[i].name,
			operators[route->matchers[i].kind], route->matchers[i].value);
	bytes_text(path, "}");
}

static void add_labels(const struct labels *labels, struct bytes *key)
{
	bytes_text(key, ":{");
	for (size_t i = 0; i < labels->count; i++)
		bytes_format(key, "%s%s=\"%s\"", i ? "," : "", labels->list[i].name,
			labels->list[i].value);
	bytes_text(key, "}");
}

static bool is_member(const struct group *group, const struct incident *incident)
{
	for (size_t i = 0; i < group->member_count; i++)
		if (group->members[i] == incident)
			return true;
	return false;
}

static void add_member(struct group *group, struct incident *incident)
{
	if (is_member(group, incident))
		return;
	group->members =
		memory_grow(group->members, group->member_count + 1, sizeof(struct incident *));
	group->members[group->member_count++] = incident;
}

static void remove_member(struct group *group, size_t place)
{
	group->member_count--;
	memmove(&group->members[place], &group->members[place + 1],
		(group->member_count - place) * sizeof(struct incident *));
}

struct routing {
	struct groups *groups;
	const struct config *config;
	struct incident *incident;
	int64_t now;
	struct map reached; /* keys of groups that the incident belongs to */
};

static void join_group(struct routing *routing, const struct config_route *route, const char *path)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	struct labels labels = {0};

	group_labels(route, &routing->incident->alert.labels, &labels);
	bytes_text(&key, path);
	add_labels(&labels, &key);
	struct group *group = map_get(&routing->groups->by_key, key.data, key.size);

	if (!group) {
		group = memory_new(1, sizeof *group);
		group->key = memory_text(key.data);
		group->route = route;
		group->receiver = receiver_of(routing->config, route->receiver);
		group->next_flush_at = routing->now + route->group_wait_ms;
		group->dirty = true;
		labels_copy(&group->labels, &labels);
		map_put(&routing->groups->by_key, key.data, key.size, group);
	}
	add_member(group, routing->incident);
	map_put(&routing->reached, key.data, key.size, group);
	labels_done(&labels);
}

/* Siblings with the same matchers (one team at two receivers) are groups of their own. */
static void add_twin_number(const struct config_route *parent, size_t place, struct bytes *path)
{
	CLEANUP(bytes_done) struct bytes own = {0};
	size_t twins = 0;

	add_path(&parent->routes[place], &own);
	for (size_t i = 0; i < place; i++) {
		CLEANUP(bytes_done) struct bytes other = {0};

		add_path(&parent->routes[i], &other);
		twins += strcmp(own.data, other.data) == 0;
	}
	if (twins)
		bytes_format(path, "/%zu", twins);
}

/* Alertmanager's walk: the first child that matches takes the alert, further ones only after
 * `continue`; a route without a matching child keeps it. */
static bool walk(struct routing *routing, const struct config_route *route, const char *path)
{
	bool taken = false;

	if (!route_matches(route, &routing->incident->alert.labels))
		return false;
	for (size_t i = 0; i < route->route_count; i++) {
		CLEANUP(bytes_done) struct bytes below = {0};

		bytes_format(&below, "%s/", path);
		add_path(&route->routes[i], &below);
		add_twin_number(route, i, &below);
		if (!walk(routing, &route->routes[i], below.data))
			continue;
		taken = true;
		if (!route->routes[i].go_on)
			break;
	}
	if (!taken)
		join_group(routing, route, path);
	return true;
}

static void leave_others(struct routing *routing)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&routing->groups->by_key, &place))) {
		struct group *group = entry->value;

		if (map_get(&routing->reached, entry->key, entry->key_size))
			continue;
		for (size_t i = group->member_count; i-- > 0;)
			if (group->members[i] == routing->incident)
				remove_member(group, i);
	}
}

void groups_route(
	struct groups *groups, const struct config *config, struct incident *incident, int64_t now)
{
	struct routing routing = {
		.groups = groups, .config = config, .incident = incident, .now = now};

	if (config->receiver_count)
		walk(&routing, &config->route, "{}");
	leave_others(&routing);
	map_done(&routing.reached);
}

void groups_restore(struct groups *groups, const char *key, int64_t next_flush_at, bool flushed)
{
	struct group *group = map_get(&groups->by_key, key, strlen(key));

	if (!group)
		return;
	group->next_flush_at = next_flush_at;
	group->flushed = flushed;
	group->dirty = false;
}

int64_t groups_next(const struct groups *groups)
{
	int64_t next = INT64_MAX;
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&groups->by_key, &place))) {
		const struct group *group = entry->value;

		if (group->next_flush_at < next)
			next = group->next_flush_at;
	}
	return next;
}

struct group **groups_due(const struct groups *groups, int64_t now, size_t *count)
{
	struct map_entry **sorted = map_sorted(&groups->by_key);
	struct group **due = memory_new(groups->by_key.count, sizeof(struct group *));

	*count = 0;
	for (size_t i = 0; i < groups->by_key.count; i++) {
		struct group *group = sorted[i]->value;

		if (group->next_flush_at <= now)
			due[(*count)++] = group;
	}
	free(sorted);
	return due;
}

bool group_flushed(struct groups *groups, struct group *group, int64_t now)
{
	for (size_t i = group->member_count; i-- > 0;) {
		if (group->members[i]->alert.state == ALERT_RESOLVED)
			remove_member(group, i);
	}
	if (!group->member_count) {
		map_take(&groups->by_key, group->key, strlen(group->key));
		group_free(group);
		return false;
	}
	group->flushed = true;
	group->dirty = true;
	group->next_flush_at = now + group->route->group_interval_ms;
	return true;
}

void groups_replace(struct groups *groups, const struct incident *member, struct incident *by)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&groups->by_key, &place))) {
		struct group *group = entry->value;

		for (size_t i = 0; i < group->member_count; i++)
			if (group->members[i] == member)
				group->members[i] = by;
	}
}

bool groups_hold(const struct groups *groups, const struct incident *incident)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&groups->by_key, &place)))
		if (is_member(entry->value, incident))
			return true;
	return false;
}
