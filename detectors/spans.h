/* detectors/spans.h: what both sides counted, span by span, fine for the recent past and coarse for
 * the old, so that an effect can be computed from a change-point on.
 * THINKS. All zero is valid and empty. */
#ifndef DETECTORS_SPANS_H
#define DETECTORS_SPANS_H

#include "detectors/tally.h"

enum { SPANS_MAX = 12 };

struct span {
	int64_t from_ms, to_ms;
	uint64_t steps;
	struct tally arm, reference;
};

struct spans {
	struct span list[SPANS_MAX]; /* oldest first */
	size_t count;
};

/* Sums of a run of spans. */
struct sample {
	int64_t from_ms, to_ms;
	struct tally arm, reference;
};

void spans_done(struct spans *spans);

/* Adds one step; its tallies are taken over (left empty). When there is no place two neighbours are
 * merged: those that are small for their age, but never across a moment of keep[2]. */
void spans_add(struct spans *spans, int64_t from_ms, int64_t to_ms, struct tally *arm,
	struct tally *reference, const int64_t keep[2]);

/* Adds all spans that begin at from_ms or later, at least the last one, into an empty sample. */
void spans_since(const struct spans *spans, int64_t from_ms, struct sample *sample);
void sample_add(struct sample *sample, const struct span *span);
void sample_done(struct sample *sample);

void spans_write(const struct spans *spans, struct bytes *out);
void spans_read(struct spans *spans, struct reader *in);

#endif
