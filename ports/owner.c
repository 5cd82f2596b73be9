#include "ports/owner.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <stdlib.h>
#include <string.h>

struct owner {
	struct store *store;
	const struct fold *fold;
	struct log_writer *writer;
	const char *prefix;
	struct outbox *outbox;
	struct head head;
	int64_t step_at; /* the latest time for the next step */
	bool spoke;      /* a step had outputs since the last relay */

	struct doubt {
		bool is;               /* perhaps another process owns the fold */
		bool starts;           /* not one step of it was seen yet */
		char seen[TOKEN_SIZE]; /* the token that was stored at the last look; "" = none */
		int64_t seen_at;       /* since when it stands still */
		int64_t still_ms;      /* how long it may */
	} doubt;
};

struct owner *owner_open(struct store *store, const struct fold *fold, struct log_writer *writer,
	const char *prefix, const struct owner *before)
{
	struct owner *owner = memory_new(1, sizeof *owner);

	*owner = (struct owner){.store = store, .fold = fold, .writer = writer, .prefix = prefix};
	owner->outbox = outbox_open(store, fold, writer, prefix);
	if (before)
		owner->doubt = before->doubt;
	else
		owner->doubt = (struct doubt){.is = true, .starts = true};
	return owner;
}

void owner_close(struct owner *owner)
{
	if (!owner)
		return;
	outbox_close(owner->outbox);
	free(owner);
}

/* ---- who owns the fold */

/* Whether what is stored is the step before the refused one, or that very step, whose answer was
 * lost: then no other process is there. */
static bool is_own(const struct owner *owner, const struct head *stored)
{
	return strcmp(stored->token, owner->head.token) == 0 ||
	       strcmp(stored->token, owner->head.tried) == 0;
}

static bool stands_still(struct doubt *doubt, const struct head *stored, int64_t now)
{
	uint32_t chance;

	if (strcmp(stored->token, doubt->seen) == 0)
		return now - doubt->seen_at >= doubt->still_ms;
	doubt->starts = doubt->starts && !doubt->seen[0];
	memcpy(doubt->seen, stored->token, sizeof doubt->seen);
	doubt->seen_at = now;
	clock_chance(&chance, sizeof chance);
	doubt->still_ms = doubt->starts
				  ? OWNER_LOOK_MS
				  : OWNER_STILL_MS + chance % (OWNER_STILL_MAX_MS - OWNER_STILL_MS);
	return false;
}

/* What the outbox held when the fold was lost may have gone out since, with younger records behind
 * it. */
static void take_over(struct owner *owner)
{
	outbox_close(owner->outbox);
	owner->outbox = outbox_open(owner->store, owner->fold, owner->writer, owner->prefix);
}

/* RC_NONE: another process does, or that is not known yet. */
static enum rc ask(struct owner *owner, int64_t now, struct err *err)
{
	struct doubt *doubt = &owner->doubt;
	struct head stored;

	if (!doubt->is)
		return RC_OK;
	enum rc rc = store_head(owner->store, owner->fold, &stored, err);

	if (rc != RC_OK && rc != RC_NONE)
		return rc;
	if (rc == RC_OK && !is_own(owner, &stored)) {
		if (!stands_still(doubt, &stored, now))
			return err_set(err, RC_NONE, "%sanother process advances this fold",
				doubt->starts ? "looking whether " : "");
		take_over(owner);
	}
	*doubt = (struct doubt){0};
	return RC_OK;
}

/* ---- the fold */

enum rc owner_load(struct owner *owner, store_record record, void *context, int64_t now,
	bool *fresh, struct err *err)
{
	TRY(ask(owner, now, err));
	TRY(store_load(owner->store, owner->fold, &owner->head, record, context, err));
	*fresh = owner->head.fresh;
	owner->step_at = now;
	owner->spoke = true; /* the outbox may have what was not relayed before */
	return RC_OK;
}

enum rc owner_advance(struct owner *owner, struct change *change, int64_t now, struct err *err)
{
	bool speaks = change->output_count > 0;

	if (!change->write_count && !speaks && now < owner->step_at)
		return RC_OK;
	enum rc rc = store_advance(owner->store, owner->fold, &owner->head, change, err);

	change_clear(change);
	owner->doubt.is = rc == RC_REJECT;
	owner->step_at = now + OWNER_BEAT_MS;
	owner->spoke = owner->spoke || speaks;
	return rc == RC_REJECT ? RC_RETRY : rc;
}

enum rc owner_relay(struct owner *owner, struct err *err)
{
	bool wake = owner->spoke;

	owner->spoke = false;
	outbox_settle(&owner->outbox, 1, owner->writer);
	return outbox_turn(owner->outbox, &owner->head, wake, err);
}
