/* Under the null nothing wins: Monte Carlo with a fixed seed, margins of 4.5 standard errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/bank.h"
#include "core/stats/counts.h"
#include "core/stats/mixture.h"
#include "core/stats/quantile.h"
#include "core/stats/sr.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { BINS = 8 };

/* Knuth's MMIX generator; the upper 53 bits are used. */
static double uniform(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return ldexp((double)(*seed >> 11), -53);
}

static size_t draw(uint64_t *seed, const double *cdf)
{
	double u = uniform(seed);
	size_t k = 0;

	while (k + 1 < BINS && u >= cdf[k])
		k++;
	return k;
}

static void draw_counts(uint64_t *seed, const double *cdf, int size, uint64_t *counts)
{
	for (size_t k = 0; k < BINS; k++)
		counts[k] = 0;
	for (int i = 0; i < size; i++)
		counts[draw(seed, cdf)]++;
}

struct mean {
	double sum, squares, count;
};

static void mean_add(struct mean *mean, double x)
{
	mean->sum += x;
	mean->squares += x * x;
	mean->count++;
}

static double mean_value(const struct mean *mean)
{
	return mean->sum / mean->count;
}

static double mean_error(const struct mean *mean)
{
	double value = mean_value(mean);

	return sqrt((mean->squares / mean->count - value * value) / mean->count);
}

static void bank_wins_nothing(
	enum bank_kind kind, size_t bins, const uint64_t *reference, const double *cdf)
{
	const int sizes[][2] = {{30, 5}, {5, 30}, {10, 10}};
	uint64_t seed = 20240501;

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		struct mean means[BANK_MEMBERS_MAX] = {{0}};
		double place[BINS], log_e[BANK_MEMBERS_MAX];
		struct bank bank;

		assert_true(bank_init(&bank, kind, reference, bins, place));
		for (int t = 0; t < 10000; t++) {
			uint64_t a[BINS], b[BINS];

			draw_counts(&seed, cdf, sizes[i][0], a);
			draw_counts(&seed, cdf, sizes[i][1], b);
			bank_step(&bank, a, b, log_e);
			for (size_t j = 0; j < bank.members; j++)
				mean_add(&means[j], exp(log_e[j]));
		}
		for (size_t j = 0; j < bank.members; j++)
			if (mean_value(&means[j]) > 1 + 4.5 * mean_error(&means[j]))
				fail_msg("kind %d, %d:%d, member %zu: mean %g +- %g", (int)kind,
					sizes[i][0], sizes[i][1], j, mean_value(&means[j]),
					mean_error(&means[j]));
	}
}

static void banks_win_nothing_when_the_arms_agree(void **state)
{
	const uint64_t reference[BINS] = {5, 30, 150, 400, 300, 100, 13, 2};
	const uint64_t errors[] = {95, 5};
	const double as_reference[BINS] = {.005, .035, .185, .585, .885, .985, .998, 1};
	const double elsewhere[BINS] = {.0, .01, .03, .2, .3, .5, .8, 1};
	const double rare[BINS] = {.95, 1, 1, 1, 1, 1, 1, 1};

	(void)state;
	bank_wins_nothing(BANK_ORDERED, BINS, reference, as_reference);
	bank_wins_nothing(BANK_ORDERED, BINS, reference, elsewhere);
	bank_wins_nothing(BANK_CLASSES, BINS, reference, elsewhere);
	bank_wins_nothing(BANK_ERRORS, 2, errors, rare);
}

/* E[e] = 1 at the edge itself, so that R_t - t is a martingale: E[R_t] = t. */
static void sr_grows_by_one_a_tick(void **state)
{
	enum { TICKS = 20, RUNS = 20000, BETS = 4 }; /* the wilder bets have no usable variance */
	double shares[COUNTS_BERNOULLI_FACTORS];
	struct mean mean = {0};
	uint64_t seed = 7;

	(void)state;
	counts_bernoulli_grid(0.1, true, shares);
	for (int run = 0; run < RUNS; run++) {
		struct sr_member members[BETS];

		sr_init(members, BETS);
		for (int t = 0; t < TICKS; t++) {
			double log_e[COUNTS_BERNOULLI_FACTORS];
			uint64_t happened = 0;

			for (int i = 0; i < 10; i++)
				happened += uniform(&seed) < 0.1;
			counts_bernoulli_log_e(0.1, shares, happened, 10, log_e);
			sr_step(members, BETS, log_e, t);
		}
		mean_add(&mean, exp(sr_log_mixture(members, BETS)));
	}
	if (fabs(mean_value(&mean) - TICKS) > 4.5 * mean_error(&mean))
		fail_msg("R after %d ticks: %g +- %g", TICKS, mean_value(&mean), mean_error(&mean));
	assert_true(mean_error(&mean) < 1);
}

