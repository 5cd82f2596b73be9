/* The detectors' fold over close records that were made up: windows drawn from known laws with a
 * generator of fixed seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/map.h"
#include "core/memory.h"
#include "detectors/step.h"
#include "detectors/tally.h"
#include "detectors/traffic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 5000, FINDINGS_MAX = 64 };

#define START_MS 1763654400000

/* ---- chance with a fixed seed */

static uint64_t seed;

static double uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* ---- windows of one arm in one tick */

struct arm {
	const char *role, *version, *segment;
	int n;
	double latency;   /* median in ms; log-sd 0.3; 0: no latency */
	double tail;      /* share of latencies that are four times as long */
	double failing;   /* share */
	double score;     /* mean, sd 0.1; 0: no score */
	double nan;       /* share of scores that are none */
	double fraud;     /* share of a class; 0: no classes */
	const char *rare; /* a third class, 2 % */
};

static struct window *new_window(struct closed_tick *tick, const struct arm *arm,
	const char *version, const char *signal, enum layout layout)
{
	struct window *window;

	tick->windows = memory_grow(tick->windows, tick->window_count + 1, sizeof *tick->windows);
	window = &tick->windows[tick->window_count++];
	*window = (struct window){.from_ms = tick->from_ms, .to_ms = tick->to_ms, .layout = layout};
	view_copy(view_of(tick->model), window->series.model, NAME_SIZE);
	view_copy(view_of(version), window->series.version, NAME_SIZE);
	view_copy(view_of(arm->role), window->series.role, NAME_SIZE);
	view_copy(view_of(arm->segment ? arm->segment : ""), window->series.segment, NAME_SIZE);
	view_copy(view_of(signal), window->series.signal, SIGNAL_SIZE);
	return window;
}

static void add_classes(struct closed_tick *tick, const struct arm *arm)
{
	struct window *window = new_window(tick, arm, arm->version, "class", LAYOUT_NAMES);

	for (int i = 0; i < arm->n; i++) {
		const char *name = uniform() < arm->fraud ? "fraud" : "fine";

		if (arm->rare && uniform() < 0.02)
			name = arm->rare;
		window_count_name(window, view_of(name), 1, 256);
	}
}

static void add_arm(struct closed_tick *tick, const struct arm *arm)
{
	struct window *window;

	if (arm->n == 0)
		return;
	if (arm->latency > 0) {
		window = new_window(tick, arm, arm->version, "latency", LAYOUT_LATENCY);
		for (int i = 0; i < arm->n; i++) {
			double times = arm->tail > 0 && uniform() < arm->tail ? 4 : 1;
			double ms = times * arm->latency * exp(0.3 * normal());

			window_count(window, layout_bin(LAYOUT_LATENCY, ms), 1);
		}
	}
	window = new_window(tick, arm, arm->version, "errors", LAYOUT_RESULT);
	for (int i = 0; i < arm->n; i++)
		window_count(window, uniform() < arm->failing, 1);
	window = new_window(tick, arm, "", "rate", LAYOUT_COUNT);
	window_count(window, 0, (uint64_t)arm->n);
	if (arm->score > 0) {
		window = new_window(tick, arm, arm->version, "score", LAYOUT_PROBABILITY);
		for (int i = 0; i < arm->n; i++) {
			double score = fmin(fmax(arm->score + 0.1 * normal(), 0), 1);

			window_count(window,
				layout_bin(LAYOUT_PROBABILITY, uniform() < arm->nan ? NAN : score),
				1);
		}
	}
	if (arm->fraud > 0)
		add_classes(tick, arm);
}

static int by_series(const void *a, const void *b)
{
	return series_compare(
		&((const struct window *)a)->series, &((const struct window *)b)->series);
}

/* ---- a fold with its store */

struct fold {
	struct config config;
	struct config_model model;
	struct detectors *detectors;
	struct map state, verdicts; /* field -> struct bytes * */
	struct bytes log;           /* findings, a line each */
	struct finding findings[FINDINGS_MAX];
	size_t finding_count;
	uint64_t sequence;
	int64_t now_ms;
	int64_t whole_from_ms; /* of the records that are folded */ /* start of the next tick */
	struct close_record record; /* ticks that wait for fold_close() */
	size_t batch;               /* ticks in a record; 0: one */
	bool restoring;             /* a new fold for each record */
};

static void free_bytes(void *value)
{
	bytes_done(value);
	free(value);
}

static void map_write(struct map *map, struct view field, const struct view *data)
{
	void *old = map_take(map, field.data, field.size);

	if (old)
		free_bytes(old);
	if (data) {
		struct bytes *bytes = memory_new(1, sizeof *bytes);

		bytes_add(bytes, data->data, data->size);
		map_put(map, field.data, field.size, bytes);
	}
}

static void store(struct fold *fold, const struct change *change)
{
	for (size_t i = 0; i < change->write_count; i++) {
		const struct write *write = &change->writes[i];
		struct view table = change_view(change, write->table, write->table_size);
		struct view field = change_view(change, write->field, write->field_size);
		struct view data = change_view(change, write->data, write->data_size);
		struct map *map = table.size == 5 && memcmp(table.data, "state", 5) == 0
					  ? &fold->state
				  : table.size == 8 && memcmp(table.data, "verdicts", 8) == 0
					  ? &fold->verdicts
					  : NULL;

		if (map)
			map_write(map, field, write->kind == WRITE_PUT ? &data : NULL);
	}
	for (size_t i = 0; i < change->output_count; i++) {
		const struct output *output = &change->outputs[i];
		struct view value = change_view(change, output->value, output->value_size);
		struct err err;

		bytes_add(&fold->log, value.data, value.size);
		bytes_text(&fold->log, "\n");
		assert_true(fold->finding_count < FINDINGS_MAX);
		assert_int_equal(
			finding_from_json(value, &fold->findings[fold->finding_count++], &err),
			RC_OK);
	}
}

