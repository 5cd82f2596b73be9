/* Confidence-sequence mixtures against the published values of statistics.md 2.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/mixture.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void near(const char *name, double got, double want, double relative)
{
	if (!(fabs(got - want) <= relative * fabs(want)))
		fail_msg("%s: got %.15g, want %.15g", name, got, want);
}

/* confseq's unit tests: v_opt = 100, alpha = .05, log M(10, 100) and the bound at V = 100. */
static void mixtures_have_the_published_values(void **state)
{
	double two = mixture_rho_two(100, 0.05);
	double one = mixture_rho_one(100, 0.05);
	const struct {
		const char *name;
		struct mixture mixture;
		double log_m, bound;
	} rows[] = {
		{"normal two", {MIXTURE_NORMAL_TWO, two, 0, 0, 0}, -0.6510051600, 30.352089904},
		{"normal one", {MIXTURE_NORMAL_ONE, one, 0, 0, 0}, -0.06502391243, 27.660708831},
		{"gamma-exponential", {MIXTURE_GAMMA_EXPONENTIAL, one, 0, 0, 2}, -0.249016479,
			33.0201702},
		{"gamma-Poisson", {MIXTURE_GAMMA_POISSON, one, 0, 0, 2}, -0.06991218532,
			30.1948984153},
		{"beta-binomial two", {MIXTURE_BETA_BINOMIAL_TWO, two, .2, .8, 0}, -0.69410117395,
			31.430797596},
		{"beta-binomial one", {MIXTURE_BETA_BINOMIAL_ONE, one, .2, .8, 0}, -0.07134018897,
			28.412380052},
	};

	(void)state;
	near("rho", two, 12.60056097925634, 1e-12);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		near(rows[i].name, mixture_log(&rows[i].mixture, 10, 100), rows[i].log_m, 1e-8);
		near(rows[i].name, mixture_bound(&rows[i].mixture, 100, 0.05), rows[i].bound, 1e-8);
	}
}

static void a_bound_is_where_its_mixture_meets_the_line(void **state)
{
	(void)state;
	for (int kind = MIXTURE_NORMAL_TWO; kind <= MIXTURE_GAMMA_POISSON; kind++) {
		struct mixture mixture = {.kind = (enum mixture_kind)kind,
			.rho = mixture_rho_two(1e4, 0.001),
			.g = 0.01,
			.h = 0.99,
			.c = 1};

		for (double v = 100; v < 1e7; v *= 10)
			near("line", mixture_log(&mixture, mixture_bound(&mixture, v, 1e-3), v),
				log(1e3), 1e-8);
	}
}

/* Tuned to less than one step, the prior keeps a thousandth of a trial. */
static void a_prior_never_vanishes(void **state)
{
	struct mixture mixture = {
		.kind = MIXTURE_BETA_BINOMIAL_TWO, .rho = 1e-6, .g = 0.2, .h = 0.8};

	(void)state;
	near("log M", mixture_log(&mixture, 30 - 0.2 * 100, 0.16 * 100),
		mixture_two_arms(70, 30, 0.2, 0.001), 1e-9);
	near("log M", mixture_bernoulli(30, 100, 0.2, 1e-6), mixture_two_arms(70, 30, 0.2, 0.001),
		1e-9);
}

static void no_bound_before_it_can_be_reached(void **state)
{
	struct mixture rare = {.kind = MIXTURE_BETA_BINOMIAL_TWO, .rho = 1, .g = 0.5, .h = 0.5};

	(void)state;
	assert_true(isinf(mixture_bound(&rare, 3 * 0.25, 0.001))); /* three coins */
	assert_true(isfinite(mixture_bound(&rare, 100 * 0.25, 0.001)));
	assert_true(isinf(mixture_log(&rare, 1e9, 1)) && mixture_log(&rare, 1e9, 1) < 0);
}

static void normal_mixture_has_the_new_vectors(void **state)
{
	struct mixture mixture = {.kind = MIXTURE_NORMAL_TWO, .rho = mixture_rho_two(1e4, 0.001)};
	const struct {
		double s, v, log_m, bound;
	} rows[] = {
		{50, 100, 1.69500777, 99.281171},
		{400, 1e4, 6.11172923, 420.576684},
		{3000, 1e6, 0.79236938, 4608.489923},
	};

	(void)state;
	near("rho", mixture.rho, 605.650041, 1e-8);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		near("log M", mixture_log(&mixture, rows[i].s, rows[i].v), rows[i].log_m, 1e-7);
		near("bound", mixture_bound(&mixture, rows[i].v, 0.001), rows[i].bound, 1e-8);
	}
}

static void stitching_has_the_published_values(void **state)
{
	(void)state;
	near("c = 3", mixture_stitched_bound(100, 0.05, 10, 3), 64.487546659, 1e-9);
	near("c = -1", mixture_stitched_bound(100, 0.05, 10, -1), 28.993892968, 1e-9);
}

