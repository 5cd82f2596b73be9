/* core/notification.h: that a receiver was told, or could not be: the log modelwatch.notifications.
 * THINKS. JSON: notification_json.c; schema: config/schemas/notification.json. */
#ifndef CORE_NOTIFICATION_H
#define CORE_NOTIFICATION_H

#include "core/digest.h"

enum notification_state { NOTIFICATION_PENDING, NOTIFICATION_SENT, NOTIFICATION_DEAD };
extern const char *const notification_state_names[];

struct notification {
	char id[ID_SIZE]; /* the same over all tries: receiver, integration, group key, alerts with
			     states, sequence */
	enum notification_state state;
	char *receiver;  /* owned, like all texts here */
	int integration; /* which of the receiver's, from 0 */
	char *group_key;
	char **alerts; /* "a-...:firing" or "a-...:resolved", sorted */
	size_t alert_count;
	int64_t sequence; /* which one this is of its receiver, integration and group, from 0 */
	char *reason;     /* "first notification", "new alerts", "some resolved", "all resolved",
			     "repeat" */
	char *payload;    /* the body; PENDING only */
	int64_t created_at, next_try_at, tries, done_at; /* ms */
	char *result;                                    /* of the last try */
};

void notification_done(struct notification *notification);
void notification_identify(struct notification *notification);
void notification_to_json(const struct notification *notification, struct bytes *out);
enum rc notification_from_json(
	struct view text, struct notification *notification, struct err *err) MUST_CHECK;

#endif