static void reopen(struct fold *fold)
{
	struct map_entry **sorted = map_sorted(&fold->state);
	struct err err;

	detectors_free(fold->detectors);
	fold->detectors = detectors_new(&fold->config, "test-0");
	for (size_t i = 0; i < fold->state.count; i++) {
		struct bytes *data = sorted[i]->value;
		struct view field = {sorted[i]->key, sorted[i]->key_size};

		assert_int_equal(
			detectors_restore(fold->detectors, field, bytes_view(data), &err), RC_OK);
	}
	free(sorted);
}

static struct fold *fold_new(void)
{
	static char any[] = "*";
	struct fold *fold = memory_new(1, sizeof *fold);

	fold->model = (struct config_model){.match_model = any,
		.match_segment = any,
		.tick_ms = TICK_MS,
		.min = 20,
		.clear_for = 10,
		.silent_after_ms = 60000,
		.tolerate = {.latency_p50 = 1.05,
			.latency_p99 = 1.25,
			.errors = 1.5,
			.score_sd = 0.05,
			.class_abs = 0.01,
			.class_rel = 0.1,
			.rate = 1.06}};
	fold->config = (struct config){.models = &fold->model,
		.model_count = 1,
		.false_alarms = 1,
		.false_alarms_per_s = 30 * 86400,
		.capacity_models = 1000,
		.capacity_comparisons = 60,
		.time = {.lateness_ms = 2000},
		.limits = {.classes = 256}};
	fold->detectors = detectors_new(&fold->config, "test-0");
	detectors_follow(fold->detectors, "e1", NULL);
	fold->now_ms = START_MS;
	seed = 20261101;
	return fold;
}

static void fold_free(struct fold *fold)
{
	close_record_done(&fold->record);
	detectors_free(fold->detectors);
	map_free_values(&fold->state, free_bytes);
	map_free_values(&fold->verdicts, free_bytes);
	bytes_done(&fold->log);
	free(fold);
}

/* Folds what waits as one record whose watermark has come so far. */
static void fold_close(struct fold *fold, int64_t watermark_ms)
{
	struct change change = {0};

	fold->record.sequence = ++fold->sequence;
	fold->record.watermark_ms = watermark_ms;
	fold->record.whole_from_ms = fold->whole_from_ms;
	detectors_close(fold->detectors, &fold->record);
	close_record_done(&fold->record);
	detectors_change(fold->detectors, &change);
	store(fold, &change);
	change_done(&change);
	if (fold->restoring)
		reopen(fold);
}

static void tick_of(struct fold *fold, const char *model, const struct arm *arms, size_t count)
{
	struct close_record *record = &fold->record;

	record->ticks = memory_grow(record->ticks, record->tick_count + 1, sizeof *record->ticks);
	struct closed_tick *tick = &record->ticks[record->tick_count++];

	*tick = (struct closed_tick){.from_ms = fold->now_ms,
		.to_ms = fold->now_ms + TICK_MS,
		.watermark_ms = fold->now_ms + TICK_MS + 2000};
	view_copy(view_of(model), tick->model, NAME_SIZE);
	for (size_t i = 0; i < count; i++)
		add_arm(tick, &arms[i]);
	if (tick->window_count)
		qsort(tick->windows, tick->window_count, sizeof *tick->windows, by_series);
}

static void run(struct fold *fold, int ticks, const struct arm *arms, size_t count)
{
	for (int i = 0; i < ticks; i++) {
		tick_of(fold, "fraud", arms, count);
		fold->now_ms += TICK_MS;
		if (fold->record.tick_count >= (fold->batch ? fold->batch : 1))
			fold_close(fold, fold->now_ms + 2000);
	}
}

#define RUN(fold, ticks, ...)                                                                      \
	run(fold, ticks, (const struct arm[]){__VA_ARGS__},                                        \
		sizeof((const struct arm[]){__VA_ARGS__}) / sizeof(struct arm))

/* Event time passes without events. */
static void idle(struct fold *fold, int ticks)
{
	for (int i = 0; i < ticks; i++) {
		fold->now_ms += TICK_MS;
		fold_close(fold, fold->now_ms + 2000);
	}
}

/* The last finding of a verdict of this signal and detector, or NULL. */
static const struct finding *found(
	const struct fold *fold, const char *detector, const char *signal, enum verdict verdict)
{
	for (size_t i = fold->finding_count; i-- > 0;) {
		const struct finding *finding = &fold->findings[i];

		if (finding->verdict == verdict && strcmp(finding->detector, detector) == 0 &&
			strcmp(finding->series.signal, signal) == 0)
			return finding;
	}
	return NULL;
}

static void verdict_is(struct fold *fold, const char *key, const char *verdict)
{
	const struct bytes *json = map_get(&fold->verdicts, key, strlen(key));
	char expected[64];

	snprintf(expected, sizeof expected, "\"verdict\":\"%s\"", verdict);
	if (!json || !strstr(json->data, expected))
		fail_msg("%s: expected %s, found %s", key, verdict, json ? json->data : "nothing");
}

#define PRODUCTION(...)                                                                            \
	{                                                                                          \
		.role = "production", .version = "v1", __VA_ARGS__                                 \
	}
