/* ports/store.h: where folds keep their state: Redis, or memory (replay and flow tests).
 * TOUCHES. Implementations: store_redis.c (over redis.c, the one user of hiredis) and
 * store_memory.c; both obey this contract, and tests/unit and tests/live hold both to it.
 *
 * A fold is one service reading one log. Its head holds the token of its last step and the epoch, a
 * random name in every key, so that what was lost and what was built anew never mix. Keys:
 *     PREFIX:{LOG}:SERVICE:head                    token, epoch
 *     PREFIX:{LOG}:SERVICE:EPOCH:TABLE             a hash, or a stream
 *     PREFIX:{LOG}:SERVICE:EPOCH:outbox            a stream of outputs that topics do not have yet
 *     PREFIX:folds                                 the set of SERVICE/LOG ever seen
 * All keys of one log share a hash tag, so one Redis Cluster slot. */
#ifndef PORTS_STORE_H
#define PORTS_STORE_H

#include "core/change.h"
#include "core/config.h"

struct store;

enum { TOKEN_SIZE = 33, EPOCH_SIZE = 17, LOG_NAME_SIZE = 280 };

struct fold {
	const char *service;     /* "ingest", "detectors", "alerts", "remediate" */
	char log[LOG_NAME_SIZE]; /* "ml.events-3"; "alerts", "remediate" for the two single folds */
};

struct head {
	bool fresh;             /* nothing was stored: the fold starts anew, under a new epoch */
	char token[TOKEN_SIZE]; /* hex; "" when fresh */
	char epoch[EPOCH_SIZE]; /* hex */
	char tried[TOKEN_SIZE]; /* of the last step that was tried, whatever came of it */
};

/* Does not connect: the first call does, and after a failure each call tries again (at most once a
 * second; RC_RETRY meanwhile). settings must outlive the store. A wrong password, a certificate
 * that we do not believe, a Redis without our function or with an eviction policy are RC_FATAL with
 * a sentence that says what to do. */
enum rc store_open(
	const struct config_redis *settings, struct store **opened, struct err *err) MUST_CHECK;
struct store *store_memory_open(void);

/* Of a memory store only: all that it holds, as a backup or a replica would. */
struct store *store_memory_copy(struct store *store);
void store_close(struct store *store);

/* Loads (or replaces) the function library. For `modelwatch init`. */
enum rc store_install(struct store *store, struct err *err) MUST_CHECK;

typedef enum rc (*store_record)(
	void *context, struct view field, struct view data, struct err *err);
typedef enum rc (*store_entry)(void *context, uint64_t sequence, struct view data, struct err *err);

/* Reads the head and every record of table "state", sorted by field, as one consistent picture. */
enum rc store_load(struct store *store, const struct fold *fold, struct head *head,
	store_record record, void *context, struct err *err) MUST_CHECK;

/* Carries one step out: if the stored token is head->token (or nothing is stored and head is
 * fresh), all writes and outputs and a new random token are stored, atomically, and head has the
 * new token. RC_REJECT: another token is stored, or the answer was lost, or the connection;
 * RC_RETRY: Redis is unwell (out of memory, loading, read-only). After anything but RC_OK the
 * caller drops its memory and loads again: the step may or may not have happened. Nothing is stored
 * in part. */
enum rc store_advance(struct store *store, const struct fold *fold, struct head *head,
	const struct change *change, struct err *err) MUST_CHECK;

/* The head of somebody's fold. RC_NONE: there is none. */
enum rc store_head(struct store *store, const struct fold *fold, struct head *head,
	struct err *err) MUST_CHECK;

/* All records of a table, sorted by field. An absent table has none. */
enum rc store_table(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, store_record record, void *context, struct err *err) MUST_CHECK;

/* One record, appended to data. RC_NONE: not there. */
enum rc store_get(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, struct view field, struct bytes *data, struct err *err) MUST_CHECK;

/* Up to max entries of a stream with numbers >= from, in order. */
enum rc store_stream(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, uint64_t from, size_t max, store_entry entry, void *context,
	struct err *err) MUST_CHECK;

/* Outputs wait in the outbox in the order of their steps. ids are the store's; after its record has
 * arrived in the topic an entry is dropped by id. Dropping twice is harmless. No id is given twice,
 * not even by a store that went back in time: a process that has not seen that drops its old ones.
 */
struct outbox_entry {
	char id[48];
	struct view topic, key, value, headers; /* valid during the call */
};
typedef enum rc (*store_output)(void *context, const struct outbox_entry *entry, struct err *err);
enum rc store_outbox(struct store *store, const struct fold *fold, const struct head *head,
	const char *after_id, size_t max, store_output output, void *context,
	struct err *err) MUST_CHECK;
enum rc store_outbox_drop(struct store *store, const struct fold *fold, const struct head *head,
	const char *const ids[], size_t count, struct err *err) MUST_CHECK;

/* Every fold ever seen: "SERVICE/LOG" as field, no data; sorted. */
enum rc store_folds(
	struct store *store, store_record record, void *context, struct err *err) MUST_CHECK;

#endif
