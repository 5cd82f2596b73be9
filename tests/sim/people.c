/* alerts and remediate as their main loops drive them, in miniature. */
#include "core/memory.h"
#include "core/topics.h"
#include "ports/clock.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { FATES_MAX = 64, TASKS_MAX = 8, TAKE_MAX = 50, LOAD_WAIT_MS = 100 };

static const char *const alerts_topics[] = {TOPIC_FINDINGS, TOPIC_ACTIONS, TOPIC_COMMANDS, NULL};
static const char *const remediate_topics[] = {TOPIC_ACTIONS, TOPIC_ALERTS, TOPIC_COMMANDS, NULL};

static void full_name(const struct world *world, const char *topic, char name[256])
{
	snprintf(name, 256, "%s.%s", world->config.kafka.prefix, topic);
}

static void open_single(struct world *world, struct single_process *process, const char *service,
	struct store *store)
{
	struct err err;

	*process = (struct single_process){.fold = {.service = service}, .store = store};
	snprintf(process->fold.log, sizeof process->fold.log, "%s", service);
	enum rc rc = log_reader_open(world->log, &process->reader, &err);

	assert(rc == RC_OK);
	process->writer = faulty_writer_open(world->wire);
	process->outbox =
		outbox_open(store, &process->fold, process->writer, world->config.kafka.prefix);
}

static void forget(struct single_process *process)
{
	alerts_free(process->alerts);
	remediate_free(process->remediate);
	process->alerts = NULL;
	process->remediate = NULL;
	process->load_at = clock_monotonic_ms() + LOAD_WAIT_MS;
}

void single_end(struct single_process *process)
{
	forget(process);
	outbox_close(process->outbox);
	log_writer_close(process->writer);
	log_reader_close(process->reader);
}

static void settle(struct single_process *process)
{
	uint64_t tags[FATES_MAX];
	bool delivered[FATES_MAX];
	size_t count = log_written(process->writer, 0, FATES_MAX, tags, delivered);

	for (size_t i = 0; i < count; i++)
		outbox_written(process->outbox, tags[i], delivered[i]);
}

/* Read to their ends, as far as the reader has been told. */
static bool caught_up(
	struct world *world, struct single_process *process, const char *const *topics)
{
	char name[256];

	for (; *topics; topics++) {
		full_name(world, *topics, name);
		if (log_end_age_ms(process->reader, name, 0) < 0)
			return false;
	}
	return true;
}

/* ---- alerts */

void alerts_start(struct world *world, struct single_process *process)
{
	open_single(world, process, FOLD_ALERTS, world->store);
}

static enum rc assign(struct world *world, struct single_process *process, const char *topic,
	int64_t next, struct err *err)
{
	char name[256];

	full_name(world, topic, name);
	return log_assign(process->reader, name, 0, next < 0 ? OFFSET_BEGINNING : next, err);
}

static enum rc hear(struct world *world, struct single_process *process, struct err *err)
{
	const struct log_message *messages;
	struct log_reader *reader;
	struct log_gap gap;
	size_t count;
	char name[256];

	full_name(world, TOPIC_NOTIFICATIONS, name);
	TRY(log_reader_open(world->log, &reader, err));
	TRY(log_assign(reader, name, 0, OFFSET_BEGINNING, err));
	while (log_take(reader, 0, TAKE_MAX, &messages, &count, &gap, err) == RC_OK) {
		for (size_t i = 0; i < count; i++) {
			struct notification heard = {0};

			TRY(notification_from_json(messages[i].value, &heard, err));
			alerts_heard(process->alerts, &heard);
			notification_done(&heard);
		}
	}
	log_reader_close(reader);
	return RC_OK;
}

static enum rc load_alerts(struct world *world, struct single_process *process, struct err *err)
{
	char name[256];

	process->alerts = alerts_new(&world->config);
	TRY(store_load(process->store, &process->fold, &process->head, alerts_restore,
		process->alerts, err));
	alerts_restored(process->alerts, clock_wall_ms());
	if (process->head.fresh)
		TRY(hear(world, process, err));
	for (const char *const *topic = alerts_topics; *topic; topic++) {
		full_name(world, *topic, name);
		TRY(assign(world, process, *topic, alerts_position(process->alerts, name, 0), err));
	}
	return RC_OK;
}

static enum rc advance(struct single_process *process, struct err *err)
{
	struct change change = {0};
	enum rc rc = RC_OK;

	if (process->alerts)
		alerts_change(process->alerts, &change);
	else
		remediate_change(process->remediate, &change);
	bool spoke = change.output_count > 0;

	if (change.write_count || spoke)
		rc = store_advance(process->store, &process->fold, &process->head, &change, err);
	change_done(&change);
	if (rc == RC_OK)
		rc = outbox_turn(process->outbox, &process->head, spoke, err);
	return rc;
}

/* The oldest pending one that may be tried now; a crash may come between the call and its record.
 */
static enum rc deliver(struct world *world, struct single_process *process, struct err *err)
{
	if (!alerts_pending_count(process->alerts))
		return RC_OK;
	const struct notification *notification = alerts_pending(process->alerts, 0);
	char id[ID_SIZE];

	if (notification->next_try_at > clock_wall_ms())
		return RC_OK;
	memcpy(id, notification->id, sizeof id);
	struct attempt attempt = receive(world, notification);

	if (strikes(world, FAULT_CRASH, 0.02))
		return err_set(err, RC_FATAL, "simulated: crash after the call");
	alerts_tried(process->alerts, id, &attempt, clock_wall_ms());
	return advance(process, err);
}