#define CANARY(...)                                                                                \
	{                                                                                          \
		.role = "canary", .version = "v2", __VA_ARGS__                                     \
	}

static void a_slower_candidate_is_blamed_within_a_minute(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 200, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 20));
	assert_int_equal(fold->finding_count, 0);
	verdict_is(fold, "arms|latency|fraud||canary|v2", "ok");
	int64_t change_ms = fold->now_ms;

	RUN(fold, 12, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 30));
	const struct finding *alarm = found(fold, "arms", "latency", VERDICT_ALARM);

	assert_non_null(alarm);
	assert_string_equal(alarm->series.role, "canary");
	assert_string_equal(alarm->series.version, "v2");
	assert_string_equal(alarm->against, "production");
	assert_in_range(alarm->since_ms, change_ms - 3 * TICK_MS, change_ms + 3 * TICK_MS);
	assert_true(alarm->evidence.log_e >= alarm->evidence.line);
	assert_true(alarm->evidence.line > 24 && alarm->evidence.line < 25);
	assert_string_equal(alarm->evidence.effect.name, "p50 ratio");
	assert_true(alarm->evidence.effect.value > 1.35 && alarm->evidence.effect.value < 1.65);
	assert_true(alarm->evidence.n_arm >= 25 && alarm->evidence.n_reference >= 100);
	assert_string_equal(alarm->evidence.values[0].name, "p50");
	assert_true(fabs(alarm->evidence.values[0].arm - 30) < 3);
	assert_true(fabs(alarm->evidence.values[0].reference - 20) < 2);
	assert_in_range(alarm->evidence.moved_count, 1, 4);
	assert_non_null(strstr(alarm->evidence.moved[0].what, "latency"));
	assert_int_equal(alarm->evidence.span_to_ms, alarm->ts);
	/* Nothing else moved, and the role that is not blamed has no finding. */
	for (size_t i = 0; i < fold->finding_count; i++)
		assert_string_equal(fold->findings[i].series.role, "canary");
	fold_free(fold);
}

static void a_slower_production_is_blamed_against_a_stable_canary(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	fold->model.canary = CANARY_STABLE;
	RUN(fold, 100, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 20));
	RUN(fold, 12, PRODUCTION(.n = 100, .latency = 30), CANARY(.n = 25, .latency = 20));
	const struct finding *alarm = found(fold, "arms", "latency", VERDICT_ALARM);

	assert_non_null(alarm);
	assert_string_equal(alarm->series.role, "production");
	assert_string_equal(alarm->series.version, "v1");
	assert_string_equal(alarm->against, "canary");
	assert_string_equal(alarm->evidence.arm, "production");
	fold_free(fold);
}

static void an_alarm_becomes_actionable_and_says_so_once(void **state)
{
	struct fold *fold = fold_new();
	size_t actionable = 0;

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 20));
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 30));
	for (size_t i = 0; i < fold->finding_count; i++) {
		assert_int_equal(fold->findings[i].verdict, VERDICT_ALARM);
		actionable += fold->findings[i].actionable;
	}
	assert_int_equal(actionable, 1);
	assert_in_range(fold->finding_count, 1, 2);
	fold_free(fold);
}

static void a_slow_tail_alone_is_enough(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20),
		CANARY(.n = 50, .latency = 20, .tail = 0.04));
	const struct finding *alarm = found(fold, "arms", "latency", VERDICT_ALARM);

	assert_non_null(alarm);
	assert_string_equal(alarm->evidence.effect.name, "p99 ratio");
	assert_true(alarm->evidence.effect.value > 1.25);
	assert_non_null(strstr(alarm->evidence.moved[0].what, "above the"));
	fold_free(fold);
}

static void a_faster_candidate_is_no_alarm(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20, .failing = 0.05),
		CANARY(.n = 50, .latency = 20, .failing = 0.05));
	RUN(fold, 200, PRODUCTION(.n = 100, .latency = 20, .failing = 0.05),
		CANARY(.n = 50, .latency = 10, .failing = 0.01));
	assert_int_equal(fold->finding_count, 0);
	fold_free(fold);
}

static void a_difference_within_tolerance_is_suspected_at_most(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 200, PRODUCTION(.n = 1000, .latency = 20), CANARY(.n = 1000, .latency = 20.6));
	assert_int_equal(fold->finding_count, 0);
	verdict_is(fold, "arms|latency|fraud||canary|v2", "suspected");
	fold_free(fold);
}

static void two_equal_arms_never_alarm_and_end_ok(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	fold->batch = 10;
	RUN(fold, 4000,
		PRODUCTION(.n = 60, .latency = 20, .failing = 0.01, .score = 0.4, .fraud = 0.1,
			.rare = "odd"),
		CANARY(.n = 30, .latency = 20, .failing = 0.01, .score = 0.4, .fraud = 0.1,
			.rare = "odd"));
	assert_string_equal(fold->log.data ? fold->log.data : "", "");
	verdict_is(fold, "arms|latency|fraud||canary|v2", "ok");
	verdict_is(fold, "arms|errors|fraud||canary|v2", "ok");
	verdict_is(fold, "arms|score|fraud||canary|v2", "ok");
	verdict_is(fold, "arms|class|fraud||canary|v2", "ok");
	verdict_is(fold, "cuts|latency|fraud||production|", "ok");
	verdict_is(fold, "bernoulli|errors|fraud||production|", "ok");
	verdict_is(fold, "counts|rate|fraud||production|", "ok");
	verdict_is(fold, "silence|rate|fraud||production|", "ok");
	fold_free(fold);
}

