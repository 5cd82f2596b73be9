/* core/config_alerting.c: receivers: and route: of the configuration, and matchers. THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

enum { SECOND_MS = 1000, DAY_MS = 86400000 };

/* Every alert has one of these names (docs/alerting.md). */
static const char *const alertnames[] = {"ModelLatency", "ModelErrors", "ModelRate", "ModelSilent",
	"ScoreDrift", "FeatureDrift", "DataQuality", "PredictionQuality", "CanaryDisagrees",
	"MetricAnomaly", "WatchLag", "WatchDeadLetters", "WatchDown"};

bool is_alertname(struct reading *reading, const struct node *at, const char *name)
{
	CLEANUP(bytes_done) struct bytes meant = {0};
	struct hint hint = {.word = name};

	for (size_t i = 0; i < sizeof alertnames / sizeof *alertnames; i++) {
		if (strcmp(alertnames[i], name) == 0)
			return true;
		hint_offer(&hint, alertnames[i]);
	}
	mistake(reading, at, "%.60s: no alert has this name%s", name, hint_text(&hint, &meant));
	return false;
}

static void read_matcher(struct reading *reading, const struct key *key, const struct node *value,
	struct matcher *matchers, size_t *count)
{
	struct err err = {0};

	if (value->kind != NODE_SCALAR) {
		refuse(reading, key, value);
		return;
	}
	if (matcher_parse(value->text, &matchers[*count], &err) != RC_OK) {
		mistake(reading, value, "%s: %s", key->name, err.text);
		return;
	}
	const struct matcher *matcher = &matchers[(*count)++];

	if (matcher->kind == MATCH_EQUAL && strcmp(matcher->name, "alertname") == 0)
		is_alertname(reading, value, matcher->value);
}

static void read_matchers(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct matcher **matchers = place_of(key, item);
	size_t *count = (size_t *)((char *)item + key->count_offset);

	(void)path;
	if (!refuse_unless(reading, NODE_LIST, key, value))
		return;
	if (!value->count && key->low)
		refuse(reading, key, value);
	*matchers = memory_new(value->count, sizeof **matchers);
	for (size_t i = 0; i < value->count; i++)
		read_matcher(reading, key, value->values[i], *matchers, count);
}

static void expect_matchers(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(
		out, "a list of matchers such as alertname=\"ModelLatency\" or model=~\"fraud.*\"");
}

static void drop_matchers(const struct key *key, void *item)
{
	struct matcher **matchers = place_of(key, item);
	size_t *count = (size_t *)((char *)item + key->count_offset);

	for (size_t i = 0; i < *count; i++)
		matcher_done(&(*matchers)[i]);
	free(*matchers);
}

const struct type type_matchers = {
	.read = read_matchers, .expect = expect_matchers, .drop = drop_matchers};

/* Receivers: three lists of different kinds become one, in this order. */

#define SEND_RESOLVED                                                                              \
	{                                                                                          \
		.name = "send_resolved", .type = &type_boolean,                                    \
		.offset = offsetof(struct config_integration, send_resolved), .fallback = "true",  \
		.help = "Whether the end of an alert is told."                                     \
	}

#define MAX_ALERTS                                                                                 \
	{                                                                                          \
		.name = "max_alerts", .type = &type_integer,                                       \
		.offset = offsetof(struct config_integration, max_alerts), .high = 100000,         \
		.fallback = "0", .help = "At most so many alerts in one notification; 0: all."     \
	}

static const struct key webhook_keys[] = {
	HTTP_KEYS(struct config_integration, http),
	{.name = "secret_file",
		.type = &type_secret,
		.offset = offsetof(struct config_integration, secret),
		.help = "A file that holds the key of Standard Webhooks signatures; none: "
			"unsigned."},
	SEND_RESOLVED,
	MAX_ALERTS,
};

static const struct key alertmanager_webhook_keys[] = {
	HTTP_KEYS(struct config_integration, http),
	SEND_RESOLVED,
	MAX_ALERTS,
};

static const struct key alertmanager_keys[] = {
	HTTP_KEYS(struct config_integration, http),
	SEND_RESOLVED,
};

static const struct section section_webhook = {
	.size = sizeof(struct config_integration), KEYS(webhook_keys)};
static const struct section section_alertmanager_webhook = {
	.size = sizeof(struct config_integration), KEYS(alertmanager_webhook_keys)};
