/* tests/unit/moved_clock.h: a clock that stands still until the test moves it (now_ms), and chance
 * that repeats itself from run to run: instead of ports/clock.c, for one test program. */
#ifndef TESTS_UNIT_MOVED_CLOCK_H
#define TESTS_UNIT_MOVED_CLOCK_H

#include "ports/clock.h"

#include <string.h>

static int64_t now_ms = 1000;
static unsigned char next_chance;

int64_t clock_wall_ms(void)
{
	return now_ms;
}

int64_t clock_monotonic_ms(void)
{
	return now_ms;
}

void clock_rest(int64_t ms)
{
	now_ms += ms;
}

void clock_chance(void *bytes, size_t size)
{
	memset(bytes, ++next_chance, size);
}

#endif
