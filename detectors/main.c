/* modelwatch-detectors: judges each closed tick once.
 * reads:  close records of ingest in Redis
 * writes: PREFIX.findings; verdicts in Redis */
#include "core/memory.h"
#include "core/topics.h"
#include "detectors/judging.h"
#include "ports/clock.h"
#include "ports/journal.h"
#include "ports/service.h"
#include "ports/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REST_MS = 15, /* between looks at the store, when nothing is there */
	MEASURE_EVERY_MS = 1000,
};

struct room {
	struct service service;
	struct judging_ports ports;
	struct log *log;
	char findings[280], state[280];
	struct share share;
	struct judging **judgings;
	size_t count;
	int64_t measure_at; /* monotonic */
	char unwell[600];   /* why something has to wait; "" = all is well */
	struct backoff backoff;
};

static enum rc open_ports(struct room *room, struct err *err)
{
	const struct config *config = &room->service.config;
	const char *const outputs[] = {room->findings, room->state};

	room->ports.config = config;
	room->ports.prefix = config->kafka.prefix;
	snprintf(room->findings, sizeof room->findings, "%s.%s", config->kafka.prefix,
		TOPIC_FINDINGS);
	snprintf(room->state, sizeof room->state, "%s.%s", config->kafka.prefix, TOPIC_STATE);
	TRY(store_open(&config->redis, &room->ports.store, err));
	TRY(log_open(&config->kafka, "modelwatch-detectors", &room->log, err));
	room->ports.search = snapshot_search_open(room->log, config->kafka.prefix);
	return log_writer_open(room->log, outputs, 2, &room->ports.writer, err);
}

static void drop_partitions(struct room *room)
{
	for (size_t i = 0; i < room->count; i++)
		judging_free(room->judgings[i], &room->ports);
	free(room->judgings);
	room->judgings = NULL;
	room->count = 0;
}

static void close_room(struct room *room)
{
	drop_partitions(room);
	share_done(&room->share);
	snapshot_search_close(room->ports.search);
	log_writer_close(room->ports.writer);
	log_close(room->log);
	store_close(room->ports.store);
}

static void note_unwell(struct room *room, const struct err *err)
{
	if (!room->unwell[0])
		snprintf(room->unwell, sizeof room->unwell, "%s", err->text);
}

static bool is_here(const struct room *room, const struct share_place *place)
{
	for (size_t i = 0; i < room->count; i++)
		if (room->judgings[i]->number == place->number &&
			strcmp(room->judgings[i]->topic, place->topic) == 0)
			return true;
	return false;
}

/* Partitions that came are taken on, those that another instance has now are let go. */
static void follow_share(struct room *room)
{
	for (size_t i = room->count; i-- > 0;) {
		struct judging *judging = room->judgings[i];

		if (share_has(&room->share, judging->topic, judging->number))
			continue;
		judging_free(judging, &room->ports);
		room->judgings[i] = room->judgings[--room->count];
	}
	for (size_t i = 0; i < room->share.count; i++) {
		const struct share_place *place = &room->share.places[i];

		if (is_here(room, place))
			continue;
		room->judgings =
			memory_grow(room->judgings, room->count + 1, sizeof(struct judging *));
		room->judgings[room->count++] =
			judging_new(&room->ports, place->topic, place->number);
	}
}

static enum rc look_for_partitions(struct room *room, struct err *err)
{
	enum rc rc = share_turn(&room->share, room->log, &room->ports.config->kafka,
		room->service.instance, room->service.instances, err);

	if (rc == RC_OK)
		follow_share(room);
	if (rc == RC_OK && room->share.missing[0])
		return err_set(err, RC_RETRY, "kafka: there is no topic %s", room->share.missing);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc load_partitions(struct room *room, size_t *loaded, struct err *err)
{
	*loaded = 0;
	for (size_t i = 0; i < room->count; i++) {
		struct judging *judging = room->judgings[i];
		enum rc rc = judging->detectors ? RC_OK : judging_load(judging, &room->ports, err);

		if (rc == RC_FATAL)
			return rc;
		if (rc == RC_RETRY) { /* each try may wait, and the others have work to do */
			note_unwell(room, err);
			return RC_OK;
		}
		*loaded += judging->detectors != NULL;
	}
	return RC_OK;
}

static enum rc turn_partitions(struct room *room, bool *behind, struct err *err)
{
	*behind = false;
	for (size_t i = 0; i < room->count; i++) {
		struct judging *judging = room->judgings[i];

		if (!judging->detectors)
			continue;
		enum rc rc = judging_turn(judging, &room->ports, err);

		if (rc == RC_FATAL)
			return rc;
		if (rc == RC_RETRY)
			note_unwell(room, err);
		if (rc == RC_NONE)
			journal(JOURNAL_ERROR, "gap", "what", err->text, "action",
				"judge from here on", NULL);
		if (rc == RC_REJECT)
			journal(JOURNAL_ERROR, "finding_lost", "log", judging->fold.log, "reason",
				err->text, NULL);
		*behind = *behind || judging->behind;
	}
	return RC_OK;
}

static void settle(struct room *room)
{
	struct outbox **outboxes = memory_new(room->count, sizeof *outboxes);

	for (size_t i = 0; i < room->count; i++)
		outboxes[i] = room->judgings[i]->outbox;
	outbox_settle(outboxes, room->count, room->ports.writer);
	free(outboxes);
}

/* Redis, Kafka and the prefix stay as they were at the start; all else is judged under the new
 * configuration. */
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

static void set_metric(struct room *room, enum metric_kind kind, const char *name, const char *help,
	const char *label, const char *label_value, double value)
{
	const char *const labels[] = {label, label_value, NULL};

	metric_set(metrics_get(&room->service.metrics, kind, name, help, label ? labels : NULL),
		value);
}

static void add_counts(struct detectors_counts *sum, const struct detectors_counts *more)
{
	for (int i = 0; i <= VERDICT_SUPERSEDED; i++) {
		sum->findings[i] += more->findings[i];
		sum->verdicts[i] += more->verdicts[i];
	}
	sum->records += more->records;
	sum->steps += more->steps;
	sum->gaps += more->gaps;
	sum->records_lost += more->records_lost;
	sum->comparisons += more->comparisons;
}

static struct detectors_counts sum_counts(const struct room *room)
{
	struct detectors_counts sum = {0};