static void failures_scores_and_classes_are_told_apart(void **state)
{
	static const struct {
		const char *signal, *effect;
		struct arm good, bad;
		double low, high;
	} cases[] = {
		{"errors", "failure ratio", CANARY(.n = 50, .failing = 0.01),
			CANARY(.n = 50, .failing = 0.2), 5, 60},
		{"score", "mean shift (sd)", CANARY(.n = 50, .score = 0.4),
			CANARY(.n = 50, .score = 0.5), 0.5, 1.5},
		{"score", "share without a number", CANARY(.n = 50, .score = 0.4),
			CANARY(.n = 50, .score = 0.4, .nan = 0.3), 0.2, 0.5},
		{"class", "share difference", CANARY(.n = 50, .fraud = 0.1),
			CANARY(.n = 50, .fraud = 0.4), 0.2, 0.5},
		{"class", "share difference", CANARY(.n = 50, .fraud = 0.1),
			CANARY(.n = 50, .fraud = 0.1,
				.rare = "\xc3\xbc"
					"ber"),
			0.01, 0.06},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fold *fold = fold_new();
		struct arm production = cases[i].good;

		production.role = "production";
		production.version = "v1";
		production.n = 100;
		RUN(fold, 60, production, cases[i].good);
		assert_int_equal(fold->finding_count, 0);
		RUN(fold, 60, production, cases[i].bad);
		const struct finding *alarm = found(fold, "arms", cases[i].signal, VERDICT_ALARM);

		if (!alarm)
			fail_msg("case %zu: no alarm", i);
		const struct evidence *evidence = &alarm->evidence;

		assert_string_equal(evidence->effect.name, cases[i].effect);
		assert_true(fabs(evidence->effect.value) > cases[i].low);
		assert_true(fabs(evidence->effect.value) < cases[i].high);
		for (size_t k = 0; k < fold->finding_count; k++)
			assert_string_equal(fold->findings[k].series.signal, cases[i].signal);
		fold_free(fold);
	}
}

static void an_alarm_ends_when_the_data_are_within_tolerance_again(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 30));
	assert_null(found(fold, "arms", "latency", VERDICT_OK));
	RUN(fold, 120, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	const struct finding *ok = found(fold, "arms", "latency", VERDICT_OK);

	assert_non_null(ok);
	assert_string_equal(ok->reason, "within tolerance");
	size_t count = fold->finding_count;

	RUN(fold, 200, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	assert_int_equal(fold->finding_count, count);
	verdict_is(fold, "arms|latency|fraud||canary|v2", "ok");
	fold_free(fold);
}

static void production_alone_is_judged_against_its_history(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 300, PRODUCTION(.n = 100, .latency = 20, .failing = 0.01));
	assert_int_equal(fold->finding_count, 0);
	RUN(fold, 12, PRODUCTION(.n = 100, .latency = 30, .failing = 0.01));
	const struct finding *slow = found(fold, "cuts", "latency", VERDICT_ALARM);

	assert_non_null(slow);
	assert_string_equal(slow->series.version, "");
	assert_string_equal(slow->against, "history");
	assert_true(slow->evidence.effect.value > 1.35 && slow->evidence.effect.value < 1.65);
	assert_true(slow->evidence.n_reference > 10000);
	assert_null(found(fold, "bernoulli", "errors", VERDICT_ALARM));
	RUN(fold, 12, PRODUCTION(.n = 100, .latency = 30, .failing = 0.2));
	const struct finding *failing = found(fold, "bernoulli", "errors", VERDICT_ALARM);

	assert_non_null(failing);
	assert_true(failing->evidence.effect.value > 5);
	assert_true(fabs(failing->evidence.values[0].arm - 0.2) < 0.1);
	RUN(fold, 120, PRODUCTION(.n = 100, .latency = 20, .failing = 0.01));
	assert_non_null(found(fold, "cuts", "latency", VERDICT_OK));
	assert_non_null(found(fold, "bernoulli", "errors", VERDICT_OK));
	fold_free(fold);
}

/* A change of version alone is none of history's business. */
static void a_release_of_equal_speed_is_no_news(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 200, PRODUCTION(.n = 100, .latency = 20));
	RUN(fold, 200, {.role = "production", .version = "v2", .n = 100, .latency = 20});
	assert_int_equal(fold->finding_count, 0);
	verdict_is(fold, "cuts|latency|fraud||production|", "ok");
	fold_free(fold);
}

static void a_drop_of_the_rate_is_seen_and_its_end_too(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 300, PRODUCTION(.n = 100));
	int64_t change_ms = fold->now_ms;

	RUN(fold, 12, PRODUCTION(.n = 50));
	const struct finding *alarm = found(fold, "counts", "rate", VERDICT_ALARM);

	assert_non_null(alarm);
	assert_true(alarm->ts <= change_ms + 12 * TICK_MS);
	assert_true(fabs(alarm->evidence.effect.value - 0.5) < 0.1);
	assert_true(fabs(alarm->evidence.values[0].arm - 50) < 5);
	RUN(fold, 200, PRODUCTION(.n = 100));
	const struct finding *ok = found(fold, "counts", "rate", VERDICT_OK);

	assert_non_null(ok);
	assert_string_equal(ok->reason, "within tolerance");
	fold_free(fold);
}

