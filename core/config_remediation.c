/* core/config_remediation.c: targets: and policies: of the configuration. THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60000, DAY_MS = 86400000 };

static const char *const mode_names[] = {"observe", "propose", "approve", "auto", NULL};

/* The rung that is a person, not an operation. */
static const char page[] = "page";

static bool parse_method(const struct key *key, const char *text, void *item)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "GET"};

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strcmp(methods[i], text) == 0)
			return put_text(key, text, item);
	return false;
}

static void expect_method(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "POST, PUT, PATCH, DELETE or GET");
}

static const struct type type_method = {.read = scalar_read,
	.parse = parse_method,
	.expect = expect_method,
	.fill = text_fill,
	.drop = text_drop};

static const struct key operation_keys[] = {
	HTTP_KEYS(struct config_operation, http),
	{.name = "method",
		.type = &type_method,
		.offset = offsetof(struct config_operation, method),
		.fallback = "POST",
		.help = "How it is called."},
	{.name = "body",
		.type = &type_body,
		.offset = offsetof(struct config_operation, body),
		.help = "What is sent; left out: the action's record as JSON."},
};

static const struct section section_operation = {KEYS(operation_keys)};

static const struct key status_keys[] = {
	HTTP_KEYS(struct config_target, status),
	{.name = "converged",
		.type = &type_pointer,
		.offset = offsetof(struct config_target, converged_pointer),
		.fallback = "/converged",
		.help = "Where the answer says whether the target is as ordered (RFC 6901)."},
	{.name = "value",
		.type = &type_text,
		.offset = offsetof(struct config_target, converged_value),
		.fallback = "true",
		.help = "The canonical text that stands there when it is."},
};

static const struct section section_status = {KEYS(status_keys)};

/* Operations: whatever stands in http: beside status and idempotent. */

static bool accepts_operation(
	struct reading *reading, const struct node *name, const struct path *path)
{
	size_t size = strspn(name->text, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	(void)path;
	if (size && size < 32 && !name->text[size] && islower((unsigned char)*name->text) &&
		strcmp(name->text, page) != 0)
		return true;
	mistake(reading, name,
		"%.60s: expected the name of an operation: 1 to 31 of a-z, 0-9, _ and -, and not "
		"page",
		name->text);
	return false;
}

static void read_operation(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct config_target *target = item;
	struct path here = {path, key->name, -1};
	CLEANUP(bytes_done) struct bytes is = {0}, meant = {0};
	struct hint hint = {.word = key->name};

	if (value->kind != NODE_MAPPING) {
		found(value, &is);
		hint_offer(&hint, "status");
		hint_offer(&hint, "idempotent");
		mistake(reading, value, "%s: found %s, expected an operation: a mapping with url%s",
			key->name, is.data, hint_text(&hint, &meant));
		return;
	}
	target->operations = memory_grow(
		target->operations, target->operation_count + 1, sizeof *target->operations);
	struct config_operation *operation = &target->operations[target->operation_count++];

	*operation = (struct config_operation){.name = memory_text(key->name)};
	section_fill(&section_operation, operation);
	section_read(reading, &section_operation, value, &here, operation);
}

static void expect_operation(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "an operation: a mapping with url");
}

static void drop_operations(const struct key *key, void *item)
{
	struct config_target *target = item;

	(void)key;
	for (size_t i = 0; i < target->operation_count; i++) {
		free(target->operations[i].name);
		section_done(&section_operation, &target->operations[i]);
	}
	free(target->operations);
}

static const struct type type_operation = {
	.read = read_operation, .expect = expect_operation, .drop = drop_operations};

static const struct key other_operation = {.name = "OPERATION",
	.type = &type_operation,
	.section = &section_operation,
	.help = "What can be done: rollback, shift, scale, restart, or any name."};

