/* The fold of ingest on a store in memory: whatever the batches and restarts, the same log says the
 * same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/close.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ingest/deadletters.h"
#include "ingest/step.h"
#include "ports/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_NAME "ml.events-3"

static char star[] = "*", slow[] = "slow", minute[] = "minute*", none[] = "";

static struct config_model models[] = {
	{.match_model = slow, .match_segment = star, .owner = none, .tick_ms = 60000},
	{.match_model = minute, .match_segment = star, .owner = none, .tick_ms = 1000},
	{.match_model = star, .match_segment = star, .owner = none, .tick_ms = 5000},
};

static struct config a_config(void)
{
	return (struct config){
		.time = {.max_age_ms = 86400000,
			.max_ahead_ms = 300000,
			.lateness_ms = 2000,
			.max_late_ms = 600000},
		.limits = {.event_bytes = 65536,
			.depth = 8,
			.features = 512,
			.classes = 4,
			.models = 3,
			.versions = 2,
			.deadletters_s = 3},
		.models = models,
		.model_count = 3,
	};
}

/* A log to fold: messages and marks. */
struct entry {
	bool is_mark;
	int64_t offset, append_ms; /* of a mark: its watermark */
	struct bytes value;
};
struct input {
	struct entry *entries;
	size_t count;
	int64_t next;
};

static void add(struct input *input, int64_t append_ms, const char *format, ...) PRINTF_LIKE(3, 4);

static void add(struct input *input, int64_t append_ms, const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	input->entries = memory_grow(input->entries, input->count + 1, sizeof *input->entries);
	struct entry *entry = &input->entries[input->count++];

	*entry = (struct entry){.offset = input->next++, .append_ms = append_ms};
	bytes_text(&entry->value, text);
}

static void add_mark(struct input *input, int64_t watermark_ms)
{
	add(input, watermark_ms, "%s", "");
	input->entries[input->count - 1].is_mark = true;
	input->next--;
}

static void input_done(struct input *input)
{
	for (size_t i = 0; i < input->count; i++)
		bytes_done(&input->entries[i].value);
	free(input->entries);
}

/* A fold on its store. */
struct runner {
	const struct config *config;
	struct store *store;
	struct fold fold;
	struct head head;
	struct ingest *ingest;
	struct err err;
};

static void load(struct runner *runner)
{
	ingest_free(runner->ingest);
	runner->ingest = ingest_new(runner->config, LOG_NAME, NULL);
	if (store_load(runner->store, &runner->fold, &runner->head, ingest_restore, runner->ingest,
		    &runner->err) != RC_OK)
		fail_msg("%s", runner->err.text);
}

static struct runner start(const struct config *config)
{
	struct runner runner = {.config = config,
		.store = store_memory_open(),
		.fold = {.service = FOLD_INGEST, .log = LOG_NAME}};

	load(&runner);
	return runner;
}

static void stop(struct runner *runner)
{
	ingest_free(runner->ingest);
	store_close(runner->store);
}

static void step(struct runner *runner)
{
	struct change change = {0};

	ingest_change(runner->ingest, &change);
	if (store_advance(runner->store, &runner->fold, &runner->head, &change, &runner->err) !=
		RC_OK)
		fail_msg("%s", runner->err.text);
	change_done(&change);
}

static void feed(struct runner *runner, const struct entry *entry)
{
	struct log_message message = {.topic = "ml.events",
		.partition = 3,
		.offset = entry->offset,
		.append_ms = entry->append_ms,
		.key = {"k", 1},
		.value = bytes_view(&entry->value)};

	if (entry->is_mark)
		ingest_mark(runner->ingest, entry->append_ms);
	else
		ingest_message(runner->ingest, &message);
}

/* What is in the store, as a text. */

static enum rc show_tick(struct bytes *picture, const struct closed_tick *tick)
{
	bytes_format(picture, "closed %s %" PRId64 " %" PRId64 " at %" PRId64 "\n", tick->model,
		tick->from_ms, tick->to_ms, tick->watermark_ms);
	for (size_t i = 0; i < tick->window_count; i++) {
		window_to_json(&tick->windows[i], picture);
		bytes_text(picture, "\n");
	}
	return RC_OK;
}

static enum rc show_close(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct close_record record;

	assert_int_equal(close_record_from_blob(data, &record, err), RC_OK);
	assert_int_equal(record.sequence, sequence);
	for (size_t i = 0; i < record.tick_count; i++) {
		assert_true(record.ticks[i].watermark_ms >= record.ticks[i].to_ms + 2000);
		assert_true(record.watermark_ms <= record.ticks[i].watermark_ms ||
			    i + 1 < record.tick_count || record.watermark_ms);
		show_tick(context, &record.ticks[i]);
	}
	close_record_done(&record);
	return RC_OK;
}

