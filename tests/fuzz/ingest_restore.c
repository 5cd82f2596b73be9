/* Any records as the stored state of ingest; then a message and an idle mark. */
#include "ingest/step.h"
#include "tests/fuzz/ingest_settings.h"
#include "tests/fuzz/restore.h"

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
