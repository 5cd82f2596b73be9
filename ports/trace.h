/* ports/trace.h: recorded events: files of one JSON object a line, plain or Zstandard (.jsonl,
 * .jsonl.zst). TOUCHES: files; the one user of libzstd. */
#ifndef PORTS_TRACE_H
#define PORTS_TRACE_H

#include "core/bytes.h"

struct trace;

enum rc trace_open(const char *path, struct trace **opened, struct err *err)
	MUST_CHECK; /* "-" = stdin; what is packed is known by suffix or first bytes */
void trace_close(struct trace *trace);

/* The next line without its newline, valid until the next call. RC_NONE: the end. RC_FATAL: the
 * file cannot be read or is damaged (path, line number, byte). A line over 16 MiB is RC_FATAL.
 * Empty lines are skipped, and so is a byte order mark at the start. */
enum rc trace_next(struct trace *trace, struct view *line, struct err *err) MUST_CHECK;

/* How much of the file was read, 0 to 1; -1 unknown (a pipe). */
double trace_progress(const struct trace *trace);

#endif
