/* alerts/told.h: what each receiver was last told of each group, and whether it must be told again:
 * Alertmanager's notification log and its rules of deduplication.
 * THINKS. */
#ifndef ALERTS_TOLD_H
#define ALERTS_TOLD_H

#include "alerts/group.h"
#include "core/notification.h"

struct told {          /* one entry: receiver, integration, group */
	char **alerts; /* "a-...:firing", "a-...:resolved", with ":ACTION" behind where an action is
			  notable; sorted */
	size_t alert_count;
	int64_t at;
	int64_t sequence; /* of the notification that told it */
};

void told_free(struct told *told);

/* A new notification of this group for this integration if one is due (RC_OK), else RC_NONE. last:
 * what was told before, NULL = nothing. The payload is not filled. */
enum rc told_next(const struct group *group, int integration, const struct told *last, int64_t now,
	struct notification *notification);

/* The entry after this notification. */
struct told *told_after(const struct notification *notification);

/* Key of the entry: receiver, integration, group key, each ended by NUL. Appended. */
void told_key(const char *receiver, int integration, const char *group_key, struct bytes *key);

#endif
