#include "core/strict_json.h"

#include "core/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Else a record for which memory was short would lose a field, or be taken for malformed. Before
 * main(), so that no value is older than its allocator. */
static __attribute__((constructor)) void use_our_memory(void)
{
	json_set_alloc_funcs(memory_raw, free);
}

/* Nesting is counted here, before the parser recurses; strings are skipped as a whole. */
static bool too_deep(struct view text, size_t depth_max, size_t *where)
{
	size_t depth = 0;
	bool inside_string = false;

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (inside_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				inside_string = false;
		} else if (c == '"') {
			inside_string = true;
		} else if (c == '[' || c == '{') {
			*where = i;
			if (++depth > depth_max)
				return true;
		} else if ((c == ']' || c == '}') && depth) {
			depth--;
		}
	}
	return false;
}

static enum json_fault fault_of(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_invalid_utf8:
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return JSON_UTF8;
	case json_error_duplicate_key:
		return JSON_DUPLICATE_KEY;
	case json_error_numeric_overflow:
		return JSON_NUMBER;
	case json_error_stack_overflow:
		return JSON_DEPTH;
	default:
		return JSON_SYNTAX;
	}
}

static json_t *fail(struct json_position *position, enum json_fault fault, size_t byte)
{
	*position = (struct json_position){.fault = fault, .byte = byte};
	return NULL;
}

json_t *strict_json_parse(
	struct view text, size_t depth_max, struct json_position *position, struct err *err)
{
	json_error_t error;
	size_t where = 0;

	if (!text.size) {
		err_set(err, RC_REJECT, "empty text, expected JSON");
		return fail(position, JSON_EMPTY, 0);
	}
	/* jansson reads over NUL bytes that follow a number. */
	const char *nul = memchr(text.data, '\0', text.size);

	if (nul) {
		where = (size_t)(nul - text.data);
		err_set(err, RC_REJECT, "a NUL at byte %zu, expected JSON", where);
		return fail(position, JSON_SYNTAX, where);
	}
	if (too_deep(text, depth_max, &where)) {
		err_set(err, RC_REJECT, "nested deeper than %zu at byte %zu", depth_max, where);
		return fail(position, JSON_DEPTH, where);
	}
	json_t *value =
		json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

	if (!value) {
		size_t byte = error.position > 0 ? (size_t)error.position : 0;

		err_set(err, RC_REJECT, "%s at byte %zu", error.text, byte);
		return fail(position, fault_of(&error), byte);
	}
	*position = (struct json_position){0};
	return value;
}

enum rc strict_json_record(struct view text, const char *kind, json_t **object, struct err *err)
{
	struct json_position position;
	const char *found;
	json_t *value = strict_json_parse(text, 16, &position, err);

	if (!value)
		return RC_REJECT;
	enum rc rc = json_field_text(value, "kind", &found, err);

	if (rc == RC_OK && strcmp(found, kind) != 0)
		rc = err_set(err, RC_REJECT, "kind: found \"%.40s\", expected \"%s\"", found, kind);
	if (rc == RC_OK)
		*object = value;
	else
		json_decref(value);
	return rc;
}

static enum rc wrong(const char *field, const json_t *value, const char *expected, struct err *err)
{
	static const char *const types[] = {"an object", "an array", "a text", "an integer",
		"a number", "true", "false", "null"};

	return err_set(err, RC_REJECT, "%s: found %s, expected %s", field,
		value ? types[json_typeof(value)] : "nothing", expected);
}

enum rc json_field_text(const json_t *object, const char *field, const char **text, struct err *err)
{
	const json_t *value = json_object_get(object, field);

	if (!json_is_string(value))
		return wrong(field, value, "a text", err);
	*text = json_string_value(value);
	return RC_OK;
}

enum rc json_field_text_or(const json_t *object, const char *field, const char *fallback,
	const char **text, struct err *err)
{
	if (json_object_get(object, field))
		return json_field_text(object, field, text, err);
	*text = fallback;
	return RC_OK;
}

