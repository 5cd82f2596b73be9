/* ports/outbox.c: the relay from a fold's outbox to its topics: a ring of entries in flight, each
 * waiting, given to the writer, or done and to be dropped.
 * TOUCHES: through store.h and log.h. */
#include "ports/outbox.h"

#include "core/memory.h"
#include "ports/clock.h"
#include "ports/crash_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FLIGHTS_MAX = 5000,
	BYTES_MAX = 32 << 20, /* held at most, plus one look */
	LOOK_MAX = 500,       /* entries in one look, ids in one drop */
	LOOK_EVERY_MS = 1000,
	DROP_EVERY_MS = 100, /* acknowledged entries are dropped together */
	BLOCKED_MAX = 8,     /* a fold has a handful of topics */
	SETTLE_MAX = 1000,   /* acknowledgements at once */
};

enum stage { WAITING, GIVEN, DONE };

/* An entry from the look at it until it is dropped. Its number: the outbox's in the upper 16 bits
 * of a tag. */
struct flight {
	enum stage stage;
	char id[48];
	char *topic; /* with the prefix; owned, as is data */
	char *data;  /* key, value, headers */
	size_t key_size, value_size, headers_size;
};

struct outbox {
	struct store *store;
	const struct fold *fold;
	struct log_writer *writer;
	const char *prefix;
	uint64_t number;
	char epoch[EPOCH_SIZE]; /* of what is in flight */

	struct flight *flights; /* a ring of FLIGHTS_MAX, in the outbox's order */
	uint64_t first, next;   /* numbers of the oldest one and of the next new one */
	size_t waiting, done;   /* so many of each; the rest is GIVEN */
	size_t bytes;
	int64_t done_since_ms; /* when the first of the DONE ones was acknowledged */

	char seen[48]; /* id of the last entry that was looked at; "" = none in flight */
	bool more;     /* there may be more behind it */
	int64_t looked_ms;
};

static struct flight *flight_at(struct outbox *outbox, uint64_t number)
{
	return &outbox->flights[number % FLIGHTS_MAX];
}

static void free_flight(struct outbox *outbox, struct flight *flight)
{
	outbox->bytes -= flight->key_size + flight->value_size + flight->headers_size;
	free(flight->topic);
	free(flight->data);
	flight->topic = flight->data = NULL;
}

struct outbox *outbox_open(
	struct store *store, const struct fold *fold, struct log_writer *writer, const char *prefix)
{
	static uint64_t opened;
	struct outbox *outbox = memory_new(1, sizeof *outbox);

	outbox->store = store;
	outbox->fold = fold;
	outbox->writer = writer;
	outbox->prefix = prefix;
	outbox->number = ++opened & 0xffff;
	outbox->flights = memory_new(FLIGHTS_MAX, sizeof *outbox->flights);
	outbox->more = true;
	return outbox;
}

static void forget_all(struct outbox *outbox)
{
	while (outbox->first < outbox->next)
		free_flight(outbox, flight_at(outbox, outbox->first++));
	outbox->waiting = outbox->done = 0;
	outbox->more = true;
}

void outbox_close(struct outbox *outbox)
{
	if (!outbox)
		return;
	forget_all(outbox);
	free(outbox->flights);
	free(outbox);
}

/* ---- looking */

static enum rc take_off(void *context, const struct outbox_entry *entry, struct err *err)
{
	struct outbox *outbox = context;
	struct flight *flight = flight_at(outbox, outbox->next++);
	struct bytes topic = {0}, data = {0};

	(void)err;
	bytes_format(&topic, "%s.%.*s", outbox->prefix, (int)entry->topic.size, entry->topic.data);
	bytes_add(&data, entry->key.data, entry->key.size);
	bytes_add(&data, entry->value.data, entry->value.size);
	bytes_add(&data, entry->headers.data, entry->headers.size);
	*flight = (struct flight){
		.stage = WAITING,
		.topic = topic.data,
		.data = data.data,
		.key_size = entry->key.size,
		.value_size = entry->value.size,
		.headers_size = entry->headers.size,
	};
	memcpy(flight->id, entry->id, sizeof flight->id);
	memcpy(outbox->seen, entry->id, sizeof outbox->seen);
	outbox->waiting++;
	outbox->bytes += data.size;
	return RC_OK;
}

static enum rc look(struct outbox *outbox, const struct head *head, bool wake, struct err *err)
{
	size_t room = FLIGHTS_MAX - (size_t)(outbox->next - outbox->first);
	size_t max = room < LOOK_MAX ? room : LOOK_MAX;
	uint64_t before = outbox->next;
	int64_t now_ms = clock_monotonic_ms();

	/* With nothing in flight all that is there is new, even if Redis went back in time. */
	if (outbox->first == outbox->next)
		outbox->seen[0] = '\0';
	if (wake || now_ms - outbox->looked_ms >= LOOK_EVERY_MS)
		outbox->more = true;
	if (!outbox->more || !max || outbox->bytes >= BYTES_MAX)
		return RC_OK;
	TRY(store_outbox(
		outbox->store, outbox->fold, head, outbox->seen, max, take_off, outbox, err));
	outbox->looked_ms = now_ms;
	outbox->more = outbox->next - before == max;
	return RC_OK;
}

