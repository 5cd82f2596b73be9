/* tests/unit/test_owner.c: ports/owner.h: two owners of one fold over a store in memory that may
 * lose what it is told, and a clock that tests move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/log.h"
#include "ports/owner.h"
#include "ports/store_kind.h"
#include "tests/unit/moved_clock.h"

#include <stdio.h>
#include <string.h>

static const struct fold fold = {.service = "alerts", .log = "alerts"};

struct room {
	struct store *store;
	struct log *log;
	struct log_writer *writer;
	struct owner *first, *second;
	struct change change;
	struct err err;
};

static int open_room(void **state)
{
	static const char *const topics[] = {"mw.alerts"};
	static struct room room;

	room = (struct room){.store = store_memory_open(), .log = log_memory_open()};
	if (log_writer_open(room.log, topics, 1, &room.writer, &room.err) != RC_OK)
		return 1;
	room.first = owner_open(room.store, &fold, room.writer, "mw", NULL);
	room.second = owner_open(room.store, &fold, room.writer, "mw", NULL);
	*state = &room;
	return 0;
}

static int close_room(void **state)
{
	struct room *room = *state;

	owner_close(room->first);
	owner_close(room->second);
	log_writer_close(room->writer);
	log_close(room->log);
	store_close(room->store);
	change_done(&room->change);
	return 0;
}

static enum rc ignore(void *context, struct view field, struct view data, struct err *err)
{
	(void)context, (void)field, (void)data, (void)err;
	return RC_OK;
}

static enum rc load(struct room *room, struct owner *owner)
{
	bool fresh;

	return owner_load(owner, ignore, NULL, now_ms, &fresh, &room->err);
}

static enum rc step(struct room *room, struct owner *owner)
{
	return owner_advance(owner, &room->change, now_ms, &room->err);
}

/* Whether a step with nothing in it was stored. */
static bool beats(struct room *room, struct owner *owner)
{
	struct head before, after;

	assert_int_equal(store_head(room->store, &fold, &before, &room->err), RC_OK);
	assert_int_equal(step(room, owner), RC_OK);
	assert_int_equal(store_head(room->store, &fold, &after, &room->err), RC_OK);
	return strcmp(before.token, after.token) != 0;
}

static void say(struct room *room, const char *value)
{
	change_emit(&room->change, "alerts", view_of("key"), view_of(value), NULL);
}

static void expect_in_topic(struct room *room, const char *values)
{
	const struct log_message *messages;
	struct log_reader *reader;
	char found[100] = "";
	struct log_gap gap;
	size_t count = 0;

	assert_int_equal(log_reader_open(room->log, &reader, &room->err), RC_OK);
	assert_int_equal(log_assign(reader, "mw.alerts", 0, OFFSET_BEGINNING, &room->err), RC_OK);
	if (log_take(reader, 0, 100, &messages, &count, &gap, &room->err) != RC_OK)
		count = 0;
	for (size_t i = 0; i < count; i++)
		snprintf(found + strlen(found), sizeof found - strlen(found), "%.*s ",
			(int)messages[i].value.size, messages[i].value.data);
	log_reader_close(reader);
	assert_string_equal(found, values);
}

/* Tries until it may; *waited: for so long. */
static void load_after(struct room *room, struct owner *owner, int64_t *waited)
{
	int64_t begin_ms = now_ms;
	enum rc rc;

	while ((rc = load(room, owner)) == RC_NONE && now_ms - begin_ms < 60000)
		now_ms += 100;
	assert_int_equal(rc, RC_OK);
	*waited = now_ms - begin_ms;
}

static void the_first_one_ever_begins_at_once(void **state)
{
	struct room *room = *state;

	assert_int_equal(load(room, room->first), RC_OK);
	assert_int_equal(step(room, room->first), RC_OK);
}

