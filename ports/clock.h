/* ports/clock.h: what a step can not compute: the time and chance of this machine.
 * TOUCHES; nobody else asks. Steps get both as values. */
#ifndef PORTS_CLOCK_H
#define PORTS_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void);      /* since 1970, UTC */
int64_t clock_monotonic_ms(void); /* never goes back; for waits and time-outs */

/* Sleeps; for loops that have nothing to do and nothing to wait on. */
void clock_rest(int64_t ms);

/* size random bytes of the kernel (getrandom). */
void clock_chance(void *bytes, size_t size);

#endif
