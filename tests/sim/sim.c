/* sim: the whole chain in one process under a seeded scheduler, with virtual time and faulty ports;
 * at the end of every run an oracle folds the log again, cleanly, and compares.
 *
 *   sim [--until-wrong] [FIRST [LAST]]   seeds from FIRST to LAST, or to the first that fails; a
 *                                        line of counts at the end; exit 1 if anything was wrong
 *   sim --shrink SEED                    which kinds of faults, and how much traffic, a seed that
 *                                        fails needs for it, and its last effects
 *
 * A seed is a run: sim 4711 repeats it. */
#include "core/memory.h"
#include "ports/yaml.h"
#include "tests/sim/clock.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TRAFFIC_MS = 70000,
	SLOW_AFTER_MS = 20000,
	AGAIN_AFTER_MS = 40000,
	MENDED_AFTER_MS = 55000,
	QUIET_MS = 60000,
	PATIENCE_MS = 900000,
	PAUSE_MAX_MS = 3000,
	STEP_MS = 25,
	QUIET_STEP_MS = 60
};

#define BEGINS_AT INT64_C(1763654400000)

static const char settings[] =
	"kafka: {brokers: nowhere, topics: [ml.events]}\n"
	"time: {rebuild: 12s}\n"
	"false_alarms: 1 per day\n"
	"capacity: {models: 10, comparisons: 10}\n"
	"models: [{canary: stable, tick: 1s}]\n"
	"receivers: [{name: oncall, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]\n"
	"route: {receiver: oncall, group_wait: 0s, group_interval: 1s}\n"
	"targets: [{name: fraud, http: {rollback: {url: 'http://127.0.0.1:1/'}, "
	"status: {url: 'http://127.0.0.1:1/'}, idempotent: %s}}]\n"
	"policies: [{matchers: ['alertname=\"ModelLatency\"'], mode: auto, target: fraud, "
	"ladder: [rollback, page], verify_hold: 2s}]\n";

static void configure(struct world *world)
{
	struct mistakes mistakes = {0};
	struct bytes text = {0};

	bytes_format(&text, settings, world->blind ? "false" : "true");
	struct node *document = yaml_parse(bytes_view(&text), "sim.yaml", &mistakes);
	const struct node *documents[] = {document};
	enum rc rc = config_read(documents, 1, NULL, NULL, &world->config, &mistakes);

	if (rc != RC_OK)
		printf("%s", mistakes.text.data);
	assert(rc == RC_OK);
	node_free(document);
	bytes_done(&text);
	bytes_done(&mistakes.text);
}

static void make_topics(struct world *world)
{
	static const char *const names[] = {"findings", "alerts", "actions", "commands",
		"notifications", "deadletter", "state"};
	struct err err;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s.%s", world->config.kafka.prefix, names[i]);
		struct log_topic topic = {.name = name, .partitions = 1, .retention_ms = -1};
		enum rc rc = log_create(world->log, &topic, 0, &err);

		assert(rc == RC_OK);
	}
	struct log_topic events = {
		.name = EVENT_TOPIC, .partitions = EVENT_PARTITIONS, .retention_ms = -1};
	enum rc rc = log_create(world->log, &events, 0, &err);

	assert(rc == RC_OK);
}

static void begin(struct world *world, uint64_t seed, const struct limits *limits)
{
	*world = (struct world){.seed = seed, .chance = chance_of(seed), .limits = *limits};
	world->begins_at = BEGINS_AT;
	world->slow_at = world->begins_at + SLOW_AFTER_MS;
	world->again_at = world->begins_at + AGAIN_AFTER_MS;
	world->mended_at = world->begins_at + MENDED_AFTER_MS;
	world->ends_at = world->begins_at + (limits->traffic_ms ? limits->traffic_ms : TRAFFIC_MS);
	world->produced_to = world->begins_at;
	bool split = strikes(world, FAULT_SPLIT, 0.4);

	world->blind = chance_hits(&world->chance, split ? 0.8 : 0.3);
	sim_clock_set(world->begins_at, &world->chance);
	configure(world);
	world->store = faulty_store_open(&world->chance);
	if (split)
		world->other_store = faulty_store_open(&world->chance);
	world->log = log_memory_open();
	world->wire = log_wire_open(world->log, &world->chance, &world->log_faults);
	make_topics(world);
	for (int i = 0; i < OWNERS; i++) {
		ingest_start(world, &world->ingest[i]);
		detectors_start(world, &world->detectors[i]);
		alerts_start(world, &world->alerts[i]);
		remediate_start(world, &world->remediate[i]);
	}
}

