/* core/config_model.c: models: of the configuration. THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

static const char *const canary_names[] = {"candidate", "stable", NULL};
static const char *const score_names[] = {"probability", "real", NULL};

enum { SECOND_MS = 1000, DAY_MS = 86400000 };

/* tick: a duration that divides a day, so that ticks of all days start alike. */

static bool parse_tick(const struct key *key, const char *text, void *item)
{
	int64_t tick_ms;

	if (!parse_duration(text, &tick_ms) || tick_ms < key->low || tick_ms > key->high ||
		DAY_MS % tick_ms)
		return false;
	*(int64_t *)place_of(key, item) = tick_ms;
	return true;
}

static void read_tick(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	int64_t tick_ms;
	CLEANUP(bytes_done) struct bytes is = {0};

	(void)path;
	if (value->kind == NODE_SCALAR && parse_tick(key, value->text, item))
		return;
	if (value->kind == NODE_SCALAR && parse_duration(value->text, &tick_ms) &&
		tick_ms >= key->low && tick_ms <= key->high) {
		found(value, &is);
		mistake(reading, value,
			"%s: found %s, expected a duration that divides a day, such as 1s, 5s, 1m "
			"or 1h",
			key->name, is.data);
		return;
	}
	refuse(reading, key, value);
}

static void expect_tick(const struct key *key, struct bytes *out)
{
	type_duration.expect(key, out);
}

static const struct type type_tick = {
	.read = read_tick, .parse = parse_tick, .expect = expect_tick, .fill = scalar_fill};

/* severity: {ModelLatency: page} */

static bool accepts_alertname(
	struct reading *reading, const struct node *name, const struct path *path)
{
	(void)path;
	return is_alertname(reading, name, name->text);
}

static void read_severity(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct config_model *model = item;
	struct config_severity severity = {
		.alertname = memory_text(key->name), .severity = memory_text("")};
	struct key named = {.name = key->name,
		.type = &type_name,
		.offset = offsetof(struct config_severity, severity)};

	type_name.read(reading, &named, value, path, &severity);
	model->severities = memory_grow(
		model->severities, model->severity_count + 1, sizeof *model->severities);
	model->severities[model->severity_count++] = severity;
}

static void expect_severity(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a severity such as page or ticket");
}

static void drop_severities(const struct key *key, void *item)
{
	struct config_model *model = item;

	(void)key;
	for (size_t i = 0; i < model->severity_count; i++) {
		free(model->severities[i].alertname);
		free(model->severities[i].severity);
	}
	free(model->severities);
}

static const struct type type_severity = {
	.read = read_severity, .expect = expect_severity, .drop = drop_severities};

static const struct key other_severity = {.name = "ALERTNAME",
	.type = &type_severity,
	.help = "Overrides the severity of this alert for these models."};

static const struct section section_severity = {
	.other = &other_severity, .accepts = accepts_alertname};

static const struct key match_keys[] = {
	{.name = "model",
		.type = &type_text,
		.offset = offsetof(struct config_model, match_model),
		.low = 1,
		.fallback = "*",
		.told = "a name, with * for any text and ? for any letter",
		.help = "Which models the entry is for."},
	{.name = "segment",
		.type = &type_text,
		.offset = offsetof(struct config_model, match_segment),
		.fallback = "*",
		.told = "a name, with * for any text and ? for any letter",
		.help = "Which of their segments; `\"\"` is the events without a segment."},
};

static bool matches_all(const struct config_model *model)
{
	return strcmp(model->match_model, "*") == 0 && strcmp(model->match_segment, "*") == 0;
}

/* A match whose keys are mistakes was not meant to match everything: the entries behind it are
 * fine. */
static void finish_match(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	(void)reading;
	(void)path;
	if (mapping->count && matches_all(item) && !node_get(mapping, "model") &&
		!node_get(mapping, "segment"))
		match_keys[0].type->parse(&(struct key){.offset = match_keys[0].offset}, "", item);
}

static const struct section section_match = {KEYS(match_keys), .finish = finish_match};

static const struct key latency_keys[] = {
	{.name = "p50",
		.type = &type_ratio,
		.offset = offsetof(struct tolerance, latency_p50),
		.fallback = "5%",
		.help = "The median of latency."},
	{.name = "p99",
		.type = &type_ratio,
		.offset = offsetof(struct tolerance, latency_p99),
		.fallback = "25%",
		.help = "Its 99th percentile."},
};

static const struct section section_latency = {KEYS(latency_keys)};

