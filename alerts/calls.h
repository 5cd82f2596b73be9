/* alerts/calls.h: the calls to receivers that are under way, and which may start next.
 * TOUCHES: through ports/http_out.h. Calls know notifications by id only, so they outlive the
 * fold's memory: an outcome of a notification that is there no more is passed over by
 * alerts_tried(). */
#ifndef ALERTS_CALLS_H
#define ALERTS_CALLS_H

#include "alerts/delivery.h"
#include "core/window.h"

struct calls;

/* http is borrowed, and nobody else's calls run in it. */
struct calls *calls_new(struct http_out *http);
void calls_free(struct calls *calls);
size_t calls_running(const struct calls *calls);

/* Starts what is due: of one receiver's integration and group only the oldest, so that nobody hears
 * of a resolution first; at most 8 at once for one integration, so that a slow one cannot take all.
 * All that is pending must be stored already. Returns when the next one is due (wall clock, ms;
 * INT64_MAX: none that time alone makes due). */
int64_t calls_start(struct calls *calls, const struct alerts *alerts, int64_t now);

/* Tells each Alertmanager again what is firing, in one call; one that is being called is left out
 * this time. */
void calls_refresh(struct calls *calls, struct alerts *alerts, int64_t now);

struct call_result {
	char id[ID_SIZE]; /* of the notification; "" = a refresh */
	char receiver[NAME_SIZE];
	struct attempt attempt;
};

/* One outcome within wait_ms; false: none. Of a notification whose receiver was configured away the
 * outcome is final. */
bool calls_take(struct calls *calls, int wait_ms, struct call_result *result);

#endif
