#include "alerts/hearing.h"

#include "alerts/told.h"
#include "core/memory.h"

#include <stdlib.h>

static void drop_notification(struct notification *notification)
{
	if (!notification)
		return;
	notification_done(notification);
	free(notification);
}

void hearing_done(struct hearing *hearing)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&hearing->newest, &place)))
		drop_notification(entry->value);
	map_done(&hearing->newest);
}

enum rc hearing_take(struct hearing *hearing, struct view record, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	struct notification read;

	TRY(notification_from_json(record, &read, err));
	told_key(read.receiver, read.integration, read.group_key, &key);
	struct notification *old = map_get(&hearing->newest, key.data, key.size);

	if (read.state == NOTIFICATION_PENDING || (old && old->created_at > read.created_at)) {
		notification_done(&read);
		return RC_OK;
	}
	struct notification *newest = memory_new(1, sizeof *newest);

	*newest = read;
	map_put(&hearing->newest, key.data, key.size, newest);
	drop_notification(old);
	return RC_OK;
}

void hearing_tell(const struct hearing *hearing, struct alerts *alerts)
{
	struct map_entry **sorted = map_sorted(&hearing->newest);

	for (size_t i = 0; i < hearing->newest.count; i++)
		alerts_heard(alerts, sorted[i]->value);
	free(sorted);
}
