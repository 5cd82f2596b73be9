#include "ports/share.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum rc share_look(struct log *log, const struct config_kafka *kafka, int instance, int instances,
	int wait_ms, struct share *share, struct err *err)
{
	struct share found = {0};
	int32_t index = 0;

	for (size_t i = 0; i < kafka->topic_count; i++) {
		const char *topic = kafka->topics[i].name;
		int32_t count = 0;
		enum rc rc = log_partitions(log, topic, wait_ms, &count, err);

		if (rc == RC_NONE) {
			snprintf(found.missing, sizeof found.missing, "%s", topic);
			continue;
		}
		if (rc != RC_OK) {
			share_done(&found);
			return rc;
		}
		for (int32_t p = 0; p < count; p++, index++)
			if (index % instances == instance)
				add(&found, topic, p);
	}
	share_done(share);
	*share = found;
	return RC_OK;
}
