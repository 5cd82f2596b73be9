/* ingest/place.h: where the fold stands: in its log, in event time, in its own streams; and what
 * became of every offset before. THINKS. Part of the fold of ingest/step.h. */
#ifndef INGEST_PLACE_H
#define INGEST_PLACE_H

#include "ingest/step.h"

enum { GAPS_MAX = 100, TRAIL_MAX = 40 };

struct gap {
	int64_t from, to;
	char reason[64];
};

struct place {
	char topic[256];
	int32_t partition;
	int64_t start, next;     /* offsets: first one folded, next one wanted; -1: none yet */
	int64_t last_offset;     /* of the last message folded; -1: none since a gap */
	uint64_t fingerprint;    /* of that message; 0: to be computed */
	int64_t last_ts;         /* largest of an event; -1: none yet */
	int64_t last_append_ms;  /* largest known of an event; -1: none yet */
	int64_t last_arrival_ms; /* largest append time of any message; -1: none known */
	int64_t again_until_ms;  /* what was appended so far came before and is not counted again;
				    -1: nothing */
	int64_t watermark_ms;    /* 0: none yet */
	bool gap_open;           /* a gap is behind the last event: no tick is whole */
	int64_t whole_from_ms;   /* ticks that begin before may be without what a gap took */
	int64_t rebuilt_from_ms; /* what closed before was not rebuilt after a loss of Redis */
	uint64_t cuts;           /* number of the last one (core/snapshot.h) */
	int64_t cut_ms;          /* the watermark then */
	uint64_t closes, marks;  /* numbers of the last entries of those streams */
	char config_digest[65];  /* of the configuration that the last close record is under */
	struct ingest_counters counters;
	struct gap *gaps; /* the last GAPS_MAX */
	size_t gap_count;
	uint64_t closes_bytes; /* ever written to the stream; and how many before some of its
				  entries */
	struct trail {
		uint64_t sequence, bytes;
	} trail[TRAIL_MAX];
	size_t trail_count;
};

void place_init(struct place *place, const char *log_name);
void place_done(struct place *place);

/* Moves behind an offset; what it jumps over are control records. False: it was passed before. */
bool place_pass(struct place *place, int64_t offset);

/* Whether a message was folded before under another offset: the log was read again from further
 * back. */
bool place_is_repeat(struct place *place, int64_t append_ms);

/* Takes an event's time in: watermark = the largest of min(largest ts, largest append time + 1 s).
 */
void place_event(struct place *place, int64_t ts, int64_t append_ms);

void place_gap(struct place *place, int64_t from, int64_t to, const char *reason);

/* From where on ticks are whole, as is known now: INT64_MAX until an event has come after a gap. */
int64_t place_whole_from(const struct place *place);

/* Whether a cut is due: event time has entered another quarter of rebuild_ms since the last. */
bool place_cut_is_due(const struct place *place, int64_t rebuild_ms);

/* A close record of so many bytes was appended. Not 0: the stream is to lose all before this entry,
 * so that it stays within its share of memory. */
uint64_t place_trim(struct place *place, size_t bytes);

/* Records "cursor" and "counters" (JSON for people, too) of table "state". */
void place_change(const struct place *place, const char *log_name, struct change *change);
enum rc place_restore(
	struct place *place, struct view field, struct view data, struct err *err) MUST_CHECK;

#endif
