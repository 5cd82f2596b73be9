/* core/config_read.c: documents become one, and the one a configuration; the sections at the top.
 * THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <string.h>

static const char *const payload_names[] = {"full", "redacted", "none", NULL};

enum { SECOND_MS = 1000, HOUR_MS = 3600000, DAY_MS = 86400000 };

/* false_alarms: "1 per 30 days", "2 per week". */

static const struct {
	const char *name, *names;
	int64_t seconds;
} periods[] = {{"hour", "hours", 3600}, {"day", "days", 86400}, {"week", "weeks", 7 * 86400}};

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " ");
}

static bool parse_period(const char *text, double *seconds)
{
	const char *rest = text;
	double number = 1;

	if (*text >= '0' && *text <= '9' && !parse_number(text, &rest, &number))
		return false;
	rest = skip_blanks(rest);
	for (size_t i = 0; i < sizeof periods / sizeof *periods; i++)
		if (strcmp(rest, periods[i].name) == 0 || strcmp(rest, periods[i].names) == 0) {
			*seconds = number * (double)periods[i].seconds;
			return true;
		}
	return false;
}

static bool parse_budget(const struct key *key, const char *text, void *item)
{
	struct config *config = item;
	double number, seconds;
	const char *rest;

	(void)key;
	if (!parse_number(text, &rest, &number) || *rest != ' ')
		return false;
	rest = skip_blanks(rest);
	if (strncmp(rest, "per ", 4) != 0 || !parse_period(skip_blanks(rest + 4), &seconds))
		return false;
	if (number <= 0 || number > 1000000 || seconds < 3600 || seconds > 3650.0 * 86400)
		return false;
	config->false_alarms = number;
	config->false_alarms_per_s = (int64_t)seconds;
	return true;
}

static void expect_budget(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a rate such as 1 per 30 days, 2 per week or 1 per day");
}

static const struct type type_budget = {
	.read = scalar_read, .parse = parse_budget, .expect = expect_budget, .fill = scalar_fill};

static const struct key capacity_keys[] = {
	{.name = "models",
		.type = &type_integer,
		.offset = offsetof(struct config, capacity_models),
		.low = 1,
		.high = 1000000,
		.fallback = "1000",
		.help = "So many models the deployment is for."},
	{.name = "comparisons",
		.type = &type_integer,
		.offset = offsetof(struct config, capacity_comparisons),
		.low = 1,
		.high = 100000,
		.fallback = "60",
		.help = "So many comparisons each."},
};

static const struct key time_keys[] = {
	{.name = "max_age",
		.type = &type_duration_or_off,
		.offset = offsetof(struct config, time.max_age_ms),
		.low = SECOND_MS,
		.high = 3650LL * DAY_MS,
		.fallback = "1d",
		.help = "An event older than this when it was appended is rejected (E_LATE). Off: "
			"for recorded "
			"input."},
	{.name = "max_ahead",
		.type = &type_duration_or_off,
		.offset = offsetof(struct config, time.max_ahead_ms),
		.low = SECOND_MS,
		.high = 3650LL * DAY_MS,
		.fallback = "5m",
		.help = "One newer than this is rejected too (E_FUTURE)."},
	{.name = "lateness",
		.type = &type_duration,
		.offset = offsetof(struct config, time.lateness_ms),
		.high = HOUR_MS,
		.fallback = "2s",
		.help = "A tick closes so long after its end."},
	{.name = "max_late",
		.type = &type_duration,
		.offset = offsetof(struct config, time.max_late_ms),
		.high = DAY_MS,
		.fallback = "10m",
		.help = "An event later than this is counted as late only."},
	{.name = "rebuild",
		.type = &type_duration_or_off,
		.offset = offsetof(struct config, time.rebuild_ms),
		.low = SECOND_MS,
		.high = 30LL * DAY_MS,
		.fallback = "1d",
		.help = "How far back windows are rebuilt after a loss of Redis: a snapshot is "
			"written every quarter of it. Off: as far as the log reaches."},
};

