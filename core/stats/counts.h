/* core/stats/counts.h: counts against their own history: requests per tick, and how many of a
 * tick's observations passed a cut. It makes e-values; sr.h adds them up over time.
 * Pure: no I/O, no clock, no allocation, no log.
 *
 * Source: statistics.md 5 (rates), 2.4 and 11 (Bernoulli against a tolerance). */
#ifndef CORE_STATS_COUNTS_H
#define CORE_STATS_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	COUNTS_RATE_FACTORS = 11,
	COUNTS_BERNOULLI_FACTORS = 8,
};

/* What a rate was lately: X_t ~ negative binomial with mean season_t level_t and variance phi mean.
 * The caller owns it; all zero is valid and knows nothing. */
struct counts_rate {
	double level;             /* EWMA of X / season, up to the last tick learned */
	double phi_mean;          /* mean of the scaled squared differences */
	double last, last_season; /* X / season and season of the last tick learned */
	uint64_t ticks, differences;
};

struct counts_rate_options {
	double tick_s;    /* length of a tick, seconds */
	double tolerance; /* 0.06: levels within +-6 % are no news */
};

/* The factor on the level that bet j stands for: 0, .2, .5, .7, .8, .86, 1.14, 1.25, 1.5, 2, 4. */
double counts_rate_factor(size_t j);

/* The dispersion in use: 3 to begin with, drawn by 100 imagined differences towards the measured
 * one, clipped to [1, 50], times 1.1. Successive differences do not see slow changes of level. */
double counts_rate_phi(const struct counts_rate *rate);

/* Writes log e of every factor for a tick with `count` requests, where history says season * level
 * (season = 1: no season known). Each factor is tested against the edge of the tolerance that is
 * nearest to it; by the monotone likelihood ratio E[e] <= 1 for every level inside the tolerance
 * (given phi and the level, which are plugged in: see counts_rate_learn()). A factor that lies
 * inside the tolerance does not bet: its log e is 0.
 * False and all log_e 0: no judgement, because season is 0 or the level is not known well enough
 * yet: five minutes, 20 ticks, and an sd of at most a third of the tolerance. */
bool counts_rate_judge(const struct counts_rate *rate, const struct counts_rate_options *options,
	uint64_t count, double season, double *log_e);

/* Learns one tick. The level forgets with a time constant of five minutes, but of rare streams only
 * as fast as its sd stays below a third of the tolerance (at least 2 %). A tick with season 0
 * teaches nothing. Not to be called for missing ticks, nor while in alarm. */
void counts_rate_learn(struct counts_rate *rate, const struct counts_rate_options *options,
	uint64_t count, double season);

/* Judges, then learns unless `hold`: so the level that judges is always one tick behind. */
bool counts_rate_step(struct counts_rate *rate, const struct counts_rate_options *options,
	uint64_t count, double season, bool hold, double *log_e);

/* Log likelihood ratio of negative binomials with means `mean` >= 0 against `null` > 0, both with
 * variance phi mean (Poisson for phi <= 1). -INFINITY if mean is 0 and count is not. */
double counts_log_ratio(double count, double mean, double null, double phi);

/* The shares that history allows: share +- (tolerance + sqrt(log(4 / alpha) / (2 n))), with n the
 * observations that the share was measured on (Hoeffding), clipped to [0, 1]. n > 0. */
void counts_share_edges(
	double share, double tolerance, double n, double alpha, double *low, double *high);

/* Shares to bet on beyond an edge, upward (rate <= edge is the null) or downward (rate >= edge).
 * Log odds ratios grow geometrically from 0.1 to where the share is 0.9 (upward; 0.1 downward), or
 * ten times the odds if that is more: fine near the edge, where slow drifts start. */
void counts_bernoulli_grid(double edge, bool upward, double *shares);

/* Writes log e of every share of the grid when `happened` of `total` did; happened <= total. The
 * ratio is monotone, so E[e] <= 1 for every rate on the null's side of the edge. 0 if nothing was
 * seen, or if nothing lies beyond the edge. */
void counts_bernoulli_log_e(
	double edge, const double *shares, uint64_t happened, uint64_t total, double *log_e);

#endif
