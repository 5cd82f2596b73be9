/* tests/live/store_contract.h: what ports/store.h promises, as tests that hold for every
 * implementation. Included by tests/unit/test_store.c (memory) and tests/live/test_store.c (Redis),
 * which set contract_store before they run contract_tests. Each test works on a fold of its own, so
 * a Redis may be used again. */
#ifndef TESTS_STORE_CONTRACT_H
#define TESTS_STORE_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/clock.h"
#include "ports/store.h"
#include "ports/store_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store *contract_store;

/* ---- helpers */

#define assert_ok(call) assert_rc(RC_OK, call)
#define assert_rc(wanted, call)                                                                    \
	do {                                                                                       \
		struct err err = {0};                                                              \
		enum rc got_ = (call);                                                             \
		if (got_ != (wanted))                                                              \
			fail_msg("%s gave %d, wanted %d: %s", #call, (int)got_, (int)(wanted),     \
				err.text);                                                         \
	} while (0)

static struct fold new_fold(void)
{
	struct fold fold = {.service = "ingest"};
	uint64_t number;

	clock_chance(&number, sizeof number);
	snprintf(fold.log, sizeof fold.log, "contract.Topic_-%016" PRIx64 "-0", number);
	return fold;
}

static enum rc collect_record(void *context, struct view field, struct view data, struct err *err)
{
	(void)err;
	bytes_add(context, field.data, field.size);
	bytes_text(context, "=");
	bytes_add(context, data.data, data.size);
	bytes_text(context, ";");
	return RC_OK;
}

static enum rc collect_entry(void *context, uint64_t sequence, struct view data, struct err *err)
{
	(void)err;
	bytes_format(context, "%" PRIu64 "=", sequence);
	bytes_add(context, data.data, data.size);
	bytes_text(context, ";");
	return RC_OK;
}

struct outputs {
	struct bytes text;
	char ids[16][48];
	size_t count;
};

static enum rc collect_output(void *context, const struct outbox_entry *entry, struct err *err)
{
	struct outputs *outputs = context;

	(void)err;
	snprintf(outputs->ids[outputs->count++], sizeof outputs->ids[0], "%s", entry->id);
	for (const struct view *part = &entry->topic; part <= &entry->headers; part++) {
		bytes_add(&outputs->text, part->data, part->size);
		bytes_text(&outputs->text, part == &entry->headers ? ";" : ",");
	}
	return RC_OK;
}

static void assert_text(struct bytes *bytes, const char *wanted)
{
	assert_string_equal(bytes->data ? bytes->data : "", wanted);
	bytes_done(bytes);
}

static struct head load_fold(const struct fold *fold)
{
	struct head head;
	struct bytes text = {0};

	assert_ok(store_load(contract_store, fold, &head, collect_record, &text, &err));
	bytes_done(&text);
	return head;
}

static void assert_state(const struct fold *fold, const char *wanted)
{
	struct head head;
	struct bytes text = {0};

	assert_ok(store_load(contract_store, fold, &head, collect_record, &text, &err));
	assert_text(&text, wanted);
}

static void assert_stream(const struct fold *fold, const struct head *head, const char *table,
	uint64_t from, size_t max, const char *wanted)
{
	struct bytes text = {0};

	assert_ok(store_stream(
		contract_store, fold, head, table, from, max, collect_entry, &text, &err));
	assert_text(&text, wanted);
}

static struct outputs outputs_after(
	const struct fold *fold, const struct head *head, const char *after_id, size_t max)
{
	struct outputs outputs = {0};

	assert_ok(store_outbox(
		contract_store, fold, head, after_id, max, collect_output, &outputs, &err));
	return outputs;
}

static void assert_outbox(const struct fold *fold, const struct head *head, const char *wanted)
{
	struct outputs outputs = outputs_after(fold, head, NULL, 16);

	assert_text(&outputs.text, wanted);
}

static void put_text(struct change *change, const char *table, const char *field, const char *data)
{
	change_put(change, table, view_of(field), view_of(data));
}

static void append_text(
	struct change *change, const char *table, uint64_t sequence, const char *data)
{
	change_append(change, table, sequence, view_of(data), 0, 0);
}

static void emit_text(struct change *change, const char *key, const char *value)
{
	change_emit(change, "findings", view_of(key), view_of(value), NULL);
}

