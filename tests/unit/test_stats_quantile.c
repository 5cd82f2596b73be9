/* Quantiles of histograms and the edges between which they lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/mixture.h"
#include "core/stats/quantile.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { FINE = 1000 };

static void near(double got, double want, double margin)
{
	if (!(fabs(got - want) <= margin))
		fail_msg("got %.15g, want %.15g", got, want);
}

static void values_are_interpolated_inside_their_bin(void **state)
{
	const uint64_t counts[] = {0, 10, 0, 20, 10, 0};
	const double edges[] = {-INFINITY, 1, 2, 4, 8, 16, INFINITY};
	const struct binned sample = {counts, edges, LENGTH(counts)};
	const struct {
		double p, linear, geometric;
	} rows[] = {
		{0.125, 1.5, M_SQRT2},
		{0.25, 2, 2},
		{0.5, 6, 5.656854249492381},
		{0.75, 8, 8},
		{0.875, 12, 11.313708498984761},
	};
	double value;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		assert_true(quantile_value(&sample, rows[i].p, QUANTILE_LINEAR, &value));
		near(value, rows[i].linear, 1e-12);
		assert_true(quantile_value(&sample, rows[i].p, QUANTILE_GEOMETRIC, &value));
		near(value, rows[i].geometric, 1e-12);
	}
}

static void overflow_bins_give_their_finite_edge(void **state)
{
	const uint64_t counts[] = {5, 0, 5};
	const double edges[] = {-INFINITY, 3, 4, INFINITY}, from_zero[] = {0, 3, 4, INFINITY};
	const struct binned sample = {counts, edges, 3}, positive = {counts, from_zero, 3};
	double value;

	(void)state;
	assert_true(quantile_value(&sample, 0.2, QUANTILE_GEOMETRIC, &value));
	near(value, 3, 0);
	assert_true(quantile_value(&sample, 0.9, QUANTILE_GEOMETRIC, &value));
	near(value, 4, 0);
	assert_true(quantile_value(&positive, 0.25, QUANTILE_GEOMETRIC, &value));
	near(value, 1.5, 1e-12);
}

static void nothing_is_said_without_counts(void **state)
{
	const uint64_t counts[] = {0, 0};
	const double edges[] = {0, 1, 2};
	const struct binned empty = {counts, edges, 2};
	const struct quantile_level level = {0.5, 0.001, 1000};
	double low = -7, high = -7;

	(void)state;
	assert_false(quantile_value(&empty, 0.5, QUANTILE_LINEAR, &low));
	assert_false(quantile_interval(&empty, &level, &low, &high));
	assert_false(quantile_ratio_interval(&empty, &empty, &level, &low, &high));
	near(low, -7, 0);
	near(high, -7, 0);
}

/* One observation per bin: ranks are readable from the edges. */
struct fine {
	uint64_t counts[FINE];
	double edges[FINE + 1];
	struct binned sample;
};

static void fill_fine(struct fine *fine, double first_edge)
{
	for (size_t k = 0; k < FINE; k++) {
		fine->counts[k] = 1;
		fine->edges[k] = first_edge + (double)k;
	}
	fine->edges[FINE] = first_edge + FINE;
	fine->sample = (struct binned){fine->counts, fine->edges, FINE};
}

/* Against a plain walk over all counts c with log M(c) < log(1/alpha). */
static void an_interval_holds_the_ranks_that_are_not_excluded(void **state)
{
	const double ps[] = {0.05, 0.5, 0.9, 0.99};
	static struct fine fine;

	(void)state;
	fill_fine(&fine, 0);
	for (size_t i = 0; i < LENGTH(ps); i++) {
		struct quantile_level level = {ps[i], 0.05, 300};
		double spread = ps[i] * (1 - ps[i]);
		struct mixture mixture = {.kind = MIXTURE_BETA_BINOMIAL_TWO,
			.rho = mixture_rho_two(spread * 300, 0.05),
			.g = ps[i],
			.h = 1 - ps[i]};
		double low, high, first = -1, last = -1;

		for (int c = 0; c <= FINE; c++)
			if (mixture_log(&mixture, c - ps[i] * FINE, spread * FINE) < log(20)) {
				first = first < 0 ? c : first;
				last = c;
			}
		assert_true(quantile_interval(&fine.sample, &level, &low, &high));
		near(low, first - 1, 0); /* lower edge of the bin of rank `first` */
		near(high, last + 1, 0); /* upper edge of the bin of rank last + 1 */
		assert_true(low < ps[i] * FINE && high > ps[i] * FINE);
	}
}

