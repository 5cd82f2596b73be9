/* tests/fuzz/alerts_settings.h: the configuration under which alerts is fuzzed. */
#ifndef TESTS_FUZZ_ALERTS_SETTINGS_H
#define TESTS_FUZZ_ALERTS_SETTINGS_H

#include "core/config.h"

static char nothing[] = "", prefix[] = "modelwatch", receiver_name[] = "oncall", model[] = "model",
	    any[] = "*", url[] = "http://127.0.0.1:1/", host[] = "127.0.0.1";
static char *group_by[] = {model};
static struct config_integration integration = {
	.kind = RECEIVER_WEBHOOK, .http = {.url = url, .ca = nothing}, .send_resolved = true};
static struct config_receiver receiver = {
	.name = receiver_name, .integrations = &integration, .integration_count = 1};
static struct config_model models[] = {
	{.match_model = any, .match_segment = any, .owner = nothing}};
static const struct config config = {.kafka = {.prefix = prefix},
	.console = {.host = host, .port = 9130},
	.models = models,
	.model_count = 1,
	.receivers = &receiver,
	.receiver_count = 1,
	.route = {.receiver = receiver_name,
		.group_by = group_by,
		.group_by_count = 1,
		.group_wait_ms = 30000,
		.group_interval_ms = 300000,
		.repeat_interval_ms = 14400000}};

#endif
