/* tests/sim/chance.h: all chance of a simulation comes from one seed. */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

struct chance chance_of(uint64_t seed);
uint64_t chance_next(struct chance *chance);
uint64_t chance_below(struct chance *chance, uint64_t bound); /* 0 to bound - 1 */
double chance_uniform(struct chance *chance);                 /* [0, 1) */
double chance_normal(struct chance *chance);
bool chance_hits(struct chance *chance, double probability);

#endif
