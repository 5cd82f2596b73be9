/* modelwatch-remediate: decides what is done about alerts, does it, and checks that it helped.
 * reads:  PREFIX.alerts, PREFIX.commands, PREFIX.actions
 * writes: PREFIX.actions, calls of deployment APIs */
#include "core/map.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"
#include "ports/http_out.h"
#include "ports/journal.h"
#include "ports/log.h"
#include "ports/outbox.h"
#include "ports/service.h"
#include "ports/store.h"
#include "remediate/adapter.h"
#include "remediate/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAKE_WAIT_MS = 20, TAKE_MAX = 500, TASKS_MAX = 32, END_FRESH_MS = 3000, TOPICS = 3 };

static const char *const topics[TOPICS] = {TOPIC_ACTIONS, TOPIC_ALERTS, TOPIC_COMMANDS};

struct flight { /* a call on its way */
	char action_id[ID_SIZE];
	enum task_kind kind;
	const struct config_target *target;
	struct remedy remedy; /* as it was when the call started, for the judging */
};

struct room {
	struct service service;
	struct fold fold;
	struct head head;
	struct store *store;
	struct log *log;
	struct log_reader *reader;
	struct log_writer *writer;
	struct outbox *outbox;
	struct http_out *http;
	struct remediate *remediate; /* NULL: to be loaded */
	struct change change;
	struct flight flights[TASKS_MAX];
	char names[TOPICS][256];
	int32_t partitions[TOPICS];
	struct backoff backoff;
};

static enum rc open_ports(struct room *room, struct err *err)
{
	const struct config *config = &room->service.config;
	const char *output = room->names[0];

	for (int i = 0; i < TOPICS; i++)
		snprintf(room->names[i], sizeof room->names[i], "%s.%s", config->kafka.prefix,
			topics[i]);
	TRY(store_open(&config->redis, &room->store, err));
	TRY(log_open(&config->kafka, "modelwatch-remediate", &room->log, err));
	TRY(log_reader_open(room->log, &room->reader, err));
	TRY(log_writer_open(room->log, &output, 1, &room->writer, err));
	room->outbox = outbox_open(room->store, &room->fold, room->writer, config->kafka.prefix);
	return http_out_open(config->http_allow, config->http_allow_count, &room->http, err);
}

static void close_ports(struct room *room)
{
	remediate_free(room->remediate);
	http_out_close(room->http);
	outbox_close(room->outbox);
	log_writer_close(room->writer);
	log_reader_close(room->reader);
	log_close(room->log);
	store_close(room->store);
	change_done(&room->change);
}

static enum rc find_topics(struct room *room, struct err *err)
{
	for (int i = 0; i < TOPICS; i++) {
		if (room->partitions[i])
			continue;
		enum rc rc =
			log_partitions(room->log, room->names[i], 1000, &room->partitions[i], err);

		if (rc == RC_NONE)
			return err_set(err, RC_RETRY, "topic %s is not there: run modelwatch init",
				room->names[i]);
		TRY(rc);
	}
	return RC_OK;
}

static enum rc assign_topics(struct room *room, struct err *err)
{
	for (int i = 0; i < TOPICS; i++) {
		for (int32_t p = 0; p < room->partitions[i]; p++) {
			int64_t next = remediate_position(room->remediate, room->names[i], p);

			TRY(log_assign(room->reader, room->names[i], p,
				next < 0 ? OFFSET_BEGINNING : next, err));
		}
	}
	return RC_OK;
}

static void drop(struct room *room)
{
	remediate_free(room->remediate);
	room->remediate = NULL;
}

static enum rc load(struct room *room, struct err *err)
{
	TRY(find_topics(room, err));
	room->remediate = remediate_new(&room->service.config);
	enum rc rc = store_load(
		room->store, &room->fold, &room->head, remediate_restore, room->remediate, err);

