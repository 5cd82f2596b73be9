#include "tests/sim/faulty_store.h"

#include "core/memory.h"
#include "ports/store_kind.h"
#include "tests/sim/trace.h"

#include <stdlib.h>
#include <string.h>

struct faulty {
	struct store store;
	struct store *inside, *backup;
	struct chance *chance;
	struct store_faults faults;
	bool rewound;
};

static struct faulty *faulty_of(struct store *store)
{
	return (struct faulty *)store;
}

enum mishap { MISHAP_NONE, MISHAP_REFUSED, MISHAP_LOST, MISHAP_CRASH_BEFORE, MISHAP_CRASH_AFTER };

static enum mishap mishap_of(struct faulty *faulty)
{
	const struct store_faults *faults = &faulty->faults;
	double draw = chance_uniform(faulty->chance);

	if (draw < faults->refused)
		return MISHAP_REFUSED;
	if (draw < faults->refused + faults->answer_lost)
		return MISHAP_LOST;
	if (draw < faults->refused + faults->answer_lost + faults->crash)
		return chance_hits(faulty->chance, 0.5) ? MISHAP_CRASH_BEFORE : MISHAP_CRASH_AFTER;
	return MISHAP_NONE;
}

static const char *const mishap_names[] = {"", "refused", "done, its answer lost",
	"the process dies before it", "done, and the process dies"};

/* The call between what may go wrong before it and after it. */
#define WITH_MISHAP(faulty, fold, what, call)                                                      \
	do {                                                                                       \
		enum mishap mishap_ = mishap_of(faulty);                                           \
		if (mishap_)                                                                       \
			trace((fold)->service, "%s: %s of %s: %s", (fold)->log, what,              \
				(fold)->service, mishap_names[mishap_]);                           \
		if (mishap_ == MISHAP_REFUSED)                                                     \
			return err_set(err, RC_RETRY, "simulated: refused");                       \
		if (mishap_ == MISHAP_CRASH_BEFORE)                                                \
			return err_set(err, RC_FATAL, "simulated: crash before");                  \
		enum rc rc_ = (call);                                                              \
		if (mishap_ == MISHAP_LOST)                                                        \
			return err_set(err, RC_REJECT, "simulated: answer lost");                  \
		if (mishap_ == MISHAP_CRASH_AFTER)                                                 \
			return err_set(err, RC_FATAL, "simulated: crash after");                   \
		return rc_;                                                                        \
	} while (0)

static enum rc load(struct store *store, const struct fold *fold, struct head *head,
	store_record record, void *context, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	WITH_MISHAP(faulty, fold, "load",
		faulty->inside->kind->load(faulty->inside, fold, head, record, context, err));
}

/* The step, and one more write that its table does not take. */
static enum rc advance_unfit(struct faulty *faulty, const struct fold *fold,
	const struct head *head, const char *next, const struct change *change, struct err *err)
{
	CLEANUP(change_done) struct change unfit = {0};

	bytes_add(&unfit.arena, change->arena.data, change->arena.size);
	unfit.writes = memory_new(change->write_count + 1, sizeof *unfit.writes);
	memcpy(unfit.writes, change->writes, change->write_count * sizeof *unfit.writes);
	unfit.write_count = change->write_count;
	unfit.write_capacity = change->write_count + 1;
	change_append(&unfit, "state", 1, view_of("unfit"), 0, 0);
	enum rc rc = faulty->inside->kind->advance(faulty->inside, fold, head, next, &unfit, err);

	trace(fold->service, "%s: a step that does not fit", fold->log);
	return rc == RC_OK ? err_set(err, RC_FATAL, "simulated: it fitted") : rc;
}

static enum rc advance(struct store *store, const struct fold *fold, const struct head *head,
	const char *next, const struct change *change, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	if (chance_hits(faulty->chance, faulty->faults.unfit))
		return advance_unfit(faulty, fold, head, next, change, err);
	WITH_MISHAP(faulty, fold, "step",
		faulty->inside->kind->advance(faulty->inside, fold, head, next, change, err));
}

static enum rc head_of(
	struct store *store, const struct fold *fold, struct head *head, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	return faulty->inside->kind->head(faulty->inside, fold, head, err);
}

static enum rc table(struct store *store, const struct fold *fold, const struct head *head,
	const char *name, store_record record, void *context, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	return faulty->inside->kind->table(faulty->inside, fold, head, name, record, context, err);
}

static enum rc get(struct store *store, const struct fold *fold, const struct head *head,
	const char *name, struct view field, struct bytes *data, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	return faulty->inside->kind->get(faulty->inside, fold, head, name, field, data, err);
}

static enum rc stream(struct store *store, const struct fold *fold, const struct head *head,
	const char *name, uint64_t from, size_t max, store_entry entry, void *context,
	struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	WITH_MISHAP(faulty, fold, "reading",
		faulty->inside->kind->stream(
			faulty->inside, fold, head, name, from, max, entry, context, err));
}

static enum rc outbox(struct store *store, const struct fold *fold, const struct head *head,
	const char *after_id, size_t max, store_output output, void *context, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	return faulty->inside->kind->outbox(
		faulty->inside, fold, head, after_id, max, output, context, err);
}

static enum rc outbox_drop(struct store *store, const struct fold *fold, const struct head *head,
	const char *const ids[], size_t count, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	WITH_MISHAP(faulty, fold, "dropping",
		faulty->inside->kind->outbox_drop(faulty->inside, fold, head, ids, count, err));
}

static enum rc folds(struct store *store, store_record record, void *context, struct err *err)
{
	struct faulty *faulty = faulty_of(store);

	return faulty->inside->kind->folds(faulty->inside, record, context, err);
}

static void close_faulty(struct store *store)
{
	struct faulty *faulty = faulty_of(store);

	store_close(faulty->inside);
	if (faulty->backup)
		store_close(faulty->backup);
	free(faulty);
}

static const struct store_kind faulty_kind = {
	.close = close_faulty,
	.load = load,
	.advance = advance,
	.head = head_of,
	.table = table,
	.get = get,
	.stream = stream,
	.outbox = outbox,
	.outbox_drop = outbox_drop,
	.folds = folds,
};

struct store *faulty_store_open(struct chance *chance)
{
	struct faulty *faulty = memory_new(1, sizeof *faulty);

	faulty->store.kind = &faulty_kind;
	faulty->inside = store_memory_open();
	faulty->chance = chance;
	return &faulty->store;
}

void faulty_store_set(struct store *store, const struct store_faults *faults)
{
	faulty_of(store)->faults = *faults;
}

void faulty_store_back_up(struct store *store)
{
	struct faulty *faulty = faulty_of(store);

	if (faulty->backup)
		store_close(faulty->backup);
	faulty->backup = store_memory_copy(faulty->inside);
}

bool faulty_store_go_back(struct store *store)
{
	struct faulty *faulty = faulty_of(store);

	if (!faulty->backup)
		return false;
	store_close(faulty->inside);
	faulty->inside = faulty->backup;
	faulty->backup = NULL;
	faulty->rewound = true;
	return true;
}

void faulty_store_empty(struct store *store)
{
	struct faulty *faulty = faulty_of(store);

	store_close(faulty->inside);
	faulty->inside = store_memory_open();
	faulty->rewound = true;
}

struct store *faulty_store_inside(struct store *store)
{
	return faulty_of(store)->inside;
}

bool faulty_store_was_rewound(const struct store *store)
{
	return ((const struct faulty *)store)->rewound;
}
