/* ctl/replay.c: the whole pipeline over recorded events, without Kafka or Redis: the same steps as
 * the services, wired to memory. Records go to stdout, one JSON object a line; progress to stderr.
 */
#include "alerts/step.h"
#include "core/close.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ctl/commands.h"
#include "ctl/recording.h"
#include "ctl/summary.h"
#include "detectors/step.h"
#include "ingest/step.h"
#include "ports/clock.h"
#include "ports/config_file.h"
#include "ports/log.h"
#include "ports/outbox.h"
#include "ports/store.h"
#include "remediate/step.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_MESSAGES = 2000, PARTITIONS_MAX = 256, PROGRESS_MS = 200, TAPS = 3 };

/* One partition of the event topic: its ingest and its detectors. */
struct partition {
	struct fold ingest_fold, detectors_fold;
	struct head ingest_head, detectors_head;
	struct ingest *ingest;
	struct detectors *detectors;
	struct outbox *outbox; /* of the detectors; dead letters of ingest are counted, not kept */
	uint64_t next_close;
};

struct replay {
	struct config config;
	const char *config_path, *marks_path;
	bool print_windows, print_verdicts;
	int32_t partition_count;
	struct recording *recording;
	struct store *store;
	struct log *log;
	struct log_writer *writer;
	struct log_reader *events, *findings, *alerts_topics, *taps;
	struct partition partitions[PARTITIONS_MAX];
	struct fold alerts_fold, remediate_fold;
	struct head alerts_head, remediate_head;
	struct alerts *alerts;
	struct remediate *remediate;
	struct outbox *alerts_outbox, *remediate_outbox;
	char topic[256], names[TAPS][256];
	int64_t event_time; /* of the newest watermark: the clock of alerts and would-be actions */
	uint64_t lines;
	int64_t started_at, shown_at;
};

static const char *const tapped[TAPS] = {TOPIC_FINDINGS, TOPIC_ALERTS, TOPIC_ACTIONS};

static void say(struct view record)
{
	fwrite(record.data, 1, record.size, stdout);
	putchar('\n');
}

/* ---- opening */

static enum rc load_fold(struct replay *replay, const struct fold *fold, struct head *head,
	store_record restore, void *into, struct err *err)
{
	return store_load(replay->store, fold, head, restore, into, err);
}

static enum rc open_partition(struct replay *replay, int32_t number, struct err *err)
{
	struct partition *partition = &replay->partitions[number];
	char *log_name = partition->ingest_fold.log;

	partition->ingest_fold.service = FOLD_INGEST;
	partition->detectors_fold.service = FOLD_DETECTORS;
	snprintf(log_name, LOG_NAME_SIZE, "%s-%d", replay->topic, (int)number);
	memcpy(partition->detectors_fold.log, log_name, LOG_NAME_SIZE);
	partition->ingest = ingest_new(&replay->config, log_name, NULL);
	partition->detectors = detectors_new(&replay->config, log_name);
	partition->outbox = outbox_open(replay->store, &partition->detectors_fold, replay->writer,
		replay->config.kafka.prefix);
	partition->next_close = 1;
	TRY(load_fold(replay, &partition->ingest_fold, &partition->ingest_head, ingest_restore,
		partition->ingest, err));
	TRY(load_fold(replay, &partition->detectors_fold, &partition->detectors_head,
		detectors_restore, partition->detectors, err));
	struct log_topic topic = {.name = replay->topic, .partitions = replay->partition_count};

	if (number == 0 && log_create(replay->log, &topic, 0, err) == RC_FATAL)
		return RC_FATAL;
	return log_assign(replay->events, replay->topic, number, 0, err);
}

static enum rc open_topics(struct replay *replay, struct err *err)
{
	for (int i = 0; i < TAPS; i++) {
		struct log_topic topic = {.name = replay->names[i], .partitions = 1};

		snprintf(replay->names[i], sizeof replay->names[i], "%s.%s",
			replay->config.kafka.prefix, tapped[i]);
		if (log_create(replay->log, &topic, 0, err) == RC_FATAL)
			return RC_FATAL;
		TRY(log_assign(replay->taps, replay->names[i], 0, 0, err));
	}
	TRY(log_assign(replay->findings, replay->names[0], 0, 0, err));
	TRY(log_assign(replay->alerts_topics, replay->names[1], 0, 0, err));
	return log_assign(replay->alerts_topics, replay->names[2], 0, 0, err);
}

