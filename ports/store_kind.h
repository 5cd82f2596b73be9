/* ports/store_kind.h: what an implementation of a store gives to store.c.
 * Each one's struct begins with a struct store. The promises are those of store.h, but for what
 * store.c does itself: draw tokens and epochs, and set the head after a step. */
#ifndef PORTS_STORE_KIND_H
#define PORTS_STORE_KIND_H

#include "ports/store.h"

struct store {
	const struct store_kind *kind;
};

struct store_kind {
	void (*close)(struct store *store);
	enum rc (*install)(struct store *store, struct err *err);
	/* Of a fresh fold sets head->fresh, and remembers it for folds(). */
	enum rc (*load)(struct store *store, const struct fold *fold, struct head *head,
		store_record record, void *context, struct err *err);
	/* next: the token to store. The same call twice, nothing between: RC_OK twice, stored once.
	 */
	enum rc (*advance)(struct store *store, const struct fold *fold, const struct head *head,
		const char *next, const struct change *change, struct err *err);
	enum rc (*head)(
		struct store *store, const struct fold *fold, struct head *head, struct err *err);
	enum rc (*table)(struct store *store, const struct fold *fold, const struct head *head,
		const char *table, store_record record, void *context, struct err *err);
	enum rc (*get)(struct store *store, const struct fold *fold, const struct head *head,
		const char *table, struct view field, struct bytes *data, struct err *err);
	enum rc (*stream)(struct store *store, const struct fold *fold, const struct head *head,
		const char *table, uint64_t from, size_t max, store_entry entry, void *context,
		struct err *err);
	enum rc (*outbox)(struct store *store, const struct fold *fold, const struct head *head,
		const char *after_id, size_t max, store_output output, void *context,
		struct err *err);
	enum rc (*outbox_drop)(struct store *store, const struct fold *fold,
		const struct head *head, const char *const ids[], size_t count, struct err *err);
	enum rc (*folds)(struct store *store, store_record record, void *context, struct err *err);
};

#endif
