/* detectors/judging.h: one fold of the detectors at its ports: loaded from the store, fed with
 * the close records of ingest's fold of the same log, stepped, and loaded again after anything that
 * went wrong. TOUCHES: through store.h, outbox.h, clock.h. Never logs: main.c does. */
#ifndef DETECTORS_JUDGING_H
#define DETECTORS_JUDGING_H

#include "detectors/step.h"
#include "ports/outbox.h"
#include "ports/snapshots.h"

struct judging_ports {               /* shared by all of a process */
	const struct config *config; /* the one that is in effect */
	struct store *store;
	struct log_writer *writer;
	struct snapshot_search *search;
	const char *prefix;
};

struct judging {
	struct fold fold, ingest_fold;
	char topic[256];
	int32_t number;
	struct detectors *detectors; /* NULL: to be loaded */
	struct head head, ingest_head;
	struct cut
		restored; /* with which ingest's life under ingest_head began; sequence 0: none */
	struct outbox *outbox;
	int64_t looked_at; /* at ingest's head, monotonic */
	int64_t load_at;   /* not before */
	bool behind;       /* the last turn read as much as it may: there is more */
	struct change change;
};

struct judging *judging_new(const struct judging_ports *ports, const char *topic, int32_t number);
void judging_free(struct judging *judging, const struct judging_ports *ports);

/* Loads the fold. Where nothing is stored and ingest began with a snapshot, it begins with its own
 * of the same cut. RC_NONE: not yet: ingest has not begun (err says so), it failed a moment ago, or
 * snapshots are being looked for. RC_RETRY, RC_FATAL: not loaded. */
enum rc judging_load(
	struct judging *judging, const struct judging_ports *ports, struct err *err) MUST_CHECK;

/* Drops memory: a step may have happened or not. */
void judging_drop(struct judging *judging);

/* Folds the close records that are there, in one step, and turns the outbox. RC_NONE: done, and a
 * new life of ingest was begun (err says it). RC_REJECT: a finding that no topic takes was lost.
 * RC_RETRY: it was dropped, or only the outbox has to wait. */
enum rc judging_turn(
	struct judging *judging, const struct judging_ports *ports, struct err *err) MUST_CHECK;

#endif
