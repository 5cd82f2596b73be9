/* Lines as messages of a partition, or orders to the fold: "m" and digits is an idle mark, "g" and
 * digits a gap, "r" alone a restart. What was counted does not depend on restarts, and every
 * message counts exactly once. */
#include "core/topics.h"
#include "ingest/step.h"
#include "ports/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ingest_settings.h"

enum { APPEND_MS = 60000 };

static const struct fold fold = {FOLD_INGEST, "ml.events-0"};

struct life {
	struct ingest *ingest;
	struct store *store;
	struct head head;
};

static void begin(struct life *life)
{
	struct err err;

	life->ingest = ingest_new(&config, fold.log, NULL);
	CLAIM(store_load(life->store, &fold, &life->head, ingest_restore, life->ingest, &err) ==
		RC_OK);
}

static void restart(struct life *life)
{
	struct change change = {0};
	struct err err;

	ingest_change(life->ingest, &change);
	CLAIM(store_advance(life->store, &fold, &life->head, &change, &err) == RC_OK);
	change_done(&change);
	ingest_free(life->ingest);
	begin(life);
}

static int64_t number(struct view line)
{
	char text[16];

	view_copy((struct view){line.data + 1, line.size - 1}, text, sizeof text);
	return atoll(text);
}

/* True: it was a message. */
static bool fold_line(struct ingest *ingest, struct view line, int64_t offset)
{
	char order = line.size ? line.data[0] : '\0';
	int64_t next = ingest_offset(ingest);

	if (order == 'm') {
		ingest_mark(ingest, number(line) % 4102444800000);
		return false;
	}
	if (order == 'g') {
		if (next >= 0)
			ingest_gap(ingest, next, next + llabs(number(line)) % 1000, "fuzz");
		return false;
	}
	const struct log_message message = {.topic = "ml.events",
		.offset = next < 0 ? offset : next,
		.append_ms = APPEND_MS,
		.key = {"", 0},
		.value = line};

	ingest_message(ingest, &message);
	return true;
}

static int64_t total_of(const struct ingest *ingest)
{
	const struct ingest_counters *counters = ingest_counters(ingest);
	int64_t total =
		counters->counted + counters->late + counters->duplicate + counters->control;

	for (int code = 0; code < E_CODES; code++)
		total += counters->rejected[code];
	return total;
}

static int64_t run(struct life *life, struct view rest, bool restarts)
{
	struct view line;
	int64_t messages = 0;

	life->store = store_memory_open();
	begin(life);
	while (input_line(&rest, &line)) {
		if (line.size != 1 || line.data[0] != 'r')
			messages += fold_line(life->ingest, line, 7);
		else if (restarts)
			restart(life);
	}
	return messages;
}

static void end(struct life *life)
{
	ingest_free(life->ingest);
	store_close(life->store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct life one = {0}, many = {0};
	int64_t messages = run(&one, input_view(data, size), false);

	run(&many, input_view(data, size), true);
	CLAIM(total_of(one.ingest) - ingest_counters(one.ingest)->control == messages);
	CLAIM(total_of(many.ingest) == total_of(one.ingest));
	CLAIM(ingest_counters(one.ingest)->counted == ingest_counters(many.ingest)->counted);
	CLAIM(ingest_offset(one.ingest) == ingest_offset(many.ingest));
	CLAIM(ingest_watermark(one.ingest) == ingest_watermark(many.ingest));
	CLAIM(ingest_open_windows(one.ingest) == ingest_open_windows(many.ingest));
	end(&one);
	end(&many);
	return 0;
}
