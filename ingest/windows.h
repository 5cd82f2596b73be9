/* ingest/windows.h: the windows that are open, and what becomes of them when they close: a closed
 * tick for the detectors, a record for people, a part of the minute and of the ten minutes that
 * they fell into. THINKS. Part of the fold of ingest/step.h. */
#ifndef INGEST_WINDOWS_H
#define INGEST_WINDOWS_H

#include "core/close.h"
#include "ingest/models.h"

struct open_window {
	struct window window;
	struct arm *arm;
	enum level level;
	enum signal signal;
	bool stored;  /* the state has a record of it */
	size_t dirty; /* its place in the list of changed ones, from 1; 0: not changed */
};

struct windows { /* all zero but the first three is valid and empty */
	const struct config *config;
	struct models *models;
	struct change *change; /* where what closes is written to */
	struct open_window **changed;
	size_t changed_count, changed_capacity;
	size_t count;          /* open ones */
	int64_t next_close_ms; /* no span closes before the watermark is here; INT64_MAX: none is
				  open */
	struct closed_tick *closed; /* in the order in which they closed; taken by step.c */
	size_t closed_count, closed_capacity;
};

enum { OPEN_TICKS_MAX = 4096 }; /* of a model: what events from the future may open */

void windows_done(struct windows *windows); /* before models_done() */

/* The start of the span of this length that a moment falls into. */
int64_t windows_floor(int64_t ms, int64_t length_ms);

/* Whether the tick from from_ms on is open or may be opened. */
bool windows_may_open(const struct model *model, int64_t from_ms);

/* Counts one event in the tick of its arm's model that begins at from_ms. */
void windows_count_event(
	struct windows *windows, struct arm *arm, int64_t from_ms, const struct event *event);
void windows_count_late(
	struct windows *windows, struct arm *arm, int64_t from_ms, int64_t lateness_ms);

/* Closes all that the watermark has passed. */
void windows_close(struct windows *windows, int64_t watermark_ms);

/* Closes everything: minutes and ten minutes as they stand, ticks at the watermark that closes the
 * last of them, or at this one if it is further: returned. */
int64_t windows_close_all(struct windows *windows, int64_t watermark_ms);

/* Frees the closed ticks: they were told. */
void windows_forget_closed(struct windows *windows);

/* Records "open:LEVEL:..." of table "state": changed ones written; one read back (after its model).
 */
void windows_change(struct windows *windows, struct change *change);
enum rc windows_restore(
	struct windows *windows, struct view field, struct view data, struct err *err) MUST_CHECK;

#endif
