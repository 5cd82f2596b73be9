/* detectors/fold.h: the inside of the fold, shared by its files: step.c (records, what is stored
 * and found again), models.c (what is known by model), intake.c (windows), ends.c (versions that
 * go), quiet.c (event time that passes). THINKS. */
#ifndef DETECTORS_FOLD_H
#define DETECTORS_FOLD_H

#include "core/map.h"
#include "detectors/step.h"
#include "detectors/table.h"
#include "detectors/traffic.h"

enum { DAY_MS = 86400000, EPOCH_MAX = 64 };

#define IDLE_MAX_MS (30 * (int64_t)DAY_MS) /* of a comparison or a model: then it is forgotten */

struct model {
	char name[NAME_SIZE];
	struct traffic traffic;
	struct comparison **list; /* sorted by comparison_order() */
	size_t count;
	int64_t last_ms; /* end of its last tick */
};

struct detectors {
	const struct config *config;
	char log_name[280];
	char epoch[EPOCH_MAX]; /* of ingest's fold; "" before the first */
	uint64_t next;
	uint64_t gaps, records_lost;
	int64_t whole_from_ms; /* as the last record told */
	struct cut cut;        /* sequence 0: none whose snapshot is to be written */
	bool cursor_dirty;
	struct map models;     /* name -> struct model * */
	int64_t next_due_ms;   /* nothing falls silent, and no model is forgotten, before */
	struct change waiting; /* findings, and what ended, until the next detectors_change() */
	struct detectors_counts counts;
};

/* What a comparison of this model and segment is judged by; without, and with the times of a tick.
 */
struct terms fold_terms(struct detectors *detectors, const char *model, const char *segment);
struct terms fold_terms_at(
	struct detectors *detectors, const struct closed_tick *tick, const char *segment);

/* models.c */
struct model *fold_model(struct detectors *detectors, const char *name); /* made at its first use */
void model_free(void *model);
enum role fold_judged_role(const struct config_model *model); /* who is on trial */

/* The place of a comparison in its model's list, or where it belongs. */
size_t model_place(
	const struct model *model, const struct detector *detector, const struct series *series);
void model_insert(struct model *model, struct comparison *comparison); /* takes it over */

/* The comparison of a version with the other role's main one, made at its first use. NULL: the
 * other role is not there. */
struct comparison *model_arms(
	struct model *model, const struct detector *detector, const struct series *series);
/* The comparison of a role with its history, made at its first use. */
struct comparison *model_history(
	struct model *model, const struct detector *detector, const struct series *series);

/* Ends the comparison at a place, and drops its records. */
void fold_remove(struct detectors *detectors, struct model *model, size_t place);

/* intake.c: the windows of a tick to the comparisons that wait for them. */
void fold_take_windows(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick);

/* ends.c: comparisons of versions that have gone end, and their successors prove themselves. */
void fold_end_comparisons(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick);
void fold_refer(struct model *model); /* the reference is the version with most traffic */

/* quiet.c: all ticks that end before this moment have been folded: what had to come by then has
 * not. */
void fold_time_passes(struct detectors *detectors, int64_t clock_ms);

#endif
