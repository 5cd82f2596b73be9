/* ingest/step.h: the fold of ingest over one partition of a topic: messages and idle marks in,
 * windows, close records and dead letters out. THINKS: no I/O, no clock. What it says depends on
 * the log (and marks) and the configuration alone; never on how messages were spread over steps,
 * nor on restarts in between (ingest_restore() of what ingest_change() stored).
 *
 * Every offset from the start on is exactly one of counted, rejected by code, late, duplicate,
 * control, or in a recorded gap. */
#ifndef INGEST_STEP_H
#define INGEST_STEP_H

#include "core/change.h"
#include "core/config.h"
#include "core/event.h"
#include "core/snapshot.h"
#include "ports/log.h"

struct ingest;

/* log_name: "TOPIC-PARTITION"; format: NULL for our own events. config and format must outlive it.
 */
struct ingest *ingest_new(
	const struct config *config, const char *log_name, const struct format *format);
void ingest_free(struct ingest *ingest);

/* From the next message on: for recordings whose files are of several formats. */
void ingest_use_format(struct ingest *ingest, const struct format *format);

/* One record of table "state", in order of fields, before anything else: a store_record
 * (ports/store.h). RC_FATAL: damaged, or of a later version. */
enum rc ingest_restore(void *ingest, struct view field, struct view data, struct err *err);

/* Folds one message. Offsets below ingest_offset() were folded before: ignored. */
void ingest_message(struct ingest *ingest, const struct log_message *message);

/* Event time is taken to have come this far while the log was at its end. Ignored unless it is
 * further than the watermark, and before the first event. */
void ingest_mark(struct ingest *ingest, int64_t watermark_ms);

/* The end of recorded input: closes everything. */
void ingest_close_all(struct ingest *ingest);

/* Offsets [from, to) of the log are not to be had (reason: a word or two); what comes next is `to`.
 * from is ingest_offset(). to may be lower: another log has taken the place of the one that was
 * read, or its tail was lost; then what was appended no later than anything that was folded is a
 * duplicate. */
void ingest_gap(struct ingest *ingest, int64_t from, int64_t to, const char *reason);

/* Whether a step would store anything; whether it should be made now (ticks have closed, dead
 * letters wait). */
bool ingest_is_dirty(const struct ingest *ingest);
bool ingest_wants_step(const struct ingest *ingest);

/* The step: everything since the last call, into an empty change. */
void ingest_change(struct ingest *ingest, struct change *change);

/* The cut whose snapshot the next step is to write (ports/snapshots.h), without an epoch: the last
 * step made it. NULL: none. */
const struct cut *ingest_cut(const struct ingest *ingest);
/* It was written. */
void ingest_cut_taken(struct ingest *ingest);

int64_t ingest_offset(
	const struct ingest *ingest); /* next one wanted; -1: nothing was folded yet */
int64_t ingest_watermark(const struct ingest *ingest);
int64_t ingest_last_ts(const struct ingest *ingest); /* largest seen; -1: no event yet */
int64_t ingest_next_close(
	const struct ingest *ingest); /* the watermark that closes something; INT64_MAX */
size_t ingest_model_count(const struct ingest *ingest);
size_t ingest_open_windows(const struct ingest *ingest);

/* The last message before the last step, or before what was restored, for proving that the log is
 * still the same one: its offset (-1: none) and cursor_fingerprint() (core/cursor.h). */
int64_t ingest_fingerprint(const struct ingest *ingest, uint64_t *fingerprint);

struct ingest_counters {
	int64_t counted, late, duplicate, control;
	int64_t rejected[E_CODES];
	int64_t types[EVENT_TYPES]; /* of counted and late ones */
	int64_t closed_ticks;       /* since this process began; the others are of the state */
};
const struct ingest_counters *ingest_counters(const struct ingest *ingest);

#endif
