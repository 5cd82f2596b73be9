/* remediate/step.h: the fold of the remediate service: alerts, commands, its own actions and time
 * in; actions out. THINKS: it decides. What it decided is carried out by remediate/adapter.h, and
 * only after the decision is stored:
 *
 *   INTENT is emitted -> read back from the log: the first INTENT of an id may act -> CALLING is
 * stored -> the call
 *   -> DONE, REFUSED or UNKNOWN -> verify -> VERIFIED, or FAILED and the next rung, at last a
 * person.
 *
 * A call whose outcome is unknown is repeated under the same Idempotency-Key where the target
 * honours one, and handed to a person where it does not. */
#ifndef REMEDIATE_STEP_H
#define REMEDIATE_STEP_H

#include "core/change.h"
#include "core/cursor.h"
#include "ports/log.h"
#include "remediate/case.h"

struct remediate;

struct remediate *remediate_new(const struct config *config);
void remediate_free(struct remediate *remediate);

/* Records of table "state" (a store_record), then remediate_restored() once. */
enum rc remediate_restore(
	void *remediate, struct view field, struct view data, struct err *err) MUST_CHECK;
void remediate_restored(struct remediate *remediate);

/* Takes one message of the alerts, commands or actions topic in: knows more, decides nothing.
 * RC_NONE: was taken in before. RC_REJECT: not a record that we know; passed over. */
enum rc remediate_take(struct remediate *remediate, const struct log_message *message, int64_t now,
	struct err *err) MUST_CHECK;

/* Where a topic's partition is to be read from: -1 = not known. */
int64_t remediate_position(struct remediate *remediate, const char *topic, int32_t partition);

/* All of them, for comparing their fingerprints with the log, and for moving them where the log has
 * lost records or is another one. */
struct cursors *remediate_cursors(struct remediate *remediate);

/* Decides. Only to be called when all topics have been read to their ends, so that nobody acts on
 * old news. chance: 16 random bytes for the tokens of INTENTs. */
void remediate_time(struct remediate *remediate, int64_t now, const unsigned char chance[16]);

/* What is to be carried out now; each is handed out again until its outcome is told. */
enum task_kind { TASK_CALL, TASK_PROBE };
struct task {
	enum task_kind kind;
	const struct remedy *remedy;
	const struct config_target *target;
};
size_t remediate_tasks(struct remediate *remediate, int64_t now, struct task *tasks, size_t max);

/* Before a call is started this is stored by a step of its own (a change follows), so that a
 * restart knows. */
void remediate_calling(struct remediate *remediate, const char *action_id, int64_t now);

enum call_result { CALL_ACCEPTED, CALL_REFUSED, CALL_NOT_SENT, CALL_UNKNOWN, CALL_TRY_LATER };
void remediate_called(struct remediate *remediate, const char *action_id, enum call_result result,
	int64_t retry_after_ms, const char *sentence, int64_t now);
void remediate_probed(struct remediate *remediate, const char *action_id, bool converged,
	const char *sentence, int64_t now);

/* Everything dirty since the last call. */
void remediate_change(struct remediate *remediate, struct change *change);

struct remediate_counts {
	uint64_t actions[ACTION_SKIPPED + 1]; /* emitted, by state */
	uint64_t rejected;
	size_t cases_open;
};
struct remediate_counts remediate_counts(const struct remediate *remediate);

#endif
