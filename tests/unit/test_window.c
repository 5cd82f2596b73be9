#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rounding {
	double value;
	const char *text;
};
static const struct rounding roundings[] = {
	{0, "0"},
	{-0.0, "0"},
	{12.3, "12.3"},
	{1, "1"},
	{-0.5, "-0.5"},
	{0.0000005, "0"}, /* the double lies below the half */
	{0.00000051, "0.000001"},
	{0x1p-7, "0.007812"},     /* 7812.5: half to even, down */
	{3 * 0x1p-7, "0.023438"}, /* 23437.5: half to even, up */
	{1e12, "1000000000000"},
	{-1e12, "-1000000000000"},
	{999999999999.9999, "999999999999.999878"},
	{5e-324, "0"},
	{6432.85, "6432.85"},
};

static void values_become_millionths_rounded_half_to_even(void **state)
{
	char text[48];
	(void)state;

	for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++) {
		millionths_text(millionths_of(roundings[i].value), text);
		assert_string_equal(text, roundings[i].text);
	}
}

static void the_text_of_a_sum_is_exact_beyond_what_a_double_holds(void **state)
{
	char text[48];
	(void)state;

	millionths_text((millionths)9007199254740993 * 1000000 + 1, text);
	assert_string_equal(text, "9007199254740993.000001");
	millionths_text(-(millionths)INT64_MAX * 1000000, text);
	assert_string_equal(text, "-9223372036854775807");
}

static struct window latency_window(void)
{
	return (struct window){
		.series = {"fraud", "v1", "production", "eu", "latency"},
		.from_ms = 1763654400000,
		.to_ms = 1763654405000,
		.layout = LAYOUT_LATENCY,
	};
}

static void observe(struct window *window, double value)
{
	window_count(window, layout_bin(window->layout, value), 1);
	window->sum += millionths_of(value);
}

static void merging_any_split_gives_the_same_window(void **state)
{
	struct bytes texts[5] = {0};
	(void)state;

	for (size_t parts = 1; parts <= 4; parts++) {
		struct window whole = latency_window();

		for (size_t part = 0; part < parts; part++) {
			struct window window = latency_window();

			for (size_t i = part; i < 200; i += parts)
				observe(&window, (double)(i * i % 317) / 7);
			window_merge(&whole, &window, 256);
			window_done(&window);
		}
		window_to_json(&whole, &texts[parts]);
		window_done(&whole);
		assert_string_equal(texts[parts].data, texts[1].data);
	}
	for (size_t i = 0; i < 5; i++)
		bytes_done(&texts[i]);
}

static void beyond_so_many_names_others_are_one(void **state)
{
	struct window window = {.layout = LAYOUT_NAMES};
	struct bytes json = {0};
	(void)state;

	window_count_name(&window, view_of("b"), 1, 2);
	window_count_name(&window, view_of("a"), 2, 2);
	window_count_name(&window, view_of("c"), 3, 2);
	window_count_name(&window, view_of("d"), 4, 2);
	window_count_name(&window, view_of("b"), 5, 2);
	window_to_json(&window, &json);
	assert_non_null(
		strstr(json.data, "\"n\":15,\"bins\":[[\"__other__\",7],[\"a\",2],[\"b\",6]]}"));
	bytes_done(&json);
	window_done(&window);
}

static void names_are_matched_by_text_when_windows_merge(void **state)
{
	struct window one = {.layout = LAYOUT_NAMES};
	struct window two = {.layout = LAYOUT_NAMES};
	struct bytes json = {0};
	(void)state;

	window_count_name(&one, view_of("x"), 1, 256);
	window_count_name(&one, view_of("y"), 1, 256);
	window_count_name(&two, view_of("y"), 10, 256);
	window_count_name(&two, view_of("z"), 10, 256);
	window_merge(&one, &two, 256);
	window_to_json(&one, &json);
	assert_non_null(strstr(json.data, "\"bins\":[[\"x\",1],[\"y\",11],[\"z\",10]]}"));
	bytes_done(&json);
	window_done(&one);
	window_done(&two);
}

static void the_record_has_what_its_signal_has(void **state)
{
	struct window window = latency_window();
	struct bytes json = {0};
	(void)state;

	observe(&window, 12);
	observe(&window, 12.5);
	observe(&window, 1e13 / 10);
	window_to_json(&window, &json);
	assert_string_equal(json.data,
		"{\"kind\":\"window\",\"model\":\"fraud\",\"version\":\"v1\",\"role\":"
		"\"production\","
		"\"segment\":\"eu\",\"signal\":\"latency\",\"from\":1763654400000,"
		"\"to\":1763654405000,\"n\":3,\"sum\":1000000000024.5,"
		"\"bins\":[[11.814609167515995,12.337686603263526,1],"
		"[12.337686603263526,12.883922655594034,1],"
		"[965509835818.5815,1008256608221.1415,1]]}");
	bytes_clear(&json);
	window_done(&window);

	window = latency_window();
	strcpy(window.series.signal, "rate");
	window.layout = LAYOUT_COUNT;
	window_count(&window, 0, 7);
	window_to_json(&window, &json);
	assert_non_null(strstr(json.data, "\"to\":1763654405000,\"n\":7}"));
	bytes_clear(&json);

	strcpy(window.series.signal, "errors");
	window.layout = LAYOUT_RESULT;
	window.n = 0;
	window_count(&window, 0, 3);
	window_count(&window, 1, 1);
	window_to_json(&window, &json);
	assert_non_null(strstr(json.data, "\"n\":4,\"bins\":[[\"failed\",1],[\"ok\",3]]}"));
	window_done(&window);
	bytes_clear(&json);

	window.layout = LAYOUT_REAL;
	window.n = 0;
	observe(&window, -1);
	window_count(&window, BIN_NAN, 2);
	window_count(&window, BIN_MINUS_INFINITE, 1);
	window_to_json(&window, &json);
	assert_non_null(strstr(
		json.data, "\"sum\":-1,\"bins\":[[-1,-0.96875,1],[\"-Infinity\",1],[\"NaN\",2]]}"));
	window_done(&window);
	bytes_done(&json);
}

