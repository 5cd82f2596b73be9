/* Counts against history: the ratios are likelihood ratios, the state learns and holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/counts.h"
#include "core/stats/special.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct counts_rate_options ten_seconds = {.tick_s = 10, .tolerance = 0.06};

static void near(double got, double want, double margin)
{
	if (!(fabs(got - want) <= margin))
		fail_msg("got %.15g, want %.15g", got, want);
}

static double negative_binomial(double x, double mean, double phi)
{
	return special_negative_binomial_low(x, mean, phi) -
	       special_negative_binomial_low(x - 1, mean, phi);
}

static void a_ratio_is_that_of_two_probabilities(void **state)
{
	const double counts[] = {0, 1, 7, 12, 25};
	const double phis[] = {1.5, 3, 20};

	(void)state;
	for (size_t i = 0; i < LENGTH(counts); i++)
		for (size_t j = 0; j < LENGTH(phis); j++)
			near(counts_log_ratio(counts[i], 15, 9.4, phis[j]),
				log(negative_binomial(counts[i], 15, phis[j]) /
					negative_binomial(counts[i], 9.4, phis[j])),
				1e-8);
	near(counts_log_ratio(7, 15, 9.4, 1), 7 * log(15 / 9.4) - 5.6, 1e-12);
	near(counts_log_ratio(7, 15, 9.4, 1 + 1e-6), counts_log_ratio(7, 15, 9.4, 1), 1e-4);
}

static void silence_is_the_strongest_bet(void **state)
{
	(void)state;
	near(counts_log_ratio(0, 0, 10, 2), 10 * log(2), 1e-12);
	near(counts_log_ratio(0, 0, 10, 1), 10, 1e-12);
	assert_true(isinf(counts_log_ratio(1, 0, 10, 2)) && counts_log_ratio(1, 0, 10, 2) < 0);
	assert_true(isinf(counts_log_ratio(1, 0, 10, 1)));
}

/* sum over x of P(x) LR(x): one at the edge, less inside the tolerance. */
static void no_level_inside_the_tolerance_wins(void **state)
{
	struct counts_rate rate = {
		.level = 50, .phi_mean = 3 / 1.1, .ticks = 100000, .differences = 1000000};
	const double levels[] = {0.94, 0.97, 1, 1.03, 1.06};
	double phi = counts_rate_phi(&rate);

	(void)state;
	for (size_t i = 0; i < LENGTH(levels); i++) {
		double mean[COUNTS_RATE_FACTORS] = {0};

		for (uint64_t x = 0; x < 600; x++) {
			double log_e[COUNTS_RATE_FACTORS];
			double p = negative_binomial((double)x, levels[i] * 50, phi);

			assert_true(counts_rate_judge(&rate, &ten_seconds, x, 1, log_e));
			for (size_t j = 0; j < COUNTS_RATE_FACTORS; j++)
				mean[j] += p * exp(log_e[j]);
		}
		for (size_t j = 0; j < COUNTS_RATE_FACTORS; j++) {
			double edge = counts_rate_factor(j) < 1 ? 0.94 : 1.06;

			assert_true(mean[j] < 1 + 1e-6);
			if (fabs(levels[i] - edge) < 1e-9 && counts_rate_factor(j) < 2)
				near(mean[j], 1, 1e-5);
		}
	}
}

static void factors_inside_the_tolerance_do_not_bet(void **state)
{
	struct counts_rate rate = {.level = 1000, .ticks = 1000};
	const struct counts_rate_options wide = {.tick_s = 10, .tolerance = 0.2};
	double log_e[COUNTS_RATE_FACTORS];

	(void)state;
	assert_true(counts_rate_judge(&rate, &wide, 100, 1, log_e));
	for (size_t j = 0; j < COUNTS_RATE_FACTORS; j++) {
		double f = counts_rate_factor(j);
		bool inside = f >= 0.8 && f <= 1.2;

		assert_true(inside == (log_e[j] >= 0 && log_e[j] <= 0));
	}
}

static void it_says_nothing_before_it_knows_the_level(void **state)
{
	struct counts_rate rate = {0};
	double log_e[COUNTS_RATE_FACTORS];
	int first = -1;

	(void)state;
	for (int t = 0; t < 60 && first < 0; t++)
		if (counts_rate_step(&rate, &ten_seconds, 1000, 1, false, log_e))
			first = t;
	assert_int_equal(first, 30); /* five minutes of tens of seconds */
	near(rate.level, 1000, 1e-9);

	rate = (struct counts_rate){0};
	for (int t = 0; t < 500; t++) /* one request a tick: not in 500 ticks */
		assert_false(counts_rate_step(&rate, &ten_seconds, 1, 1, false, log_e));
	for (size_t j = 0; j < COUNTS_RATE_FACTORS; j++)
		near(log_e[j], 0, 0);
}