static void a_rate_that_stays_is_the_new_level_after_an_hour(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	fold->batch = 50;
	RUN(fold, 300, PRODUCTION(.n = 100));
	RUN(fold, 800, PRODUCTION(.n = 150));
	const struct finding *ok = found(fold, "counts", "rate", VERDICT_OK);

	assert_non_null(found(fold, "counts", "rate", VERDICT_ALARM));
	assert_non_null(ok);
	assert_string_equal(ok->reason, "new level");
	size_t count = fold->finding_count;

	RUN(fold, 400, PRODUCTION(.n = 150));
	assert_int_equal(fold->finding_count, count);
	verdict_is(fold, "counts|rate|fraud||production|", "ok");
	fold_free(fold);
}

static void silence_is_an_alarm_until_there_are_events_again(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 100, PRODUCTION(.n = 20));
	int64_t last_ms = fold->now_ms;

	idle(fold, 11);
	assert_int_equal(fold->finding_count, 0);
	idle(fold, 3);
	assert_int_equal(fold->finding_count, 1);
	const struct finding *alarm = found(fold, "silence", "rate", VERDICT_ALARM);

	assert_non_null(alarm);
	assert_int_equal(alarm->ts, last_ms + 60000);
	assert_int_equal(alarm->since_ms, last_ms);
	assert_true(alarm->evidence.effect.value == 60);
	assert_true(alarm->actionable);
	idle(fold, 50);
	assert_int_equal(fold->finding_count, 1);
	RUN(fold, 1, PRODUCTION(.n = 20));
	const struct finding *ok = found(fold, "silence", "rate", VERDICT_OK);

	assert_non_null(ok);
	assert_string_equal(ok->reason, "events again");
	assert_int_equal(ok->ts, fold->now_ms);
	fold_free(fold);
}

/* Ticks that end at one moment come by model: nobody is silent before all of them were seen. */
static void the_tick_that_ends_when_silence_is_due_is_in_time(void **state)
{
	struct fold *fold = fold_new();
	const struct arm arm = PRODUCTION(.n = 20);

	(void)state;
	for (int i = 0; i < 200; i++) {
		tick_of(fold, "early", &arm, 1);
		if (i < 100 || i >= 111)
			tick_of(fold, "fraud", &arm, 1);
		fold->now_ms += TICK_MS;
		fold_close(fold, fold->now_ms + 2000);
	}
	assert_int_equal(fold->finding_count, 0);
	fold_free(fold);
}

/* No idle mark told of it: the next tick does. */
static void a_silence_that_is_over_when_it_is_seen_is_told_with_its_times(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 100, PRODUCTION(.n = 20));
	int64_t last_ms = fold->now_ms;

	fold->now_ms += 60 * TICK_MS;
	RUN(fold, 1, PRODUCTION(.n = 20));
	assert_int_equal(fold->finding_count, 2);
	assert_int_equal(fold->findings[0].verdict, VERDICT_ALARM);
	assert_int_equal(fold->findings[0].ts, last_ms + 60000);
	assert_int_equal(fold->findings[1].verdict, VERDICT_OK);
	fold_free(fold);
}

static void rare_events_are_not_called_silent_too_soon(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	for (int i = 0; i < 150; i++) {
		RUN(fold, 1, PRODUCTION(.n = 1));
		idle(fold, 1 + i % 60);
	}
	idle(fold, 60);
	assert_int_equal(fold->finding_count, 0);
	idle(fold, 2000);
	assert_int_equal(fold->finding_count, 1);
	fold_free(fold);
}

static void a_rolled_back_version_is_superseded_and_its_successor_proves_itself(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	fold->model.canary = CANARY_STABLE;
	RUN(fold, 60, {.role = "production", .version = "v2", .n = 100, .latency = 20},
		{.role = "canary", .version = "v1", .n = 25, .latency = 20});
	RUN(fold, 30, {.role = "production", .version = "v2", .n = 100, .latency = 30},
		{.role = "canary", .version = "v1", .n = 25, .latency = 20});
	assert_non_null(found(fold, "arms", "latency", VERDICT_ALARM));
	RUN(fold, 40, {.role = "production", .version = "v1", .n = 100, .latency = 20},
		{.role = "canary", .version = "v1", .n = 25, .latency = 20});
	const struct finding *superseded = found(fold, "arms", "latency", VERDICT_SUPERSEDED);

	assert_non_null(superseded);
	assert_string_equal(superseded->series.version, "v2");
	assert_string_equal(superseded->replaced_by, "v1");
	assert_string_equal(superseded->reason, "");
	const struct finding *ok = found(fold, "arms", "latency", VERDICT_OK);

	assert_non_null(ok);
	assert_string_equal(ok->series.version, "v1");
	assert_string_equal(ok->reason, "successor within tolerance");
	assert_true(ok->ts > superseded->ts);
	assert_null(map_get(&fold->verdicts, "arms|latency|fraud||production|v2",
		strlen("arms|latency|fraud||production|v2")));
	fold_free(fold);
}

static void a_canary_that_is_taken_away_is_superseded_by_nothing(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 20));
	RUN(fold, 30, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 30));
	RUN(fold, 40, PRODUCTION(.n = 100, .latency = 20));
	const struct finding *superseded = found(fold, "arms", "latency", VERDICT_SUPERSEDED);

	assert_non_null(superseded);
	assert_string_equal(superseded->series.version, "v2");
	assert_string_equal(superseded->replaced_by, "");
	assert_null(found(fold, "arms", "latency", VERDICT_OK));
	fold_free(fold);
}