static void add_all_kinds(struct window windows[3])
{
	windows[0] = latency_window();
	observe(&windows[0], 0);
	observe(&windows[0], 12);
	observe(&windows[0], 1e12);
	windows[1] = latency_window();
	windows[1].layout = LAYOUT_REAL;
	observe(&windows[1], -1e12);
	observe(&windows[1], 0);
	window_count(&windows[1], BIN_NAN, 1ULL << 60);
	window_count(&windows[1], BIN_MISSING, 3);
	windows[2] = latency_window();
	windows[2].layout = LAYOUT_NAMES;
	window_count_name(&windows[2], view_of("a \"quoted\" class\xc3\xa9"), 2, 256);
	window_count_name(&windows[2], view_of("b"), 2, 256);
}

static void a_blob_reads_back_as_it_was_and_no_damaged_one_is_taken(void **state)
{
	struct window windows[3];
	struct err err;
	(void)state;

	add_all_kinds(windows);
	for (size_t i = 0; i < 3; i++) {
		struct bytes blob = {0};
		struct bytes before = {0};
		struct bytes after = {0};
		struct window read;

		window_to_blob(&windows[i], &blob);
		window_to_json(&windows[i], &before);
		assert_int_equal(window_from_blob(bytes_view(&blob), &read, &err), RC_OK);
		window_to_json(&read, &after);
		assert_string_equal(before.data, after.data);
		assert_true(read.sum == windows[i].sum);
		window_done(&read);
		for (size_t size = 0; size < blob.size; size++) {
			struct view cut = {blob.data, size};

			assert_int_equal(window_from_blob(cut, &read, &err), RC_REJECT);
			assert_null(read.bins);
		}
		for (size_t at = 0; at < blob.size; at++) {
			for (int bit = 0; bit < 8; bit++) {
				/* Read from a block of just this size, so that a sanitizer sees
				 * overruns. */
				char *copy = malloc(blob.size);

				memcpy(copy, blob.data, blob.size);
				copy[at] ^= (char)(1 << bit);
				if (window_from_blob((struct view){copy, blob.size}, &read, &err) ==
					RC_OK) {
					bytes_clear(&after);
					window_to_json(&read, &after);
					window_done(&read);
				}
				free(copy);
			}
		}
		bytes_done(&blob);
		bytes_done(&before);
		bytes_done(&after);
		window_done(&windows[i]);
	}
}

static void series_are_ordered_by_model_segment_signal_role_version(void **state)
{
	static const struct series ordered[] = {
		{"a", "9", "production", "z", "rate"},
		{"b", "9", "production", "", "latency"},
		{"b", "1", "canary", "eu", "errors"},
		{"b", "2", "canary", "eu", "latency"},
		{"b", "1", "production", "eu", "latency"},
		{"b", "2", "production", "eu", "latency"},
	};
	(void)state;

	for (size_t i = 0; i + 1 < sizeof ordered / sizeof *ordered; i++) {
		assert_true(series_compare(&ordered[i], &ordered[i + 1]) < 0);
		assert_true(series_compare(&ordered[i + 1], &ordered[i]) > 0);
		assert_true(series_compare(&ordered[i], &ordered[i]) == 0);
	}
	struct bytes key = {0};

	series_key(&ordered[1], &key);
	assert_int_equal(key.size, sizeof "b\0\0latency\0production\0009");
	assert_memory_equal(key.data, "b\0\0latency\0production\0009", key.size);
	bytes_done(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_become_millionths_rounded_half_to_even),
		cmocka_unit_test(the_text_of_a_sum_is_exact_beyond_what_a_double_holds),
		cmocka_unit_test(merging_any_split_gives_the_same_window),
		cmocka_unit_test(beyond_so_many_names_others_are_one),
		cmocka_unit_test(names_are_matched_by_text_when_windows_merge),
		cmocka_unit_test(the_record_has_what_its_signal_has),
		cmocka_unit_test(a_blob_reads_back_as_it_was_and_no_damaged_one_is_taken),
		cmocka_unit_test(series_are_ordered_by_model_segment_signal_role_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
