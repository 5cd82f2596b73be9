#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/action.h"
#include "core/notification.h"

#include <string.h>

static void a_number_beyond_its_field_refuses_the_record(void **state)
{
	static const struct {
		const char *number;
		enum rc rc;
	} rows[] = {{"0", RC_OK}, {"2147483647", RC_OK}, {"-1", RC_REJECT},
		{"2147483648", RC_REJECT}, {"4294967297", RC_REJECT}};
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct notification notification = {0};
		struct action action = {0};
		struct bytes text = {0};
		struct err err;

		bytes_format(&text,
			"{\"kind\":\"action\",\"state\":\"intent\",\"at\":1,\"rung\":%s}",
			rows[i].number);
		assert_int_equal(action_from_json(bytes_view(&text), &action, &err), rows[i].rc);
		bytes_clear(&text);
		bytes_format(&text,
			"{\"kind\":\"notification\",\"state\":\"sent\",\"alerts\":[],\"created_"
			"at\":1,"
			"\"integration\":%s}",
			rows[i].number);
		assert_int_equal(
			notification_from_json(bytes_view(&text), &notification, &err), rows[i].rc);
		notification_done(&notification);
		bytes_done(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_beyond_its_field_refuses_the_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
