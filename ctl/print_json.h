/* ctl/print_json.h: answers of the console on stdout: as they are, or for people. */
#ifndef CTL_PRINT_JSON_H
#define CTL_PRINT_JSON_H

#include "core/bytes.h"

enum print_kind {
	PRINT_WINDOWS,
	PRINT_FINDINGS,
	PRINT_ALERTS,
	PRINT_ACTIONS,
	PRINT_DEADLETTERS,
	PRINT_MARKS,
};

/* {"NAME":[...]}: the records one per line, byte for byte as they came. RC_FATAL: it is no such
 * answer. */
enum rc print_lines(struct view answer, struct err *err) MUST_CHECK;

/* The same as a table; now_ms: for durations. */
enum rc print_table(
	enum print_kind kind, struct view answer, int64_t now_ms, struct err *err) MUST_CHECK;

/* One record, or each of {"NAME":[...]}, with everything in it, indented. */
enum rc print_full(struct view record, struct err *err) MUST_CHECK;

/* The answer to status. model: the one that was asked for, with all its verdicts; NULL: all models,
 * with only the verdicts alarm and suspected. */
enum rc print_status(
	struct view answer, const char *model, int64_t now_ms, struct err *err) MUST_CHECK;

/* The sentence of {"error":"..."}; or the start of whatever it is. */
void print_error_sentence(struct view answer, char *text, size_t size);

#endif
