#include "core/layout.h"

#include <math.h>

/* The doubles nearest to 2^(j/16), j = 0 to 15 (computed with 60 digits). Another octave is an
 * exact scaling by a power of two, so all edges are the doubles nearest to 2^(k/16). */
static const double octave_edges[16] = {
	0x1.0000000000000p+0,
	0x1.0b5586cf9890fp+0,
	0x1.172b83c7d517bp+0,
	0x1.2387a6e756238p+0,
	0x1.306fe0a31b715p+0,
	0x1.3dea64c123422p+0,
	0x1.4bfdad5362a27p+0,
	0x1.5ab07dd485429p+0,
	0x1.6a09e667f3bcdp+0,
	0x1.7a11473eb0187p+0,
	0x1.8ace5422aa0dbp+0,
	0x1.9c49182a3f090p+0,
	0x1.ae89f995ad3adp+0,
	0x1.c199bdd85529cp+0,
	0x1.d5818dcfba487p+0,
	0x1.ea4afa2a490dap+0,
};

/* 0, then the doubles nearest to 1e-4 * 100^(j/14), j = 0 to 14. Those nearest to one minus them
 * are 1.0 - edge, checked with 60 digits as well. */
static const double fine_edges[16] = {
	0,
	0x1.a36e2eb1c432dp-14,
	0x1.2365f8a8fa5e8p-13,
	0x1.94e58b8868bbdp-13,
	0x1.194d11211d045p-12,
	0x1.86ddd4fe93e58p-12,
	0x1.0f8dbb7c7807bp-11,
	0x1.7952936e77efcp-11,
	0x1.0624dd2f1a9fcp-10,
	0x1.6c3f76d338f62p-10,
	0x1.fa1eee6a82eacp-10,
	0x1.5fa0556964457p-9,
	0x1.e8954a3e38deep-9,
	0x1.53712a5b9609ap-8,
	0x1.d7a7384a15ebbp-8,
	0x1.47ae147ae147bp-7,
};

enum { FINE_BINS = 15, REAL_EXPONENT_MIN = -20, REAL_EXPONENT_MAX = 40, REAL_PARTS = 16 };

static double latency_edge(int32_t k)
{
	int octave = k >= 0 ? k / 16 : -((15 - k) / 16);

	return ldexp(octave_edges[k - 16 * octave], octave);
}

static int32_t latency_bin(double value)
{
	int exponent;
	double mantissa = 2 * frexp(value, &exponent);
	int32_t part = 0;

	if (value < latency_edge(LATENCY_BIN_MIN + 1))
		return LATENCY_BIN_MIN;
	if (exponent > LATENCY_BIN_MAX / 16)
		return LATENCY_BIN_MAX;
	for (int32_t half = 8; half; half /= 2)
		if (octave_edges[part + half] <= mantissa)
			part += half;
	return 16 * (exponent - 1) + part;
}

/* Edge i of 0 to PROBABILITY_BINS. */
static double probability_edge(int32_t i)
{
	if (i <= FINE_BINS)
		return fine_edges[i];
	if (i < PROBABILITY_BINS - FINE_BINS)
		return (i - FINE_BINS + 1) / 100.0;
	return 1.0 - fine_edges[PROBABILITY_BINS - i];
}

static int32_t probability_bin(double value)
{
	int32_t low = 0;

	for (int32_t half = PROBABILITY_BINS / 2; half; half /= 2)
		if (probability_edge(low + half) <= value)
			low += half;
	return low;
}

/* Edge i of the positive side: i = 0 is 2^-20. */
static double real_edge(int32_t i)
{
	return ldexp(
		1.0 + (i % REAL_PARTS) / (double)REAL_PARTS, i / REAL_PARTS + REAL_EXPONENT_MIN);
}

/* Bins are closed below: a negative value on an edge belongs to the bin that is nearer to zero. */
static int32_t real_bin(double value)
{
	double size = fabs(value);
	int exponent;
	double mantissa = 2 * frexp(size, &exponent);

	exponent--;
	if (size < real_edge(0))
		return 0;
	if (exponent > REAL_EXPONENT_MAX)
		return value > 0 ? REAL_PARTS * (REAL_EXPONENT_MAX - REAL_EXPONENT_MIN + 1)
				 : -REAL_PARTS * (REAL_EXPONENT_MAX - REAL_EXPONENT_MIN + 1);
	int32_t index = REAL_PARTS * (exponent - REAL_EXPONENT_MIN) +
			(int32_t)((mantissa - 1) * REAL_PARTS);

	if (value > 0)
		return 1 + index;
	return size == real_edge(index) ? -index : -(1 + index);
}

int32_t layout_bin(enum layout layout, double value)
{
	if (layout == LAYOUT_COUNT || layout == LAYOUT_RESULT || layout == LAYOUT_NAMES)
		return 0;
	if (isnan(value))
		return BIN_NAN;
	if (isinf(value))
		return value > 0 ? BIN_INFINITE : BIN_MINUS_INFINITE;
	if (layout == LAYOUT_LATENCY)
		return latency_bin(value);
	return layout == LAYOUT_PROBABILITY ? probability_bin(value) : real_bin(value);
}

static void real_edges(int32_t bin, double *low, double *high)
{
	if (bin > 0) {
		*low = real_edge(bin - 1);
		*high = real_edge(bin);
	} else if (bin < 0) {
		*low = -real_edge(-bin);
		*high = -real_edge(-bin - 1);
	} else {
		*low = -real_edge(0);
		*high = real_edge(0);
	}
}

void layout_edges(enum layout layout, int32_t bin, double *low, double *high)
{
	if (layout_bin_name(layout, bin)) {
		*low = *high = NAN;
	} else if (layout == LAYOUT_LATENCY) {
		*low = bin == LATENCY_BIN_MIN ? 0 : latency_edge(bin);
		*high = bin == LATENCY_BIN_MAX ? INFINITY : latency_edge(bin + 1);
	} else if (layout == LAYOUT_PROBABILITY) {
		*low = probability_edge(bin);
		*high = probability_edge(bin + 1);
	} else if (layout == LAYOUT_REAL) {
		real_edges(bin, low, high);
	} else {
		*low = *high = bin;
	}
}

double layout_middle(enum layout layout, int32_t bin)
{
	double low;
	double high;

	layout_edges(layout, bin, &low, &high);
	if (layout != LAYOUT_LATENCY || bin == LATENCY_BIN_MIN)
		return (low + high) / 2;
	if (bin == LATENCY_BIN_MAX)
		return low * sqrt(octave_edges[1]);
	return sqrt(low * high);
}

const char *layout_bin_name(enum layout layout, int32_t bin)
{
	static const char *const specials[] = {"missing", "-Infinity", "Infinity", "NaN"};
	static const char *const results[] = {"ok", "failed"};

	if (layout == LAYOUT_RESULT)
		return bin == 0 || bin == 1 ? results[bin] : NULL;
	if ((layout == LAYOUT_PROBABILITY || layout == LAYOUT_REAL) && bin >= BIN_SPECIAL_MIN)
		return specials[bin - BIN_SPECIAL_MIN];
	return NULL;
}