static void end(struct world *world)
{
	for (int i = 0; i < OWNERS; i++) {
		ingest_end(&world->ingest[i]);
		detectors_end(&world->detectors[i]);
		single_end(&world->alerts[i]);
		single_end(&world->remediate[i]);
	}
	store_close(world->store);
	store_close(world->other_store);
	log_wire_close(world->wire);
	log_close(world->log);
	config_done(&world->config);
	map_free_values(&world->received, free);
	map_free_values(&world->told, free);
	map_free_values(&world->executed, free);
}

/* Most of the time the first owner of each kind; now and then its zombie. */
static int some_owner(struct world *world)
{
	return strikes(world, FAULT_ZOMBIE, 0.05) ? 1 : 0;
}

/* Two that know nothing of each other: each is the owner in its own store. */
static int some_remediate(struct world *world)
{
	int owner = some_owner(world);

	return world->other_store ? (int)chance_below(&world->chance, OWNERS) : owner;
}

static void turn_one(struct world *world)
{
	int owner = some_owner(world);

	switch (chance_below(&world->chance, 4)) {
	case 0:
		ingest_turn(world, &world->ingest[owner]);
		break;
	case 1:
		detectors_turn(world, &world->detectors[owner]);
		break;
	case 2:
		alerts_turn(world, &world->alerts[owner]);
		break;
	default:
		remediate_turn(world, &world->remediate[some_remediate(world)]);
		break;
	}
}

static void kill_one(struct world *world)
{
	int owner = some_owner(world);

	world->crashes++;
	trace("killer", "kills a process, number %d of its kind", owner + 1);
	switch (chance_below(&world->chance, 4)) {
	case 0:
		ingest_end(&world->ingest[owner]);
		ingest_start(world, &world->ingest[owner]);
		break;
	case 1:
		detectors_end(&world->detectors[owner]);
		detectors_start(world, &world->detectors[owner]);
		break;
	case 2:
		single_end(&world->alerts[owner]);
		alerts_start(world, &world->alerts[owner]);
		break;
	default:
		single_end(&world->remediate[owner]);
		remediate_start(world, &world->remediate[owner]);
		break;
	}
}

static void go_back(struct world *world)
{
	double chance = world->rewind_chance;

	if (chance_hits(&world->chance, 0.02))
		faulty_store_back_up(world->store);
	if (strikes(world, FAULT_REWIND, chance) && faulty_store_go_back(world->store)) {
		trace("store", "goes back in time");
		world->rewinds++;
	}
	if (strikes(world, FAULT_REWIND, chance / 4)) {
		trace("store", "is emptied");
		faulty_store_empty(world->store);
		world->rewinds++;
	}
}

/* For so long from now on. */
static int64_t a_while(struct world *world)
{
	return sim_clock_now() + 300 + (int64_t)chance_below(&world->chance, PAUSE_MAX_MS);
}

static void disturb(struct world *world)
{
	if (strikes(world, FAULT_CRASH, 0.01))
		kill_one(world);
	go_back(world);
	if (strikes(world, FAULT_STALL, 0.001)) {
		trace("log", "ingest cannot read it");
		world->stalled_to = a_while(world);
	}
	if (strikes(world, FAULT_PAUSE, 0.001)) {
		trace("producers", "pause");
		world->paused_to = a_while(world);
	}
}

static void set_faults(struct world *world, double strength)
{
	const bool *without = world->limits.without;
	struct store_faults faults = {
		.refused = without[FAULT_REFUSED] ? 0 : strength,
		.answer_lost = without[FAULT_ANSWER_LOST] ? 0 : strength,
		.crash = without[FAULT_CRASH] ? 0 : strength / 2,
		.unfit = without[FAULT_UNFIT] ? 0 : strength / 2,
	};

	faulty_store_set(world->store, &faults);
	if (world->other_store)
		faulty_store_set(world->other_store, &faults);
	world->log_faults = (struct log_faults){0};
	if (strength > 0 && !without[FAULT_LOG])
		world->log_faults = (struct log_faults){.lost = strength * 4,
			.ack_lost = strength * 2,
			.late = world->other_store ? 0.5 : strength * 4,
			.again = strength * 4,
			.fate_untold = 0.3};
}

/* A third of all seeds know a store that goes back in time; some know hardly any fault. */
static void storm(struct world *world)
{
	static const double strengths[] = {0.002, 0.01, 0.03};
	double strength = strengths[chance_below(&world->chance, 3)];

	world->rewind_chance = chance_hits(&world->chance, 0.33) ? 0.0015 : 0;
	set_faults(world, strength);
	while (sim_clock_now() < world->ends_at) {
		sim_clock_pass(1 + (int64_t)chance_below(&world->chance, STEP_MS));
		produce(world, sim_clock_now());
		log_wire_turn(world->wire, sim_clock_now());
		turn_one(world);
		disturb(world);
	}
}