	if (rc == RC_OK) {
		remediate_restored(room->remediate);
		rc = assign_topics(room, err);
	}
	if (rc != RC_OK)
		drop(room);
	return rc;
}

/* Stores what the step changed; after a failure memory is dropped, since it may have happened or
 * not. */
static enum rc advance(struct room *room, struct err *err)
{
	remediate_change(room->remediate, &room->change);
	if (!room->change.write_count && !room->change.output_count)
		return RC_OK;
	enum rc rc = store_advance(room->store, &room->fold, &room->head, &room->change, err);
	bool spoke = room->change.output_count > 0;

	change_clear(&room->change);
	if (rc != RC_OK) {
		drop(room);
		return rc == RC_FATAL ? RC_FATAL : RC_RETRY;
	}
	return outbox_turn(room->outbox, &room->head, spoke, err);
}

static enum rc take(struct room *room, struct err *err)
{
	const struct log_message *messages;
	struct log_gap gap;
	size_t count;
	enum rc rc = log_take(room->reader, TAKE_WAIT_MS, TAKE_MAX, &messages, &count, &gap, err);

	if (rc == RC_NONE)
		return RC_OK;
	if (rc == RC_REJECT) {
		journal(JOURNAL_ERROR, "gap", "topic", gap.topic, "reason", err->text, "action",
			"continue_at_first_record", NULL);
		return log_assign(room->reader, gap.topic, gap.partition, gap.low, err);
	}
	TRY(rc);
	for (size_t i = 0; i < count; i++)
		if (remediate_take(room->remediate, &messages[i], clock_wall_ms(), err) ==
			RC_REJECT)
			journal(JOURNAL_WARNING, "record_refused", "topic", messages[i].topic,
				"reason", err->text, "action", "ignore", NULL);
	return RC_OK;
}

static bool caught_up(struct room *room)
{
	for (int i = 0; i < TOPICS; i++) {
		for (int32_t p = 0; p < room->partitions[i]; p++) {
			int64_t age = log_end_age_ms(room->reader, room->names[i], p);

			if (age < 0 || age > END_FRESH_MS)
				return false;
		}
	}
	return true;
}

static bool in_flight(const struct room *room, const char *action_id)
{
	for (int i = 0; i < TASKS_MAX; i++)
		if (strcmp(room->flights[i].action_id, action_id) == 0)
			return true;
	return false;
}

static struct flight *free_flight(struct room *room)
{
	for (int i = 0; i < TASKS_MAX; i++)
		if (!room->flights[i].action_id[0])
			return &room->flights[i];
	return NULL;
}

static void start(struct room *room, const struct task *task)
{
	struct flight *flight = free_flight(room);
	struct adapter_call made;

	if (!flight)
		return;
	if (adapter_call(task, (uint64_t)(flight - room->flights), &made)) {
		*flight = (struct flight){
			.kind = task->kind, .target = task->target, .remedy = *task->remedy};
		memcpy(flight->action_id, task->remedy->action.id, ID_SIZE);
		http_out_start(room->http, &made.call);
	} else {
		remediate_called(room->remediate, task->remedy->action.id, CALL_REFUSED, -1,
			"the target has no such operation", clock_wall_ms());
	}
	adapter_call_done(&made);
}

/* A call is started only after the step that says so is stored. */
static enum rc start_tasks(struct room *room, struct err *err)
{
	struct task tasks[TASKS_MAX];
	int64_t now = clock_wall_ms();
	size_t count = remediate_tasks(room->remediate, now, tasks, TASKS_MAX);

	for (size_t i = 0; i < count; i++)
		if (tasks[i].kind == TASK_CALL && !in_flight(room, tasks[i].remedy->action.id))
			remediate_calling(room->remediate, tasks[i].remedy->action.id, now);
	TRY(advance(room, err));
	for (size_t i = 0; i < count; i++)
		if (tasks[i].remedy->state != CASE_ENDED &&
			!in_flight(room, tasks[i].remedy->action.id))
			start(room, &tasks[i]);
	return RC_OK;
}