static enum rc show_text(void *context, uint64_t sequence, struct view data, struct err *err)
{
	(void)sequence;
	(void)err;
	bytes_add(context, data.data, data.size);
	bytes_text(context, "\n");
	return RC_OK;
}

static enum rc show_window(void *context, struct view field, struct view data, struct err *err)
{
	struct window window;

	(void)field;
	assert_int_equal(window_from_blob(data, &window, err), RC_OK);
	window_to_json(&window, context);
	bytes_text(context, "\n");
	window_done(&window);
	return RC_OK;
}

static enum rc show_record(void *context, struct view field, struct view data, struct err *err)
{
	if (view_is(field, "cursor")) /* has the number of close records, which batches decide */
		return RC_OK;
	bytes_add(context, field.data,
		field.size > 5 && !memcmp(field.data, "open:", 5) ? 7 : field.size);
	bytes_text(context, " ");
	if (field.size > 5 && memcmp(field.data, "open:", 5) == 0)
		return show_window(context, field, data, err);
	bytes_add(context, data.data, data.size);
	bytes_text(context, "\n");
	return RC_OK;
}

static enum rc show_output(void *context, const struct outbox_entry *entry, struct err *err)
{
	struct reader reader = reader_of(entry->headers.data, entry->headers.size);

	(void)err;
	bytes_format(context, "output %.*s %.*s %.*s", (int)entry->topic.size, entry->topic.data,
		(int)entry->key.size, entry->key.data, (int)entry->value.size, entry->value.data);
	while (reader.ok && reader.at < reader.end) {
		struct view name = reader_sized(&reader);
		struct view value = reader_sized(&reader);

		bytes_format(context, " %.*s=%.*s", (int)name.size, name.data, (int)value.size,
			value.data);
	}
	bytes_text(context, "\n");
	return RC_OK;
}

static void show_table(struct runner *runner, struct bytes *picture, const char *table, bool blobs)
{
	bytes_format(picture, "== %s\n", table);
	assert_int_equal(store_table(runner->store, &runner->fold, &runner->head, table,
				 blobs ? show_window : show_record, picture, &runner->err),
		RC_OK);
}

static const int64_t base_ms = 1763654400000; /* on a tick of every length up to ten minutes */

static void show(struct runner *runner, struct bytes *picture)
{
	char table[64];

	assert_int_equal(store_stream(runner->store, &runner->fold, &runner->head, TABLE_CLOSES, 1,
				 100000, show_close, picture, &runner->err),
		RC_OK);
	assert_int_equal(store_stream(runner->store, &runner->fold, &runner->head, TABLE_MARKS, 1,
				 100000, show_text, picture, &runner->err),
		RC_OK);
	for (int64_t hour = base_ms / 3600000 - 1; hour < base_ms / 3600000 + 3; hour++) {
		snprintf(table, sizeof table, "windows:tick:%" PRId64, hour);
		show_table(runner, picture, table, true);
	}
	snprintf(table, sizeof table, "windows:1m:%" PRId64, base_ms / 86400000);
	show_table(runner, picture, table, true);
	snprintf(table, sizeof table, "windows:10m:%" PRId64, base_ms / 2592000000);
	show_table(runner, picture, table, true);
	show_table(runner, picture, TABLE_DEADLETTERS, false);
	show_table(runner, picture, TABLE_STATE, false);
	assert_int_equal(store_outbox(runner->store, &runner->fold, &runner->head, "", 100000,
				 show_output, picture, &runner->err),
		RC_OK);
}

/* Folds all of it in steps of so many entries, reading everything back after every so many steps.
 */
static void fold_all(const struct config *config, const struct input *input, size_t batch,
	size_t reload_after, struct bytes *picture)
{
	struct runner runner = start(config);
	size_t steps = 0;

	for (size_t i = 0; i < input->count; i++) {
		feed(&runner, &input->entries[i]);
		if ((i + 1) % batch && i + 1 < input->count)
			continue;
		step(&runner);
		if (reload_after && ++steps % reload_after == 0)
			load(&runner);
	}
	show(&runner, picture);
	stop(&runner);
}

static uint64_t chance;

static int64_t draw(int64_t below)
{
	chance = chance * 6364136223846793005ULL + 1442695040888963407ULL;
	return (int64_t)((chance >> 33) % (uint64_t)below);
}

/* Two hours of everything that can come: three kinds of ticks, late and early events, refusals,
 * holes, marks. */
static struct input a_rough_log(size_t count, uint64_t seed)
{
	static const char *const names[] = {"fraud", "slow", "minute-1", "spam", "x1", "x2", "x3"};
	static const char *const roles[] = {"production", "canary"};
	struct input input = {.next = 100};
	int64_t now = base_ms;

