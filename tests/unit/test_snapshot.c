#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/snapshot.h"
#include "core/topics.h"

#include <stdlib.h>
#include <string.h>

enum { BIG = 1200 * 1024 };

static struct cut a_cut(uint64_t number, int64_t watermark_ms)
{
	return (struct cut){.epoch = "0123456789abcdef",
		.sequence = 100 * number,
		.number = number,
		.watermark_ms = watermark_ms,
		.offset = 7};
}

/* The parts of a snapshot whose records are {"cursor": text, "open:x": size bytes}. */
static void emit(struct change *change, const struct cut *cut, const char *text, size_t size)
{
	struct bytes records = {0}, big = {0};

	for (size_t i = 0; i < size; i++)
		bytes_add(&big, &"0123456789"[i % 10], 1);
	snapshot_add(&records, view_of("cursor"), view_of(text));
	snapshot_add(&records, view_of("open:x"), bytes_view(&big));
	snapshot_emit(change, "ingest", "ml.events-3", cut, bytes_view(&records));
	bytes_done(&records);
	bytes_done(&big);
}

static struct view key_of(const struct change *change, size_t i)
{
	return change_view(change, change->outputs[i].key, change->outputs[i].key_size);
}

static struct view value_of(const struct change *change, size_t i)
{
	return change_view(change, change->outputs[i].value, change->outputs[i].value_size);
}

static void take(struct snapshots *snapshots, const struct change *change, size_t i)
{
	struct err err;

	assert_int_equal(
		snapshots_take(snapshots, key_of(change, i), value_of(change, i), &err), RC_OK);
}

static void take_whole(struct snapshots *snapshots, const struct cut *cut, const char *text)
{
	struct change change = {0};

	emit(&change, cut, text, 10);
	take(snapshots, &change, 0);
	change_done(&change);
}

static struct snapshots of_partition(void)
{
	return (struct snapshots){.service = "ingest", .log = "ml.events-3"};
}

/* What a restored change puts under a field. */
static struct view put(const struct change *change, const char *field)
{
	for (size_t i = 0; i < change->write_count; i++) {
		const struct write *write = &change->writes[i];

		if (view_is(change_view(change, write->field, write->field_size), field))
			return change_view(change, write->data, write->data_size);
	}
	fail_msg("nothing is put under %s", field);
	return view_of("");
}

static void a_snapshot_comes_back_whole_whatever_the_order_of_its_parts(void **state)
{
	struct snapshots found = of_partition();
	struct change change = {0}, restored = {0};
	struct cut cut = a_cut(5, 1000), read;

	(void)state;
	emit(&change, &cut, "here", BIG);
	assert_int_equal(change.output_count, 3);
	for (size_t i = 0; i < change.output_count; i++)
		assert_true(change.outputs[i].value_size < 1000000);
	assert_true(view_is(key_of(&change, 2), "ingest/ml.events-3/5/2"));
	take(&found, &change, 2);
	take(&found, &change, 0);
	take(&found, &change, 0);
	assert_null(snapshots_at(&found, &cut));
	take(&found, &change, 1);
	assert_non_null(snapshots_at(&found, &cut));
	snapshot_restore(snapshots_at(&found, &cut), &restored);
	assert_true(view_is(put(&restored, "cursor"), "here"));
	assert_int_equal(put(&restored, "open:x").size, BIG);
	assert_memory_equal(put(&restored, "open:x").data + BIG - 10, "0123456789", 10);
	assert_true(cut_read(put(&restored, FIELD_RESTORED), &read));
	assert_string_equal(read.epoch, cut.epoch);
	assert_int_equal(read.sequence, cut.sequence);
	assert_int_equal(read.number, cut.number);
	assert_int_equal(read.watermark_ms, cut.watermark_ms);
	assert_int_equal(read.offset, cut.offset);
	snapshots_done(&found);
	change_done(&change);
	change_done(&restored);
}

