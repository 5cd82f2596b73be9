#include "core/command.h"

const char *const command_kind_names[] = {
	[COMMAND_ACK] = "ack",
	[COMMAND_SILENCE] = "silence",
	[COMMAND_APPROVE] = "approve",
	[COMMAND_REJECT] = "reject",
	[COMMAND_PAUSE] = "pause",
	[COMMAND_RESUME] = "resume",
};
