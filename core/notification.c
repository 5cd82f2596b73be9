#include "core/notification.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>

const char *const notification_state_names[] = {
	[NOTIFICATION_PENDING] = "pending",
	[NOTIFICATION_SENT] = "sent",
	[NOTIFICATION_DEAD] = "dead",
};

void notification_done(struct notification *notification)
{
	for (size_t i = 0; i < notification->alert_count; i++)
		free(notification->alerts[i]);
	free(notification->alerts);
	free(notification->receiver);
	free(notification->group_key);
	free(notification->reason);
	free(notification->payload);
	free(notification->result);
	*notification = (struct notification){0};
}

void notification_identify(struct notification *notification)
{
	const char **parts = memory_new(notification->alert_count + 6, sizeof *parts);
	char integration[16];
	char sequence[24];
	size_t count = 0;

	snprintf(integration, sizeof integration, "%d", notification->integration);
	snprintf(sequence, sizeof sequence, "%lld", (long long)notification->sequence);
	parts[count++] = notification->receiver;
	parts[count++] = integration;
	parts[count++] = notification->group_key;
	parts[count++] = sequence;
	for (size_t i = 0; i < notification->alert_count; i++)
		parts[count++] = notification->alerts[i];
	digest_id(notification->id, 'n', parts);
	free(parts);
}
