/* remediate/fold.h: the inside of the fold, shared by its files: step.c (inputs), decide.c (time),
 * act.c (tasks and their outcomes), records.c (what is stored and found again, and what is told).
 * THINKS. */
#ifndef REMEDIATE_FOLD_H
#define REMEDIATE_FOLD_H

#include "core/map.h"
#include "remediate/policy.h"
#include "remediate/step.h"

/* What the log says of an action id: its first INTENT, its last record. */
struct past {
	char token[33];
	struct action last;
};

struct remediate {
	const struct config *config;
	struct cursors cursors;
	struct map alerts;  /* alert id -> struct alert *: firing, or with a case that is open */
	struct map cases;   /* alert id -> struct remedy * */
	struct map past;    /* action id -> struct past * */
	struct map targets; /* name -> struct target_use * */
	uint64_t sequence;  /* of table actions */
	char last_hash[65]; /* of the newest record of the log, read or on its way there */
	uint64_t unread;    /* emitted and not yet read back */
	bool meta_dirty;
	struct change change;
	struct remediate_counts counts;
};

void remediate_free_alert(struct alert *alert); /* NULL is fine */

/* Records of table "state": KIND and NAME as field. */
void remediate_put_state(
	struct remediate *remediate, const char *kind, const char *name, const struct bytes *data);
void remediate_drop_state(struct remediate *remediate, const char *kind, const char *name);

struct past *remediate_past(struct remediate *remediate, const char *action_id); /* NULL: none */
void remediate_set_past(struct remediate *remediate, const struct action *action);
bool past_is_open(const struct past *past); /* intended, and its end not told to anybody */
struct target_use *remediate_use(
	struct remediate *remediate, const char *target);                    /* made if need be */
void remediate_keep_alert(struct remediate *remediate, struct alert *alert); /* takes it over */
struct remedy *remediate_case_of(
	struct remediate *remediate, const char *action_id); /* NULL: none */
bool remediate_honours_key(const struct remediate *remediate, const struct remedy *remedy);

/* Emits the case's action record in this state, chained to the record before. */
void remediate_tell(struct remediate *remediate, struct remedy *remedy, enum action_state state,
	const char *result, int64_t now);
void remedy_enter(struct remedy *remedy, enum case_state state, int64_t now);
/* Both: tells, and nothing more is to be done. */
void remediate_end(struct remediate *remediate, struct remedy *remedy, enum action_state state,
	const char *result, int64_t now);
/* A call may have been made, and nobody knows what came of it: a person has to look. */
void remediate_end_unknown(
	struct remediate *remediate, struct remedy *remedy, const char *result, int64_t now);
/* The call was accepted; without a status to probe the target counts as converged. */
void remediate_verify(struct remediate *remediate, struct remedy *remedy, int64_t now);
void remedy_next_rung(struct remedy *remedy, int64_t now);

/* Somebody else wrote the first INTENT of this id, in an earlier life or another process, and may
 * have called. */
void remediate_take_over(struct remediate *remediate, struct remedy *remedy, int64_t now);

#endif
