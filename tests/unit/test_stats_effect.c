/* Effects: the value is the plain estimate, the interval holds it and is finite when it can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/effect.h"
#include "core/stats/mixture.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { BINS = 160 };

static void near(double got, double want, double margin)
{
	if (!(fabs(got - want) <= margin))
		fail_msg("got %.15g, want %.15g", got, want);
}

static void holds(const struct effect *effect, double truth)
{
	if (!(effect->low <= effect->value && effect->value <= effect->high &&
		    effect->low <= truth && truth <= effect->high))
		fail_msg("[%g, %g] around %g should hold %g", effect->low, effect->high,
			effect->value, truth);
}

/* A lognormal hump on 16 bins per octave, moved by whole bins. */
static void fill_latency(uint64_t *counts, double *edges, double centre, double scale)
{
	for (size_t k = 0; k < BINS; k++) {
		double z = ((double)k - centre) / 12;

		counts[k] = (uint64_t)(scale * exp(-z * z / 2));
		edges[k] = exp2((double)k / 16);
	}
	edges[BINS] = exp2(BINS / 16.0);
}

static void a_quantile_ratio_is_that_of_the_shift(void **state)
{
	uint64_t reference[BINS], judged[BINS];
	double edges[BINS + 1];
	const double ps[] = {0.5, 0.99};
	struct effect effect;

	(void)state;
	fill_latency(judged, edges, 84, 2000);
	fill_latency(reference, edges, 80, 2000);
	for (size_t i = 0; i < LENGTH(ps); i++) {
		const struct binned a = {reference, edges, BINS}, b = {judged, edges, BINS};
		const struct quantile_level level = {ps[i], 0.001, 10000};

		assert_true(effect_quantile_ratio(&a, &b, &level, QUANTILE_GEOMETRIC, &effect));
		near(effect.value, exp2(4 / 16.0), 1e-6);
		holds(&effect, exp2(4 / 16.0));
		assert_true(effect.low > 1 && effect.high < 1.5);
		assert_true(effect_quantile_ratio(&a, &a, &level, QUANTILE_GEOMETRIC, &effect));
		near(effect.value, 1, 1e-12);
		holds(&effect, 1);
	}
}

static void a_quantile_ratio_waits_for_both_arms(void **state)
{
	uint64_t reference[BINS], judged[BINS];
	double edges[BINS + 1];
	const struct binned a = {reference, edges, BINS}, b = {judged, edges, BINS};
	const struct quantile_level level = {0.99, 0.001, 1000};
	struct effect effect = {.value = -1};

	(void)state;
	fill_latency(reference, edges, 80, 2000);
	fill_latency(judged, edges, 80, 5);
	assert_false(effect_quantile_ratio(&a, &b, &level, QUANTILE_LINEAR, &effect));
	assert_false(effect_quantile_ratio(&b, &a, &level, QUANTILE_LINEAR, &effect));
	near(effect.value, -1, 0);
}

static void rate_ratios_hold_their_value(void **state)
{
	const struct {
		struct effect_rate reference, judged;
		double value;
		bool finite;
	} rows[] = {
		{{100, 100000}, {500, 100000}, 5, true},
		{{100, 100000}, {100, 100000}, 1, true},
		{{0, 100000}, {50, 10000}, 50.5 / 10001 / (0.5 / 100001), false},
		{{0, 1000}, {0, 1000}, 1, false},
		{{50, 10000}, {0, 10000}, 0.5 / 50.5, true},
		{{1, 1}, {1, 1}, 1, false},
		{{7, 7}, {9, 9}, 1, true},
	};
	const struct effect_level level = {0.001, 1000};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct effect effect;

		assert_true(effect_rate_ratio(rows[i].reference, rows[i].judged, &level, &effect));
		near(effect.value, rows[i].value, 1e-9 * rows[i].value);
		holds(&effect, rows[i].value);
		assert_true(isfinite(effect.high) == rows[i].finite);
		assert_true(effect.low >= 0);
	}
}

static void a_clear_rate_ratio_excludes_one(void **state)
{
	const struct effect_rate good = {100, 100000}, bad = {500, 100000}, none = {0, 0};
	const struct effect_level level = {0.001, 1000};
	struct effect effect;

	(void)state;
	assert_true(effect_rate_ratio(good, bad, &level, &effect));
	assert_true(effect.low > 1.5 && effect.high < 12);
	assert_true(effect_rate_ratio(bad, good, &level, &effect));
	assert_true(effect.high < 0.7);
	assert_false(effect_rate_ratio(none, bad, &level, &effect));
	assert_false(effect_rate_ratio(good, none, &level, &effect));
}

