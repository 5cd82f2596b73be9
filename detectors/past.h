/* detectors/past.h: a role's own past as a histogram that learns late, so that a slow onset does not
 * teach what it is judged by; and how much more its shares vary than independent requests would.
 * THINKS. All zero is valid and empty. */
#ifndef DETECTORS_PAST_H
#define DETECTORS_PAST_H

#include "detectors/comparison.h"

enum { PAST_CUTS_MAX = 4 };

struct past {
	struct tally history; /* halved every quarter of an hour, if at least 2 048 observations stay:
				 it follows the day, and is never empty */
	int64_t halved_ms;
	struct tally young, old; /* enter it ten to twenty steps later, old first */
	uint64_t young_steps, batches;
	double spread[PAST_CUTS_MAX]; /* variance of a share over batches of ten steps, in units of the
					 binomial one: the design effect; 0 before the first batch */
	double limit[PAST_CUTS_MAX];  /* past_share_limit(), until the next batch; 0: not computed */
};

void past_done(struct past *past);
void past_write(const struct past *past, struct bytes *out);
void past_read(struct past *past, struct reader *in);

/* cut(history, i): observations from this bin on count for share i. */
typedef int32_t (*past_cut)(const struct tally *history, size_t i);
void past_learn(
	struct past *past, const struct tally *step, int64_t now_ms, size_t cuts, past_cut cut);

/* What has not entered the history yet is in doubt: it never does. */
void past_doubt(struct past *past);

/* At least 1. Log e of share i is divided by it: the mean of e^(1/d) is at most 1 where that of e is.
 */
double past_spread(const struct past *past, size_t i);

/* The upper 99.9 % confidence limit of share i of the history, by as many observations as its spread
 * leaves. share: the same for i while the history stays the same. */
double past_share_limit(struct past *past, size_t i, double share);

/* Whether there is enough of it to judge by: 1 000 observations in 30 steps. */
bool past_is_known(const struct past *past, const struct comparison *comparison);

#endif
