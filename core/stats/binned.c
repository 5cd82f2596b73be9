/* core/stats/binned.c: see binned.h. */
#include "core/stats/binned.h"

uint64_t binned_total(const uint64_t *counts, size_t bins)
{
	uint64_t total = 0;

	for (size_t k = 0; k < bins; k++)
		total += counts[k];
	return total;
}