static void one_that_starts_looks_for_an_owner_and_goes_on_if_there_is_none(void **state)
{
	struct room *room = *state;
	int64_t waited;

	assert_int_equal(load(room, room->first), RC_OK);
	assert_int_equal(step(room, room->first), RC_OK);
	assert_int_equal(load(room, room->second), RC_NONE);
	assert_string_equal(room->err.text, "looking whether another process advances this fold");
	load_after(room, room->second, &waited);
	assert_int_equal(waited, OWNER_LOOK_MS);
}

static void one_that_starts_stands_by_if_there_is_an_owner(void **state)
{
	struct room *room = *state;

	assert_int_equal(load(room, room->first), RC_OK);
	assert_int_equal(step(room, room->first), RC_OK);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(load(room, room->second), RC_NONE);
		now_ms += OWNER_BEAT_MS;
		assert_int_equal(step(room, room->first), RC_OK);
	}
	assert_string_equal(room->err.text, "another process advances this fold");
}

static void one_whose_ports_are_opened_anew_goes_on_at_once(void **state)
{
	struct room *room = *state;

	assert_int_equal(load(room, room->first), RC_OK);
	assert_int_equal(step(room, room->first), RC_OK);
	struct owner *owner = owner_open(room->store, &fold, room->writer, "mw", room->first);

	assert_int_equal(load(room, owner), RC_OK);
	owner_close(owner);
}

static void an_owner_with_nothing_to_store_steps_all_the_same(void **state)
{
	struct room *room = *state;

	assert_int_equal(load(room, room->first), RC_OK);
	assert_int_equal(step(room, room->first), RC_OK);
	now_ms += OWNER_BEAT_MS - 1;
	assert_false(beats(room, room->first));
	now_ms += 1;
	assert_true(beats(room, room->first));
	assert_false(beats(room, room->first));
}

/* The first one owned the fold, was frozen for a while, and stands by after this. */
static void hand_over(struct room *room)
{
	int64_t waited;

	if (load(room, room->first) != RC_OK)
		load_after(room, room->first, &waited);
	assert_int_equal(step(room, room->first), RC_OK);
	load_after(room, room->second, &waited);
	assert_int_equal(step(room, room->second), RC_OK);
	say(room, "late");
	assert_int_equal(step(room, room->first), RC_RETRY);
	assert_int_equal(room->change.output_count, 0);
	assert_int_equal(load(room, room->first), RC_NONE);
	assert_string_equal(room->err.text, "another process advances this fold");
}

static void one_stands_by_as_long_as_the_other_lives(void **state)
{
	struct room *room = *state;

	hand_over(room);
	for (int i = 0; i < 100; i++) {
		now_ms += 500;
		assert_int_equal(step(room, room->second), RC_OK);
		assert_int_equal(load(room, room->first), RC_NONE);
	}
}

static void one_takes_over_when_the_other_is_silent(void **state)
{
	struct room *room = *state;
	int64_t waited;

	hand_over(room);
	load_after(room, room->first, &waited);
	assert_in_range(waited, OWNER_STILL_MS, OWNER_STILL_MAX_MS);
	assert_int_equal(step(room, room->first), RC_OK);
	now_ms += OWNER_BEAT_MS;
	assert_int_equal(step(room, room->second), RC_RETRY);
	assert_int_equal(load(room, room->second), RC_NONE);
}

/* The one that went silent held "old" back; what the other told since is younger. */
static void what_an_outbox_held_when_the_fold_was_lost_does_not_come_again(void **state)
{
	struct room *room = *state;
	int64_t waited;

	assert_int_equal(load(room, room->first), RC_OK);
	say(room, "old");
	assert_int_equal(step(room, room->first), RC_OK);
	assert_int_equal(owner_relay(room->first, &room->err), RC_OK); /* not yet acknowledged */
	hand_over(room);
	say(room, "new");
	assert_int_equal(step(room, room->second), RC_OK);
	for (int i = 0; i < 3; i++) {
		now_ms += 1000;
		assert_int_equal(owner_relay(room->second, &room->err), RC_OK);
	}
	expect_in_topic(room, "old old new ");
	load_after(room, room->first, &waited);
	assert_int_equal(step(room, room->first), RC_OK);
	assert_int_equal(owner_relay(room->first, &room->err), RC_OK);
	expect_in_topic(room, "old old new ");
}

