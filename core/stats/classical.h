/* core/stats/classical.h: the usual fixed-sample tests and distances of two histograms.
 * Pure: no I/O, no clock, no allocation, no log.
 *
 * DESCRIPTIVE ONLY, NOT PEEKING-SAFE: a p-value here is right for one look at a sample whose size
 * was fixed beforehand. Looked at in every tick, p < 0.001 happens on 1 to 100 % of all quiet days
 * (statistics.md 9). Nothing may page on them; bank.h and counts.h are for that.
 *
 * All values inside a bin are ties. Formulas: statistics.md 1. */
#ifndef CORE_STATS_CLASSICAL_H
#define CORE_STATS_CLASSICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two arms on common bins; the arrays stay the caller's. a is the reference. */
struct classical_arms {
	const uint64_t *a, *b;
	size_t bins;
};

struct classical_test {
	double statistic;
	double p;
};

/* All functions: false, and nothing written, if an arm is empty, or where noted. */

/* Kolmogorov-Smirnov D at the bins' upper edges, limit p-value (conservative for few bins). */
bool classical_ks(const struct classical_arms *arms, struct classical_test *test);

/* Pearson's chi-square on neighbouring bins merged until both expected counts are at least 5.
 * Also false if fewer than two bins remain. */
bool classical_chi2(const struct classical_arms *arms, struct classical_test *test);

/* Likelihood-ratio G on the bins that are not empty. Also false if fewer than two are. */
bool classical_g(const struct classical_arms *arms, struct classical_test *test);

/* Mann-Whitney: U of a over b, tie-corrected normal p with continuity correction. Also false if
 * all values tie. Cliff's delta = 2 U / (n m) - 1. */
bool classical_mann_whitney(const struct classical_arms *arms, struct classical_test *test);

/* Cramer-von Mises and Anderson-Darling for grouped data, p by matching a scaled chi-square to
 * the first two moments (work grows with bins^2). Also false if all values tie. */
bool classical_cramer_von_mises(const struct classical_arms *arms, struct classical_test *test);
bool classical_anderson_darling(const struct classical_arms *arms, struct classical_test *test);

/* Population stability index, `added` to every count (0: raw, 0.5: smoothed). INFINITY if raw and a
 * bin is empty in one arm only. Null mean (bins - 1) (1/n + 1/m): 0.1 is nothing at n = 100. */
bool classical_psi(const struct classical_arms *arms, double added, double *psi);

/* Jensen-Shannon distance: the root of the divergence in nats. */
bool classical_jensen_shannon(const struct classical_arms *arms, double *distance);

bool classical_hellinger(const struct classical_arms *arms, double *distance);

/* Wasserstein-1 distance, bin k standing for values[k] (rising, finite); in units of values. */
bool classical_wasserstein(
	const struct classical_arms *arms, const double *values, double *distance);

#endif