/* Carries the change out and empties it. */
static void step(const struct fold *fold, struct head *head, struct change *change)
{
	assert_ok(store_advance(contract_store, fold, head, change, &err));
	change_clear(change);
}

/* ---- heads and tokens */

static void assert_same_head(const struct head *left, const struct head *right)
{
	assert_int_equal(left->fresh, right->fresh);
	assert_string_equal(left->token, right->token);
	assert_string_equal(left->epoch, right->epoch);
}

static void a_fold_without_state_is_fresh(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct head other;

	(void)unused;
	assert_true(head.fresh);
	assert_string_equal(head.token, "");
	assert_int_equal(strlen(head.epoch), EPOCH_SIZE - 1);
	assert_rc(RC_NONE, store_head(contract_store, &fold, &other, &err));
	other = load_fold(&fold);
	assert_string_not_equal(head.epoch, other.epoch);
}

static void a_step_gives_the_head_a_new_token(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};
	struct head found;

	(void)unused;
	step(&fold, &head, &change);
	struct head first = head;

	assert_false(head.fresh);
	assert_int_equal(strlen(head.token), TOKEN_SIZE - 1);
	step(&fold, &head, &change);
	assert_string_not_equal(head.token, first.token);
	assert_string_equal(head.epoch, first.epoch);
	assert_ok(store_head(contract_store, &fold, &found, &err));
	assert_same_head(&found, &head);
	found = load_fold(&fold);
	assert_same_head(&found, &head);
	change_done(&change);
}

static void a_stale_token_is_refused_and_nothing_is_written(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	put_text(&change, "state", "a", "1");
	step(&fold, &head, &change);
	struct head zombie = head;

	put_text(&change, "state", "a", "2");
	step(&fold, &head, &change);

	struct head before = zombie;

	put_text(&change, "state", "a", "zombie");
	put_text(&change, "other", "b", "zombie");
	append_text(&change, "ticks", 1, "zombie");
	emit_text(&change, "k", "zombie");
	assert_rc(RC_REJECT, store_advance(contract_store, &fold, &zombie, &change, &err));
	assert_same_head(&zombie, &before);
	assert_string_not_equal(zombie.tried, before.tried);
	assert_state(&fold, "a=2;");
	assert_stream(&fold, &head, "ticks", 0, 10, "");
	assert_outbox(&fold, &head, "");

	/* The rightful owner notices nothing, the zombie goes on after a load. */
	change_clear(&change);
	step(&fold, &head, &change);
	zombie = load_fold(&fold);
	step(&fold, &zombie, &change);
	assert_rc(RC_REJECT, store_advance(contract_store, &fold, &head, &change, &err));
	change_done(&change);
}

static void of_two_fresh_processes_one_wins(void **unused)
{
	struct fold fold = new_fold();
	struct head first = load_fold(&fold);
	struct head second = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	assert_true(first.fresh && second.fresh);
	put_text(&change, "state", "who", "first");
	step(&fold, &first, &change);
	put_text(&change, "state", "who", "second");
	assert_rc(RC_REJECT, store_advance(contract_store, &fold, &second, &change, &err));
	assert_state(&fold, "who=first;");
	struct head after = load_fold(&fold);

	assert_string_equal(after.epoch, first.epoch);
	change_done(&change);
}

static void a_token_of_nothing_is_refused(void **unused)
{
	struct fold fold = new_fold();
	struct head head = {
		.token = "0123456789abcdef0123456789abcdef", .epoch = "0123456789abcdef"};
	struct change change = {0};

	(void)unused;
	put_text(&change, "state", "a", "1");
	assert_rc(RC_REJECT, store_advance(contract_store, &fold, &head, &change, &err));
	assert_true(load_fold(&fold).fresh);
	change_done(&change);
}

static void the_same_step_twice_is_stored_once(void **unused)
{
	static const char next[TOKEN_SIZE] = "00112233445566778899aabbccddeeff";
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	append_text(&change, "ticks", 1, "one");
	emit_text(&change, "k", "v");
	for (int i = 0; i < 2; i++)
		assert_ok(contract_store->kind->advance(
			contract_store, &fold, &head, next, &change, &err));
	assert_stream(&fold, &head, "ticks", 0, 10, "1=one;");
	assert_outbox(&fold, &head, "findings,k,v,;");
	change_done(&change);
}

