/* ports/crash_point.h: named places at which a campaign (tests/fault) ends a process, on each side
 * of every effect. In shipped programs a point is nothing.
 *
 * Built with -DCRASH_POINTS (make CRASH_POINTS=1, into build/crash) the process kills itself, as
 * SIGKILL would, when it passes the point of MODELWATCH_CRASH="NAME:COUNT" for the COUNTth time. A
 * name stands at one place only, since each file counts for itself. */
#ifndef PORTS_CRASH_POINT_H
#define PORTS_CRASH_POINT_H

#ifdef CRASH_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static inline void crash_point(const char *name)
{
	static const char *wanted;
	static size_t size;
	static long left;

	if (!wanted) {
		wanted = getenv("MODELWATCH_CRASH");
		wanted = wanted ? wanted : "";
		size = strcspn(wanted, ":");
		left = wanted[size] ? strtol(wanted + size + 1, NULL, 10) : 1;
	}
	if (strlen(name) == size && memcmp(name, wanted, size) == 0 && --left == 0)
		raise(SIGKILL);
}

#define CRASH_POINT(name) crash_point(name)

#else

#define CRASH_POINT(name) ((void)0)

#endif

#endif