/* P(R crosses A within T) <= T / A. */
static void sr_crosses_no_more_often_than_its_line_says(void **state)
{
	enum { TICKS = 200, RUNS = 2000 };
	double shares[COUNTS_BERNOULLI_FACTORS];
	double line = log(TICKS / 0.1);
	uint64_t seed = 11;
	int crossed = 0;

	(void)state;
	counts_bernoulli_grid(0.1, true, shares);
	for (int run = 0; run < RUNS; run++) {
		struct sr_member members[COUNTS_BERNOULLI_FACTORS];
		double highest = -INFINITY;

		sr_init(members, COUNTS_BERNOULLI_FACTORS);
		for (int t = 0; t < TICKS; t++) {
			double log_e[COUNTS_BERNOULLI_FACTORS];

			counts_bernoulli_log_e(0.1, shares, uniform(&seed) < 0.1, 1, log_e);
			sr_step(members, COUNTS_BERNOULLI_FACTORS, log_e, t);
			highest = fmax(highest, sr_log_mixture(members, COUNTS_BERNOULLI_FACTORS));
		}
		crossed += highest >= line;
	}
	assert_true(crossed <= 0.1 * RUNS + 4.5 * sqrt(0.1 * 0.9 * RUNS));
}

/* Looked at after every observation. */
static void confidence_sequences_cover_at_all_times(void **state)
{
	enum { TRIALS = 1000, RUNS = 500 };
	const double alpha = 0.1;
	uint64_t seed = 5;
	int missed = 0;

	(void)state;
	for (int run = 0; run < RUNS; run++) {
		int happened = 0;
		bool out = false;

		for (int n = 1; n <= TRIALS; n++) {
			happened += uniform(&seed) < 0.05;
			out |= mixture_bernoulli(happened, n, 0.05, 200) >= log(1 / alpha);
		}
		missed += out;
	}
	assert_true(missed <= alpha * RUNS + 4.5 * sqrt(alpha * RUNS));
	assert_true(missed > 0); /* or the test tests nothing */
}

static void quantile_intervals_cover_at_all_times(void **state)
{
	enum { TICKS = 100, RUNS = 400 };
	const double cdf[BINS] = {.1, .3, .5, .7, .88, .9, .97, 1};
	const double edges[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
	const struct quantile_level level = {0.89, 0.1, 500}; /* lies in bin 5, [5, 6) */
	uint64_t seed = 3;
	int missed = 0;

	(void)state;
	for (int run = 0; run < RUNS; run++) {
		uint64_t counts[BINS] = {0};
		const struct binned sample = {counts, edges, BINS};
		bool out = false;

		for (int t = 0; t < TICKS; t++) {
			uint64_t tick[BINS];
			double low, high;

			draw_counts(&seed, cdf, 10, tick);
			for (size_t k = 0; k < BINS; k++)
				counts[k] += tick[k];
			if (quantile_interval(&sample, &level, &low, &high))
				out |= low > 5 || high < 6;
		}
		missed += out;
	}
	assert_true(missed <= level.alpha * RUNS + 4.5 * sqrt(level.alpha * RUNS));
}

static void a_two_arm_test_is_fooled_no_more_often_than_alpha(void **state)
{
	enum { EVENTS = 2000, RUNS = 300 };
	uint64_t seed = 17;
	int fooled = 0;

	(void)state;
	for (int run = 0; run < RUNS; run++) {
		double x_a = 0, x_b = 0, highest = 0;

		for (int i = 0; i < EVENTS; i++) {
			const double ks[] = {2, 10, 100};
			double log_e[LENGTH(ks)];

			if (uniform(&seed) < 0.2)
				x_b++;
			else
				x_a++;
			for (size_t j = 0; j < LENGTH(ks); j++)
				log_e[j] = mixture_two_arms(x_a, x_b, 0.2, ks[j]);
			highest = fmax(highest, mixture_log_mean(log_e, LENGTH(ks)));
		}
		fooled += highest >= log(20);
	}
	assert_true(fooled <= 0.05 * RUNS + 4.5 * sqrt(0.05 * RUNS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(banks_win_nothing_when_the_arms_agree),
		cmocka_unit_test(sr_grows_by_one_a_tick),
		cmocka_unit_test(sr_crosses_no_more_often_than_its_line_says),
		cmocka_unit_test(confidence_sequences_cover_at_all_times),
		cmocka_unit_test(quantile_intervals_cover_at_all_times),
		cmocka_unit_test(a_two_arm_test_is_fooled_no_more_often_than_alpha),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
