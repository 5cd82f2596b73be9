#include "detectors/measure.h"

#include "core/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool measure_is_beyond(const struct measure *measure)
{
	return measure->effect.value > measure->ceiling || measure->effect.value < measure->floor;
}

bool measure_is_surely_beyond(const struct measure *measure)
{
	return measure->effect.low > measure->ceiling || measure->effect.high < measure->floor;
}

bool measure_is_within(const struct measure *measure)
{
	return !measure_is_beyond(measure);
}

bool measure_is_surely_within(const struct measure *measure)
{
	return measure->effect.low >= measure->floor && measure->effect.high <= measure->ceiling;
}

/* How far towards, or beyond, the edge of what is tolerated: 1 is the edge. */
static double strain(const struct measure *measure)
{
	double up = measure->ceiling > 0 ? measure->effect.value / measure->ceiling : 0;
	double down = measure->floor > 0   ? measure->floor / fmax(measure->effect.value, 1e-12)
		      : measure->floor < 0 ? measure->effect.value / measure->floor
					   : 0;

	return fmax(up, down) + (measure_is_surely_beyond(measure) ? 1e6 : 0) +
	       (measure_is_beyond(measure) ? 1e3 : 0);
}

const struct measure *measure_worst(const struct measure *list, size_t count)
{
	const struct measure *worst = list;

	for (size_t i = 1; i < count; i++)
		if (strain(&list[i]) > strain(worst))
			worst = &list[i];
	return worst;
}

static const struct effect_level level = {.alpha = MEASURE_ALPHA, .trials_tuned = MEASURE_TUNED};

/* Both sides over one run of bins, for statistics that want arrays. */
struct arrays {
	size_t bins;
	uint64_t *reference, *arm;
	double *values; /* bins + 1: edges; or the middle of each bin */
};

static void arrays_done(struct arrays *arrays)
{
	free(arrays->reference);
	free(arrays->arm);
	free(arrays->values);
}

static struct arrays arrays_new(size_t bins)
{
	return (struct arrays){
		.bins = bins,
		.reference = memory_new(bins, sizeof(uint64_t)),
		.arm = memory_new(bins, sizeof(uint64_t)),
		.values = memory_new(bins + 1, sizeof(double)),
	};
}

/* All bins from the lowest to the highest of both, with their edges. Neither side is empty. */
static struct arrays edges_of(const struct sides *sides)
{
	const struct tally *arm = sides->arm;
	const struct tally *reference = sides->reference;
	int32_t low = arm->bins[0].bin < reference->bins[0].bin ? arm->bins[0].bin
								: reference->bins[0].bin;
	int32_t arm_high = arm->bins[arm->count - 1].bin;
	int32_t reference_high = reference->bins[reference->count - 1].bin;
	int32_t high = arm_high > reference_high ? arm_high : reference_high;
	struct arrays arrays = arrays_new((size_t)(high - low) + 1);

	for (size_t k = 0; k < arrays.bins; k++)
		layout_edges(
			sides->layout, low + (int32_t)k, &arrays.values[k], &arrays.values[k + 1]);
	for (size_t i = 0; i < arm->count; i++)
		arrays.arm[arm->bins[i].bin - low] = arm->bins[i].count;
	for (size_t i = 0; i < reference->count; i++)
		arrays.reference[reference->bins[i].bin - low] = reference->bins[i].count;
	return arrays;
}

static struct measure quantile_ratio(
	const struct arrays *arrays, const char *name, double p, double tolerance)
{
	struct binned reference = {arrays->reference, arrays->values, arrays->bins};
	struct binned arm = {arrays->arm, arrays->values, arrays->bins};
	struct quantile_level quantile = {
		.p = p, .alpha = MEASURE_ALPHA, .trials_tuned = MEASURE_TUNED};
	struct measure measure = {
		.name = name, .tolerance = tolerance, .floor = 0, .ceiling = tolerance};
	double of_arm = NAN;
	double of_reference = NAN;

	if (effect_quantile_ratio(&reference, &arm, &quantile, QUANTILE_GEOMETRIC, &measure.effect))
		return measure;
	quantile_value(&arm, p, QUANTILE_GEOMETRIC, &of_arm);
	quantile_value(&reference, p, QUANTILE_GEOMETRIC, &of_reference);
	measure.effect = (struct effect){of_arm / of_reference, NAN, NAN};
	return measure;
}

static size_t latency(
	const struct sides *sides, const struct tolerance *tolerate, struct measure *list)
{
	CLEANUP(arrays_done) struct arrays arrays = edges_of(sides);

	list[0] = quantile_ratio(&arrays, "p50 ratio", 0.5, tolerate->latency_p50);
	list[1] = quantile_ratio(&arrays, "p99 ratio", 0.99, tolerate->latency_p99);
	return 2;
}