static void a_successor_that_is_no_better_alarms_in_its_turn(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 20));
	RUN(fold, 30, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 30));
	RUN(fold, 40, PRODUCTION(.n = 100, .latency = 20),
		{.role = "canary", .version = "v3", .n = 25, .latency = 32});
	const struct finding *alarm = found(fold, "arms", "latency", VERDICT_ALARM);

	assert_string_equal(found(fold, "arms", "latency", VERDICT_SUPERSEDED)->replaced_by, "v3");
	assert_string_equal(alarm->series.version, "v3");
	assert_null(found(fold, "arms", "latency", VERDICT_OK));
	fold_free(fold);
}

static void a_release_of_production_leaves_the_alarm_of_a_candidate_open(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 20));
	RUN(fold, 30, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 30));
	size_t count = fold->finding_count;

	RUN(fold, 100, {.role = "production", .version = "v1b", .n = 100, .latency = 20},
		CANARY(.n = 25, .latency = 30));
	verdict_is(fold, "arms|latency|fraud||canary|v2", "alarm");
	assert_in_range(fold->finding_count, count, count + 1); /* it may become actionable */
	RUN(fold, 100, {.role = "production", .version = "v1b", .n = 100, .latency = 20},
		CANARY(.n = 25, .latency = 20));
	verdict_is(fold, "arms|latency|fraud||canary|v2", "ok");
	fold_free(fold);
}

static void a_model_without_a_tick_for_a_month_is_forgotten(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 25, .latency = 20));
	fold->now_ms += 29 * 86400000LL;
	idle(fold, 1);
	assert_true(fold->state.count > 1);
	fold->now_ms += 2 * 86400000LL;
	idle(fold, 1);
	assert_int_equal(fold->state.count, 1); /* the cursor */
	assert_int_equal(fold->verdicts.count, 0);
	assert_int_equal(detectors_counts(fold->detectors).models, 0);
	assert_non_null(found(fold, "silence", "rate", VERDICT_SUPERSEDED));
	fold_free(fold);
}

static void all_models_without_a_tick_for_a_month_are_forgotten_and_no_other(void **state)
{
	const struct arm few = PRODUCTION(.n = 1);
	struct fold *fold = fold_new();

	(void)state;
	for (int i = 0; i < 300; i++) {
		char name[8];

		snprintf(name, sizeof name, "m%d", i);
		tick_of(fold, name, &few, 1);
	}
	fold->now_ms += TICK_MS;
	fold_close(fold, fold->now_ms + 2000);
	fold->now_ms += 20 * 86400000LL;
	for (int i = 0; i < 300; i += 3) {
		char name[8];

		snprintf(name, sizeof name, "m%d", i);
		tick_of(fold, name, &few, 1);
	}
	fold->now_ms += TICK_MS;
	fold_close(fold, fold->now_ms + 2000);
	fold->now_ms += 15 * 86400000LL;
	idle(fold, 1);
	assert_int_equal(detectors_counts(fold->detectors).models, 100);
	for (int i = 0; i < 300; i++) {
		char field[16];

		snprintf(field, sizeof field, "model:m%d", i);
		assert_int_equal(!!map_get(&fold->state, field, strlen(field)), i % 3 == 0);
	}
	fold_free(fold);
}

/* Segments, two models and all that may happen, in 400 ticks. */
static void eventful(struct fold *fold)
{
	for (int i = 0; i < 400; i++) {
		bool bad = i >= 150 && i < 220;
		bool silent = i >= 300 && i < 330;
		const struct arm arms[] = {
			{.role = "production",
				.version = i < 260 ? "v1" : "v3",
				.n = silent ? 0 : 60,
				.latency = 20,
				.failing = 0.02,
				.score = 0.4,
				.fraud = 0.2},
			{.role = "canary",
				.version = i < 240 ? "v2" : "v3",
				.n = silent ? 0 : 30,
				.latency = bad ? 32 : 20,
				.failing = bad ? 0.2 : 0.02,
				.score = bad ? 0.6 : 0.4,
				.fraud = bad ? 0.5 : 0.2,
				.rare = i > 100 ? "new" : NULL},
			{.role = "production",
				.version = "v1",
				.segment = "eu",
				.n = silent ? 0 : 9,
				.latency = 20},
			{.role = "canary",
				.version = i < 240 ? "v2" : "v3",
				.segment = "eu",
				.n = silent ? 0 : 5,
				.latency = bad ? 60 : 20},
		};

		if (!silent)
			tick_of(fold, "fraud", arms, 4);
		if (i % 3 == 0)
			tick_of(fold, "other", arms + 2, 2);
		fold->now_ms += TICK_MS;
		if (i % (int)(fold->batch ? fold->batch : 1) == 0)
			fold_close(fold, fold->now_ms + 2000);
	}
	fold_close(fold, fold->now_ms + 2000);
}

static void same_records(const struct map *a, const struct map *b)
{
	struct map_entry **left = map_sorted(a);
	struct map_entry **right = map_sorted(b);

	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct bytes *x = left[i]->value;
		const struct bytes *y = right[i]->value;

		assert_string_equal(left[i]->key, right[i]->key);
		if (strcmp(left[i]->key, "cursor") == 0)
			continue;
		if (x->size != y->size || memcmp(x->data, y->data, x->size) != 0)
			fail_msg("%s differs", left[i]->key);
	}
	free(left);
	free(right);
}

