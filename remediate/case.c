#include "remediate/case.h"

#include <stdio.h>
#include <string.h>

const char *remedy_operation(const struct remedy *remedy)
{
	int rung = remedy->action.rung;

	if (!remedy->policy || rung < 1 || (size_t)rung > remedy->policy->ladder_count)
		return "page";
	return remedy->policy->ladder[rung - 1];
}

const struct config_operation *target_operation(
	const struct config_target *target, const char *name)
{
	for (size_t i = 0; i < target->operation_count; i++)
		if (strcmp(target->operations[i].name, name) == 0)
			return &target->operations[i];
	return NULL;
}

void remedy_to_record(const struct remedy *remedy, struct bytes *out)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	action_to_json(&remedy->action, &json);
	bytes_sized(out, remedy->alert_id, strlen(remedy->alert_id));
	bytes_sized(out, remedy->policy_name, strlen(remedy->policy_name));
	bytes_sized(out, json.data, json.size);
	bytes_varint(out, (uint64_t)remedy->state);
	bytes_zigzag(out, remedy->since);
	bytes_zigzag(out, remedy->next_try_at);
	bytes_zigzag(out, remedy->tries);
	bytes_varint(out, remedy->maybe_called);
	bytes_varint(out, remedy->converged);
	bytes_zigzag(out, remedy->good_since);
}

enum rc remedy_from_record(struct view data, struct remedy *remedy, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);

	view_copy(reader_sized(&reader), remedy->alert_id, sizeof remedy->alert_id);
	view_copy(reader_sized(&reader), remedy->policy_name, sizeof remedy->policy_name);
	TRY(action_from_json(reader_sized(&reader), &remedy->action, err));
	uint64_t state = reader_varint(&reader);

	remedy->since = reader_zigzag(&reader);
	remedy->next_try_at = reader_zigzag(&reader);
	remedy->tries = reader_zigzag(&reader);
	remedy->maybe_called = reader_varint(&reader) != 0;
	remedy->converged = reader_varint(&reader) != 0;
	remedy->good_since = reader_zigzag(&reader);
	if (!reader.ok || state > CASE_ENDED)
		return err_set(err, RC_FATAL, "state of a case is damaged");
	remedy->state = (enum case_state)state;
	return RC_OK;
}
