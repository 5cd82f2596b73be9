#include "remediate/fold.h"

#include <stdlib.h>

enum {
	CALLS_MAX = 6,
	CALL_WAIT_MS = 1000,
	CALL_WAIT_MAX_MS = 30000,
	PROBE_WAIT_MS = 1000,
};

size_t remediate_tasks(struct remediate *remediate, int64_t now, struct task *tasks, size_t max)
{
	struct map_entry **cases = map_sorted(&remediate->cases);
	size_t count = 0;

	for (size_t i = 0; i < remediate->cases.count && count < max; i++) {
		struct remedy *remedy = cases[i]->value;
		const struct config_target *target =
			target_named(remediate->config, remedy->action.target);
		bool call = remedy->state == CASE_CALLING;
		bool probe = remedy->state == CASE_VERIFYING && !remedy->converged;

		if ((!call && !probe) || remedy->next_try_at > now || !target)
			continue;
		tasks[count++] = (struct task){
			.kind = call ? TASK_CALL : TASK_PROBE, .remedy = remedy, .target = target};
	}
	free(cases);
	return count;
}

void remediate_calling(struct remediate *remediate, const char *action_id, int64_t now)
{
	struct remedy *remedy = remediate_case_of(remediate, action_id);

	if (!remedy || remedy->state != CASE_CALLING)
		return;
	if (remedy->maybe_called && !remediate_honours_key(remediate, remedy)) {
		remediate_end_unknown(remediate, remedy,
			"a call may have been started before a restart and the target has no "
			"idempotency key",
			now);
		return;
	}
	remedy->unsure_before = remedy->unsure_before || remedy->maybe_called;
	remedy->maybe_called = true;
	remedy->tries++;
	remedy->dirty = true;
}

static void call_again(struct remedy *remedy, int64_t retry_after_ms, int64_t now)
{
	int64_t wait = CALL_WAIT_MS;

	for (int64_t i = 1; i < remedy->tries && wait < CALL_WAIT_MAX_MS; i++)
		wait *= 2;
	if (retry_after_ms > wait)
		wait = retry_after_ms;
	remedy->next_try_at = now + wait;
	remedy->dirty = true;
}

static void refused(
	struct remediate *remediate, struct remedy *remedy, const char *sentence, int64_t now)
{
	remediate_tell(remediate, remedy, ACTION_REFUSED, sentence, now);
	remedy_next_rung(remedy, now);
}

void remediate_called(struct remediate *remediate, const char *action_id, enum call_result result,
	int64_t retry_after_ms, const char *sentence, int64_t now)
{
	struct remedy *remedy = remediate_case_of(remediate, action_id);

	if (!remedy || remedy->state != CASE_CALLING)
		return;
	bool may_repeat = remedy->tries < CALLS_MAX &&
			  (result == CALL_NOT_SENT || remediate_honours_key(remediate, remedy));

	if (result == CALL_NOT_SENT)
		remedy->maybe_called = remedy->unsure_before;
	if (result == CALL_ACCEPTED) {
		remediate_tell(remediate, remedy, ACTION_DONE, sentence, now);
		remediate_verify(remediate, remedy, now);
	} else if (result == CALL_REFUSED && !remedy->unsure_before) {
		refused(remediate, remedy, sentence, now);
	} else if (result != CALL_REFUSED && may_repeat) {
		call_again(remedy, retry_after_ms, now);
	} else if (remedy->maybe_called || remedy->unsure_before) {
		/* Also when this call was refused: one before it may have been carried out. */
		remediate_end_unknown(remediate, remedy, sentence, now);
	} else {
		refused(remediate, remedy, sentence, now);
	}
}

void remediate_probed(struct remediate *remediate, const char *action_id, bool converged,
	const char *sentence, int64_t now)
{
	struct remedy *remedy = remediate_case_of(remediate, action_id);

	(void)sentence;
	if (!remedy || remedy->state != CASE_VERIFYING)
		return;
	remedy->next_try_at = now + PROBE_WAIT_MS;
	if (converged != remedy->converged) {
		remedy->converged = converged;
		remedy->dirty = true;
	}
}