/* alpha / 2 per arm, and per arm and class. */
static void alpha_is_shared_by_the_arms_and_classes(void **state)
{
	const uint64_t reference[] = {30000, 20000, 50000}, judged[] = {2500, 2010, 5490};
	const struct effect_level level = {0.001, 1000};
	double low_a, high_a, low_b, high_b;
	struct effect effect;
	size_t which;

	(void)state;
	assert_true(mixture_bernoulli_interval(100, 9000, 0.0005, 1000, &low_a, &high_a));
	assert_true(mixture_bernoulli_interval(300, 8000, 0.0005, 1000, &low_b, &high_b));
	assert_true(effect_rate_ratio(
		(struct effect_rate){100, 9000}, (struct effect_rate){300, 8000}, &level, &effect));
	near(effect.low, low_b / high_a, 1e-12);
	near(effect.high, high_b / low_a, 1e-12);
	assert_true(mixture_bernoulli_interval(30000, 100000, 0.001 / 6, 1000, &low_a, &high_a));
	assert_true(mixture_bernoulli_interval(2500, 10000, 0.001 / 6, 1000, &low_b, &high_b));
	assert_true(effect_largest_share(reference, judged, 3, &level, &which, &effect));
	assert_int_equal(which, 0);
	near(effect.low, low_b - high_a, 1e-12);
	near(effect.high, high_b - low_a, 1e-12);
}

static void a_mean_shift_is_in_sd_of_the_reference(void **state)
{
	/* sd 1 up to the divisor n - 1; the same with an offset of 1e9 */
	const uint64_t reference[] = {5000, 0, 5000}, judged[] = {2500, 5000, 2500};
	const uint64_t moved[] = {0, 5000, 5000};
	const double values[] = {-1, 0, 1}, far[] = {1e9 - 1, 1e9, 1e9 + 1};
	const struct effect_level level = {0.001, 10000};
	struct effect effect, offset;

	(void)state;
	assert_true(effect_mean_shift(
		&(struct effect_means){reference, judged, values, 3}, &level, &effect));
	near(effect.value, 0, 1e-12);
	holds(&effect, 0);
	assert_true(effect_mean_shift(
		&(struct effect_means){reference, moved, values, 3}, &level, &effect));
	near(effect.value, 0.5, 1e-4);
	assert_true(effect.low > 0.4 && effect.high < 0.6);
	assert_true(effect_mean_shift(
		&(struct effect_means){reference, moved, far, 3}, &level, &offset));
	near(offset.value, effect.value, 1e-6);
	near(offset.high, effect.high, 1e-6);
}

/* n = m, equal variances: S = n d / 2, V = n / 2 in units of the reference's sd. */
static void a_mean_shift_is_the_normal_mixture(void **state)
{
	const uint64_t both[] = {5000, 5000};
	const double values[] = {-1, 1};
	const struct effect_level level = {0.001, 10000};
	struct mixture mixture = {.kind = MIXTURE_NORMAL_TWO, .rho = mixture_rho_two(5000, 0.001)};
	struct effect effect;

	(void)state;
	assert_true(
		effect_mean_shift(&(struct effect_means){both, both, values, 2}, &level, &effect));
	near(effect.high, mixture_bound(&mixture, 5000, 0.001) / 5000, 1e-12);
	near(effect.low, -effect.high, 1e-12);
}

static void a_mean_shift_needs_a_spread(void **state)
{
	const uint64_t one[] = {1, 0}, constant[] = {50, 0}, both[] = {5, 5};
	const double values[] = {0, 1};
	const struct effect_level level = {0.05, 100};
	struct effect effect;

	(void)state;
	assert_false(
		effect_mean_shift(&(struct effect_means){one, both, values, 2}, &level, &effect));
	assert_false(
		effect_mean_shift(&(struct effect_means){both, one, values, 2}, &level, &effect));
	assert_false(effect_mean_shift(
		&(struct effect_means){constant, both, values, 2}, &level, &effect));
	assert_true(effect_mean_shift(
		&(struct effect_means){both, constant, values, 2}, &level, &effect));
	assert_true(effect.value < 0 && isfinite(effect.low) && isfinite(effect.high));
}

static void the_largest_share_is_found(void **state)
{
	const uint64_t reference[] = {30000, 20000, 50000, 0}, judged[] = {2500, 2000, 5400, 100};
	const uint64_t empty[4] = {0};
	const struct effect_level level = {0.001, 10000};
	struct effect effect;
	size_t which = 9;

	(void)state;
	assert_true(effect_largest_share(reference, judged, 4, &level, &which, &effect));
	assert_int_equal(which, 0);
	near(effect.value, -0.05, 1e-12);
	holds(&effect, -0.05);
	assert_true(effect.high < 0);
	assert_true(effect_largest_share(reference, reference, 4, &level, &which, &effect));
	assert_int_equal(which, 0);
	holds(&effect, 0);
	assert_false(effect_largest_share(reference, empty, 4, &level, &which, &effect));
	assert_false(effect_largest_share(empty, judged, 4, &level, &which, &effect));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quantile_ratio_is_that_of_the_shift),
		cmocka_unit_test(a_quantile_ratio_waits_for_both_arms),
		cmocka_unit_test(rate_ratios_hold_their_value),
		cmocka_unit_test(a_clear_rate_ratio_excludes_one),
		cmocka_unit_test(alpha_is_shared_by_the_arms_and_classes),
		cmocka_unit_test(a_mean_shift_is_in_sd_of_the_reference),
		cmocka_unit_test(a_mean_shift_is_the_normal_mixture),
		cmocka_unit_test(a_mean_shift_needs_a_spread),
		cmocka_unit_test(the_largest_share_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
