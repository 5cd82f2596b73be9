/* tests/fuzz/detectors_settings.h: the model that detectors are fuzzed with. */
#ifndef TESTS_FUZZ_DETECTORS_SETTINGS_H
#define TESTS_FUZZ_DETECTORS_SETTINGS_H

#include "core/config.h"

enum { TICK_MS = 5000 };

static char any[] = "*", nothing[] = "";
static struct config_model models[] = {{.match_model = any,
	.match_segment = any,
	.owner = nothing,
	.tick_ms = TICK_MS,
	.min = 20,
	.clear_for = 10,
	.silent_after_ms = 60000,
	.tolerate = {.latency_p50 = 1.05,
		.latency_p99 = 1.25,
		.errors = 1.5,
		.score_sd = 0.05,
		.class_abs = 0.01,
		.class_rel = 0.1,
		.rate = 1.06}}};

#endif
