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

	bool refused;          /* the last step was: perhaps another process owns the fold */
	char seen[TOKEN_SIZE]; /* its token, while it does; "" = not known */
	int64_t seen_at;       /* since when it stands still */
	int64_t still_ms;      /* how long it may */
};

struct owner *owner_open(
	struct store *store, const struct fold *fold, struct log_writer *writer, const char *prefix)
{
	struct owner *owner = memory_new(1, sizeof *owner);

	*owner = (struct owner){.store = store, .fold = fold, .writer = writer, .prefix = prefix};
	owner->outbox = outbox_open(store, fold, writer, prefix);
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

static bool stands_still(struct owner *owner, const struct head *stored, int64_t now)
{
	uint32_t chance;

	if (strcmp(stored->token, owner->seen) == 0)
		return now - owner->seen_at >= owner->still_ms;
	memcpy(owner->seen, stored->token, sizeof owner->seen);
	clock_chance(&chance, sizeof chance);
	owner->seen_at = now;
	owner->still_ms = OWNER_STILL_MS + chance % (OWNER_STILL_MAX_MS - OWNER_STILL_MS);
	return false;
}

/* What the outbox held when the fold was lost may have gone out since, with younger records behind
 * it. */
static void take_over(struct owner *owner)
{
	outbox_close(owner->outbox);
	owner->outbox = outbox_open(owner->store, owner->fold, owner->writer, owner->prefix);
}

/* RC_NONE: it is another process. */
static enum rc ask(struct owner *owner, int64_t now, struct err *err)
{
	struct head stored;

	if (!owner->refused)
		return RC_OK;
	enum rc rc = store_head(owner->store, owner->fold, &stored, err);

	if (rc != RC_OK && rc != RC_NONE)
		return rc;
	if (rc == RC_OK && !is_own(owner, &stored)) {
		if (!stands_still(owner, &stored, now))
			return err_set(err, RC_NONE, "another process advances %s/%s",
				owner->fold->service, owner->fold->log);
		take_over(owner);
	}
	owner->refused = false;
	owner->seen[0] = '\0';
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
	owner->refused = rc == RC_REJECT;
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
