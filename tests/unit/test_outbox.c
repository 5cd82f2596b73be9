/* tests/unit/test_outbox.c: ports/outbox.h between a store in memory and a writer that obeys the
 * test. */
#include "core/memory.h"
#include "ports/log_kind.h"
#include "ports/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct written {
	char topic[64], key[64], value[64], headers[64];
	uint64_t tag;
};

struct fake_writer {
	struct log_writer writer;
	struct written *list;
	size_t count;
	const char *refusing; /* this topic gets `refusal` */
	enum rc refusal;
};

struct room {
	struct store *store;
	struct fold fold;
	struct head head;
	struct fake_writer writer;
	struct outbox *outbox;
	struct err err;
};

static void copy(struct view view, char text[64])
{
	snprintf(text, 64, "%.*s", (int)view.size, view.data ? view.data : "");
}

static enum rc fake_write(struct log_writer *base, const char *topic, struct view key,
	struct view value, struct view headers, uint64_t tag, struct err *err)
{
	struct fake_writer *writer = (struct fake_writer *)base;

	if (writer->refusing && !strcmp(writer->refusing, topic))
		return err_set(err, writer->refusal, "topic %s: refused by the test", topic);
	writer->list = memory_grow(writer->list, writer->count + 1, sizeof *writer->list);
	struct written *written = &writer->list[writer->count++];
	copy(view_of(topic), written->topic);
	copy(key, written->key);
	copy(value, written->value);
	copy(headers, written->headers);
	written->tag = tag;
	return RC_OK;
}

static enum rc ignore_record(void *context, struct view field, struct view data, struct err *err)
{
	(void)context, (void)field, (void)data, (void)err;
	return RC_OK;
}

static int open_room(void **state)
{
	static const struct log_writer_kind kind = {.write = fake_write};
	static struct room room;

	room = (struct room){.store = store_memory_open(),
		.fold = {.service = "detectors", .log = "t-0"},
		.writer.writer.kind = &kind};
	if (store_load(room.store, &room.fold, &room.head, ignore_record, NULL, &room.err) != RC_OK)
		return 1;
	room.outbox = outbox_open(room.store, &room.fold, &room.writer.writer, "modelwatch");
	*state = &room;
	return 0;
}

static int close_room(void **state)
{
	struct room *room = *state;

	outbox_close(room->outbox);
	store_close(room->store);
	free(room->writer.list);
	return 0;
}

/* Outputs number from .. from + count - 1 in one step. */
static void say(struct room *room, const char *topic, int from, int count)
{
	struct change change = {0};
	struct bytes headers = {0};

	bytes_text(&headers, "h");
	for (int i = from; i < from + count; i++) {
		char value[32];

		snprintf(value, sizeof value, "%d", i);
		change_emit(&change, topic, view_of("key"), view_of(value), &headers);
	}
	assert_int_equal(
		store_advance(room->store, &room->fold, &room->head, &change, &room->err), RC_OK);
	change_done(&change);
	bytes_done(&headers);
}

static enum rc turn(struct room *room, bool wake)
{
	return outbox_turn(room->outbox, &room->head, wake, &room->err);
}

static enum rc count_entry(void *context, const struct outbox_entry *entry, struct err *err)
{
	(void)entry, (void)err;
	++*(size_t *)context;
	return RC_OK;
}

static size_t stored(struct room *room)
{
	size_t count = 0;

	assert_int_equal(store_outbox(room->store, &room->fold, &room->head, "", 100000,
				 count_entry, &count, &room->err),
		RC_OK);
	return count;
}

static void tell(struct room *room, size_t i, bool delivered)
{
	outbox_written(room->outbox, room->writer.list[i].tag, delivered);
}

static void outputs_reach_their_topic_and_are_dropped_once_acknowledged(void **state)
{
	struct room *room = *state;

	say(room, "findings", 0, 3);
	assert_false(outbox_is_empty(room->outbox));
	assert_int_equal(turn(room, true), RC_OK);
	assert_int_equal(room->writer.count, 3);
	for (size_t i = 0; i < 3; i++) {
		char value[8];

		snprintf(value, sizeof value, "%zu", i);
		assert_string_equal(room->writer.list[i].topic, "modelwatch.findings");
		assert_string_equal(room->writer.list[i].key, "key");
		assert_string_equal(room->writer.list[i].value, value);
		assert_string_equal(room->writer.list[i].headers, "h");
		assert_int_equal(room->writer.list[i].tag >> 48, outbox_number(room->outbox));
	}
	assert_int_equal(turn(room, true), RC_OK);
	assert_int_equal(room->writer.count, 3);
	assert_int_equal(stored(room), 3);
	for (size_t i = 0; i < 3; i++)
		tell(room, i, true);
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(stored(room), 0);
	assert_true(outbox_is_empty(room->outbox));
}

static void what_was_not_delivered_is_given_again(void **state)
{
	struct room *room = *state;

	say(room, "findings", 0, 3);
	assert_int_equal(turn(room, true), RC_OK);
	tell(room, 0, true);
	tell(room, 1, false);
	tell(room, 2, true);
	tell(room, 2, false); /* an answer twice changes nothing */
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(room->writer.count, 4);
	assert_string_equal(room->writer.list[3].value, "1");
	assert_int_equal(room->writer.list[3].tag, room->writer.list[1].tag);
	tell(room, 3, true);
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(stored(room), 0);
}

