/* Any records as the stored state of remediate; then it decides, and a call ends. Nothing is called
 * of which no INTENT was read. */
#include "remediate/fold.h"
#include "tests/fuzz/restore.h"

enum { TASKS_MAX = 8 };

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
	.converged_value = value,
	.idempotent = true};
static struct config_policy policy = {.name = policy_name,
	.target = target_name,
	.ladder = ladder,
	.ladder_count = 2,
	.mode = MODE_AUTO,
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

static struct remediate *remediate_new_empty(void)
{
	return remediate_new(&config);
}

static void remediate_go_on(struct remediate *remediate)
{
	static const unsigned char chance[16] = "0123456789abcde";
	const int64_t now = 1763654406000;
	struct task tasks[TASKS_MAX];

	remediate_restored(remediate);
	remediate_time(remediate, now, chance);
	size_t count = remediate_tasks(remediate, now, tasks, TASKS_MAX);

	if (!count)
		return;
	char id[ID_SIZE];

	memcpy(id, tasks[0].remedy->action.id, sizeof id);
	if (tasks[0].kind == TASK_PROBE) {
		remediate_probed(remediate, id, true, "", now);
		return;
	}
	remediate_calling(remediate, id, now);
	remediate_called(remediate, id, CALL_ACCEPTED, -1, "so", now);
}

RESTORE_TARGET(remediate)
