/* ctl/ask.h: one question to the console. */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include "core/bytes.h"

/* Where the console is: url if not NULL, else $MODELWATCH_URL, else what the configuration at
 * config_path (NULL: $MODELWATCH_CONFIG or the usual place) says, else where it is by default.
 * RC_FATAL: mistakes in a configuration that was named; they are printed. */
enum rc ask_address(const char *url, const char *config_path, struct bytes *address,
	struct err *err) MUST_CHECK;

/* GET address + path. RC_OK: body is the answer (appended). RC_NONE: the console says that there is
 * no such thing. RC_REJECT: it refuses the question. RC_RETRY: it, or its store, cannot be reached.
 */
enum rc ask(const char *address, const char *path, struct bytes *body, struct err *err) MUST_CHECK;

/* Appends a query parameter, percent-encoded, with the ? or & in front. NULL value: nothing. */
void ask_parameter(struct bytes *path, const char *name, const char *value);
/* Appends text, percent-encoded, as a segment of a path. */
void ask_segment(struct bytes *path, const char *text);

#endif
