#include "core/command.h"
#include "tests/fuzz/record.h"

static void command_done(struct command *command)
{
	(void)command;
}

RECORD_TARGET(command, command_done)