static const struct key target_http_keys[] = {
	{.name = "status",
		.type = &type_section,
		.section = &section_status,
		.help = "How to ask whether an operation has taken effect; left out: the signal "
			"alone tells."},
	{.name = "idempotent",
		.type = &type_boolean,
		.offset = offsetof(struct config_target, idempotent),
		.fallback = "true",
		.help = "Whether the target honours Idempotency-Key. Without, an unknown outcome "
			"goes to a "
			"person."},
};

static const struct section section_target_http = {
	KEYS(target_http_keys), .other = &other_operation, .accepts = accepts_operation};

static const struct key target_keys[] = {
	{.name = "name",
		.type = &type_name,
		.offset = offsetof(struct config_target, name),
		.required = true,
		.help = "What policies call it."},
	{.name = "http",
		.type = &type_section,
		.required = true,
		.section = &section_target_http,
		.help = "Operations by HTTP, each by its name, and how to ask for the state."},
};

static void finish_target(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	const struct config_target *target = item, *first = reading->config->targets;
	const struct node *http = node_get(mapping, "http");

	for (const struct config_target *before = first; before < target; before++)
		if (*target->name && strcmp(before->name, target->name) == 0) {
			mistake(reading, node_get(mapping, "name"),
				"name: \"%s\" is the name of targets[%td] already, expected "
				"another one "
				"for targets[%ld]",
				target->name, before - first, path->index);
			break;
		}
	if (http && http->kind == NODE_MAPPING && !target->operation_count)
		mistake(reading, http,
			"http: found no operation, expected at least one such as rollback");
}

const struct section section_target = {
	.size = sizeof(struct config_target), KEYS(target_keys), .finish = finish_target};

static const struct key policy_keys[] = {
	{.name = "name",
		.type = &type_name,
		.offset = offsetof(struct config_policy, name),
		.told = "its place in the list, from `0`",
		.help = "What records of actions call it."},
	{.name = "matchers",
		.type = &type_matchers,
		.offset = offsetof(struct config_policy, matchers),
		.count_offset = offsetof(struct config_policy, matcher_count),
		.low = 1,
		.required = true,
		.help = "The alerts that it answers: all of them must match."},
	{.name = "mode",
		.type = &type_choice,
		.offset = offsetof(struct config_policy, mode),
		.choices = mode_names,
		.fallback = "propose",
		.help = "Record what would be done; propose it; do it once approved; do it."},
	{.name = "target",
		.type = &type_text,
		.offset = offsetof(struct config_policy, target),
		.low = 1,
		.required = true,
		.told = "the name of a target",
		.help = "What it acts on."},
	{.name = "ladder",
		.type = &type_texts,
		.element = &type_name,
		.offset = offsetof(struct config_policy, ladder),
		.count_offset = offsetof(struct config_policy, ladder_count),
		.low = 1,
		.fallback = "[page]",
		.told = "a list of operations of the target, or page",
		.help = "What is tried, one after the other, until it helps; `page` calls a "
			"person."},
	{.name = "cooldown",
		.type = &type_duration,
		.offset = offsetof(struct config_policy, cooldown_ms),
		.high = 30LL * DAY_MS,
		.fallback = "15m",
		.help = "Between two actions on the target."},
	{.name = "budget_hour",
		.type = &type_integer,
		.offset = offsetof(struct config_policy, budget_hour),
		.low = 1,
		.high = 1000,
		.fallback = "3",
		.help = "Actions on the target in an hour, at most."},
	{.name = "budget_day",
		.type = &type_integer,
		.offset = offsetof(struct config_policy, budget_day),
		.low = 1,
		.high = 10000,
		.fallback = "6",
		.help = "The same in a day."},
	{.name = "verify_hold",
		.type = &type_duration,
		.offset = offsetof(struct config_policy, verify_hold_ms),
		.high = DAY_MS,
		.fallback = "30s",
		.help = "The signal must be ok for so long, then the action is verified."},
	{.name = "verify_timeout",
		.type = &type_duration,
		.offset = offsetof(struct config_policy, verify_timeout_ms),
		.low = SECOND_MS,
		.high = 7LL * DAY_MS,
		.fallback = "10m",
		.help = "Not verified by then: the next rung."},
	{.name = "allow_quality",
		.type = &type_boolean,
		.offset = offsetof(struct config_policy, allow_quality),
		.fallback = "false",
		.help = "Lets `mode: auto` act on ScoreDrift, FeatureDrift and PredictionQuality "
			"too."},
};

