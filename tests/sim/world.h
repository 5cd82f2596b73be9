/* tests/sim/world.h: the whole chain in one process under one seed: its services as actors that a
 * scheduler turns, the log, the store, and what lies outside: producers, a webhook's receiver, a
 * deployment API. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "alerts/step.h"
#include "core/map.h"
#include "detectors/judging.h"
#include "ingest/partition.h"
#include "remediate/step.h"
#include "tests/sim/chance.h"
#include "tests/sim/faulty_log.h"
#include "tests/sim/faulty_store.h"

enum { EVENT_PARTITIONS = 2, OWNERS = 2 };
#define EVENT_TOPIC "ml.events"

/* One process of each kind that owns folds; zombies are simply a second one. */
struct ingest_process {
	struct partition_ports ports;
	struct partition *partitions[EVENT_PARTITIONS];
};
struct detectors_process {
	struct judging_ports ports;
	struct judging *judgings[EVENT_PARTITIONS];
};
struct single_process { /* alerts, remediate */
	struct fold fold;
	struct head head;
	struct log_reader *reader;
	struct log_writer *writer;
	struct outbox *outbox;
	struct alerts *alerts;
	struct remediate *remediate;
	int64_t load_at;
};

struct world {
	uint64_t seed;
	struct chance chance;
	struct config config;
	struct store *store;
	struct log *log;
	struct log_faults log_faults;
	struct ingest_process ingest[OWNERS];
	struct detectors_process detectors[OWNERS];
	struct single_process alerts[OWNERS], remediate[OWNERS];

	/* Outside. */
	int64_t begins_at, slow_at, ends_at; /* of the traffic, virtual wall clock */
	int64_t produced_to;
	uint64_t events;
	bool rolled_back;
	bool blind;          /* the target honours no key */
	struct map received; /* notification id -> payload (text) */
	struct map executed; /* action id -> size_t *: how often the target did it */
	uint64_t crashes, receptions, calls, rewinds;
	uint64_t bodies_changed; /* an id came again with another body */
};

/* services.c */
void ingest_start(struct world *world, struct ingest_process *process);
void ingest_end(struct ingest_process *process);
void ingest_turn(struct world *world, struct ingest_process *process);
void detectors_start(struct world *world, struct detectors_process *process);
void detectors_end(struct detectors_process *process);
void detectors_turn(struct world *world, struct detectors_process *process);

/* people.c */
void alerts_start(struct world *world, struct single_process *process);
void alerts_turn(struct world *world, struct single_process *process);
void remediate_start(struct world *world, struct single_process *process);
void remediate_turn(struct world *world, struct single_process *process);
void single_end(struct single_process *process);

/* outside.c */
void produce(struct world *world, int64_t now);
/* A webhook's call. */
struct attempt receive(struct world *world, const struct notification *notification);
/* A deployment API's call. */
enum call_result execute(struct world *world, const char *action_id);

/* oracle.c: every sentence that does not hold is printed; their number. */
int judge_world(struct world *world);

#endif
