#include "detectors/table.h"

#include <string.h>

const struct detector *const detector_table[] = {
	/* against the other role */
	&arms_latency, &arms_errors, &arms_score, &arms_class,
	/* production against its own history */
	&cuts_latency, &bernoulli_errors, &counts_rate_detector, &silence_rate};
const size_t detector_count = sizeof detector_table / sizeof *detector_table;

const struct detector *detector_named(const char *name, const char *signal)
{
	for (size_t i = 0; i < detector_count; i++)
		if (strcmp(detector_table[i]->name, name) == 0 &&
			strcmp(detector_table[i]->signal, signal) == 0)
			return detector_table[i];
	return NULL;
}

bool detector_judges_silence(const struct detector *detector)
{
	return detector == &silence_rate;
}