static void nothing_is_stored_under_another_epoch(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct head other = {.epoch = "ffffffffffffffff"};
	struct change change = {0};
	struct bytes data = {0};

	(void)unused;
	put_text(&change, "state", "a", "1");
	append_text(&change, "ticks", 1, "one");
	emit_text(&change, "k", "v");
	step(&fold, &head, &change);
	assert_rc(RC_NONE,
		store_get(contract_store, &fold, &other, "state", view_of("a"), &data, &err));
	assert_stream(&fold, &other, "ticks", 0, 10, "");
	assert_outbox(&fold, &other, "");
	change_done(&change);
}

/* ---- tables */

static void records_come_back_sorted(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};
	struct bytes text = {0};

	(void)unused;
	for (const char *const *field =
			(const char *const[]){"b", "a", "", "ab", "\xff", "B", NULL};
		*field; field++) {
		put_text(&change, "state", *field, "1");
		put_text(&change, "windows:7", *field, "2");
	}
	step(&fold, &head, &change);
	assert_state(&fold, "=1;B=1;a=1;ab=1;b=1;\xff=1;");
	assert_ok(store_table(
		contract_store, &fold, &head, "windows:7", collect_record, &text, &err));
	assert_text(&text, "=2;B=2;a=2;ab=2;b=2;\xff=2;");
	assert_ok(store_table(contract_store, &fold, &head, "absent", collect_record, &text, &err));
	assert_text(&text, "");
	change_done(&change);
}

static void writes_of_a_table_keep_their_order(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	put_text(&change, "state", "a", "1");
	put_text(&change, "other", "a", "1");
	put_text(&change, "state", "a", "2");
	change_drop(&change, "state", view_of("a"));
	put_text(&change, "state", "b", "1");
	change_drop(&change, "other", view_of("a"));
	put_text(&change, "state", "a", "3");
	change_drop(&change, "state", view_of("b"));
	change_drop(&change, "state", view_of("never there"));
	step(&fold, &head, &change);
	assert_state(&fold, "a=3;");

	append_text(&change, "ticks", 1, "one");
	append_text(&change, "ticks", 2, "two");
	change_trim(&change, "ticks", 2);
	append_text(&change, "ticks", 3, "three");
	step(&fold, &head, &change);
	assert_stream(&fold, &head, "ticks", 0, 10, "2=two;3=three;");
	change_done(&change);
}

static void one_record_can_be_read(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};
	struct bytes data = {0};

	(void)unused;
	put_text(&change, "windows:1", "a", "one");
	put_text(&change, "windows:1", "empty", "");
	step(&fold, &head, &change);
	bytes_text(&data, "found ");
	assert_ok(store_get(contract_store, &fold, &head, "windows:1", view_of("a"), &data, &err));
	assert_ok(store_get(
		contract_store, &fold, &head, "windows:1", view_of("empty"), &data, &err));
	assert_rc(RC_NONE,
		store_get(contract_store, &fold, &head, "windows:1", view_of("b"), &data, &err));
	assert_rc(RC_NONE,
		store_get(contract_store, &fold, &head, "windows:2", view_of("a"), &data, &err));
	assert_text(&data, "found one");
	change_done(&change);
}

static void any_bytes_come_back_as_they_went_in(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};
	struct bytes data = {0};
	char all[256];
	struct view bytes = {all, sizeof all};

	(void)unused;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i; /* with NUL, quotes, CR and LF */
	change_put(&change, "state", bytes, bytes);
	change_append(&change, "ticks", 1, bytes, 0, 0);
	change_emit(
		&change, "findings", bytes, bytes, &(struct bytes){all, sizeof all, sizeof all});
	step(&fold, &head, &change);
	assert_ok(store_get(contract_store, &fold, &head, "state", bytes, &data, &err));
	assert_int_equal(data.size, sizeof all);
	assert_memory_equal(data.data, all, sizeof all);

	bytes_clear(&data);
	assert_ok(store_stream(
		contract_store, &fold, &head, "ticks", 0, 1, collect_entry, &data, &err));
	assert_int_equal(data.size, 2 + sizeof all + 1);
	assert_memory_equal(data.data + 2, all, sizeof all);
	bytes_done(&data);

	struct outputs outputs = outputs_after(&fold, &head, "", 16);

	assert_int_equal(outputs.text.size, strlen("findings,") + 3 * (sizeof all + 1));
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(outputs.text.data + 9 + i * 257, all, sizeof all);
	bytes_done(&outputs.text);
	change_done(&change);
}