	chance = seed;
	for (size_t i = 0; i < count; i++) {
		const char *model = names[draw(i % 50 ? 4 : 7)];
		const char *role = roles[draw(4) == 0];
		int64_t ts = now - draw(3000);

		now += draw(40) ? draw(900) : draw(400000);
		if (draw(30) == 0)
			input.next += draw(5); /* control records */
		if (draw(12) == 0)
			ts -= draw(1500000);
		if (draw(50) == 0)
			ts += draw(600000);
		switch (draw(12)) {
		case 0:
			add(&input, now,
				"{\"ts\":%" PRId64 ",\"model\":\"%s\",\"type\":\"heartbeat\"}", ts,
				model);
			break;
		case 1:
			add(&input, now,
				"{\"ts\":%" PRId64
				",\"model\":\"%s\",\"request_id\":\"%d\",\"label\":1}",
				ts, model, (int)draw(9));
			break;
		case 2:
			add(&input, now,
				"{\"ts\":%" PRId64
				",\"model\":\"%s\",\"score\":%d,\"role\":\"%s\"}",
				ts, model, (int)draw(3), role);
			break;
		case 3:
			for (int64_t more = draw(6); more >= 0; more--)
				add(&input, now, draw(2) ? "{\"ts\":1" : "[\"%s\"]", model);
			break;
		case 4:
			if (draw(4) == 0)
				add_mark(&input, now + draw(3000));
			break;
		default:
			add(&input, draw(20) ? now : -1,
				"{\"ts\":%" PRId64
				",\"model\":\"%s\",\"version\":\"%d\",\"role\":\"%s\","
				"\"class\":\"c%d\",\"score\":0.%d,\"latency_ms\":%d.5,\"status\":%"
				"d,\"segment\":\"%s\"}",
				ts, model, (int)draw(i % 40 ? 2 : 5), role, (int)draw(6),
				(int)draw(1000), (int)draw(500), draw(9) ? 200 : 500,
				draw(3) ? "" : "eu");
		}
	}
	for (int i = 0; i < 12; i++) /* and something is open at every level in the end */
		add(&input, now + 20000 * i,
			"{\"ts\":%" PRId64 ",\"model\":\"minute-1\",\"status\":200}",
			now + 20000 * i);
	return input;
}

static void compare_ways(uint64_t seed, struct bytes *picture)
{
	static const struct {
		size_t batch, reload_after;
	} ways[] = {{1, 0}, {7, 0}, {4000, 0}, {1, 1}, {3, 5}, {64, 1}};
	struct config config = a_config();
	struct input input = a_rough_log(3000, seed);
	struct bytes pictures[6] = {0};

	for (size_t i = 0; i < 6; i++) {
		fold_all(&config, &input, ways[i].batch, ways[i].reload_after, &pictures[i]);
		if (pictures[i].size != pictures[0].size ||
			memcmp(pictures[i].data, pictures[0].data, pictures[0].size) != 0)
			fail_msg("seed %d: batches of %zu, restarts after %zu steps differ",
				(int)seed, ways[i].batch, ways[i].reload_after);
	}
	bytes_add(picture, pictures[0].data, pictures[0].size);
	for (size_t i = 0; i < 6; i++)
		bytes_done(&pictures[i]);
	input_done(&input);
}

static void batches_and_restarts_never_show(void **state)
{
	struct bytes picture = {0};
	(void)state;

	for (uint64_t seed = 1; seed <= 3; seed++)
		compare_ways(seed, &picture);
	/* The logs have what the test is about. */
	static const char *const wanted[] = {"\"late\"", "E_RANGE", "E_JSON", "E_TYPE", "E_FUTURE",
		"E_CARD_MODEL", "E_CARD_VERSION", "__other__", "\"control\":", "\"kind\":\"mark\"",
		"open:10", "open:1m", "open:ti", "\"rate\"", "output deadletter"};

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (!strstr(picture.data, wanted[i]))
			fail_msg("nothing of %s", wanted[i]);
	bytes_done(&picture);
}

