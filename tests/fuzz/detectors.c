/* Orders of two bytes or more as ticks that close, to the fold of detectors: windows of two models
 * and both roles, ticks that come again many times, gaps, silence, a new life of ingest, restarts,
 * and any bytes as a close record. What is found does not depend on restarts, nor on how ticks are
 * spread over records. */
#include "core/memory.h"
#include "core/topics.h"
#include "detectors/step.h"
#include "ports/store.h"
#include "tests/fuzz/detectors_settings.h"
#include "tests/fuzz/fuzz.h"

enum { WINDOWS_MAX = 24, ORDERS_MAX = 100, AGAIN_MAX = 20, TICKS_MAX = 60 };

static const struct config config = {.models = models,
	.model_count = 1,
	.false_alarms = 1,
	.false_alarms_per_s = 100, /* a low line, so that alarms come within few ticks */
	.capacity_models = 1,
	.capacity_comparisons = 1,
	.time = {.lateness_ms = 2000},
	.limits = {.classes = 3}};
static const struct fold fold = {FOLD_DETECTORS, "ml.events-0"};

struct life {
	struct detectors *detectors;
	struct store *store;
	struct head head;
	bool strange;       /* it took a record that ingest would not write */
	bool apart;         /* every tick is a record of its own, and restarts are carried out */
	struct bytes found; /* all findings, a line each */
	struct close_record record;
	struct closed_tick tick;
	uint64_t sequence;
	int64_t now;
	int ticks;
	char epoch[3];
};

static void begin(struct life *life)
{
	struct err err;

	life->detectors = detectors_new(&config, fold.log);
	CLAIM(store_load(life->store, &fold, &life->head, detectors_restore, life->detectors,
		      &err) == RC_OK);
	detectors_follow(life->detectors, life->epoch, NULL);
}

static void step(struct life *life)
{
	struct change change = {0};
	struct err err;

	detectors_change(life->detectors, &change);
	for (size_t i = 0; i < change.output_count; i++) {
		const struct output *output = &change.outputs[i];
		struct view text = change_view(&change, output->value, output->value_size);
		struct finding finding;

		CLAIM(finding_from_json(text, &finding, &err) == RC_OK);
		bytes_add(&life->found, text.data, text.size);
		bytes_text(&life->found, "\n");
	}
	CLAIM(store_advance(life->store, &fold, &life->head, &change, &err) == RC_OK);
	change_done(&change);
}

static void restart(struct life *life)
{
	step(life);
	detectors_free(life->detectors);
	begin(life);
}

/* The tick, also where it has no windows, becomes one of the record. */
static void end_tick(struct life *life)
{
	struct close_record *record = &life->record;

	life->tick.from_ms = life->now;
	life->tick.to_ms = life->now + TICK_MS;
	record->ticks = memory_grow(record->ticks, record->tick_count + 1, sizeof *record->ticks);
	struct closed_tick *tick = &record->ticks[record->tick_count++];

	*tick = life->tick;
	tick->windows = memory_new(tick->window_count, sizeof *tick->windows);
	for (size_t i = 0; i < tick->window_count; i++) {
		struct window *window = &tick->windows[i];

		*window = (struct window){.series = life->tick.windows[i].series,
			.layout = life->tick.windows[i].layout,
			.from_ms = tick->from_ms,
			.to_ms = tick->to_ms};
		window_merge(window, &life->tick.windows[i], 8);
	}
}

static void end_record(struct life *life)
{
	life->record.sequence = ++life->sequence;
	life->record.watermark_ms = life->now + config.time.lateness_ms;
	detectors_close(life->detectors, &life->record);
	CLAIM(detectors_next(life->detectors) == life->sequence + 1);
	close_record_done(&life->record);
	life->record = (struct close_record){0};
}

static void pass_tick(struct life *life)
{
	if (life->ticks == TICKS_MAX)
		return;
	life->ticks++;
	end_tick(life);
	life->now += TICK_MS;
	if (life->apart)
		end_record(life);
}

static void clear_tick(struct life *life)
{
	for (size_t i = 0; i < life->tick.window_count; i++)
		window_done(&life->tick.windows[i]);
	life->tick.window_count = 0;
}

static struct window *window_of(struct life *life, const struct series *series, enum layout layout)
{
	struct closed_tick *tick = &life->tick;
	size_t place = 0;

	while (place < tick->window_count &&
		series_compare(&tick->windows[place].series, series) < 0)
		place++;
	if (place < tick->window_count && !series_compare(&tick->windows[place].series, series))
		return &tick->windows[place];
	if (tick->window_count == WINDOWS_MAX)
		return NULL;
	memmove(tick->windows + place + 1, tick->windows + place,
		(tick->window_count++ - place) * sizeof *tick->windows);
	tick->windows[place] = (struct window){.series = *series, .layout = layout};
	return &tick->windows[place];
}

