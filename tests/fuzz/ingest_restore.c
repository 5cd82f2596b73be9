/* Any records as the stored state of ingest; then a message and an idle mark. */
#include "ingest/step.h"
#include "tests/fuzz/restore.h"

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

static struct ingest *ingest_new_empty(void)
{
	return ingest_new(&config, "ml.events-0", NULL);
}

static void ingest_go_on(struct ingest *ingest)
{
	static const char event[] =
		"{\"type\":\"prediction\",\"ts\":1763654406000,\"model\":\"m\",\"score\":0.5,"
		"\"class\":\"a\",\"latency_ms\":7}";
	const struct log_message message = {.topic = "ml.events",
		.offset = ingest_offset(ingest),
		.append_ms = 1763654406000,
		.key = {"", 0},
		.value = {event, sizeof event - 1}};

	ingest_message(ingest, &message);
	ingest_mark(ingest, 1763654466000);
}

RESTORE_TARGET(ingest)