static int64_t number_in(const char *picture, const char *name)
{
	const char *at = strstr(picture, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : INT64_MIN;
}

static void every_offset_is_exactly_one_of_counted_rejected_late_control(void **state)
{
	struct config config = a_config();
	struct input input = a_rough_log(3000, 7);
	struct runner runner = start(&config);
	int64_t total = 0;
	(void)state;

	for (size_t i = 0; i < input.count; i++)
		feed(&runner, &input.entries[i]);
	const struct ingest_counters *counters = ingest_counters(runner.ingest);

	for (int code = 0; code < E_CODES; code++)
		total += counters->rejected[code];
	total += counters->counted + counters->late + counters->duplicate + counters->control;
	assert_true(counters->late > 0 && counters->control > 0 && counters->counted > 0);
	assert_int_equal(total, ingest_offset(runner.ingest) - 100);
	stop(&runner);
	input_done(&input);
}

/* The whole story of a short log, as pictures of closed ticks. */
struct story {
	struct config config;
	struct runner runner;
	struct input input;
	struct bytes picture;
};

static void story_begin(struct story *story)
{
	*story = (struct story){.config = a_config()};
	story->runner = start(&story->config);
}

static void story_tell(struct story *story)
{
	for (size_t i = 0; i < story->input.count; i++)
		feed(&story->runner, &story->input.entries[i]);
	step(&story->runner);
	show(&story->runner, &story->picture);
}

static void story_end(struct story *story)
{
	bytes_done(&story->picture);
	input_done(&story->input);
	stop(&story->runner);
}

static void expect(const struct story *story, const char *text)
{
	if (!strstr(story->picture.data, text))
		fail_msg("no %s in:\n%s", text, story->picture.data);
}

static void refuse(const struct story *story, const char *text)
{
	if (strstr(story->picture.data, text))
		fail_msg("%s in:\n%s", text, story->picture.data);
}

static void answer(struct story *story, int64_t ts, int64_t append_ms)
{
	add(&story->input, append_ms,
		"{\"ts\":%" PRId64 ",\"model\":\"fraud\",\"version\":\"1\",\"status\":200}", ts);
}

static void a_tick_closes_when_the_watermark_passes_its_end_and_the_lateness(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms + 1000, base_ms + 1000);
	answer(&story, base_ms + 6999, base_ms + 6999);
	story_tell(&story);
	refuse(&story, "closed");
	answer(&story, base_ms + 7000, base_ms + 7000);
	story_tell(&story);
	expect(&story,
		"closed fraud 1763654400000 1763654405000 at 1763654407000\n"
		"{\"kind\":\"window\",\"model\":\"fraud\",\"version\":\"1\","
		"\"role\":\"production\",\"segment\":\"\",\"signal\":\"errors\","
		"\"from\":1763654400000,\"to\":1763654405000,\"n\":1,\"bins\":[[\"ok\",1]]}\n"
		"{\"kind\":\"window\",\"model\":\"fraud\",\"version\":\"\","
		"\"role\":\"production\",\"segment\":\"\",\"signal\":\"rate\","
		"\"from\":1763654400000,\"to\":1763654405000,\"n\":1}\n");
	story_end(&story);
}

static void one_event_from_the_future_does_not_close_the_ticks_of_others(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms + 1000, base_ms + 1000);
	answer(&story, base_ms + 200000, base_ms + 1500);
	story_tell(&story);
	refuse(&story, "closed");
	assert_int_equal(ingest_watermark(story.runner.ingest), base_ms + 2500);
	answer(&story, base_ms + 400000, base_ms + 1600); /* beyond max_ahead: refused */
	story_tell(&story);
	expect(&story, "code=E_FUTURE");
	assert_int_equal(ingest_watermark(story.runner.ingest), base_ms + 2500);
	story_end(&story);
}

static void what_comes_after_its_tick_has_closed_counts_in_the_oldest_open_one_and_as_late(
	void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms + 1000, base_ms + 1000);
	answer(&story, base_ms + 13000, base_ms + 13000);
	answer(&story, base_ms + 2000, base_ms + 13000); /* 11 s behind: into [10, 15) */
	answer(&story, base_ms + 25000, base_ms + 25000);
	story_tell(&story);
	expect(&story,
		"\"signal\":\"errors\",\"from\":1763654410000,\"to\":1763654415000,\"n\":2,");
	expect(&story, "\"signal\":\"late\",\"from\":1763654410000,\"to\":1763654415000,\"n\":1,"
		       "\"sum\":11000}");
	assert_int_equal(number_in(story.picture.data, "\"counted\":"), 4);
	story_end(&story);
}

static void what_is_far_too_late_is_counted_as_late_only(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms + 1000000, base_ms + 1000000);
	answer(&story, base_ms + 399999, base_ms + 1000000);
	answer(&story, base_ms + 400000, base_ms + 1000000);
	answer(&story, base_ms + 1000000 - 86400000 - 1, base_ms + 1000000);
	answer(&story, base_ms + 1020000, base_ms + 1020000);
	story_tell(&story);
	assert_int_equal(number_in(story.picture.data, "\"late\":"), 1);
	assert_int_equal(number_in(story.picture.data, "\"counted\":"), 3);
	expect(&story, "\"signal\":\"late\",\"from\":1763655395000,\"to\":1763655400000,\"n\":2,"
		       "\"sum\":1200001}");
	expect(&story, "\"rejected\":{\"E_LATE\":1}");
	story_end(&story);
}

