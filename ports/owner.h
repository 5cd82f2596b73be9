/* ports/owner.h: a fold that one of several processes advances while the others stand by: loading,
 * stepping and relaying it, and who it is that does. TOUCHES: through store.h, outbox.h.
 *
 * Tokens alone make overlap harmless; this keeps it from wasting work. The process that loaded last
 * owns the fold, since its first step fences the one before. The owner steps at least every 2 s,
 * even if there is nothing in the step; where the token stands still for longer than that, another
 * process takes the fold over. */
#ifndef PORTS_OWNER_H
#define PORTS_OWNER_H

#include "ports/outbox.h"

struct owner;

enum {
	OWNER_BEAT_MS = 2000,
	OWNER_STILL_MS = 6000,    /* so long a token stands still before another takes over, */
	OWNER_STILL_MAX_MS = 8000 /* or up to so long, by chance: two must not race */
};

/* All arguments must outlive the owner; prefix as for outbox_open(). */
struct owner *owner_open(struct store *store, const struct fold *fold, struct log_writer *writer,
	const char *prefix);
void owner_close(struct owner *owner);

/* Loads the fold, as store_load(); now is monotonic, here and below. *fresh: nothing was stored.
 * RC_NONE: another process advances the fold; nothing was loaded, ask again later. */
enum rc owner_load(struct owner *owner, store_record record, void *context, int64_t now,
	bool *fresh, struct err *err) MUST_CHECK;

/* Carries a step out, if there is something in the change or a step is due, and clears the change.
 * Every load is followed by one before anything is told or done. RC_RETRY, RC_FATAL: the caller
 * drops its memory, since the step may have happened or not. */
enum rc owner_advance(
	struct owner *owner, struct change *change, int64_t now, struct err *err) MUST_CHECK;

/* Moves outputs on to their topics, as outbox_turn(). */
enum rc owner_relay(struct owner *owner, struct err *err) MUST_CHECK;

#endif
