#include "remediate/flights.h"

#include "core/memory.h"
#include "ports/crash_point.h"

#include <stdlib.h>
#include <string.h>

enum { FLIGHTS_MAX = 32 };

struct flight {
	char action_id[ID_SIZE]; /* "" = a free place */
	enum task_kind kind;
	const struct config_target *target;
	struct remedy remedy; /* as it was when the call started, for the judging */
};

struct flights {
	struct http_out *http;
	struct flight list[FLIGHTS_MAX]; /* a call's tag is its place */
};

struct flights *flights_new(struct http_out *http)
{
	struct flights *flights = memory_new(1, sizeof *flights);

	flights->http = http;
	return flights;
}

void flights_free(struct flights *flights)
{
	free(flights);
}

size_t flights_running(const struct flights *flights)
{
	size_t count = 0;

	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		count += flights->list[i].action_id[0] != '\0';
	return count;
}

static bool is_under_way(const struct flights *flights, const char *action_id)
{
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		if (strcmp(flights->list[i].action_id, action_id) == 0)
			return true;
	return false;
}

size_t flights_choose(const struct flights *flights, struct task tasks[], size_t count)
{
	size_t room = FLIGHTS_MAX - flights_running(flights);
	size_t chosen = 0;

	for (size_t i = 0; i < count && chosen < room; i++)
		if (!is_under_way(flights, tasks[i].remedy->action.id))
			tasks[chosen++] = tasks[i];
	return chosen;
}

bool flights_start(struct flights *flights, const struct task *task)
{
	struct adapter_call made;
	size_t place = 0;

	while (flights->list[place].action_id[0])
		place++;
	bool starts = adapter_call(task, place, &made);

	if (starts) {
		struct flight *flight = &flights->list[place];

		*flight = (struct flight){
			.kind = task->kind, .target = task->target, .remedy = *task->remedy};
		memcpy(flight->action_id, task->remedy->action.id, ID_SIZE);
		CRASH_POINT("remediate.before_call");
		http_out_start(flights->http, &made.call);
	}
	adapter_call_done(&made);
	return starts;
}

bool flights_take(struct flights *flights, struct landing *landing)
{
	struct http_outcome outcome;

	if (!http_out_take(flights->http, 0, &outcome))
		return false;
	struct flight *flight = &flights->list[outcome.tag];
	struct task task = {
		.kind = flight->kind, .remedy = &flight->remedy, .target = flight->target};

	*landing = (struct landing){.kind = flight->kind, .retry_after_ms = outcome.retry_after_ms};
	memcpy(landing->action_id, flight->action_id, ID_SIZE);
	if (flight->kind == TASK_PROBE)
		landing->converged = adapter_converged(
			flight->target, &outcome, landing->sentence, sizeof landing->sentence);
	else
		landing->result =
			adapter_judge(&task, &outcome, landing->sentence, sizeof landing->sentence);
	flight->action_id[0] = '\0';
	return true;
}
