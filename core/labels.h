/* core/labels.h: names and values that say what something is about, in Alertmanager's sense.
 * THINKS. */
#ifndef CORE_LABELS_H
#define CORE_LABELS_H

#include <stddef.h>

struct label {
	char *name, *value; /* owned */
};
struct labels { /* sorted by name; all zero is valid and empty */
	struct label *list;
	size_t count;
};
void labels_set(struct labels *labels, const char *name, const char *value); /* "" removes */
const char *labels_get(const struct labels *labels, const char *name);       /* "" when missing */
void labels_copy(struct labels *to, const struct labels *from);
void labels_done(struct labels *labels);
/* 16 hex digits, FNV-1a 64 over name 0xFF value 0xFF in order: Alertmanager's fingerprint. */
void labels_fingerprint(const struct labels *labels, char text[17]);

#endif
