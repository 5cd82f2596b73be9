#include "ports/clock.h"

#include <assert.h>
#include <sys/random.h>
#include <time.h>

static int64_t now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

void clock_rest(int64_t ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

void clock_chance(void *bytes, size_t size)
{
	ssize_t got = getrandom(bytes, size, 0);

	assert(size <= 256 && got == (ssize_t)size);
}