static void labels_and_metrics_are_never_late(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms + 100000, base_ms + 100000);
	add(&story.input, base_ms + 100000,
		"{\"ts\":%" PRId64 ",\"model\":\"fraud\",\"request_id\":\"1\",\"label\":1}",
		base_ms);
	add(&story.input, base_ms + 100000,
		"{\"ts\":%" PRId64 ",\"model\":\"fraud\",\"name\":\"queue\",\"value\":1}", base_ms);
	answer(&story, base_ms + 200000, base_ms + 200000);
	story_tell(&story);
	refuse(&story, "\"signal\":\"late\"");
	expect(&story, "\"types\":{\"prediction\":2,\"label\":1,\"metric\":1}");
	story_end(&story);
}

static void a_heartbeat_makes_an_empty_rate(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	add(&story.input, base_ms,
		"{\"ts\":%" PRId64 ",\"model\":\"fraud\",\"type\":\"heartbeat\"}", base_ms);
	add_mark(&story.input, base_ms + 7000);
	story_tell(&story);
	expect(&story, "closed fraud 1763654400000 1763654405000 at 1763654407000\n"
		       "{\"kind\":\"window\",\"model\":\"fraud\",\"version\":\"\","
		       "\"role\":\"production\",\"segment\":\"\",\"signal\":\"rate\","
		       "\"from\":1763654400000,\"to\":1763654405000,\"n\":0}\n");
	story_end(&story);
}

static void marks_close_ticks_and_never_turn_time_back(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	add_mark(&story.input, base_ms + 900000); /* before any event: nothing to go by */
	answer(&story, base_ms + 1000, base_ms + 1000);
	add_mark(&story.input, base_ms + 500);
	add_mark(&story.input, base_ms + 7000);
	add_mark(&story.input, base_ms + 6000);
	story_tell(&story);
	expect(&story, "closed fraud 1763654400000 1763654405000 at 1763654407000\n");
	expect(&story, "{\"kind\":\"mark\",\"log\":\"ml.events-3\",\"offset\":1,"
		       "\"watermark\":1763654407000}\n== ");
	refuse(&story, "\"watermark\":1763655300000");
	assert_int_equal(ingest_watermark(story.runner.ingest), base_ms + 7000);
	story_end(&story);
}

static void a_mark_alone_is_told_to_detectors(void **state)
{
	struct story story;
	struct bytes picture = {0};
	struct err err;
	struct close_record record;
	struct change change = {0};
	(void)state;

	story_begin(&story);
	answer(&story, base_ms + 1000, base_ms + 1000);
	story_tell(&story);
	ingest_mark(story.runner.ingest, base_ms + 3000);
	assert_true(ingest_wants_step(story.runner.ingest));
	ingest_change(story.runner.ingest, &change);
	for (size_t i = 0; i < change.write_count; i++) {
		const struct write *write = &change.writes[i];
		struct view table = change_view(&change, write->table, write->table_size);

		if (write->kind != WRITE_APPEND || !view_is(table, TABLE_CLOSES))
			continue;
		assert_int_equal(
			close_record_from_blob(
				change_view(&change, write->data, write->data_size), &record, &err),
			RC_OK);
		assert_int_equal(record.tick_count, 0);
		assert_int_equal(record.watermark_ms, base_ms + 3000);
		assert_int_equal(record.offset, 1);
		bytes_text(&picture, "told");
	}
	assert_string_equal(picture.data, "told");
	bytes_done(&picture);
	change_done(&change);
	story_end(&story);
}

static void minutes_and_ten_minutes_have_what_their_ticks_had(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	for (int64_t i = 0; i < 700; i++)
		answer(&story, base_ms + i * 1000, base_ms + i * 1000);
	add_mark(&story.input, base_ms + 2000000);
	story_tell(&story);
	expect(&story,
		"\"signal\":\"errors\",\"from\":1763654400000,\"to\":1763654460000,\"n\":60,");
	expect(&story,
		"\"signal\":\"errors\",\"from\":1763655000000,\"to\":1763655060000,\"n\":60,");
	expect(&story,
		"\"signal\":\"rate\",\"from\":1763654400000,\"to\":1763655000000,\"n\":600}");
	expect(&story,
		"\"signal\":\"rate\",\"from\":1763655000000,\"to\":1763655600000,\"n\":100}");
	refuse(&story, "open:");
	story_end(&story);
}

static void a_tick_of_a_minute_is_its_own_minute(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	add(&story.input, base_ms, "{\"ts\":%" PRId64 ",\"model\":\"slow\",\"class\":\"a\"}",
		base_ms);
	add_mark(&story.input, base_ms + 2000000);
	story_tell(&story);
	size_t times = 0;

	for (const char *at = story.picture.data;
		(at = strstr(
			 at, "\"signal\":\"class\",\"from\":1763654400000,\"to\":1763654460000"));
		at++)
		times++;
	assert_int_equal(times, 3); /* close record, windows:tick, windows:1m */
	expect(&story, "\"signal\":\"class\",\"from\":1763654400000,\"to\":1763655000000,\"n\":1");
	story_end(&story);
}

