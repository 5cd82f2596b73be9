/* modelwatch-ingest: folds events into windows.
 * reads:  the users' event topics
 * writes: windows, close records and marks in Redis; PREFIX.deadletter */
#include "core/memory.h"
#include "core/topics.h"
#include "ingest/partition.h"
#include "ports/clock.h"
#include "ports/journal.h"
#include "ports/service.h"
#include "ports/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TAKE_MAX = 2000,
	TAKE_WAIT_MS = 20,
	MEASURE_EVERY_MS = 1000,
};

struct room {
	struct service service;
	struct partition_ports ports;
	char deadletter[280], state[280];
	struct share share;
	struct partition **partitions;
	size_t count;
	int64_t measure_at; /* monotonic */
	int64_t folded, folded_before;
	char unwell[600]; /* why something has to wait; "" = all is well */
	struct backoff backoff;
};

static enum rc open_ports(struct room *room, struct err *err)
{
	const struct config *config = &room->service.config;
	struct partition_ports *ports = &room->ports;
	const char *const outputs[] = {room->deadletter, room->state};

	ports->config = config;
	ports->prefix = config->kafka.prefix;
	snprintf(room->deadletter, sizeof room->deadletter, "%s.%s", ports->prefix,
		TOPIC_DEADLETTER);
	snprintf(room->state, sizeof room->state, "%s.%s", ports->prefix, TOPIC_STATE);
	TRY(store_open(&config->redis, &ports->store, err));
	TRY(log_open(&config->kafka, "modelwatch-ingest", &ports->log, err));
	ports->search = snapshot_search_open(ports->log, ports->prefix);
	TRY(log_reader_open(ports->log, &ports->reader, err));
	return log_writer_open(ports->log, outputs, 2, &ports->writer, err);
}

static void drop_partitions(struct room *room)
{
	for (size_t i = 0; i < room->count; i++)
		partition_free(room->partitions[i], &room->ports);
	free(room->partitions);
	room->partitions = NULL;
	room->count = 0;
}

static void close_room(struct room *room)
{
	struct partition_ports *ports = &room->ports;

	drop_partitions(room);
	share_done(&room->share);
	snapshot_search_close(ports->search);
	log_writer_close(ports->writer);
	log_reader_close(ports->reader);
	log_close(ports->log);
	store_close(ports->store);
}

static void note_unwell(struct room *room, const struct err *err)
{
	if (!room->unwell[0])
		snprintf(room->unwell, sizeof room->unwell, "%s", err->text);
}

/* ---- which partitions are ours */

static struct partition *find_partition(const struct room *room, const char *topic, int32_t number)
{
	for (size_t i = 0; i < room->count; i++)
		if (room->partitions[i]->number == number &&
			strcmp(room->partitions[i]->topic, topic) == 0)
			return room->partitions[i];
	return NULL;
}

/* Partitions that came are taken on, those that another instance has now are let go. */
static void follow_share(struct room *room)
{
	for (size_t i = room->count; i-- > 0;) {
		struct partition *partition = room->partitions[i];

		if (share_has(&room->share, partition->topic, partition->number))
			continue;
		partition_free(partition, &room->ports);
		room->partitions[i] = room->partitions[--room->count];
	}
	for (size_t i = 0; i < room->share.count; i++) {
		const struct share_place *place = &room->share.places[i];

		if (find_partition(room, place->topic, place->number))
			continue;
		room->partitions =
			memory_grow(room->partitions, room->count + 1, sizeof(struct partition *));
		room->partitions[room->count++] =
			partition_new(&room->ports, place->topic, place->number);
	}
}

static enum rc look_for_partitions(struct room *room, struct err *err)
{
	enum rc rc = share_turn(&room->share, room->ports.log, &room->ports.config->kafka,
		room->service.instance, room->service.instances, err);

	if (rc == RC_OK)
		follow_share(room);
	if (rc == RC_OK && room->share.missing[0])
		return err_set(err, RC_RETRY, "kafka: there is no topic %s", room->share.missing);
	return rc == RC_NONE ? RC_OK : rc;
}

/* ---- one turn */

static void tell_rebuilt(struct partition *partition)
{
	char from[32];

	snprintf(from, sizeof from, "%" PRId64, partition->rebuilt_from_ms);
	journal(JOURNAL_WARNING, "rebuilt", "log", partition->fold.log, "from_ms", from, "action",
		"nothing was stored: begin with a snapshot and read the log on from there", NULL);
	partition->rebuilt_from_ms = 0;
}

/* One failure ends a turn's tries: each may have waited, and the others have work to do. */
static enum rc load_partitions(struct room *room, size_t *loaded, struct err *err)
{
	enum rc rc = RC_OK;

	*loaded = 0;
	for (size_t i = 0; i < room->count; i++) {
		struct partition *partition = room->partitions[i];

		if (!partition->ingest && rc != RC_RETRY)
			rc = partition_load(partition, &room->ports, err);
		if (rc == RC_FATAL)
			return rc;
		if (partition->ingest && partition->rebuilt_from_ms)
			tell_rebuilt(partition);
		*loaded += partition->ingest != NULL;
	}
	if (rc == RC_RETRY)
		note_unwell(room, err);
	return RC_OK;
}

