/* remediate/policy.h: what a policy allows: which one answers an alert, cooldowns and budgets of
 * targets. THINKS. */
#ifndef REMEDIATE_POLICY_H
#define REMEDIATE_POLICY_H

#include "core/alert.h"
#include "core/config.h"

enum { USES_MAX = 64 };

/* When actions were carried out on a target, newest last (the oldest make room). */
struct target_use {
	char name[NAME_SIZE];
	int64_t at[USES_MAX];
	size_t count;
	bool dirty;
};

/* The first policy whose matchers all match; NULL: none. */
const struct config_policy *policy_for(const struct config *config, const struct alert *alert);
const struct config_target *target_named(const struct config *config, const char *name);

/* Whether another action on the target is allowed at now; if not, a sentence says why. */
bool policy_allows(const struct config_policy *policy, const struct target_use *use, int64_t now,
	char *why, size_t size);
void target_used(struct target_use *use, int64_t now);

#endif
