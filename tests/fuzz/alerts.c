/* Lines as what comes to the fold of alerts: "f" and a finding, "x" and an action, "c" and a
 * command as JSON; "t" and digits moves the clock, "d" and a digit ends the oldest try of a
 * notification, "r" is a restart, which changes nothing of what is known. */
#include "alerts/step.h"
#include "core/topics.h"
#include "ports/store.h"
#include "tests/fuzz/alerts_settings.h"
#include "tests/fuzz/fuzz.h"

static const struct fold fold = {FOLD_ALERTS, FOLD_ALERTS};

struct world {
	struct alerts *alerts;
	struct store *store;
	struct head head;
	int64_t offset, now;
};

static void begin(struct world *world)
{
	struct err err;

	world->alerts = alerts_new(&config);
	CLAIM(store_load(world->store, &fold, &world->head, alerts_restore, world->alerts, &err) ==
		RC_OK);
	alerts_restored(world->alerts, world->now);
}

static void step(struct world *world)
{
	struct change change = {0};
	struct err err;

	alerts_change(world->alerts, &change);
	CLAIM(store_advance(world->store, &fold, &world->head, &change, &err) == RC_OK);
	change_done(&change);
}

static void take(struct world *world, const char *topic, struct view text)
{
	const struct log_message message = {.topic = topic,
		.offset = world->offset++,
		.append_ms = world->now,
		.key = {"", 0},
		.value = text};
	struct err err = {0};
	enum rc rc = alerts_take(world->alerts, &message, world->now, &err);

	CLAIM(rc == RC_OK || (rc == RC_REJECT && err.text[0]));
}

static void try_oldest(struct world *world, int which)
{
	struct attempt attempt = {.delivered = which & 1,
		.final = which & 2,
		.retry_after_ms = which & 4 ? 5000 : -1,
		.result = "so"};
	char id[ID_SIZE];

	if (!alerts_pending_count(world->alerts))
		return;
	memcpy(id, alerts_pending(world->alerts, 0)->id, sizeof id);
	alerts_tried(world->alerts, id, &attempt, world->now);
}

static void restart(struct world *world)
{
	struct alerts_counts before = alerts_counts(world->alerts);

	alerts_free(world->alerts);
	begin(world);
	struct alerts_counts after = alerts_counts(world->alerts);

	CLAIM(after.firing == before.firing && after.pending == before.pending);
}

static void obey(struct world *world, struct view line)
{
	struct view rest = {line.data + 1, line.size - 1};
	char digits[10];

	view_copy(rest, digits, sizeof digits);
	switch (line.data[0]) {
	case 'f':
		take(world, "modelwatch.findings", rest);
		break;
	case 'x':
		take(world, "modelwatch.actions", rest);
		break;
	case 'c':
		take(world, "modelwatch.commands", rest);
		break;
	case 't':
		world->now += llabs(atoll(digits));
		alerts_time(world->alerts, world->now);
		break;
	case 'd':
		try_oldest(world, abs(atoi(digits)));
		break;
	}
	step(world);
	if (line.data[0] == 'r')
		restart(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = {.now = 1763654406000};
	struct view rest = input_view(data, size);
	struct view line;

	world.store = store_memory_open();
	begin(&world);
	while (input_line(&rest, &line))
		if (line.size)
			obey(&world, line);
	restart(&world);
	alerts_free(world.alerts);
	store_close(world.store);
	return 0;
}
