/* tests/fuzz/ingest_settings.h: the configuration under which ingest is fuzzed. */
#ifndef TESTS_FUZZ_INGEST_SETTINGS_H
#define TESTS_FUZZ_INGEST_SETTINGS_H

#include "core/config.h"

static char star[] = "*", nothing[] = "";
static struct config_model models[] = {
	{.match_model = star, .match_segment = star, .owner = nothing, .tick_ms = 5000, .min = 20}};
static const struct config config = {
	.time = {.max_age_ms = -1, .max_ahead_ms = -1, .lateness_ms = 2000, .max_late_ms = 60000},
	.limits = {.event_bytes = 65536,
		.depth = 8,
		.features = 512,
		.classes = 4,
		.models = 3,
		.versions = 2,
		.deadletters_s = 100},
	.models = models,
	.model_count = 1,
	.digest = "0123"};

#endif
