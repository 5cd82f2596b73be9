/* ports/snapshots.h: snapshots of one fold (core/snapshot.h): written as outputs of its next step,
 * found again in topic "state" by a fold that starts with nothing stored. TOUCHES: through store.h,
 * log.h. */
#ifndef PORTS_SNAPSHOTS_H
#define PORTS_SNAPSHOTS_H

#include "core/snapshot.h"
#include "ports/log.h"
#include "ports/store.h"

/* Carries out the step that writes the snapshot of a cut: what is stored of the fold goes into its
 * outbox, and FIELD_SNAPSHOT is dropped. Must come before any other step after the one that put
 * FIELD_SNAPSHOT there. Errors as store_advance(). */
enum rc snapshot_take(struct store *store, const struct fold *fold, struct head *head,
	const struct cut *cut, struct err *err) MUST_CHECK;

/* Reads the topic for one fold of a process after another. All arguments must outlive the search;
 * no connection is made before it is asked. */
struct snapshot_search;
struct snapshot_search *snapshot_search_open(struct log *log, const char *prefix);
void snapshot_search_close(struct snapshot_search *search);

/* Reads on, a little with every call. RC_NONE: not all is read yet, or it is another fold's turn:
 * call again. RC_OK: *found is all there is of the fold, until snapshot_search_end(). RC_RETRY: no
 * answer, or there is no such topic. */
enum rc snapshot_search(struct snapshot_search *search, const struct fold *fold,
	const struct snapshots **found, struct err *err) MUST_CHECK;
/* The fold needs it no more, whatever came of it; of another fold: nothing happens. */
void snapshot_search_end(struct snapshot_search *search, const struct fold *fold);

/* Carries out the first step of a fresh fold: its state is the snapshot's. Errors as
 * store_advance(). */
enum rc snapshot_bring_back(struct store *store, const struct fold *fold, struct head *head,
	const struct snapshot *snapshot, struct err *err) MUST_CHECK;

#endif