static void event_of(struct story *story, const char *model, const char *version, int64_t ts)
{
	add(&story->input, ts,
		"{\"ts\":%" PRId64 ",\"model\":\"%s\",\"version\":\"%s\",\"status\":200}", ts,
		model, version);
}

static void unknown_models_make_room_only_after_an_hour_of_silence(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	event_of(&story, "a", "1", base_ms);
	event_of(&story, "b", "1", base_ms + 1);
	event_of(&story, "c", "1", base_ms + 2);
	event_of(&story, "d", "1", base_ms + 3);    /* refused: three are known */
	event_of(&story, "slow", "1", base_ms + 4); /* named by the configuration: always */
	event_of(&story, "minute-7", "1", base_ms + 5);
	event_of(&story, "slow", "1", base_ms + 3600000);
	event_of(&story, "d", "1", base_ms + 3600001); /* a is silent for an hour, not for more */
	event_of(&story, "slow", "1", base_ms + 3600001);
	event_of(&story, "d", "1", base_ms + 3600002);
	story_tell(&story);
	assert_int_equal(number_in(story.picture.data, "\"E_CARD_MODEL\":"), 2);
	refuse(&story, "model:a ");
	expect(&story, "model:d ");
	story_end(&story);
}

static void versions_make_room_likewise(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	event_of(&story, "m", "1", base_ms);
	event_of(&story, "m", "2", base_ms + 1);
	event_of(&story, "m", "3", base_ms + 2);
	event_of(&story, "m", "2", base_ms + 3601000);
	event_of(&story, "m", "3", base_ms + 3601001);
	story_tell(&story);
	expect(&story, "\"rejected\":{\"E_CARD_VERSION\":1}");
	expect(&story, "\"versions\":[{\"version\":\"2\",\"role\":\"production\",\"last_ts\":"
		       "1763658001000},"
		       "{\"version\":\"3\",\"role\":\"production\",\"last_ts\":1763658001001}]");
	story_end(&story);
}

static void refused_messages_reach_the_topic_unchanged_up_to_their_share(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	story.input.next = 40;
	for (int i = 0; i < 5; i++)
		add(&story.input, base_ms + i, "{\"ts\":1,\"model\":\"m\",\"score\":%d.5}", i + 1);
	add(&story.input, base_ms + 1000, "{\"ts\":1,\"model\":\"m\",\"score\":9.5}");
	story_tell(&story);
	expect(&story,
		" {\"ts\":1,\"model\":\"m\",\"score\":1.5} code=E_RANGE stage=range "
		"detail=score: found 1.5, expected 0 to 1; hint: score: real in this model's "
		"configuration byte=20 topic=ml.events partition=3 offset=40 "
		"append=1763654400000 fingerprint=");
	expect(&story, "\"score\":3.5} code");
	refuse(&story, "\"score\":4.5} code");
	expect(&story, "\"score\":9.5} code");
	expect(&story, "\"first_seen\":1763654400000,\"last_seen\":1763654401000,\"total\":6,"
		       "\"samples\":[{\"topic\":\"ml.events\",\"partition\":3,\"offset\":40},");
	story_end(&story);
}

static void payloads_can_be_disguised_or_left_out(void **state)
{
	struct bytes out = {0};
	struct story story;
	(void)state;

	deadletter_disguise(
		view_of("{\"n\\\"ame\":\"Bob 7\",\"x\":-12.5e3,\"y\":[true,null,NaN]} Bob"), &out);
	assert_string_equal(
		out.data, "{\"xxxxxx\":\"xxxx0\",\"x\":-00.0x0,\"x\":[true,null,NaN]} xxx");
	bytes_done(&out);
	story_begin(&story);
	story.config.deadletter_payload = PAYLOAD_NONE;
	add(&story.input, base_ms, "{\"ts\":1,\"model\":\"Bob\",\"score\":\"secret\"}");
	story_tell(&story);
	expect(&story, "  code=E_TYPE");
	refuse(&story, "secret");
	story_end(&story);
}