static void snapshots_of_other_folds_are_passed_over(void **state)
{
	struct snapshots others[] = {{.service = "detectors", .log = "ml.events-3"},
		{.service = "ingest", .log = "ml.events-33"},
		{.service = "ingest", .log = "ml.events"}};
	struct cut cut = a_cut(1, 1000);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		take_whole(&others[i], &cut, "here");
		assert_int_equal(others[i].count, 0);
	}
}

static void a_newer_one_takes_its_place_when_it_is_whole(void **state)
{
	struct snapshots found = of_partition();
	struct change newer = {0};
	struct cut old = a_cut(1, 1000), new = a_cut(1 + SNAPSHOTS_KEPT, 9000);

	(void)state;
	take_whole(&found, &old, "old");
	emit(&newer, &new, "new", BIG);
	take(&found, &newer, 0);
	take(&found, &newer, 1);
	assert_non_null(snapshots_at(&found, &old));
	take(&found, &newer, 2);
	assert_null(snapshots_at(&found, &old));
	assert_non_null(snapshots_at(&found, &new));
	take_whole(&found, &old, "old"); /* of another partition of the topic, read later */
	assert_null(snapshots_at(&found, &old));
	snapshots_done(&found);
	change_done(&newer);
}

/* The store went back in time, and the same life came to the same number by another way. */
static void two_cuts_at_one_number_are_told_apart(void **state)
{
	struct snapshots found = of_partition();
	struct cut first = a_cut(1, 1000), second = a_cut(1, 1200);

	(void)state;
	take_whole(&found, &first, "first");
	take_whole(&found, &second, "second");
	assert_null(snapshots_at(&found, &first)); /* it took its place */
	assert_non_null(snapshots_at(&found, &second));
	snapshots_done(&found);
}

static void the_one_that_reaches_back_far_enough_is_found_and_those_behind_it(void **state)
{
	struct snapshots found = of_partition();
	const struct snapshot *at;

	(void)state;
	assert_null(snapshots_before(&found, 0));
	for (uint64_t number = 3; number <= 7; number++) {
		struct cut cut = a_cut(number, 1000 * (int64_t)number);

		take_whole(&found, &cut, "here");
	}
	assert_null(snapshots_before(&found, 4001));
	assert_int_equal(snapshots_before(&found, 4000)->cut.number, 3);
	assert_int_equal(snapshots_before(&found, 3999)->cut.number, 3);
	assert_int_equal(snapshots_before(&found, 3000)->cut.number, 4);
	assert_int_equal(snapshots_before(&found, 0)->cut.number, 7);
	at = snapshots_before(&found, 2500);
	assert_int_equal(at->cut.number, 4);
	assert_int_equal(snapshots_after(&found, &at->cut)->cut.number, 5);
	assert_null(snapshots_after(&found, &snapshots_before(&found, 0)->cut));
	snapshots_done(&found);
}

static void damaged_parts_are_refused_and_harm_nothing(void **state)
{
	struct snapshots found = of_partition();
	struct change change = {0};
	struct cut cut = a_cut(2, 1000);
	struct err err;

	(void)state;
	emit(&change, &cut, "here", 10);
	struct view value = value_of(&change, 0);

	for (size_t size = 0; size < value.size; size++)
		assert_int_equal(snapshots_take(&found, key_of(&change, 0),
					 (struct view){value.data, size}, &err),
			RC_REJECT);
	assert_null(snapshots_before(&found, 0));
	take(&found, &change, 0);
	assert_non_null(snapshots_at(&found, &cut));
	snapshots_done(&found);
	change_done(&change);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_comes_back_whole_whatever_the_order_of_its_parts),
		cmocka_unit_test(snapshots_of_other_folds_are_passed_over),
		cmocka_unit_test(a_newer_one_takes_its_place_when_it_is_whole),
		cmocka_unit_test(two_cuts_at_one_number_are_told_apart),
		cmocka_unit_test(the_one_that_reaches_back_far_enough_is_found_and_those_behind_it),
		cmocka_unit_test(damaged_parts_are_refused_and_harm_nothing),
	};

	return cmocka_run_group_tests_name("snapshots", tests, NULL, NULL);
}
