/* ingest/partition.h: one fold of ingest at its ports: loaded from the store, fed from the log,
 * stepped, marked while the log is idle, and loaded again after anything that went wrong. TOUCHES:
 * through store.h, log.h, outbox.h, clock.h. Never logs: main.c does. */
#ifndef INGEST_PARTITION_H
#define INGEST_PARTITION_H

#include "ingest/progress.h"
#include "ingest/step.h"
#include "ports/outbox.h"
#include "ports/snapshots.h"

struct partition_ports {             /* shared by all of a process */
	const struct config *config; /* the one that is in effect */
	struct store *store;
	struct log *log;
	struct log_reader *reader;
	struct log_writer *writer;
	struct snapshot_search *search;
	const char *prefix;
};

struct partition {
	struct fold fold;
	char topic[256];
	int32_t number;
	struct ingest *ingest; /* NULL: to be loaded */
	struct head head;
	struct outbox *outbox;
	int64_t rebuilt_from_ms; /* it began with a snapshot of this event time, to be told; 0 */
	bool rewound;     /* the log is another one: the next message tells where it begins */
	bool wake;        /* the last step had outputs */
	int64_t accepted; /* events folded into windows or as late, when they were last looked at */
	int64_t accepted_at; /* monotonic, like all that follows */
	int64_t accepted_ms; /* event time then */
	int64_t marked_at, stepped_at;
	int64_t away_until;   /* no marks before: the broker was away a moment ago */
	int64_t load_at;      /* not before */
	int64_t load_wait_ms; /* grows while it fails */
	size_t messages;      /* since the last step */
	struct progress progress;
	uint64_t steps, gaps; /* since the process began */
};

struct partition *partition_new(
	const struct partition_ports *ports, const char *topic, int32_t number);
void partition_free(struct partition *partition, const struct partition_ports *ports);

/* Loads the fold and has its log read from its cursor. Where nothing is stored, it begins with the
 * snapshot that reaches back far enough (config.time.rebuild), or at the beginning of the log.
 * RC_NONE: not yet, it failed a moment ago, or snapshots are being looked for. RC_RETRY, RC_FATAL:
 * not loaded. */
enum rc partition_load(struct partition *partition, const struct partition_ports *ports,
	struct err *err) MUST_CHECK;

/* Drops memory: a step may have happened or not, or the world was unwell. */
void partition_drop(struct partition *partition, const struct partition_ports *ports);

/* RC_NONE: folded, and a gap was recorded before it (err says which). */
enum rc partition_take(
	struct partition *partition, const struct log_message *message, struct err *err) MUST_CHECK;

/* What is wanted is not in the log: records the gap and reads on. err says what was recorded. */
enum rc partition_gap(struct partition *partition, const struct partition_ports *ports,
	const struct log_gap *gap, struct err *err) MUST_CHECK;

/* A mark if the log is idle, a step if one is due, and the outbox. RC_REJECT: a dead letter that no
 * topic takes was lost. RC_RETRY: it was dropped, or only the outbox has to wait (it is loaded
 * then). */
enum rc partition_turn(struct partition *partition, const struct partition_ports *ports,
	struct err *err) MUST_CHECK;

#endif
