#include "console/facts_json.h"

#include "core/strict_json.h"

static void copy_text(const json_t *object, const char *field, char *text, size_t size)
{
	const char *found = json_string_value(json_object_get(object, field));

	if (found)
		view_copy(view_of(found), text, size);
}

static int64_t time_of(const json_t *object)
{
	static const char *const fields[] = {"ts", "starts_at", "last_seen", "at"};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		const json_t *found = json_object_get(object, fields[i]);

		if (json_is_integer(found))
			return json_integer_value(found);
	}
	return 0;
}

enum rc facts_from_json(struct view record, struct facts *facts, struct err *err)
{
	struct json_position position;
	json_t *object = strict_json_parse(record, 16, &position, err);

	if (!object)
		return RC_REJECT;
	*facts = (struct facts){.at = time_of(object)};
	copy_text(object, "fingerprint", facts->id, sizeof facts->id);
	copy_text(object, "id", facts->id, sizeof facts->id);
	copy_text(json_object_get(object, "labels"), "model", facts->model, sizeof facts->model);
	copy_text(object, "model", facts->model, sizeof facts->model);
	copy_text(object, "state", facts->state, sizeof facts->state);
	copy_text(object, "target", facts->target, sizeof facts->target);
	json_decref(object);
	return RC_OK;
}

void error_to_json(const char *sentence, struct bytes *out)
{
	json_t *object = json_object();

	json_set_text(object, "error", sentence);
	strict_json_write(object, out);
	bytes_text(out, "\n");
}
