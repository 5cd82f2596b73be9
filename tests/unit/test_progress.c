/* ingest/progress: when catching up begins and ends, and what is told of it. */
#include "core/topics.h"
#include "ingest/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* 1000 messages a second are folded of a log that 200 a second come to. */
static void run(struct progress *progress, int64_t first, int64_t lag, int seconds)
{
	for (int i = 0; i <= seconds; i++)
		progress_look(progress, first + 1000 * i, lag - 800 * i, 5000 + 1000 * i);
}

static void a_small_lag_is_not_catching_up(void **state)
{
	struct progress progress = {0};

	(void)state;
	progress_look(&progress, 10, PROGRESS_BEGINS_AT - 1, 1000);
	assert_false(progress.catching_up);
	progress_look(&progress, 10, PROGRESS_BEGINS_AT, 2000);
	assert_true(progress.catching_up);
}

static void it_ends_only_near_the_end(void **state)
{
	struct progress progress = {0};

	(void)state;
	run(&progress, 0, 80000, 90);
	assert_true(progress.catching_up);
	progress_look(&progress, 92000, PROGRESS_ENDS_AT - 1, 100000);
	assert_false(progress.catching_up);
}

static void it_tells_share_speed_and_time_left(void **state)
{
	struct progress progress = {0};
	char text[128];

	(void)state;
	run(&progress, 7000, 100000, 50);
	/* 50 000 of 110 000 are folded; 60 000 are left, of which 800 a second go */
	assert_int_equal(progress_percent(&progress), 45);
	assert_int_equal(progress_seconds_left(&progress), 75);
	progress_text(&progress, text, sizeof text);
	assert_string_equal(text, "catching up: 45 %, 1000 messages/s, 1 min 15 s left");
}

static void a_log_that_grows_faster_has_no_time_left(void **state)
{
	struct progress progress = {0};
	char text[128];

	(void)state;
	for (int i = 0; i < 10; i++)
		progress_look(&progress, 100 * i, 90000 + 400 * i, 5000 + 1000 * i);
	assert_int_equal(progress_seconds_left(&progress), -1);
	progress_text(&progress, text, sizeof text);
	assert_string_equal(text, "catching up: 0 %, 100 messages/s, it does not come nearer");
}

static void what_is_not_known_changes_nothing(void **state)
{
	struct progress progress = {0}, before;

	(void)state;
	run(&progress, 0, 100000, 3);
	before = progress;
	progress_look(&progress, 9000, -1, 90000);
	assert_memory_equal(&progress, &before, sizeof before);
}

static void a_log_read_again_from_its_beginning_begins_again(void **state)
{
	struct progress progress = {0};

	(void)state;
	run(&progress, 50000, 100000, 10);
	progress_look(&progress, 0, 160000, 60000);
	assert_int_equal(progress_percent(&progress), 0);
	progress_look(&progress, 80000, 80000, 61000);
	assert_int_equal(progress_percent(&progress), 50);
}

static void a_sum_weighs_by_messages(void **state)
{
	struct progress one = {.catching_up = true, .from = 100, .next = 200, .end = 1100};
	struct progress other = {.catching_up = true, .next = 3000, .end = 3000};
	struct progress idle = {.next = 9, .end = 9};
	struct progress sum = {0};

	(void)state;
	progress_add(&sum, &one);
	progress_add(&sum, &other);
	progress_add(&sum, &idle);
	assert_true(sum.catching_up);
	assert_int_equal(progress_percent(&sum), 77); /* 3100 of 4000 */
}

static void its_record_comes_and_goes(void **state)
{
	struct progress progress = {0};
	struct change change = {0};

	(void)state;
	progress_change(&progress, &change); /* of a process that was killed */
	assert_int_equal(change.writes[0].kind, WRITE_DROP);
	change_clear(&change);
	progress_change(&progress, &change);
	assert_int_equal(change.write_count, 0);
	run(&progress, 0, 100000, 10);
	progress_change(&progress, &change);
	assert_int_equal(change.writes[0].kind, WRITE_PUT);
	struct view data = change_view(&change, change.writes[0].data, change.writes[0].data_size);
	static const char expected[] = "{\"kind\":\"progress\",\"percent\":9,\"per_second\":1000,"
				       "\"seconds_left\":115,\"behind\":92000}";

	assert_int_equal(data.size, sizeof expected - 1);
	assert_memory_equal(data.data, expected, data.size);
	run(&progress, 99999, 10, 0);
	change_clear(&change);
	assert_false(progress_is_over(&progress));
	progress_look(&progress, 100000, 0, 900000);
	assert_true(progress_is_over(&progress));
	progress_change(&progress, &change);
	progress_change(&progress, &change);
	assert_int_equal(change.write_count, 1);
	assert_int_equal(change.writes[0].kind, WRITE_DROP);
	change_done(&change);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_lag_is_not_catching_up),
		cmocka_unit_test(it_ends_only_near_the_end),
		cmocka_unit_test(it_tells_share_speed_and_time_left),
		cmocka_unit_test(a_log_that_grows_faster_has_no_time_left),
		cmocka_unit_test(what_is_not_known_changes_nothing),
		cmocka_unit_test(a_log_read_again_from_its_beginning_begins_again),
		cmocka_unit_test(a_sum_weighs_by_messages),
		cmocka_unit_test(its_record_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
