/* core/finding_json.c: findings as JSON. Sides are keys under their names ("production": 5210), and
 * `arm` and `reference` say which is which. THINKS. */
#include "core/finding.h"
#include "core/strict_json.h"

#include <string.h>

/* The names of the two sides, for a record that leaves them to role and against. */
struct sides {
	const char *arm, *reference;
};

static struct sides sides_of(const struct finding *finding)
{
	const struct evidence *evidence = &finding->evidence;

	return (struct sides){
		.arm = evidence->arm[0] ? evidence->arm : finding->series.role,
		.reference = evidence->reference[0] ? evidence->reference : finding->against,
	};
}

static void set_effect(json_t *object, const struct evidence *evidence)
{
	json_t *effect = json_object();

	json_set_text(effect, "name", evidence->effect.name);
	json_set_number(effect, "value", evidence->effect.value);
	json_set_number(effect, "low", evidence->effect.low);
	json_set_number(effect, "high", evidence->effect.high);
	json_set_number(effect, "tolerance", evidence->effect.tolerance);
	json_object_set_new(object, "effect", effect);
}

static void set_values(json_t *object, const struct evidence *evidence, struct sides sides)
{
	json_t *values = json_object();

	for (size_t i = 0; i < evidence->value_count; i++) {
		json_t *value = json_object();

		json_set_number(value, sides.arm, evidence->values[i].arm);
		json_set_number(value, sides.reference, evidence->values[i].reference);
		json_object_set_new(values, evidence->values[i].name, value);
	}
	json_object_set_new(object, "values", values);
}

static void set_moved(json_t *object, const struct evidence *evidence)
{
	json_t *moved = json_array();

	for (size_t i = 0; i < evidence->moved_count; i++) {
		json_t *move = json_object();

		json_set_text(move, "what", evidence->moved[i].what);
		json_set_number(move, "log_e", evidence->moved[i].log_e);
		json_array_append_new(moved, move);
	}
	json_object_set_new(object, "moved", moved);
}

static json_t *evidence_object(const struct finding *finding)
{
	const struct evidence *evidence = &finding->evidence;
	struct sides sides = sides_of(finding);
	json_t *object = json_object();
	json_t *n = json_object();
	json_t *span = json_object();

	json_set_text(object, "arm", sides.arm);
	json_set_text(object, "reference", sides.reference);
	json_set_integer(n, sides.arm, (int64_t)evidence->n_arm);
	json_set_integer(n, sides.reference, (int64_t)evidence->n_reference);
	json_object_set_new(object, "n", n);
	json_set_number(object, "log_e", evidence->log_e);
	json_set_number(object, "line", evidence->line);
	set_effect(object, evidence);
	set_values(object, evidence, sides);
	json_set_integer(span, "from", evidence->span_from_ms);
	json_set_integer(span, "to", evidence->span_to_ms);
	json_object_set_new(object, "span", span);
	set_moved(object, evidence);
	return object;
}

void finding_to_json(const struct finding *finding, struct bytes *out)
{
	json_t *object = json_object();

	json_set_text(object, "kind", "finding");
	json_set_text(object, "id", finding->id);
	json_set_integer(object, "ts", finding->ts);
	json_set_text(object, "model", finding->series.model);
	json_set_text(object, "version", finding->series.version);
	json_set_text(object, "role", finding->series.role);
	json_set_text(object, "segment", finding->series.segment);
	json_set_text(object, "signal", finding->series.signal);
	json_set_text(object, "against", finding->against);
	json_set_text(object, "detector", finding->detector);
	json_set_text(object, "verdict", verdict_names[finding->verdict]);
	json_object_set_new(object, "actionable", json_boolean(finding->actionable));
	json_set_integer(object, "since", finding->since_ms);
	json_set_text(object, "replaced_by", finding->replaced_by);
	json_set_text(object, "reason", finding->reason);
	json_object_set_new(object, "evidence", evidence_object(finding));
	strict_json_write(object, out);
}

static enum rc get_count(const json_t *object, const char *field, uint64_t *count, struct err *err)
{
	int64_t value;

	TRY(json_field_integer(object, field, &value, err));
	if (value < 0)
		return err_set(err, RC_REJECT, "%s: found %lld, expected at least 0", field,
			(long long)value);
	*count = (uint64_t)value;
	return RC_OK;
}

static enum rc get_effect(const json_t *object, struct evidence *evidence, struct err *err)
{
	json_t *effect;

	TRY(json_field_object(object, "effect", &effect, err));
	TRY(json_field_copy(
		effect, "name", evidence->effect.name, sizeof evidence->effect.name, err));
	TRY(json_field_number(effect, "value", &evidence->effect.value, err));
	TRY(json_field_number(effect, "low", &evidence->effect.low, err));
	TRY(json_field_number(effect, "high", &evidence->effect.high, err));
	return json_field_number(effect, "tolerance", &evidence->effect.tolerance, err);
}

