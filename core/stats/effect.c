/* core/stats/effect.c: see effect.h. */
#include "core/stats/effect.h"

#include <math.h>

#include "core/stats/binned.h"
#include "core/stats/mixture.h"

/* Interpolation and rounding keep value inside its interval in exact arithmetic only. */
static struct effect effect_around(double value, double low, double high)
{
	return (struct effect){.value = value, .low = fmin(low, value), .high = fmax(high, value)};
}

bool effect_quantile_ratio(const struct binned *reference, const struct binned *judged,
	const struct quantile_level *level, enum quantile_inside inside, struct effect *effect)
{
	double low, high, value_reference, value_judged;

	if (!quantile_ratio_interval(reference, judged, level, &low, &high) ||
		!quantile_value(reference, level->p, inside, &value_reference) ||
		!quantile_value(judged, level->p, inside, &value_judged))
		return false;
	*effect = effect_around(value_judged / value_reference, low, high);
	return true;
}

static bool rate_interval(
	struct effect_rate rate, double alpha, double trials_tuned, double *low, double *high)
{
	return mixture_bernoulli_interval(
		rate.happened, rate.total, alpha, trials_tuned, low, high);
}

static double rate_value(struct effect_rate rate, bool smooth)
{
	double more = smooth ? 0.5 : 0;

	return ((double)rate.happened + more) / ((double)rate.total + 2 * more);
}

bool effect_rate_ratio(struct effect_rate reference, struct effect_rate judged,
	const struct effect_level *level, struct effect *effect)
{
	double alpha = level->alpha / 2;
	bool smooth = reference.happened == 0 || judged.happened == 0;
	double reference_low, reference_high, judged_low, judged_high;

	if (!rate_interval(
		    reference, alpha, level->trials_tuned, &reference_low, &reference_high) ||
		!rate_interval(judged, alpha, level->trials_tuned, &judged_low, &judged_high))
		return false;
	*effect = effect_around(rate_value(judged, smooth) / rate_value(reference, smooth),
		judged_low / reference_high,
		reference_low > 0 ? judged_high / reference_low : INFINITY);
	return true;
}

struct moments {
	double count, mean, variance;
};

/* Two passes: the sum of squares about the mean loses nothing to a large offset. */
static struct moments moments_of(const uint64_t *counts, const double *values, size_t bins)
{
	struct moments moments = {0};
	double squares = 0;

	for (size_t k = 0; k < bins; k++) {
		moments.count += (double)counts[k];
		moments.mean += (double)counts[k] * values[k];
	}
	moments.mean /= moments.count;
	for (size_t k = 0; k < bins; k++)
		squares +=
			(double)counts[k] * (values[k] - moments.mean) * (values[k] - moments.mean);
	moments.variance = squares / (moments.count - 1);
	return moments;
}

bool effect_mean_shift(
	const struct effect_means *means, const struct effect_level *level, struct effect *effect)
{
	if (binned_total(means->reference, means->bins) < 2 ||
		binned_total(means->judged, means->bins) < 2)
		return false;

	struct moments reference = moments_of(means->reference, means->values, means->bins);
	struct moments judged = moments_of(means->judged, means->values, means->bins);

	if (!(reference.variance > 0))
		return false;

	/* The difference d has variance 1 / V on the scale of the reference's sd; S = d V. */
	double v = reference.variance /
		   (reference.variance / reference.count + judged.variance / judged.count);
	struct mixture mixture = {.kind = MIXTURE_NORMAL_TWO,
		.rho = mixture_rho_two(level->trials_tuned / 2, level->alpha)};
	double radius = mixture_bound(&mixture, v, level->alpha) / v;
	double shift = (judged.mean - reference.mean) / sqrt(reference.variance);

	*effect = effect_around(shift, shift - radius, shift + radius);
	return true;
}

/* Index of the largest absolute difference of shares, the lowest one of equals. */
static size_t largest_difference(const uint64_t *reference, const uint64_t *judged, size_t classes,
	double n, double m, double *difference)
{
	size_t largest = 0;

	*difference = 0;
	for (size_t i = 0; i < classes; i++) {
		double d = (double)judged[i] / m - (double)reference[i] / n;

		if (fabs(d) > fabs(*difference)) {
			*difference = d;
			largest = i;
		}
	}
	return largest;
}

bool effect_largest_share(const uint64_t *reference, const uint64_t *judged, size_t classes,
	const struct effect_level *level, size_t *which, struct effect *effect)
{
	struct effect_rate a = {.total = binned_total(reference, classes)};
	struct effect_rate b = {.total = binned_total(judged, classes)};
	double alpha = level->alpha / (2 * (double)classes);
	double value, a_low, a_high, b_low, b_high;

	if (a.total == 0 || b.total == 0)
		return false;

	size_t largest = largest_difference(
		reference, judged, classes, (double)a.total, (double)b.total, &value);

	a.happened = reference[largest];
	b.happened = judged[largest];
	if (!rate_interval(a, alpha, level->trials_tuned, &a_low, &a_high) ||
		!rate_interval(b, alpha, level->trials_tuned, &b_low, &b_high))
		return false;
	*which = largest;
	*effect = effect_around(value, b_low - a_high, b_high - a_low);
	return true;
}
