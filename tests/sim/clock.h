/* tests/sim/clock.h: the virtual clock of a simulation, in the place of ports/clock.c. */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "tests/sim/chance.h"

/* Both clocks stand at now; chance: where clock_chance() takes its bytes from. */
void sim_clock_set(int64_t now_ms, struct chance *chance);
void sim_clock_pass(int64_t ms);
int64_t sim_clock_now(void);

#endif
