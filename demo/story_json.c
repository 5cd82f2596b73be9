#include "demo/story_json.h"

#include "core/strict_json.h"

#include <stdio.h>

bool story_records(struct view body, const char *field, story_record use, void *context)
{
	struct json_position position;
	struct err err;
	json_t *answer = strict_json_parse(body, 24, &position, &err);
	const json_t *list = json_object_get(answer, field);
	bool good = json_is_array(list);

	for (size_t i = 0; i < json_array_size(list); i++) {
		CLEANUP(bytes_done) struct bytes text = {0};

		strict_json_write(json_incref(json_array_get(list, i)), &text);
		use(context, bytes_view(&text));
	}
	json_decref(answer);
	return good;
}

static void take(const json_t *object, const char *field, char *text, size_t size)
{
	const char *found = json_string_value(json_object_get(object, field));

	snprintf(text, size, "%s", found ? found : "");
}

void story_verdicts(struct view body, story_verdict_use use, void *context)
{
	struct json_position position;
	struct err err;
	json_t *answer = strict_json_parse(body, 24, &position, &err);
	json_t *model;
	size_t place;

	json_array_foreach(json_object_get(answer, "models"), place, model)
	{
		json_t *verdict;
		size_t which;

		json_array_foreach(json_object_get(model, "verdicts"), which, verdict)
		{
			struct story_verdict read;

			take(verdict, "model", read.model, sizeof read.model);
			take(verdict, "signal", read.signal, sizeof read.signal);
			take(verdict, "against", read.against, sizeof read.against);
			take(verdict, "verdict", read.verdict, sizeof read.verdict);
			use(context, &read);
		}
	}
	json_decref(answer);
}

bool story_hook_read(struct view body, struct story_hook *hook)
{
	struct json_position position;
	struct err err;
	json_t *object = strict_json_parse(body, 24, &position, &err);
	const json_t *data = json_object_get(object, "data");
	const json_t *alert = json_array_get(json_object_get(data, "alerts"), 0);

	take(object, "type", hook->type, sizeof hook->type);
	take(alert, "alertname", hook->alertname, sizeof hook->alertname);
	take(json_object_get(alert, "labels"), "model", hook->model, sizeof hook->model);
	json_decref(object);
	return hook->alertname[0] != '\0';
}