static void dispersion_starts_at_three_and_is_learned(void **state)
{
	struct counts_rate rate = {0};

	(void)state;
	near(counts_rate_phi(&rate), 3.3, 1e-12);
	/* alternating 1000 +- 50: difference^2 / (2 level) = 5 */
	for (int t = 0; t < 100000; t++)
		counts_rate_learn(&rate, &ten_seconds, t % 2 ? 1050 : 950, 1);
	near(counts_rate_phi(&rate), 5 * 1.1, 0.1);
	rate = (struct counts_rate){0};
	for (int t = 0; t < 100000; t++)
		counts_rate_learn(&rate, &ten_seconds, 1000, 1);
	near(counts_rate_phi(&rate), 1.1, 1e-9); /* never less than Poisson */
	rate = (struct counts_rate){0};
	for (int t = 0; t < 100000; t++)
		counts_rate_learn(&rate, &ten_seconds, t % 2 ? 2000 : 0, 1);
	near(counts_rate_phi(&rate), 55, 1e-9);
}

static void slow_change_teaches_no_dispersion(void **state)
{
	struct counts_rate rate = {0};

	(void)state;
	for (int t = 0; t < 8640; t++)
		counts_rate_learn(&rate, &ten_seconds,
			(uint64_t)(1000 * (1 + 0.5 * sin(2 * M_PI * t / 8640))), 1);
	assert_true(counts_rate_phi(&rate) < 1.2);
}

static void the_level_follows_with_five_minutes(void **state)
{
	struct counts_rate rate = {0};

	(void)state;
	for (int t = 0; t < 1000; t++)
		counts_rate_learn(&rate, &ten_seconds, 1000, 1);
	for (int t = 0; t < 30; t++)
		counts_rate_learn(&rate, &ten_seconds, 2000, 1);
	near(rate.level, 2000 - 1000 * exp(-1), 1e-6);
}

/* sd of at most 2 % where the tolerance is 6 %: weight 2 level 0.02^2 / phi. */
static void the_level_of_a_rare_stream_follows_more_slowly(void **state)
{
	struct counts_rate rate = {.level = 2,
		.phi_mean = 1,
		.ticks = 1000000,
		.differences = 1000000,
		.last = 2,
		.last_season = 1};
	double weight = 2 * 2 * 0.0004 / counts_rate_phi(&rate);

	(void)state;
	counts_rate_learn(&rate, &ten_seconds, 3, 1);
	near(rate.level, 2 + weight, 1e-6);
}

static void dispersion_allows_for_the_season(void **state)
{
	struct counts_rate rate = {0};

	(void)state;
	/* 1100 and 1000 per unit of season: 100^2 / (1050 (1 / 1.5 + 1 / 0.5)) */
	for (int t = 0; t < 100000; t++)
		counts_rate_learn(&rate, &ten_seconds, t % 2 ? 500 : 1650, t % 2 ? 0.5 : 1.5);
	near(counts_rate_phi(&rate), 1.1 * (4096 * 1e4 / 2800 + 300) / 4196, 0.02);
}

static void one_outage_teaches_little_dispersion(void **state)
{
	struct counts_rate rate = {.level = 1e6,
		.phi_mean = 1,
		.ticks = 1000000,
		.differences = 1000000,
		.last = 1e6,
		.last_season = 1};

	(void)state;
	counts_rate_learn(&rate, &ten_seconds, 0, 1);
	near(rate.phi_mean, 1 + 499.0 / 4096, 1e-9);
}

static void a_season_scales_the_level(void **state)
{
	struct counts_rate rate = {0};
	double log_e[COUNTS_RATE_FACTORS], plain[COUNTS_RATE_FACTORS];

	(void)state;
	for (int t = 0; t < 1000; t++)
		counts_rate_learn(&rate, &ten_seconds, t % 2 ? 500 : 1500, t % 2 ? 0.5 : 1.5);
	near(rate.level, 1000, 1e-9);
	assert_true(counts_rate_judge(&rate, &ten_seconds, 700, 0.7, log_e));
	rate.level = 700;
	assert_true(counts_rate_judge(&rate, &ten_seconds, 700, 1, plain));
	for (size_t j = 0; j < COUNTS_RATE_FACTORS; j++)
		assert_true(
			(isinf(log_e[j]) && isinf(plain[j])) || fabs(log_e[j] - plain[j]) < 1e-9);
	assert_false(counts_rate_judge(&rate, &ten_seconds, 700, 0, log_e));
}

static void hold_and_season_zero_teach_nothing(void **state)
{
	struct counts_rate rate = {0}, before;
	double log_e[COUNTS_RATE_FACTORS];

	(void)state;
	for (int t = 0; t < 100; t++)
		counts_rate_learn(&rate, &ten_seconds, 1000 + (uint64_t)t % 7, 1);
	before = rate;
	assert_true(counts_rate_step(&rate, &ten_seconds, 0, 1, true, log_e));
	assert_memory_equal(&rate, &before, sizeof rate);
	counts_rate_learn(&rate, &ten_seconds, 5, 0);
	assert_memory_equal(&rate, &before, sizeof rate);
	assert_true(counts_rate_step(&rate, &ten_seconds, 0, 1, false, log_e));
	assert_true(rate.level < before.level);
	assert_true(log_e[0] > 100); /* judged by the level before */
}