static void two_arms_have_the_published_values(void **state)
{
	const struct {
		double a, b, share, want;
	} rows[] = {
		{60, 40, .5, 0.65889182},
		{480, 520, .5, -0.47312523},
		{450, 550, .5, 3.3546679},
		{12, 35, .5, 1.62575296},
		{950, 50, .05, -1.21411706},
		{900, 100, .05, 17.5979388},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		near("two arms", mixture_two_arms(rows[i].a, rows[i].b, rows[i].share, 100),
			rows[i].want, 1e-7);
	assert_true(fabs(mixture_two_arms(0, 0, .5, 100)) < 1e-12);
}

static void multinomial_has_the_published_p_values(void **state)
{
	const uint64_t three[] = {40, 129, 233}, two[] = {148, 62}, none[] = {0, 0, 0};
	const double shares_three[] = {.1, .4, .5}, shares_two[] = {.8, .2};

	(void)state;
	near("p", exp(-mixture_multinomial(three, shares_three, 3, 100)), 0.04845591106, 1e-8);
	near("p", exp(-mixture_multinomial(two, shares_two, 2, 100)), 0.0455796, 1e-5);
	near("as two arms", mixture_multinomial(two, shares_two, 2, 100),
		mixture_two_arms(148, 62, .2, 100), 1e-10);
	assert_true(fabs(mixture_multinomial(none, shares_three, 3, 100)) < 1e-12);
}

static void bernoulli_intervals_are_the_published_ones(void **state)
{
	double low, high;

	(void)state;
	assert_true(mixture_bernoulli_interval(700, 1000, 0.05, 100, &low, &high));
	near("low", low, 0.651629, 1e-5);
	near("high", high, 0.745949, 1e-5);
	assert_true(mixture_bernoulli_interval(15, 50, 0.05, 50, &low, &high));
	near("low", low, 0.129556, 1e-5);
	near("high", high, 0.511896, 1e-5);
}

static void bernoulli_intervals_know_their_borders(void **state)
{
	double low = 7, high = 7;

	(void)state;
	assert_false(mixture_bernoulli_interval(0, 0, 0.05, 100, &low, &high));
	assert_true(low >= 7 && high >= 7);
	assert_true(mixture_bernoulli_interval(0, 100000, 0.001, 1000, &low, &high));
	assert_true(low <= 0 && high > 0 && high < 3e-3);
	assert_true(mixture_bernoulli_interval(50, 50, 0.001, 1000, &low, &high));
	assert_true(high >= 1 && low > 0.5 && low < 1);
	assert_true(mixture_bernoulli_interval(1, 1, 0.001, 1000, &low, &high));
	assert_true(low >= 0 && low < 0.01 && high >= 1);
	assert_true(mixture_bernoulli_interval(3, 1000000000, 0.001, 1000, &low, &high));
	assert_true(low <= 3e-9 && high >= 3e-9 && high < 1e-6);
}

/* An interval is a test turned round: its ends are where the e-value meets the line. */
static void interval_ends_lie_on_the_line(void **state)
{
	(void)state;
	for (uint64_t x = 2; x < 2000; x = x * 3 / 2 + 1) {
		double low, high;

		assert_true(mixture_bernoulli_interval(x, 2000, 1e-3, 500, &low, &high));
		near("low", mixture_bernoulli((double)x, 2000, low, 500), log(1e3), 1e-6);
		near("high", mixture_bernoulli((double)x, 2000, high, 500), log(1e3), 1e-6);
	}
}

static void the_mean_of_e_values_is_taken_outside_the_logarithm(void **state)
{
	const double log_e[] = {-INFINITY, 0, 800, 800 + M_LN2};

	(void)state;
	near("mean", mixture_log_mean(log_e, 4), 800 + log(3.0 / 4), 1e-14);
	near("one", mixture_log_mean(log_e + 2, 1), 800, 1e-14);
	assert_true(isinf(mixture_log_mean(log_e, 1)));
	assert_true(isinf(mixture_log_mean(log_e, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixtures_have_the_published_values),
		cmocka_unit_test(a_bound_is_where_its_mixture_meets_the_line),
		cmocka_unit_test(a_prior_never_vanishes),
		cmocka_unit_test(no_bound_before_it_can_be_reached),
		cmocka_unit_test(normal_mixture_has_the_new_vectors),
		cmocka_unit_test(stitching_has_the_published_values),
		cmocka_unit_test(two_arms_have_the_published_values),
		cmocka_unit_test(multinomial_has_the_published_p_values),
		cmocka_unit_test(bernoulli_intervals_are_the_published_ones),
		cmocka_unit_test(bernoulli_intervals_know_their_borders),
		cmocka_unit_test(interval_ends_lie_on_the_line),
		cmocka_unit_test(the_mean_of_e_values_is_taken_outside_the_logarithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