static enum rc take_messages(struct world *world, struct single_process *process, struct err *err)
{
	const struct log_message *messages;
	struct log_gap gap;
	size_t count;
	enum rc rc = log_take(process->reader, 0, 1 + chance_below(&world->chance, TAKE_MAX),
		&messages, &count, &gap, err);

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		enum rc taken = process->alerts ? alerts_take(process->alerts, &messages[i],
							  clock_wall_ms(), err)
						: remediate_take(process->remediate, &messages[i],
							  clock_wall_ms(), err);

		if (taken == RC_REJECT)
			printf("a record was refused: %s\n", err->text);
	}
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc try_alerts(struct world *world, struct single_process *process, struct err *err)
{
	if (!process->alerts)
		TRY(load_alerts(world, process, err));
	TRY(take_messages(world, process, err));
	if (caught_up(world, process, alerts_topics) &&
		alerts_next(process->alerts) <= clock_wall_ms())
		alerts_time(process->alerts, clock_wall_ms());
	TRY(advance(process, err));
	TRY(deliver(world, process, err));
	settle(process);
	return RC_OK;
}

static void after(struct world *world, struct single_process *process, enum rc rc,
	void (*start)(struct world *world, struct single_process *process))
{
	if (rc == RC_OK)
		return;
	if (rc != RC_FATAL) {
		trace(process->fold.service, "drops its memory");
		forget(process);
		return;
	}
	world->crashes++;
	trace(process->fold.service, "crashes");
	single_end(process);
	start(world, process);
}

void alerts_turn(struct world *world, struct single_process *process)
{
	struct err err;

	if (process->alerts || clock_monotonic_ms() >= process->load_at)
		after(world, process, try_alerts(world, process, &err), alerts_start);
}

/* ---- remediate */

void remediate_start(struct world *world, struct single_process *process)
{
	bool other = world->other_store && process == &world->remediate[1];

	open_single(world, process, FOLD_REMEDIATE, other ? world->other_store : world->store);
}

static enum rc load_remediate(struct world *world, struct single_process *process, struct err *err)
{
	char name[256];

	process->remediate = remediate_new(&world->config);
	TRY(store_load(process->store, &process->fold, &process->head, remediate_restore,
		process->remediate, err));
	remediate_restored(process->remediate);
	for (const char *const *topic = remediate_topics; *topic; topic++) {
		full_name(world, *topic, name);
		TRY(assign(world, process, *topic, remediate_position(process->remediate, name, 0),
			err));
	}
	return RC_OK;
}

/* As when a replica takes over that had not heard of the call. */
static void lose_the_last_second(struct world *world)
{
	if (world->rewind_chance > 0 && strikes(world, FAULT_REWIND, 0.3) &&
		faulty_store_go_back(world->store)) {
		trace("store", "goes back to before the call");
		world->rewinds++;
	}
}

static enum rc call(
	struct world *world, struct single_process *process, const char *action_id, struct err *err)
{
	if (world->rewind_chance > 0 && chance_hits(&world->chance, 0.3))
		faulty_store_back_up(world->store);
	remediate_calling(process->remediate, action_id, clock_wall_ms());
	TRY(advance(process, err));
	struct task tasks[TASKS_MAX];
	size_t count = remediate_tasks(process->remediate, clock_wall_ms(), tasks, TASKS_MAX);
	const struct remedy *still = NULL;

	for (size_t i = 0; i < count; i++)
		if (tasks[i].kind == TASK_CALL &&
			strcmp(tasks[i].remedy->action.id, action_id) == 0)
			still = tasks[i].remedy;
	if (!still)
		return RC_OK;
	enum call_result result = execute(world, action_id, still->action.token);

	lose_the_last_second(world);
	if (strikes(world, FAULT_CRASH, 0.1))
		return err_set(err, RC_FATAL, "simulated: crash after the call");
	remediate_called(process->remediate, action_id, result, -1, "simulated", clock_wall_ms());
	return advance(process, err);
}

static enum rc act(struct world *world, struct single_process *process, struct err *err)
{
	struct task tasks[TASKS_MAX];
	char ids[TASKS_MAX][ID_SIZE];
	size_t count = remediate_tasks(process->remediate, clock_wall_ms(), tasks, TASKS_MAX);
	enum task_kind kinds[TASKS_MAX];

	for (size_t i = 0; i < count; i++) {
		memcpy(ids[i], tasks[i].remedy->action.id, ID_SIZE);
		kinds[i] = tasks[i].kind;
	}
	for (size_t i = 0; i < count; i++) {
		if (kinds[i] == TASK_CALL)
			TRY(call(world, process, ids[i], err));
		else
			remediate_probed(process->remediate, ids[i], world->rolled_back, "",
				clock_wall_ms());
	}
	return advance(process, err);
}

static enum rc try_remediate(struct world *world, struct single_process *process, struct err *err)
{
	unsigned char bytes[16];

	if (!process->remediate)
		TRY(load_remediate(world, process, err));
	TRY(take_messages(world, process, err));
	if (caught_up(world, process, remediate_topics)) {
		clock_chance(bytes, sizeof bytes);
		remediate_time(process->remediate, clock_wall_ms(), bytes);
	}
	TRY(advance(process, err));
	TRY(act(world, process, err));
	settle(process);
	return RC_OK;
}

void remediate_turn(struct world *world, struct single_process *process)
{
	struct err err;

	if (process->remediate || clock_monotonic_ms() >= process->load_at)
		after(world, process, try_remediate(world, process, &err), remediate_start);
}
