/* core/layout.h: which bin a value falls into, and where bins begin and end. Versioned: a layout
 * never changes; a better one is a new number. Merging any split of the data gives identical
 * counts. THINKS. */
#ifndef CORE_LAYOUT_H
#define CORE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a bin is, by layout:
 * COUNT        none: n (and sum) only: rate, late.
 * RESULT       0 "ok", 1 "failed": errors.
 * LATENCY      base-2 exponential, 16 bins per octave: bin k is [2^(k/16), 2^((k+1)/16)), edges the
 *              doubles nearest to 2^(k/16); k from LATENCY_BIN_MIN (which begins at 0) to
 *              LATENCY_BIN_MAX (which has no end).
 * PROBABILITY  128 bins of [0,1]: [0, 1e-4), 14 geometric ones to 0.01, 98 of width 0.01, and the
 *              mirror of the first 15; the last one includes 1.
 * REAL         signed log-linear: 0 is |x| < 2^-20; else sign, exponent and 16 linear parts of the
 *              octave: +-(1 + 16 (e + 20) + part), e from -20 to 40.
 * NAMES        by name: class. */
enum layout {
	LAYOUT_COUNT = 1,
	LAYOUT_RESULT = 2,
	LAYOUT_LATENCY = 3,
	LAYOUT_PROBABILITY = 4,
	LAYOUT_REAL = 5,
	LAYOUT_NAMES = 6,
};

enum {
	LATENCY_BIN_MIN = -160, /* below 2^-10 ms */
	LATENCY_BIN_MAX = 640,  /* 2^40 ms */
	PROBABILITY_BINS = 128,
	BIN_NAN = INT32_MAX, /* bins of their own, in PROBABILITY and REAL */
	BIN_INFINITE = INT32_MAX - 1,
	BIN_MINUS_INFINITE = INT32_MAX - 2,
	BIN_MISSING = INT32_MAX - 3,
	BIN_SPECIAL_MIN = BIN_MISSING,
};

/* All bins are closed below, also those of negative numbers: -1 lies in [-1, -0.96875), and -2^-20
 * in bin 0. value: finite and in the range of the layout (latency >= 0, probability in [0,1],
 * |real| <= 1e12); for PROBABILITY and REAL also NaN and infinities. */
int32_t layout_bin(enum layout layout, double value);

/* Where a numeric bin begins and ends: low <= x < high (the last one of PROBABILITY: <= 1); high
 * may be INFINITY. */
void layout_edges(enum layout layout, int32_t bin, double *low, double *high);

/* A value that stands for the bin in means: the geometric middle for latency, else the arithmetic
 * one. */
double layout_middle(enum layout layout, int32_t bin);

/* "NaN", "Infinity", "-Infinity", "missing"; "ok", "failed"; NULL for a numeric bin. */
const char *layout_bin_name(enum layout layout, int32_t bin);

#endif
