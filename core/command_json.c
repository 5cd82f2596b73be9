#include "core/command.h"
#include "core/strict_json.h"

#include <string.h>

void command_to_json(const struct command *command, struct bytes *out)
{
	json_t *object = json_object();

	json_set_text(object, "kind", "command");
	json_set_text(object, "id", command->id);
	json_set_text(object, "command", command_kind_names[command->command]);
	json_set_text(object, "subject", command->subject);
	json_set_text(object, "actor", command->actor);
	json_set_text(object, "role", command->role);
	json_set_text(object, "comment", command->comment);
	json_set_integer(object, "at", command->at);
	json_set_integer(object, "expires_at", command->expires_at);
	json_set_text(object, "hmac", command->hmac);
	strict_json_write(object, out);
}

static enum rc kind_from_text(const char *text, enum command_kind *kind, struct err *err)
{
	for (size_t i = 0; i <= COMMAND_RESUME; i++) {
		if (strcmp(text, command_kind_names[i]) == 0) {
			*kind = (enum command_kind)i;
			return RC_OK;
		}
	}
	return err_set(err, RC_REJECT,
		"command: found \"%.40s\", expected ack, silence, approve, reject, pause or resume",
		text);
}

static enum rc read_fields(const json_t *object, struct command *command, struct err *err)
{
	const char *kind;

	TRY(json_field_text(object, "command", &kind, err));
	TRY(kind_from_text(kind, &command->command, err));
	TRY(json_field_copy(object, "id", command->id, sizeof command->id, err));
	TRY(json_field_copy(object, "subject", command->subject, sizeof command->subject, err));
	TRY(json_field_copy(object, "actor", command->actor, sizeof command->actor, err));
	TRY(json_field_copy(object, "role", command->role, sizeof command->role, err));
	TRY(json_field_copy(object, "comment", command->comment, sizeof command->comment, err));
	TRY(json_field_copy(object, "hmac", command->hmac, sizeof command->hmac, err));
	TRY(json_field_integer(object, "at", &command->at, err));
	return json_field_integer_or(object, "expires_at", 0, &command->expires_at, err);
}

enum rc command_from_json(struct view text, struct command *command, struct err *err)
{
	struct command read = {0};
	json_t *object;

	TRY(strict_json_record(text, "command", &object, err));
	enum rc rc = read_fields(object, &read, err);

	json_decref(object);
	if (rc == RC_OK)
		*command = read;
	return rc;
}
