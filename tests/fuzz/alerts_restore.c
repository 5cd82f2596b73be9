/* Any records as the stored state of alerts; then a day passes. */
#include "alerts/step.h"
#include "tests/fuzz/restore.h"

static char nothing[] = "", prefix[] = "modelwatch", name[] = "oncall", model[] = "model",
	    any[] = "*", url[] = "http://127.0.0.1:1/", host[] = "127.0.0.1";
static char *group_by[] = {model};
static struct config_integration integration = {
	.kind = RECEIVER_WEBHOOK, .http = {.url = url, .ca = nothing}, .send_resolved = true};
static struct config_receiver receiver = {
	.name = name, .integrations = &integration, .integration_count = 1};
static struct config_model models[] = {
	{.match_model = any, .match_segment = any, .owner = nothing}};
static const struct config config = {.kafka = {.prefix = prefix},
	.console = {.host = host, .port = 9130},
	.models = models,
	.model_count = 1,
	.receivers = &receiver,
	.receiver_count = 1,
	.route = {.receiver = name,
		.group_by = group_by,
		.group_by_count = 1,
		.group_wait_ms = 30000,
		.group_interval_ms = 300000,
		.repeat_interval_ms = 14400000}};

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