static enum rc open_people(struct replay *replay, struct err *err)
{
	const char *prefix = replay->config.kafka.prefix;

	replay->alerts_fold = (struct fold){FOLD_ALERTS, FOLD_ALERTS};
	replay->remediate_fold = (struct fold){FOLD_REMEDIATE, FOLD_REMEDIATE};
	replay->alerts = alerts_new(&replay->config);
	replay->remediate = remediate_new(&replay->config);
	replay->alerts_outbox =
		outbox_open(replay->store, &replay->alerts_fold, replay->writer, prefix);
	replay->remediate_outbox =
		outbox_open(replay->store, &replay->remediate_fold, replay->writer, prefix);
	TRY(load_fold(replay, &replay->alerts_fold, &replay->alerts_head, alerts_restore,
		replay->alerts, err));
	return load_fold(replay, &replay->remediate_fold, &replay->remediate_head,
		remediate_restore, replay->remediate, err);
}

/* What a policy would do is told, and nothing more. */
static void only_observe(struct config *config)
{
	for (size_t i = 0; i < config->policy_count; i++)
		config->policies[i].mode = MODE_OBSERVE;
}

static enum rc open_replay(struct replay *replay, struct err *err)
{
	only_observe(&replay->config);
	replay->store = store_memory_open();
	replay->log = log_memory_open();
	TRY(log_reader_open(replay->log, &replay->events, err));
	TRY(log_reader_open(replay->log, &replay->findings, err));
	TRY(log_reader_open(replay->log, &replay->alerts_topics, err));
	TRY(log_reader_open(replay->log, &replay->taps, err));
	TRY(log_writer_open(replay->log, NULL, 0, &replay->writer, err));
	TRY(open_topics(replay, err));
	for (int32_t i = 0; i < replay->partition_count; i++)
		TRY(open_partition(replay, i, err));
	TRY(open_people(replay, err));
	return replay->marks_path ? recording_marks(replay->recording, replay->marks_path, err)
				  : RC_OK;
}

static void close_replay(struct replay *replay)
{
	for (int32_t i = 0; i < replay->partition_count; i++) {
		outbox_close(replay->partitions[i].outbox);
		ingest_free(replay->partitions[i].ingest);
		detectors_free(replay->partitions[i].detectors);
	}
	outbox_close(replay->alerts_outbox);
	outbox_close(replay->remediate_outbox);
	alerts_free(replay->alerts);
	remediate_free(replay->remediate);
	log_writer_close(replay->writer);
	log_reader_close(replay->events);
	log_reader_close(replay->findings);
	log_reader_close(replay->alerts_topics);
	log_reader_close(replay->taps);
	log_close(replay->log);
	store_close(replay->store);
	recording_close(replay->recording);
	config_done(&replay->config);
}

/* ---- one step of each fold */

/* Memory has no time to live, and nobody reads windows here: they are printed from the close
 * records. */
static void leave_out_windows(struct change *change)
{
	size_t kept = 0;

	for (size_t i = 0; i < change->write_count; i++) {
		const struct write *write = &change->writes[i];
		struct view table = change_view(change, write->table, write->table_size);

		if (table.size > 8 && memcmp(table.data, "windows:", 8) == 0)
			continue;
		change->writes[kept++] = *write;
	}
	change->write_count = kept;
	change->output_count =
		0; /* dead letters: counted in the state, their bytes are in the file */
}

static enum rc step_ingest(struct replay *replay, struct partition *partition, struct err *err)
{
	struct change change = {0};

	ingest_change(partition->ingest, &change);
	leave_out_windows(&change);
	change_trim(&change, TABLE_CLOSES, partition->next_close);
	enum rc rc = store_advance(
		replay->store, &partition->ingest_fold, &partition->ingest_head, &change, err);

	change_done(&change);
	return rc;
}

struct closing {
	struct replay *replay;
	struct partition *partition;
};

