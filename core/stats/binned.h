/* core/stats/binned.h: counts in bins, as statistics see them. It does not fill them.
 * Pure: no I/O, no clock, no allocation, no log. */
#ifndef CORE_STATS_BINNED_H
#define CORE_STATS_BINNED_H

#include <stddef.h>
#include <stdint.h>

/* Counts in rising bins: bin k holds edges[k] <= x < edges[k + 1]. The outer edges may be infinite.
 * Both arrays stay the caller's. */
struct binned {
	const uint64_t *counts;
	const double *edges; /* bins + 1 of them, rising */
	size_t bins;
};

/* The sum of all counts; the caller keeps it below 2^64 (statistics are exact below 2^53). */
uint64_t binned_total(const uint64_t *counts, size_t bins);

#endif
