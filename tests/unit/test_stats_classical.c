/* Fixed-sample tests against the vectors V1 to V3 of statistics.md 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/classical.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t v1_a[] = {10, 20, 40, 20, 10};
static const uint64_t v1_b[] = {5, 15, 35, 25, 20};
static const double v1_values[] = {1, 2, 3, 4, 5};
static const uint64_t v2_a[] = {120, 300, 250, 150, 90, 50, 30, 10};
static const uint64_t v2_b[] = {60, 140, 120, 80, 45, 25, 20, 30};
static const double v2_values[] = {.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5};
static const uint64_t v3_a[] = {980, 1510, 2020, 1490, 1010, 760, 740, 620, 510, 360};
static const uint64_t v3_b[] = {1005, 1480, 1985, 1530, 990, 800, 730, 600, 495, 385};
static const double v3_values[] = {.05, .15, .25, .35, .45, .55, .65, .75, .85, .95};

static const struct classical_arms arms[] = {
	{v1_a, v1_b, LENGTH(v1_a)},
	{v2_a, v2_b, LENGTH(v2_a)},
	{v3_a, v3_b, LENGTH(v3_a)},
};
static const double *const values[] = {v1_values, v2_values, v3_values};

/* Half a unit of the last printed digit is what a vector can say. */
static void near(const char *name, double got, double want, double margin)
{
	if (!(fabs(got - want) <= margin))
		fail_msg("%s: got %.15g, want %.15g", name, got, want);
}