/* A side without failures has no estimate of a ratio that would mean anything: an arm without any
 * is never worse. */
static size_t errors(
	const struct sides *sides, const struct tolerance *tolerate, struct measure *list)
{
	struct effect_rate arm = {tally_of(sides->arm, 1), sides->arm->n};
	struct effect_rate reference = {tally_of(sides->reference, 1), sides->reference->n};

	list[0] = (struct measure){.name = "failure ratio",
		.tolerance = tolerate->errors,
		.ceiling = tolerate->errors};
	if (!effect_rate_ratio(reference, arm, &level, &list[0].effect))
		return 0;
	if (arm.happened == 0) {
		list[0].effect.value = reference.happened ? 0 : 1;
		list[0].effect.low = 0;
		list[0].effect.high = fmax(list[0].effect.high, list[0].effect.value);
	}
	return 1;
}

/* The share of one kind on both sides: judged - reference. parts: among how many it was chosen. */
static bool share_difference(
	struct effect_rate reference, struct effect_rate arm, size_t parts, struct effect *effect)
{
	const uint64_t of_reference[] = {reference.happened, reference.total - reference.happened};
	const uint64_t of_arm[] = {arm.happened, arm.total - arm.happened};
	struct effect_level chosen = level;
	size_t which;

	chosen.alpha = MEASURE_ALPHA * 2 / (double)parts;
	if (!effect_largest_share(of_reference, of_arm, 2, &chosen, &which, effect))
		return false;
	if (which == 1)
		*effect = (struct effect){-effect->value, -effect->high, -effect->low};
	return true;
}

static uint64_t special_count(const struct tally *tally)
{
	return tally_from(tally, BIN_SPECIAL_MIN);
}

/* Numbers only: missing and non-finite scores are measured by their share. */
static struct arrays middles_of(const struct sides *sides)
{
	const struct tally *arm = sides->arm;
	const struct tally *reference = sides->reference;
	struct arrays arrays = arrays_new(arm->count + reference->count);
	size_t a = 0;
	size_t r = 0;

	arrays.bins = 0;
	while (a < arm->count || r < reference->count) {
		int32_t bin = a < arm->count ? arm->bins[a].bin : INT32_MAX;

		if (r < reference->count && reference->bins[r].bin < bin)
			bin = reference->bins[r].bin;
		if (bin >= BIN_SPECIAL_MIN)
			break;
		arrays.values[arrays.bins] = layout_middle(sides->layout, bin);
		if (a < arm->count && arm->bins[a].bin == bin)
			arrays.arm[arrays.bins] = arm->bins[a++].count;
		if (r < reference->count && reference->bins[r].bin == bin)
			arrays.reference[arrays.bins] = reference->bins[r++].count;
		arrays.bins++;
	}
	return arrays;
}

static size_t score(
	const struct sides *sides, const struct tolerance *tolerate, struct measure *list)
{
	CLEANUP(arrays_done) struct arrays arrays = middles_of(sides);
	struct effect_means means = {arrays.reference, arrays.arm, arrays.values, arrays.bins};
	struct effect_rate arm = {special_count(sides->arm), sides->arm->n};
	struct effect_rate reference = {special_count(sides->reference), sides->reference->n};
	size_t count = 0;

	list[0] = (struct measure){.name = "mean shift (sd)",
		.tolerance = tolerate->score_sd,
		.floor = -tolerate->score_sd,
		.ceiling = tolerate->score_sd};
	count += effect_mean_shift(&means, &level, &list[0].effect);
	list[count] = (struct measure){.name = "share without a number",
		.tolerance = tolerate->class_abs,
		.floor = -INFINITY,
		.ceiling = tolerate->class_abs};
	if (arm.happened + reference.happened > 0)
		count += share_difference(reference, arm, 1, &list[count].effect);
	return count;
}

static double share_of(const struct tally *tally, int32_t bin)
{
	return tally->n ? (double)tally_of(tally, bin) / (double)tally->n : 0;
}

static double class_tolerance(double share, const struct tolerance *tolerate)
{
	return fmax(tolerate->class_abs, tolerate->class_rel * share);
}

static double class_strain(const struct sides *sides, int32_t bin, const struct tolerance *tolerate)
{
	double share = share_of(sides->reference, bin);

	return fabs(share_of(sides->arm, bin) - share) /
	       fmax(class_tolerance(share, tolerate), 1e-12);
}

/* The class that differs most in proportion to what it is allowed. */
static int32_t strained_class(const struct sides *sides, const struct tolerance *tolerate)
{
	int32_t worst = 0;

	for (int32_t i = 1; i < (int32_t)sides->names->count; i++)
		if (class_strain(sides, i, tolerate) > class_strain(sides, worst, tolerate))
			worst = i;
	return worst;
}

