/* core/snapshot.h: what a fold's state was at a cut, as records of the compacted topic "state", so
 * that it is found again after Redis was lost. THINKS.
 *
 * Ingest cuts its log with a close record (core/close.h); its own state and that of the detectors
 * who have folded exactly that record belong together. A snapshot takes the place of the one
 * SNAPSHOTS_KEPT cuts before it. It is cut into parts that fit into a message, under the keys
 * "SERVICE/LOG/SLOT/PART"; one counts when all its parts are there. */
#ifndef CORE_SNAPSHOT_H
#define CORE_SNAPSHOT_H

#include "core/change.h"
#include "core/err.h"

enum {
	SNAPSHOTS_KEPT = 8,
	SNAPSHOTS_REACH = 4, /* so many of them lie within config.time.rebuild */
};

#define FIELD_SNAPSHOT "snapshot" /* of table "state": the cut whose snapshot is to be written */
#define FIELD_RESTORED "restored" /* of table "state": the cut with which this life began */

struct cut {
	char epoch[17];       /* of ingest's fold; "": its own */
	uint64_t sequence;    /* of the close record; 0: no cut */
	uint64_t number;      /* of cuts of this log, from 1 */
	int64_t watermark_ms; /* after that record */
	int64_t offset;       /* of the last message before it; -1: none */
};

void cut_write(const struct cut *cut, struct bytes *out);
/* False: these bytes are no cut. */
bool cut_read(struct view data, struct cut *cut);

/* Puts FIELD_SNAPSHOT into the step that ends with a cut. */
void cut_put(struct change *change, const struct cut *cut);

/* One record of the state, onto the bytes that a snapshot is made of. */
void snapshot_add(struct bytes *records, struct view field, struct view data);

/* Puts the snapshot's parts into the outputs of a change. */
void snapshot_emit(struct change *change, const char *service, const char *log,
	const struct cut *cut, struct view records);

/* Those of one fold, as they are found in the topic. */
struct snapshot {
	struct cut cut;
	struct bytes
		*parts; /* owned; of those that are not seen yet, data is NULL; freed when whole */
	size_t part_count, seen;
	struct bytes records; /* when it is whole: as snapshot_add() made them */
	bool whole;
};
struct snapshots { /* all zero but service and log is valid and empty */
	const char *service, *log;
	struct snapshot *list;
	size_t count;
};
void snapshots_done(struct snapshots *snapshots);

/* Takes one record of the topic in, if it is of this fold. RC_REJECT: it is damaged, or of a later
 * version; what was seen before stays. */
enum rc snapshots_take(struct snapshots *snapshots, struct view key, struct view value,
	struct err *err) MUST_CHECK;

/* The whole snapshot of this cut (its offset aside, which is ingest's); NULL. */
const struct snapshot *snapshots_at(const struct snapshots *snapshots, const struct cut *cut);

/* The newest whole one that lies at least so long before the newest; NULL. */
const struct snapshot *snapshots_before(const struct snapshots *snapshots, int64_t reach_ms);

/* The next whole one after a cut, by number; NULL. */
const struct snapshot *snapshots_after(const struct snapshots *snapshots, const struct cut *cut);

/* Puts the records of a whole one, and FIELD_RESTORED, into table "state" of a change. */
void snapshot_restore(const struct snapshot *snapshot, struct change *change);

#endif
