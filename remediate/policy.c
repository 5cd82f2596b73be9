#include "remediate/policy.h"

#include <stdio.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

static bool answers(const struct config_policy *policy, const struct alert *alert)
{
	for (size_t i = 0; i < policy->matcher_count; i++) {
		const struct matcher *matcher = &policy->matchers[i];

		if (!matcher_matches(matcher, labels_get(&alert->labels, matcher->name)))
			return false;
	}
	return true;
}

const struct config_policy *policy_for(const struct config *config, const struct alert *alert)
{
	for (size_t i = 0; i < config->policy_count; i++)
		if (answers(&config->policies[i], alert))
			return &config->policies[i];
	return NULL;
}

const struct config_target *target_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->target_count; i++)
		if (strcmp(config->targets[i].name, name) == 0)
			return &config->targets[i];
	return NULL;
}

static int64_t uses_since(const struct target_use *use, int64_t since)
{
	int64_t count = 0;

	for (size_t i = 0; i < use->count; i++)
		count += use->at[i] > since;
	return count;
}

bool policy_allows(const struct config_policy *policy, const struct target_use *use, int64_t now,
	char *why, size_t size)
{
	int64_t last = use->count ? use->at[use->count - 1] : 0;

	if (use->count && now - last < policy->cooldown_ms)
		snprintf(why, size,
			"cooldown: the last action on %s was %lld s ago, expected %lld s",
			use->name, (long long)((now - last) / 1000),
			(long long)(policy->cooldown_ms / 1000));
	else if (uses_since(use, now - HOUR_MS) >= policy->budget_hour)
		snprintf(why, size,
			"budget: %lld actions on %s in the last hour are all there may be",
			(long long)policy->budget_hour, use->name);
	else if (uses_since(use, now - DAY_MS) >= policy->budget_day)
		snprintf(why, size,
			"budget: %lld actions on %s in the last day are all there may be",
			(long long)policy->budget_day, use->name);
	else
		return true;
	return false;
}

void target_used(struct target_use *use, int64_t now)
{
	if (use->count == USES_MAX) {
		use->count--;
		memmove(&use->at[0], &use->at[1], use->count * sizeof *use->at);
	}
	use->at[use->count++] = now;
	use->dirty = true;
}
