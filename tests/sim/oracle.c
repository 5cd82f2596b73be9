/* What must hold at the end of every run, whatever went wrong on the way. */
#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAKE_MAX = 500, HOUR_MS = 3600 * 1000 };

void wrong(struct world *world, const char *format, ...)
{
	char sentence[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	world->wrong++;
	trace("oracle", "%s", sentence);
	if (!world->limits.quiet)
		printf("seed %" PRIu64 ": %s\n", world->seed, sentence);
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

/* A life that began with a snapshot is compared with what a clean fold makes of the same one. */
static void begin_reference(struct world *world, struct reference *reference)
{
	CLEANUP(change_done) struct change change = {0};
	struct err err;
	enum rc rc = store_head(reference->store, &reference->fold, &reference->head, &err);

	if (rebuilt_from(world, &reference->fold, &change)) {
		world->rebuilds++;
		rc = store_advance(
			reference->store, &reference->fold, &reference->head, &change, &err);
	}
	if (rc == RC_OK || rc == RC_NONE)
		rc = store_load(reference->store, &reference->fold, &reference->head,
			ingest_restore, reference->ingest, &err);
	if (rc != RC_OK)
		wrong(world, "%s", err.text);
}

/* Whatever it began with, every message of the log is in one of its counters. */
static void judge_counters(struct world *world, const struct reference *reference)
{
	const struct ingest_counters *counters = ingest_counters(reference->ingest);
	int64_t sum = counters->counted + counters->late + counters->duplicate + counters->control;

	for (int code = 0; code < E_CODES; code++)
		sum += counters->rejected[code];
	if (sum != (ingest_offset(reference->ingest) < 0 ? 0 : ingest_offset(reference->ingest)))
		wrong(world, "%s: %" PRId64 " messages are counted, expected %" PRId64,
			reference->fold.log, sum, ingest_offset(reference->ingest));
}

static void make_reference(struct world *world, struct reference *reference, int32_t number,
	const struct fold *fold, const char *marks)
{
	struct change change = {0};
	struct err err;

	reference->store = store_memory_open();
	reference->fold = *fold;
	reference->ingest = ingest_new(&world->config, fold->log, NULL);
	begin_reference(world, reference);
	fold_clean(world, reference->ingest, number, marks);
	judge_counters(world, reference);
	ingest_change(reference->ingest, &change);
	if (store_advance(reference->store, fold, &reference->head, &change, &err) != RC_OK)
		wrong(world, "%s", err.text);
	change_done(&change);
}

/* What stands there, in letters. */
static void excerpt(struct view data, size_t from, char text[64])
{
	size_t size = 0;

	for (size_t i = from; i < data.size && size < 63; i++)
		if (data.data[i] >= ' ' && data.data[i] <= '~')
			text[size++] = data.data[i];
	text[size] = '\0';
}

static void tell_difference(
	struct world *world, const char *log, struct view found, struct view expected)
{
	char here[64], there[64];
	size_t at = 0;

	while (at < found.size && at < expected.size && found.data[at] == expected.data[at])
		at++;
	excerpt(found, at < 30 ? 0 : at - 30, here);
	excerpt(expected, at < 30 ? 0 : at - 30, there);
	wrong(world, "%s: windows or counters differ from a clean fold: %s against %s", log, here,
		there);
}

static void judge_windows(
	struct world *world, const struct reference *reference, const struct head *head)
{
	CLEANUP(bytes_done) struct bytes found = {0};
	CLEANUP(bytes_done) struct bytes expected = {0};

	dump(world->store, world, &reference->fold, head, &found);
	dump(reference->store, world, &reference->fold, &reference->head, &expected);
	if (found.size != expected.size || memcmp(found.data, expected.data, found.size) != 0)
		tell_difference(
			world, reference->fold.log, bytes_view(&found), bytes_view(&expected));
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

static void add_id(struct map *ids, struct view record, struct world *world)
{
	struct finding finding = {0};
	struct err err;

	if (finding_from_json(record, &finding, &err) != RC_OK) {
		wrong(world, "a record of findings is none: %s", err.text);
		return;
	}
	map_put(ids, finding.id, strlen(finding.id), (void *)(uintptr_t)1);
}

/* As the fold began: with a snapshot, which then stands right before the reference's records. */
static void begin_detectors(
	struct world *world, const struct fold *fold, struct detectors *detectors)
{
	CLEANUP(change_done) struct change change = {0};
	struct err err;

	if (!rebuilt_from(world, fold, &change))
		return;
	for (size_t i = 0; i < change.write_count; i++) {
		const struct write *write = &change.writes[i];

		if (detectors_restore(detectors,
			    change_view(&change, write->field, write->field_size),
			    change_view(&change, write->data, write->data_size), &err) != RC_OK)
			wrong(world, "%s", err.text);
	}
}

static void expect_findings(struct world *world, const struct reference *reference, int32_t number,
	struct map *expected)
{
	const struct fold *fold = &world->detectors[0].judgings[number]->fold;
	struct detectors *detectors = detectors_new(&world->config, reference->fold.log);
	struct change change = {0};
	struct err err;

	begin_detectors(world, fold, detectors);
	if (store_stream(reference->store, &reference->fold, &reference->head, TABLE_CLOSES, 1,
		    SIZE_MAX, judge_close, detectors, &err) != RC_OK)
		wrong(world, "%s", err.text);
	detectors_change(detectors, &change);
	for (size_t i = 0; i < change.output_count; i++)
		add_id(expected,
			change_view(&change, change.outputs[i].value, change.outputs[i].value_size),
			world);
	change_done(&change);
	detectors_free(detectors);
}

typedef void (*use_message)(struct world *world, void *context, const struct log_message *message);

static void each_of_topic(struct world *world, const char *topic, use_message use, void *context)
{
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
			use(world, context, &messages[i]);
	log_reader_close(reader);
}

static void take_id(struct world *world, void *context, const struct log_message *message)
{
	add_id(context, message->value, world);
}

static void judge_findings(struct world *world, const struct map *expected)
{
	struct map found = {0};
	struct map_entry *entry;
	size_t place = 0;

	each_of_topic(world, TOPIC_FINDINGS, take_id, &found);
	while ((entry = map_next(expected, &place)))
		if (!map_get(&found, entry->key, entry->key_size))
			wrong(world, "finding %s was lost", entry->key);
	place = 0;
	/* A life that was taken back may have had marks of its own, and found at other ticks. */
	while (!faulty_store_was_rewound(world->store) && (entry = map_next(&found, &place)))
		if (!map_get(expected, entry->key, entry->key_size))
			wrong(world, "finding %s should not be", entry->key);
	map_done(&found);
}

/* ---- marks */

struct newest_mark {
	struct mark mark;
	uint64_t sequence;
};

static enum rc take_mark(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct newest_mark *newest = context;

	newest->sequence = sequence;
	return mark_from_json(data, &newest->mark, err);
}

/* A mark says that time went on without an event: so there was none that had not been read. */
static void judge_mark(struct world *world, int32_t number, const struct mark *mark)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	int64_t append_ms;
	struct err err;

	if (log_peek(world->log, EVENT_TOPIC, number, mark->offset, 0, &key, &value, &append_ms,
		    &err) == RC_OK)
		wrong(world,
			"%s: a mark to %" PRId64 " was made at offset %" PRId64
			", and an event lay there unread since %" PRId64,
			mark->log, mark->watermark_ms, mark->offset, append_ms);
}

void judge_marks(struct world *world)
{
	struct store *store = faulty_store_inside(world->store);

	for (int32_t p = 0; p < EVENT_PARTITIONS; p++) {
		const struct fold *fold = &world->ingest[0].partitions[p]->fold;
		bool went_back = world->marks[p].rewinds != world->rewinds;
		uint64_t from = went_back ? 0 : world->marks[p].sequence + 1;
		struct newest_mark newest = {0};
		struct head head;
		struct err err;

		world->marks[p].rewinds = world->rewinds;
		if (store_head(store, fold, &head, &err) != RC_OK)
			continue;
		if (store_stream(store, fold, &head, TABLE_MARKS, from, SIZE_MAX, take_mark,
			    &newest, &err) != RC_OK)
			wrong(world, "%s", err.text);
		if (newest.sequence && !went_back)
			judge_mark(world, p, &newest.mark);
		if (newest.sequence || went_back)
			world->marks[p].sequence = newest.sequence;
	}
}

/* ---- alerts: a clean fold of the findings, each taken in once, in the order of the log */

struct clean_alerts {
	struct alerts *alerts;
	struct store *store;
	struct fold fold;
	struct head head;
	struct map seen;  /* ids of findings */
	struct map lives; /* what the records of alerts may say: record_key() */
};

/* What a record of an alert says of its life. Its annotations depend on how the topics mixed. */
static void record_key(const struct alert *alert, struct bytes *key)
{
	bytes_format(key, "%s %d %" PRId64 " %" PRId64 " %s", alert->id, (int)alert->state,
		alert->updated_at, alert->ends_at, alert->reason);
}

static void keep_life(struct world *world, struct clean_alerts *clean, struct view record)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	struct alert alert = {0};
	struct err err;

	if (alert_from_json(record, &alert, &err) != RC_OK)
		wrong(world, "a record of alerts is none: %s", err.text);
	record_key(&alert, &key);
	map_put(&clean->lives, key.data, key.size, (void *)(uintptr_t)1);
	alert_done(&alert);
}

static void store_clean(struct world *world, struct clean_alerts *clean)
{
	CLEANUP(change_done) struct change change = {0};
	struct err err;

	alerts_change(clean->alerts, &change);
	for (size_t i = 0; i < change.output_count; i++)
		if (view_is(change_view(
				    &change, change.outputs[i].topic, change.outputs[i].topic_size),
			    TOPIC_ALERTS))
			keep_life(world, clean,
				change_view(&change, change.outputs[i].value,
					change.outputs[i].value_size));
	if (store_advance(clean->store, &clean->fold, &clean->head, &change, &err) != RC_OK)
		wrong(world, "%s", err.text);
}

static void fold_finding(struct world *world, void *context, const struct log_message *message)
{
	struct clean_alerts *clean = context;
	struct finding finding = {0};
	struct err err;

	if (finding_from_json(message->value, &finding, &err) != RC_OK)
		return;
	if (map_get(&clean->seen, finding.id, strlen(finding.id)))
		return;
	map_put(&clean->seen, finding.id, strlen(finding.id), (void *)(uintptr_t)1);
	if (alerts_take(clean->alerts, message, 0, &err) != RC_OK)
		wrong(world, "a clean fold refuses a finding: %s", err.text);
	store_clean(world, clean);
}

struct table_of_alerts {
	struct world *world;
	struct map *lives; /* alert id -> its record_key() */
};

static enum rc keep_state(void *context, struct view field, struct view data, struct err *err)
{
	struct table_of_alerts *table = context;
	struct bytes key = {0};
	struct alert alert = {0};

	TRY(alert_from_json(data, &alert, err));
	record_key(&alert, &key);
	map_put(table->lives, field.data, field.size, key.data);
	alert_done(&alert);
	return RC_OK;
}

static void read_alerts(struct world *world, struct store *store, const struct fold *fold,
	const struct head *head, struct map *lives)
{
	struct table_of_alerts table = {world, lives};
	struct err err;

	if (store_table(store, fold, head, TABLE_ALERTS, keep_state, &table, &err) != RC_OK)
		wrong(world, "%s", err.text);
}

static void compare_alerts(struct world *world, const struct map *found, const struct map *expected)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(expected, &place))) {
		const char *life = map_get(found, entry->key, entry->key_size);

		if (!life)
			wrong(world, "alert %s is not there", (const char *)entry->value);
		else if (strcmp(life, entry->value) != 0)
			wrong(world, "alert %s, but a clean fold says %s", life,
				(const char *)entry->value);
	}
	if (found->count > expected->count)
		wrong(world, "%zu alerts, but a clean fold knows %zu", found->count,
			expected->count);
}

