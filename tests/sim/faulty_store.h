/* tests/sim/faulty_store.h: a memory store as unreliable as a Redis on a bad day: it refuses, loses
 * answers after the effect, takes its client down before or after the effect, goes back in time,
 * and is emptied. */
#ifndef SIM_FAULTY_STORE_H
#define SIM_FAULTY_STORE_H

#include "ports/store.h"
#include "tests/sim/chance.h"

struct store_faults {       /* probabilities per call */
	double refused;     /* RC_RETRY, no effect */
	double answer_lost; /* the effect, and RC_REJECT */
	double crash;       /* RC_FATAL, with or without the effect: the client dies there */
	double unfit; /* of a step: one more write at its end that must be refused, and all with it
		       */
};

/* chance must outlive the store. */
struct store *faulty_store_open(struct chance *chance);
void faulty_store_set(struct store *store, const struct store_faults *faults);

void faulty_store_back_up(struct store *store); /* what it may go back to */
bool faulty_store_go_back(struct store *store); /* false: there is no backup */
void faulty_store_empty(struct store *store);
struct store *faulty_store_inside(struct store *store);   /* as it is, without faults */
bool faulty_store_was_rewound(const struct store *store); /* gone back or emptied, ever */

#endif