static enum rc count_record(void *context, struct view field, struct view data, struct err *err)
{
	size_t *count = context;
	char wanted[64];
	int size = snprintf(wanted, sizeof wanted, "%08zu", *count);

	if (field.size != (size_t)size || memcmp(field.data, wanted, field.size) != 0 ||
		data.size != 300)
		return err_set(err, RC_FATAL, "record %zu is not as it was written", *count);
	++*count;
	return RC_OK;
}

static void twenty_thousand_writes_are_one_step(void **unused)
{
	enum { WRITES = 20000 };
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};
	char data[300] = {0};
	size_t count = 0;

	(void)unused;
	for (size_t i = 0; i < WRITES; i++) {
		char field[32], table[32];
		size_t shuffled = i * 7919 % WRITES;

		snprintf(field, sizeof field, "%08zu", shuffled);
		snprintf(table, sizeof table, "table:%zu", i % 100);
		change_put(&change, "state", view_of(field), (struct view){data, sizeof data});
		change_put(&change, table, view_of(field), (struct view){data, 10});
		change_append(&change, "ticks", i + 1, (struct view){data, 10}, 100, 0);
	}
	step(&fold, &head, &change);
	assert_ok(store_load(contract_store, &fold, &head, count_record, &count, &err));
	assert_int_equal(count, WRITES);
	assert_stream(&fold, &head, "ticks", 20001, 10, "");

	for (size_t i = 0; i < WRITES; i++) {
		char field[32];

		snprintf(field, sizeof field, "%08zu", i);
		change_drop(&change, "state", view_of(field));
	}
	step(&fold, &head, &change);
	assert_state(&fold, "");
	change_done(&change);
}

static void a_table_of_another_kind_refuses_the_whole_step(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	put_text(&change, "state", "a", "1");
	append_text(&change, "ticks", 1, "one");
	step(&fold, &head, &change);

	for (int way = 0; way < 4; way++) {
		put_text(&change, "state", "a", "2");
		append_text(&change, "ticks", 2, "two");
		emit_text(&change, "k", "v");
		if (way == 0)
			put_text(&change, "ticks", "a", "no hash");
		if (way == 1)
			append_text(&change, "state", 1, "no stream");
		if (way == 2)
			change_trim(&change, "state", 1);
		if (way == 3) { /* a new table, of two kinds */
			put_text(&change, "new", "a", "1");
			append_text(&change, "new", 1, "one");
		}
		assert_rc(RC_FATAL, store_advance(contract_store, &fold, &head, &change, &err));
		change_clear(&change);
		assert_state(&fold, "a=1;");
		assert_stream(&fold, &head, "ticks", 0, 10, "1=one;");
		assert_outbox(&fold, &head, "");
	}

	/* A hash that lost its last record is not there any more. */
	change_drop(&change, "state", view_of("a"));
	step(&fold, &head, &change);
	append_text(&change, "state", 1, "a stream now");
	step(&fold, &head, &change);
	change_done(&change);
}

static enum rc stop_at_b(void *context, struct view field, struct view data, struct err *err)
{
	(void)data;
	++*(int *)context;
	return view_is(field, "b") ? err_set(err, RC_REJECT, "stop") : RC_OK;
}

static void a_callback_can_end_the_reading(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};
	int count = 0;

	(void)unused;
	for (const char *const *field = (const char *const[]){"a", "b", "c", NULL}; *field; field++)
		put_text(&change, "state", *field, "1");
	step(&fold, &head, &change);
	assert_rc(RC_REJECT, store_load(contract_store, &fold, &head, stop_at_b, &count, &err));
	assert_int_equal(count, 2);
	change_done(&change);
}

/* ---- streams */

