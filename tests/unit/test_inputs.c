/* tests/unit/test_inputs.c: ports/inputs.h over a log in memory, with a clock that tests move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/inputs.h"
#include "tests/unit/moved_clock.h"

#include <stdio.h>
#include <string.h>

static const char *const topics[] = {"findings", "commands"};

/* A log with both topics, the inputs, the cursors of a fold, and what it has taken in so far. */
struct room {
	struct log *log;
	struct inputs *inputs;
	struct cursors cursors;
	char taken[200]; /* values, each with a blank behind it */
	struct err err;
};

static void append(struct log *log, const char *topic, int32_t partition, const char *value)
{
	log_memory_append(log, topic, partition, view_of("key"), view_of(value), now_ms);
}

static int open_room(void **state)
{
	static struct room room;

	room = (struct room){.log = log_memory_open()};
	append(room.log, "mw.findings", 0, "f0");
	append(room.log, "mw.findings", 1, "g0");
	append(room.log, "mw.commands", 0, "c0");
	*state = &room;
	return inputs_open(room.log, "mw", topics, 2, &room.inputs, &room.err) != RC_OK;
}

static int close_room(void **state)
{
	struct room *room = *state;

	inputs_close(room->inputs);
	log_close(room->log);
	cursors_done(&room->cursors);
	return 0;
}

static void start(struct room *room)
{
	assert_int_equal(inputs_start(room->inputs, &room->cursors, &room->err), RC_OK);
}

/* Takes in what comes, until nothing does or something is told. */
static enum rc take(struct room *room)
{
	const struct log_message *messages;
	size_t count;
	enum rc rc;

	while ((rc = inputs_take(room->inputs, 0, 10, &messages, &count, &room->err)) == RC_OK) {
		for (size_t i = 0; i < count; i++) {
			const struct log_message *message = &messages[i];
			struct cursor *cursor =
				cursors_of(&room->cursors, message->topic, message->partition);
			size_t size = strlen(room->taken);

			if (cursor_pass(cursor, message->offset, message->append_ms, message->key,
				    message->value))
				snprintf(room->taken + size, sizeof room->taken - size, "%.*s ",
					(int)message->value.size, message->value.data);
		}
	}
	return rc;
}

static void expect_taken(struct room *room, const char *values)
{
	assert_int_equal(take(room), RC_NONE);
	assert_string_equal(room->taken, values);
	room->taken[0] = '\0';
}

/* The same cursors, and whatever log is there now. */
static void replace_log(struct room *room, struct log *log)
{
	inputs_close(room->inputs);
	log_close(room->log);
	room->log = log;
	assert_int_equal(inputs_open(log, "mw", topics, 2, &room->inputs, &room->err), RC_OK);
	start(room);
}

static void a_missing_topic_is_told_with_what_to_do(void **state)
{
	struct room *room = *state;
	struct log *log = log_memory_open();

	inputs_close(room->inputs);
	log_close(room->log);
	room->log = log;
	append(log, "mw.findings", 0, "f0");
	assert_int_equal(inputs_open(log, "mw", topics, 2, &room->inputs, &room->err), RC_OK);
	assert_int_equal(inputs_start(room->inputs, &room->cursors, &room->err), RC_RETRY);
	assert_string_equal(room->err.text, "topic mw.commands: run modelwatch init");
	assert_false(inputs_are_read(room->inputs, INT64_MAX));
	append(log, "mw.commands", 0, "c0");
	start(room);
	expect_taken(room, "f0 c0 ");
}

static void every_partition_is_read_to_its_end_and_on_from_its_cursor(void **state)
{
	struct room *room = *state;

	assert_false(inputs_are_read(room->inputs, INT64_MAX));
	start(room);
	assert_false(inputs_are_read(room->inputs, INT64_MAX));
	expect_taken(room, "f0 g0 c0 ");
	assert_true(inputs_are_read(room->inputs, INT64_MAX));
	append(room->log, "mw.findings", 1, "g1");
	assert_false(inputs_are_read(room->inputs, INT64_MAX));

	inputs_stop(room->inputs);
	inputs_stop(room->inputs);
	assert_false(inputs_are_read(room->inputs, INT64_MAX));
	start(room);
	expect_taken(room, "g1 ");
	assert_true(inputs_are_read(room->inputs, INT64_MAX));
}