static void a_new_configuration_takes_effect_with_a_close_record(void **state)
{
	struct story story;
	struct close_record record;
	struct bytes blob = {0};
	struct change change = {0};
	struct err err;
	(void)state;

	story_begin(&story);
	snprintf(story.config.digest, sizeof story.config.digest, "abc");
	answer(&story, base_ms, base_ms);
	feed(&story.runner, &story.input.entries[0]);
	ingest_change(story.runner.ingest, &change);
	for (size_t i = 0; i < change.write_count; i++) {
		const struct write *write = &change.writes[i];

		if (write->kind == WRITE_APPEND)
			bytes_add(&blob, change_view(&change, write->data, write->data_size).data,
				write->data_size);
	}
	assert_int_equal(close_record_from_blob(bytes_view(&blob), &record, &err), RC_OK);
	assert_true(record.configured);
	assert_string_equal(record.config_digest, "abc");
	close_record_done(&record);
	change_done(&change);
	bytes_done(&blob);
	story_end(&story);
}

static void a_changed_tick_keeps_what_was_counted(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms + 1000, base_ms + 1000);
	answer(&story, base_ms + 6000, base_ms + 6000);
	story_tell(&story);
	models[2].tick_ms = 60000;
	load(&story.runner);
	answer(&story, base_ms + 7000, base_ms + 6000);
	feed(&story.runner, &story.input.entries[2]);
	ingest_close_all(story.runner.ingest);
	step(&story.runner);
	models[2].tick_ms = 5000;
	bytes_clear(&story.picture);
	show(&story.runner, &story.picture);
	expect(&story, "\"signal\":\"rate\",\"from\":1763654400000,\"to\":1763654460000,\"n\":3}");
	refuse(&story, "open:");
	story_end(&story);
}

static void a_gap_is_recorded_and_reading_goes_on_behind_it(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms, base_ms);
	story_tell(&story);
	ingest_gap(story.runner.ingest, 1, 50, "retention");
	step(&story.runner);
	load(&story.runner);
	assert_int_equal(ingest_offset(story.runner.ingest), 50);
	story.input.next = 50;
	answer(&story, base_ms + 1, base_ms + 1);
	feed(&story.runner, &story.input.entries[1]);
	step(&story.runner);
	bytes_clear(&story.picture);
	show(&story.runner, &story.picture);
	expect(&story, "\"control\":0");
	expect(&story, "\"gaps\":[{\"from\":1,\"to\":50,\"reason\":\"retention\"}]");
	story_end(&story);
}

static enum rc keep_record(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct close_record *record = context;

	(void)sequence;
	close_record_done(record);
	return close_record_from_blob(data, record, err);
}

/* The newest close record. */
static void last_record(const struct runner *runner, struct close_record *record)
{
	struct err err;

	assert_int_equal(store_stream(runner->store, &runner->fold, &runner->head, TABLE_CLOSES, 1,
				 SIZE_MAX, keep_record, record, &err),
		RC_OK);
}

static void behind_a_gap_ticks_are_whole_from_its_first_event_on(void **state)
{
	struct close_record record = {0};
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms, base_ms);
	story_tell(&story);
	last_record(&story.runner, &record);
	assert_int_equal(record.whole_from_ms, 0);
	ingest_gap(story.runner.ingest, 1, 50, "retention");
	ingest_mark(story.runner.ingest, base_ms + 10000);
	step(&story.runner);
	load(&story.runner);
	last_record(&story.runner, &record);
	assert_true(record.whole_from_ms == INT64_MAX);
	story.input.next = 50;
	answer(&story, base_ms + 40000, base_ms + 40000);
	feed(&story.runner, &story.input.entries[1]);
	step(&story.runner);
	load(&story.runner);
	ingest_mark(story.runner.ingest, base_ms + 60000);
	step(&story.runner);
	last_record(&story.runner, &record);
	assert_int_equal(record.whole_from_ms, base_ms + 40000);
	close_record_done(&record);
	story_end(&story);
}

static void event_time_is_cut_every_quarter_of_what_is_rebuilt(void **state)
{
	struct close_record record = {0};
	struct story story;
	int64_t cuts = 0, quarter = 15000;
	(void)state;

	story_begin(&story);
	story.config.time.rebuild_ms = 4 * quarter;
	answer(&story, base_ms, base_ms);
	story_tell(&story);
	for (int64_t ms = 1000; ms <= 60000; ms += 1000) {
		int64_t now = base_ms + ms;
		bool due = !cuts || now / quarter > (now - 1000) / quarter;

		ingest_mark(story.runner.ingest, now);
		step(&story.runner);
		last_record(&story.runner, &record);

		cuts += due;
		assert_int_equal(record.cut, due ? cuts : 0);
		assert_int_equal(ingest_cut(story.runner.ingest) != NULL, due);
		if (due) {
			load(&story.runner); /* a restart before it was written */
			assert_int_equal(
				ingest_cut(story.runner.ingest)->sequence, record.sequence);
			assert_int_equal(ingest_cut(story.runner.ingest)->number, cuts);
		}
		ingest_cut_taken(story.runner.ingest);
	}
	assert_int_equal(cuts, 5);
	close_record_done(&record);
	story_end(&story);
}