static void print_windows(const struct close_record *record)
{
	struct bytes line = {0};

	for (size_t i = 0; i < record->tick_count; i++) {
		for (size_t k = 0; k < record->ticks[i].window_count; k++) {
			bytes_clear(&line);
			window_to_json(&record->ticks[i].windows[k], &line);
			say(bytes_view(&line));
		}
	}
	bytes_done(&line);
}

static enum rc take_close(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct closing *closing = context;
	struct close_record record = {0};

	TRY(close_record_from_blob(data, &record, err));
	if (closing->replay->print_windows)
		print_windows(&record);
	if (record.watermark_ms > closing->replay->event_time)
		closing->replay->event_time = record.watermark_ms;
	detectors_close(closing->partition->detectors, &record);
	closing->partition->next_close = sequence + 1;
	close_record_done(&record);
	return RC_OK;
}

static enum rc step_detectors(struct replay *replay, struct partition *partition, struct err *err)
{
	struct closing closing = {replay, partition};
	struct change change = {0};

	TRY(store_stream(replay->store, &partition->ingest_fold, &partition->ingest_head,
		TABLE_CLOSES, partition->next_close, SIZE_MAX, take_close, &closing, err));
	detectors_change(partition->detectors, &change);
	enum rc rc = store_advance(replay->store, &partition->detectors_fold,
		&partition->detectors_head, &change, err);
	bool spoke = change.output_count > 0;

	change_done(&change);
	return rc == RC_OK ? outbox_turn(partition->outbox, &partition->detectors_head, spoke, err)
			   : rc;
}

static enum rc step_alerts(struct replay *replay, struct err *err)
{
	struct change change = {0};

	alerts_change(replay->alerts, &change);
	enum rc rc = store_advance(
		replay->store, &replay->alerts_fold, &replay->alerts_head, &change, err);

	change_done(&change);
	return rc == RC_OK ? outbox_turn(replay->alerts_outbox, &replay->alerts_head, true, err)
			   : rc;
}

static enum rc step_remediate(struct replay *replay, struct err *err)
{
	static const unsigned char no_chance[16];
	struct change change = {0};

	remediate_time(replay->remediate, replay->event_time, no_chance);
	remediate_change(replay->remediate, &change);
	enum rc rc = store_advance(
		replay->store, &replay->remediate_fold, &replay->remediate_head, &change, err);

	change_done(&change);
	return rc == RC_OK
		       ? outbox_turn(replay->remediate_outbox, &replay->remediate_head, true, err)
		       : rc;
}

/* ---- moving records between folds */

static void settle(struct replay *replay)
{
	uint64_t tags[STEP_MESSAGES];
	bool delivered[STEP_MESSAGES];
	size_t count;

	while ((count = log_written(replay->writer, 0, STEP_MESSAGES, tags, delivered)))
		for (size_t i = 0; i < count; i++) {
			for (int32_t p = 0; p < replay->partition_count; p++)
				outbox_written(replay->partitions[p].outbox, tags[i], delivered[i]);
			outbox_written(replay->alerts_outbox, tags[i], delivered[i]);
			outbox_written(replay->remediate_outbox, tags[i], delivered[i]);
		}
}

/* Every message that is there, handed to use; RC_NONE is the end. */
typedef enum rc (*use_message)(
	struct replay *replay, const struct log_message *message, struct err *err);

static enum rc drain(
	struct replay *replay, struct log_reader *reader, use_message use, struct err *err)
{
	const struct log_message *messages;
	struct log_gap gap;
	size_t count;
	enum rc rc;