	for (size_t i = 0; i < room->count; i++) {
		if (!room->judgings[i]->detectors)
			continue;
		struct detectors_counts counts = detectors_counts(room->judgings[i]->detectors);

		add_counts(&sum, &counts);
	}
	return sum;
}

static void measure_counts(struct room *room, const struct detectors_counts *sum)
{
	for (int i = 0; i <= VERDICT_SUPERSEDED; i++) {
		set_metric(room, METRIC_COUNTER, "modelwatch_detectors_findings_total",
			"Changes of verdicts to or from alarm.", "verdict", verdict_names[i],
			(double)sum->findings[i]);
		set_metric(room, METRIC_GAUGE, "modelwatch_detectors_verdicts",
			"Comparisons by verdict.", "verdict", verdict_names[i],
			(double)sum->verdicts[i]);
	}
	set_metric(room, METRIC_COUNTER, "modelwatch_detectors_close_records_total",
		"Close records folded.", NULL, NULL, (double)sum->records);
	set_metric(room, METRIC_COUNTER, "modelwatch_detectors_steps_total",
		"Steps of comparisons.", NULL, NULL, (double)sum->steps);
	set_metric(room, METRIC_COUNTER, "modelwatch_detectors_gaps_total",
		"Times that close records were lost before they were judged.", NULL, NULL,
		(double)sum->gaps);
	set_metric(room, METRIC_GAUGE, "modelwatch_detectors_comparisons", "Comparisons known.",
		NULL, NULL, (double)sum->comparisons);
}

static void measure(struct room *room, size_t loaded, bool behind)
{
	int64_t now = clock_monotonic_ms();
	char reason[256];

	if (now < room->measure_at)
		return;
	struct detectors_counts sum = sum_counts(room);

	room->measure_at = now + MEASURE_EVERY_MS;
	measure_counts(room, &sum);
	service_progress(&room->service, sum.records, behind);
	if (!room->unwell[0] && !log_is_well(room->log, reason, sizeof reason))
		snprintf(room->unwell, sizeof room->unwell, "%s", reason);
	if (room->unwell[0])
		service_status(&room->service, false, "%zu of %zu partitions; waiting: %s", loaded,
			room->count, room->unwell);
	else
		service_status(&room->service, true,
			"%zu partitions, %zu comparisons, %zu in alarm", loaded, sum.comparisons,
			sum.verdicts[VERDICT_ALARM]);
	room->unwell[0] = '\0';
}

static enum rc turn(struct room *room, struct err *err)
{
	size_t loaded;
	bool behind;

	if (room->service.reload_wanted)
		reload(room);
	enum rc looked = look_for_partitions(room, err);

	if (looked == RC_FATAL)
		return looked;
	if (looked != RC_OK)
		note_unwell(room, err);
	TRY(load_partitions(room, &loaded, err));
	TRY(turn_partitions(room, &behind, err));
	settle(room);
	bool well = !room->unwell[0];

	measure(room, loaded, behind);
	if (!well || !loaded) {
		service_back_off(&room->service, &room->backoff);
		return RC_OK;
	}
	backoff_reset(&room->backoff);
	if (!behind)
		clock_rest(REST_MS);
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

	if (!service_open(
		    &room.service, "detectors", SERVICE_DETECTORS, true, argc, argv, &exit_status))
		return exit_status;
	enum rc rc = run(&room, &err);

	if (rc != RC_OK)
		journal(JOURNAL_ERROR, "fatal", "reason", err.text, NULL);
	close_room(&room);
	service_close(&room.service);
	return rc == RC_OK ? 0 : 1;
}
