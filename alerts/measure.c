#include "alerts/measure.h"

#include <stdio.h>

void measure_try(struct service *service, const char *receiver, const char *outcome)
{
	const char *const labels[] = {"receiver", receiver, "outcome", outcome, NULL};

	metric_add(metrics_get(&service->metrics, METRIC_COUNTER,
			   "modelwatch_alerts_notifications_total",
			   "Tries to deliver a notification; dead: it was given up.", labels),
		1);
}

static void add_to(struct service *service, const char *name, const char *help, uint64_t more)
{
	metric_add(metrics_get(&service->metrics, METRIC_COUNTER, name, help, NULL), (double)more);
}

static void set_to(struct service *service, const char *name, const char *help, size_t value)
{
	metric_set(metrics_get(&service->metrics, METRIC_GAUGE, name, help, NULL), (double)value);
}

/* The first receiver that did not take its last try, in words. */
static void describe_receivers(const struct alerts *alerts, char *text, size_t size)
{
	snprintf(text, size, "receivers ok");
	for (size_t i = 0; i < alerts_pending_count(alerts); i++) {
		const struct notification *notification = alerts_pending(alerts, i);

		if (!notification->tries)
			continue;
		snprintf(text, size, "receiver %s: %s", notification->receiver,
			notification->result);
		return;
	}
}

void measure_alerts(
	struct service *service, const struct alerts *alerts, struct alerts_counts *counted)
{
	struct alerts_counts counts = alerts_counts(alerts);
	char receivers[400];

	add_to(service, "modelwatch_alerts_findings_total", "Findings taken in.",
		counts.findings - counted->findings);
	add_to(service, "modelwatch_alerts_rejected_total",
		"Records of inputs that are of no kind that we know.",
		counts.rejected - counted->rejected);
	set_to(service, "modelwatch_alerts_firing", "Incidents that are firing.", counts.firing);
	set_to(service, "modelwatch_alerts_pending", "Notifications not yet delivered.",
		counts.pending);
	*counted = counts;
	describe_receivers(alerts, receivers, sizeof receivers);
	service_status(service, true, "%zu firing, %zu pending, %s", counts.firing, counts.pending,
		receivers);
}
