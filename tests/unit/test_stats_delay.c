/* Detection delays as regression tests: the table b2 of statistics.md 10 (two arms), the e-SR rows
 * of its section 3 (Bernoulli) and the last row of section 5 (request rate). Fixed seeds.
 *
 * One long quiet path stands in for hundreds of quiet hours: it is cut off at many places after its
 * first hour, and every cut goes on with fresh data after the change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/stats/bank.h"
#include "core/stats/counts.h"
#include "core/stats/special.h"
#include "core/stats/sr.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum {
	BINS_MAX = 256,
	QUIET_TICKS = 3600,
	CUTS = 51,
	CUT_EVERY = 30,
	DELAY_MAX = 2000,
};

/* Knuth's MMIX generator; the upper 53 bits are used. */
static double uniform(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return ldexp((double)(*seed >> 11), -53);
}

/* Knuth's product method, in pieces that exp() can hold. */
static uint64_t poisson(uint64_t *seed, double mean)
{
	uint64_t count = 0;

	for (; mean > 0; mean -= 100) {
		double floor_of_product = exp(-fmin(mean, 100));

		for (double product = uniform(seed); product > floor_of_product;
			product *= uniform(seed))
			count++;
	}
	return count;
}

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int median(int *delays, size_t count)
{
	qsort(delays, count, sizeof delays[0], compare_ints);
	return delays[count / 2];
}

static void within(const char *name, int got, double low, double high)
{
	if (got < low || got > high)
		fail_msg("%s: median delay %d, want %g to %g", name, got, low, high);
}

/* --- two arms ------------------------------------------------------------------------------- */

struct law {
	double cdf[BINS_MAX];
	size_t bins;
};

/* The probability of a bin is cdf(edge) - cdf(edge before); the last bin takes the rest. */
static void law_from(struct law *law, double (*cdf)(double x), const double *edges, size_t count)
{
	law->bins = count + 1;
	for (size_t k = 0; k < count; k++)
		law->cdf[k] = cdf(edges[k]);
	law->cdf[count] = 1;
}

static void law_tick(const struct law *law, uint64_t *seed, uint64_t *counts)
{
	memset(counts, 0, law->bins * sizeof counts[0]);
	for (uint64_t i = poisson(seed, 100); i > 0; i--) {
		double u = uniform(seed);
		size_t low = 0, high = law->bins - 1;

		while (low < high) {
			size_t middle = (low + high) / 2;

			if (u < law->cdf[middle])
				high = middle;
			else
				low = middle + 1;
		}
		counts[low]++;
	}
}

struct arms {
	struct bank bank;
	double place[BINS_MAX];
	struct sr_member members[BANK_MEMBERS_MAX];
	uint64_t seed;
};

static double arms_tick(struct arms *arms, const struct law *reference, const struct law *judged)
{
	uint64_t a[BINS_MAX], b[BINS_MAX];
	double log_e[BANK_MEMBERS_MAX];

	law_tick(reference, &arms->seed, a);
	law_tick(judged, &arms->seed, b);
	bank_step(&arms->bank, a, b, log_e);
	sr_step(arms->members, arms->bank.members, log_e, 0);
	return sr_log_mixture(arms->members, arms->bank.members);
}

static void arms_start(struct arms *arms, enum bank_kind kind, const struct law *law, uint64_t seed)
{
	uint64_t reference[BINS_MAX];

	for (size_t k = 0; k < law->bins; k++)
		reference[k] = (uint64_t)(1e9 * (law->cdf[k] - (k ? law->cdf[k - 1] : 0)) + 0.5);
	assert_true(bank_init(&arms->bank, kind, reference, law->bins, arms->place));
	sr_init(arms->members, arms->bank.members);
	arms->seed = seed;
}

static int delay_after_change(
	struct arms cut, const struct law *good, const struct law *bad, double line)
{
	for (int t = 1; t <= DELAY_MAX; t++)
		if (arms_tick(&cut, good, bad) >= line)
			return t;
	return DELAY_MAX + 1;
}

