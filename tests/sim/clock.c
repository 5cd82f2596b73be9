#include "tests/sim/clock.h"

#include "ports/clock.h"

#include <string.h>

static int64_t now;
static struct chance *source;

void sim_clock_set(int64_t now_ms, struct chance *chance)
{
	now = now_ms;
	source = chance;
}

void sim_clock_pass(int64_t ms)
{
	now += ms;
}

int64_t sim_clock_now(void)
{
	return now;
}

int64_t clock_wall_ms(void)
{
	return now;
}

int64_t clock_monotonic_ms(void)
{
	return now;
}

void clock_rest(int64_t ms)
{
	now += ms;
}

void clock_chance(void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)bytes)[i] = (unsigned char)chance_next(source);
}
