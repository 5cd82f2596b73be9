/* Any records as the stored state of alerts; then a day passes. */
#include "alerts/step.h"
#include "tests/fuzz/alerts_settings.h"
#include "tests/fuzz/restore.h"

static struct alerts *alerts_new_empty(void)
{
	return alerts_new(&config);
}

static void alerts_go_on(struct alerts *alerts)
{
	const int64_t now = 1763654406000;
	const struct attempt attempt = {.delivered = true, .retry_after_ms = -1, .result = "so"};

	alerts_restored(alerts, now);
	alerts_time(alerts, now + 86400000);
	if (!alerts_pending_count(alerts))
		return;
	char id[ID_SIZE];

	memcpy(id, alerts_pending(alerts, 0)->id, sizeof id);
	alerts_tried(alerts, id, &attempt, now + 86400000);
}

RESTORE_TARGET(alerts)