static void a_stream_is_read_from_a_number_on(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	append_text(&change, "ticks", 1, "a");
	append_text(&change, "ticks", 3, "b");
	append_text(&change, "ticks", 4, "");
	step(&fold, &head, &change);
	append_text(&change, "ticks", 5, "c");
	step(&fold, &head, &change);
	assert_stream(&fold, &head, "ticks", 0, 10, "1=a;3=b;4=;5=c;");
	assert_stream(&fold, &head, "ticks", 1, 2, "1=a;3=b;");
	assert_stream(&fold, &head, "ticks", 2, 2, "3=b;4=;");
	assert_stream(&fold, &head, "ticks", 5, 10, "5=c;");
	assert_stream(&fold, &head, "ticks", 6, 10, "");
	assert_stream(&fold, &head, "absent", 0, 10, "");
	change_done(&change);
}

static void a_stream_keeps_the_newest_entries(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	for (uint64_t i = 1; i <= 250; i++) {
		change_append(&change, "ticks", i, view_of("x"), 3, 0);
		if (i % 10 == 0)
			step(&fold, &head, &change);
	}
	assert_stream(&fold, &head, "ticks", 0, 10, "248=x;249=x;250=x;");
	change_trim(&change, "ticks", 250);
	step(&fold, &head, &change);
	assert_stream(&fold, &head, "ticks", 0, 10, "250=x;");
	change_trim(&change, "ticks", 300);
	change_trim(&change, "absent", 300);
	step(&fold, &head, &change);
	assert_stream(&fold, &head, "ticks", 0, 10, "");
	change_done(&change);
}

static void numbers_of_a_stream_only_grow(void **unused)
{
	static const struct {
		uint64_t numbers[2];
		enum rc rc;
	} cases[] = {
		{{10, 11}, RC_OK},
		{{11, 12}, RC_FATAL}, /* 11 was there */
		{{9, 12}, RC_FATAL},
		{{12, 12}, RC_FATAL},
		{{13, 12}, RC_FATAL},
		{{100, 101}, RC_OK},
		{{0, 102}, RC_FATAL},
		{{9007199254740993, 9007199254740994}, RC_OK}, /* above 2^53 */
		{{9007199254740994, 9007199254740995}, RC_FATAL},
		{{9007199254740995, UINT64_MAX}, RC_OK},
		{{UINT64_MAX, UINT64_MAX}, RC_FATAL},
	};
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put_text(&change, "state", "case", cases[i].rc == RC_OK ? "good" : "bad");
		for (size_t j = 0; j < 2; j++)
			append_text(&change, "ticks", cases[i].numbers[j], "x");
		assert_rc(cases[i].rc, store_advance(contract_store, &fold, &head, &change, &err));
		change_clear(&change);
		/* The numbers of entries that are gone count, too. */
		change_trim(&change, "ticks", UINT64_MAX);
		step(&fold, &head, &change);
	}
	assert_state(&fold, "case=good;");
	assert_stream(&fold, &head, "ticks", 0, 10, "18446744073709551615=x;");
	change_done(&change);
}

/* ---- outbox */

/* Two folds that begin alike are the two lives of one whose store went back in time: what the first
 * life still drops must not be an output of the second. */
static void ids_of_outputs_are_of_one_life(void **unused)
{
	struct outputs lives[2];
	struct change change = {0};

	(void)unused;
	for (int i = 0; i < 2; i++) {
		struct fold fold = new_fold();
		struct head head = load_fold(&fold);

		emit_text(&change, "a", "1");
		step(&fold, &head, &change);
		lives[i] = outputs_after(&fold, &head, NULL, 16);
		assert_int_equal(lives[i].count, 1);
		bytes_done(&lives[i].text);
	}
	assert_string_not_equal(lives[0].ids[0], lives[1].ids[0]);
	change_done(&change);
}

