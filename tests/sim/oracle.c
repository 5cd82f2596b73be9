/* What must hold at the end of every run, whatever went wrong on the way. */
#include "core/memory.h"
#include "core/topics.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAKE_MAX = 500, HOUR_MS = 3600 * 1000 };

struct verdicts {
	const struct world *world;
	int wrong;
};

static void wrong(struct verdicts *verdicts, const char *format, ...) PRINTF_LIKE(2, 3);

static void wrong(struct verdicts *verdicts, const char *format, ...)
{
	va_list args;

	printf("seed %" PRIu64 ": ", verdicts->world->seed);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	verdicts->wrong++;
}

/* ---- windows and counters: a clean fold of the same log with the marks that the state says */

static enum rc keep_mark(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct bytes *marks = context;

	(void)sequence;
	(void)err;
	bytes_add(marks, data.data, data.size);
	bytes_text(marks, "\n");
	return RC_OK;
}

/* The next mark of the lines if it stands at or before this offset. */
static bool next_mark(const char **lines, int64_t offset, struct mark *mark)
{
	const char *end = strchr(*lines, '\n');
	struct err err;

	if (!end ||
		mark_from_json((struct view){*lines, (size_t)(end - *lines)}, mark, &err) !=
			RC_OK ||
		mark->offset > offset)
		return false;
	*lines = end + 1;
	return true;
}

static void fold_clean(
	const struct world *world, struct ingest *ingest, int32_t number, const char *marks)
{
	const struct log_message *messages;
	struct log_reader *reader;
	struct log_gap gap;
	struct mark mark;
	struct err err;
	size_t count;

	if (log_reader_open(world->log, &reader, &err) != RC_OK ||
		log_assign(reader, EVENT_TOPIC, number, 0, &err) != RC_OK)
		return;
	while (log_take(reader, 0, TAKE_MAX, &messages, &count, &gap, &err) == RC_OK) {
		for (size_t i = 0; i < count; i++) {
			while (next_mark(&marks, messages[i].offset, &mark))
				ingest_mark(ingest, mark.watermark_ms);
			ingest_message(ingest, &messages[i]);
		}
	}
	while (next_mark(&marks, INT64_MAX, &mark))
		ingest_mark(ingest, mark.watermark_ms);
	log_reader_close(reader);
}

static enum rc dump_record(void *context, struct view field, struct view data, struct err *err)
{
	struct bytes *dump = context;

	(void)err;
	bytes_sized(dump, field.data, field.size);
	bytes_sized(dump, data.data, data.size);
	return RC_OK;
}

/* All closed windows of a partition, and its counters. */
static void dump(struct store *store, const struct world *world, const struct fold *fold,
	const struct head *head, struct bytes *out)
{
	struct err err;

	for (int64_t hour = (world->begins_at - HOUR_MS) / HOUR_MS;
		hour <= (world->ends_at + HOUR_MS) / HOUR_MS; hour++) {
		char table[64];

		snprintf(table, sizeof table, "windows:tick:%" PRId64, hour);
		if (store_table(store, fold, head, table, dump_record, out, &err) != RC_OK)
			bytes_text(out, err.text);
	}
	if (store_get(store, fold, head, TABLE_STATE, view_of("counters"), out, &err) != RC_OK)
		bytes_text(out, "no counters");
}

struct reference {
	struct store *store;
	struct fold fold;
	struct head head;
	struct ingest *ingest;
};

static void make_reference(struct verdicts *verdicts, struct reference *reference, int32_t number,
	const struct fold *fold, const char *marks)
{
	const struct world *world = verdicts->world;
	struct change change = {0};
	struct err err;

	reference->store = store_memory_open();
	reference->fold = *fold;
	reference->ingest = ingest_new(&world->config, fold->log, NULL);
	if (store_load(reference->store, fold, &reference->head, ingest_restore, reference->ingest,
		    &err) != RC_OK)
		wrong(verdicts, "%s", err.text);
	fold_clean(world, reference->ingest, number, marks);
	ingest_change(reference->ingest, &change);
	if (store_advance(reference->store, fold, &reference->head, &change, &err) != RC_OK)
		wrong(verdicts, "%s", err.text);
	change_done(&change);
}

static void judge_windows(
	struct verdicts *verdicts, const struct reference *reference, const struct head *head)
{
	const struct world *world = verdicts->world;
	CLEANUP(bytes_done) struct bytes found = {0};
	CLEANUP(bytes_done) struct bytes expected = {0};

	dump(world->store, world, &reference->fold, head, &found);
	dump(reference->store, world, &reference->fold, &reference->head, &expected);
	if (found.size != expected.size || memcmp(found.data, expected.data, found.size) != 0)
		wrong(verdicts, "%s: windows or counters differ from a clean fold: %s against %s",
			reference->fold.log, strstr(found.data + found.size - 300, "{\"kind"),
			strstr(expected.data + expected.size - 300, "{\"kind"));
}

/* ---- findings */

static enum rc judge_close(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct close_record record = {0};

	(void)sequence;
	TRY(close_record_from_blob(data, &record, err));
	detectors_close(context, &record);
	close_record_done(&record);
	return RC_OK;
}