static const struct section section_alertmanager = {
	.size = sizeof(struct config_integration), KEYS(alertmanager_keys)};

/* The kind is the key's low. */
static void read_integrations(struct reading *reading, const struct key *key,
	const struct node *value, const struct path *path, void *item)
{
	struct config_receiver *receiver = item;

	if (!refuse_unless(reading, NODE_LIST, key, value))
		return;
	receiver->integrations = memory_grow(receiver->integrations,
		receiver->integration_count + value->count, sizeof *receiver->integrations);
	for (size_t i = 0; i < value->count; i++) {
		struct path here = {path, key->name, (long)i};
		struct config_integration *integration =
			&receiver->integrations[receiver->integration_count++];

		*integration = (struct config_integration){.kind = (enum receiver_kind)key->low};
		section_fill(key->section, integration);
		section_read(reading, key->section, value->values[i], &here, integration);
	}
}

static void expect_integrations(const struct key *key, struct bytes *out)
{
	type_sections.expect(key, out);
}

/* webhook_keys has every key that the other kinds have. */
static void drop_integrations(const struct key *key, void *item)
{
	struct config_receiver *receiver = item;

	if (key->low != RECEIVER_WEBHOOK)
		return;
	for (size_t i = 0; i < receiver->integration_count; i++)
		section_done(&section_webhook, &receiver->integrations[i]);
	free(receiver->integrations);
}

static const struct type type_integrations = {
	.read = read_integrations, .expect = expect_integrations, .drop = drop_integrations};

static const struct key receiver_keys[] = {
	{.name = "name",
		.type = &type_name,
		.offset = offsetof(struct config_receiver, name),
		.required = true,
		.help = "What routes call it."},
	{.name = "webhook_configs",
		.type = &type_integrations,
		.low = RECEIVER_WEBHOOK,
		.section = &section_webhook,
		.help = "Webhooks with modelwatch's own payload, signed."},
	{.name = "alertmanager_webhook_configs",
		.type = &type_integrations,
		.low = RECEIVER_ALERTMANAGER_WEBHOOK,
		.section = &section_alertmanager_webhook,
		.help = "Webhooks with the payload of Alertmanager's, version 4."},
	{.name = "alertmanager_configs",
		.type = &type_integrations,
		.low = RECEIVER_ALERTMANAGER,
		.section = &section_alertmanager,
		.help = "Alertmanagers to post alerts to (API v2)."},
};

static void finish_receiver(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	const struct config_receiver *receiver = item, *first = reading->config->receivers;

	for (const struct config_receiver *before = first; before < receiver; before++)
		if (*receiver->name && strcmp(before->name, receiver->name) == 0) {
			mistake(reading, node_get(mapping, "name"),
				"name: \"%s\" is the name of receivers[%td] already, expected "
				"another one "
				"for receivers[%ld]",
				receiver->name, before - first, path->index);
			return;
		}
}

const struct section section_receiver = {
	.size = sizeof(struct config_receiver), KEYS(receiver_keys), .finish = finish_receiver};

/* Routes: what a route leaves out it has from its parent. */

static void inherit(struct config_route *route, const struct config_route *parent)
{
	*route = (struct config_route){
		.receiver = memory_text(parent->receiver),
		.group_by = memory_new(parent->group_by_count, sizeof *route->group_by),
		.group_by_count = parent->group_by_count,
		.group_wait_ms = parent->group_wait_ms,
		.group_interval_ms = parent->group_interval_ms,
		.repeat_interval_ms = parent->repeat_interval_ms,
	};
	for (size_t i = 0; i < parent->group_by_count; i++)
		route->group_by[i] = memory_text(parent->group_by[i]);
}

static void read_routes(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct config_route *parent = item;

	if (!refuse_unless(reading, NODE_LIST, key, value))
		return;
	parent->routes = memory_new(value->count, sizeof *parent->routes);
	for (size_t i = 0; i < value->count; i++) {
		struct path here = {path, key->name, (long)i};
		struct config_route *route = &parent->routes[parent->route_count++];

		inherit(route, parent);
		section_read(reading, &section_route, value->values[i], &here, route);
	}
}

static void expect_routes(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a list of routes");
}

static void drop_routes(const struct key *key, void *item)
{
	struct config_route *parent = item;

	(void)key;
	for (size_t i = 0; i < parent->route_count; i++)
		section_done(&section_route, &parent->routes[i]);
	free(parent->routes);
}

