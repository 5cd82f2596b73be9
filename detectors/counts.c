/* detectors/counts.c: requests per tick of a role against what they were lately: negative binomial,
 * level by EWMA, both directions.
 * THINKS. Source: statistics.md 5; core/stats/counts.h.
 *
 * Where little is expected per tick, ticks are taken together until 20 are expected; and the
 * tolerance is as wide as it must be for a level that follows the day with five minutes' delay to
 * be known (the slower one that the configured tolerance would need fires at every morning). A tick
 * without a window is no update: silence.c sees that. The reference of a span holds what was
 * expected, in thousandths of a request. */
#include "core/stats/counts.h"
#include "core/stats/mixture.h"
#include "detectors/table.h"
#include "detectors/words.h"

#include <math.h>
#include <stdio.h>

enum {
	WARM_UP_TICKS = 60,
	HOUR_MS = 3600000,
	TICKS_MAX = 1000, /* taken together */
};

#define LEVEL_MIN 5.0     /* per tick: with fewer, ticks without any would go unseen */
#define EXPECTED_MIN 20.0 /* per step */
#define THOUSANDTHS 1000.0
#define LEVEL_S 300.0
#define TUNED 1000.0 /* requests around which the interval is tightest */

struct counts {
	struct counts_rate rate; /* its seasons are ticks: the level is requests per tick */
	uint64_t ticks;
};

static void counts_write(const void *own, struct bytes *out)
{
	const struct counts *counts = own;

	rate_write(&counts->rate, out);
	bytes_varint(out, counts->ticks);
}

static void counts_read(void *own, struct reader *in)
{
	struct counts *counts = own;

	rate_read(&counts->rate, in);
	counts->ticks = reader_varint(in);
}

static bool is_known(const struct counts *counts)
{
	return counts->ticks >= WARM_UP_TICKS && counts->rate.level >= LEVEL_MIN;
}

/* The level is an EWMA of relative variance phi / (2 x requests in LEVEL_S); its sd is to be a
 * third of the tolerance, as counts.h wants it. */
static double tolerance_of(const struct counts *counts, const struct terms *terms)
{
	double tolerance = terms->model->tolerate.rate - 1;
	double per_s = counts->rate.level * 1000 / (double)terms->model->tick_ms;
	double phi = counts_rate_phi(&counts->rate);

	return per_s > 0 ? fmax(tolerance, 3 * sqrt(phi / (2 * LEVEL_S * per_s))) : tolerance;
}

static bool counts_ready(const struct comparison *comparison, const struct terms *terms)
{
	const struct counts *counts = comparison->own;

	(void)terms;
	return !is_known(counts) || comparison->waiting_ticks >= TICKS_MAX ||
	       counts->rate.level * (double)comparison->waiting_ticks >= EXPECTED_MIN;
}

static void counts_step(struct comparison *comparison, const struct terms *terms)
{
	struct counts *counts = comparison->own;
	double ticks = (double)comparison->waiting_ticks;
	struct counts_rate_options options = {
		.tick_s = ticks * (double)terms->model->tick_ms / 1000,
		.tolerance = tolerance_of(counts, terms)};
	double log_e[COUNTS_RATE_FACTORS] = {0};
	double expected = counts->rate.level * ticks;

	if (is_known(counts) &&
		counts_rate_judge(&counts->rate, &options, comparison->arm.n, ticks, log_e)) {
		comparison_bet(comparison, COUNTS_RATE_FACTORS);
		sr_step(comparison->members, COUNTS_RATE_FACTORS, log_e,
			comparison->waiting_from_ms);
	}
	comparison->n_reference += (uint64_t)llround(expected);
	tally_add(&comparison->reference, 0, (uint64_t)llround(expected * THOUSANDTHS));
	if (comparison->verdict != VERDICT_ALARM)
		counts_rate_learn(&counts->rate, &options, comparison->arm.n, ticks);
	counts->ticks += comparison->waiting_ticks;
}

/* Once it bets, it knows the level. */
static bool counts_informed(const struct comparison *comparison)
{
	return comparison->member_count > 0 && is_known(comparison->own);
}

static double expected_of(const struct sample *sample)
{
	return (double)sample->reference.n / THOUSANDTHS;
}

/* The sd of the ratio is at most half the tolerance. */
static bool counts_enough(
	const struct comparison *comparison, const struct terms *terms, const struct sample *sample)
{
	const struct counts *counts = comparison->own;
	double half = fmax(tolerance_of(counts, terms), 0.01) / 2;

	return expected_of(sample) * half * half >= counts_rate_phi(&counts->rate);
}

/* Sums of counts are taken as normal with variance phi x expected: asymptotic. */
static size_t counts_measure(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct measure *list)
{
	const struct counts *counts = comparison->own;
	double expected = expected_of(sample);
	double phi = counts_rate_phi(&counts->rate);
	double tolerance = tolerance_of(counts, terms);
	double ratio = (double)sample->arm.n / expected;
	struct mixture normal = {
		.kind = MIXTURE_NORMAL_TWO, .rho = mixture_rho_two(phi * TUNED, MEASURE_ALPHA)};
	double radius = mixture_bound(&normal, phi * expected, MEASURE_ALPHA) / expected;

	if (!(expected > 0))
		return 0;
	list[0] = (struct measure){
		.name = "rate ratio",
		.effect = {ratio, fmax(ratio - radius, 0), ratio + radius},
		.tolerance = 1 + tolerance,
		.floor = 1 - tolerance,
		.ceiling = 1 + tolerance,
	};
	return 1;
}

static void counts_tell(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct evidence *evidence)
{
	const struct counts *counts = comparison->own;
	size_t order[WORDS_STRONGEST];
	size_t count = words_strongest(comparison, order);
	double expected = expected_of(sample);
	double ticks = (double)(sample->to_ms - sample->from_ms) / (double)terms->model->tick_ms;

	evidence->n_reference = (uint64_t)llround(expected);
	evidence->value_count = 1;
	snprintf(evidence->values[0].name, sizeof evidence->values[0].name, "per tick");
	evidence->values[0].arm = ticks > 0 ? (double)sample->arm.n / ticks : NAN;
	evidence->values[0].reference = counts->rate.level;
	for (size_t i = 0; i < count; i++)
		words_add(evidence, comparison->members[order[i]].log_r, "rate x%g",
			counts_rate_factor(order[i]));
}

static void counts_forget(struct comparison *comparison)
{
	*(struct counts *)comparison->own = (struct counts){0};
}

const struct detector counts_rate_detector = {
	.name = "counts",
	.signal = "rate",
	.rival = RIVAL_HISTORY,
	.alarm_ms_max = HOUR_MS,
	.own_size = sizeof(struct counts),
	.own_write = counts_write,
	.own_read = counts_read,
	.ready = counts_ready,
	.step = counts_step,
	.informed = counts_informed,
	.enough = counts_enough,
	.measure = counts_measure,
	.tell = counts_tell,
	.forget = counts_forget,
};
