#include "detectors/past.h"

#include "core/stats/mixture.h"

#include <math.h>
#include <string.h>

enum {
	HALVED_MIN = 2048, /* observations that stay */
	HALF_LIFE_MS = 15 * 60 * 1000,
	BATCH_STEPS = 10,
	KNOWN_MIN = 1000,
	KNOWN_STEPS = 30,
	SPREAD_MEMORY = 64, /* batches */
	SPREAD_PRIOR = 8,   /* imagined batches of independent requests */
	ENOUGH_MIN = 100,
};

#define RESIDUAL_MAX 25.0 /* one bad batch must not blind the detector for long */
#define LIMIT_ALPHA 0.001

void past_done(void *own)
{
	struct past *past = own;

	tally_done(&past->history);
	tally_done(&past->young);
	tally_done(&past->old);
}

void past_write(const void *own, struct bytes *out)
{
	const struct past *past = own;

	tally_write(&past->history, out);
	tally_write(&past->young, out);
	tally_write(&past->old, out);
	bytes_zigzag(out, past->halved_ms);
	bytes_varint(out, past->young_steps);
	bytes_varint(out, past->batches);
	for (size_t i = 0; i < PAST_CUTS_MAX; i++)
		bytes_double(out, past->spread[i]);
}

void past_read(void *own, struct reader *in)
{
	struct past *past = own;

	tally_read(&past->history, in);
	tally_read(&past->young, in);
	tally_read(&past->old, in);
	past->halved_ms = reader_zigzag(in);
	past->young_steps = reader_varint(in);
	past->batches = reader_varint(in);
	for (size_t i = 0; i < PAST_CUTS_MAX; i++)
		past->spread[i] = reader_double(in);
}

/* The squared distance of a batch's share from the history's, in units of its binomial variance. */
static void learn_spread(struct past *past, size_t i, int32_t bin)
{
	double n = (double)past->old.n;
	double share = (double)tally_from(&past->history, bin) / (double)past->history.n;
	double variance = n * share * (1 - share);
	double distance = (double)tally_from(&past->old, bin) - n * share;
	double weight = (double)(past->batches < SPREAD_MEMORY ? past->batches + SPREAD_PRIOR
							       : SPREAD_MEMORY);

	if (!(past->spread[i] > 0))
		past->spread[i] = 1;
	if (variance > 0)
		past->spread[i] +=
			(fmin(distance * distance / variance, RESIDUAL_MAX) - past->spread[i]) /
			weight;
}

static void forget_half(struct past *past, int64_t now_ms)
{
	if (past->history.n < 2 * HALVED_MIN || now_ms - past->halved_ms < HALF_LIFE_MS)
		return;
	tally_halve(&past->history);
	past->halved_ms = now_ms;
}

static void batch_enters(struct past *past, int64_t now_ms, size_t cuts, past_cut cut)
{
	if (past->history.n >= KNOWN_MIN) {
		past->batches++;
		for (size_t i = 0; i < cuts; i++)
			learn_spread(past, i, cut(&past->history, i));
	}
	tally_merge(&past->history, &past->old);
	forget_half(past, now_ms);
	tally_move(&past->old, &past->young);
	past->young_steps = 0;
	memset(past->limit, 0, sizeof past->limit);
}

void past_learn(
	struct past *past, const struct tally *step, int64_t now_ms, size_t cuts, past_cut cut)
{
	tally_merge(&past->young, step);
	if (++past->young_steps == BATCH_STEPS)
		batch_enters(past, now_ms, cuts, cut);
}

void past_doubt(struct past *past)
{
	tally_done(&past->young);
	tally_done(&past->old);
	past->young_steps = 0;
}

double past_spread(const struct past *past, size_t i)
{
	return fmax(past->spread[i], 1);
}

double past_share_limit(struct past *past, size_t i, double share)
{
	double n = floor((double)past->history.n / past_spread(past, i));
	double low;

	if (!(past->limit[i] > 0) && !mixture_bernoulli_interval((uint64_t)round(share * n),
					     (uint64_t)n, LIMIT_ALPHA, n, &low, &past->limit[i]))
		past->limit[i] = 1;
	return past->limit[i];
}

bool past_is_known(const struct past *past, const struct comparison *comparison)
{
	return past->history.n >= KNOWN_MIN && comparison->steps >= KNOWN_STEPS;
}

bool past_ready(const struct comparison *comparison, const struct terms *terms)
{
	return comparison_has_min(comparison, terms, false);
}

bool past_informed(const struct comparison *comparison)
{
	return past_is_known(comparison->own, comparison);
}

bool past_enough(
	const struct comparison *comparison, const struct terms *terms, const struct sample *sample)
{
	(void)comparison;
	(void)terms;
	return sample->arm.n >= ENOUGH_MIN;
}

void past_forget(struct comparison *comparison)
{
	past_done(comparison->own);
	*(struct past *)comparison->own = (struct past){0};
}

struct sides past_sides(const struct comparison *comparison, const struct sample *sample)
{
	const struct past *past = comparison->own;

	return (struct sides){.layout = comparison->layout,
		.names = &comparison->names,
		.arm = &sample->arm,
		.reference = &past->history};
}