/* What a byte says of a window: which signal, role, version, segment. */
static void count(struct life *life, unsigned which, int bin, unsigned times)
{
	static const struct {
		const char *signal;
		enum layout layout;
		int32_t lowest, bins;
	} kinds[] = {
		{"latency", LAYOUT_LATENCY, LATENCY_BIN_MIN, 800},
		{"errors", LAYOUT_RESULT, 0, 2},
		{"score", LAYOUT_PROBABILITY, 0, PROBABILITY_BINS},
		{"class", LAYOUT_NAMES, 0, 5},
		{"rate", LAYOUT_COUNT, 0, 1},
		{"score", LAYOUT_REAL, -976, 1953},
		{"late", LAYOUT_COUNT, 0, 1},
		{"unheard-of", LAYOUT_COUNT, 0, 1},
	};
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	unsigned kind = which & 7;
	bool by_role = kinds[kind].layout == LAYOUT_COUNT;
	struct series series = {.segment = ""};

	snprintf(series.model, sizeof series.model, "%s", life->tick.model);
	snprintf(series.signal, sizeof series.signal, "%s", kinds[kind].signal);
	snprintf(series.role, sizeof series.role, "%s", which & 8 ? "canary" : "production");
	snprintf(series.version, sizeof series.version, "%s", names[which >> 4 & 3]);
	if (by_role)
		series.version[0] = '\0';
	if (which & 64)
		series.segment[0] = 'x';
	struct window *window = window_of(life, &series, kinds[kind].layout);

	if (!window || window->layout != kinds[kind].layout)
		return;
	bin = kinds[kind].lowest + bin * 7 % kinds[kind].bins;
	if (window->layout == LAYOUT_NAMES)
		window_count_name(window, view_of(names[bin]), times, 8);
	else
		window_count(window, bin, times);
}

/* Any bytes as the next record. Its sequence is ours: a gap has an order of its own. */
static void close_any(struct life *life, struct view blob)
{
	struct close_record record;
	struct err err;

	if (close_record_from_blob(blob, &record, &err) != RC_OK)
		return;
	life->strange = true;
	end_record(life);
	record.sequence = ++life->sequence;
	detectors_close(life->detectors, &record);
	close_record_done(&record);
}

static void obey(struct life *life, unsigned order, struct view *rest)
{
	unsigned value = (unsigned char)rest->data[0];

	*rest = (struct view){rest->data + 1, rest->size - 1};
	switch (order & 15) {
	case 0:
		for (unsigned i = 0; i <= value % AGAIN_MAX; i++)
			pass_tick(life);
		break;
	case 1:
		clear_tick(life);
		life->tick.model[0] = value & 1 ? 'n' : 'm';
		break;
	case 2:
		end_record(life);
		life->sequence += value;
		break;
	case 3:
		if (life->apart)
			restart(life);
		break;
	case 4:
		end_record(life);
		life->now += (int64_t)value * value * TICK_MS;
		break;
	case 5:
		end_record(life);
		life->epoch[1] = (char)('0' + value % 3);
		if (detectors_follow(life->detectors, life->epoch, NULL))
			life->sequence = 0;
		break;
	case 6:
		if (value > rest->size)
			value = (unsigned)rest->size;
		close_any(life, (struct view){rest->data, value});
		*rest = (struct view){rest->data + value, rest->size - value};
		break;
	default: {
		unsigned times = rest->size > 0 ? (unsigned char)rest->data[0] : 0;
		int bin = rest->size > 1 ? (unsigned char)rest->data[1] : 0;
		size_t taken = rest->size < 2 ? rest->size : 2;

		*rest = (struct view){rest->data + taken, rest->size - taken};
		count(life, value, bin, 1 + times * (order >> 4));
	}
	}
}

static void run(struct life *life, struct view rest)
{
	life->store = store_memory_open();
	life->tick.windows = memory_new(WINDOWS_MAX, sizeof *life->tick.windows);
	life->tick.model[0] = 'm';
	life->now = 1763654400000;
	memcpy(life->epoch, "e0", 3);
	begin(life);
	for (int i = 0; rest.size >= 2 && i < ORDERS_MAX; i++) {
		unsigned order = (unsigned char)rest.data[0];

		rest = (struct view){rest.data + 1, rest.size - 1};
		obey(life, order, &rest);
	}
	end_record(life);
	step(life);
}

static void end(struct life *life)
{
	clear_tick(life);
	free(life->tick.windows);
	detectors_free(life->detectors);
	store_close(life->store);
	bytes_done(&life->found);
}

static void claim_equal(const struct life *one, const struct life *many)
{
	struct detectors_counts a = detectors_counts(one->detectors);
	struct detectors_counts b = detectors_counts(many->detectors);

	CLAIM(views_equal(bytes_view(&one->found), bytes_view(&many->found)));
	CLAIM(a.comparisons == b.comparisons && a.models == b.models);
	CLAIM(memcmp(a.verdicts, b.verdicts, sizeof a.verdicts) == 0);
	CLAIM(a.gaps == b.gaps && a.records_lost == b.records_lost);
}

/* The first byte says who is on trial. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct life one = {0}, many = {.apart = true};

	if (!size)
		return 0;
	models[0].canary = data[0] & 1 ? CANARY_STABLE : CANARY_CANDIDATE;
	run(&one, input_view(data + 1, size - 1));
	run(&many, input_view(data + 1, size - 1));
	if (!one.strange)
		claim_equal(&one, &many);
	end(&one);
	end(&many);
	return 0;
}
