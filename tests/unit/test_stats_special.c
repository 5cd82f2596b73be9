/* Special functions against published values, and far out in the tails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/special.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* One call and the value it should have. */
struct vector {
	const char *name;
	double got, want;
};

static void check(const struct vector *vectors, size_t count, double relative)
{
	for (size_t i = 0; i < count; i++) {
		const struct vector *v = &vectors[i];

		if (!(fabs(v->got - v->want) <= relative * fmax(fabs(v->want), 1e-300)))
			fail_msg("%s: got %.15g, want %.15g", v->name, v->got, v->want);
	}
}

/* statistics.md 1, printed to 10 digits. */
static void tails_of_counts_have_the_published_values(void **state)
{
	const struct vector vectors[] = {
		{"Poisson(20) <= 5", special_poisson_low(5, 20), 7.190884053e-05},
		{"Poisson(20) >= 5", special_poisson_high(5, 20), 0.9999830553},
		{"Poisson(20) >= 40", special_poisson_high(40, 20), 5.320202511e-05},
		{"Poisson(20) <= 40", special_poisson_low(40, 20), 0.9999745737},
		{"Poisson(8.5) <= 0", special_poisson_low(0, 8.5), 0.000203468369},
		{"NB(20, 1.5) >= 40", special_negative_binomial_high(40, 20, 1.5), 1.106133007e-3},
		{"NB(20, 1.5) <= 40", special_negative_binomial_low(40, 20, 1.5), 0.9992937261},
		{"NB(20, 3) <= 5", special_negative_binomial_low(5, 20, 3), 8.50427144e-3},
		{"NB(20, 3) >= 5", special_negative_binomial_high(5, 20, 3), 0.9959604589},
		{"NB(1000, 2) <= 900", special_negative_binomial_low(900, 1000, 2), 0.01155442255},
		{"NB(1000, 2) >= 900", special_negative_binomial_high(900, 1000, 2), 0.9891389174},
		{"McNemar 4, 18", 2 * special_binomial_low(4, 22, 0.5), 0.0043435097},
		{"McNemar 25, 40", 2 * special_binomial_low(25, 65, 0.5), 0.081681534},
		{"McNemar 100, 131", 2 * special_binomial_low(100, 231, 0.5), 0.048163053},
		{"McNemar 18, 4", 2 * special_binomial_high(18, 22, 0.5), 0.0043435097},
	};

	(void)state;
	check(vectors, LENGTH(vectors), 1e-8);
}

/* Whole numbers only: (1/2)^n, e^-m, 1 - e^-x, x^a. */
static void closed_forms_are_met_to_twelve_digits(void **state)
{
	const struct vector vectors[] = {
		{"cdf(0)", special_normal_cdf(0), 0.5},
		{"tail(1.96)", special_normal_tail(1.959963984540054), 0.025},
		{"quantile(.975)", special_normal_quantile(0.975), 1.959963984540054},
		{"zeta(2)", special_zeta(2), M_PI * M_PI / 6},
		{"log gamma(11)", special_log_gamma(11), log(3628800)},
		{"log beta(2, 3)", special_log_beta(2, 3), -log(12)},
		{"chi2(2) tail", special_chi2_tail(10, 2), exp(-5)},
		{"log P(1, x)", special_log_gamma_lower(1, 0.1), log(-expm1(-0.1))},
		{"log Q(1, x)", special_log_gamma_upper(1, 700), -700},
		{"log I(7, 1)", special_log_beta_lower(7, 1, 0.3), 7 * log(0.3)},
		{"log I(1, 7)", special_log_beta_lower(1, 7, 0.3), log1p(-pow(0.7, 7))},
		{"log I(50, 50, 1/2)", special_log_beta_lower(50, 50, 0.5), log(0.5)},
		{"binomial all", special_binomial_high(30, 30, 0.5), ldexp(1, -30)},
		{"log add", special_log_add(log(3), log(4)), log(7)},
	};

	(void)state;
	check(vectors, LENGTH(vectors), 1e-12);
}

