/* remediate/flights.h: the calls to deployment APIs that are under way. TOUCHES: through
 * ports/http_out.h. They know actions by id only, so they outlive the fold's memory. */
#ifndef REMEDIATE_FLIGHTS_H
#define REMEDIATE_FLIGHTS_H

#include "remediate/adapter.h"

struct flights;

/* http is borrowed, and nobody else's calls run in it. */
struct flights *flights_new(struct http_out *http);
void flights_free(struct flights *flights);
size_t flights_running(const struct flights *flights);

/* Moves those to the front that may start now, and returns their number: no call for their action
 * is under way, and there is room for all of them. */
size_t flights_choose(const struct flights *flights, struct task tasks[], size_t count);

/* Starts a chosen one. False: its target has no such operation. */
bool flights_start(struct flights *flights, const struct task *task);

struct landing {
	char action_id[ID_SIZE];
	enum task_kind kind;
	enum call_result result; /* of a call */
	int64_t retry_after_ms;  /* of a call; -1: not said */
	bool converged;          /* of a probe */
	char sentence[400];      /* what the target answered */
};

/* One that has come back; false: none. */
bool flights_take(struct flights *flights, struct landing *landing);

#endif