static int two_arms_delay(enum bank_kind kind, const struct law *good, const struct law *bad)
{
	static struct arms arms;
	double line = sr_line(1, 86400 / 1e-3);
	int delays[CUTS];

	arms_start(&arms, kind, good, 1000);
	for (int t = 1; t <= QUIET_TICKS; t++)
		assert_true(arms_tick(&arms, good, good) < line);
	for (size_t cut = 0; cut < CUTS; cut++) {
		struct arms fork = arms;

		fork.seed ^= 0x5bd1e995;
		delays[cut] = delay_after_change(fork, good, bad, line);
		for (int t = 0; t < CUT_EVERY; t++)
			assert_true(arms_tick(&arms, good, good) < line);
	}
	return median(delays, CUTS);
}

/* Latency: lognormal, median 50 ms, sd 0.5, in bins of 2 % relative accuracy from 1 ms on. */
#define LATENCY_EDGES 232
#define SLOW_SHARE 0.02

static double slow_factor;

static double latency_cdf(double x)
{
	return special_normal_cdf(log(x / 0.05) / 0.5);
}

static double latency_cdf_up_10(double x)
{
	return latency_cdf(x / 1.1);
}

static double latency_cdf_slow(double x)
{
	return (1 - SLOW_SHARE) * latency_cdf(x) + SLOW_SHARE * latency_cdf(x / slow_factor);
}

static void latency_edges(double *edges)
{
	for (int k = 0; k < LATENCY_EDGES; k++)
		edges[k] = 0.001 * pow(1.02 / 0.98, k);
}

/* The factor on 2 % of the requests that doubles p99. */
static void solve_slow_factor(void)
{
	double doubled = 2 * 0.05 * exp(0.5 * special_normal_quantile(0.99));
	double low = 1.5, high = 50;

	for (int i = 0; i < 60; i++) {
		slow_factor = (low + high) / 2;
		if (1 - latency_cdf_slow(doubled) < 0.01)
			low = slow_factor;
		else
			high = slow_factor;
	}
}

static void ten_percent_more_latency(void **state)
{
	static struct law good, bad;
	double edges[LATENCY_EDGES];

	(void)state;
	latency_edges(edges);
	law_from(&good, latency_cdf, edges, LATENCY_EDGES);
	law_from(&bad, latency_cdf_up_10, edges, LATENCY_EDGES);
	within("latency", two_arms_delay(BANK_ORDERED, &good, &bad), 0.85 * 23, 1.15 * 23);
}

static void twice_the_p99(void **state)
{
	static struct law good, bad;
	double edges[LATENCY_EDGES];

	(void)state;
	solve_slow_factor();
	latency_edges(edges);
	law_from(&good, latency_cdf, edges, LATENCY_EDGES);
	law_from(&bad, latency_cdf_slow, edges, LATENCY_EDGES);
	within("p99", two_arms_delay(BANK_ORDERED, &good, &bad), 0.85 * 25, 1.15 * 25);
}

static void five_times_the_errors(void **state)
{
	static struct law good = {{.999, 1}, 2}, bad = {{.995, 1}, 2};

	(void)state;
	within("errors", two_arms_delay(BANK_ERRORS, &good, &bad), 0.85 * 110, 1.15 * 110);
}

static double score_mean;

static double score_cdf(double x)
{
	return special_normal_cdf((log(x / (1 - x)) - score_mean) / 1.2);
}

static void a_tenth_of_a_sd_in_scores(void **state)
{
	static struct law good, bad;
	double edges[99];

	(void)state;
	for (size_t k = 0; k < LENGTH(edges); k++)
		edges[k] = (double)(k + 1) / 100;
	score_mean = -1;
	law_from(&good, score_cdf, edges, LENGTH(edges));
	score_mean = -0.88;
	law_from(&bad, score_cdf, edges, LENGTH(edges));
	within("score", two_arms_delay(BANK_ORDERED, &good, &bad), 0.85 * 75, 1.15 * 75);
}

