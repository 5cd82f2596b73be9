#include "detectors/spans.h"

#include <string.h>

static void span_done(struct span *span)
{
	tally_done(&span->arm);
	tally_done(&span->reference);
}

void spans_done(struct spans *spans)
{
	for (size_t i = 0; i < spans->count; i++)
		span_done(&spans->list[i]);
	spans->count = 0;
}

static bool is_kept(int64_t boundary, const struct span *older, const int64_t keep[2])
{
	return (older->from_ms < keep[0] && keep[0] <= boundary) ||
	       (older->from_ms < keep[1] && keep[1] <= boundary);
}

/* Merges the pair with the fewest steps in proportion to its age (of equals the older): sizes grow
 * geometrically with age. Two moments are kept, so of eleven pairs at least nine may be merged. */
static void merge_pair(struct spans *spans, const int64_t keep[2])
{
	size_t best = 0;
	uint64_t best_steps = 0, best_age = 0;
	uint64_t age = 1;

	for (size_t i = spans->count - 1; i-- > 0;) {
		const struct span *older = &spans->list[i];
		const struct span *newer = &spans->list[i + 1];
		uint64_t steps = older->steps + newer->steps;

		if (!is_kept(newer->from_ms, older, keep) &&
			(!best_age || (double)steps * (double)best_age <=
					      (double)best_steps * (double)age)) {
			best = i;
			best_steps = steps;
			best_age = age;
		}
		age += newer->steps;
	}
	struct span *into = &spans->list[best];
	struct span *from = &spans->list[best + 1];

	into->to_ms = from->to_ms;
	into->steps += from->steps;
	tally_merge(&into->arm, &from->arm);
	tally_merge(&into->reference, &from->reference);
	span_done(from);
	memmove(from, from + 1, (spans->count - best - 2) * sizeof *from);
	spans->count--;
}

void spans_add(struct spans *spans, int64_t from_ms, int64_t to_ms, struct tally *arm,
	struct tally *reference, const int64_t keep[2])
{
	if (spans->count == SPANS_MAX)
		merge_pair(spans, keep);
	struct span *span = &spans->list[spans->count++];

	*span = (struct span){.from_ms = from_ms, .to_ms = to_ms, .steps = 1};
	tally_move(&span->arm, arm);
	tally_move(&span->reference, reference);
}

void sample_add(struct sample *sample, const struct span *span)
{
	if (!sample->to_ms || span->from_ms < sample->from_ms)
		sample->from_ms = span->from_ms;
	if (span->to_ms > sample->to_ms)
		sample->to_ms = span->to_ms;
	tally_merge(&sample->arm, &span->arm);
	tally_merge(&sample->reference, &span->reference);
}

void spans_since(const struct spans *spans, int64_t from_ms, struct sample *sample)
{
	for (size_t i = 0; i < spans->count; i++)
		if (spans->list[i].from_ms >= from_ms || i + 1 == spans->count)
			sample_add(sample, &spans->list[i]);
}

void sample_done(struct sample *sample)
{
	tally_done(&sample->arm);
	tally_done(&sample->reference);
}

void spans_write(const struct spans *spans, struct bytes *out)
{
	bytes_varint(out, spans->count);
	for (size_t i = 0; i < spans->count; i++) {
		const struct span *span = &spans->list[i];

		bytes_zigzag(out, span->from_ms);
		bytes_zigzag(out, span->to_ms);
		bytes_varint(out, span->steps);
		tally_write(&span->arm, out);
		tally_write(&span->reference, out);
	}
}

void spans_read(struct spans *spans, struct reader *in)
{
	uint64_t count = reader_varint(in);

	if (count > SPANS_MAX)
		in->ok = false;
	for (uint64_t i = 0; i < count && in->ok; i++) {
		struct span *span = &spans->list[spans->count++];

		*span = (struct span){0};
		span->from_ms = reader_zigzag(in);
		span->to_ms = reader_zigzag(in);
		span->steps = reader_varint(in);
		tally_read(&span->arm, in);
		tally_read(&span->reference, in);
	}
}
