/* core/window.h: one series in one tick: integer bins and exact sums, additive.
 * THINKS. Its blob is window_blob.c, its JSON window_json.c. */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include "core/bytes.h"
#include "core/layout.h"

enum { NAME_SIZE = 129, SIGNAL_SIZE = 160 };

/* Which series. Names are NUL-terminated; version is "" for rate and late (which go by role), and
 * where the producer gave none. signal: "latency", "errors", "rate", "score", "class", "late". */
struct series {
	char model[NAME_SIZE];
	char version[NAME_SIZE];
	char role[NAME_SIZE]; /* "production" or "canary" */
	char segment[NAME_SIZE];
	char signal[SIGNAL_SIZE];
};

/* Orders and compares: model, segment, signal, role, version, bytewise. */
int series_compare(const struct series *a, const struct series *b);
/* The parts in that order, each followed by a NUL byte: a key for maps and tables. Appended. */
void series_key(const struct series *series, struct bytes *key);

struct bin {
	int32_t bin;    /* by layout; for LAYOUT_NAMES an index into names */
	uint64_t count; /* > 0 */
};

/* Sums are integers in millionths of the signal's unit, each value rounded half to even, so that
 * they do not depend on order. */
typedef __int128 millionths;
millionths millionths_of(double value); /* |value| <= 1e12 */
double millionths_value(millionths sum);
void millionths_text(millionths sum,
	char text[48]); /* exact decimal, no exponent, no trailing zeros: "6432.85" */

struct window {
	struct series series;
	int64_t from_ms, to_ms; /* [from, to) of event time */
	enum layout layout;
	uint64_t n;       /* observations */
	millionths sum;   /* of finite values; latency in ms, score, lateness in ms; 0 for errors,
			     class, rate */
	struct bin *bins; /* sorted by bin; owned */
	size_t bin_count, bin_capacity;
	char **names; /* LAYOUT_NAMES: in order of first use; owned */
	size_t name_count;
};

void window_done(struct window *window); /* frees what it owns */
/* Adds to n and, unless the layout has no bins, to the bin; the sum is the caller's. */
void window_count(struct window *window, int32_t bin, uint64_t times);
/* By name; once names_max names are known, others count as "__other__". */
void window_count_name(struct window *window, struct view name, uint64_t times, size_t names_max);
/* Adds other's counts and sums into window (same layout). Names are matched by text. */
void window_merge(struct window *window, const struct window *other, size_t names_max);

/* Version 1 of the blob; layout version inside. Appended to out. */
void window_to_blob(const struct window *window, struct bytes *out);
/* RC_REJECT, and *window empty, if the bytes are not a blob that we know: bounded, hostile input is
 * fine. */
enum rc window_from_blob(struct view blob, struct window *window, struct err *err) MUST_CHECK;

/* {"kind":"window",...} as docs/records.md says: numeric bins [low, high, count], named ones [name,
 * count] sorted by name, empty ones left out; the sum exact. Appended. */
void window_to_json(const struct window *window, struct bytes *out);

#endif