static void tell_gap(const char *what)
{
	journal(JOURNAL_ERROR, "gap", "what", what, "action",
		"go on with what is there; windows of that time are incomplete", NULL);
}

static enum rc take(struct room *room, struct err *err)
{
	const struct log_message *messages;
	struct partition *partition = NULL;
	struct log_gap gap;
	size_t count;
	enum rc rc =
		log_take(room->ports.reader, TAKE_WAIT_MS, TAKE_MAX, &messages, &count, &gap, err);

	if (rc == RC_REJECT) {
		partition = find_partition(room, gap.topic, gap.partition);
		if (!partition || !partition->ingest)
			return RC_OK;
		rc = partition_gap(partition, &room->ports, &gap, err);
		if (rc == RC_OK)
			tell_gap(err->text);
		return rc;
	}
	if (rc != RC_OK)
		return rc == RC_NONE ? RC_OK : rc;
	for (size_t i = 0; i < count; i++) {
		const struct log_message *message = &messages[i];

		if (!partition || partition->number != message->partition ||
			strcmp(partition->topic, message->topic) != 0)
			partition = find_partition(room, message->topic, message->partition);
		if (partition && partition->ingest &&
			partition_take(partition, message, err) == RC_NONE)
			tell_gap(err->text);
	}
	room->folded += (int64_t)count;
	return RC_OK;
}

static enum rc turn_partitions(struct room *room, struct err *err)
{
	for (size_t i = 0; i < room->count; i++) {
		struct partition *partition = room->partitions[i];
		enum rc rc =
			partition->ingest ? partition_turn(partition, &room->ports, err) : RC_OK;

		if (rc == RC_FATAL)
			return rc;
		if (rc == RC_RETRY)
			note_unwell(room, err);
		if (rc == RC_REJECT)
			journal(JOURNAL_ERROR, "deadletter_lost", "log", partition->fold.log,
				"reason", err->text, NULL);
	}
	return RC_OK;
}

static void settle(struct room *room)
{
	struct outbox **outboxes = memory_new(room->count, sizeof *outboxes);

	for (size_t i = 0; i < room->count; i++)
		outboxes[i] = room->partitions[i]->outbox;
	outbox_settle(outboxes, room->count, room->ports.writer);
	free(outboxes);
}

/* Redis, Kafka and the prefix stay as they were at the start; all else is folded under the new
 * configuration, which the next close record of each partition names. */
static void reload(struct room *room)
{
	struct config *fresh = service_reload(&room->service);

	if (!fresh)
		return;
	drop_partitions(room);
	share_done(&room->share);
	room->ports.config = fresh;
	service_adopt(&room->service, fresh);
}

/* ---- what is told */

static void set_metric(struct room *room, enum metric_kind kind, const char *name, const char *help,
	const char *label, const char *label_value, double value)
{
	const char *const labels[] = {label, label_value, NULL};

	metric_set(metrics_get(&room->service.metrics, kind, name, help, label ? labels : NULL),
		value);
}

static void measure_counters(struct room *room, const struct ingest_counters *sum)
{
	static const char events[] = "modelwatch_ingest_events_total";
	static const char help[] = "Messages by what became of them.";

	set_metric(room, METRIC_COUNTER, events, help, "category", "counted", (double)sum->counted);
	set_metric(room, METRIC_COUNTER, events, help, "category", "late", (double)sum->late);
	set_metric(room, METRIC_COUNTER, events, help, "category", "duplicate",
		(double)sum->duplicate);
	set_metric(room, METRIC_COUNTER, events, help, "category", "control", (double)sum->control);
	for (int code = E_GOOD + 1; code < E_CODES; code++)
		set_metric(room, METRIC_COUNTER, "modelwatch_ingest_rejected_total",
			"Rejected messages by code.", "code", event_code_names[code],
			(double)sum->rejected[code]);
}

static void add_counters(struct ingest_counters *sum, const struct ingest_counters *more)
{
	sum->counted += more->counted;
	sum->late += more->late;
	sum->duplicate += more->duplicate;
	sum->control += more->control;
	for (int code = 0; code < E_CODES; code++)
		sum->rejected[code] += more->rejected[code];
}