static void add_id(struct map *ids, struct view record, struct verdicts *verdicts)
{
	struct finding finding = {0};
	struct err err;

	if (finding_from_json(record, &finding, &err) != RC_OK) {
		wrong(verdicts, "a record of findings is none: %s", err.text);
		return;
	}
	map_put(ids, finding.id, strlen(finding.id), (void *)(uintptr_t)1);
}

static void expect_findings(
	struct verdicts *verdicts, const struct reference *reference, struct map *expected)
{
	struct detectors *detectors = detectors_new(&verdicts->world->config, reference->fold.log);
	struct change change = {0};
	struct err err;

	detectors_follow(detectors, reference->head.epoch);
	if (store_stream(reference->store, &reference->fold, &reference->head, TABLE_CLOSES, 1,
		    SIZE_MAX, judge_close, detectors, &err) != RC_OK)
		wrong(verdicts, "%s", err.text);
	detectors_change(detectors, &change);
	for (size_t i = 0; i < change.output_count; i++)
		add_id(expected,
			change_view(&change, change.outputs[i].value, change.outputs[i].value_size),
			verdicts);
	change_done(&change);
	detectors_free(detectors);
}

typedef void (*use_record)(struct verdicts *verdicts, void *context, struct view record);

static void each_of_topic(
	struct verdicts *verdicts, const char *topic, use_record use, void *context)
{
	const struct world *world = verdicts->world;
	const struct log_message *messages;
	struct log_reader *reader;
	struct log_gap gap;
	struct err err;
	size_t count;
	char name[256];

	snprintf(name, sizeof name, "%s.%s", world->config.kafka.prefix, topic);
	if (log_reader_open(world->log, &reader, &err) != RC_OK ||
		log_assign(reader, name, 0, 0, &err) != RC_OK)
		return;
	while (log_take(reader, 0, TAKE_MAX, &messages, &count, &gap, &err) == RC_OK)
		for (size_t i = 0; i < count; i++)
			use(verdicts, context, messages[i].value);
	log_reader_close(reader);
}

static void take_id(struct verdicts *verdicts, void *context, struct view record)
{
	add_id(context, record, verdicts);
}

static void judge_findings(struct verdicts *verdicts, const struct map *expected)
{
	struct map found = {0};
	struct map_entry *entry;
	size_t place = 0;

	each_of_topic(verdicts, TOPIC_FINDINGS, take_id, &found);
	while ((entry = map_next(expected, &place)))
		if (!map_get(&found, entry->key, entry->key_size))
			wrong(verdicts, "finding %s was lost", entry->key);
	place = 0;
	/* A life that was taken back may have had marks of its own, and found at other ticks. */
	while (!faulty_store_was_rewound(verdicts->world->store) &&
		(entry = map_next(&found, &place)))
		if (!map_get(expected, entry->key, entry->key_size))
			wrong(verdicts, "finding %s should not be", entry->key);
	map_done(&found);
}

/* ---- people */

static bool was_received(const struct world *world, const char *alert_id)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&world->received, &place)))
		if (strstr(entry->value, alert_id))
			return true;
	return false;
}

static void judge_alert(struct verdicts *verdicts, void *context, struct view record)
{
	struct alert alert = {0};
	struct err err;

	(void)context;
	if (alert_from_json(record, &alert, &err) != RC_OK)
		wrong(verdicts, "a record of alerts is none: %s", err.text);
	else if (alert.state == ALERT_FIRING && !was_received(verdicts->world, alert.id))
		wrong(verdicts, "alert %s (%s) was never told", alert.id, alert.alertname);
	alert_done(&alert);
}

static void judge_executions(struct verdicts *verdicts)
{
	const struct world *world = verdicts->world;
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&world->executed, &place))) {
		const size_t *times = entry->value;

		if (*times > 1)
			wrong(verdicts, "action %s was executed %zu times", entry->key, *times);
	}
}

int judge_world(struct world *world)
{
	struct verdicts verdicts = {.world = world};
	struct map expected = {0};

	for (int32_t p = 0; p < EVENT_PARTITIONS; p++) {
		const struct fold *fold = &world->ingest[0].partitions[p]->fold;
		struct reference reference;
		struct head head;
		struct bytes marks = {0};
		struct err err;

		bytes_text(&marks, "");
		if (store_head(world->store, fold, &head, &err) != RC_OK ||
			store_stream(world->store, fold, &head, TABLE_MARKS, 0, SIZE_MAX, keep_mark,
				&marks, &err) != RC_OK)
			wrong(&verdicts, "%s", err.text);
		make_reference(&verdicts, &reference, p, fold, marks.data);
		judge_windows(&verdicts, &reference, &head);
		expect_findings(&verdicts, &reference, &expected);
		ingest_free(reference.ingest);
		store_close(reference.store);
		bytes_done(&marks);
	}
	judge_findings(&verdicts, &expected);
	each_of_topic(&verdicts, TOPIC_ALERTS, judge_alert, NULL);
	judge_executions(&verdicts);
	/* After a rewind a notification is written anew, from what is known then, under its id. */
	if (world->bodies_changed && !faulty_store_was_rewound(world->store))
		wrong(&verdicts, "a notification came again with another body");
	map_done(&expected);
	return verdicts.wrong;
}