static void two_percent_of_the_classes_move(void **state)
{
	static struct law good = {{.30, .50, .65, .75, .83, .89, .94, .97, .99, 1}, 10};
	static struct law bad = {{.28, .48, .63, .73, .81, .87, .94, .97, .99, 1}, 10};

	(void)state;
	within("classes", two_arms_delay(BANK_CLASSES, &good, &bad), 0.85 * 112, 1.15 * 112);
}

/* --- Bernoulli against history -------------------------------------------------------------- */

struct stream {
	double edge;
	double shares[COUNTS_BERNOULLI_FACTORS];
	struct sr_member members[COUNTS_BERNOULLI_FACTORS];
	uint64_t seed;
};

static double stream_event(struct stream *stream, double rate)
{
	double log_e[COUNTS_BERNOULLI_FACTORS];

	counts_bernoulli_log_e(
		stream->edge, stream->shares, uniform(&stream->seed) < rate, 1, log_e);
	sr_step(stream->members, COUNTS_BERNOULLI_FACTORS, log_e, 0);
	return sr_log_mixture(stream->members, COUNTS_BERNOULLI_FACTORS);
}

static void stream_start(struct stream *stream, double edge, uint64_t seed)
{
	*stream = (struct stream){.edge = edge, .seed = seed};
	counts_bernoulli_grid(edge, true, stream->shares);
	sr_init(stream->members, COUNTS_BERNOULLI_FACTORS);
}

static int stream_delay(double edge, double rate)
{
	enum { CUTS_HERE = 75 };
	double line = log(1e6);
	struct stream stream;
	int delays[CUTS_HERE];

	stream_start(&stream, edge, 42);
	for (int t = 0; t < 5000; t++)
		assert_true(stream_event(&stream, 0.1) < line);
	for (size_t cut = 0; cut < CUTS_HERE; cut++) {
		struct stream fork = stream;

		fork.seed ^= 0x5bd1e995;
		delays[cut] = 1;
		while (stream_event(&fork, rate) < line && delays[cut] < 20000)
			delays[cut]++;
		for (int t = 0; t < 300; t++)
			assert_true(stream_event(&stream, 0.1) < line);
	}
	return median(delays, CUTS_HERE);
}

