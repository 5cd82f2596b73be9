/* ports/inputs.h: our own topics as the inputs of one fold: every partition of each, read on from
 * the fold's cursors. TOUCHES: through log.h.
 *
 * An offset alone does not prove that the log is the one that was read: a topic may have been
 * deleted and created again. So before a partition is read on, the fingerprint of its cursor is
 * compared with the log. Where the log is another one, or does not have the offset, the cursor
 * moves to the first record that there is, which is a gap: some records may be lost, some come
 * twice. */
#ifndef PORTS_INPUTS_H
#define PORTS_INPUTS_H

#include "core/cursor.h"
#include "ports/log.h"

struct inputs;

/* topics: without prefix; copied. The log must outlive the inputs. */
enum rc inputs_open(struct log *log, const char *prefix, const char *const topics[], size_t count,
	struct inputs **opened, struct err *err) MUST_CHECK;
void inputs_close(struct inputs *inputs);

/* The fold was loaded: its cursors say where to read from. They are borrowed until inputs_stop():
 * whoever takes a message in moves its cursor on. RC_RETRY: no answer yet, or a topic is missing,
 * which err tells with what to do about it; nothing is started. */
enum rc inputs_start(struct inputs *inputs, struct cursors *cursors, struct err *err) MUST_CHECK;
/* The fold was dropped: nothing is read until the next start. Twice is harmless. */
void inputs_stop(struct inputs *inputs);

/* Up to max messages, as log_take(), of all partitions; those that come into being are found within
 * a minute. RC_NONE: none. RC_REJECT: a gap, told in err: a cursor was moved, and is to be stored
 * by the next step. RC_RETRY: the broker is unwell; what arrives meanwhile comes by later calls. */
enum rc inputs_take(struct inputs *inputs, int wait_ms, size_t max,
	const struct log_message **messages, size_t *count, struct err *err) MUST_CHECK;

/* Whether all has been read, as the broker has confirmed for each partition in the last age_max_ms.
 * False while nothing is started. */
bool inputs_are_read(const struct inputs *inputs, int64_t age_max_ms);

#endif
