/* detectors/cuts.c: latency of a role against its own past: how many requests lie above four cuts,
 * which are quantiles of the past times what is tolerated. Only slower is bad.
 * THINKS. Source: statistics.md 11 (live against reference), 2.4 (Bernoulli Shiryaev-Roberts).
 *
 * Cut i is the first bin edge at or above tolerance x quantile p: within tolerance at most 1 - p of
 * the requests lie above it, or what the past's own uncertainty leaves of that. */
#include "core/memory.h"
#include "core/stats/counts.h"
#include "core/stats/quantile.h"
#include "detectors/past.h"
#include "detectors/table.h"
#include "detectors/words.h"

#include <math.h>
#include <stdlib.h>

enum { CUTS = 4, BETS = CUTS * COUNTS_BERNOULLI_FACTORS, DAY_MS = 86400000 };

static const double quantiles[CUTS] = {0.5, 0.9, 0.95, 0.99};
static const char *const quantile_words[CUTS] = {
	"median", "90th percentile", "95th percentile", "99th percentile"};

/* The quantile of a tally of latencies; 0 if it is empty. */
static double latency_quantile(const struct tally *tally, double p)
{
	double rank = p * (double)tally->n;
	double before = 0;

	for (size_t i = 0; i < tally->count; i++) {
		const struct bin *bin = &tally->bins[i];
		double edges[2];
		double value = 0;

		before += (double)bin->count;
		if (before < rank)
			continue;
		layout_edges(LAYOUT_LATENCY, bin->bin, &edges[0], &edges[1]);
		double inside = 1 - (before - rank) / (double)bin->count;
		struct binned one = {.counts = &bin->count, .edges = edges, .bins = 1};

		quantile_value(&one, fmax(inside, 0), QUANTILE_GEOMETRIC, &value);
		return value;
	}
	return 0;
}

static int32_t bin_from(double value)
{
	int32_t bin = layout_bin(LAYOUT_LATENCY, value);
	double low, high;

	layout_edges(LAYOUT_LATENCY, bin, &low, &high);
	return low < value ? bin + 1 : bin;
}

static int32_t untolerated_cut(const struct tally *history, size_t i)
{
	return bin_from(latency_quantile(history, quantiles[i]));
}

static double tolerance_of(const struct terms *terms, size_t i)
{
	return i ? terms->model->tolerate.latency_p99 : terms->model->tolerate.latency_p50;
}

static void bet(struct comparison *comparison, const struct terms *terms)
{
	struct past *past = comparison->own;
	double log_e[BETS];

	for (size_t i = 0; i < CUTS; i++) {
		double *of_cut = log_e + i * COUNTS_BERNOULLI_FACTORS;
		double shares[COUNTS_BERNOULLI_FACTORS];
		double cut =
			tolerance_of(terms, i) * latency_quantile(&past->history, quantiles[i]);
		double limit = past_share_limit(past, i, 1 - quantiles[i]);

		counts_bernoulli_grid(limit, true, shares);
		counts_bernoulli_log_e(limit, shares, tally_from(&comparison->arm, bin_from(cut)),
			comparison->arm.n, of_cut);
		for (size_t j = 0; j < COUNTS_BERNOULLI_FACTORS; j++)
			of_cut[j] /= past_spread(past, i);
	}
	comparison_bet(comparison, BETS);
	sr_step(comparison->members, BETS, log_e, comparison->waiting_from_ms);
}

static void cuts_step(struct comparison *comparison, const struct terms *terms)
{
	struct past *past = comparison->own;

	if (past_is_known(past, comparison))
		bet(comparison, terms);
	if (comparison->verdict == VERDICT_OK || comparison->verdict == VERDICT_NO_DATA)
		past_learn(past, &comparison->arm, terms->to_ms, CUTS, untolerated_cut);
	else if (comparison->verdict == VERDICT_ALARM)
		past_doubt(past);
	comparison->n_reference = past->history.n;
}

static size_t cuts_measure(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct measure *list)
{
	struct sides sides = past_sides(comparison, sample);

	return measure_signal("latency", &sides, &terms->model->tolerate, list);
}

static void cuts_tell(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct evidence *evidence)
{
	struct sides sides = past_sides(comparison, sample);
	size_t order[WORDS_STRONGEST];
	size_t count = words_strongest(comparison, order);
	bool said[CUTS] = {false};

	evidence->n_reference = sides.reference->n;
	measure_values("latency", &sides, evidence);
	for (size_t i = 0; i < count; i++) {
		size_t cut = order[i] / COUNTS_BERNOULLI_FACTORS;

		if (!said[cut])
			words_add(evidence, comparison->members[order[i]].log_r,
				"latency more often above %g x the %s of history",
				tolerance_of(terms, cut), quantile_words[cut]);
		said[cut] = true;
	}
}

const struct detector cuts_latency = {
	.name = "cuts",
	.signal = "latency",
	.rival = RIVAL_HISTORY,
	.alarm_ms_max = DAY_MS,
	.own_size = sizeof(struct past),
	.own_done = past_done,
	.own_write = past_write,
	.own_read = past_read,
	.ready = past_ready,
	.step = cuts_step,
	.informed = past_informed,
	.enough = past_enough,
	.measure = cuts_measure,
	.tell = cuts_tell,
	.forget = past_forget,
};
