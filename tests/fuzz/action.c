#include "core/action.h"
#include "tests/fuzz/record.h"

static void action_done(struct action *action)
{
	(void)action;
}

RECORD_TARGET(action, action_done)