static void restarts_change_nothing(void **state)
{
	struct fold *one = fold_new();
	struct fold *many;

	(void)state;
	eventful(one);
	many = fold_new();
	many->restoring = true;
	eventful(many);
	assert_true(one->finding_count > 8);
	assert_non_null(found(one, "arms", "latency", VERDICT_SUPERSEDED));
	assert_non_null(found(one, "silence", "rate", VERDICT_ALARM));
	assert_string_equal(one->log.data, many->log.data);
	same_records(&one->state, &many->state);
	same_records(&one->verdicts, &many->verdicts);
	fold_free(one);
	fold_free(many);
}

static void how_ticks_are_spread_over_records_changes_nothing(void **state)
{
	struct fold *one = fold_new();

	(void)state;
	eventful(one);
	for (size_t batch = 2; batch <= 50; batch *= 5) {
		struct fold *other = fold_new();

		other->batch = batch;
		eventful(other);
		assert_string_equal(one->log.data, other->log.data);
		same_records(&one->state, &other->state);
		fold_free(other);
	}
	fold_free(one);
}

static void a_record_is_folded_once_and_a_lost_one_is_counted(void **state)
{
	struct fold *fold = fold_new();
	struct close_record record = {.sequence = 1, .watermark_ms = START_MS};
	struct detectors_counts counts;

	(void)state;
	detectors_close(fold->detectors, &record);
	detectors_close(fold->detectors, &record);
	assert_int_equal(detectors_counts(fold->detectors).records, 1);
	assert_int_equal(detectors_next(fold->detectors), 2);
	record.sequence = 7;
	detectors_close(fold->detectors, &record);
	counts = detectors_counts(fold->detectors);
	assert_int_equal(counts.gaps, 1);
	assert_int_equal(counts.records_lost, 5);
	assert_int_equal(detectors_next(fold->detectors), 8);
	fold_free(fold);
}

static void lost_records_are_no_silence(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 100, PRODUCTION(.n = 20));
	fold->sequence += 1000;
	fold->now_ms += 1000 * TICK_MS;
	RUN(fold, 10, PRODUCTION(.n = 20));
	assert_int_equal(fold->finding_count, 0);
	fold_free(fold);
}

/* What a gap in the log took is missing in the windows of that time. */
static void ticks_with_a_hole_judge_nothing(void **state)
{
	(void)state;
	for (int hole = 0; hole <= 1; hole++) {
		struct fold *fold = fold_new();

		RUN(fold, 400, PRODUCTION(.n = 200));
		fold->whole_from_ms = hole ? INT64_MAX : 0; /* no event has come behind it */
		RUN(fold, 40, PRODUCTION(.n = 20));
		fold->whole_from_ms = hole ? fold->now_ms : 0;
		RUN(fold, 40, PRODUCTION(.n = 200));
		assert_int_equal(fold->finding_count > 0, !hole);
		fold_free(fold);
	}
}

static void behind_the_cut_that_ingest_came_back_with_a_new_life_goes_on(void **state)
{
	struct fold *fold = fold_new();
	struct cut cut = {.epoch = "e1", .number = 1};

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	cut.sequence = fold->sequence;
	assert_false(detectors_follow(fold->detectors, "e2", &cut));
	assert_int_equal(detectors_next(fold->detectors), fold->sequence + 1);
	RUN(fold, 1, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	cut.epoch[1] = '2';
	assert_true(detectors_follow(fold->detectors, "e3", &cut)); /* not behind it any more */
	assert_int_equal(detectors_next(fold->detectors), 1);
	fold_free(fold);
}

static void a_cut_is_passed_on_with_the_state_behind_its_record(void **state)
{
	struct fold *fold = fold_new();
	struct close_record record = {.sequence = 1, .watermark_ms = START_MS, .cut = 4};

	(void)state;
	assert_null(detectors_cut(fold->detectors));
	detectors_close(fold->detectors, &record);
	assert_int_equal(detectors_cut(fold->detectors)->number, 4);
	assert_int_equal(detectors_cut(fold->detectors)->sequence, 1);
	assert_string_equal(detectors_cut(fold->detectors)->epoch, "e1");
	detectors_cut_taken(fold->detectors);
	assert_null(detectors_cut(fold->detectors));
	fold_free(fold);
}

static void a_new_life_of_ingest_starts_at_its_first_record(void **state)
{
	struct fold *fold = fold_new();

	(void)state;
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	RUN(fold, 20, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 30));
	assert_non_null(found(fold, "arms", "latency", VERDICT_ALARM));
	assert_false(detectors_follow(fold->detectors, "e1", NULL));
	assert_true(detectors_follow(fold->detectors, "e2", NULL));
	assert_int_equal(detectors_next(fold->detectors), 1);
	assert_int_equal(detectors_counts(fold->detectors).gaps, 1);
	fold->sequence = 0;
	/* The alarm is still known, and ends when it is over. */
	assert_int_equal(detectors_counts(fold->detectors).verdicts[VERDICT_ALARM], 1);
	RUN(fold, 60, PRODUCTION(.n = 100, .latency = 20), CANARY(.n = 50, .latency = 20));
	assert_non_null(found(fold, "arms", "latency", VERDICT_OK));
	fold_free(fold);
}

static void sparse_traffic_is_judged_slowly(void **state)
{
	struct fold *fold = fold_new();
	bool alarmed = false;
	int day = 0;

	(void)state;
	fold->model.silent_after_ms = 90000000;
	for (; day < 10 && !alarmed; day++) {
		for (int i = 0; i < 50; i++) {
			fold->now_ms = START_MS + (day * 50 + i) * 345 * (int64_t)TICK_MS;
			if (i % 6 == 0)
				RUN(fold, 1, CANARY(.n = 1, .latency = 60));
			RUN(fold, 1, PRODUCTION(.n = 1, .latency = 20));
		}
		alarmed = found(fold, "arms", "latency", VERDICT_ALARM) != NULL;
	}
	assert_true(alarmed);
	fold_free(fold);
}