/* Beyond exp(-745): log Q(1, x) = -x, log P(a, x) ~ a log x - x - log a!, log Phi(-z). */
static void logarithms_go_on_where_probabilities_are_zero(void **state)
{
	const struct vector vectors[] = {
		{"log Q(1, 5000)", special_log_gamma_upper(1, 5000), -5000},
		{"log Q(2, 5000)", special_log_gamma_upper(2, 5000), -5000 + log(5001)},
		{"log P(400, .01)", special_log_gamma_lower(400, 0.01),
			400 * log(0.01) - 0.01 - lgamma(401) + log1p(0.01 / 401)},
		{"log I(900, 1)", special_log_beta_lower(900, 1, 0.1), 900 * log(0.1)},
		{"log Phi(-50)", special_log_normal_cdf(-50), -1254.8313611394},
	};

	(void)state;
	check(vectors, LENGTH(vectors), 1e-10);
	assert_true(special_normal_tail(60) >= 0); /* does not abort */
}

static void a_mistake_does_not_abort(void **state)
{
	(void)state;
	assert_true(!isfinite(special_log_gamma(0)));
	assert_true(!isfinite(special_log_beta(-1, 2)));
}

static void both_ends_of_a_tail_meet(void **state)
{
	(void)state;
	for (int k = 0; k <= 60; k++) {
		const struct vector vectors[] = {
			{"poisson", special_poisson_low(k, 17) + special_poisson_high(k + 1, 17),
				1},
			{"binomial",
				special_binomial_low(k, 60, 0.37) +
					special_binomial_high(k + 1, 60, 0.37),
				1},
			{"negative binomial",
				special_negative_binomial_low(k, 17, 4) +
					special_negative_binomial_high(k + 1, 17, 4),
				1},
		};

		check(vectors, LENGTH(vectors), 1e-12);
	}
}

static void large_counts_keep_most_digits(void **state)
{
	/* Symmetric: P(X <= n/2 - 1) = (1 - P(X = n/2)) / 2 with P(X = n/2) ~ sqrt(2 / (pi n)). */
	double n = 1e8;
	const struct vector vector = {"half of 1e8", special_binomial_low(n / 2 - 1, n, 0.5),
		0.5 - sqrt(2 / (M_PI * n)) / 2};

	(void)state;
	check(&vector, 1, 1e-6);
}

static void borders_are_limits(void **state)
{
	(void)state;
	assert_true(special_normal_quantile(0) < -37 && isfinite(special_normal_quantile(0)));
	assert_true(special_normal_quantile(1) > 8 && isfinite(special_normal_quantile(1)));
	assert_true(special_log_gamma_lower(3, 0) < 0 && isinf(special_log_gamma_lower(3, 0)));
	assert_true(special_log_gamma_upper(3, -1) >= 0);
	assert_true(isinf(special_log_beta_lower(2, 2, 0)));
	assert_true(special_log_beta_lower(2, 2, 1) >= 0);
	assert_true(special_poisson_low(-1, 3) <= 0 && special_poisson_high(0, 3) >= 1);
	assert_true(special_binomial_high(5, 4, 0.5) <= 0 && special_binomial_low(4, 4, 0.5) >= 1);
	assert_true(isinf(special_log_add(-INFINITY, -INFINITY)));
	assert_true(special_log_add(-INFINITY, 3) >= 3 && special_log_add(3, -INFINITY) <= 3);
	assert_true(isinf(special_log_add(INFINITY, INFINITY)));
	assert_true(fabs(special_log_add(1000, 1000) - 1000 - M_LN2) < 1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tails_of_counts_have_the_published_values),
		cmocka_unit_test(closed_forms_are_met_to_twelve_digits),
		cmocka_unit_test(logarithms_go_on_where_probabilities_are_zero),
		cmocka_unit_test(a_mistake_does_not_abort),
		cmocka_unit_test(both_ends_of_a_tail_meet),
		cmocka_unit_test(large_counts_keep_most_digits),
		cmocka_unit_test(borders_are_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
