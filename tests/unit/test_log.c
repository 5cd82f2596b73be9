/* tests/unit/test_log.c: ports/log.h in memory, and where keys go. */
#include "ports/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct view nothing;

/* Vectors of Kafka's own test (UtilsTest.testMurmur2); with 2^31 - 1 partitions the partition is
 * the hash. */
static void keys_go_where_the_java_client_sends_them(void **state)
{
	static const struct {
		const char *key;
		int32_t hash;
	} cases[] = {
		{"21", -973932308},
		{"foobar", -790332482},
		{"a-little-bit-long-string", -985981536},
		{"a-little-bit-longer-string", -1486304829},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
		{"abc", 479470107},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int32_t positive = cases[i].hash & INT32_MAX;

		assert_int_equal(log_partition_of(view_of(cases[i].key), INT32_MAX), positive);
		assert_int_equal(log_partition_of(view_of(cases[i].key), 7), positive % 7);
	}
}

struct memory {
	struct log *log;
	struct log_reader *reader;
	const struct log_message *messages;
	size_t count;
	struct log_gap gap;
	struct err err;
};

static int open_memory(void **state)
{
	static struct memory memory;

	memory = (struct memory){.log = log_memory_open()};
	*state = &memory;
	return log_reader_open(memory.log, &memory.reader, &memory.err) != RC_OK;
}

static int close_memory(void **state)
{
	struct memory *memory = *state;

	log_reader_close(memory->reader);
	log_close(memory->log);
	return 0;
}

static void append(struct memory *memory, int32_t partition, int count)
{
	for (int i = 0; i < count; i++) {
		char value[16];

		snprintf(value, sizeof value, "%d", i);
		log_memory_append(
			memory->log, "t", partition, view_of("key"), view_of(value), 1000 + i);
	}
}

static void assign(struct memory *memory, int32_t partition, int64_t offset)
{
	assert_int_equal(log_assign(memory->reader, "t", partition, offset, &memory->err), RC_OK);
}

static enum rc take(struct memory *memory, size_t max)
{
	return log_take(memory->reader, 1000, max, &memory->messages, &memory->count, &memory->gap,
		&memory->err);
}

static void messages_come_in_order_from_the_assigned_offset(void **state)
{
	struct memory *memory = *state;

	append(memory, 1, 10);
	assign(memory, 1, 3);
	assert_int_equal(take(memory, 4), RC_OK);
	assert_int_equal(memory->count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(memory->messages[i].topic, "t");
		assert_int_equal(memory->messages[i].partition, 1);
		assert_int_equal(memory->messages[i].offset, 3 + i);
		assert_int_equal(memory->messages[i].append_ms, 1003 + i);
		assert_true(view_is(memory->messages[i].key, "key"));
	}
	assert_true(view_is(memory->messages[0].value, "3"));
	assert_int_equal(log_lag(memory->reader, "t", 1), 3);
	assert_int_equal(log_end_age_ms(memory->reader, "t", 1), -1);
	assert_int_equal(take(memory, 100), RC_OK);
	assert_int_equal(memory->count, 3);
	assert_int_equal(take(memory, 100), RC_NONE);
	assert_int_equal(memory->count, 0);
	assert_int_equal(log_end_age_ms(memory->reader, "t", 1), 0);
}

static void a_move_takes_effect_at_once(void **state)
{
	struct memory *memory = *state;

	append(memory, 0, 10);
	assign(memory, 0, OFFSET_BEGINNING);
	assert_int_equal(take(memory, 5), RC_OK);
	assign(memory, 0, 2);
	assert_int_equal(take(memory, 1), RC_OK);
	assert_int_equal(memory->messages[0].offset, 2);
	assign(memory, 0, OFFSET_END);
	assert_int_equal(take(memory, 5), RC_NONE);
	append(memory, 0, 1);
	assert_int_equal(take(memory, 5), RC_OK);
	assert_int_equal(memory->messages[0].offset, 10);
	log_unassign(memory->reader, "t", 0);
	append(memory, 0, 1);
	assert_int_equal(take(memory, 5), RC_NONE);
	assert_int_equal(log_lag(memory->reader, "t", 0), -1);
}

static void no_partition_starves(void **state)
{
	struct memory *memory = *state;
	size_t seen[3] = {0};

	for (int32_t p = 0; p < 3; p++) {
		append(memory, p, 10);
		assign(memory, p, 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(memory, 5), RC_OK);
		seen[memory->messages[0].partition] += memory->count;
	}
	for (int p = 0; p < 3; p++)
		assert_int_equal(seen[p], 5);
}

