/* core/stats/mixture.h: e-processes that hold however often one looks, and what they exclude.
 * Pure: no I/O, no clock, no allocation, no log.
 *
 * Each function gives log M of a nonnegative supermartingale with M_0 = 1 under its null, so that
 * P(ever M >= 1/alpha) <= alpha (Ville). A confidence sequence is the set of nulls with
 * M < 1/alpha: true at all times together with probability 1 - alpha.
 *
 * Sources: Howard, Ramdas, McAuliffe, Sekhon, arXiv 1810.08240 (mixtures, boundaries, stitching);
 * Lindon, Malek, arXiv 2011.03567 (multinomial, Bernoulli); Lindon, Sanden, Shirikian, arXiv
 * 2205.14762 (counting processes). The formulas are those of statistics.md 2.1. */
#ifndef CORE_STATS_MIXTURE_H
#define CORE_STATS_MIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tuning rho that makes a boundary of level alpha tightest at intrinsic time v:
 * v / (2 log(1/alpha) + log(1 + 2 log(1/alpha))); one-sided the same at 2 alpha. v > 0. */
double mixture_rho_two(double v, double alpha);
double mixture_rho_one(double v, double alpha);

enum mixture_kind {
	MIXTURE_NORMAL_TWO,        /* S sub-Gaussian with variance V, both sides */
	MIXTURE_NORMAL_ONE,        /* the same, S > 0 only */
	MIXTURE_BETA_BINOMIAL_TWO, /* steps in [-g, h], V = n g h; Bernoulli p: g = p, h = 1 - p */
	MIXTURE_BETA_BINOMIAL_ONE,
	MIXTURE_GAMMA_EXPONENTIAL, /* sub-exponential of scale c, S > 0 */
	MIXTURE_GAMMA_POISSON,     /* sub-Poisson of scale c, S > 0 */
};

struct mixture {
	enum mixture_kind kind;
	double rho;  /* from mixture_rho_two() or _one() */
	double g, h; /* beta-binomial only */
	double c;    /* gamma only */
};

/* log M at the sum S and intrinsic time V >= 0. Where S lies below all that the formula covers,
 * -INFINITY, which is a valid (empty) bet. */
double mixture_log(const struct mixture *mixture, double s, double v);

/* The smallest S > 0 with log M >= log(1/alpha), to about 15 digits: closed form for the two-sided
 * normal, bisection for the others. INFINITY where no S that can occur at time V gets there. */
double mixture_bound(const struct mixture *mixture, double v, double alpha);

/* Polynomial stitching: S stays below the bound at all V >= v_min. c is the scale of the steps'
 * tail (0: sub-Gaussian, c < 0: sub-gamma with a bounded upper side). s = 1.4, eta = 2. */
double mixture_stitched_bound(double v, double alpha, double v_min, double c);

/* Rate-free test of two arms: x_a and x_b events, under the null each lands on arm b with chance
 * `share`, whatever the common intensity did. k > 0 is the concentration of the bet: 2 expects
 * large differences, 100 small ones; average log E of several by mixture_log_mean(). */
double mixture_two_arms(double x_a, double x_b, double share, double k);

/* Multinomial counts against fixed shares (all > 0, sum 1), concentration k. */
double mixture_multinomial(const uint64_t *counts, const double *shares, size_t cells, double k);

/* log E that a success rate is p (0 < p < 1) after `successes` of `trials`: the two-sided
 * beta-binomial, tuned to be tightest around trials_tuned at alpha 0.05, or at least 0.001 of a
 * trial in concentration. */
double mixture_bernoulli(double successes, double trials, double p, double trials_tuned);

/* The confidence sequence of a success rate: every p with mixture_bernoulli() < log(1/alpha).
 * 0 <= *low <= successes / trials <= *high <= 1. False, and nothing written, without trials. */
bool mixture_bernoulli_interval(uint64_t successes, uint64_t trials, double alpha,
	double trials_tuned, double *low, double *high);

/* log of the mean of exp(log_e[j]), in the order of j: a mean of e-values is an e-value under any
 * dependence. -INFINITY if count is 0. */
double mixture_log_mean(const double *log_e, size_t count);

#endif
