/* detectors/measure.h: how large is the difference of two sides of a signal, against what is
 * tolerated; and the values that people compare.
 * THINKS. Intervals are those of core/stats/effect.h at MEASURE_ALPHA: they hold at all times. */
#ifndef DETECTORS_MEASURE_H
#define DETECTORS_MEASURE_H

#include "core/config.h"
#include "core/finding.h"
#include "core/stats/effect.h"
#include "detectors/spans.h"

#define MEASURE_ALPHA 0.01
#define MEASURE_TUNED 1000.0 /* observations around which intervals are tightest */

enum { MEASURES_MAX = 2 };

struct measure {
	const char *name;
	struct effect effect;  /* low, high NaN: cannot be said yet */
	double tolerance;      /* as the configuration says it */
	double floor, ceiling; /* what is tolerated: floor <= effect <= ceiling */
};

bool measure_is_beyond(const struct measure *measure);        /* the estimate is */
bool measure_is_surely_beyond(const struct measure *measure); /* the whole interval is */
bool measure_is_within(const struct measure *measure);
bool measure_is_surely_within(const struct measure *measure);

/* The one to report of count >= 1: surely beyond first, then beyond, then by effect / tolerance. */
const struct measure *measure_worst(const struct measure *list, size_t count);

/* What a signal's numbers look like. */
struct sides {
	enum layout layout;
	const struct names *names;
	const struct tally *arm, *reference;
};

/* Effects of a signal (latency, errors, score, class): how many were written to list[MEASURES_MAX];
 * 0 if nothing can be said, or another signal. */
size_t measure_signal(const char *signal, const struct sides *sides,
	const struct tolerance *tolerate, struct measure *list);

/* Adds the values of both sides to the evidence. */
void measure_values(const char *signal, const struct sides *sides, struct evidence *evidence);

#endif
