/* core/metrics.h: numbers of a service in the Prometheus text format (exposition format 0.0.4).
 * THINKS. Names: modelwatch_..., base units, _total for counters. */
#ifndef CORE_METRICS_H
#define CORE_METRICS_H

#include "core/bytes.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

struct metric; /* one sample: name and labels; owned by its set */
struct metrics {
	struct metric **samples;
	size_t count, capacity;
};

/* The sample of this name and labels (labels: NULL, or pairs "name", "value", ..., NULL; values are
 * escaped), made at its first use. help is taken from the first use of a name. */
struct metric *metrics_get(struct metrics *metrics, enum metric_kind kind, const char *name,
	const char *help, const char *const labels[]);
void metric_set(struct metric *metric, double value);
void metric_add(struct metric *metric, double more);
double metric_value(const struct metric *metric);
void metrics_write(const struct metrics *metrics,
	struct bytes *out); /* families together, in order of first use */
void metrics_done(struct metrics *metrics);

#endif
