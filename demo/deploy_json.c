#include "demo/deploy_json.h"

#include "core/strict_json.h"

#include <stdio.h>
#include <string.h>

static bool take_text(const json_t *object, const char *field, char text[NAME_TEXT_SIZE])
{
	const char *found = json_string_value(json_object_get(object, field));

	if (found)
		snprintf(text, NAME_TEXT_SIZE, "%s", found);
	return found != NULL;
}

bool deployment_release(struct deployment *deployment, struct view body)
{
	struct deployment before = *deployment;
	struct json_position position;
	struct err err;
	json_t *object = strict_json_parse(body, 4, &position, &err);
	bool good = json_is_object(object);

	if (good && take_text(object, "production", deployment->production))
		memcpy(deployment->before, before.production, sizeof deployment->before);
	if (good)
		take_text(object, "canary", deployment->canary);
	if (good && json_is_number(json_object_get(object, "canary_share")))
		deployment->canary_share =
			json_number_value(json_object_get(object, "canary_share"));
	json_decref(object);
	return good;
}

void deployment_write(const struct deployment *deployment, struct bytes *out)
{
	json_t *object = json_object();

	json_set_text(object, "model", deployment->model);
	json_set_text(object, "production", deployment->production);
	json_set_text(object, "canary", deployment->canary);
	json_set_number(object, "canary_share", deployment->canary_share);
	json_object_set_new(object, "converged", json_boolean(deployment->converged));
	json_set_integer(object, "rollbacks", deployment->rollbacks);
	json_set_integer(object, "rollback_calls", deployment->rollback_calls);
	strict_json_write(object, out);
}

bool deployment_read(struct view text, struct deployment *deployment)
{
	struct json_position position;
	struct err err;
	json_t *object = strict_json_parse(text, 4, &position, &err);
	bool good = object && take_text(object, "production", deployment->production) &&
		    take_text(object, "canary", deployment->canary);

	if (good) {
		deployment->canary_share =
			json_number_value(json_object_get(object, "canary_share"));
		deployment->converged = json_is_true(json_object_get(object, "converged"));
		deployment->rollbacks = json_integer_value(json_object_get(object, "rollbacks"));
		deployment->rollback_calls =
			json_integer_value(json_object_get(object, "rollback_calls"));
	}
	json_decref(object);
	return good;
}