/* ---- a store that fails in the middle */

enum mood { HONEST, STEP_LOST, ANSWER_LOST };

struct frail {
	struct store store;
	struct store *inner;
	enum mood mood;
};

static enum rc frail_load(struct store *store, const struct fold *of, struct head *head,
	store_record record, void *context, struct err *err)
{
	struct store *inner = ((struct frail *)store)->inner;

	return inner->kind->load(inner, of, head, record, context, err);
}

static enum rc frail_head(
	struct store *store, const struct fold *of, struct head *head, struct err *err)
{
	return store_head(((struct frail *)store)->inner, of, head, err);
}

static enum rc frail_advance(struct store *store, const struct fold *of, const struct head *head,
	const char *next, const struct change *change, struct err *err)
{
	struct frail *frail = (struct frail *)store;
	struct store *inner = frail->inner;
	enum mood mood = frail->mood;

	frail->mood = HONEST;
	if (mood == STEP_LOST)
		return err_set(err, RC_REJECT, "the connection is gone");
	enum rc rc = inner->kind->advance(inner, of, head, next, change, err);

	return mood == HONEST ? rc : err_set(err, RC_REJECT, "the answer is lost");
}

static const struct store_kind frail_kind = {
	.load = frail_load, .head = frail_head, .advance = frail_advance};

/* No other process is there, so there is nothing to wait for. */
static void a_step_or_an_answer_that_is_lost_is_nobody_elses_step(void **state)
{
	struct room *room = *state;
	struct frail frail = {.store = {.kind = &frail_kind}, .inner = room->store};
	struct owner *owner = owner_open(&frail.store, &fold, room->writer, "mw", NULL);

	assert_int_equal(load(room, owner), RC_OK);
	for (enum mood mood = STEP_LOST; mood <= ANSWER_LOST; mood++) {
		assert_int_equal(step(room, owner), RC_OK);
		say(room, "value");
		frail.mood = mood;
		assert_int_equal(step(room, owner), RC_RETRY);
		assert_int_equal(load(room, owner), RC_OK);
	}
	owner_close(owner);
}

static void a_loss_of_all_data_is_nobody_elses_step(void **state)
{
	struct room *room = *state;
	struct frail frail = {.store = {.kind = &frail_kind}, .inner = room->store};
	struct owner *owner = owner_open(&frail.store, &fold, room->writer, "mw", NULL);
	bool fresh;

	assert_int_equal(load(room, owner), RC_OK);
	assert_int_equal(step(room, owner), RC_OK);
	frail.inner = store_memory_open();
	say(room, "value");
	assert_int_equal(step(room, owner), RC_RETRY);
	assert_int_equal(owner_load(owner, ignore, NULL, now_ms, &fresh, &room->err), RC_OK);
	assert_true(fresh);
	assert_int_equal(step(room, owner), RC_OK);
	store_close(frail.inner);
	owner_close(owner);
}

int main(void)
{
#define ROOM(test) cmocka_unit_test_setup_teardown(test, open_room, close_room)
	const struct CMUnitTest tests[] = {
		ROOM(the_first_one_ever_begins_at_once),
		ROOM(one_that_starts_looks_for_an_owner_and_goes_on_if_there_is_none),
		ROOM(one_that_starts_stands_by_if_there_is_an_owner),
		ROOM(one_whose_ports_are_opened_anew_goes_on_at_once),
		ROOM(an_owner_with_nothing_to_store_steps_all_the_same),
		ROOM(one_stands_by_as_long_as_the_other_lives),
		ROOM(one_takes_over_when_the_other_is_silent),
		ROOM(what_an_outbox_held_when_the_fold_was_lost_does_not_come_again),
		ROOM(a_step_or_an_answer_that_is_lost_is_nobody_elses_step),
		ROOM(a_loss_of_all_data_is_nobody_elses_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
