/* Any records as the stored state of remediate; then it decides, and a call ends. Nothing is called
 * of which no INTENT was read. */
#include "remediate/fold.h"
#include "tests/fuzz/remediate_settings.h"
#include "tests/fuzz/restore.h"

enum { TASKS_MAX = 8 };

static struct remediate *remediate_new_empty(void)
{
	policy.mode = MODE_AUTO;
	target.idempotent = true;
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
