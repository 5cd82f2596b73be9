/* ports/store.c: draws tokens and epochs, and hands every call to the implementation. */
#include "ports/store.h"

#include "ports/clock.h"
#include "ports/crash_point.h"
#include "ports/store_kind.h"

#include <stdio.h>
#include <string.h>

/* Fills hex with random hexadecimal digits and a NUL; size is odd, at most TOKEN_SIZE. */
static void draw(char *hex, size_t size)
{
	unsigned char bytes[TOKEN_SIZE / 2];

	clock_chance(bytes, size / 2);
	for (size_t i = 0; i < size / 2; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

void store_close(struct store *store)
{
	if (store)
		store->kind->close(store);
}

enum rc store_install(struct store *store, struct err *err)
{
	return store->kind->install(store, err);
}

enum rc store_load(struct store *store, const struct fold *fold, struct head *head,
	store_record record, void *context, struct err *err)
{
	*head = (struct head){0};
	TRY(store->kind->load(store, fold, head, record, context, err));
	CRASH_POINT("store.after_load");
	if (head->fresh)
		draw(head->epoch, sizeof head->epoch);
	return RC_OK;
}

enum rc store_advance(struct store *store, const struct fold *fold, struct head *head,
	const struct change *change, struct err *err)
{
	draw(head->tried, sizeof head->tried);
	CRASH_POINT("store.before_advance");
	TRY(store->kind->advance(store, fold, head, head->tried, change, err));
	CRASH_POINT("store.after_advance");
	memcpy(head->token, head->tried, sizeof head->token);
	head->fresh = false;
	return RC_OK;
}

enum rc store_head(struct store *store, const struct fold *fold, struct head *head, struct err *err)
{
	return store->kind->head(store, fold, head, err);
}

enum rc store_table(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, store_record record, void *context, struct err *err)
{
	return store->kind->table(store, fold, head, table, record, context, err);
}

enum rc store_get(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, struct view field, struct bytes *data, struct err *err)
{
	return store->kind->get(store, fold, head, table, field, data, err);
}

enum rc store_stream(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, uint64_t from, size_t max, store_entry entry, void *context,
	struct err *err)
{
	return store->kind->stream(store, fold, head, table, from, max, entry, context, err);
}

enum rc store_outbox(struct store *store, const struct fold *fold, const struct head *head,
	const char *after_id, size_t max, store_output output, void *context, struct err *err)
{
	return store->kind->outbox(store, fold, head, after_id, max, output, context, err);
}

enum rc store_outbox_drop(struct store *store, const struct fold *fold, const struct head *head,
	const char *const ids[], size_t count, struct err *err)
{
	return store->kind->outbox_drop(store, fold, head, ids, count, err);
}

enum rc store_folds(struct store *store, store_record record, void *context, struct err *err)
{
	return store->kind->folds(store, record, context, err);
}
