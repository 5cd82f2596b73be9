#include "core/memory.h"
#include "ports/clock.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <math.h>
#include <string.h>

enum { EVERY_MS = 8 };

static const char *const models[] = {"fraud", "churn"};

bool strikes(struct world *world, enum fault_kind kind, double probability)
{
	return chance_hits(&world->chance, probability) && !world->limits.without[kind];
}

/* What serves in production: fraud's v2 is slow from slow_at on until it is rolled back, churn's v2
 * from again_at on until people mend it. Their canaries, v1, do not go slow. */
static const char *released(const struct world *world, bool fraud, int64_t now)
{
	if (fraud)
		return now >= world->slow_at && !world->rolled_back ? "v2" : "v1";
	if (now >= world->mended_at)
		return "v3";
	return now >= world->again_at ? "v2" : "v1";
}

static void write_event(struct world *world, int64_t now, struct bytes *out, const char **model)
{
	struct chance *chance = &world->chance;
	bool fraud = chance_hits(chance, 0.6);
	bool canary = chance_hits(chance, 0.35);
	const char *version = canary ? "v1" : released(world, fraud, now);
	bool bad = strcmp(version, "v2") == 0;
	double latency = 20 * exp(0.3 * chance_normal(chance)) * (bad ? 2.5 : 1);
	int64_t ts = now - (int64_t)chance_below(chance, 400);

	*model = models[fraud ? 0 : 1];
	if (chance_hits(chance, 0.005)) {
		bytes_text(out, "{\"model\":\"fraud\",\"ts\":");
		return;
	}
	if (chance_hits(chance, 0.01))
		ts -= 20000; /* late */
	bytes_format(out,
		"{\"ts\":%lld,\"model\":\"%s\",\"version\":\"%s\",\"role\":\"%s\",\"latency_ms\":%."
		"3f,"
		"\"status\":200}",
		(long long)ts, *model, version, canary ? "canary" : "production", latency);
}

void produce(struct world *world, int64_t now)
{
	struct bytes event = {0};

	for (; world->produced_to < now && world->produced_to < world->ends_at;
		world->produced_to += EVERY_MS) {
		const char *model;

		if (world->produced_to < world->paused_to)
			continue;
		bytes_clear(&event);
		write_event(world, world->produced_to, &event, &model);
		log_memory_append(world->log, EVENT_TOPIC,
			log_partition_of(view_of(model), EVENT_PARTITIONS), view_of(model),
			bytes_view(&event), world->produced_to);
		world->events++;
	}
	bytes_done(&event);
}

struct attempt receive(struct world *world, const struct notification *notification)
{
	struct attempt attempt = {.retry_after_ms = -1};
	bool storms = clock_wall_ms() < world->ends_at;
	size_t size = strlen(notification->id);

	attempt.chance = (uint32_t)chance_next(&world->chance);
	if (storms && chance_hits(&world->chance, 0.2))
		return attempt; /* did not arrive */
	world->receptions++;
	judge_reception(world, notification);
	char *known = map_get(&world->received, notification->id, size);

	if (!known)
		map_put(&world->received, notification->id, size,
			memory_text(notification->payload));
	else
		world->bodies_changed += strcmp(known, notification->payload) != 0;
	trace("receiver", "hears %s: %s", notification->id, notification->reason);
	attempt.delivered =
		!storms || !chance_hits(&world->chance, 0.2); /* the answer may be lost */
	return attempt;
}

enum call_result execute(struct world *world, const char *action_id, const char *token)
{
	size_t *times = map_get(&world->executed, action_id, strlen(action_id));

	world->calls++;
	judge_call(world, action_id, token);
	if (chance_hits(&world->chance, 0.1))
		return CALL_NOT_SENT;
	if (!times) {
		times = memory_new(1, sizeof *times);
		map_put(&world->executed, action_id, strlen(action_id), times);
	}
	if (world->blind || !*times)
		++*times;
	trace("target", "does %s", action_id);
	world->rolled_back = true;
	return chance_hits(&world->chance, 0.2) ? CALL_UNKNOWN : CALL_ACCEPTED;
}
