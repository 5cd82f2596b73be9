/* alerts/step.h: the fold of the alerts service: findings, actions, commands and time in; alerts
 * and notifications out. THINKS. Time is an input: a timer that fires does so in a step that stores
 * what came of it. */
#ifndef ALERTS_STEP_H
#define ALERTS_STEP_H

#include "core/change.h"
#include "core/config.h"
#include "core/cursor.h"
#include "core/notification.h"
#include "ports/log.h"

struct alerts;

struct alerts *alerts_new(const struct config *config);
void alerts_free(struct alerts *alerts);

/* Records of table "state" (a store_record; context: the alerts), then alerts_restored() once. */
enum rc alerts_restore(
	void *alerts, struct view field, struct view data, struct err *err) MUST_CHECK;
void alerts_restored(struct alerts *alerts, int64_t now);

/* After Redis was lost: what receivers had been told, from the log of notifications, oldest first.
 */
void alerts_heard(struct alerts *alerts, const struct notification *notification);

/* Takes one message of the findings, actions or commands topic in. RC_NONE: it was taken in before.
 * RC_REJECT: it is not a record that we know; it is passed over. */
enum rc alerts_take(struct alerts *alerts, const struct log_message *message, int64_t now,
	struct err *err) MUST_CHECK;

/* Where a topic's partition is to be read from: -1 = not known. */
int64_t alerts_position(struct alerts *alerts, const char *topic, int32_t partition);

/* All of them, for comparing their fingerprints with the log, and for moving them where the log has
 * lost records or is another one. */
struct cursors *alerts_cursors(struct alerts *alerts);

/* Flushes the groups that are due at now into pending notifications. True: there is something to
 * store. */
bool alerts_time(struct alerts *alerts, int64_t now);
int64_t alerts_next(const struct alerts *alerts); /* when the next group is due; INT64_MAX: none */

/* Pending notifications, oldest first; of one receiver's integration and group only the first may
 * be tried. */
size_t alerts_pending_count(const struct alerts *alerts);
const struct notification *alerts_pending(const struct alerts *alerts, size_t place);
const struct config_integration *alerts_integration(const struct alerts *alerts,
	const struct notification *notification); /* NULL: configured away */

/* What came of a try. */
struct attempt {
	bool delivered;
	bool final; /* not delivered, and no further try helps (4xx but 408, 425, 429; 410) */
	int64_t retry_after_ms; /* -1: not said */
	uint32_t chance;        /* for the jitter */
	char result[256];
};
void alerts_tried(
	struct alerts *alerts, const char *id, const struct attempt *attempt, int64_t now);

/* Bodies that an Alertmanager must hear again (see payload_json.h): calls use for each. */
typedef void (*alerts_refresh)(void *context, const struct config_integration *integration,
	const char *receiver, struct view body);
void alerts_refresh_all(struct alerts *alerts, int64_t now, alerts_refresh use, void *context);

/* Everything dirty since the last call. */
void alerts_change(struct alerts *alerts, struct change *change);

struct alerts_counts {
	uint64_t findings, rejected, notifications_sent, notifications_dead, tries;
	size_t firing, pending;
};
struct alerts_counts alerts_counts(const struct alerts *alerts);

#endif
