#include "tests/sim/trace.h"

#include "tests/sim/clock.h"

#include <stdarg.h>
#include <stdio.h>

enum { KEPT = 40 };

struct line {
	int64_t at;
	char actor[32], what[160];
};

static struct line lines[KEPT];
static size_t count;
static bool is_on;

void trace_begin(bool on)
{
	count = 0;
	is_on = on;
}

void trace(const char *actor, const char *format, ...)
{
	struct line *line = &lines[count % KEPT];
	va_list args;

	if (!is_on)
		return;
	count++;
	line->at = sim_clock_now();
	snprintf(line->actor, sizeof line->actor, "%s", actor);
	va_start(args, format);
	vsnprintf(line->what, sizeof line->what, format, args);
	va_end(args);
}

void trace_print(int64_t start_ms)
{
	for (size_t i = count > KEPT ? count - KEPT : 0; i < count; i++) {
		const struct line *line = &lines[i % KEPT];

		printf("  %8.3f s  %-10s %s\n", (double)(line->at - start_ms) / 1000, line->actor,
			line->what);
	}
}
