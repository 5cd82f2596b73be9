/* alerts/payload_json.h: the bodies that receivers get.
 * THINKS. Wire formats: Alertmanager webhook version 4 and API v2 (its OpenAPI description), and
 * our own under the Standard Webhooks envelope {type, timestamp, data}. */
#ifndef ALERTS_PAYLOAD_JSON_H
#define ALERTS_PAYLOAD_JSON_H

#include "alerts/group.h"
#include "core/notification.h"

/* How long an Alertmanager keeps an alert that it does not hear of again: four refreshes. */
enum { ALERTMANAGER_REFRESH_MS = 60000, ALERTMANAGER_HOLD_MS = 4 * ALERTMANAGER_REFRESH_MS };

/* The body of a notification to an integration of this kind. Members that the notification does not
 * list are left out; of more than max_alerts (0 = no limit) the rest is counted. */
void payload_write(const struct config_integration *integration, const struct group *group,
	const struct notification *notification, const char *external_url, struct bytes *out);

/* An Alertmanager forgets what it does not hear again: all firing members, with an end so far in
 * the future. */
void payload_refresh(
	const struct group *group, const char *external_url, int64_t ends_at, struct bytes *out);

#endif
