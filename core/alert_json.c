#include "core/alert.h"
#include "core/memory.h"
#include "core/strict_json.h"

#include <string.h>

static const char *const state_names[] = {[ALERT_FIRING] = "firing", [ALERT_RESOLVED] = "resolved"};

static void set_labels(json_t *object, const char *field, const struct labels *labels)
{
	json_t *value = json_object();

	for (size_t i = 0; i < labels->count; i++)
		json_set_text(value, labels->list[i].name, labels->list[i].value);
	json_object_set_new(object, field, value);
}

/* A record inside a record: written and read by the one file that knows it. */
static void set_evidence(json_t *object, const struct finding *finding)
{
	CLEANUP(bytes_done) struct bytes text = {0};
	struct json_position position;
	struct err err;

	if (!finding->id[0])
		return;
	finding_to_json(finding, &text);
	json_object_set_new(object, "evidence",
		strict_json_parse((struct view){text.data, text.size}, 16, &position, &err));
}

void alert_to_json(const struct alert *alert, struct bytes *out)
{
	json_t *object = json_object();
	json_t *findings = json_array();

	json_set_text(object, "kind", "alert");
	json_set_text(object, "id", alert->id);
	json_set_text(object, "state", state_names[alert->state]);
	json_set_text(object, "alertname", alert->alertname);
	set_labels(object, "labels", &alert->labels);
	set_labels(object, "annotations", &alert->annotations);
	json_set_integer(object, "starts_at", alert->starts_at);
	json_object_set_new(object, "ends_at",
		alert->state == ALERT_FIRING ? json_null() : json_integer(alert->ends_at));
	json_set_integer(object, "updated_at", alert->updated_at);
	json_object_set_new(object, "actionable", json_boolean(alert->actionable));
	json_set_text(object, "reason", alert->reason);
	json_set_text(object, "replaced_by", alert->replaced_by);
	for (size_t i = 0; i < alert->finding_count; i++)
		json_array_append_new(findings, json_string(alert->findings[i]));
	json_object_set_new(object, "findings", findings);
	set_evidence(object, &alert->evidence);
	strict_json_write(object, out);
}

static enum rc get_labels(
	const json_t *object, const char *field, struct labels *labels, struct err *err)
{
	json_t *value;
	const char *name;
	json_t *text;

	TRY(json_field_object(object, field, &value, err));
	json_object_foreach(value, name, text)
	{
		if (!json_is_string(text))
			return err_set(err, RC_REJECT, "%s.%s: expected a text", field, name);
		labels_set(labels, name, json_string_value(text));
	}
	return RC_OK;
}

static enum rc get_findings(const json_t *object, struct alert *alert, struct err *err)
{
	const json_t *list = json_object_get(object, "findings");
	size_t count = json_array_size(list);

	if (!json_is_array(list))
		return err_set(err, RC_REJECT, "findings: expected an array");
	alert->findings = memory_new(count, sizeof *alert->findings);
	for (size_t i = 0; i < count; i++) {
		const char *id = json_string_value(json_array_get(list, i));

		if (!id)
			return err_set(err, RC_REJECT, "findings[%zu]: expected a text", i);
		alert->findings[alert->finding_count++] = memory_text(id);
	}
	return RC_OK;
}

static enum rc get_evidence(const json_t *object, struct finding *finding, struct err *err)
{
	CLEANUP(bytes_done) struct bytes text = {0};
	json_t *value = json_object_get(object, "evidence");

	if (!value)
		return RC_OK;
	strict_json_write(json_incref(value), &text);
	return finding_from_json((struct view){text.data, text.size}, finding, err);
}

static enum rc get_state(const json_t *object, struct alert *alert, struct err *err)
{
	const char *state;

	TRY(json_field_text(object, "state", &state, err));
	for (size_t i = 0; i <= ALERT_RESOLVED; i++) {
		if (strcmp(state, state_names[i]) == 0) {
			alert->state = (enum alert_state)i;
			return alert->state == ALERT_FIRING ? RC_OK
							    : json_field_integer(object, "ends_at",
								      &alert->ends_at, err);
		}
	}
	return err_set(
		err, RC_REJECT, "state: found \"%.40s\", expected firing or resolved", state);
}

static enum rc read_fields(const json_t *object, struct alert *alert, struct err *err)
{
	TRY(json_field_copy(object, "id", alert->id, sizeof alert->id, err));
	TRY(get_state(object, alert, err));
	TRY(json_field_copy(object, "alertname", alert->alertname, sizeof alert->alertname, err));
	TRY(get_labels(object, "labels", &alert->labels, err));
	TRY(get_labels(object, "annotations", &alert->annotations, err));
	TRY(json_field_integer(object, "starts_at", &alert->starts_at, err));
	TRY(json_field_integer_or(object, "updated_at", 0, &alert->updated_at, err));
	alert->actionable = json_is_true(json_object_get(object, "actionable"));
	TRY(json_field_copy(object, "reason", alert->reason, sizeof alert->reason, err));
	TRY(json_field_copy(
		object, "replaced_by", alert->replaced_by, sizeof alert->replaced_by, err));
	TRY(get_findings(object, alert, err));
	return get_evidence(object, &alert->evidence, err);
}

enum rc alert_from_json(struct view text, struct alert *alert, struct err *err)
{
	struct alert read = {0};
	json_t *object;

	TRY(strict_json_record(text, "alert", &object, err));
	enum rc rc = read_fields(object, &read, err);

	json_decref(object);
	if (rc == RC_OK)
		*alert = read;
	else
		alert_done(&read);
	return rc;
}
