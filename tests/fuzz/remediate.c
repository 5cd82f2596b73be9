/* Lines as what comes to the fold of remediate: "a" and an alert, "x" and an action, "c" and a
 * command as JSON; "b" reads back what it emitted, "t" and digits moves the clock and decides,
 * "d" and a digit ends its calls, "p" its probes, "r" is a restart. Nothing is called before an
 * INTENT of that id was read from the log. */
#include "core/topics.h"
#include "ports/store.h"
#include "remediate/fold.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/remediate_settings.h"

enum { TASKS_MAX = 8, OUTPUTS_MAX = 64 };

static const struct fold fold = {FOLD_REMEDIATE, FOLD_REMEDIATE};

struct world {
	struct remediate *remediate;
	struct store *store;
	struct head head;
	struct bytes emitted[OUTPUTS_MAX];
	size_t emitted_count, read;
	int64_t offset, now;
};

static void begin(struct world *world)
{
	struct err err;

	world->remediate = remediate_new(&config);
	CLAIM(store_load(world->store, &fold, &world->head, remediate_restore, world->remediate,
		      &err) == RC_OK);
	remediate_restored(world->remediate);
}

static void step(struct world *world)
{
	struct change change = {0};
	struct err err;

	remediate_change(world->remediate, &change);
	CLAIM(store_advance(world->store, &fold, &world->head, &change, &err) == RC_OK);
	for (size_t i = 0; i < change.output_count && world->emitted_count < OUTPUTS_MAX; i++) {
		const struct output *output = &change.outputs[i];
		struct view text = change_view(&change, output->value, output->value_size);

		bytes_add(&world->emitted[world->emitted_count++], text.data, text.size);
	}
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
	enum rc rc = remediate_take(world->remediate, &message, world->now, &err);

	CLAIM(rc == RC_OK || (rc == RC_REJECT && err.text[0]));
}

static void work(struct world *world, enum task_kind kind, int which)
{
	struct task tasks[TASKS_MAX];
	size_t count = remediate_tasks(world->remediate, world->now, tasks, TASKS_MAX);

	for (size_t i = 0; i < count; i++) {
		char id[ID_SIZE];

		memcpy(id, tasks[i].remedy->action.id, sizeof id);
		if (tasks[i].kind == TASK_CALL)
			CLAIM(remediate_past(world->remediate, id));
		if (tasks[i].kind != kind)
			continue;
		if (kind == TASK_PROBE) {
			remediate_probed(world->remediate, id, which & 1, "", world->now);
			continue;
		}
		remediate_calling(world->remediate, id, world->now);
		step(world);
		remediate_called(world->remediate, id,
			(enum call_result)(which % (CALL_TRY_LATER + 1)), -1, "so", world->now);
	}
}

static void restart(struct world *world)
{
	size_t open = remediate_counts(world->remediate).cases_open;

	remediate_free(world->remediate);
	begin(world);
	CLAIM(remediate_counts(world->remediate).cases_open == open);
}

static void obey(struct world *world, struct view line)
{
	static const unsigned char chance[16] = "0123456789abcde";
	struct view rest = {line.data + 1, line.size - 1};
	char digits[8];

	view_copy(rest, digits, sizeof digits);
	switch (line.data[0]) {
	case 'a':
		take(world, "modelwatch.alerts", rest);
		break;
	case 'x':
		take(world, "modelwatch.actions", rest);
		break;
	case 'c':
		take(world, "modelwatch.commands", rest);
		break;
	case 'b':
		while (world->read < world->emitted_count)
			take(world, "modelwatch.actions",
				bytes_view(&world->emitted[world->read++]));
		break;
	case 't':
		world->now += llabs(atoll(digits));
		remediate_time(world->remediate, world->now, chance);
		break;
	case 'd':
		work(world, TASK_CALL, abs(atoi(digits)));
		break;
	case 'p':
		work(world, TASK_PROBE, abs(atoi(digits)));
		break;
	}
	step(world);
	if (line.data[0] == 'r')
		restart(world);
}

/* The first byte says the policy's mode, and whether the target honours our key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = {.now = 1763654406000};
	struct view rest = input_view(data, size);
	struct view line;

	if (!size)
		return 0;
	policy.mode = (enum policy_mode)(data[0] % (MODE_AUTO + 1));
	target.idempotent = data[0] & 4;
	rest = (struct view){rest.data + 1, rest.size - 1};
	world.store = store_memory_open();
	begin(&world);
	while (input_line(&rest, &line))
		if (line.size)
			obey(&world, line);
	restart(&world);
	remediate_free(world.remediate);
	store_close(world.store);
	for (size_t i = 0; i < world.emitted_count; i++)
		bytes_done(&world.emitted[i]);
	return 0;
}