static void an_offset_that_is_not_there_is_a_gap_once(void **state)
{
	static const struct {
		int64_t offset;
		bool gap;
	} cases[] = {{3, true}, {4, false}, {10, false}, {11, true}};
	struct memory *memory = *state;

	append(memory, 0, 10);
	log_memory_trim(memory->log, "t", 0, 4);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assign(memory, 0, cases[i].offset);
		enum rc rc = take(memory, 100);

		assert_int_equal(rc == RC_REJECT, cases[i].gap);
		if (!cases[i].gap)
			continue;
		assert_string_equal(memory->gap.topic, "t");
		assert_int_equal(memory->gap.partition, 0);
		assert_int_equal(memory->gap.offset, cases[i].offset);
		assert_int_equal(memory->gap.low, 4);
		assert_int_equal(memory->gap.high, 10);
		assert_int_equal(take(memory, 100), RC_NONE);
	}
}

static void trimmed_messages_make_room_and_leave_offsets_alone(void **state)
{
	struct memory *memory = *state;

	assign(memory, 0, 0);
	for (int64_t round = 0; round < 100; round++) {
		append(memory, 0, 50);
		assert_int_equal(take(memory, 100), RC_OK);
		assert_int_equal(memory->count, 50);
		assert_int_equal(memory->messages[0].offset, round * 50);
		assert_true(view_is(memory->messages[49].value, "49"));
		log_memory_trim(memory->log, "t", 0, round * 50 + 40);
	}
}

static void a_peek_finds_one_message_or_none(void **state)
{
	struct memory *memory = *state;
	struct bytes key = {0}, value = {0};
	int64_t append_ms;

	append(memory, 0, 3);
	log_memory_trim(memory->log, "t", 0, 1);
	assert_int_equal(
		log_peek(memory->log, "t", 0, 2, 0, &key, &value, &append_ms, &memory->err), RC_OK);
	assert_string_equal(key.data, "key");
	assert_string_equal(value.data, "2");
	assert_int_equal(append_ms, 1002);
	for (int64_t offset = 0; offset <= 3; offset += 3)
		assert_int_equal(log_peek(memory->log, "t", 0, offset, 0, &key, &value, &append_ms,
					 &memory->err),
			RC_NONE);
	bytes_done(&key);
	bytes_done(&value);
}

static void topics_are_counted_and_compared(void **state)
{
	struct memory *memory = *state;
	struct log_topic topic = {.name = "t", .partitions = 3, .retention_ms = 5};
	int32_t count = 0;

	assert_int_equal(log_partitions(memory->log, "t", 0, &count, &memory->err), RC_NONE);
	assert_int_equal(log_create(memory->log, &topic, 0, &memory->err), RC_OK);
	assert_int_equal(log_partitions(memory->log, "t", 0, &count, &memory->err), RC_OK);
	assert_int_equal(count, 3);
	assert_int_equal(log_create(memory->log, &topic, 0, &memory->err), RC_NONE);
	assert_string_equal(memory->err.text, "");
	topic.compacted = true;
	assert_int_equal(log_create(memory->log, &topic, 0, &memory->err), RC_NONE);
	assert_string_not_equal(memory->err.text, "");
}

static void written_records_arrive_by_key_and_are_acknowledged_in_order(void **state)
{
	struct memory *memory = *state;
	struct log_topic topic = {.name = "t", .partitions = 8, .retention_ms = -1};
	struct log_writer *writer;
	uint64_t tags[100];
	bool delivered[100];

	assert_int_equal(log_create(memory->log, &topic, 0, &memory->err), RC_OK);
	assert_int_equal(log_writer_open(memory->log, NULL, 0, &writer, &memory->err), RC_OK);
	for (uint64_t tag = 0; tag < 100; tag++)
		assert_int_equal(log_write(writer, "t", view_of("foobar"), nothing, nothing,
					 tag << 48 | tag, &memory->err),
			RC_OK);
	assert_int_equal(log_written(writer, 0, 60, tags, delivered), 60);
	assert_int_equal(log_written(writer, 0, 100, tags + 60, delivered + 60), 40);
	for (uint64_t tag = 0; tag < 100; tag++) {
		assert_true(delivered[tag]);
		assert_int_equal(tags[tag], tag << 48 | tag);
	}
	assert_int_equal(log_written(writer, 0, 100, tags, delivered), 0);

	int32_t partition = log_partition_of(view_of("foobar"), 8);
	assign(memory, partition, 0);
	assert_int_equal(take(memory, 1000), RC_OK);
	assert_int_equal(memory->count, 100);
	assert_null(memory->messages[0].value.data); /* a tombstone */
	assert_int_equal(memory->messages[0].append_ms, -1);
	log_writer_close(writer);
}

int main(void)
{
#define MEMORY(test) cmocka_unit_test_setup_teardown(test, open_memory, close_memory)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_go_where_the_java_client_sends_them),
		MEMORY(messages_come_in_order_from_the_assigned_offset),
		MEMORY(a_move_takes_effect_at_once),
		MEMORY(no_partition_starves),
		MEMORY(an_offset_that_is_not_there_is_a_gap_once),
		MEMORY(trimmed_messages_make_room_and_leave_offsets_alone),
		MEMORY(a_peek_finds_one_message_or_none),
		MEMORY(topics_are_counted_and_compared),
		MEMORY(written_records_arrive_by_key_and_are_acknowledged_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
