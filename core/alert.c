#include "core/alert.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *signal, *alertname;
} names[] = {
	{"latency", "ModelLatency"},
	{"errors", "ModelErrors"},
	{"rate", "ModelRate"},
	{"score", "ScoreDrift"},
	{"class", "ScoreDrift"},
};

static const struct {
	const char *alertname, *severity;
} severities[] = {
	{"ModelLatency", "page"},
	{"ModelErrors", "page"},
	{"ModelSilent", "page"},
	{"WatchDown", "page"},
};

const char *alertname_of(const struct finding *finding)
{
	if (strcmp(finding->detector, "silence") == 0)
		return "ModelSilent";
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(finding->series.signal, names[i].signal) == 0)
			return names[i].alertname;
	return "MetricAnomaly";
}

const char *alert_severity(const char *alertname)
{
	for (size_t i = 0; i < sizeof severities / sizeof *severities; i++)
		if (strcmp(alertname, severities[i].alertname) == 0)
			return severities[i].severity;
	return "ticket";
}

static void findings_done(struct alert *alert)
{
	for (size_t i = 0; i < alert->finding_count; i++)
		free(alert->findings[i]);
	free(alert->findings);
}

void alert_done(struct alert *alert)
{
	labels_done(&alert->labels);
	labels_done(&alert->annotations);
	findings_done(alert);
	*alert = (struct alert){0};
}

void alert_copy(struct alert *to, const struct alert *from)
{
	struct alert copy = *from;

	copy.labels = (struct labels){0};
	copy.annotations = (struct labels){0};
	labels_copy(&copy.labels, &from->labels);
	labels_copy(&copy.annotations, &from->annotations);
	copy.findings = memory_new(from->finding_count, sizeof *copy.findings);
	for (size_t i = 0; i < from->finding_count; i++)
		copy.findings[i] = memory_text(from->findings[i]);
	alert_done(to);
	*to = copy;
}