static const struct type type_routes = {
	.read = read_routes, .expect = expect_routes, .drop = drop_routes};

/* routes stands last: everything that a child inherits has been read by then. */
static const struct key route_keys[] = {
	{.name = "receiver",
		.type = &type_text,
		.offset = offsetof(struct config_route, receiver),
		.low = 1,
		.told = "the name of a receiver",
		.help = "Who is told. At the top the first receiver by default, below it the "
			"parent's."},
	{.name = "matchers",
		.type = &type_matchers,
		.offset = offsetof(struct config_route, matchers),
		.count_offset = offsetof(struct config_route, matcher_count),
		.help = "The alerts of this route: all of them must match. Not at the top, which "
			"takes all."},
	{.name = "group_by",
		.type = &type_texts,
		.element = &type_label,
		.offset = offsetof(struct config_route, group_by),
		.count_offset = offsetof(struct config_route, group_by_count),
		.fallback = "[model, alertname]",
		.help = "Alerts that are alike in these labels share a notification; `[...]`: in "
			"all labels."},
	{.name = "group_wait",
		.type = &type_duration,
		.offset = offsetof(struct config_route, group_wait_ms),
		.high = DAY_MS,
		.fallback = "30s",
		.help = "How long the first notification of a group waits for more."},
	{.name = "group_interval",
		.type = &type_duration,
		.offset = offsetof(struct config_route, group_interval_ms),
		.low = SECOND_MS,
		.high = 7LL * DAY_MS,
		.fallback = "5m",
		.help = "How long a change of the group waits after a notification."},
	{.name = "repeat_interval",
		.type = &type_duration,
		.offset = offsetof(struct config_route, repeat_interval_ms),
		.low = SECOND_MS,
		.high = 365LL * DAY_MS,
		.fallback = "4h",
		.help = "How often an unchanged group is told again."},
	{.name = "continue",
		.type = &type_boolean,
		.offset = offsetof(struct config_route, go_on),
		.fallback = "false",
		.help = "Whether routes after this one are tried too."},
	{.name = "routes",
		.type = &type_routes,
		.section = &section_route,
		.help = "Children, tried in order; the first that matches takes the alert."},
};

static void check_receiver(struct reading *reading, const struct node *at)
{
	CLEANUP(bytes_done) struct bytes meant = {0};
	const struct config *config = reading->config;
	struct hint hint = {.word = at->text};

	for (size_t i = 0; i < config->receiver_count; i++) {
		if (strcmp(config->receivers[i].name, at->text) == 0)
			return;
		hint_offer(&hint, config->receivers[i].name);
	}
	mistake(reading, at, "receiver: \"%.60s\" is not in receivers%s", at->text,
		hint_text(&hint, &meant));
}

static void refuse_at_top(struct reading *reading, const struct node *mapping, const char *name)
{
	const struct node *value = node_get(mapping, name);

	if (value)
		mistake(reading, value,
			"%s: found at the top route, expected only below routes; the top takes "
			"every alert",
			name);
}

static void finish_route(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	const struct node *receiver = node_get(mapping, "receiver");
	const struct node *group_by = node_get(mapping, "group_by");

	(void)item;
	if (receiver && receiver->kind == NODE_SCALAR && !is_nothing(receiver) && *receiver->text)
		check_receiver(reading, receiver);
	for (size_t i = 0; group_by && group_by->count > 1 && i < group_by->count; i++)
		if (group_by->values[i]->text && strcmp(group_by->values[i]->text, "...") == 0)
			mistake(reading, group_by->values[i],
				"group_by: found ... among others, expected it alone: it stands "
				"for all labels");
	if (path->index < 0) {
		refuse_at_top(reading, mapping, "matchers");
		refuse_at_top(reading, mapping, "continue");
	}
}

const struct section section_route = {
	.size = sizeof(struct config_route), KEYS(route_keys), .finish = finish_route};

static void hand_down(struct config_route *route, const char *receiver)
{
	if (!*route->receiver) {
		free(route->receiver);
		route->receiver = memory_text(receiver);
	}
	for (size_t i = 0; i < route->route_count; i++)
		hand_down(&route->routes[i], route->receiver);
}

void complete_route(struct config *config)
{
	hand_down(&config->route, config->receiver_count ? config->receivers[0].name : "");
}
