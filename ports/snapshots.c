/* ports/snapshots.c: snapshots of one fold, into its outbox and out of the topic.
 * TOUCHES: through store.h, inputs.h. */
#include "ports/snapshots.h"

#include "core/memory.h"
#include "core/topics.h"
#include "ports/inputs.h"

#include <stdlib.h>

enum { TAKE_MAX = 100, TAKE_WAIT_MS = 50, READ_AGE_MS = 5000 };

/* ---- writing */

static enum rc add_record(void *context, struct view field, struct view data, struct err *err)
{
	(void)err;
	if (!view_is(field, FIELD_SNAPSHOT) && !view_is(field, FIELD_RESTORED))
		snapshot_add(context, field, data);
	return RC_OK;
}

enum rc snapshot_take(struct store *store, const struct fold *fold, struct head *head,
	const struct cut *cut, struct err *err)
{
	CLEANUP(bytes_done) struct bytes records = {0};
	CLEANUP(change_done) struct change change = {0};

	TRY(store_table(store, fold, head, TABLE_STATE, add_record, &records, err));
	snapshot_emit(&change, fold->service, fold->log, cut, bytes_view(&records));
	change_drop(&change, TABLE_STATE, view_of(FIELD_SNAPSHOT));
	return store_advance(store, fold, head, &change, err);
}

/* ---- finding */

struct snapshot_search {
	struct log *log;
	const char *prefix;
	struct inputs *inputs;   /* NULL: nobody asked yet */
	const struct fold *fold; /* whose turn it is; NULL: anybody's */
	struct cursors cursors;  /* from the beginning of each partition */
	struct snapshots found;
};

struct snapshot_search *snapshot_search_open(struct log *log, const char *prefix)
{
	struct snapshot_search *search = memory_new(1, sizeof *search);

	*search = (struct snapshot_search){.log = log, .prefix = prefix};
	return search;
}

void snapshot_search_end(struct snapshot_search *search, const struct fold *fold)
{
	if (search->fold != fold)
		return;
	inputs_stop(search->inputs);
	cursors_done(&search->cursors);
	snapshots_done(&search->found);
	search->fold = NULL;
}

void snapshot_search_close(struct snapshot_search *search)
{
	if (!search)
		return;
	if (search->fold)
		snapshot_search_end(search, search->fold);
	inputs_close(search->inputs);
	free(search);
}

static enum rc begin(struct snapshot_search *search, const struct fold *fold, struct err *err)
{
	const char *const topics[] = {TOPIC_STATE};

	if (!search->inputs)
		TRY(inputs_open(search->log, search->prefix, topics, 1, &search->inputs, err));
	TRY(inputs_start(search->inputs, &search->cursors, err));
	search->found = (struct snapshots){.service = fold->service, .log = fold->log};
	search->fold = fold;
	return RC_OK;
}

/* What is damaged is passed over: an older snapshot serves as well. */
static void take(struct snapshots *found, const struct log_message *messages, size_t count)
{
	struct err ignored;

	for (size_t i = 0; i < count; i++) {
		enum rc rc = snapshots_take(found, messages[i].key, messages[i].value, &ignored);

		(void)rc;
	}
}

enum rc snapshot_search(struct snapshot_search *search, const struct fold *fold,
	const struct snapshots **found, struct err *err)
{
	const struct log_message *messages;
	size_t count;

	if (search->fold && search->fold != fold)
		return RC_NONE;
	if (!search->fold)
		TRY(begin(search, fold, err));
	enum rc rc = inputs_take(search->inputs, TAKE_WAIT_MS, TAKE_MAX, &messages, &count, err);

	if (rc == RC_RETRY || rc == RC_FATAL)
		return rc;
	take(&search->found, messages, count);
	*found = &search->found;
	return inputs_are_read(search->inputs, READ_AGE_MS) ? RC_OK : RC_NONE;
}

/* ---- bringing back */

enum rc snapshot_bring_back(struct store *store, const struct fold *fold, struct head *head,
	const struct snapshot *snapshot, struct err *err)
{
	CLEANUP(change_done) struct change change = {0};

	snapshot_restore(snapshot, &change);
	return store_advance(store, fold, head, &change, err);
}