static const struct key limit_keys[] = {
	{.name = "event_bytes",
		.type = &type_size,
		.offset = offsetof(struct config, limits.event_bytes),
		.low = 1 << 10,
		.high = 16 << 20,
		.fallback = "64KiB",
		.help = "Of one event."},
	{.name = "depth",
		.type = &type_integer,
		.offset = offsetof(struct config, limits.depth),
		.low = 1,
		.high = 64,
		.fallback = "8",
		.help = "Of nested objects and arrays in an event."},
	{.name = "features",
		.type = &type_integer,
		.offset = offsetof(struct config, limits.features),
		.low = 1,
		.high = 65536,
		.fallback = "512",
		.help = "Per event."},
	{.name = "classes",
		.type = &type_integer,
		.offset = offsetof(struct config, limits.classes),
		.low = 2,
		.high = 65536,
		.fallback = "256",
		.help = "Per series; further ones count as `__other__`."},
	{.name = "models",
		.type = &type_integer,
		.offset = offsetof(struct config, limits.models),
		.low = 1,
		.high = 1000000,
		.fallback = "1000",
		.help = "That are not configured, per partition; the longest silent one makes "
			"room."},
	{.name = "versions",
		.type = &type_integer,
		.offset = offsetof(struct config, limits.versions),
		.low = 1,
		.high = 1024,
		.fallback = "16",
		.help = "Per model; the longest silent one makes room."},
	{.name = "deadletters",
		.type = &type_integer,
		.offset = offsetof(struct config, limits.deadletters_s),
		.low = 1,
		.high = 100000,
		.fallback = "100",
		.help = "A second and fingerprint that are kept whole; further ones are counted."},
};

static const struct key deadletter_keys[] = {
	{.name = "payload",
		.type = &type_choice,
		.offset = offsetof(struct config, deadletter_payload),
		.choices = payload_names,
		.fallback = "full",
		.help = "What of a rejected event is kept in the dead letters."},
};

static const struct key http_keys[] = {
	{.name = "allow",
		.type = &type_texts,
		.element = &type_network,
		.offset = offsetof(struct config, http_allow),
		.count_offset = offsetof(struct config, http_allow_count),
		.help = "Private networks (loopback too) that webhooks and targets may be in; "
			"public addresses "
			"always may."},
};

#define METRICS(service, which, address)                                                           \
	{                                                                                          \
		.name = (service), .type = &type_listen,                                           \
		.offset = offsetof(struct config, metrics[which]), .fallback = (address),          \
		.help = "`/metrics` of modelwatch-" service "."                                    \
	}

static const struct key listen_keys[] = {
	{.name = "console",
		.type = &type_listen,
		.offset = offsetof(struct config, console),
		.low = 1,
		.fallback = "127.0.0.1:9130",
		.help = "The console: its API, its pages and `/metrics`."},
	METRICS("ingest", SERVICE_INGEST, "127.0.0.1:9131"),
	METRICS("detectors", SERVICE_DETECTORS, "127.0.0.1:9132"),
	METRICS("alerts", SERVICE_ALERTS, "127.0.0.1:9133"),
	METRICS("remediate", SERVICE_REMEDIATE, "127.0.0.1:9134"),
};

static const struct section section_capacity = {KEYS(capacity_keys)};
static const struct section section_time = {KEYS(time_keys)};
static const struct section section_limits = {KEYS(limit_keys)};
static const struct section section_deadletter = {KEYS(deadletter_keys)};
static const struct section section_http = {KEYS(http_keys)};
static const struct section section_listen = {KEYS(listen_keys)};