static void judge_life(struct world *world, void *context, const struct log_message *message)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	struct map *lives = context;
	struct alert alert = {0};
	struct err err;

	if (alert_from_json(message->value, &alert, &err) != RC_OK) {
		wrong(world, "a record of alerts is none: %s", err.text);
		return;
	}
	record_key(&alert, &key);
	if (!map_get(lives, key.data, key.size))
		wrong(world, "a record of alerts says %s, a clean fold does not", key.data);
	else
		map_put(lives, key.data, key.size, (void *)(uintptr_t)2);
	alert_done(&alert);
}

/* What is left of them as it was put has not been seen in the log. */
static void judge_lost_lives(struct world *world, const struct map *lives)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(lives, &place)))
		if ((uintptr_t)entry->value == 1)
			wrong(world, "the record of alerts was lost that says %.*s",
				(int)entry->key_size, entry->key);
}

static void judge_alerts(struct world *world)
{
	struct clean_alerts clean = {.alerts = alerts_new(&world->config),
		.store = store_memory_open(),
		.fold = world->alerts[0].fold};
	struct map found = {0}, expected = {0};
	struct head head;
	struct err err;

	if (store_load(clean.store, &clean.fold, &clean.head, alerts_restore, clean.alerts, &err) !=
		RC_OK)
		wrong(world, "%s", err.text);
	each_of_topic(world, TOPIC_FINDINGS, fold_finding, &clean);
	read_alerts(world, clean.store, &clean.fold, &clean.head, &expected);
	if (store_head(world->store, &clean.fold, &head, &err) == RC_OK)
		read_alerts(world, world->store, &clean.fold, &head, &found);
	compare_alerts(world, &found, &expected);
	each_of_topic(world, TOPIC_ALERTS, judge_life, &clean.lives);
	judge_lost_lives(world, &clean.lives);
	map_free_values(&found, free);
	map_free_values(&expected, free);
	map_done(&clean.seen);
	map_done(&clean.lives);
	alerts_free(clean.alerts);
	store_close(clean.store);
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

static void judge_alert(struct world *world, void *context, const struct log_message *message)
{
	struct alert alert = {0};
	struct err err;

	(void)context;
	if (alert_from_json(message->value, &alert, &err) == RC_OK && alert.state == ALERT_FIRING &&
		!was_received(world, alert.id))
		wrong(world, "alert %s (%s) was never told", alert.id, alert.alertname);
	alert_done(&alert);
}

/* What a receiver heard under one id. */
struct told_once {
	char group[512];
	int64_t sequence;
	char *alerts; /* "a-...:firing" or "a-...:resolved", each with a space behind it */
};

void judge_reception(struct world *world, const struct notification *notification)
{
	size_t size = strlen(notification->id);
	struct bytes alerts = {0};

	if (map_get(&world->told, notification->id, size))
		return;
	struct told_once *told = memory_new(1, sizeof *told);

	snprintf(told->group, sizeof told->group, "%s", notification->group_key);
	told->sequence = notification->sequence;
	for (size_t i = 0; i < notification->alert_count; i++)
		bytes_format(&alerts, "%s ", notification->alerts[i]);
	told->alerts = alerts.data;
	map_put(&world->told, notification->id, size, told);
}

/* An alert that has ended does not fire again: the next incident has another id. */
static bool fires_again(const struct told_once *before, const struct told_once *after)
{
	const char *at = before->alerts;

	while ((at = strstr(at, ":resolved"))) {
		const char *id = at;
		char firing[ID_SIZE + 16];

		while (id > before->alerts && id[-1] != ' ')
			id--;
		snprintf(firing, sizeof firing, "%.*s:firing", (int)(at - id), id);
		if (strstr(after->alerts, firing))
			return true;
		at++;
	}
	return false;
}

static void compare_told(struct world *world, const struct map_entry *one,
	const struct told_once *a, const struct map_entry *other, const struct told_once *b)
{
	if (strcmp(a->group, b->group) != 0 || a->sequence > b->sequence)
		return;
	if (a->sequence == b->sequence)
		wrong(world, "notifications %s and %s are both number %" PRId64 " of their group",
			one->key, other->key, a->sequence);
	else if (fires_again(a, b))
		wrong(world, "an alert was told as ended (%s), and then as firing (%s)", one->key,
			other->key);
	else if (a->sequence + 1 == b->sequence && strcmp(a->alerts, b->alerts) == 0)
		wrong(world, "the same was told twice, as %s and as %s", one->key, other->key);
}

/* Each notification against each of its group that came before. */
static void judge_told(struct world *world)
{
	struct map_entry **sorted = map_sorted(&world->told);

	for (size_t i = 0; i < world->told.count; i++)
		for (size_t k = 0; k < world->told.count; k++)
			if (i != k && !faulty_store_was_rewound(world->store))
				compare_told(world, sorted[i], sorted[i]->value, sorted[k],
					sorted[k]->value);
	for (size_t i = 0; i < world->told.count; i++)
		free(((struct told_once *)sorted[i]->value)->alerts);
	free(sorted);
}

/* ---- actions */

struct first_intent {
	const char *action_id;
	char token[33]; /* "": there is none */
	int rung;
};

static void find_intent(struct world *world, void *context, const struct log_message *message)
{
	struct first_intent *first = context;
	struct action action = {0};
	struct err err;

	if (action_from_json(message->value, &action, &err) != RC_OK) {
		wrong(world, "a record of actions is none: %s", err.text);
		return;
	}
	if (first->token[0] || action.state != ACTION_INTENT ||
		strcmp(action.id, first->action_id) != 0)
		return;
	memcpy(first->token, action.token, sizeof first->token);
	first->rung = action.rung;
}

static struct first_intent intent_of(struct world *world, const char *action_id)
{
	struct first_intent first = {.action_id = action_id};

	each_of_topic(world, TOPIC_ACTIONS, find_intent, &first);
	return first;
}

void judge_call(struct world *world, const char *action_id, const char *token)
{
	struct first_intent first = intent_of(world, action_id);

	if (!first.token[0])
		wrong(world, "action %s was called before the log had its INTENT", action_id);
	else if (world->blind && strcmp(first.token, token) != 0)
		wrong(world, "action %s was called by one whose INTENT was not the first",
			action_id);
}

/* A run is shorter than the cooldown: one incident may be acted on; its ladder may go on. */
static void judge_executions(struct world *world)
{
	struct map_entry **sorted = map_sorted(&world->executed);
	size_t first_rungs = 0;

	for (size_t i = 0; i < world->executed.count; i++) {
		const size_t *times = sorted[i]->value;

		if (*times > 1)
			wrong(world, "action %s was executed %zu times", sorted[i]->key, *times);
		first_rungs += intent_of(world, sorted[i]->key).rung == 1;
	}
	free(sorted);
	if (first_rungs > 1)
		wrong(world, "the target was acted on for %zu incidents within its cooldown",
			first_rungs);
}

static void judge_partition(struct world *world, int32_t number, struct map *findings)
{
	const struct fold *fold = &world->ingest[0].partitions[number]->fold;
	CLEANUP(bytes_done) struct bytes marks = {0};
	struct reference reference;
	struct head head;
	struct err err;

	bytes_text(&marks, "");
	if (store_head(world->store, fold, &head, &err) != RC_OK ||
		store_stream(world->store, fold, &head, TABLE_MARKS, 0, SIZE_MAX, keep_mark, &marks,
			&err) != RC_OK)
		wrong(world, "%s", err.text);
	make_reference(world, &reference, number, fold, marks.data);
	judge_windows(world, &reference, &head);
	expect_findings(world, &reference, number, findings);
	ingest_free(reference.ingest);
	store_close(reference.store);
}

void judge_world(struct world *world)
{
	struct map findings = {0};

	for (int32_t p = 0; p < EVENT_PARTITIONS; p++)
		judge_partition(world, p, &findings);
	judge_findings(world, &findings);
	judge_alerts(world);
	each_of_topic(world, TOPIC_ALERTS, judge_alert, NULL);
	judge_told(world);
	judge_executions(world);
	/* After a rewind a notification is written anew, from what is known then, under its id. */
	if (world->bodies_changed && !faulty_store_was_rewound(world->store))
		wrong(world, "a notification came again with another body");
	map_done(&findings);
}