static void a_side_without_enough_data_gives_no_interval(void **state)
{
	static struct fine fine;
	const struct quantile_level level = {0.999, 0.001, 1000};
	double low, high;

	(void)state;
	fill_fine(&fine, 1);
	assert_false(quantile_interval(&fine.sample, &level, &low, &high)); /* 1000 is too few */
	for (size_t k = 0; k < FINE; k++)
		fine.counts[k] = 100;
	assert_true(quantile_interval(&fine.sample, &level, &low, &high));
	assert_true(low > 990 && high <= 1001 && low < high);
}

static void all_mass_in_one_bin_is_between_its_edges(void **state)
{
	const uint64_t counts[] = {0, 100000, 0};
	const double edges[] = {1, 2, 4, 8};
	const struct binned sample = {counts, edges, 3};
	const struct quantile_level level = {0.5, 0.001, 1000};
	double low, high;

	(void)state;
	assert_true(quantile_interval(&sample, &level, &low, &high));
	near(low, 2, 0);
	near(high, 4, 0);
	assert_true(quantile_ratio_interval(&sample, &sample, &level, &low, &high));
	near(low, 0.5, 0);
	near(high, 2, 0);
}

static void ratios_need_positive_finite_edges(void **state)
{
	const uint64_t counts[] = {100000, 100000};
	const double zero[] = {0, 2, 4}, open[] = {1, 2, INFINITY}, good[] = {1, 2, 4};
	const struct binned touches_zero = {counts, zero, 2}, is_open = {counts, open, 2},
			    fine = {counts, good, 2};
	const struct quantile_level low_p = {0.2, 0.001, 1000}, high_p = {0.8, 0.001, 1000};
	double low = 7, high = 7;

	(void)state;
	assert_false(quantile_ratio_interval(&touches_zero, &fine, &low_p, &low, &high));
	assert_false(quantile_ratio_interval(&fine, &touches_zero, &low_p, &low, &high));
	assert_false(quantile_ratio_interval(&fine, &is_open, &high_p, &low, &high));
	near(low + high, 14, 0);
	assert_true(quantile_ratio_interval(&touches_zero, &fine, &high_p, &low, &high));
	near(low, 0.5, 0);
	near(high, 2, 0);
}

static void a_ratio_spends_half_of_alpha_on_each_arm(void **state)
{
	static struct fine fine;
	const struct quantile_level level = {0.5, 0.05, 300}, half = {0.5, 0.025, 300};
	double low, high, arm_low, arm_high;

	(void)state;
	fill_fine(&fine, 1);
	assert_true(quantile_interval(&fine.sample, &half, &arm_low, &arm_high));
	assert_true(quantile_ratio_interval(&fine.sample, &fine.sample, &level, &low, &high));
	near(low, arm_low / arm_high, 1e-15);
	near(high, arm_high / arm_low, 1e-15);
}

static void merging_counts_first_changes_nothing(void **state)
{
	static struct fine fine, doubled;
	const struct quantile_level level = {0.9, 0.01, 1000};
	double low, high, low_doubled, high_doubled;

	(void)state;
	fill_fine(&fine, 1);
	fill_fine(&doubled, 1);
	for (size_t k = 0; k < FINE; k++) {
		fine.counts[k] = 2 * (k % 7);
		doubled.counts[k] = k % 7;
	}
	for (size_t k = 0; k < FINE; k++)
		doubled.counts[k] += k % 7;
	assert_true(quantile_interval(&fine.sample, &level, &low, &high));
	assert_true(quantile_interval(&doubled.sample, &level, &low_doubled, &high_doubled));
	assert_memory_equal(&low, &low_doubled, sizeof low);
	assert_memory_equal(&high, &high_doubled, sizeof high);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_interpolated_inside_their_bin),
		cmocka_unit_test(overflow_bins_give_their_finite_edge),
		cmocka_unit_test(nothing_is_said_without_counts),
		cmocka_unit_test(an_interval_holds_the_ranks_that_are_not_excluded),
		cmocka_unit_test(a_side_without_enough_data_gives_no_interval),
		cmocka_unit_test(all_mass_in_one_bin_is_between_its_edges),
		cmocka_unit_test(ratios_need_positive_finite_edges),
		cmocka_unit_test(a_ratio_spends_half_of_alpha_on_each_arm),
		cmocka_unit_test(merging_counts_first_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