static void take_outcome(struct room *room, const struct http_outcome *outcome)
{
	struct flight *flight = &room->flights[outcome->tag % TASKS_MAX];
	struct task task = {
		.kind = flight->kind, .remedy = &flight->remedy, .target = flight->target};
	int64_t now = clock_wall_ms();
	char sentence[400];

	if (flight->kind == TASK_PROBE) {
		bool converged =
			adapter_converged(flight->target, outcome, sentence, sizeof sentence);

		remediate_probed(room->remediate, flight->action_id, converged, sentence, now);
	} else {
		enum call_result result = adapter_judge(&task, outcome, sentence, sizeof sentence);

		remediate_called(room->remediate, flight->action_id, result,
			outcome->retry_after_ms, sentence, now);
		journal(JOURNAL_INFO, "called", "action", flight->action_id, "result", sentence,
			NULL);
	}
	flight->action_id[0] = '\0';
}

static void relay(struct room *room)
{
	uint64_t tags[TAKE_MAX];
	bool delivered[TAKE_MAX];
	size_t count = log_written(room->writer, 0, TAKE_MAX, tags, delivered);

	for (size_t i = 0; i < count; i++)
		outbox_written(room->outbox, tags[i], delivered[i]);
}

static enum rc turn(struct room *room, struct err *err)
{
	struct http_outcome outcome;
	unsigned char chance[16];

	if (!room->remediate)
		TRY(load(room, err));
	TRY(take(room, err));
	while (http_out_take(room->http, 0, &outcome))
		take_outcome(room, &outcome);
	if (caught_up(room)) {
		clock_chance(chance, sizeof chance);
		remediate_time(room->remediate, clock_wall_ms(), chance);
	}
	TRY(advance(room, err));
	TRY(start_tasks(room, err));
	relay(room);
	return outbox_turn(room->outbox, &room->head, false, err);
}

static void measure(struct room *room)
{
	struct remediate_counts counts = remediate_counts(room->remediate);
	struct metrics *metrics = &room->service.metrics;

	metric_set(metrics_get(metrics, METRIC_GAUGE, "modelwatch_remediate_cases_open",
			   "Incidents that a policy answers and that are not settled", NULL),
		(double)counts.cases_open);
	for (int i = 0; i <= ACTION_SKIPPED; i++) {
		const char *const labels[] = {"state", action_state_names[i], NULL};

		metric_set(
			metrics_get(metrics, METRIC_COUNTER, "modelwatch_remediate_actions_total",
				"Action records told, by state", labels),
			(double)counts.actions[i]);
	}
	service_status(&room->service, true, "%zu cases open, %zu calls running", counts.cases_open,
		http_out_running(room->http));
}

int main(int argc, char **argv)
{
	struct room *room = memory_new(1, sizeof *room);
	struct err err = {0};
	int status = 0;

	room->fold = (struct fold){.service = FOLD_REMEDIATE, .log = FOLD_REMEDIATE};
	if (!service_open(
		    &room->service, "remediate", SERVICE_REMEDIATE, false, argc, argv, &status)) {
		free(room);
		return status;
	}
	enum rc rc = open_ports(room, &err);

	while (rc != RC_FATAL && service_turn(&room->service)) {
		rc = turn(room, &err);
		if (rc == RC_OK) {
			backoff_reset(&room->backoff);
			measure(room);
		} else if (rc != RC_FATAL) {
			service_status(&room->service, false, "waiting: %s", err.text);
			journal(JOURNAL_WARNING, "unwell", "reason", err.text, "action", "retry",
				NULL);
			service_back_off(&room->service, &room->backoff);
		}
	}
	if (rc == RC_FATAL)
		journal(JOURNAL_ERROR, "fatal", "reason", err.text, "action", "exit", NULL);
	close_ports(room);
	service_close(&room->service);
	free(room);
	return rc == RC_FATAL ? 1 : 0;
}