static const struct config_target *find_target(
	struct reading *reading, const struct config_policy *policy, const struct node *at)
{
	CLEANUP(bytes_done) struct bytes meant = {0};
	const struct config *config = reading->config;
	struct hint hint = {.word = policy->target};

	for (size_t i = 0; i < config->target_count; i++) {
		if (strcmp(config->targets[i].name, policy->target) == 0)
			return &config->targets[i];
		hint_offer(&hint, config->targets[i].name);
	}
	mistake(reading, at, "target: \"%.60s\" is not in targets%s", policy->target,
		hint_text(&hint, &meant));
	return NULL;
}

static void check_rung(struct reading *reading, const struct config_target *target,
	const struct node *at, const char *rung)
{
	CLEANUP(bytes_done) struct bytes meant = {0};
	struct hint hint = {.word = rung};

	if (!*rung || strcmp(rung, page) == 0)
		return;
	for (size_t i = 0; i < target->operation_count; i++) {
		if (strcmp(target->operations[i].name, rung) == 0)
			return;
		hint_offer(&hint, target->operations[i].name);
	}
	hint_offer(&hint, page);
	mistake(reading, at, "ladder: \"%.60s\" is no operation of target \"%.60s\"%s", rung,
		target->name, hint_text(&hint, &meant));
}

static bool is_about_quality(const char *alertname)
{
	return strcmp(alertname, "ScoreDrift") == 0 || strcmp(alertname, "FeatureDrift") == 0 ||
	       strcmp(alertname, "PredictionQuality") == 0;
}

/* Acting on what a model predicts is the operator's word, not a default. */
static void check_quality(
	struct reading *reading, const struct config_policy *policy, const struct node *mapping)
{
	const struct node *mode = node_get(mapping, "mode");

	if (policy->mode != MODE_AUTO || policy->allow_quality)
		return;
	for (size_t i = 0; i < policy->matcher_count; i++) {
		const struct matcher *matcher = &policy->matchers[i];

		if (matcher->kind == MATCH_EQUAL && strcmp(matcher->name, "alertname") == 0 &&
			is_about_quality(matcher->value)) {
			mistake(reading, mode,
				"mode: found \"auto\" for %s, expected observe, propose or "
				"approve, or "
				"allow_quality: true",
				matcher->value);
			return;
		}
	}
}

static void finish_policy(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	struct config_policy *policy = item;
	const struct config_policy *first = reading->config->policies;
	const struct node *ladder = node_get(mapping, "ladder"), *name = node_get(mapping, "name");
	const struct config_target *target = NULL;
	char number[32];

	if (!*policy->name) {
		snprintf(number, sizeof number, "%ld", path->index);
		free(policy->name);
		policy->name = memory_text(number);
	}
	for (const struct config_policy *before = first; before < policy; before++)
		if (strcmp(before->name, policy->name) == 0) {
			mistake(reading, name ? name : mapping,
				"name: \"%s\" is the name of policies[%td] already, expected "
				"another one "
				"for policies[%ld]",
				policy->name, before - first, path->index);
			break;
		}
	if (*policy->target)
		target = find_target(reading, policy, node_get(mapping, "target"));
	/* A ladder that could not be read has kept its default, and its places do not fit. */
	if (target && ladder && ladder->count == policy->ladder_count)
		for (size_t i = 0; i < ladder->count; i++)
			check_rung(reading, target, ladder->values[i], policy->ladder[i]);
	check_quality(reading, policy, mapping);
}

const struct section section_policy = {
	.size = sizeof(struct config_policy), KEYS(policy_keys), .finish = finish_policy};
