/* ctl/summary.h: what became of recorded events, in a few lines for people: a recording of which
 * nothing was understood must not look like one in which nothing happened. */
#ifndef CTL_SUMMARY_H
#define CTL_SUMMARY_H

#include "core/bytes.h"
#include "ingest/step.h"

#include <stdio.h>

struct summary {
	struct ingest_counters sum; /* of all partitions */
	struct bytes groups;        /* lines about what was rejected, the first few */
	size_t group_count;
};
void summary_done(struct summary *summary);

void summary_add(struct summary *summary, const struct ingest_counters *counters);
/* A record of TABLE_DEADLETTERS; context is the summary. */
enum rc summary_add_group(
	void *context, struct view field, struct view data, struct err *err) MUST_CHECK;

/* "16792 events in 1.2 s: 16790 counted, 2 rejected", and under it why. */
void summary_print(const struct summary *summary, uint64_t events, int64_t took_ms, FILE *to);

#endif
