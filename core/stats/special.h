/* core/stats/special.h: the special functions that the statistics are made of; the one door to GSL.
 * Pure: no I/O, no clock, no allocation, no log.
 *
 * GSL's default error handler aborts the process, even on a plain underflow. special.c switches it
 * off in a constructor, that is before main(): whoever links one of these functions is safe, and
 * there is no call to forget. Out of range arguments give the limit that each comment names.
 *
 * Relative errors are below 1e-11 for arguments up to 1e4 and grow about as 1e-15 times the
 * argument: logarithms of that size are subtracted.
 *
 * Sources: DLMF 8.7, 8.9 (incomplete gamma), 8.17 (incomplete beta); tails as in statistics.md 1.
 */
#ifndef CORE_STATS_SPECIAL_H
#define CORE_STATS_SPECIAL_H

/* P(Z <= z), P(Z >= z) and log P(Z <= z) of the standard normal; the last one never underflows. */
double special_normal_cdf(double z);
double special_normal_tail(double z);
double special_log_normal_cdf(double z);

/* The z with P(Z <= z) = u. u is first clipped to [1e-300, 1 - 2^-53], so the result is finite. */
double special_normal_quantile(double u);

/* log Gamma(x), x > 0, and log Beta(a, b), a > 0, b > 0. */
double special_log_gamma(double x);
double special_log_beta(double a, double b);

/* Riemann zeta, s > 1. */
double special_zeta(double s);

/* log P(a, x) and log Q(a, x), the regularised lower and upper incomplete gamma functions, a > 0.
 * x <= 0 is the limit at 0. Finite also where P or Q itself underflows. */
double special_log_gamma_lower(double a, double x);
double special_log_gamma_upper(double a, double x);

/* log I_x(a, b), the regularised incomplete beta function, a > 0, b > 0; x is clipped to [0, 1]. */
double special_log_beta_lower(double a, double b, double x);

/* P(X >= x) of chi-square with df > 0 degrees of freedom. */
double special_chi2_tail(double x, double df);

/* Tails of counts: _low is P(X <= k), _high is P(X >= k), for whole k (k < 0 is allowed).
 * Negative binomial by mean and phi = variance / mean > 1: size mean / (phi - 1), success 1 / phi.
 */
double special_poisson_low(double k, double mean);
double special_poisson_high(double k, double mean);
double special_binomial_low(double k, double trials, double p);
double special_binomial_high(double k, double trials, double p);
double special_negative_binomial_low(double k, double mean, double phi);
double special_negative_binomial_high(double k, double mean, double phi);

/* log(exp(a) + exp(b)) without overflow; -INFINITY is an empty term. */
double special_log_add(double a, double b);

#endif