/* The lag of all partitions together; -1: not known of some. */
static int64_t measure_partitions(struct room *room)
{
	struct ingest_counters sum = {0};
	uint64_t steps = 0, gaps = 0;
	size_t windows = 0, models = 0;
	int64_t all = 0;

	for (size_t i = 0; i < room->count; i++) {
		const struct partition *partition = room->partitions[i];
		const char *log = partition->fold.log;
		int64_t lag = log_lag(room->ports.reader, partition->topic, partition->number);

		steps += partition->steps;
		gaps += partition->gaps;
		all = lag < 0 || all < 0 ? -1 : all + lag;
		if (!partition->ingest)
			continue;
		add_counters(&sum, ingest_counters(partition->ingest));
		windows += ingest_open_windows(partition->ingest);
		models += ingest_model_count(partition->ingest);
		set_metric(room, METRIC_GAUGE, "modelwatch_ingest_lag",
			"Messages in the log that were not folded yet; -1: not known.", "log", log,
			(double)lag);
		if (ingest_watermark(partition->ingest) > 0) /* else there was no event yet */
			set_metric(room, METRIC_GAUGE, "modelwatch_ingest_watermark_seconds",
				"Event time that the log has reached.", "log", log,
				(double)ingest_watermark(partition->ingest) / 1000);
	}
	measure_counters(room, &sum);
	set_metric(room, METRIC_COUNTER, "modelwatch_ingest_steps_total", "Steps stored.", NULL,
		NULL, (double)steps);
	set_metric(room, METRIC_COUNTER, "modelwatch_ingest_gaps_total",
		"Gaps recorded: offsets that the log did not have.", NULL, NULL, (double)gaps);
	set_metric(room, METRIC_GAUGE, "modelwatch_ingest_open_windows",
		"Windows that have not closed.", NULL, NULL, (double)windows);
	set_metric(room, METRIC_GAUGE, "modelwatch_ingest_models", "Models known.", NULL, NULL,
		(double)models);
	return all;
}

static struct progress progress_of_all(const struct room *room)
{
	struct progress sum = {0};

	for (size_t i = 0; i < room->count; i++)
		progress_add(&sum, &room->partitions[i]->progress);
	return sum;
}

static void tell_progress(struct room *room, const struct progress *progress)
{
	char text[128];

	progress_text(progress, text, sizeof text);
	service_status(&room->service, true, "%s", text);
}

static void measure_progress(struct room *room, const struct progress *progress)
{
	bool is = progress->catching_up;

	set_metric(room, METRIC_GAUGE, "modelwatch_ingest_catching_up_ratio",
		"Of what is to be caught up, how much was; 1: nothing is.", NULL, NULL,
		is ? progress_percent(progress) / 100.0 : 1);
	set_metric(room, METRIC_GAUGE, "modelwatch_ingest_catching_up_seconds_left",
		"How long it still takes to catch up; -1: not known.", NULL, NULL,
		is ? (double)progress_seconds_left(progress) : 0);
}

static void measure(struct room *room, size_t loaded)
{
	int64_t now = clock_monotonic_ms();

	if (now < room->measure_at)
		return;
	int64_t elapsed_ms = now - room->measure_at + MEASURE_EVERY_MS;
	int64_t lag = measure_partitions(room);
	struct progress progress = progress_of_all(room);
	int64_t rate = (room->folded - room->folded_before) * 1000 / elapsed_ms;
	char reason[256];

	service_progress(&room->service, (uint64_t)room->folded, lag > 0);
	room->folded_before = room->folded;
	room->measure_at = now + MEASURE_EVERY_MS;
	if (!room->unwell[0] && !log_is_well(room->ports.log, reason, sizeof reason))
		snprintf(room->unwell, sizeof room->unwell, "%s", reason);
	if (room->unwell[0])
		service_status(&room->service, false, "%zu of %zu partitions; waiting: %s", loaded,
			room->count, room->unwell);
	else if (progress.catching_up)
		tell_progress(room, &progress);
	else
		service_status(&room->service, true,
			"%zu partitions, %" PRId64 " messages/s, lag %" PRId64, loaded, rate, lag);
	measure_progress(room, &progress);
	room->unwell[0] = '\0';
}

static enum rc turn(struct room *room, struct err *err)
{
	size_t loaded;

	if (room->service.reload_wanted)
		reload(room);
	enum rc looked = look_for_partitions(room, err);

	if (looked == RC_FATAL)
		return looked;
	if (looked != RC_OK)
		note_unwell(room, err);
	TRY(load_partitions(room, &loaded, err));
	enum rc taken = loaded ? take(room, err) : RC_RETRY;

	if (taken == RC_FATAL)
		return taken;
	if (taken != RC_OK && loaded)
		note_unwell(room, err);
	TRY(turn_partitions(room, err));
	settle(room);
	measure(room, loaded);
	if (taken == RC_OK)
		backoff_reset(&room->backoff);
	else
		service_back_off(&room->service, &room->backoff);
	return RC_OK;
}

static enum rc run(struct room *room, struct err *err)
{
	TRY(open_ports(room, err));
	while (service_turn(&room->service))
		TRY(turn(room, err));
	return RC_OK;
}

int main(int argc, char **argv)
{
	struct room room = {0};
	struct err err = {0};
	int exit_status;

	if (!service_open(&room.service, "ingest", SERVICE_INGEST, true, argc, argv, &exit_status))
		return exit_status;
	enum rc rc = run(&room, &err);

	if (rc != RC_OK)
		journal(JOURNAL_ERROR, "fatal", "reason", err.text, NULL);
	close_room(&room);
	service_close(&room.service);
	return rc == RC_OK ? 0 : 1;
}
