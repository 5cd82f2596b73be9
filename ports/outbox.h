/* ports/outbox.h: the relay from a fold's outbox to its topics: at least once, in order, dropped
 * from the outbox only after the broker has acknowledged. TOUCHES: through store.h and log.h. */
#ifndef PORTS_OUTBOX_H
#define PORTS_OUTBOX_H

#include "ports/log.h"
#include "ports/store.h"

struct outbox; /* of one fold */

/* prefix: put before each topic name, with a dot. All arguments must outlive the outbox. */
struct outbox *outbox_open(struct store *store, const struct fold *fold, struct log_writer *writer,
	const char *prefix);
void outbox_close(struct outbox *outbox);

/* Moves what is there: gives new entries to the writer, drops acknowledged ones. Never waits. Cheap
 * when idle: wake tells that a step just had outputs; without it the outbox is looked at once a
 * second. After a reload of the fold the head may have another epoch: the outbox starts over.
 * RC_RETRY: the store, or a topic, takes nothing now; other topics go on. RC_REJECT: an output is
 * larger than its topic takes; it is dropped, because it would hold up everything behind it for
 * ever: to be counted and logged as lost. RC_FATAL: the writer can not go on. An empty key goes out
 * as none, an empty value as a tombstone. */
enum rc outbox_turn(
	struct outbox *outbox, const struct head *head, bool wake, struct err *err) MUST_CHECK;

/* Whether nothing is known to wait. */
bool outbox_is_empty(const struct outbox *outbox);

/* Gives what the writer has acknowledged to the outboxes that it is of: all those that share it.
 * Never waits. */
void outbox_settle(struct outbox *const outboxes[], size_t count, struct log_writer *writer);

/* One acknowledgement; of another outbox it is passed over: the upper 16 bits of a tag are the
 * number of its outbox, so several folds of a process share one writer. */
uint64_t outbox_number(const struct outbox *outbox);
void outbox_written(struct outbox *outbox, uint64_t tag, bool delivered);

#endif
