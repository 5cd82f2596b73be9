/* ports/owner.h: a fold that one of several processes advances while the others stand by: loading,
 * stepping and relaying it, and who it is that does. TOUCHES: through store.h, outbox.h.
 *
 * Tokens alone make overlap harmless; this keeps it from wasting work. The owner steps twice a
 * second, even if there is nothing in the step. A process that starts looks for as long as takes to
 * see that, and stands by if there is an owner; it takes the fold over where the token has stood
 * still for some seconds. Whoever is refused a step has lost the fold, and stands by too. */
#ifndef PORTS_OWNER_H
#define PORTS_OWNER_H

#include "ports/outbox.h"

struct owner;

enum {
	OWNER_BEAT_MS = 500,
	OWNER_LOOK_MS = 1500,      /* at the start: whether there is an owner */
	OWNER_STILL_MS = 6000,     /* so long its token stands still until another takes over, */
	OWNER_STILL_MAX_MS = 8000, /* or up to so long, by chance: two must not race */
};

/* All arguments must outlive the owner, but before: what served this process until now, which goes
 * on as what it was; NULL: it starts. prefix: as for outbox_open(). */
struct owner *owner_open(struct store *store, const struct fold *fold, struct log_writer *writer,
	const char *prefix, const struct owner *before);
void owner_close(struct owner *owner);

/* Loads the fold, as store_load(); now is monotonic, here and below. *fresh: nothing was stored.
 * RC_NONE: another process advances the fold, or that is not known yet, as err tells; nothing was
 * loaded, ask again soon. */
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