	while ((rc = log_take(reader, 0, STEP_MESSAGES, &messages, &count, &gap, err)) == RC_OK)
		for (size_t i = 0; i < count; i++)
			TRY(use(replay, &messages[i], err));
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc use_event(struct replay *replay, const struct log_message *message, struct err *err)
{
	struct ingest *ingest = replay->partitions[message->partition].ingest;
	struct mark mark;

	(void)err;
	while (recording_next_mark(replay->recording, message->partition, message->offset, &mark))
		ingest_mark(ingest, mark.watermark_ms);
	ingest_use_format(ingest, recording_format(replay->recording, message->key));
	ingest_message(ingest, message);
	return RC_OK;
}

static enum rc use_finding(
	struct replay *replay, const struct log_message *message, struct err *err)
{
	return alerts_take(replay->alerts, message, replay->event_time, err);
}

static enum rc use_alert(struct replay *replay, const struct log_message *message, struct err *err)
{
	return remediate_take(replay->remediate, message, replay->event_time, err);
}

static enum rc use_tap(struct replay *replay, const struct log_message *message, struct err *err)
{
	(void)replay;
	(void)err;
	say(message->value);
	return RC_OK;
}

/* What all services together do with what has arrived. */
static enum rc turn(struct replay *replay, struct err *err)
{
	TRY(drain(replay, replay->events, use_event, err));
	for (int32_t i = 0; i < replay->partition_count; i++) {
		struct partition *partition = &replay->partitions[i];

		if (!ingest_is_dirty(partition->ingest))
			continue;
		TRY(step_ingest(replay, partition, err));
		TRY(step_detectors(replay, partition, err));
		log_memory_trim(replay->log, replay->topic, i, ingest_offset(partition->ingest));
	}
	settle(replay);
	TRY(drain(replay, replay->findings, use_finding, err));
	TRY(step_alerts(replay, err));
	settle(replay);
	TRY(drain(replay, replay->alerts_topics, use_alert, err));
	TRY(step_remediate(replay, err));
	settle(replay);
	return drain(replay, replay->taps, use_tap, err);
}

/* ---- the run */

static void show_progress(struct replay *replay, bool last)
{
	int64_t now = clock_monotonic_ms();
	double seconds = (double)(now - replay->started_at) / 1000;
	double part = recording_progress(replay->recording);

	if (!isatty(STDERR_FILENO) || (!last && now - replay->shown_at < PROGRESS_MS))
		return;
	replay->shown_at = now;
	fprintf(stderr, "\r%llu events", (unsigned long long)replay->lines);
	if (part >= 0)
		fprintf(stderr, ", %.0f %%", part * 100);
	if (seconds > 0)
		fprintf(stderr, ", %.0f events/s", (double)replay->lines / seconds);
	fputs(last ? "\r\033[K" : "   ", stderr);
}

static enum rc feed(struct replay *replay, struct err *err)
{
	struct recorded recorded;
	size_t waiting = 0;
	enum rc rc;

	while ((rc = recording_next(replay->recording, replay->partition_count, &recorded, err)) ==
		RC_OK) {
		log_memory_append(replay->log, replay->topic, recorded.partition, recorded.tag,
			recorded.line, -1);
		replay->lines++;
		if (++waiting < STEP_MESSAGES)
			continue;
		waiting = 0;
		TRY(turn(replay, err));
		show_progress(replay, false);
	}
	return rc == RC_NONE ? turn(replay, err) : rc;
}

/* Marks behind the last message, then the end of input, which closes everything. */
static enum rc finish(struct replay *replay, struct err *err)
{
	struct mark mark;

	for (int32_t i = 0; i < replay->partition_count; i++) {
		while (recording_next_mark(replay->recording, i, INT64_MAX, &mark))
			ingest_mark(replay->partitions[i].ingest, mark.watermark_ms);
		ingest_close_all(replay->partitions[i].ingest);
	}
	return turn(replay, err);
}

static enum rc print_verdict(void *context, struct view field, struct view data, struct err *err)
{
	(void)context;
	(void)field;
	(void)err;
	say(data);
	return RC_OK;
}

/* Read from the state, so that it tells what the services would have told. */
static enum rc print_summary(struct replay *replay, struct err *err)
{
	CLEANUP(summary_done) struct summary summary = {0};