/* The published grids are hand-made for this rate; ours is made for any. */
static void a_rate_beyond_its_tolerance_is_found_as_published(void **state)
{
	const struct {
		double edge, rate, published;
	} rows[] = {
		{0.1, 0.15, 680},
		{0.1, 0.2, 217},
		{0.1, 0.3, 74},
		{0.104, 0.15, 860},
		{0.104, 0.2, 246},
		{0.104, 0.3, 76},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		within("events", stream_delay(rows[i].edge, rows[i].rate), 0.8 * rows[i].published,
			1.15 * rows[i].published);
}

/* --- request rate --------------------------------------------------------------------------- */

/* Negative binomial with variance phi mean: a Poisson number of clusters, sizes logarithmic. */
static uint64_t negative_binomial(uint64_t *seed, double mean, double phi)
{
	double theta = 1 - 1 / phi;
	uint64_t clusters = poisson(seed, mean / (phi - 1) * log(phi));
	uint64_t count = 0;

	for (; clusters > 0; clusters--) {
		double p = theta / log(phi), u = uniform(seed);
		uint64_t size = 1;

		for (; u > p && size < 1000; size++) {
			u -= p;
			p *= theta * (double)size / (double)(size + 1);
		}
		count += size;
	}
	return count;
}

struct traffic {
	struct counts_rate rate;
	struct counts_rate_options options;
	struct sr_member members[COUNTS_RATE_FACTORS];
	uint64_t seed;
	double mean, noise;
	int t;
};

/* Half a day's sine, known from history, times slow noise of 5 % with a memory of 30 minutes. */
static double traffic_tick(struct traffic *traffic, double factor)
{
	double season = 1 + 0.5 * sin(2 * M_PI * (traffic->t / 8640.0 - 0.25));
	double memory = exp(-10.0 / 1800);
	double shock = 0.05 * sqrt(1 - memory * memory);
	double log_e[COUNTS_RATE_FACTORS];

	traffic->noise =
		memory * traffic->noise + shock * special_normal_quantile(uniform(&traffic->seed));
	uint64_t count = negative_binomial(
		&traffic->seed, traffic->mean * season * factor * exp(traffic->noise), 2);

	traffic->t++;
	if (counts_rate_step(&traffic->rate, &traffic->options, count, season, false, log_e))
		sr_step(traffic->members, COUNTS_RATE_FACTORS, log_e, traffic->t);
	return sr_log_mixture(traffic->members, COUNTS_RATE_FACTORS);
}

static void traffic_start(struct traffic *traffic, double mean, uint64_t seed)
{
	*traffic = (struct traffic){
		.options = {.tick_s = 10, .tolerance = 0.06}, .mean = mean, .seed = seed};
	sr_init(traffic->members, COUNTS_RATE_FACTORS);
}

static int traffic_delay(const struct traffic *quiet, double factor, double line)
{
	enum { CUTS_HERE = 21 };
	struct traffic traffic = *quiet;
	int delays[CUTS_HERE];

	for (size_t cut = 0; cut < CUTS_HERE; cut++) {
		struct traffic fork = traffic;

		fork.seed ^= 0x5bd1e995;
		delays[cut] = 1;
		while (traffic_tick(&fork, factor) < line && delays[cut] < 1000)
			delays[cut]++;
		for (int t = 0; t < 50; t++)
			assert_true(traffic_tick(&traffic, 1) < line);
	}
	return median(delays, CUTS_HERE);
}

static void changes_of_rate_are_found_as_published(void **state)
{
	const struct {
		const char *name;
		double factor, ticks;
	} rows[] = {
		{"outage", 0, 1},
		{"-50 %", 0.5, 1},
		{"-20 %", 0.8, 3},
		{"+30 %", 1.3, 2},
	};
	double line = sr_line(1, 8640 / 1e-3);
	struct traffic traffic;

	(void)state;
	traffic_start(&traffic, 1000, 99);
	for (int t = 0; t < 8640 + 8640 / 2 - 500; t++) /* shortly before the second noon */
		if (traffic_tick(&traffic, 1) >= line)
			fail_msg("false alarm in tick %d", t);
	for (size_t i = 0; i < LENGTH(rows); i++)
		within(rows[i].name, traffic_delay(&traffic, rows[i].factor, line), 1,
			rows[i].ticks);
}

/* Three requests a tick: slow to know its level, and then as quiet as the others. */
static void a_rare_stream_raises_no_false_alarm(void **state)
{
	double line = sr_line(1, 8640 / 1e-3);
	struct traffic traffic;
	int judged = 0;

	(void)state;
	traffic_start(&traffic, 3, 5);
	for (int t = 0; t < 5 * 8640 + 4320; t++) {
		if (traffic_tick(&traffic, 1) >= line)
			fail_msg("false alarm in tick %d", t);
		judged += isfinite(sr_log_mixture(traffic.members, COUNTS_RATE_FACTORS));
	}
	assert_true(judged > 3 * 8640);
	within("outage", traffic_delay(&traffic, 0, line), 1, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_percent_more_latency),
		cmocka_unit_test(twice_the_p99),
		cmocka_unit_test(five_times_the_errors),
		cmocka_unit_test(a_tenth_of_a_sd_in_scores),
		cmocka_unit_test(two_percent_of_the_classes_move),
		cmocka_unit_test(a_rate_beyond_its_tolerance_is_found_as_published),
		cmocka_unit_test(changes_of_rate_are_found_as_published),
		cmocka_unit_test(a_rare_stream_raises_no_false_alarm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
