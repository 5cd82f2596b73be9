/* core/stats/sr.h: change detection by Shiryaev-Roberts processes, in logarithms.
 * Pure: no I/O, no clock, no allocation, no log. It does not make the e-values that it is fed with.
 *
 * R_t = (R_{t-1} + 1) e_t with R_0 = 0. If E[e_t | past] <= 1 while nothing is wrong, R_t - t is a
 * supermartingale: P(R crosses A within T ticks) <= T / A, and so for every weighted mean of such
 * processes (statistics.md 2.4; Shin, Ramdas, Rinaldo, arXiv 2203.03532). */
#ifndef CORE_STATS_SR_H
#define CORE_STATS_SR_H

#include <stddef.h>
#include <stdint.h>

/* One bet that is followed over time. The caller owns an array of them; sr_init() makes it empty
 * (all zero is not empty: R = 0 is log_r = -INFINITY). */
struct sr_member {
	double log_r;
	double cusum;  /* log max(W, 1) e, the distance above the last minimum */
	int64_t since; /* start of the tick after that minimum: the change-point estimate */
};

void sr_init(struct sr_member *members, size_t count);

/* Moves every member by its log_e[j] (never NaN; -INFINITY is a lost bet). from_ts is the start of
 * the span that these e-values judge. A missing tick is no step at all. */
void sr_step(struct sr_member *members, size_t count, const double *log_e, int64_t from_ts);

/* log of the mean of R over the members, summed from the first to the last; -INFINITY if empty. */
double sr_log_mixture(const struct sr_member *members, size_t count);

/* Index of the member with the largest log_r, the lowest one of equals; 0 if count is 0. */
size_t sr_leader(const struct sr_member *members, size_t count);

/* The line for log R at which one false alarm is expected in `ticks` ticks of `comparisons`
 * processes together, whatever their dependence: log(comparisons * ticks), both >= 1. */
double sr_line(double comparisons, double ticks);

#endif