static void outputs_wait_in_order_until_they_are_dropped(void **unused)
{
	struct fold fold = new_fold();
	struct head head = load_fold(&fold);
	struct change change = {0};
	struct bytes headers = {0};

	(void)unused;
	emit_text(&change, "a", "1");
	emit_text(&change, "b", "2");
	step(&fold, &head, &change);
	bytes_sized(&headers, "id", 2);
	bytes_sized(&headers, "x", 1);
	change_emit(&change, "actions", view_of(""), view_of("3"), &headers);
	emit_text(&change, "d", "4");
	step(&fold, &head, &change);
	bytes_done(&headers);

	static const char three[] = "findings,b,2,;actions,,3,\x02id\x01x;findings,d,4,;";
	struct outputs all = outputs_after(&fold, &head, NULL, 16);
	struct outputs some = outputs_after(&fold, &head, all.ids[0], 2);

	assert_int_equal(all.count, 4);
	assert_text(&all.text, "findings,a,1,;findings,b,2,;actions,,3,\x02id\x01x;findings,d,4,;");
	assert_text(&some.text, "findings,b,2,;actions,,3,\x02id\x01x;");

	const char *first[] = {all.ids[0]};
	const char *inner[] = {all.ids[2], all.ids[1]};

	assert_ok(store_outbox_drop(contract_store, &fold, &head, first, 1, &err));
	assert_outbox(&fold, &head, three);
	assert_ok(store_outbox_drop(contract_store, &fold, &head, first, 1, &err));
	assert_outbox(&fold, &head, three);
	assert_ok(store_outbox_drop(contract_store, &fold, &head, inner, 2, &err));
	assert_outbox(&fold, &head, "findings,d,4,;");
	assert_ok(store_outbox_drop(contract_store, &fold, &head, inner, 0, &err));
	some = outputs_after(&fold, &head, all.ids[3], 16);
	assert_text(&some.text, "");

	emit_text(&change, "e", "5");
	step(&fold, &head, &change);
	some = outputs_after(&fold, &head, all.ids[3], 16);
	assert_text(&some.text, "findings,e,5,;");
	change_done(&change);
}

/* ---- folds */

static void every_fold_that_was_loaded_is_listed(void **unused)
{
	struct fold fold = new_fold();
	struct fold other = fold;
	struct bytes text = {0};
	char wanted[2 * LOG_NAME_SIZE];

	(void)unused;
	other.service = "detectors";
	load_fold(&fold);
	load_fold(&fold);
	load_fold(&other);
	assert_ok(store_folds(contract_store, collect_record, &text, &err));
	snprintf(wanted, sizeof wanted, "detectors/%s=;", fold.log);
	const char *detectors = strstr(text.data, wanted);

	snprintf(wanted, sizeof wanted, "ingest/%s=;", fold.log);
	const char *ingest = strstr(text.data, wanted);

	assert_non_null(detectors);
	assert_non_null(ingest);
	assert_true(detectors < ingest);
	assert_null(strstr(ingest + 1, wanted));
	bytes_done(&text);
}

static void folds_of_one_log_do_not_meet(void **unused)
{
	struct fold ingest = new_fold();
	struct fold detectors = ingest;
	struct change change = {0};

	(void)unused;
	detectors.service = "detectors";
	struct head head = load_fold(&ingest);

	put_text(&change, "state", "a", "1");
	step(&ingest, &head, &change);
	assert_true(load_fold(&detectors).fresh);
	assert_state(&detectors, "");
	change_done(&change);
}

static const struct CMUnitTest contract_tests[] = {
	cmocka_unit_test(a_fold_without_state_is_fresh),
	cmocka_unit_test(a_step_gives_the_head_a_new_token),
	cmocka_unit_test(a_stale_token_is_refused_and_nothing_is_written),
	cmocka_unit_test(of_two_fresh_processes_one_wins),
	cmocka_unit_test(a_token_of_nothing_is_refused),
	cmocka_unit_test(the_same_step_twice_is_stored_once),
	cmocka_unit_test(nothing_is_stored_under_another_epoch),
	cmocka_unit_test(records_come_back_sorted),
	cmocka_unit_test(writes_of_a_table_keep_their_order),
	cmocka_unit_test(one_record_can_be_read),
	cmocka_unit_test(any_bytes_come_back_as_they_went_in),
	cmocka_unit_test(twenty_thousand_writes_are_one_step),
	cmocka_unit_test(a_table_of_another_kind_refuses_the_whole_step),
	cmocka_unit_test(a_callback_can_end_the_reading),
	cmocka_unit_test(a_stream_is_read_from_a_number_on),
	cmocka_unit_test(a_stream_keeps_the_newest_entries),
	cmocka_unit_test(numbers_of_a_stream_only_grow),
	cmocka_unit_test(ids_of_outputs_are_of_one_life),
	cmocka_unit_test(outputs_wait_in_order_until_they_are_dropped),
	cmocka_unit_test(every_fold_that_was_loaded_is_listed),
	cmocka_unit_test(folds_of_one_log_do_not_meet),
};

#endif
