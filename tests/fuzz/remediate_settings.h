/* tests/fuzz/remediate_settings.h: the configuration under which remediate is fuzzed. Each target
 * says the policy's mode, and whether the deployment API honours our key. */
#ifndef TESTS_FUZZ_REMEDIATE_SETTINGS_H
#define TESTS_FUZZ_REMEDIATE_SETTINGS_H

#include "core/config.h"

static char nothing[] = "", prefix[] = "modelwatch", policy_name[] = "latency",
	    target_name[] = "fraud", post[] = "POST", rollback[] = "rollback", page[] = "page",
	    url[] = "http://127.0.0.1:1/x", pointer[] = "/converged", value[] = "true";
static char *ladder[] = {rollback, page};
static struct config_operation operation = {
	.name = rollback, .method = post, .http = {.url = url, .ca = nothing}, .body = nothing};
static struct config_target target = {.name = target_name,
	.operations = &operation,
	.operation_count = 1,
	.status = {.url = url, .ca = nothing},
	.converged_pointer = pointer,
	.converged_value = value};
static struct config_policy policy = {.name = policy_name,
	.target = target_name,
	.ladder = ladder,
	.ladder_count = 2,
	.cooldown_ms = 900000,
	.budget_hour = 3,
	.budget_day = 6,
	.verify_hold_ms = 30000,
	.verify_timeout_ms = 600000};
static const struct config config = {.kafka = {.prefix = prefix},
	.targets = &target,
	.target_count = 1,
	.policies = &policy,
	.policy_count = 1};

#endif