	for (int32_t i = 0; i < replay->partition_count; i++) {
		struct partition *partition = &replay->partitions[i];

		summary_add(&summary, ingest_counters(partition->ingest));
		TRY(store_table(replay->store, &partition->ingest_fold, &partition->ingest_head,
			TABLE_DEADLETTERS, summary_add_group, &summary, err));
	}
	fflush(stdout);
	summary_print(&summary, replay->lines, clock_monotonic_ms() - replay->started_at, stderr);
	return RC_OK;
}

static enum rc run(struct replay *replay, struct err *err)
{
	replay->started_at = clock_monotonic_ms();
	TRY(open_replay(replay, err));
	TRY(feed(replay, err));
	TRY(finish(replay, err));
	show_progress(replay, true);
	for (int32_t i = 0; replay->print_verdicts && i < replay->partition_count; i++)
		TRY(store_table(replay->store, &replay->partitions[i].detectors_fold,
			&replay->partitions[i].detectors_head, TABLE_VERDICTS, print_verdict, NULL,
			err));
	return print_summary(replay, err);
}

static const char usage[] =
	"usage: modelwatch replay [--config FILE] [--windows] [--verdicts] [--marks FILE]\n"
	"                         [--partitions N] [--topic NAME] [--format NAME] TRACE...\n"
	"A TRACE is a file of one JSON object a line, .jsonl or .jsonl.zst, or - for stdin.\n"
	"--format names the format of the files after it.\n";

static bool read_partitions(const char *text, int32_t *count)
{
	char *end;
	long number = strtol(text, &end, 10);

	*count = (int32_t)number;
	if (end != text && !*end && number >= 1 && number <= PARTITIONS_MAX)
		return true;
	*count = 1;
	fprintf(stderr,
		"modelwatch replay: --partitions: found \"%s\", expected a whole number from 1 to "
		"%d\n",
		text, PARTITIONS_MAX);
	return false;
}

/* Options and files in the order in which they stand, since --format holds for what comes after it.
 */
static bool parse(struct replay *replay, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"format", required_argument, NULL, 'f'}, {"marks", required_argument, NULL, 'm'},
		{"partitions", required_argument, NULL, 'p'},
		{"topic", required_argument, NULL, 't'}, {"windows", no_argument, NULL, 'w'},
		{"verdicts", no_argument, NULL, 'v'}, {0}};
	const char *format = NULL;
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "-", options, NULL)) != -1) {
		switch (option) {
		case 1:
			recording_add(replay->recording, optarg, format);
			break;
		case 'c':
			replay->config_path = optarg;
			break;
		case 'f':
			format = optarg;
			break;
		case 'm':
			replay->marks_path = optarg;
			break;
		case 'p':
			if (!read_partitions(optarg, &replay->partition_count))
				return false;
			break;
		case 't':
			snprintf(replay->topic, sizeof replay->topic, "%s", optarg);
			break;
		case 'w':
			replay->print_windows = true;
			break;
		case 'v':
			replay->print_verdicts = true;
			break;
		default:
			return false;
		}
	}
	for (; optind < argc; optind++) /* behind "--" */
		recording_add(replay->recording, argv[optind], format);
	if (recording_file_count(replay->recording))
		return true;
	fputs("modelwatch replay: found no TRACE, expected at least one\n", stderr);
	return false;
}

static bool read_config(struct replay *replay, struct err *err)
{
	struct mistakes mistakes = {0};
	bool good =
		config_file_load(replay->config_path, false, &replay->config, &mistakes) == RC_OK;

	if (!good)
		fprintf(stderr, "%smodelwatch replay: %zu mistake%s in the configuration\n",
			mistakes.text.data ? mistakes.text.data : "", mistakes.count,
			mistakes.count == 1 ? "" : "s");
	bytes_done(&mistakes.text);
	if (!good)
		return false;
	if (!replay->topic[0])
		snprintf(replay->topic, sizeof replay->topic, "%s",
			replay->config.kafka.topic_count ? replay->config.kafka.topics[0].name
							 : "events");
	return recording_formats(replay->recording, &replay->config, err) == RC_OK;
}

int replay_main(int argc, char **argv)
{
	struct replay *replay = memory_new(1, sizeof *replay);
	struct err err = {0};
	int status = EXIT_SUCCESS;

	replay->partition_count = 1;
	replay->recording = recording_new();
	if (!parse(replay, argc, argv)) {
		fputs(usage, stderr);
		status = EXIT_USAGE;
	} else if (!read_config(replay, &err)) {
		status = EXIT_USAGE;
	} else if (run(replay, &err) != RC_OK) {
		status = EXIT_FAILURE;
	}
	if (err.text[0])
		fprintf(stderr, "modelwatch replay: %s\n", err.text);
	close_replay(replay);
	free(replay);
	return status;
}