/* What is referred to stands before what refers to it. */
static const struct key config_keys[] = {
	{.name = "formats",
		.type = &type_section,
		.section = &section_formats,
		.help = "Mappings of somebody else's JSON."},
	{.name = "kafka",
		.type = &type_section,
		.offset = offsetof(struct config, kafka),
		.required = true,
		.section = &section_kafka,
		.help = "The cluster and the event topics."},
	{.name = "redis",
		.type = &type_redis,
		.offset = offsetof(struct config, redis),
		.section = &section_redis,
		.fallback = "redis://localhost:6379",
		.help = "Where the services keep their state."},
	{.name = "false_alarms",
		.type = &type_budget,
		.fallback = "1 per 30 days",
		.help = "How many false alarms of the whole deployment are acceptable."},
	{.name = "capacity",
		.type = &type_section,
		.section = &section_capacity,
		.help = "What false_alarms is shared between; change it rarely, every line depends "
			"on it."},
	{.name = "time",
		.type = &type_section,
		.section = &section_time,
		.help = "How old and how late events may be."},
	{.name = "limits",
		.type = &type_section,
		.section = &section_limits,
		.help = "How much a producer may take."},
	{.name = "deadletter",
		.type = &type_section,
		.section = &section_deadletter,
		.help = "What is kept of rejected events."},
	{.name = "models",
		.type = &type_sections,
		.offset = offsetof(struct config, models),
		.count_offset = offsetof(struct config, model_count),
		.section = &section_model,
		.help = "Settings by model; the first entry that matches holds. A model that "
			"matches none has the "
			"defaults."},
	{.name = "receivers",
		.type = &type_sections,
		.offset = offsetof(struct config, receivers),
		.count_offset = offsetof(struct config, receiver_count),
		.low = 1,
		.required = true,
		.section = &section_receiver,
		.help = "Who is told."},
	{.name = "route",
		.type = &type_section,
		.offset = offsetof(struct config, route),
		.section = &section_route,
		.help = "Which alert goes to whom; left out: all to the first receiver."},
	{.name = "targets",
		.type = &type_sections,
		.offset = offsetof(struct config, targets),
		.count_offset = offsetof(struct config, target_count),
		.section = &section_target,
		.help = "What a remediation acts on."},
	{.name = "policies",
		.type = &type_sections,
		.offset = offsetof(struct config, policies),
		.count_offset = offsetof(struct config, policy_count),
		.section = &section_policy,
		.help = "Which alert is answered by which action."},
	{.name = "http",
		.type = &type_section,
		.section = &section_http,
		.help = "Where calls may go."},
	{.name = "listen",
		.type = &type_section,
		.section = &section_listen,
		.help = "Where the services can be asked."},
};

const struct section section_config = {KEYS(config_keys)};

/* Several documents become one: mappings by key, lists appended, anything else stands once. */
static void merge(struct mistakes *mistakes, struct node *whole, const struct node *part)
{
	for (size_t i = 0; i < part->count; i++) {
		const struct node *key = part->keys[i], *value = part->values[i];
		struct node *there = node_get(whole, key->text);

		if (!there) {
			node_add(whole, node_copy(key), node_copy(value));
		} else if (there->kind == NODE_MAPPING && value->kind == NODE_MAPPING) {
			merge(mistakes, there, value);
		} else if (there->kind == NODE_LIST && value->kind == NODE_LIST) {
			for (size_t entry = 0; entry < value->count; entry++)
				node_add(there, NULL, node_copy(value->values[entry]));
		} else {
			mistakes_add(mistakes, key->file, key->line, key->column,
				"%.60s: given twice, first in %s:%d:%d", key->text, there->file,
				there->line, there->column);
		}
	}
}

static struct node *merge_all(
	const struct node *const *documents, size_t document_count, struct mistakes *mistakes)
{
	struct node *whole = NULL;

	for (size_t i = 0; i < document_count; i++) {
		const struct node *document = documents[i];
		CLEANUP(bytes_done) struct bytes is = {0};

		found(document, &is);
		if (document->kind == NODE_MAPPING && whole)
			merge(mistakes, whole, document);
		else if (document->kind == NODE_MAPPING)
			whole = node_copy(document);
		else
			mistakes_add(mistakes, document->file, document->line, document->column,
				"found %s, expected a mapping of kafka, models, receivers and so "
				"on",
				is.data);
	}
	if (!whole)
		whole = node_new(
			NODE_MAPPING, document_count ? documents[0]->file : "configuration", 1, 1);
	return whole;
}

static void complete_kafka(struct config_kafka *kafka)
{
	if (!kafka->replication)
		kafka->replication = strchr(kafka->brokers, ',') ? 3 : 1;
}

enum rc config_read(const struct node *const *documents, size_t document_count, load_secret load,
	void *context, struct config *config, struct mistakes *mistakes)
{
	struct node *whole = merge_all(documents, document_count, mistakes);
	struct reading reading = {
		.config = config, .mistakes = mistakes, .load = load, .context = context};
	const struct path top = {.index = -1};

	*config = (struct config){0};
	section_fill(&section_config, config);
	section_read(&reading, &section_config, whole, &top, config);
	node_free(whole);
	complete_kafka(&config->kafka);
	complete_models(config);
	complete_route(config);
	return mistakes->count ? RC_FATAL : RC_OK;
}
