/* core/stats/counts.c: see counts.h. */
#include "core/stats/counts.h"

#include <assert.h>
#include <math.h>

#include "core/stats/special.h"

#define LEVEL_S 300.0      /* time constant of the level */
#define TICKS_MIN 20       /* a level from fewer ticks is an anecdote */
#define TOLERANCE_MIN 0.02 /* for learning: else a tolerance of 0 would never learn */
#define SDS_PER_TOLERANCE 3.0

#define PHI_COLD 3.0
#define PHI_COLD_WEIGHT 100.0 /* imagined differences behind PHI_COLD */
#define PHI_MIN 1.0
#define PHI_MAX 50.0
#define PHI_MARGIN 1.1
#define PHI_MEMORY 4096.0             /* differences; their mean is then known to about 3 % */
#define DIFFERENCE_MAX (10 * PHI_MAX) /* one outage must not teach dispersion */

#define SHARE_MIN 1e-9
#define LOG_ODDS_FIRST 0.1

static const double factors[] = {0, 0.2, 0.5, 0.7, 0.8, 0.86, 1.14, 1.25, 1.5, 2, 4};
_Static_assert(sizeof factors / sizeof factors[0] == COUNTS_RATE_FACTORS, "11 bets on a rate");

double counts_rate_factor(size_t j)
{
	assert(j < COUNTS_RATE_FACTORS);
	return factors[j];
}

double counts_rate_phi(const struct counts_rate *rate)
{
	double weight = fmin((double)rate->differences, PHI_MEMORY);
	double phi =
		(PHI_COLD * PHI_COLD_WEIGHT + rate->phi_mean * weight) / (PHI_COLD_WEIGHT + weight);

	return PHI_MARGIN * fmin(fmax(phi, PHI_MIN), PHI_MAX);
}

static double poisson_log_ratio(double count, double mean, double null)
{
	if (mean <= 0)
		return count > 0 ? -INFINITY : null;
	return count * log(mean / null) - (mean - null);
}

double counts_log_ratio(double count, double mean, double null, double phi)
{
	if (phi <= 1)
		return poisson_log_ratio(count, mean, null);

	double size_null = null / (phi - 1);
	double size_mean = mean / (phi - 1);
	double log_empty = (size_null - size_mean) * log(phi);

	if (count <= 0)
		return log_empty;
	if (mean <= 0)
		return -INFINITY;
	return log_empty + special_log_gamma(count + size_mean) -
	       special_log_gamma(count + size_null) + special_log_gamma(size_null) -
	       special_log_gamma(size_mean);
}

/* The relative variance that the level may have. */
static double variance_allowed(const struct counts_rate_options *options)
{
	double sd = fmax(options->tolerance, TOLERANCE_MIN) / SDS_PER_TOLERANCE;

	return sd * sd;
}

/* The mean of t ticks has relative variance phi / (t level). */
static bool level_is_known(
	const struct counts_rate *rate, const struct counts_rate_options *options)
{
	double ticks = (double)rate->ticks;

	return ticks >= TICKS_MIN && ticks * options->tick_s >= LEVEL_S &&
	       counts_rate_phi(rate) <= variance_allowed(options) * ticks * rate->level;
}

/* A factor inside the tolerance has no edge to be tested against: its ratio would fall where the
 * null is true. It does not bet. */
static double factor_log_e(double factor, double tolerance, double count, double mean, double phi)
{
	double edge = factor < 1 ? 1 - tolerance : 1 + tolerance;
	bool beyond = factor < 1 ? factor < edge : factor > edge;

	return beyond ? counts_log_ratio(count, factor * mean, edge * mean, phi) : 0;
}

bool counts_rate_judge(const struct counts_rate *rate, const struct counts_rate_options *options,
	uint64_t count, double season, double *log_e)
{
	double mean = season * rate->level;
	double phi = counts_rate_phi(rate);
	bool known = mean > 0 && level_is_known(rate, options);

	for (size_t j = 0; j < COUNTS_RATE_FACTORS; j++)
		log_e[j] = known ? factor_log_e(
					   factors[j], options->tolerance, (double)count, mean, phi)
				 : 0;
	return known;
}

/* Two ticks x, x' of one level have E[(x / s - x' / s')^2] = phi level (1 / s + 1 / s'). */
static void learn_phi(struct counts_rate *rate, double value, double season)
{
	double expected = rate->level * (1 / season + 1 / rate->last_season);
	double difference = value - rate->last;

	if (!(expected > 0))
		return;
	rate->differences++;
	rate->phi_mean +=
		(fmin(difference * difference / expected, DIFFERENCE_MAX) - rate->phi_mean) /
		fmin((double)rate->differences, PHI_MEMORY);
}

/* An EWMA of weight w has relative variance phi w / (2 - w) / level, nearly phi w / (2 level). */
static double level_weight(
	const struct counts_rate *rate, const struct counts_rate_options *options)
{
	double by_time = -expm1(-options->tick_s / LEVEL_S);
	double by_count = 2 * rate->level * variance_allowed(options) / counts_rate_phi(rate);
	double as_mean = 1 / ((double)rate->ticks + 1);

	return fmax(fmin(by_time, by_count), as_mean);
}

void counts_rate_learn(struct counts_rate *rate, const struct counts_rate_options *options,
	uint64_t count, double season)
{
	double value = (double)count / season;

	if (!(season > 0))
		return;
	if (rate->ticks > 0)
		learn_phi(rate, value, season);
	rate->level += level_weight(rate, options) * (value - rate->level);
	rate->last = value;
	rate->last_season = season;
	rate->ticks++;
}

bool counts_rate_step(struct counts_rate *rate, const struct counts_rate_options *options,
	uint64_t count, double season, bool hold, double *log_e)
{
	bool known = counts_rate_judge(rate, options, count, season, log_e);

	if (!hold)
		counts_rate_learn(rate, options, count, season);
	return known;
}

void counts_share_edges(
	double share, double tolerance, double n, double alpha, double *low, double *high)
{
	double slack = tolerance + sqrt(log(4 / alpha) / (2 * n));

	*low = fmax(share - slack, 0);
	*high = fmin(share + slack, 1);
}

static double clip_share(double share)
{
	return fmin(fmax(share, SHARE_MIN), 1 - SHARE_MIN);
}

void counts_bernoulli_grid(double edge, bool upward, double *shares)
{
	double null = clip_share(upward ? edge : 1 - edge);
	double log_odds = log(null / (1 - null));
	double last = fmax(log(0.9 / 0.1) - log_odds, log(10));

	for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++) {
		double part = (double)j / (COUNTS_BERNOULLI_FACTORS - 1);
		double bet = log_odds + LOG_ODDS_FIRST * pow(last / LOG_ODDS_FIRST, part);

		if (null >= 1 - SHARE_MIN) /* nothing lies beyond: bet on the null itself */
			shares[j] = clip_share(edge);
		else
			shares[j] = 1 / (1 + exp(upward ? -bet : bet));
	}
}

void counts_bernoulli_log_e(
	double edge, const double *shares, uint64_t happened, uint64_t total, double *log_e)
{
	double null = clip_share(edge);
	double x = (double)happened;
	double rest = (double)(total - happened);

	assert(happened <= total);
	for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++)
		log_e[j] = x * log(shares[j] / null) + rest * log((1 - shares[j]) / (1 - null));
}
