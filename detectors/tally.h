/* detectors/tally.h: counts by bin of one side of a comparison: a window without its series.
 * THINKS. All zero is valid and empty. */
#ifndef DETECTORS_TALLY_H
#define DETECTORS_TALLY_H

#include "core/bytes.h"
#include "core/window.h"

struct tally {
	struct bin *bins; /* sorted by bin; owned */
	size_t count, capacity;
	uint64_t n; /* the sum of all counts */
};

void tally_done(struct tally *tally); /* frees; all zero again */
void tally_clear(struct tally *tally);
void tally_add(struct tally *tally, int32_t bin, uint64_t times);
void tally_merge(struct tally *tally, const struct tally *other);
void tally_halve(struct tally *tally);                 /* every count, rounded down */
void tally_move(struct tally *to, struct tally *from); /* to is dropped, from left empty */

uint64_t tally_of(const struct tally *tally, int32_t bin);
uint64_t tally_from(const struct tally *tally, int32_t bin); /* in this bin and those above */

void tally_write(const struct tally *tally, struct bytes *out);
void tally_read(struct tally *tally, struct reader *in); /* into an empty tally; see reader->ok */

/* Names in order of first use; bins of LAYOUT_NAMES are places in it. All zero is valid and empty.
 */
struct names {
	char **list; /* owned */
	size_t count;
};

void names_done(struct names *names);
/* The place of a name, added at its first use; once there are max names, that of "__other__". */
int32_t names_place(struct names *names, const char *name, size_t max);
void names_write(const struct names *names, struct bytes *out);
void names_read(struct names *names, struct reader *in);

#endif
