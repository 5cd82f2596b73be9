#include "alerts/calls.h"

#include "alerts/told.h"
#include "core/map.h"
#include "core/memory.h"
#include "ports/clock.h"
#include "ports/crash_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE_MAX = 8 };

struct flight {
	uint64_t tag;
	const struct config_integration
		*to; /* NULL: nobody is called, since it was configured away */
	char receiver[NAME_SIZE];
	char id[ID_SIZE]; /* "" = a refresh */
};

struct calls {
	struct http_out *http;
	struct flight *flights;
	size_t flight_count;
	uint64_t last_tag;
};

struct calls *calls_new(struct http_out *http)
{
	struct calls *calls = memory_new(1, sizeof *calls);

	calls->http = http;
	return calls;
}

void calls_free(struct calls *calls)
{
	if (!calls)
		return;
	free(calls->flights);
	free(calls);
}

size_t calls_running(const struct calls *calls)
{
	return calls->flight_count;
}

static size_t flights_to(const struct calls *calls, const struct config_integration *to)
{
	size_t count = 0;

	for (size_t i = 0; i < calls->flight_count; i++)
		count += calls->flights[i].to == to;
	return count;
}

static bool is_refreshing(const struct calls *calls, const struct config_integration *to)
{
	for (size_t i = 0; i < calls->flight_count; i++)
		if (calls->flights[i].to == to && !calls->flights[i].id[0])
			return true;
	return false;
}

static bool in_flight(const struct calls *calls, const char *id)
{
	for (size_t i = 0; i < calls->flight_count; i++)
		if (strcmp(calls->flights[i].id, id) == 0)
			return true;
	return false;
}

static void start_call(struct calls *calls, const struct config_integration *to,
	const char *receiver, const char *id, struct view body, int64_t now)
{
	struct flight flight = {.tag = ++calls->last_tag, .to = to};
	struct delivery delivery;
	struct http_call call;

	snprintf(flight.receiver, sizeof flight.receiver, "%s", receiver);
	snprintf(flight.id, sizeof flight.id, "%s", id);
	calls->flights =
		memory_grow(calls->flights, calls->flight_count + 1, sizeof *calls->flights);
	calls->flights[calls->flight_count++] = flight;
	if (!to)
		return;
	delivery_call(to, id, body, now, &delivery, &call);
	call.tag = flight.tag;
	CRASH_POINT("alerts.before_call");
	http_out_start(calls->http, &call);
	delivery_done(&delivery);
}

/* A refresh that arrived after a resolution would undo it: the two are not under way together. */
static bool may_start(
	const struct calls *calls, const struct config_integration *to, const char *id)
{
	return !in_flight(calls, id) &&
	       (!to || (flights_to(calls, to) < AT_ONCE_MAX && !is_refreshing(calls, to)));
}

int64_t calls_start(struct calls *calls, const struct alerts *alerts, int64_t now)
{
	int64_t next = INT64_MAX;
	struct map first = {0}; /* told_key -> its oldest notification */

	for (size_t i = 0; i < alerts_pending_count(alerts); i++) {
		const struct notification *notification = alerts_pending(alerts, i);
		const struct config_integration *to = alerts_integration(alerts, notification);
		CLEANUP(bytes_done) struct bytes key = {0};

		told_key(notification->receiver, notification->integration, notification->group_key,
			&key);
		if (map_get(&first, key.data, key.size))
			continue;
		map_put(&first, key.data, key.size, (void *)notification);
		if (to && notification->next_try_at > now)
			next = notification->next_try_at < next ? notification->next_try_at : next;
		else if (may_start(calls, to, notification->id))
			start_call(calls, to, notification->receiver, notification->id,
				view_of(notification->payload), now);
	}
	map_done(&first);
	return next;
}

/* All that fires, of all groups, for one Alertmanager. */
struct refresh {
	const struct config_integration *to;
	const char *receiver;
	struct bytes body;
};
struct refreshes {
	struct refresh *list;
	size_t count;
};

static struct refresh *refresh_of(
	struct refreshes *refreshes, const struct config_integration *to, const char *receiver)
{
	for (size_t i = 0; i < refreshes->count; i++)
		if (refreshes->list[i].to == to)
			return &refreshes->list[i];
	refreshes->list =
		memory_grow(refreshes->list, refreshes->count + 1, sizeof *refreshes->list);
	refreshes->list[refreshes->count] = (struct refresh){.to = to, .receiver = receiver};
	return &refreshes->list[refreshes->count++];
}

/* Joins JSON arrays: [a] and [b] to [a,b; the last bracket comes when the call starts. */
static void add_refresh(
	void *context, const struct config_integration *to, const char *receiver, struct view array)
{
	struct refresh *refresh = refresh_of(context, to, receiver);

	if (array.size <= 2)
		return;
	bytes_text(&refresh->body, refresh->body.size ? "," : "[");
	bytes_add(&refresh->body, array.data + 1, array.size - 2);
}

void calls_refresh(struct calls *calls, struct alerts *alerts, int64_t now)
{
	struct refreshes refreshes = {0};

	alerts_refresh_all(alerts, now, add_refresh, &refreshes);
	for (size_t i = 0; i < refreshes.count; i++) {
		struct bytes *body = &refreshes.list[i].body;
		const struct config_integration *to = refreshes.list[i].to;

		if (body->size && !flights_to(calls, to)) {
			bytes_text(body, "]");
			start_call(
				calls, to, refreshes.list[i].receiver, "", bytes_view(body), now);
		}
		bytes_done(body);
	}
	free(refreshes.list);
}

static void land(
	struct calls *calls, size_t place, struct attempt attempt, struct call_result *result)
{
	struct flight *flight = &calls->flights[place];

	*result = (struct call_result){.attempt = attempt};
	memcpy(result->id, flight->id, sizeof result->id);
	memcpy(result->receiver, flight->receiver, sizeof result->receiver);
	*flight = calls->flights[--calls->flight_count];
}

static bool take_homeless(struct calls *calls, struct call_result *result)
{
	static const struct attempt attempt = {.final = true,
		.retry_after_ms = -1,
		.result = "the receiver is not configured any more"};

	for (size_t i = 0; i < calls->flight_count; i++)
		if (!calls->flights[i].to) {
			land(calls, i, attempt, result);
			return true;
		}
	return false;
}

bool calls_take(struct calls *calls, int wait_ms, struct call_result *result)
{
	struct http_outcome outcome;
	uint32_t chance;
	size_t place = 0;

	if (take_homeless(calls, result))
		return true;
	if (!http_out_take(calls->http, wait_ms, &outcome))
		return false;
	while (calls->flights[place].tag != outcome.tag)
		place++;
	clock_chance(&chance, sizeof chance);
	land(calls, place, delivery_judge(&outcome, chance), result);
	return true;
}
