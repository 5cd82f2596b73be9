/* detectors/step.h: the fold of the detectors over the close records of one partition: ticks in,
 * findings and verdicts out.
 * THINKS: no I/O, no clock. What it says depends on the records and the configuration alone, never
 * on how ticks were spread over records, nor on restarts in between (detectors_restore() of what
 * detectors_change() stored). docs/detectors.md says what is judged against what. */
#ifndef DETECTORS_STEP_H
#define DETECTORS_STEP_H

#include "core/change.h"
#include "core/close.h"
#include "core/config.h"
#include "core/finding.h"
#include "core/snapshot.h"

struct detectors;

/* log_name: "TOPIC-PARTITION". config must outlive it. */
struct detectors *detectors_new(const struct config *config, const char *log_name);
void detectors_free(struct detectors *detectors);

/* One record of table "state", before anything else: a store_record (ports/store.h). RC_FATAL:
 * damaged, or of a later version. */
enum rc detectors_restore(void *detectors, struct view field, struct view data, struct err *err);

/* The log is that of ingest's fold under this epoch. Another one than before is a new life:
 * everything is forgotten, the cursor stands at its first record, and it counts as a gap. True: it
 * is one. But where that life began with the snapshot of a cut (NULL: none) behind which these
 * detectors stand, it goes on for them, too. */
bool detectors_follow(struct detectors *detectors, const char *epoch, const struct cut *restored);

uint64_t detectors_next(
	const struct detectors *detectors); /* sequence of the next close record, from 1 */

/* Folds one record. One below detectors_next() was folded before: ignored. One above it: what lies
 * between is lost; it counts as a gap, and the ticks in it as ticks without windows. */
void detectors_close(struct detectors *detectors, const struct close_record *record);

/* The cut behind the last record: the next step must be made now, and its snapshot be written by
 * the one after that (ports/snapshots.h). NULL: none. */
const struct cut *detectors_cut(const struct detectors *detectors);
/* It was written. */
void detectors_cut_taken(struct detectors *detectors);

/* The step: everything since the last call, into an empty change. */
void detectors_change(struct detectors *detectors, struct change *change);

struct detectors_counts {
	uint64_t findings[VERDICT_SUPERSEDED + 1]; /* by verdict, since this process began */
	uint64_t records, ticks, steps;            /* likewise */
	uint64_t gaps, records_lost; /* of the state; a new life counts as a gap of 0 */
	size_t models, comparisons;
	size_t verdicts[VERDICT_SUPERSEDED + 1]; /* comparisons by verdict */
};
struct detectors_counts detectors_counts(const struct detectors *detectors);

#endif
