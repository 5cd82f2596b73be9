/* detectors/words.h: what moved most, in words for people: the strongest bets of a comparison.
 * THINKS. */
#ifndef DETECTORS_WORDS_H
#define DETECTORS_WORDS_H

#include "core/stats/bank.h"
#include "detectors/comparison.h"

enum { WORDS_STRONGEST = 4 };

/* Places of the members that gained most, strongest first: how many, at most WORDS_STRONGEST. */
size_t words_strongest(const struct comparison *comparison, size_t order[WORDS_STRONGEST]);

/* Add one move to the evidence. */
void words_bank(const struct comparison *comparison, struct bank_move move, double log_r,
	struct evidence *evidence);
void words_add(struct evidence *evidence, double log_r, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