/* The weather clears; everything is read, judged, told and done. */
/* What failed again and again is tried again only after minutes. */
static bool somebody_waits(const struct world *world)
{
	for (int i = 0; i < OWNERS; i++)
		if (world->alerts[i].alerts && alerts_pending_count(world->alerts[i].alerts))
			return true;
	return false;
}

static void calm(struct world *world)
{
	int64_t quiet_at = world->ends_at + QUIET_MS;
	int64_t end_at = world->ends_at + PATIENCE_MS;

	set_faults(world, 0);
	world->rewind_chance = 0;
	trace("weather", "clears");
	while (sim_clock_now() < quiet_at || (sim_clock_now() < end_at && somebody_waits(world))) {
		sim_clock_pass(QUIET_STEP_MS);
		log_wire_turn(world->wire, sim_clock_now());
		for (int i = 0; i < 4; i++)
			turn_one(world);
	}
}

struct sums {
	uint64_t seeds, wrong, events, crashes, rewinds, rebuilds, notifications, executions;
};

/* Whether anything was wrong; sums may be NULL. */
static bool run(uint64_t seed, const struct limits *limits, struct sums *sums)
{
	struct world *world = memory_new(1, sizeof *world);

	begin(world, seed, limits);
	storm(world);
	calm(world);
	judge_world(world);
	bool is_wrong = world->wrong > 0;

	if (sums) {
		sums->seeds++;
		sums->wrong += is_wrong;
		sums->events += world->events;
		sums->crashes += world->crashes;
		sums->rewinds += world->rewinds;
		sums->rebuilds += world->rebuilds;
		sums->notifications += world->received.count;
		sums->executions += world->executed.count;
	}
	end(world);
	free(world);
	return is_wrong;
}

/* ---- shrinking */

static const char *const fault_names[FAULT_KINDS] = {"crashes", "refusals of the store",
	"lost answers of the store", "steps that do not fit", "a lossy and late log",
	"rewinds of the store", "zombies", "a split remediate", "stalls of ingest",
	"pauses of producers"};

/* One kind of fault after another is left out as long as the seed still fails. */
static void leave_out(uint64_t seed, struct limits *limits)
{
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		limits->without[kind] = true;
		if (!run(seed, limits, NULL))
			limits->without[kind] = false;
	}
}

/* The shortest traffic, to the second, with which it fails, as if longer ones all did. */
static void shorten(uint64_t seed, struct limits *limits)
{
	int64_t good = 0, bad = TRAFFIC_MS / 1000;

	while (bad - good > 1) {
		limits->traffic_ms = (good + bad) / 2 * 1000;
		if (run(seed, limits, NULL))
			bad = (good + bad) / 2;
		else
			good = (good + bad) / 2;
	}
	limits->traffic_ms = bad * 1000;
}

static int shrink(uint64_t seed)
{
	struct limits limits = {.quiet = true};

	if (!run(seed, &limits, NULL)) {
		printf("seed %" PRIu64 " does not fail\n", seed);
		return 0;
	}
	leave_out(seed, &limits);
	shorten(seed, &limits);
	printf("seed %" PRIu64 " still fails with %" PRId64 " s of traffic, and", seed,
		limits.traffic_ms / 1000);
	int count = 0;

	for (int kind = 0; kind < FAULT_KINDS; kind++)
		if (!limits.without[kind])
			printf("%s %s", count++ ? "," : "", fault_names[kind]);
	printf("%s:\n", count ? "" : " no fault at all");
	limits.quiet = false;
	trace_begin(true);
	run(seed, &limits, NULL);
	trace_print(BEGINS_AT);
	return 1;
}

int main(int argc, char **argv)
{
	bool shrinks = argc == 3 && strcmp(argv[1], "--shrink") == 0;
	bool until_wrong = argc > 1 && strcmp(argv[1], "--until-wrong") == 0;
	char **seeds = argv + until_wrong;
	int count = argc - until_wrong;
	uint64_t first = count > 1 ? strtoull(seeds[1], NULL, 10) : 1;
	uint64_t last = count > 2 ? strtoull(seeds[2], NULL, 10) : first;
	struct sums sums = {0};

	if (shrinks)
		return shrink(strtoull(argv[2], NULL, 10));
	for (uint64_t seed = first; seed <= last && !(until_wrong && sums.wrong); seed++)
		run(seed, &(struct limits){0}, &sums);
	printf("%" PRIu64 " seeds, %" PRIu64 " events, %" PRIu64 " crashes, %" PRIu64
	       " rewinds of the store, %" PRIu64 " partitions rebuilt from snapshots, %" PRIu64
	       " notifications, %" PRIu64 " rollbacks\n",
		sums.seeds, sums.events, sums.crashes, sums.rewinds, sums.rebuilds,
		sums.notifications, sums.executions);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", sums.seeds - sums.wrong, sums.wrong);
	return sums.wrong > 0;
}
