#include "ports/inputs.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KAFKA_WAIT_MS = 1000, LOOK_EVERY_MS = 60000 };

struct topic {
	char name[256];
	int32_t partitions; /* known */
	bool *assigned;     /* of each of them, whether the reader has it */
};

struct inputs {
	struct log *log;
	struct log_reader *reader;
	struct topic *topics;
	size_t count;
	struct cursors *cursors; /* the fold's; NULL: not started */
	int64_t look_at;         /* monotonic: when partitions are counted again */
};

enum rc inputs_open(struct log *log, const char *prefix, const char *const topics[], size_t count,
	struct inputs **opened, struct err *err)
{
	struct log_reader *reader;

	TRY(log_reader_open(log, &reader, err));
	struct inputs *inputs = memory_new(1, sizeof *inputs);

	*inputs = (struct inputs){.log = log, .reader = reader, .count = count};
	inputs->topics = memory_new(count, sizeof *inputs->topics);
	for (size_t i = 0; i < count; i++)
		snprintf(inputs->topics[i].name, sizeof inputs->topics[i].name, "%s.%s", prefix,
			topics[i]);
	*opened = inputs;
	return RC_OK;
}

void inputs_close(struct inputs *inputs)
{
	if (!inputs)
		return;
	inputs_stop(inputs);
	log_reader_close(inputs->reader);
	free(inputs->topics);
	free(inputs);
}

void inputs_stop(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->count; i++) {
		struct topic *topic = &inputs->topics[i];

		for (int32_t p = 0; p < topic->partitions; p++)
			log_unassign(inputs->reader, topic->name, p);
		free(topic->assigned);
		topic->assigned = NULL;
		topic->partitions = 0;
	}
	inputs->cursors = NULL;
}

/* ---- which partitions there are */

static enum rc look(struct inputs *inputs, struct err *err)
{
	for (size_t i = 0; i < inputs->count; i++) {
		struct topic *topic = &inputs->topics[i];
		int32_t count;
		enum rc rc = log_partitions(inputs->log, topic->name, KAFKA_WAIT_MS, &count, err);

		if (rc == RC_NONE)
			return err_set(err, RC_RETRY, "topic %s: run modelwatch init", topic->name);
		TRY(rc);
		if (count <= topic->partitions)
			continue;
		topic->assigned =
			memory_grow(topic->assigned, (size_t)count, sizeof *topic->assigned);
		for (; topic->partitions < count; topic->partitions++)
			topic->assigned[topic->partitions] = false;
	}
	inputs->look_at = clock_monotonic_ms() + LOOK_EVERY_MS;
	return RC_OK;
}

enum rc inputs_start(struct inputs *inputs, struct cursors *cursors, struct err *err)
{
	enum rc rc = look(inputs, err);

	if (rc == RC_OK)
		inputs->cursors = cursors;
	else
		inputs_stop(inputs);
	return rc;
}

/* ---- where to read them from */

/* RC_REJECT: it is another log than the one that the cursor stands in. */
static enum rc compare(struct inputs *inputs, const struct cursor *cursor, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	int64_t append_ms;

	if (cursor->next <= 0 || !cursor->fingerprint)
		return RC_OK;
	enum rc rc = log_peek(inputs->log, cursor->topic, cursor->partition, cursor->next - 1,
		KAFKA_WAIT_MS, &key, &value, &append_ms, err);

	if (rc == RC_NONE) /* too old to be kept, or log_take() will tell of a gap */
		return RC_OK;
	TRY(rc);
	if (cursor_fingerprint(append_ms, bytes_view(&key), bytes_view(&value)) ==
		cursor->fingerprint)
		return RC_OK;
	return err_set(err, RC_REJECT, "%s-%d: another log than the one that was read",
		cursor->topic, (int)cursor->partition);
}

static void move(struct cursor *cursor, int64_t to)
{
	cursor->next = to;
	cursor->fingerprint = 0;
	cursor->dirty = true;
}

static enum rc assign(
	struct inputs *inputs, struct topic *topic, int32_t partition, struct err *err)
{
	struct cursor *cursor = cursors_of(inputs->cursors, topic->name, partition);
	enum rc compared = compare(inputs, cursor, err);
	struct err ignored;

	if (compared == RC_REJECT)
		move(cursor, 0);
	else
		TRY(compared);
	/* Of a gap the caller hears even if this fails: the next call tries again. */
	enum rc rc = log_assign(inputs->reader, topic->name, partition,
		cursor->next > 0 ? cursor->next : OFFSET_BEGINNING,
		compared == RC_REJECT ? &ignored : err);

	topic->assigned[partition] = rc == RC_OK;
	return compared == RC_REJECT ? compared : rc;
}

static enum rc assign_all(struct inputs *inputs, struct err *err)
{
	for (size_t i = 0; i < inputs->count; i++) {
		struct topic *topic = &inputs->topics[i];

		for (int32_t p = 0; p < topic->partitions; p++)
			if (!topic->assigned[p])
				TRY(assign(inputs, topic, p, err));
	}
	return RC_OK;
}

static void let_go(struct inputs *inputs, const struct log_gap *gap)
{
	for (size_t i = 0; i < inputs->count; i++)
		if (strcmp(inputs->topics[i].name, gap->topic) == 0)
			inputs->topics[i].assigned[gap->partition] = false;
}

enum rc inputs_take(struct inputs *inputs, int wait_ms, size_t max,
	const struct log_message **messages, size_t *count, struct err *err)
{
	struct log_gap gap;

	*count = 0;
	if (clock_monotonic_ms() >= inputs->look_at)
		TRY(look(inputs, err));
	TRY(assign_all(inputs, err));
	enum rc rc = log_take(inputs->reader, wait_ms, max, messages, count, &gap, err);

	if (rc == RC_REJECT) {
		move(cursors_of(inputs->cursors, gap.topic, gap.partition), gap.low);
		let_go(inputs, &gap);
	}
	return rc;
}

bool inputs_are_read(const struct inputs *inputs, int64_t age_max_ms)
{
	for (size_t i = 0; i < inputs->count; i++) {
		const struct topic *topic = &inputs->topics[i];

		for (int32_t p = 0; p < topic->partitions; p++) {
			int64_t age_ms = log_end_age_ms(inputs->reader, topic->name, p);

			if (!topic->assigned[p] || age_ms < 0 || age_ms > age_max_ms)
				return false;
		}
	}
	return inputs->cursors != NULL;
}
