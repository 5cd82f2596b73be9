/* core/cursor.h: how far a fold has read its topics: per partition the next offset, and the
 * fingerprint of the last message before it, since an offset alone does not prove that the log is
 * the same one. THINKS. */
#ifndef CORE_CURSOR_H
#define CORE_CURSOR_H

#include "core/change.h"

struct cursor {
	char topic[256]; /* full name */
	int32_t partition;
	int64_t next;         /* offset of the first message not taken in */
	uint64_t fingerprint; /* cursor_fingerprint() of the message before; 0 = none yet */
	bool dirty;
};

struct cursors { /* all zero is valid and empty */
	struct cursor *list;
	size_t count;
};

void cursors_done(struct cursors *cursors);
/* The cursor of a partition, made (next = -1: not known) at its first use; valid until the next one
 * is made. */
struct cursor *cursors_of(struct cursors *cursors, const char *topic, int32_t partition);
/* False: the message was taken in before. Else the cursor now stands behind it. */
bool cursor_pass(struct cursor *cursor, int64_t offset, int64_t append_ms, struct view key,
	struct view value);
/* The first 64 bits of the SHA-256 over append time, key and value; never 0. */
uint64_t cursor_fingerprint(int64_t append_ms, struct view key, struct view value);

/* Records "cursor:TOPIC-PARTITION" of table "state": dirty ones written; read back (RC_NONE:
 * another field). */
void cursors_change(struct cursors *cursors, struct change *change);
enum rc cursors_restore(
	struct cursors *cursors, struct view field, struct view data, struct err *err) MUST_CHECK;

#endif
