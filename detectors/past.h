/* detectors/past.h: a role's own past as a histogram that learns late, so that a slow onset does
 * not teach what it is judged by; and how much more its shares vary than independent requests
 * would. THINKS. All zero is valid and empty. */
#ifndef DETECTORS_PAST_H
#define DETECTORS_PAST_H

#include "detectors/comparison.h"

enum { PAST_CUTS_MAX = 4 };

struct past {
	struct tally history; /* halved every quarter of an hour, if at least 2 048 observations
				 stay: it follows the day, and is never empty */
	int64_t halved_ms;
	struct tally young, old; /* enter it ten to twenty steps later, old first */
	uint64_t young_steps, batches;
	double spread[PAST_CUTS_MAX]; /* variance of a share over batches of ten steps, in units of
					 the binomial one: the design effect; 0 before the first
					 batch */
	double limit[PAST_CUTS_MAX]; /* past_share_limit(), until the next batch; 0: not computed */
};

/* As rows of the table want them: own is a struct past. */
void past_done(void *own);
void past_write(const void *own, struct bytes *out);
void past_read(void *own, struct reader *in);
bool past_ready(const struct comparison *comparison, const struct terms *terms);
bool past_informed(const struct comparison *comparison);
bool past_enough(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample);
void past_forget(struct comparison *comparison);

/* The data of a sample against the history. */
struct sides past_sides(const struct comparison *comparison, const struct sample *sample);

/* cut(history, i): observations from this bin on count for share i. */
typedef int32_t (*past_cut)(const struct tally *history, size_t i);
void past_learn(
	struct past *past, const struct tally *step, int64_t now_ms, size_t cuts, past_cut cut);

/* What has not entered the history yet is in doubt: it never does. */
void past_doubt(struct past *past);

/* At least 1. Log e of share i is divided by it: the mean of e^(1/d) is at most 1 where that of e
 * is.
 */
double past_spread(const struct past *past, size_t i);

/* The upper 99.9 % confidence limit of share i of the history, by as many observations as its
 * spread leaves. share: the same for i while the history stays the same. */
double past_share_limit(struct past *past, size_t i, double share);

/* Whether there is enough of it to judge by: 1 000 observations in 30 steps. */
bool past_is_known(const struct past *past, const struct comparison *comparison);

#endif
