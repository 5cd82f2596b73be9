/* core/stats/sr.c: see sr.h. */
#include "core/stats/sr.h"

#include <math.h>

#include "core/stats/special.h"

void sr_init(struct sr_member *members, size_t count)
{
	for (size_t j = 0; j < count; j++)
		members[j] = (struct sr_member){.log_r = -INFINITY};
}

static void member_step(struct sr_member *member, double log_e, int64_t from_ts)
{
	member->log_r = special_log_add(0, member->log_r) + log_e;
	if (member->cusum <= 0) {
		member->cusum = 0;
		member->since = from_ts;
	}
	member->cusum += log_e;
}

void sr_step(struct sr_member *members, size_t count, const double *log_e, int64_t from_ts)
{
	for (size_t j = 0; j < count; j++)
		member_step(&members[j], log_e[j], from_ts);
}

double sr_log_mixture(const struct sr_member *members, size_t count)
{
	double sum = -INFINITY;

	for (size_t j = 0; j < count; j++)
		sum = special_log_add(sum, members[j].log_r);
	return count ? sum - log((double)count) : sum;
}

size_t sr_leader(const struct sr_member *members, size_t count)
{
	size_t leader = 0;

	for (size_t j = 1; j < count; j++)
		if (members[j].log_r > members[leader].log_r)
			leader = j;
	return leader;
}

double sr_line(double comparisons, double ticks)
{
	return log(comparisons) + log(ticks);
}
