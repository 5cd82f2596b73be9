/* alerts/fold.h: the inside of the fold, shared by its files: step.c (inputs), flush.c (time),
 * delivery of what is pending (pending.c), records.c (what is stored and found again). THINKS. */
#ifndef ALERTS_FOLD_H
#define ALERTS_FOLD_H

#include "alerts/group.h"
#include "alerts/step.h"
#include "alerts/told.h"
#include "core/map.h"

enum { ALERTS_DAY_S = 86400, ALERTS_RECORDS_TTL_S = 30 * ALERTS_DAY_S };

struct timer { /* of a group that was stored and does not exist yet */
	int64_t next_flush_at;
	bool flushed;
};

struct alerts {
	const struct config *config;
	char *external_url;
	struct cursors cursors;
	struct map incidents; /* identity -> struct incident * */
	struct groups groups;
	struct map timers;             /* group key -> struct timer *, while restoring */
	struct map told;               /* told_key -> struct told * */
	struct map seen;               /* finding id -> int64_t * (ts) */
	struct notification **pending; /* by created_at, then id */
	size_t pending_count;
	struct change change; /* collects between alerts_change() calls */
	struct alerts_counts counts;
};

/* Records of table "state": KIND and name as field. */
void alerts_put_state(struct alerts *alerts, const char *kind, struct view name, struct view data);
void alerts_drop_state(struct alerts *alerts, const char *kind, struct view name);

/* Makes the notification the last thing that its receiver was told of its group, in memory and as a
 * record. */
void alerts_set_told(struct alerts *alerts, const struct notification *notification);

/* A place at the end of what is pending. */
struct notification *alerts_add_pending(struct alerts *alerts);
void alerts_store_pending(struct alerts *alerts, const struct notification *notification);

#endif
