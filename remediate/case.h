/* remediate/case.h: one incident that a policy answers: which rung of its ladder, and how far.
 * THINKS. */
#ifndef REMEDIATE_CASE_H
#define REMEDIATE_CASE_H

#include "core/action.h"
#include "core/alert.h"
#include "core/config.h"

enum case_state {
	CASE_OPEN, /* nothing decided yet: the alert is not fit to act on, or the target is busy */
	CASE_PROPOSED,  /* waits for a person */
	CASE_INTENDED,  /* INTENT emitted, not yet read back */
	CASE_CALLING,   /* our INTENT was the first: the call may be made, perhaps was */
	CASE_VERIFYING, /* the call was accepted */
	CASE_ENDED,     /* verified, escalated, observed, rejected: nothing more to do */
};

struct remedy { /* a case; the word itself belongs to the language */
	char alert_id[ID_SIZE];
	enum case_state state;
	const struct config_policy *policy; /* by name after a restore; NULL: configured away */
	char policy_name[NAME_SIZE];
	struct action action; /* the record told last: identity, rung, token, reason */
	int64_t since;        /* when this state began, ms wall */
	int64_t next_try_at;  /* CALLING, VERIFYING: the next call or probe */
	int64_t tries;
	bool maybe_called;  /* INTENDED, CALLING: a call may have been made, its end is not known */
	bool unsure_before; /* CALLING: so even without the call of this try; not stored */
	bool converged;     /* VERIFYING: the target's status has said so */
	int64_t good_since; /* VERIFYING: converged and the signal ok since; 0 = not */
	bool dirty;
};

/* The operation of the rung that the case stands on; "page" beyond the ladder's end. */
const char *remedy_operation(const struct remedy *remedy);
const struct config_operation *target_operation(
	const struct config_target *target, const char *name);

void remedy_to_record(const struct remedy *remedy, struct bytes *out);
enum rc remedy_from_record(struct view data, struct remedy *remedy, struct err *err) MUST_CHECK;

#endif
