#include "core/action.h"
#include "core/strict_json.h"

#include <string.h>

void action_to_json(const struct action *action, struct bytes *out)
{
	json_t *object = json_object();

	json_set_text(object, "kind", "action");
	json_set_text(object, "id", action->id);
	json_set_text(object, "state", action_state_names[action->state]);
	json_set_text(object, "policy", action->policy);
	json_set_text(object, "target", action->target);
	json_set_text(object, "operation", action->operation);
	json_set_integer(object, "rung", action->rung);
	json_set_text(object, "alert", action->alert);
	json_set_text(object, "model", action->model);
	json_set_text(object, "version", action->version);
	json_set_text(object, "by", action->by);
	json_set_text(object, "authenticated_as", action->authenticated_as);
	json_set_text(object, "token", action->token);
	json_set_text(object, "reason", action->reason);
	json_set_text(object, "result", action->result);
	json_set_integer(object, "at", action->at);
	json_set_text(object, "previous", action->previous);
	strict_json_write(object, out);
}

static enum rc get_state(const json_t *object, struct action *action, struct err *err)
{
	const char *state;

	TRY(json_field_text(object, "state", &state, err));
	for (size_t i = 0; i <= ACTION_SKIPPED; i++) {
		if (strcmp(state, action_state_names[i]) == 0) {
			action->state = (enum action_state)i;
			return RC_OK;
		}
	}
	return err_set(
		err, RC_REJECT, "state: found \"%.40s\", expected one such as intent", state);
}

static enum rc read_fields(const json_t *object, struct action *read, struct err *err)
{
	const struct {
		const char *field;
		char *text;
		size_t size;
	} texts[] = {
		{"id", read->id, sizeof read->id},
		{"policy", read->policy, sizeof read->policy},
		{"target", read->target, sizeof read->target},
		{"operation", read->operation, sizeof read->operation},
		{"alert", read->alert, sizeof read->alert},
		{"model", read->model, sizeof read->model},
		{"version", read->version, sizeof read->version},
		{"by", read->by, sizeof read->by},
		{"authenticated_as", read->authenticated_as, sizeof read->authenticated_as},
		{"token", read->token, sizeof read->token},
		{"reason", read->reason, sizeof read->reason},
		{"result", read->result, sizeof read->result},
		{"previous", read->previous, sizeof read->previous},
	};

	TRY(get_state(object, read, err));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		TRY(json_field_copy(object, texts[i].field, texts[i].text, texts[i].size, err));
	TRY(json_field_small(object, "rung", &read->rung, err));
	return json_field_integer(object, "at", &read->at, err);
}

enum rc action_from_json(struct view text, struct action *action, struct err *err)
{
	struct action read = {0};
	json_t *object;

	TRY(strict_json_record(text, "action", &object, err));
	enum rc rc = read_fields(object, &read, err);

	json_decref(object);
	if (rc == RC_OK)
		*action = read;
	return rc;
}