static void a_topic_that_takes_nothing_holds_up_only_its_own_records(void **state)
{
	struct room *room = *state;

	room->writer.refusing = "modelwatch.deadletter";
	room->writer.refusal = RC_RETRY;
	say(room, "deadletter", 0, 2);
	say(room, "findings", 2, 2);
	assert_int_equal(turn(room, true), RC_RETRY);
	assert_non_null(strstr(room->err.text, "deadletter"));
	assert_int_equal(room->writer.count, 2);
	assert_string_equal(room->writer.list[0].value, "2");
	room->writer.refusing = NULL;
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(room->writer.count, 4);
	assert_string_equal(room->writer.list[2].value, "0");
	assert_string_equal(room->writer.list[3].value, "1");
}

static void a_record_that_is_too_large_is_told_and_dropped(void **state)
{
	struct room *room = *state;

	room->writer.refusing = "modelwatch.deadletter";
	room->writer.refusal = RC_REJECT;
	say(room, "deadletter", 0, 1);
	say(room, "findings", 1, 1);
	assert_int_equal(turn(room, true), RC_REJECT);
	assert_non_null(strstr(room->err.text, "deadletter"));
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(room->writer.count, 1);
	tell(room, 0, true);
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(stored(room), 0);
}

static void a_writer_that_is_lost_is_fatal(void **state)
{
	struct room *room = *state;

	room->writer.refusing = "modelwatch.findings";
	room->writer.refusal = RC_FATAL;
	say(room, "findings", 0, 1);
	assert_int_equal(turn(room, true), RC_FATAL);
	assert_int_equal(stored(room), 1);
}

static void many_outputs_pass_in_order_with_a_bounded_number_in_flight(void **state)
{
	enum { MANY = 12000, IN_FLIGHT_MAX = 5000 };
	struct room *room = *state;
	size_t told = 0;

	for (int i = 0; i < MANY; i += 1000)
		say(room, "findings", i, 1000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(room->writer.count, IN_FLIGHT_MAX);
	for (int turns = 0; stored(room) && turns < 1000; turns++) {
		while (told < room->writer.count)
			tell(room, told++, true);
		assert_int_equal(turn(room, false), RC_OK);
	}
	assert_int_equal(room->writer.count, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(atoi(room->writer.list[i].value), i);
	assert_int_equal(turn(room, true), RC_OK);
	assert_true(outbox_is_empty(room->outbox));
}

static void another_epoch_starts_over_and_old_answers_mean_nothing(void **state)
{
	struct room *room = *state;

	say(room, "findings", 0, 2);
	assert_int_equal(turn(room, true), RC_OK);

	struct fold other = {.service = "detectors", .log = "t-1"};
	room->fold = other; /* another epoch, as after a loss of Redis */
	assert_int_equal(
		store_load(room->store, &room->fold, &room->head, ignore_record, NULL, &room->err),
		RC_OK);
	say(room, "findings", 7, 1);
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(room->writer.count, 3);
	assert_string_equal(room->writer.list[2].value, "7");
	tell(room, 0, true);
	tell(room, 1, true);
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(stored(room), 1);
	tell(room, 2, true);
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(stored(room), 0);
}

static void what_a_former_process_left_is_relayed_too(void **state)
{
	struct room *room = *state;

	say(room, "findings", 0, 2);
	assert_int_equal(turn(room, true), RC_OK);
	outbox_close(room->outbox); /* killed before any answer */
	room->outbox = outbox_open(room->store, &room->fold, &room->writer.writer, "modelwatch");
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(room->writer.count, 4);
	tell(room, 0, true); /* of the former one */
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(stored(room), 2);
}

static void an_answer_to_another_outbox_means_nothing(void **state)
{
	struct room *room = *state;
	struct outbox *other =
		outbox_open(room->store, &room->fold, &room->writer.writer, "modelwatch");

	say(room, "findings", 0, 1);
	assert_int_equal(outbox_turn(other, &room->head, true, &room->err), RC_OK);
	assert_int_equal(turn(room, true), RC_OK);
	tell(room, 0, true); /* the other's first one: of the same number but for the outbox */
	assert_int_equal(turn(room, false), RC_OK);
	assert_int_equal(stored(room), 1);
	outbox_close(other);
}

int main(void)
{
#define ROOM(test) cmocka_unit_test_setup_teardown(test, open_room, close_room)
	const struct CMUnitTest tests[] = {
		ROOM(outputs_reach_their_topic_and_are_dropped_once_acknowledged),
		ROOM(what_was_not_delivered_is_given_again),
		ROOM(a_topic_that_takes_nothing_holds_up_only_its_own_records),
		ROOM(a_record_that_is_too_large_is_told_and_dropped),
		ROOM(a_writer_that_is_lost_is_fatal),
		ROOM(many_outputs_pass_in_order_with_a_bounded_number_in_flight),
		ROOM(another_epoch_starts_over_and_old_answers_mean_nothing),
		ROOM(what_a_former_process_left_is_relayed_too),
		ROOM(an_answer_to_another_outbox_means_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
