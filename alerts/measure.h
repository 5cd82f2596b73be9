/* alerts/measure.h: what the alerts service says of itself: /metrics and STATUS.
 * TOUCHES: through ports/service.h. */
#ifndef ALERTS_MEASURE_H
#define ALERTS_MEASURE_H

#include "alerts/step.h"
#include "ports/service.h"

/* outcome: delivered, failed or dead. */
void measure_try(struct service *service, const char *receiver, const char *outcome);

/* *counted: what the counters of /metrics have of this fold already; all zero after a load. */
void measure_alerts(
	struct service *service, const struct alerts *alerts, struct alerts_counts *counted);

#endif
