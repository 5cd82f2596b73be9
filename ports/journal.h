/* ports/journal.h: what the services say to operators: one event, one line, key=value, on stderr
 * (systemd's journal takes it from there with the level as priority).
 * TOUCHES. core/ and ports/ never call it; main loops do, once per event. Values are escaped
 * (control characters, quotes), cut at 1 KiB; more than 100 lines a minute of one event become a
 * summary. */
#ifndef PORTS_JOURNAL_H
#define PORTS_JOURNAL_H

#include "core/err.h"

enum journal_level {
	JOURNAL_ERROR,   /* a human must act */
	JOURNAL_WARNING, /* nobody yet: says action=retry or action=ignore */
	JOURNAL_INFO,    /* life cycle only */
	JOURNAL_DEBUG,
};

void journal_open(const char *service, enum journal_level most);

/* event: a stable snake_case name. Then pairs of name and text, ended by NULL:
 * journal(JOURNAL_WARNING, "unwell", "reason", err.text, "action", "retry", NULL) */
void journal(enum journal_level level, const char *event, ...) __attribute__((sentinel));

/* Writes the summaries that are due; service_turn() does so once a second. */
void journal_turn(void);

#endif