static const struct key class_keys[] = {
	{.name = "abs",
		.type = &type_share,
		.offset = offsetof(struct tolerance, class_abs),
		.fallback = "0.01",
		.high = 1,
		.help = "Difference of a class's share of the answers."},
	{.name = "rel",
		.type = &type_share,
		.offset = offsetof(struct tolerance, class_rel),
		.fallback = "10%",
		.high = 10,
		.help = "The same relative to the share; the larger of both counts."},
};

static const struct section section_class = {KEYS(class_keys)};

static const struct key tolerance_keys[] = {
	{.name = "latency",
		.type = &type_section,
		.section = &section_latency,
		.help = "How much slower is nobody's business."},
	{.name = "errors",
		.type = &type_ratio,
		.offset = offsetof(struct tolerance, errors),
		.fallback = "x1.5",
		.help = "The share of failures."},
	{.name = "score",
		.type = &type_deviations,
		.offset = offsetof(struct tolerance, score_sd),
		.fallback = "0.05sd",
		.help = "A shift of the score, in standard deviations of the reference."},
	{.name = "class",
		.type = &type_section,
		.section = &section_class,
		.help = "A shift of the predicted classes."},
	{.name = "rate",
		.type = &type_ratio,
		.offset = offsetof(struct tolerance, rate),
		.fallback = "6%",
		.help = "The rate of answers."},
};

static const struct section section_tolerance = {KEYS(tolerance_keys)};

static const struct key model_keys[] = {
	{.name = "match",
		.type = &type_section,
		.section = &section_match,
		.help = "Which models the entry is for; left out: all."},
	{.name = "owner",
		.type = &type_text,
		.offset = offsetof(struct config_model, owner),
		.help = "A label of its alerts."},
	{.name = "canary",
		.type = &type_choice,
		.offset = offsetof(struct config_model, canary),
		.choices = canary_names,
		.fallback = "candidate",
		.help = "Whether a canary is on trial, or the yardstick for production. It decides "
			"who is "
			"blamed."},
	{.name = "score",
		.type = &type_choice,
		.offset = offsetof(struct config_model, score),
		.choices = score_names,
		.fallback = "probability",
		.help = "Whether scores lie in [0, 1] or are any real numbers."},
	{.name = "baseline",
		.type = &type_text,
		.offset = offsetof(struct config_model, baseline),
		.help = "The name of a frozen baseline."},
	{.name = "tick",
		.type = &type_tick,
		.offset = offsetof(struct config_model, tick_ms),
		.low = SECOND_MS,
		.high = DAY_MS,
		.fallback = "5s",
		.help = "The time bucket of event time. It divides a day."},
	{.name = "min",
		.type = &type_integer,
		.offset = offsetof(struct config_model, min),
		.low = 1,
		.high = 1000000,
		.fallback = "20",
		.help = "Observations on each side before a comparison steps."},
	{.name = "clear_for",
		.type = &type_integer,
		.offset = offsetof(struct config_model, clear_for),
		.low = 1,
		.high = 100000,
		.fallback = "10",
		.help = "Ticks that a signal must be within its tolerance before its alarm ends."},
	{.name = "silent_after",
		.type = &type_duration,
		.offset = offsetof(struct config_model, silent_after_ms),
		.low = SECOND_MS,
		.high = 30LL * DAY_MS,
		.fallback = "1m",
		.help = "At least so long without events before silence is judged."},
	{.name = "tolerate",
		.type = &type_section,
		.offset = offsetof(struct config_model, tolerate),
		.section = &section_tolerance,
		.help = "What differs by less is nobody's business."},
	{.name = "severity",
		.type = &type_section,
		.section = &section_severity,
		.help = "Overrides of the severity table, by alert name."},
};

/* An entry behind one that matches everything is a slip: somebody's settings never apply. */
static void finish_model(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	const struct config_model *model = item, *first = reading->config->models;

	for (const struct config_model *before = first; before < model; before++)
		if (matches_all(before)) {
			mistake(reading, mapping,
				"models[%ld]: never used, models[%td] matches every model before "
				"it",
				path->index, before - first);
			return;
		}
}

const struct section section_model = {
	.size = sizeof(struct config_model), KEYS(model_keys), .finish = finish_model};

void complete_models(struct config *config)
{
	if (config->model_count && matches_all(&config->models[config->model_count - 1]))
		return;
	config->models =
		memory_grow(config->models, config->model_count + 1, sizeof *config->models);
	config->models[config->model_count] = (struct config_model){0};
	section_fill(&section_model, &config->models[config->model_count++]);
}
