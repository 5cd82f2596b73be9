/* tests/fuzz/restore.h: any bytes as what a store holds of a fold: records of its table "state",
 * which may be damaged, or of another version. A fold takes each or says why not; what it stores
 * after that it finds again itself, or one damaged record would end every life to come. */
#ifndef TESTS_FUZZ_RESTORE_H
#define TESTS_FUZZ_RESTORE_H

#include "core/topics.h"
#include "ports/store.h"
#include "tests/fuzz/fuzz.h"

struct restoring {
	enum rc (*restore)(void *fold, struct view field, struct view data, struct err *err);
	void *fold;
};

static struct view take_bytes(struct view *rest, size_t size)
{
	struct view taken = {rest->data, size < rest->size ? size : rest->size};

	*rest = (struct view){rest->data + taken.size, rest->size - taken.size};
	return taken;
}

static size_t take_size(struct view *rest)
{
	struct view two = take_bytes(rest, 2);

	return two.size < 2 ? 0
			    : (size_t)(unsigned char)two.data[0] |
				      (size_t)(unsigned char)two.data[1] << 8;
}

/* A record is the size of its field and the field, then the size of its data in two bytes and the
 * data. */
static void put_records(struct view rest, struct change *change)
{
	while (rest.size) {
		size_t size = (unsigned char)take_bytes(&rest, 1).data[0];
		struct view field = take_bytes(&rest, size);

		size = take_size(&rest);
		change_put(change, TABLE_STATE, field, take_bytes(&rest, size));
	}
}

/* From memory of exactly their sizes, so that a sanitizer sees every overrun. */
static enum rc restore_exactly(void *context, struct view field, struct view data, struct err *err)
{
	struct restoring *restoring = context;
	char *name = malloc(field.size ? field.size : 1);
	char *bytes = malloc(data.size ? data.size : 1);

	if (field.size)
		memcpy(name, field.data, field.size);
	if (data.size)
		memcpy(bytes, data.data, data.size);
	enum rc rc = restoring->restore(restoring->fold, (struct view){name, field.size},
		(struct view){bytes, data.size}, err);

	CLAIM(rc == RC_OK || rc == RC_FATAL || rc == RC_REJECT);
	free(name);
	free(bytes);
	return rc;
}

/* Stores the change as a step of this fold, and restores all that is stored then. False: refused.
 */
static bool restore_after(struct store *store, const struct fold *fold, struct head *head,
	const struct change *change, struct restoring restoring)
{
	struct err err = {0};

	CLAIM(store_advance(store, fold, head, change, &err) == RC_OK);
	enum rc rc = store_load(store, fold, head, restore_exactly, &restoring, &err);

	CLAIM(rc == RC_OK || err.text[0]);
	return rc == RC_OK;
}

/* NAME_new_empty() makes a fold, NAME_go_on() lets it do something: both of the target. */
#define RESTORE_TARGET(name)                                                                       \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                               \
	{                                                                                          \
		static const struct fold fold = {#name, "ml.events-0"};                            \
		struct store *store = store_memory_open();                                         \
		struct head head = {.fresh = true};                                                \
		struct name *one = name##_new_empty(), *again = name##_new_empty();                \
		CLEANUP(change_done) struct change given = {0};                                    \
		CLEANUP(change_done) struct change written = {0};                                  \
                                                                                                   \
		put_records(input_view(data, size), &given);                                       \
		if (restore_after(store, &fold, &head, &given,                                     \
			    (struct restoring){name##_restore, one})) {                            \
			name##_go_on(one);                                                         \
			name##_change(one, &written);                                              \
			CLAIM(restore_after(store, &fold, &head, &written,                         \
				(struct restoring){name##_restore, again}));                       \
		}                                                                                  \
		name##_free(one);                                                                  \
		name##_free(again);                                                                \
		store_close(store);                                                                \
		return 0;                                                                          \
	}

#endif