static void damaged_records_are_refused(void **state)
{
	struct fold *fold = fold_new();
	struct err err;

	(void)state;
	RUN(fold, 40, PRODUCTION(.n = 60, .latency = 20, .fraud = 0.1),
		CANARY(.n = 30, .latency = 20, .fraud = 0.1));
	struct map_entry **sorted = map_sorted(&fold->state);

	for (size_t i = 0; i < fold->state.count; i++) {
		const struct bytes *data = sorted[i]->value;
		struct view field = {sorted[i]->key, sorted[i]->key_size};

		for (size_t size = 0; size < data->size; size++) {
			struct detectors *fresh = detectors_new(&fold->config, "test-0");
			char *cut = memory_copy(data->data, size);

			assert_int_equal(
				detectors_restore(fresh, field, (struct view){cut, size}, &err),
				RC_FATAL);
			free(cut);
			detectors_free(fresh);
		}
	}
	free(sorted);
	assert_int_equal(detectors_restore(fold->detectors, view_of("nonsense"), view_of(""), &err),
		RC_FATAL);
	assert_non_null(strstr(err.text, "nonsense"));
	fold_free(fold);
}

static void records_that_no_fold_wrote_are_refused(void **state)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes model = {0};
	CLEANUP(bytes_done) struct bytes bins = {0};
	struct reader in;
	struct tally tally = {0};
	struct traffic traffic = {0};
	struct fold *fold = fold_new();
	struct err err;

	(void)state;
	/* The name of a model is too long. */
	bytes_text(&field, "model:");
	for (int i = 0; i < NAME_SIZE; i++)
		bytes_text(&field, "m");
	bytes_varint(&model, 1);
	bytes_zigzag(&model, START_MS);
	traffic_write(&traffic, &model);
	assert_int_equal(
		detectors_restore(fold->detectors, bytes_view(&field), bytes_view(&model), &err),
		RC_FATAL);
	field.size--;
	assert_int_equal(
		detectors_restore(fold->detectors, bytes_view(&field), bytes_view(&model), &err),
		RC_OK);
	/* A bin lies further from the one before than numbers reach. */
	bytes_varint(&bins, 2);
	bytes_zigzag(&bins, -49);
	bytes_varint(&bins, 1);
	bytes_zigzag(&bins, INT64_MIN);
	bytes_varint(&bins, 1);
	in = reader_of(bins.data, bins.size);
	tally_read(&tally, &in);
	assert_false(in.ok);
	tally_done(&tally);
	fold_free(fold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slower_candidate_is_blamed_within_a_minute),
		cmocka_unit_test(a_slower_production_is_blamed_against_a_stable_canary),
		cmocka_unit_test(an_alarm_becomes_actionable_and_says_so_once),
		cmocka_unit_test(a_slow_tail_alone_is_enough),
		cmocka_unit_test(a_faster_candidate_is_no_alarm),
		cmocka_unit_test(a_difference_within_tolerance_is_suspected_at_most),
		cmocka_unit_test(two_equal_arms_never_alarm_and_end_ok),
		cmocka_unit_test(failures_scores_and_classes_are_told_apart),
		cmocka_unit_test(an_alarm_ends_when_the_data_are_within_tolerance_again),
		cmocka_unit_test(production_alone_is_judged_against_its_history),
		cmocka_unit_test(a_release_of_equal_speed_is_no_news),
		cmocka_unit_test(a_drop_of_the_rate_is_seen_and_its_end_too),
		cmocka_unit_test(a_rate_that_stays_is_the_new_level_after_an_hour),
		cmocka_unit_test(silence_is_an_alarm_until_there_are_events_again),
		cmocka_unit_test(the_tick_that_ends_when_silence_is_due_is_in_time),
		cmocka_unit_test(a_silence_that_is_over_when_it_is_seen_is_told_with_its_times),
		cmocka_unit_test(rare_events_are_not_called_silent_too_soon),
		cmocka_unit_test(
			a_rolled_back_version_is_superseded_and_its_successor_proves_itself),
		cmocka_unit_test(a_canary_that_is_taken_away_is_superseded_by_nothing),
		cmocka_unit_test(a_successor_that_is_no_better_alarms_in_its_turn),
		cmocka_unit_test(a_release_of_production_leaves_the_alarm_of_a_candidate_open),
		cmocka_unit_test(a_model_without_a_tick_for_a_month_is_forgotten),
		cmocka_unit_test(all_models_without_a_tick_for_a_month_are_forgotten_and_no_other),
		cmocka_unit_test(restarts_change_nothing),
		cmocka_unit_test(how_ticks_are_spread_over_records_changes_nothing),
		cmocka_unit_test(a_record_is_folded_once_and_a_lost_one_is_counted),
		cmocka_unit_test(lost_records_are_no_silence),
		cmocka_unit_test(ticks_with_a_hole_judge_nothing),
		cmocka_unit_test(behind_the_cut_that_ingest_came_back_with_a_new_life_goes_on),
		cmocka_unit_test(a_cut_is_passed_on_with_the_state_behind_its_record),
		cmocka_unit_test(a_new_life_of_ingest_starts_at_its_first_record),
		cmocka_unit_test(sparse_traffic_is_judged_slowly),
		cmocka_unit_test(damaged_records_are_refused),
		cmocka_unit_test(records_that_no_fold_wrote_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
