/* detectors/bernoulli.c: failures of a role against its own past: bets that the rate lies above the
 * upper 99.9 % confidence limit of the past's rate times what is tolerated. Only more is bad.
 * THINKS. Source: statistics.md 2.4, 11. */
#include "core/stats/counts.h"
#include "detectors/past.h"
#include "detectors/table.h"
#include "detectors/words.h"

#include <math.h>

enum { BETS = COUNTS_BERNOULLI_FACTORS, FAILED = 1 };

#define RATE_MAX                                                                                   \
	0.5 /* a model that fails more often than this, times tolerance, is not judged by it */

static int32_t failed(const struct tally *history, size_t i)
{
	(void)history;
	(void)i;
	return FAILED;
}

/* The rate that is not yet worse than history allows. */
static double rate_limit(struct past *past, const struct terms *terms)
{
	double n = (double)past->history.n;
	double rate = (double)tally_of(&past->history, FAILED) / n;
	double limit = past_share_limit(past, 0, rate) * terms->model->tolerate.errors;

	return fmin(fmax(limit, 0.5 / n), RATE_MAX);
}

static void bet(struct comparison *comparison, const struct terms *terms)
{
	struct past *past = comparison->own;
	double limit = rate_limit(past, terms);
	double shares[BETS];
	double log_e[BETS];

	counts_bernoulli_grid(limit, true, shares);
	counts_bernoulli_log_e(
		limit, shares, tally_of(&comparison->arm, FAILED), comparison->arm.n, log_e);
	for (size_t j = 0; j < BETS; j++)
		log_e[j] /= past_spread(past, 0);
	comparison_bet(comparison, BETS);
	sr_step(comparison->members, BETS, log_e, comparison->waiting_from_ms);
}

static void bernoulli_step(struct comparison *comparison, const struct terms *terms)
{
	struct past *past = comparison->own;

	if (past_is_known(past, comparison))
		bet(comparison, terms);
	if (comparison->verdict == VERDICT_OK || comparison->verdict == VERDICT_NO_DATA)
		past_learn(past, &comparison->arm, terms->to_ms, 1, failed);
	else if (comparison->verdict == VERDICT_ALARM)
		past_doubt(past);
	comparison->n_reference = past->history.n;
}

static size_t bernoulli_measure(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct measure *list)
{
	struct sides sides = past_sides(comparison, sample);

	return measure_signal("errors", &sides, &terms->model->tolerate, list);
}

static void bernoulli_tell(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct evidence *evidence)
{
	struct sides sides = past_sides(comparison, sample);
	struct past *past = comparison->own;
	size_t order[WORDS_STRONGEST];

	evidence->n_reference = sides.reference->n;
	measure_values("errors", &sides, evidence);
	if (!past->history.n || !words_strongest(comparison, order))
		return;
	double limit = rate_limit(past, terms);
	double shares[BETS];

	counts_bernoulli_grid(limit, true, shares);
	words_add(evidence, comparison->members[order[0]].log_r,
		"failure rate %.3g, where history allows %.3g", shares[order[0]], limit);
}

const struct detector bernoulli_errors = {
	.name = "bernoulli",
	.signal = "errors",
	.rival = RIVAL_HISTORY,
	.own_size = sizeof(struct past),
	.own_done = past_done,
	.own_write = past_write,
	.own_read = past_read,
	.ready = past_ready,
	.step = bernoulli_step,
	.informed = past_informed,
	.enough = past_enough,
	.measure = bernoulli_measure,
	.tell = bernoulli_tell,
};
