/* core/stats/quantile.c: see quantile.h. */
#include "core/stats/quantile.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "core/stats/mixture.h"

static double inside_bin(double low, double high, double part, enum quantile_inside inside)
{
	if (isinf(low))
		return high;
	if (isinf(high))
		return low;
	if (inside == QUANTILE_GEOMETRIC && low > 0)
		return low * pow(high / low, part);
	return low + (high - low) * part;
}

bool quantile_value(
	const struct binned *sample, double p, enum quantile_inside inside, double *value)
{
	double rank = p * (double)binned_total(sample->counts, sample->bins);
	double before = 0;

	for (size_t k = 0; k < sample->bins; k++) {
		double count = (double)sample->counts[k];

		if (count > 0 && before + count >= rank) {
			double part = fmin(fmax((rank - before) / count, 0), 1);

			*value = inside_bin(sample->edges[k], sample->edges[k + 1], part, inside);
			return true;
		}
		before += count;
	}
	return false;
}

/* Is p excluded as the share of `count` of n? */
struct quantile_test {
	struct mixture mixture;
	double p, n, line;
};

static struct quantile_test quantile_test(const struct quantile_level *level, uint64_t total)
{
	double spread = level->p * (1 - level->p);

	return (struct quantile_test){
		.mixture = {.kind = MIXTURE_BETA_BINOMIAL_TWO,
			.rho = mixture_rho_two(spread * level->trials_tuned, level->alpha),
			.g = level->p,
			.h = 1 - level->p},
		.p = level->p,
		.n = (double)total,
		.line = log(1 / level->alpha),
	};
}

static bool excluded(const struct quantile_test *test, uint64_t count)
{
	double v = test->p * (1 - test->p) * test->n;

	return mixture_log(&test->mixture, (double)count - test->p * test->n, v) >= test->line;
}

/* The excluded count nearest to the included count `in`, given that `out` is excluded. */
static uint64_t nearest_excluded(const struct quantile_test *test, uint64_t in, uint64_t out)
{
	while (out > in + 1 || in > out + 1) {
		uint64_t middle = in < out ? in + (out - in) / 2 : out + (in - out) / 2;

		if (excluded(test, middle))
			out = middle;
		else
			in = middle;
	}
	return out;
}

/* The bin of the rank-th smallest observation, 1 <= rank <= total. */
static size_t bin_of_rank(const struct binned *sample, uint64_t rank)
{
	uint64_t up_to = 0;
	size_t k = 0;

	for (; k + 1 < sample->bins; k++) {
		up_to += sample->counts[k];
		if (up_to >= rank)
			break;
	}
	return k;
}

/* Let c be the number of observations that would fall on the quantile's side with chance exactly p.
 * #(x < quantile) <= c <= #(x <= quantile), and with probability 1 - alpha c lies strictly between
 * the excluded counts below and above. So the quantile lies between the observations of rank
 * below + 1 and above. */
bool quantile_interval(
	const struct binned *sample, const struct quantile_level *level, double *low, double *high)
{
	uint64_t total = binned_total(sample->counts, sample->bins);
	struct quantile_test test = quantile_test(level, total);
	uint64_t expected = (uint64_t)(level->p * (double)total);

	if (total == 0 || !excluded(&test, 0) || !excluded(&test, total) ||
		excluded(&test, expected))
		return false;

	uint64_t below = nearest_excluded(&test, expected, 0);
	uint64_t above = nearest_excluded(&test, expected, total);

	*low = sample->edges[bin_of_rank(sample, below + 1)];
	*high = sample->edges[bin_of_rank(sample, above) + 1];
	return true;
}

static bool positive_interval(
	const struct binned *sample, const struct quantile_level *level, double *low, double *high)
{
	return quantile_interval(sample, level, low, high) && *low > 0 && isfinite(*high);
}

bool quantile_ratio_interval(const struct binned *reference, const struct binned *judged,
	const struct quantile_level *level, double *low, double *high)
{
	struct quantile_level half = *level;
	double reference_low, reference_high, judged_low, judged_high;

	half.alpha /= 2;
	if (!positive_interval(reference, &half, &reference_low, &reference_high) ||
		!positive_interval(judged, &half, &judged_low, &judged_high))
		return false;
	*low = judged_low / reference_high;
	*high = judged_high / reference_low;
	return true;
}