static void new_partitions_are_found_within_a_minute(void **state)
{
	struct room *room = *state;

	start(room);
	expect_taken(room, "f0 g0 c0 ");
	append(room->log, "mw.findings", 2, "h0");
	now_ms += 59000;
	expect_taken(room, "");
	now_ms += 1000;
	expect_taken(room, "h0 ");
}

static void another_log_under_the_same_name_is_a_gap_and_is_read_from_its_beginning(void **state)
{
	struct room *room = *state;
	struct log *log = log_memory_open();

	start(room);
	expect_taken(room, "f0 g0 c0 ");
	append(log, "mw.findings", 0, "F0");
	append(log, "mw.findings", 0, "F1");
	append(log, "mw.findings", 1, "G0");
	append(log, "mw.commands", 0, "c0"); /* the same as before */
	replace_log(room, log);
	assert_int_equal(take(room), RC_REJECT);
	assert_string_equal(
		room->err.text, "mw.findings-0: another log than the one that was read");
	assert_true(cursors_of(&room->cursors, "mw.findings", 0)->dirty);
	assert_int_equal(take(room), RC_REJECT);
	assert_string_equal(
		room->err.text, "mw.findings-1: another log than the one that was read");
	expect_taken(room, "F0 F1 G0 ");
	assert_int_equal(cursors_of(&room->cursors, "mw.findings", 0)->next, 2);
}

static void a_log_that_ends_before_the_cursor_is_a_gap_and_is_read_from_its_beginning(void **state)
{
	struct room *room = *state;
	struct log *log = log_memory_open();

	append(room->log, "mw.findings", 0, "f1");
	append(room->log, "mw.findings", 0, "f2");
	start(room);
	expect_taken(room, "f0 f1 f2 g0 c0 ");
	append(log, "mw.findings", 0, "F0");
	append(log, "mw.findings", 1, "g0");
	append(log, "mw.commands", 0, "c0");
	replace_log(room, log);
	assert_int_equal(take(room), RC_REJECT);
	assert_int_equal(cursors_of(&room->cursors, "mw.findings", 0)->next, 0);
	assert_true(cursors_of(&room->cursors, "mw.findings", 0)->dirty);
	expect_taken(room, "F0 ");
}

static void records_that_are_no_longer_kept_are_a_gap_and_the_first_that_is_there_comes(
	void **state)
{
	struct room *room = *state;

	start(room);
	expect_taken(room, "f0 g0 c0 ");
	inputs_stop(room->inputs);
	for (int i = 1; i < 5; i++)
		append(room->log, "mw.findings", 0,
			(const char *[]){"", "f1", "f2", "f3", "f4"}[i]);
	log_memory_trim(room->log, "mw.findings", 0, 3);
	start(room);
	assert_int_equal(take(room), RC_REJECT);
	assert_int_equal(cursors_of(&room->cursors, "mw.findings", 0)->next, 3);
	assert_true(cursors_of(&room->cursors, "mw.findings", 0)->dirty);
	assert_false(inputs_are_read(room->inputs, INT64_MAX));
	expect_taken(room, "f3 f4 ");
	assert_true(inputs_are_read(room->inputs, INT64_MAX));
}

int main(void)
{
#define ROOM(test) cmocka_unit_test_setup_teardown(test, open_room, close_room)
	const struct CMUnitTest tests[] = {
		ROOM(a_missing_topic_is_told_with_what_to_do),
		ROOM(every_partition_is_read_to_its_end_and_on_from_its_cursor),
		ROOM(new_partitions_are_found_within_a_minute),
		ROOM(another_log_under_the_same_name_is_a_gap_and_is_read_from_its_beginning),
		ROOM(a_log_that_ends_before_the_cursor_is_a_gap_and_is_read_from_its_beginning),
		ROOM(records_that_are_no_longer_kept_are_a_gap_and_the_first_that_is_there_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
