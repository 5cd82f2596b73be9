#include "core/action.h"

#include <stdio.h>

const char *const action_state_names[] = {
	[ACTION_OBSERVED] = "observed",
	[ACTION_PROPOSED] = "proposed",
	[ACTION_APPROVED] = "approved",
	[ACTION_REJECTED] = "rejected",
	[ACTION_INTENT] = "intent",
	[ACTION_DONE] = "done",
	[ACTION_REFUSED] = "refused",
	[ACTION_UNKNOWN] = "unknown",
	[ACTION_EXPIRED] = "expired",
	[ACTION_VERIFIED] = "verified",
	[ACTION_FAILED] = "failed",
	[ACTION_ESCALATED] = "escalated",
	[ACTION_SKIPPED] = "skipped",
};

void action_identify(struct action *action)
{
	char rung[16];
	const char *const parts[] = {
		action->policy, action->target, action->alert, action->operation, rung, NULL};

	snprintf(rung, sizeof rung, "%d", action->rung);
	digest_id(action->id, 'x', parts);
}
