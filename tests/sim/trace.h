/* tests/sim/trace.h: the last effects of a run, for the one who looks into a seed that fails. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Forgets what there was. On: what comes is kept, the newest few lines of it. */
void trace_begin(bool on);
/* One effect: who, and what. */
void trace(const char *actor, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints what was kept, with the times since start_ms. */
void trace_print(int64_t start_ms);

#endif