static void grids_run_away_from_their_edge(void **state)
{
	const double edges[] = {0, 1e-6, 0.001, 0.1, 0.5, 0.9, 0.999};

	(void)state;
	for (size_t i = 0; i < LENGTH(edges); i++) {
		double up[COUNTS_BERNOULLI_FACTORS], down[COUNTS_BERNOULLI_FACTORS];

		counts_bernoulli_grid(edges[i], true, up);
		counts_bernoulli_grid(1 - edges[i], false, down);
		assert_true(up[0] > edges[i] && up[0] < edges[i] * 1.11 + 2e-9);
		for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++) {
			assert_true(up[j] > 0 && up[j] < 1 && down[j] > 0 && down[j] < 1);
			near(up[j], 1 - down[j], 1e-12);
			assert_true(j == 0 || up[j] > up[j - 1]);
		}
		assert_true(up[COUNTS_BERNOULLI_FACTORS - 1] > 0.8999);
	}
}

static void bernoulli_bets_are_likelihood_ratios(void **state)
{
	double shares[COUNTS_BERNOULLI_FACTORS], log_e[COUNTS_BERNOULLI_FACTORS];

	(void)state;
	counts_bernoulli_grid(0.1, true, shares);
	counts_bernoulli_log_e(0.1, shares, 3, 10, log_e);
	for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++)
		near(log_e[j], 3 * log(shares[j] / 0.1) + 7 * log((1 - shares[j]) / 0.9), 1e-12);
	counts_bernoulli_log_e(0.1, shares, 0, 0, log_e);
	near(log_e[7], 0, 0);
}

/* sum over x of P(x) e(x) for rates on the null's side */
static void no_rate_inside_the_null_wins(void **state)
{
	const struct {
		double rate;
		bool upward;
	} rows[] = {
		{0.1, true},
		{0.07, true},
		{0.01, true},
		{0.1, false},
		{0.2, false},
		{0.9, false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		double shares[COUNTS_BERNOULLI_FACTORS], mean[COUNTS_BERNOULLI_FACTORS] = {0};

		counts_bernoulli_grid(0.1, rows[i].upward, shares);
		for (uint64_t x = 0; x <= 12; x++) {
			double log_e[COUNTS_BERNOULLI_FACTORS];
			double p = special_binomial_low((double)x, 12, rows[i].rate) -
				   special_binomial_low((double)x - 1, 12, rows[i].rate);

			counts_bernoulli_log_e(0.1, shares, x, 12, log_e);
			for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++)
				mean[j] += p * exp(log_e[j]);
		}
		for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++)
			assert_true(mean[j] < 1 + 1e-9);
	}
}

static void an_edge_at_the_end_is_no_bet(void **state)
{
	double shares[COUNTS_BERNOULLI_FACTORS], log_e[COUNTS_BERNOULLI_FACTORS];

	(void)state;
	counts_bernoulli_grid(1, true, shares);
	counts_bernoulli_log_e(1, shares, 1000, 1000, log_e);
	for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++)
		near(log_e[j], 0, 0);
	counts_bernoulli_grid(0, false, shares);
	counts_bernoulli_log_e(0, shares, 0, 1000, log_e);
	for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++)
		near(log_e[j], 0, 0);
	counts_bernoulli_grid(0, true, shares); /* what never happened happens: loud */
	counts_bernoulli_log_e(0, shares, 1, 1000, log_e);
	assert_true(log_e[3] > 0);
}

static void tolerance_edges_widen_with_a_small_reference(void **state)
{
	double low, high;

	(void)state;
	counts_share_edges(0.5, 0.05, 1e12, 0.001, &low, &high);
	near(low, 0.45, 1e-5);
	near(high, 0.55, 1e-5);
	counts_share_edges(0.95, 0.05, 1000, 0.001, &low, &high);
	near(low, 0.9 - sqrt(log(4000) / 2000), 1e-12);
	near(high, 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ratio_is_that_of_two_probabilities),
		cmocka_unit_test(silence_is_the_strongest_bet),
		cmocka_unit_test(no_level_inside_the_tolerance_wins),
		cmocka_unit_test(factors_inside_the_tolerance_do_not_bet),
		cmocka_unit_test(it_says_nothing_before_it_knows_the_level),
		cmocka_unit_test(dispersion_starts_at_three_and_is_learned),
		cmocka_unit_test(slow_change_teaches_no_dispersion),
		cmocka_unit_test(the_level_follows_with_five_minutes),
		cmocka_unit_test(the_level_of_a_rare_stream_follows_more_slowly),
		cmocka_unit_test(dispersion_allows_for_the_season),
		cmocka_unit_test(one_outage_teaches_little_dispersion),
		cmocka_unit_test(a_season_scales_the_level),
		cmocka_unit_test(hold_and_season_zero_teach_nothing),
		cmocka_unit_test(grids_run_away_from_their_edge),
		cmocka_unit_test(bernoulli_bets_are_likelihood_ratios),
		cmocka_unit_test(no_rate_inside_the_null_wins),
		cmocka_unit_test(an_edge_at_the_end_is_no_bet),
		cmocka_unit_test(tolerance_edges_widen_with_a_small_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