/* ---- giving */

static void set_done(struct outbox *outbox, struct flight *flight)
{
	if (flight->stage == WAITING)
		outbox->waiting--;
	flight->stage = DONE;
	if (!outbox->done++)
		outbox->done_since_ms = clock_monotonic_ms();
}

static enum rc give(struct outbox *outbox, uint64_t number, struct err *err)
{
	struct flight *flight = flight_at(outbox, number);
	const char *value = flight->data + flight->key_size;
	struct view key = {flight->key_size ? flight->data : NULL, flight->key_size};

	CRASH_POINT("outbox.before_write");
	enum rc rc = log_write(outbox->writer, flight->topic, key,
		(struct view){flight->value_size ? value : NULL, flight->value_size},
		(struct view){value + flight->value_size, flight->headers_size},
		outbox->number << 48 | (number & 0xffffffffffff), err);
	if (rc == RC_OK) {
		flight->stage = GIVEN;
		outbox->waiting--;
		CRASH_POINT("outbox.after_write");
	} else if (rc == RC_REJECT) {
		set_done(outbox, flight);
		err_prefix(err, rc, "output %s is lost: ", flight->id);
	}
	return rc;
}

static bool is_blocked(const char *const blocked[], size_t count, const char *topic)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(blocked[i], topic))
			return true;
	return false;
}

/* In order within each topic; a topic that takes nothing now does not hold up the others. */
static enum rc give_waiting(struct outbox *outbox, struct err *err)
{
	const char *blocked[BLOCKED_MAX];
	size_t blocked_count = 0;

	for (uint64_t i = outbox->first; outbox->waiting && i < outbox->next; i++) {
		struct flight *flight = flight_at(outbox, i);

		if (flight->stage != WAITING || is_blocked(blocked, blocked_count, flight->topic))
			continue;
		enum rc rc = give(outbox, i, err);
		if (rc == RC_REJECT || rc == RC_FATAL)
			return rc;
		if (rc != RC_OK)
			blocked[blocked_count++] = flight->topic;
		if (blocked_count == BLOCKED_MAX)
			break;
	}
	return blocked_count ? RC_RETRY : RC_OK;
}

/* ---- dropping */

static void land(struct outbox *outbox)
{
	while (outbox->first < outbox->next && !flight_at(outbox, outbox->first)->topic)
		outbox->first++;
}

static bool is_time_to_drop(const struct outbox *outbox)
{
	return outbox->done >= LOOK_MAX || outbox->done == outbox->next - outbox->first ||
	       clock_monotonic_ms() - outbox->done_since_ms >= DROP_EVERY_MS;
}

static enum rc drop_done(struct outbox *outbox, const struct head *head, struct err *err)
{
	const char *ids[LOOK_MAX];
	struct flight *flights[LOOK_MAX];
	size_t count = 0;

	if (!outbox->done || !is_time_to_drop(outbox))
		return RC_OK;
	for (uint64_t i = outbox->first; i < outbox->next && count < LOOK_MAX; i++) {
		struct flight *flight = flight_at(outbox, i);

		if (flight->topic && flight->stage == DONE) {
			ids[count] = flight->id;
			flights[count++] = flight;
		}
	}
	CRASH_POINT("outbox.before_drop");
	TRY(store_outbox_drop(outbox->store, outbox->fold, head, ids, count, err));
	CRASH_POINT("outbox.after_drop");
	for (size_t i = 0; i < count; i++)
		free_flight(outbox, flights[i]);
	outbox->done -= count;
	land(outbox);
	return RC_OK;
}

/* ---- the outbox */

enum rc outbox_turn(struct outbox *outbox, const struct head *head, bool wake, struct err *err)
{
	if (strcmp(outbox->epoch, head->epoch) != 0) {
		forget_all(outbox);
		memcpy(outbox->epoch, head->epoch, sizeof outbox->epoch);
	}
	TRY(drop_done(outbox, head, err));
	TRY(look(outbox, head, wake, err));
	return give_waiting(outbox, err);
}

bool outbox_is_empty(const struct outbox *outbox)
{
	return outbox->first == outbox->next && !outbox->more;
}

uint64_t outbox_number(const struct outbox *outbox)
{
	return outbox->number;
}

/* A tag from before the outbox started over is of a number that is no longer in flight. */
void outbox_written(struct outbox *outbox, uint64_t tag, bool delivered)
{
	uint64_t number = tag & 0xffffffffffff;
	struct flight *flight = flight_at(outbox, number);

	if (tag >> 48 != outbox->number || number < outbox->first || number >= outbox->next ||
		flight->stage != GIVEN)
		return;
	if (delivered) {
		set_done(outbox, flight);
	} else {
		flight->stage = WAITING;
		outbox->waiting++;
	}
}

void outbox_settle(struct outbox *const outboxes[], size_t count, struct log_writer *writer)
{
	uint64_t tags[SETTLE_MAX];
	bool delivered[SETTLE_MAX];
	size_t known;

	do {
		known = log_written(writer, 0, SETTLE_MAX, tags, delivered);
		for (size_t i = 0; i < known; i++)
			for (size_t k = 0; k < count; k++)
				outbox_written(outboxes[k], tags[i], delivered[i]);
	} while (known == SETTLE_MAX);
}