static void after_a_lost_tail_only_what_is_new_counts(void **state)
{
	struct story story;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms, base_ms);
	answer(&story, base_ms + 1, base_ms + 1);
	story_tell(&story);
	ingest_gap(story.runner.ingest, 2, 0, "another log");
	step(&story.runner);
	load(&story.runner);
	story.input.next = 0;
	answer(&story, base_ms, base_ms); /* came before */
	answer(&story, base_ms + 2, base_ms + 2);
	feed(&story.runner, &story.input.entries[2]);
	feed(&story.runner, &story.input.entries[3]);
	step(&story.runner);
	bytes_clear(&story.picture);
	show(&story.runner, &story.picture);
	expect(&story, "\"counted\":3,\"late\":0,\"duplicate\":1,\"control\":0,");
	story_end(&story);
}

static void the_fingerprint_of_the_last_message_comes_back(void **state)
{
	struct story story;
	uint64_t before;
	uint64_t after;
	(void)state;

	story_begin(&story);
	answer(&story, base_ms, base_ms);
	story_tell(&story);
	assert_int_equal(ingest_fingerprint(story.runner.ingest, &before), 0);
	load(&story.runner);
	assert_int_equal(ingest_fingerprint(story.runner.ingest, &after), 0);
	assert_true(before && before == after);
	story_end(&story);
}

static enum rc count_records(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct close_record record;
	int64_t *last = context;

	(void)sequence;
	assert_int_equal(close_record_from_blob(data, &record, err), RC_OK);
	assert_true(record.watermark_ms >= *last);
	/* The record before did not say that this tick had closed. */
	if (record.tick_count)
		assert_true(record.ticks[0].to_ms + 2000 > *last);
	*last = record.watermark_ms;
	assert_true(record.tick_count <= 1 || record.ticks[0].window_count <= 200);
	close_record_done(&record);
	return RC_OK;
}

static void many_windows_are_spread_over_records_whose_watermarks_hold(void **state)
{
	struct story story;
	int64_t last = 0;
	(void)state;

	story_begin(&story);
	for (int model = 0; model < 300; model++)
		add(&story.input, base_ms,
			"{\"ts\":%" PRId64 ",\"model\":\"minute-%03d\",\"status\":200}",
			base_ms + model % 3, model);
	add_mark(&story.input, base_ms + 3000);
	story_tell(&story);
	assert_int_equal(store_stream(story.runner.store, &story.runner.fold, &story.runner.head,
				 TABLE_CLOSES, 1, 1000, count_records, &last, &story.runner.err),
		RC_OK);
	assert_int_equal(last, base_ms + 3000);
	story_end(&story);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_and_restarts_never_show),
		cmocka_unit_test(every_offset_is_exactly_one_of_counted_rejected_late_control),
		cmocka_unit_test(a_tick_closes_when_the_watermark_passes_its_end_and_the_lateness),
		cmocka_unit_test(one_event_from_the_future_does_not_close_the_ticks_of_others),
		cmocka_unit_test(
			what_comes_after_its_tick_has_closed_counts_in_the_oldest_open_one_and_as_late),
		cmocka_unit_test(what_is_far_too_late_is_counted_as_late_only),
		cmocka_unit_test(labels_and_metrics_are_never_late),
		cmocka_unit_test(a_heartbeat_makes_an_empty_rate),
		cmocka_unit_test(marks_close_ticks_and_never_turn_time_back),
		cmocka_unit_test(a_mark_alone_is_told_to_detectors),
		cmocka_unit_test(minutes_and_ten_minutes_have_what_their_ticks_had),
		cmocka_unit_test(a_tick_of_a_minute_is_its_own_minute),
		cmocka_unit_test(unknown_models_make_room_only_after_an_hour_of_silence),
		cmocka_unit_test(versions_make_room_likewise),
		cmocka_unit_test(refused_messages_reach_the_topic_unchanged_up_to_their_share),
		cmocka_unit_test(payloads_can_be_disguised_or_left_out),
		cmocka_unit_test(a_new_configuration_takes_effect_with_a_close_record),
		cmocka_unit_test(a_changed_tick_keeps_what_was_counted),
		cmocka_unit_test(a_gap_is_recorded_and_reading_goes_on_behind_it),
		cmocka_unit_test(behind_a_gap_ticks_are_whole_from_its_first_event_on),
		cmocka_unit_test(event_time_is_cut_every_quarter_of_what_is_rebuilt),
		cmocka_unit_test(after_a_lost_tail_only_what_is_new_counts),
		cmocka_unit_test(the_fingerprint_of_the_last_message_comes_back),
		cmocka_unit_test(many_windows_are_spread_over_records_whose_watermarks_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
