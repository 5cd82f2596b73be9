/* ingest/progress.h: how far a partition that lags far behind the end of its log has come, how fast
 * it is, and how long it will take: after an outage, and above all when Redis was lost and all is
 * built anew. THINKS. All zero is valid: nothing was seen yet. */
#ifndef INGEST_PROGRESS_H
#define INGEST_PROGRESS_H

#include "core/change.h"

struct progress {
	bool catching_up;
	int64_t from;           /* offset at which catching up began */
	int64_t next, end;      /* the next offset to fold, and the end of the log */
	int64_t looked_at;      /* monotonic ms; 0: never */
	double per_second;      /* messages folded, over the last seconds */
	double ends_per_second; /* messages that came to the log meanwhile */
	bool told;              /* a record of it was put last */
	bool cleared;           /* none is stored, not even of a process before this one */
};

enum { PROGRESS_BEGINS_AT = 50000, PROGRESS_ENDS_AT = 5000 }; /* messages behind */

/* Says where it stands, as often as one likes; lag < 0: not known, ignored. Catching up begins at
 * PROGRESS_BEGINS_AT messages behind and ends at PROGRESS_ENDS_AT. now: monotonic ms. */
void progress_look(struct progress *progress, int64_t next, int64_t lag, int64_t now);

/* Of what was to be caught up, 0 to 100; and the seconds that the rest takes if nothing changes,
 * -1: not known, or for ever. */
int progress_percent(const struct progress *progress);
int64_t progress_seconds_left(const struct progress *progress);

/* Adds a partition that catches up to a sum of such. The percentage of a sum is that of all
 * messages. */
void progress_add(struct progress *sum, const struct progress *more);

/* "catching up: 43 %, 310000 messages/s, 2 min 10 s left"; the share alone while the speed is not
 * known. */
void progress_text(const struct progress *progress, char *text, size_t size);

/* Whether a step is due for the record's sake: there is nothing to tell of any more. */
bool progress_is_over(const struct progress *progress);

/* Puts the record of table "progress" (core/topics.h) while catching up, and drops it after. */
void progress_change(struct progress *progress, struct change *change);

#endif
