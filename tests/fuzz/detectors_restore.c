/* Any records as the stored state of detectors; then a tick closes. */
#include "detectors/step.h"
#include "tests/fuzz/detectors_settings.h"
#include "tests/fuzz/restore.h"

static const struct config config = {.models = models,
	.model_count = 1,
	.false_alarms = 1,
	.false_alarms_per_s = 30 * 86400,
	.capacity_models = 1000,
	.capacity_comparisons = 60,
	.time = {.lateness_ms = 2000},
	.limits = {.classes = 256}};

static struct detectors *detectors_new_empty(void)
{
	return detectors_new(&config, "ml.events-0");
}

static void detectors_go_on(struct detectors *detectors)
{
	static struct bin slow = {.bin = 60, .count = 30}, failed = {.bin = 0, .count = 30};
	static struct window windows[] = {
		{.series = {"m", "1", "production", "", "errors"},
			.layout = LAYOUT_RESULT,
			.n = 30,
			.bins = &failed,
			.bin_count = 1},
		{.series = {"m", "1", "production", "", "latency"},
			.layout = LAYOUT_LATENCY,
			.n = 30,
			.bins = &slow,
			.bin_count = 1},
		{.series = {"m", "", "production", "", "rate"}, .layout = LAYOUT_COUNT, .n = 30},
	};
	struct closed_tick tick = {.model = "m",
		.from_ms = 1763654400000,
		.to_ms = 1763654405000,
		.windows = windows,
		.window_count = sizeof windows / sizeof *windows};

	detectors_follow(detectors, "e1", NULL);
	const struct close_record record = {.sequence = detectors_next(detectors),
		.watermark_ms = 1763654407000,
		.ticks = &tick,
		.tick_count = 1};

	detectors_close(detectors, &record);
}

RESTORE_TARGET(detectors)
