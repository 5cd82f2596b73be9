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

/* What may go wrong, by kind: a seed that fails is run again without one after another. */
enum fault_kind {
	FAULT_CRASH,
	FAULT_REFUSED,     /* by the store */
	FAULT_ANSWER_LOST, /* the store's */
	FAULT_UNFIT,       /* a step that must be refused as a whole */
	FAULT_LOG,         /* records and acknowledgements lost or late */
	FAULT_REWIND,      /* of the store, and its loss */
	FAULT_ZOMBIE,      /* a second process of a kind has a turn */
	FAULT_SPLIT,       /* the second remediate process has a store of its own */
	FAULT_STALL,       /* ingest is cut off from the log for a while */
	FAULT_PAUSE,       /* producers pause */
	FAULT_KINDS
};

struct limits { /* of a run; all zero: none */
	bool without[FAULT_KINDS];
	int64_t traffic_ms; /* 0: the usual */
	bool quiet;         /* says nothing of what is wrong */
};

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
	struct store *store;
	struct alerts *alerts;
	struct remediate *remediate;
	int64_t load_at;
};

struct world {
	uint64_t seed;
	struct chance chance;
	struct limits limits;
	struct config config;
	struct store *store, *other_store; /* NULL: there is one store for all */
	struct log *log;
	struct log_faults log_faults;
	struct log_wire *wire;
	double rewind_chance; /* per step of the storm; 0 = this store keeps what it has */
	struct ingest_process ingest[OWNERS];
	struct detectors_process detectors[OWNERS];
	struct single_process alerts[OWNERS], remediate[OWNERS];

	/* Outside. */
	int64_t begins_at, ends_at;           /* of the traffic, virtual wall clock */
	int64_t slow_at, again_at, mended_at; /* fraud, churn; churn again */
	int64_t produced_to;
	int64_t paused_to, stalled_to; /* producers; ingest's reading */
	uint64_t events;
	bool rolled_back;
	bool blind;          /* the target honours no key */
	struct map received; /* notification id -> payload (text) */
	struct map told;     /* notification id -> struct told_once * (oracle.c) */
	struct map executed; /* action id -> size_t *: how often the target did it */
	uint64_t crashes, receptions, calls, rewinds, rebuilds;
	uint64_t bodies_changed; /* an id came again with another body */

	struct { /* of ingest's marks, the newest that was looked at */
		uint64_t sequence, rewinds;
	} marks[EVENT_PARTITIONS];
	int wrong; /* sentences that did not hold */
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

/* Whether a fault strikes that is this likely; its chance is drawn in any case. */
bool strikes(struct world *world, enum fault_kind kind, double probability);
void produce(struct world *world, int64_t now);
/* A webhook's call. */
struct attempt receive(struct world *world, const struct notification *notification);
/* A deployment API's call, by the process that wrote INTENT with this token. */
enum call_result execute(struct world *world, const char *action_id, const char *token);

/* rebuilt.c: puts the state with which a fold's life began into a change; false: with nothing. */
bool rebuilt_from(struct world *world, const struct fold *fold, struct change *change);

/* oracle.c: every sentence that does not hold is counted and printed. */
void wrong(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
void judge_world(struct world *world);
/* What must hold at once: after a turn of ingest, at a reception, at a call. */
void judge_marks(struct world *world);
void judge_reception(struct world *world, const struct notification *notification);
void judge_call(struct world *world, const char *action_id, const char *token);

#endif
