/* core/command.h: what a person ordered: the log modelwatch.commands.
 * THINKS. JSON: command_json.c; schema: config/schemas/command.json. */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include "core/digest.h"
#include "core/window.h"

enum command_kind {
	COMMAND_ACK,
	COMMAND_SILENCE,
	COMMAND_APPROVE,
	COMMAND_REJECT,
	COMMAND_PAUSE,
	COMMAND_RESUME
};
extern const char *const command_kind_names[];

struct command {
	char id[ID_SIZE];
	enum command_kind command;
	char subject[NAME_SIZE]; /* alert id, action id, target or policy */
	char actor[NAME_SIZE];
	char role[32];
	char comment[256];
	int64_t at, expires_at; /* ms; 0 = does not expire */
	char hmac[65];          /* hex, by the console over the record without it; "" = unsigned */
};

void command_to_json(const struct command *command, struct bytes *out);
enum rc command_from_json(struct view text, struct command *command, struct err *err) MUST_CHECK;

#endif
