/* core/stats/quantile.h: quantiles of a histogram, and between which edges they certainly lie.
 * Pure: no I/O, no clock, no allocation, no log. */
#ifndef CORE_STATS_QUANTILE_H
#define CORE_STATS_QUANTILE_H

#include <stdbool.h>

#include "core/stats/binned.h"

enum quantile_inside {
	QUANTILE_LINEAR,    /* values spread evenly inside a bin */
	QUANTILE_GEOMETRIC, /* their logarithms do; bins that touch 0 are read linearly */
};

/* How sure, and tuned to be tightest after about how many observations. */
struct quantile_level {
	double p;            /* 0 < p < 1 */
	double alpha;        /* 0 < alpha < 1 */
	double trials_tuned; /* > 0 */
};

/* The quantile p, interpolated inside its bin; in a bin with an infinite edge, its finite edge.
 * False, and *value untouched, without counts. */
bool quantile_value(
	const struct binned *sample, double p, enum quantile_inside inside, double *value);

/* Edges between which the true quantile lies, at all times together with probability 1 - alpha:
 * the two-sided beta-binomial of Howard and Ramdas (arXiv 1906.09712) with S = count - p n,
 * V = p (1 - p) n, inverted for the ranks that it does not exclude. Edges may be infinite when an
 * outer bin has one. False, and nothing written, while a side is not bounded yet. */
bool quantile_interval(
	const struct binned *sample, const struct quantile_level *level, double *low, double *high);

/* The ratio of quantile p of `judged` to that of `reference` lies in
 * [low of judged / high of reference, high of judged / low of reference], each arm at alpha / 2.
 * False, and nothing written, while an interval is missing, infinite, or not above 0. */
bool quantile_ratio_interval(const struct binned *reference, const struct binned *judged,
	const struct quantile_level *level, double *low, double *high);

#endif
