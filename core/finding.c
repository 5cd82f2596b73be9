#include "core/finding.h"

#include <inttypes.h>
#include <stdio.h>

const char *const verdict_names[] = {
	[VERDICT_NO_DATA] = "not enough data",
	[VERDICT_OK] = "ok",
	[VERDICT_SUSPECTED] = "suspected",
	[VERDICT_ALARM] = "alarm",
	[VERDICT_SUPERSEDED] = "superseded",
};

void finding_identify(struct finding *finding)
{
	const struct series *series = &finding->series;
	char ts[24];
	const char *const parts[] = {series->model, series->version, series->role, series->segment,
		series->signal, finding->against, finding->detector,
		verdict_names[finding->verdict], finding->actionable ? "actionable" : "", ts, NULL};

	snprintf(ts, sizeof ts, "%" PRId64, finding->ts);
	digest_id(finding->id, 'f', parts);
}