enum rc json_field_copy(
	const json_t *object, const char *field, char *text, size_t size, struct err *err)
{
	const char *found;

	TRY(json_field_text_or(object, field, "", &found, err));
	if (strlen(found) >= size)
		return err_set(err, RC_REJECT, "%s: %zu bytes, expected at most %zu", field,
			strlen(found), size - 1);
	memcpy(text, found, strlen(found) + 1);
	return RC_OK;
}

enum rc json_field_integer(const json_t *object, const char *field, int64_t *value, struct err *err)
{
	const json_t *found = json_object_get(object, field);

	if (!json_is_integer(found))
		return wrong(field, found, "an integer", err);
	*value = json_integer_value(found);
	return RC_OK;
}

enum rc json_field_small(const json_t *object, const char *field, int *value, struct err *err)
{
	int64_t read;

	TRY(json_field_integer(object, field, &read, err));
	if (read < 0 || read > INT32_MAX)
		return err_set(err, RC_REJECT, "%s: found %lld, expected 0 to %d", field,
			(long long)read, INT32_MAX);
	*value = (int)read;
	return RC_OK;
}

enum rc json_field_integer_or(
	const json_t *object, const char *field, int64_t fallback, int64_t *value, struct err *err)
{
	if (json_object_get(object, field))
		return json_field_integer(object, field, value, err);
	*value = fallback;
	return RC_OK;
}

enum rc json_field_number(const json_t *object, const char *field, double *value, struct err *err)
{
	const json_t *found = json_object_get(object, field);

	if (json_is_null(found)) {
		*value = NAN;
		return RC_OK;
	}
	if (!json_is_number(found))
		return wrong(field, found, "a number", err);
	*value = json_number_value(found);
	return RC_OK;
}

enum rc json_field_object(const json_t *object, const char *field, json_t **value, struct err *err)
{
	json_t *found = json_object_get(object, field);

	if (!json_is_object(found))
		return wrong(field, found, "an object", err);
	*value = found;
	return RC_OK;
}

void json_set_number(json_t *object, const char *field, double value)
{
	json_object_set_new(object, field, isfinite(value) ? json_real(value) : json_null());
}

void json_set_integer(json_t *object, const char *field, int64_t value)
{
	json_object_set_new(object, field, json_integer(value));
}

void json_set_text(json_t *object, const char *field, const char *text)
{
	json_t *value = json_string(text);

	/* Names were checked to be UTF-8 where they came in; anything else is shown as missing. */
	json_object_set_new(object, field, value ? value : json_null());
}

static int append(const char *data, size_t size, void *out)
{
	bytes_add(out, data, size);
	return 0;
}

/* jansson prints a double with a fixed precision; the fewest digits that read back are chosen here.
 */
static void write_real(double value, struct bytes *out)
{
	char text[40];

	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	bytes_text(out, text);
	if (!strpbrk(text, ".eE"))
		bytes_text(out, ".0");
}

static void write_value(const json_t *value, struct bytes *out);

static void write_array(const json_t *array, struct bytes *out)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		bytes_text(out, i ? "," : "[");
		write_value(json_array_get(array, i), out);
	}
	bytes_text(out, json_array_size(array) ? "]" : "[]");
}

static void write_object(json_t *object, struct bytes *out)
{
	const char *key;
	json_t *value;
	bool first = true;

	json_object_foreach(object, key, value)
	{
		json_t *name = json_string(key);

		bytes_text(out, first ? "{" : ",");
		json_dump_callback(name, append, out, JSON_ENCODE_ANY);
		json_decref(name);
		bytes_text(out, ":");
		write_value(value, out);
		first = false;
	}
	bytes_text(out, first ? "{}" : "}");
}

static void write_value(const json_t *value, struct bytes *out)
{
	if (json_is_object(value))
		write_object((json_t *)(uintptr_t)value, out);
	else if (json_is_array(value))
		write_array(value, out);
	else if (json_is_real(value))
		write_real(json_real_value(value), out);
	else
		json_dump_callback(value, append, out, JSON_ENCODE_ANY);
}

void strict_json_write(json_t *value, struct bytes *out)
{
	write_value(value, out);
	json_decref(value);
}