static size_t class(
	const struct sides *sides, const struct tolerance *tolerate, struct measure *list)
{
	int32_t bin = strained_class(sides, tolerate);
	struct effect_rate arm = {tally_of(sides->arm, bin), sides->arm->n};
	struct effect_rate reference = {tally_of(sides->reference, bin), sides->reference->n};
	double tolerance = class_tolerance(share_of(sides->reference, bin), tolerate);

	list[0] = (struct measure){.name = "share difference",
		.tolerance = tolerance,
		.floor = -tolerance,
		.ceiling = tolerance};
	return share_difference(reference, arm, sides->names->count, &list[0].effect);
}

static void add_value(struct evidence *evidence, const char *name, double arm, double reference)
{
	if (evidence->value_count == FINDING_VALUES_MAX)
		return;
	struct view cut = {name, strlen(name)};
	size_t i = evidence->value_count++;

	/* Names of classes may be longer: cut between characters. */
	if (cut.size >= sizeof evidence->values[i].name) {
		cut.size = sizeof evidence->values[i].name - 1;
		while (cut.size && ((unsigned char)name[cut.size] & 0xc0) == 0x80)
			cut.size--;
	}
	view_copy(cut, evidence->values[i].name, sizeof evidence->values[i].name);
	evidence->values[i].arm = arm;
	evidence->values[i].reference = reference;
}

static void latency_values(const struct sides *sides, struct evidence *evidence)
{
	static const struct {
		const char *name;
		double p;
	} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}};
	CLEANUP(arrays_done) struct arrays arrays = edges_of(sides);
	struct binned arm = {arrays.arm, arrays.values, arrays.bins};
	struct binned reference = {arrays.reference, arrays.values, arrays.bins};

	for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
		double of_arm = NAN;
		double of_reference = NAN;

		quantile_value(&arm, quantiles[i].p, QUANTILE_GEOMETRIC, &of_arm);
		quantile_value(&reference, quantiles[i].p, QUANTILE_GEOMETRIC, &of_reference);
		add_value(evidence, quantiles[i].name, of_arm, of_reference);
	}
}

static void error_values(const struct sides *sides, struct evidence *evidence)
{
	add_value(evidence, "failure rate", share_of(sides->arm, 1), share_of(sides->reference, 1));
}

static double mean_of(const uint64_t *counts, const struct arrays *arrays)
{
	double n = 0;
	double sum = 0;

	for (size_t k = 0; k < arrays->bins; k++) {
		n += (double)counts[k];
		sum += (double)counts[k] * arrays->values[k];
	}
	return n > 0 ? sum / n : NAN;
}

static void score_values(const struct sides *sides, struct evidence *evidence)
{
	CLEANUP(arrays_done) struct arrays arrays = middles_of(sides);
	uint64_t arm = special_count(sides->arm);
	uint64_t reference = special_count(sides->reference);

	add_value(
		evidence, "mean", mean_of(arrays.arm, &arrays), mean_of(arrays.reference, &arrays));
	if (arm + reference > 0)
		add_value(evidence, "share without a number", (double)arm / (double)sides->arm->n,
			(double)reference / (double)sides->reference->n);
}

/* The classes whose shares differ most, the largest difference first. */
static void class_values(const struct sides *sides, struct evidence *evidence)
{
	enum { SHOWN = 4 };
	int32_t count = (int32_t)sides->names->count;
	bool *shown = memory_new((size_t)count, sizeof *shown);

	for (int32_t k = 0; k < SHOWN && k < count; k++) {
		int32_t best = -1;
		double most = -1;
		char name[NAME_SIZE + 16];

		for (int32_t i = 0; i < count; i++) {
			double difference =
				fabs(share_of(sides->arm, i) - share_of(sides->reference, i));

			if (!shown[i] && difference > most) {
				best = i;
				most = difference;
			}
		}
		shown[best] = true;
		snprintf(name, sizeof name, "share of %s", sides->names->list[best]);
		add_value(evidence, name, share_of(sides->arm, best),
			share_of(sides->reference, best));
	}
	free(shown);
}

static const struct {
	const char *signal;
	size_t (*measure)(
		const struct sides *sides, const struct tolerance *tolerate, struct measure *list);
	void (*values)(const struct sides *sides, struct evidence *evidence);
} signals[] = {
	{"latency", latency, latency_values},
	{"errors", errors, error_values},
	{"score", score, score_values},
	{"class", class, class_values},
};

size_t measure_signal(const char *signal, const struct sides *sides,
	const struct tolerance *tolerate, struct measure *list)
{
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (strcmp(signals[i].signal, signal) == 0 && sides->arm->n && sides->reference->n)
			return signals[i].measure(sides, tolerate, list);
	return 0;
}

void measure_values(const char *signal, const struct sides *sides, struct evidence *evidence)
{
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (strcmp(signals[i].signal, signal) == 0 && sides->arm->n && sides->reference->n)
			signals[i].values(sides, evidence);
}
