/* core/stats/effect.h: how large is the difference between two arms, and how large may it be?
 * Pure: no I/O, no clock, no allocation, no log.
 *
 * Every interval holds at all times together with probability 1 - alpha (confidence sequences, see
 * mixture.h), so it may be looked at in every tick; the one exception says so. */
#ifndef CORE_STATS_EFFECT_H
#define CORE_STATS_EFFECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/stats/quantile.h"

/* low <= value <= high, never NaN; high may be INFINITY. */
struct effect {
	double value, low, high;
};

/* Of how many observations it happened to. */
struct effect_rate {
	uint64_t happened, total;
};

struct effect_level {
	double alpha;        /* of the whole interval */
	double trials_tuned; /* observations per arm around which it is tightest */
};

/* Quantile level->p of `judged` over that of `reference`, interpolated as `inside` says; the
 * interval is that of quantile_ratio_interval(). False, and nothing written, when that is. */
bool effect_quantile_ratio(const struct binned *reference, const struct binned *judged,
	const struct quantile_level *level, enum quantile_inside inside, struct effect *effect);

/* Rate of `judged` over rate of `reference`, each arm's confidence sequence at alpha / 2. Where an
 * arm has no case at all both rates are read as (happened + 0.5) / (total + 1), and high is
 * INFINITY while the reference's rate may be 0. False, and nothing written, if an arm is empty. */
bool effect_rate_ratio(struct effect_rate reference, struct effect_rate judged,
	const struct effect_level *level, struct effect *effect);

/* Counts on common bins, each bin stood for by one value. All arrays stay the caller's. */
struct effect_means {
	const uint64_t *reference, *judged;
	const double *values; /* finite */
	size_t bins;
};

/* (mean of judged - mean of reference) / sd of reference. The interval is a two-sided normal
 * mixture with the variances plugged in: asymptotic, good from some hundreds of observations on,
 * not exact like the others (mSPRT form of statistics.md 2.1). trials_tuned counts observations of
 * a balanced pair of arms. False, and nothing written, if an arm has fewer than two or the
 * reference is constant. */
bool effect_mean_shift(
	const struct effect_means *means, const struct effect_level *level, struct effect *effect);

/* The class whose share differs most (of equals the lower index): judged - reference, by its
 * confidence sequences at alpha / (2 classes) per arm, so that the choice costs nothing extra.
 * False, and nothing written, if an arm is empty. */
bool effect_largest_share(const uint64_t *reference, const uint64_t *judged, size_t classes,
	const struct effect_level *level, size_t *which, struct effect *effect);

#endif
