#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/strict_json.h"

#include <string.h>

struct refusal {
	const char *text;
	size_t size; /* 0: strlen */
	enum json_fault fault;
};

static const struct refusal refusals[] = {
	{"", 0, JSON_EMPTY},
	{"{", 0, JSON_SYNTAX},
	{"{\"a\":1} x", 0, JSON_SYNTAX},
	{"{\"a\":NaN}", 0, JSON_SYNTAX},
	{"{\"a\":01}", 0, JSON_SYNTAX},
	{"{\"a\":1,\"a\":2}", 0, JSON_DUPLICATE_KEY},
	{"{\"a\":1e400}", 0, JSON_NUMBER},
	{"{\"a\":9223372036854775808}", 0, JSON_NUMBER},
	{"{\"a\":\"\xff\"}", 0, JSON_UTF8},
	{"{\"a\":\"\\u0000\"}", 0, JSON_UTF8},
	{"[[[[[[[[[1]]]]]]]]]", 0, JSON_DEPTH},
	{"{\"a\":\"\0\"}", 9, JSON_SYNTAX},
	{"{\"a\":1\0}", 8, JSON_SYNTAX},
	{"1\0", 2, JSON_SYNTAX},
};

static void a_text_that_is_not_strict_json_is_refused_with_its_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *row = &refusals[i];
		size_t size = row->size ? row->size : strlen(row->text);
		struct json_position position;
		struct err err = {0};
		json_t *value =
			strict_json_parse((struct view){row->text, size}, 8, &position, &err);

		assert_null(value);
		if (position.fault != row->fault)
			fail_msg("row %zu %s: fault %d, expected %d", i, row->text, position.fault,
				row->fault);
		assert_true(strlen(err.text) > 0);
	}
}

static void brackets_inside_a_string_are_not_depth(void **state)
{
	struct json_position position;
	struct err err;
	(void)state;
	json_t *value =
		strict_json_parse(view_of("[\"[[[[[[[[[[[[\\\"[[[[\"]"), 2, &position, &err);

	assert_non_null(value);
	json_decref(value);
}

static void what_is_written_reads_back_exactly_and_in_the_order_of_setting(void **state)
{
	struct bytes out = {0};
	json_t *object = json_object();
	(void)state;

	json_set_number(object, "z", 0.1);
	json_set_number(object, "y", 1e21);
	json_set_number(object, "whole", 2.0);
	json_set_number(object, "third", 1.0 / 3);
	json_set_integer(object, "i", -5);
	json_set_text(object, "t", "a\"\n\xc3\xa9");
	json_set_number(object, "none", 0.0 / 0.0);
	json_object_set_new(object, "empty", json_array());
	strict_json_write(object, &out);
	assert_string_equal(out.data,
		"{\"z\":0.1,\"y\":1e+21,\"whole\":2.0,\"third\":0.3333333333333333,"
		"\"i\":-5,\"t\":\"a\\\"\\n\xc3\xa9\",\"none\":null,\"empty\":[]}");
	bytes_done(&out);
}

static void a_field_of_the_wrong_type_is_named_with_what_was_expected(void **state)
{
	struct json_position position;
	struct err err;
	const char *text;
	int64_t number;
	char small[3];
	(void)state;
	json_t *value = strict_json_parse(view_of("{\"a\":1,\"b\":\"long\"}"), 4, &position, &err);

	assert_int_equal(json_field_text(value, "a", &text, &err), RC_REJECT);
	assert_string_equal(err.text, "a: found an integer, expected a text");
	assert_int_equal(json_field_integer(value, "c", &number, &err), RC_REJECT);
	assert_string_equal(err.text, "c: found nothing, expected an integer");
	assert_int_equal(json_field_copy(value, "b", small, sizeof small, &err), RC_REJECT);
	assert_string_equal(err.text, "b: 4 bytes, expected at most 2");
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_that_is_not_strict_json_is_refused_with_its_fault),
		cmocka_unit_test(brackets_inside_a_string_are_not_depth),
		cmocka_unit_test(what_is_written_reads_back_exactly_and_in_the_order_of_setting),
		cmocka_unit_test(a_field_of_the_wrong_type_is_named_with_what_was_expected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