static void tests_have_the_published_values(void **state)
{
	const struct {
		const char *name;
		bool (*test)(const struct classical_arms *, struct classical_test *);
		struct classical_test want[3];
		double margin, margin_p;
	} rows[] = {
		{"KS", classical_ks,
			{{0.15, 0.21055163}, {0.0561538462, 0.23087259}, {0.004, 0.99999822}},
			6e-11, 6e-9},
		{"chi2", classical_chi2,
			{{6.6031746032, 0.15840453}, {32.1192559419, 3.8599489e-5},
				{4.1358776559, 0.90224377}},
			6e-11, 6e-9},
		{"G", classical_g,
			{{6.7039914576, 0.15238254}, {30.2961386714, 8.3786867e-5},
				{4.1362072103, 0.90222099}},
			6e-11, 6e-9},
		{"MW", classical_mann_whitney,
			{{4025, 0.013383281}, {241950, 0.022926812}, {49939675, 0.88146378}}, 1e-6,
			6e-9},
		{"CvM", classical_cramer_von_mises,
			{{0.63125, 0.01840}, {0.67486532, 0.01914}, {0.02511125, 0.88834}}, 6e-9,
			6e-6},
		{"AD", classical_anderson_darling,
			{{3.28415474, 0.01657}, {5.33562032, 0.00153}, {0.16951640, 0.90467}}, 6e-9,
			6e-6},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		for (size_t v = 0; v < LENGTH(arms); v++) {
			struct classical_test got;

			assert_true(rows[i].test(&arms[v], &got));
			near(rows[i].name, got.statistic, rows[i].want[v].statistic,
				rows[i].margin);
			near(rows[i].name, got.p, rows[i].want[v].p, rows[i].margin_p);
		}
}

static void distances_have_the_published_values(void **state)
{
	const double raw[] = {0.1361899279, 0.0910434979, 0.0008273074};
	const double smooth[] = {0.1275284941, 0.0896441958, 0.0008263079};
	const double jensen_shannon[] = {0.1294603362, 0.1010894999, 0.0101688338};
	const double hellinger[] = {0.1299628734, 0.1037259583, 0.0101690364};
	const double wasserstein[] = {0.4, 0.3034615385, 0.00155};
	double got;

	(void)state;
	for (size_t v = 0; v < LENGTH(arms); v++) {
		assert_true(classical_psi(&arms[v], 0, &got));
		near("PSI raw", got, raw[v], 6e-11);
		assert_true(classical_psi(&arms[v], 0.5, &got));
		near("PSI +0.5", got, smooth[v], 6e-11);
		assert_true(classical_jensen_shannon(&arms[v], &got));
		near("JS", got, jensen_shannon[v], 6e-11);
		assert_true(classical_hellinger(&arms[v], &got));
		near("Hellinger", got, hellinger[v], 6e-11);
		assert_true(classical_wasserstein(&arms[v], values[v], &got));
		near("W1", got, wasserstein[v], 6e-11);
	}
}

static void equal_arms_are_at_distance_zero(void **state)
{
	const struct classical_arms same = {v2_a, v2_a, LENGTH(v2_a)};
	struct classical_test test;
	double distance;

	(void)state;
	assert_true(classical_ks(&same, &test));
	near("KS p", test.p, 1, 0);
	assert_true(classical_mann_whitney(&same, &test));
	near("MW p", test.p, 1, 1e-12);
	assert_true(classical_g(&same, &test));
	near("G p", test.p, 1, 1e-9);
	assert_true(classical_jensen_shannon(&same, &distance));
	near("JS", distance, 0, 1e-7);
	assert_true(classical_hellinger(&same, &distance));
	near("Hellinger", distance, 0, 1e-7);
	assert_true(classical_wasserstein(&same, v2_values, &distance));
	near("W1", distance, 0, 0);
}

static void poor_bins_are_merged_for_chi2(void **state)
{
	/* Expected 5 per arm needs 11 in both; what is left at the end joins its neighbour. */
	const uint64_t a[] = {2, 1, 9, 30, 0, 3, 1, 1, 1, 1}, b[] = {0, 2, 6, 34, 0, 4, 0, 1, 0, 0};
	const uint64_t merged_a[] = {12, 30, 7}, merged_b[] = {8, 34, 5};
	struct classical_test fine, merged;

	(void)state;
	assert_true(classical_chi2(&(struct classical_arms){a, b, LENGTH(a)}, &fine));
	assert_true(classical_chi2(&(struct classical_arms){merged_a, merged_b, 3}, &merged));
	near("statistic", fine.statistic, merged.statistic, 1e-12);
	near("p", fine.p, merged.p, 1e-12);
}

static void nothing_is_said_of_too_little(void **state)
{
	const uint64_t empty[] = {0, 0, 0}, one[] = {0, 9, 0}, few[] = {1, 1, 1};
	const struct classical_arms none = {one, empty, 3}, tied = {one, one, 3},
				    little = {few, few, 3};
	struct classical_test test = {-1, -1};
	double distance = -1;

	(void)state;
	assert_false(classical_ks(&none, &test));
	assert_false(classical_chi2(&none, &test));
	assert_false(classical_chi2(&tied, &test));
	assert_false(classical_chi2(&little, &test));
	assert_false(classical_g(&none, &test));
	assert_false(classical_g(&tied, &test));
	assert_false(classical_mann_whitney(&none, &test));
	assert_false(classical_mann_whitney(&tied, &test));
	assert_false(classical_cramer_von_mises(&tied, &test));
	assert_false(classical_anderson_darling(&none, &test));
	assert_false(classical_psi(&none, 0.5, &distance));
	assert_false(classical_jensen_shannon(&none, &distance));
	assert_false(classical_hellinger(&none, &distance));
	assert_false(classical_wasserstein(&none, v1_values, &distance));
	near("untouched", test.statistic + test.p + distance, -3, 0);
}

static void raw_psi_of_a_bin_in_one_arm_only_is_infinite(void **state)
{
	const uint64_t a[] = {5, 5, 0, 0}, b[] = {5, 4, 1, 0};
	const struct classical_arms new_bin = {a, b, 4};
	double psi;

	(void)state;
	assert_true(classical_psi(&new_bin, 0, &psi));
	assert_true(isinf(psi) && psi > 0);
	assert_true(classical_psi(&new_bin, 0.5, &psi));
	assert_true(isfinite(psi));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tests_have_the_published_values),
		cmocka_unit_test(distances_have_the_published_values),
		cmocka_unit_test(equal_arms_are_at_distance_zero),
		cmocka_unit_test(poor_bins_are_merged_for_chi2),
		cmocka_unit_test(nothing_is_said_of_too_little),
		cmocka_unit_test(raw_psi_of_a_bin_in_one_arm_only_is_infinite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
