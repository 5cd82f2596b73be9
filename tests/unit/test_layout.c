#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/layout.h"

#include <math.h>
#include <string.h>

static const enum layout numeric[] = {LAYOUT_LATENCY, LAYOUT_PROBABILITY, LAYOUT_REAL};
static const int32_t first[] = {LATENCY_BIN_MIN, 0, -16 * 60};
static const int32_t last[] = {LATENCY_BIN_MAX, PROBABILITY_BINS - 1, 16 * 60};

static void every_edge_belongs_to_the_bin_above_it_and_the_double_below_does_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		double before = NAN;

		for (int32_t bin = first[i]; bin <= last[i]; bin++) {
			double low;
			double high;

			layout_edges(numeric[i], bin, &low, &high);
			assert_true(low < high);
			if (bin > first[i])
				assert_true(low == before);
			before = high;
			if (layout_bin(numeric[i], low) != bin)
				fail_msg("layout %d: %a is in bin %d, expected %d", numeric[i], low,
					layout_bin(numeric[i], low), bin);
			if (bin < last[i] &&
				layout_bin(numeric[i], nextafter(high, -INFINITY)) != bin)
				fail_msg("layout %d: below %a is in bin %d, expected %d",
					numeric[i], high,
					layout_bin(numeric[i], nextafter(high, -INFINITY)), bin);
			double middle = layout_middle(numeric[i], bin);

			assert_true(low <= middle && middle <= high);
		}
	}
}

static void latency_edges_are_the_doubles_nearest_to_powers_of_the_sixteenth_root(void **state)
{
	(void)state;
	for (int32_t bin = LATENCY_BIN_MIN + 1; bin <= LATENCY_BIN_MAX; bin++) {
		double low;
		double high;
		/* 64 bits of mantissa tell the nearest double, unless it is a tie. */
		double nearest = (double)exp2l((long double)bin / 16);

		layout_edges(LAYOUT_LATENCY, bin, &low, &high);
		assert_true(low == nearest);
	}
}

static void probability_has_the_edges_that_its_contract_names(void **state)
{
	double low;
	double high;
	(void)state;

	layout_edges(LAYOUT_PROBABILITY, 0, &low, &high);
	assert_true(low == 0 && high == 1e-4);
	for (int32_t j = 0; j < 14; j++) {
		layout_edges(LAYOUT_PROBABILITY, 1 + j, &low, &high);
		assert_true(low == (double)(1e-4L * powl(100, j / 14.0L)));
		layout_edges(LAYOUT_PROBABILITY, 126 - j, &low, &high);
		assert_true(high == (double)(1 - 1e-4L * powl(100, j / 14.0L)));
	}
	for (int32_t i = 1; i < 99; i++) {
		layout_edges(LAYOUT_PROBABILITY, 14 + i, &low, &high);
		assert_true(low == i / 100.0 && high == (i + 1) / 100.0);
	}
	assert_int_equal(layout_bin(LAYOUT_PROBABILITY, 1), 127);
	assert_int_equal(layout_bin(LAYOUT_PROBABILITY, -0.0), 0);
}

struct row {
	enum layout layout;
	double value;
	int32_t bin;
};
static const struct row rows[] = {
	{LAYOUT_LATENCY, 0, LATENCY_BIN_MIN},
	{LAYOUT_LATENCY, 5e-324, LATENCY_BIN_MIN},
	{LAYOUT_LATENCY, 1, 0},
	{LAYOUT_LATENCY, 0.99999999, -1},
	{LAYOUT_LATENCY, 1024, 160},
	{LAYOUT_LATENCY, 0x1p40, LATENCY_BIN_MAX},
	{LAYOUT_LATENCY, 1e300, LATENCY_BIN_MAX},
	{LAYOUT_REAL, 0, 0},
	{LAYOUT_REAL, -0.0, 0},
	{LAYOUT_REAL, 1, 1 + 16 * 20},
	{LAYOUT_REAL, -1.001, -(1 + 16 * 20)},
	{LAYOUT_REAL, 1e12, 1 + 16 * 59 + 13},
	{LAYOUT_REAL, NAN, BIN_NAN},
	{LAYOUT_REAL, -INFINITY, BIN_MINUS_INFINITE},
	{LAYOUT_PROBABILITY, NAN, BIN_NAN},
	{LAYOUT_PROBABILITY, INFINITY, BIN_INFINITE},
	{LAYOUT_PROBABILITY, 0.5, 64},
};

static void values_fall_into_their_bins(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(layout_bin(rows[i].layout, rows[i].value), rows[i].bin);
}

static void special_bins_have_names_and_others_do_not(void **state)
{
	(void)state;
	assert_string_equal(layout_bin_name(LAYOUT_REAL, BIN_NAN), "NaN");
	assert_string_equal(layout_bin_name(LAYOUT_REAL, BIN_INFINITE), "Infinity");
	assert_string_equal(layout_bin_name(LAYOUT_PROBABILITY, BIN_MINUS_INFINITE), "-Infinity");
	assert_string_equal(layout_bin_name(LAYOUT_PROBABILITY, BIN_MISSING), "missing");
	assert_string_equal(layout_bin_name(LAYOUT_RESULT, 1), "failed");
	assert_null(layout_bin_name(LAYOUT_LATENCY, 0));
	assert_null(layout_bin_name(LAYOUT_REAL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_edge_belongs_to_the_bin_above_it_and_the_double_below_does_not),
		cmocka_unit_test(
			latency_edges_are_the_doubles_nearest_to_powers_of_the_sixteenth_root),
		cmocka_unit_test(probability_has_the_edges_that_its_contract_names),
		cmocka_unit_test(values_fall_into_their_bins),
		cmocka_unit_test(special_bins_have_names_and_others_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
