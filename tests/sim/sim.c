/* sim: the whole chain in one process under a seeded scheduler, with virtual time and faulty ports;
 * at the end of every run an oracle folds the log again, cleanly, and compares.
 *
 *   sim [FIRST [LAST]]        seeds from FIRST to LAST; a line of counts at the end; exit 1 if
 * anything was wrong
 *
 * A seed is a run: sim 4711 4711 repeats it. */
#include "core/memory.h"
#include "ports/yaml.h"
#include "tests/sim/clock.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TRAFFIC_MS = 70000,
	SLOW_AFTER_MS = 20000,
	QUIET_MS = 60000,
	STEP_MS = 25,
	QUIET_STEP_MS = 60
};

static const char settings[] =
	"kafka: {brokers: nowhere, topics: [ml.events]}\n"
	"false_alarms: 1 per day\n"
	"capacity: {models: 10, comparisons: 10}\n"
	"models: [{match: {model: fraud}, canary: stable, tick: 1s}, {tick: 1s}]\n"
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
	static const char *const names[] = {
		"findings", "alerts", "actions", "commands", "notifications", "deadletter"};
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

static void begin(struct world *world, uint64_t seed)
{
	*world = (struct world){.seed = seed, .chance = chance_of(seed)};
	world->begins_at = 1763654400000;
	world->slow_at = world->begins_at + SLOW_AFTER_MS;
	world->ends_at = world->begins_at + TRAFFIC_MS;
	world->produced_to = world->begins_at;
	world->blind = chance_hits(&world->chance, 0.3);
	sim_clock_set(world->begins_at, &world->chance);
	configure(world);
	world->store = faulty_store_open(&world->chance);
	world->log = log_memory_open();
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
	log_close(world->log);
	config_done(&world->config);
	map_free_values(&world->received, free);
	map_free_values(&world->executed, free);
}

/* Most of the time the first owner of each kind; now and then its zombie. */
static int some_owner(struct world *world)
{
	return chance_hits(&world->chance, 0.05) ? 1 : 0;
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
		remediate_turn(world, &world->remediate[owner]);
		break;
	}
}

static void kill_one(struct world *world)
{
	int owner = some_owner(world);

	world->crashes++;
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

static void disturb(struct world *world, double rewinds)
{
	if (chance_hits(&world->chance, 0.01))
		kill_one(world);
	if (chance_hits(&world->chance, 0.02))
		faulty_store_back_up(world->store);
	if (chance_hits(&world->chance, rewinds) && faulty_store_go_back(world->store))
		world->rewinds++;
	if (chance_hits(&world->chance, rewinds / 4)) {
		faulty_store_empty(world->store);
		world->rewinds++;
	}
}

/* A third of all seeds know a store that goes back in time; some know hardly any fault. */
static void storm(struct world *world)
{
	static const double strengths[] = {0.002, 0.01, 0.03};
	double strength = strengths[chance_below(&world->chance, 3)];
	double rewinds = chance_hits(&world->chance, 0.33) ? 0.0015 : 0;
	struct store_faults faults = {strength, strength, strength / 2};

	faulty_store_set(world->store, &faults);
	world->log_faults = (struct log_faults){strength * 2, strength * 2, 0.3};
	while (sim_clock_now() < world->ends_at) {
		sim_clock_pass(1 + (int64_t)chance_below(&world->chance, STEP_MS));
		produce(world, sim_clock_now());
		turn_one(world);
		disturb(world, rewinds);
	}
}

/* The weather clears; everything is read, judged, told and done. */
static void calm(struct world *world)
{
	faulty_store_set(world->store, &(struct store_faults){0});
	world->log_faults = (struct log_faults){0};
	while (sim_clock_now() < world->ends_at + QUIET_MS) {
		sim_clock_pass(QUIET_STEP_MS);
		for (int i = 0; i < 4; i++)
			turn_one(world);
	}
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : first;
	uint64_t crashes = 0, rewinds = 0, events = 0, executions = 0, notifications = 0;
	int wrong_seeds = 0;

	for (uint64_t seed = first; seed <= last; seed++) {
		struct world *world = memory_new(1, sizeof *world);

		begin(world, seed);
		storm(world);
		calm(world);
		wrong_seeds += judge_world(world) > 0;
		crashes += world->crashes;
		rewinds += world->rewinds;
		events += world->events;
		executions += world->executed.count;
		notifications += world->received.count;
		end(world);
		free(world);
	}
	printf("%" PRIu64 " seeds, %" PRIu64 " events, %" PRIu64 " crashes, %" PRIu64
	       " rewinds of the store, %" PRIu64 " notifications, %" PRIu64 " rollbacks\n",
		last - first + 1, events, crashes, rewinds, notifications, executions);
	printf("%" PRIu64 " passed, %d failed\n", last - first + 1 - (uint64_t)wrong_seeds,
		wrong_seeds);
	return wrong_seeds > 0;
}