static enum rc get_values(
	const json_t *object, struct evidence *evidence, struct sides sides, struct err *err)
{
	json_t *values;
	json_t *value;
	const char *name;

	TRY(json_field_object(object, "values", &values, err));
	if (json_object_size(values) > FINDING_VALUES_MAX)
		return err_set(err, RC_REJECT, "values: %zu of them, expected at most %d",
			json_object_size(values), FINDING_VALUES_MAX);
	json_object_foreach(values, name, value)
	{
		size_t i = evidence->value_count++;

		if (!json_is_object(value) || strlen(name) >= sizeof evidence->values[i].name)
			return err_set(err, RC_REJECT,
				"values.%.40s: expected an object under a name of at most %zu "
				"bytes",
				name, sizeof evidence->values[i].name - 1);
		memcpy(evidence->values[i].name, name, strlen(name) + 1);
		TRY(json_field_number(value, sides.arm, &evidence->values[i].arm, err));
		TRY(json_field_number(value, sides.reference, &evidence->values[i].reference, err));
	}
	return RC_OK;
}

static enum rc get_moved(const json_t *object, struct evidence *evidence, struct err *err)
{
	const json_t *moved = json_object_get(object, "moved");

	if (!json_is_array(moved) || json_array_size(moved) > FINDING_MOVED_MAX)
		return err_set(err, RC_REJECT, "moved: expected an array of at most %d",
			FINDING_MOVED_MAX);
	for (size_t i = 0; i < json_array_size(moved); i++) {
		const json_t *move = json_array_get(moved, i);

		TRY(json_field_copy(move, "what", evidence->moved[i].what,
			sizeof evidence->moved[i].what, err));
		TRY(json_field_number(move, "log_e", &evidence->moved[i].log_e, err));
	}
	evidence->moved_count = json_array_size(moved);
	return RC_OK;
}

static enum rc get_span(const json_t *object, struct evidence *evidence, struct err *err)
{
	json_t *span;

	TRY(json_field_object(object, "span", &span, err));
	TRY(json_field_integer(span, "from", &evidence->span_from_ms, err));
	return json_field_integer(span, "to", &evidence->span_to_ms, err);
}

static enum rc get_evidence(const json_t *record, struct finding *finding, struct err *err)
{
	struct evidence *evidence = &finding->evidence;
	json_t *object;
	json_t *n;

	TRY(json_field_object(record, "evidence", &object, err));
	TRY(json_field_copy(object, "arm", evidence->arm, sizeof evidence->arm, err));
	TRY(json_field_copy(
		object, "reference", evidence->reference, sizeof evidence->reference, err));
	struct sides sides = sides_of(finding);

	TRY(json_field_object(object, "n", &n, err));
	TRY(get_count(n, sides.arm, &evidence->n_arm, err));
	TRY(get_count(n, sides.reference, &evidence->n_reference, err));
	TRY(json_field_number(object, "log_e", &evidence->log_e, err));
	TRY(json_field_number(object, "line", &evidence->line, err));
	TRY(get_effect(object, evidence, err));
	TRY(get_values(object, evidence, sides, err));
	TRY(get_span(object, evidence, err));
	return get_moved(object, evidence, err);
}

static enum rc get_verdict(const json_t *object, struct finding *finding, struct err *err)
{
	const char *verdict;

	TRY(json_field_text(object, "verdict", &verdict, err));
	for (size_t i = 0; i <= VERDICT_SUPERSEDED; i++) {
		if (strcmp(verdict, verdict_names[i]) == 0) {
			finding->verdict = (enum verdict)i;
			return RC_OK;
		}
	}
	return err_set(
		err, RC_REJECT, "verdict: found \"%.40s\", expected one such as alarm", verdict);
}

static enum rc read_fields(const json_t *object, struct finding *read, struct err *err)
{
	const struct {
		const char *field;
		char *text;
		size_t size;
	} texts[] = {
		{"id", read->id, sizeof read->id},
		{"model", read->series.model, sizeof read->series.model},
		{"version", read->series.version, sizeof read->series.version},
		{"role", read->series.role, sizeof read->series.role},
		{"segment", read->series.segment, sizeof read->series.segment},
		{"signal", read->series.signal, sizeof read->series.signal},
		{"against", read->against, sizeof read->against},
		{"detector", read->detector, sizeof read->detector},
		{"replaced_by", read->replaced_by, sizeof read->replaced_by},
		{"reason", read->reason, sizeof read->reason},
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		TRY(json_field_copy(object, texts[i].field, texts[i].text, texts[i].size, err));
	if (!read->id[0] || !read->series.model[0] || !read->series.signal[0])
		return err_set(err, RC_REJECT, "id, model and signal: expected none empty");
	TRY(json_field_integer(object, "ts", &read->ts, err));
	TRY(get_verdict(object, read, err));
	read->actionable = json_is_true(json_object_get(object, "actionable"));
	TRY(json_field_integer(object, "since", &read->since_ms, err));
	return get_evidence(object, read, err);
}

enum rc finding_from_json(struct view text, struct finding *finding, struct err *err)
{
	struct finding read = {0};
	json_t *object;

	TRY(strict_json_record(text, "finding", &object, err));
	enum rc rc = read_fields(object, &read, err);

	json_decref(object);
	if (rc == RC_OK)
		*finding = read;
	return rc;
}
