#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/close.h"

#include <stdlib.h>
#include <string.h>

static struct window a_window(const char *signal)
{
	struct window window = {
		.series = {"fraud", "v1", "production", "", ""},
		.from_ms = 5000,
		.to_ms = 10000,
		.layout = LAYOUT_LATENCY,
	};

	strcpy(window.series.signal, signal);
	window_count(&window, 3, 7);
	return window;
}

static void a_close_record_reads_back_as_it_was(void **state)
{
	struct window windows[] = {a_window("errors"), a_window("latency")};
	struct closed_tick ticks[] = {
		{.model = "fraud",
			.from_ms = 5000,
			.to_ms = 10000,
			.watermark_ms = 12001,
			.windows = windows,
			.window_count = 2},
		{.model = "spam", .from_ms = 5000, .to_ms = 10000, .watermark_ms = 12001},
	};
	struct close_record record = {.sequence = 17,
		.watermark_ms = 12500,
		.offset = 1234,
		.whole_from_ms = 4999,
		.cut = 3,
		.ticks = ticks,
		.tick_count = 2,
		.configured = true,
		.config_digest = "d1g357"};
	struct close_record read;
	struct bytes blob = {0};
	struct bytes again = {0};
	struct err err;
	(void)state;

	close_record_to_blob(&record, &blob);
	assert_int_equal(close_record_from_blob(bytes_view(&blob), &read, &err), RC_OK);
	assert_int_equal(read.sequence, 17);
	assert_int_equal(read.watermark_ms, 12500);
	assert_int_equal(read.offset, 1234);
	assert_int_equal(read.whole_from_ms, 4999);
	assert_int_equal(read.cut, 3);
	assert_true(read.configured);
	assert_string_equal(read.config_digest, "d1g357");
	assert_int_equal(read.tick_count, 2);
	assert_string_equal(read.ticks[1].model, "spam");
	assert_int_equal(read.ticks[0].watermark_ms, 12001);
	assert_string_equal(read.ticks[0].windows[1].series.signal, "latency");
	assert_int_equal(read.ticks[0].windows[1].n, 7);
	close_record_to_blob(&read, &again);
	assert_int_equal(again.size, blob.size);
	assert_memory_equal(again.data, blob.data, blob.size);
	close_record_done(&read);

	for (size_t size = 0; size < blob.size; size++)
		assert_int_equal(
			close_record_from_blob((struct view){blob.data, size}, &read, &err),
			RC_REJECT);
	for (size_t at = 0; at < blob.size; at++) {
		char *copy = malloc(blob.size);

		memcpy(copy, blob.data, blob.size);
		copy[at] = (char)~copy[at];
		if (close_record_from_blob((struct view){copy, blob.size}, &read, &err) == RC_OK)
			close_record_done(&read);
		free(copy);
	}
	bytes_done(&blob);
	bytes_done(&again);
	window_done(&windows[0]);
	window_done(&windows[1]);
}

static void a_close_record_whose_names_hold_a_nul_is_none(void **state)
{
	static const char *const names[] = {"d1g357", "spam"};
	struct closed_tick ticks[] = {{.model = "spam", .from_ms = 5000, .to_ms = 10000}};
	struct close_record record = {.sequence = 17,
		.ticks = ticks,
		.tick_count = 1,
		.configured = true,
		.config_digest = "d1g357"};
	(void)state;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct close_record read;
		struct bytes blob = {0};
		struct err err;

		close_record_to_blob(&record, &blob);
		char *name = memmem(blob.data, blob.size, names[i], strlen(names[i]));

		assert_non_null(name);
		*name = '\0';
		assert_int_equal(close_record_from_blob(bytes_view(&blob), &read, &err), RC_REJECT);
		bytes_done(&blob);
	}
}

static void a_mark_reads_back_from_its_json(void **state)
{
	struct mark mark = {.log = "ml.events-0", .offset = 1234, .watermark_ms = 1763654400000};
	struct mark read = {0};
	struct bytes json = {0};
	struct err err;
	(void)state;

	mark_to_json(&mark, &json);
	assert_string_equal(json.data, "{\"kind\":\"mark\",\"log\":\"ml.events-0\",\"offset\":1234,"
				       "\"watermark\":1763654400000}");
	assert_int_equal(mark_from_json(bytes_view(&json), &read, &err), RC_OK);
	assert_string_equal(read.log, mark.log);
	assert_int_equal(read.offset, 1234);
	assert_int_equal(read.watermark_ms, mark.watermark_ms);
	assert_int_equal(mark_from_json(view_of("{\"kind\":\"mark\",\"log\":\"x\"}"), &read, &err),
		RC_REJECT);
	bytes_done(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_close_record_reads_back_as_it_was),
		cmocka_unit_test(a_close_record_whose_names_hold_a_nul_is_none),
		cmocka_unit_test(a_mark_reads_back_from_its_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
