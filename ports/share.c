#include "ports/share.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_WAIT_MS = 500,
	LOOK_EVERY_MS = 60000,        /* for new partitions */
	LOOK_MISSING_EVERY_MS = 1000, /* for topics that are not there yet */
};

void share_done(struct share *share)
{
	free(share->places);
	*share = (struct share){0};
}

bool share_has(const struct share *share, const char *topic, int32_t number)
{
	for (size_t i = 0; i < share->count; i++)
		if (share->places[i].number == number && strcmp(share->places[i].topic, topic) == 0)
			return true;
	return false;
}

static void add(struct share *share, const char *topic, int32_t number)
{
	share->places = memory_grow(share->places, share->count + 1, sizeof *share->places);
	share->places[share->count++] = (struct share_place){.topic = topic, .number = number};
}

static enum rc look(struct log *log, const struct config_kafka *kafka, int instance, int instances,
	struct share *found, struct err *err)
{
	int32_t index = 0;

	for (size_t i = 0; i < kafka->topic_count; i++) {
		const char *topic = kafka->topics[i].name;
		int32_t count = 0;
		enum rc rc = log_partitions(log, topic, LOOK_WAIT_MS, &count, err);

		if (rc == RC_NONE) {
			snprintf(found->missing, sizeof found->missing, "%s", topic);
			continue;
		}
		TRY(rc);
		for (int32_t p = 0; p < count; p++, index++)
			if (index % instances == instance)
				add(found, topic, p);
	}
	return RC_OK;
}

enum rc share_turn(struct share *share, struct log *log, const struct config_kafka *kafka,
	int instance, int instances, struct err *err)
{
	struct share found = {0};

	if (clock_monotonic_ms() < share->look_at)
		return RC_NONE;
	enum rc rc = look(log, kafka, instance, instances, &found, err);
	bool whole = rc == RC_OK && !found.missing[0];

	if (rc == RC_OK) {
		free(share->places);
		*share = found;
	} else {
		share_done(&found);
	}
	share->look_at = clock_monotonic_ms() + (whole ? LOOK_EVERY_MS : LOOK_MISSING_EVERY_MS);
	return rc;
}
