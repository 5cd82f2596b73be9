#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/trace.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/test_trace_XXXXXX";
static char path[64], packed_path[80];

static void write_file(const char *name, const void *data, size_t size)
{
	FILE *file = fopen(name, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	fclose(file);
}

/* The command line tool packs: another program than the one under test. */
static void pack(const char *options)
{
	char command[256];

	snprintf(command, sizeof command, "zstd -q -f %s %s -o %s", options, path, packed_path);
	assert_int_equal(system(command), 0);
}

static char *read_file(const char *name, size_t *size)
{
	FILE *file = fopen(name, "rb");
	char *data = memory_new(1 << 20, 1);

	assert_non_null(file);
	*size = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

/* All lines, each between brackets; the outcome that ended them. */
static enum rc read_all(const char *name, struct bytes *lines, struct err *err)
{
	struct trace *trace;
	struct view line;
	enum rc rc = trace_open(name, &trace, err);

	bytes_clear(lines);
	if (rc != RC_OK)
		return rc;
	while ((rc = trace_next(trace, &line, err)) == RC_OK) {
		bytes_text(lines, "[");
		bytes_add(lines, line.data, line.size);
		bytes_text(lines, "]");
	}
	if (rc == RC_NONE)
		assert_true(trace_progress(trace) == 1);
	trace_close(trace);
	return rc;
}

static const struct {
	const char *text, *lines;
} plain[] = {
	{"", ""},
	{"\n\n", ""},
	{"a", "[a]"},
	{"a\n", "[a]"},
	{"a\nb", "[a][b]"},
	{"a\r\n\r\nb\r\n", "[a][b]"},
	{"\n\na\n\n\nb\n\n", "[a][b]"},
	{"\xef\xbb\xbf"
	 "a\nb",
		"[a][b]"}, /* a byte order mark, as some editors begin */
	{"\xef\xbb\xbf\na", "[a]"},
	{"\xef\xbb\xbf", ""},
	{"a\n\xef\xbb\xbf"
	 "b",
		"[a][\xef\xbb\xbf"
		"b]"},
};

static void lines_come_without_newlines_and_empty_ones_are_skipped(void **state)
{
	struct bytes lines = {0};
	struct err err;
	(void)state;

	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		write_file(path, plain[i].text, strlen(plain[i].text));
		assert_int_equal(read_all(path, &lines, &err), RC_NONE);
		assert_string_equal(lines.data ? lines.data : "", plain[i].lines);
		pack("");
		assert_int_equal(read_all(packed_path, &lines, &err), RC_NONE);
		assert_string_equal(lines.data ? lines.data : "", plain[i].lines);
	}
	bytes_done(&lines);
}

/* Lines of many lengths, longer than any buffer inside; total well above one block. */
static void make_long_text(struct bytes *text, struct bytes *lines)
{
	uint32_t chance = 1;

	for (int i = 0; i < 2000; i++) {
		size_t size = i == 700 ? 3000000 : chance % 997 + 1;

		bytes_text(lines, "[");
		for (size_t k = 0; k < size; k++) {
			char letter;

			chance = chance * 1664525u + 1013904223u;
			letter = (char)('a' + (chance >> 24) % 26);
			bytes_add(text, &letter, 1);
			bytes_add(lines, &letter, 1);
		}
		bytes_text(text, "\n");
		bytes_text(lines, "]");
	}
}

static void long_lines_survive_whole_plain_and_in_several_frames(void **state)
{
	struct bytes text = {0}, expected = {0}, lines = {0};
	struct err err;
	(void)state;

	make_long_text(&text, &expected);
	write_file(path, text.data, text.size);
	assert_int_equal(read_all(path, &lines, &err), RC_NONE);
	assert_int_equal(lines.size, expected.size);
	assert_int_equal(memcmp(lines.data, expected.data, expected.size), 0);
	pack("-3");
	assert_int_equal(read_all(packed_path, &lines, &err), RC_NONE);
	assert_int_equal(lines.size, expected.size);
	assert_int_equal(memcmp(lines.data, expected.data, expected.size), 0);
	bytes_done(&text);
	bytes_done(&expected);
	bytes_done(&lines);
}

static void what_is_packed_is_known_without_the_suffix(void **state)
{
	struct bytes lines = {0};
	struct err err;
	size_t size;
	(void)state;

	write_file(path, "a\nb", 3);
	pack("");
	char *frame = read_file(packed_path, &size);

	write_file(path, frame, size);
	assert_int_equal(read_all(path, &lines, &err), RC_NONE);
	assert_string_equal(lines.data, "[a][b]");
	free(frame);
	bytes_done(&lines);
}

static void frames_one_after_another_are_one_text(void **state)
{
	struct bytes lines = {0};
	struct err err;
	size_t size;
	(void)state;

	write_file(path, "a\nb", 3);
	pack("");
	char *frame = read_file(packed_path, &size);
	char *twice = memory_new(2, size);

	memcpy(twice, frame, size);
	memcpy(twice + size, frame, size);
	write_file(packed_path, twice, 2 * size);
	assert_int_equal(read_all(packed_path, &lines, &err), RC_NONE);
	assert_string_equal(lines.data, "[a][ba][b]");
	free(frame);
	free(twice);
	bytes_done(&lines);
}

static void a_frame_that_is_cut_anywhere_is_fatal_and_says_where(void **state)
{
	struct bytes lines = {0};
	struct err err;
	size_t size;
	(void)state;

	write_file(path, "{\"a\":1}\n{\"a\":2}\n", 16);
	pack("--check");
	char *frame = read_file(packed_path, &size);

	for (size_t cut = 0; cut < size; cut++) {
		write_file(packed_path, frame, cut);
		assert_int_equal(read_all(packed_path, &lines, &err), RC_FATAL);
		assert_non_null(strstr(err.text, "all.jsonl.zst:"));
		assert_non_null(strstr(err.text, "truncated"));
	}
	free(frame);
	bytes_done(&lines);
}

static void a_damaged_frame_is_fatal_and_names_path_and_line(void **state)
{
	struct bytes lines = {0};
	struct err err;
	size_t size;
	(void)state;

	write_file(path, "{\"a\":1}\n{\"a\":2}\n", 16);
	pack("--check");
	char *frame = read_file(packed_path, &size);

	frame[size - 6] ^= 1; /* the content no longer has its checksum */
	write_file(packed_path, frame, size);
	assert_int_equal(read_all(packed_path, &lines, &err), RC_FATAL);
	assert_non_null(strstr(err.text, "all.jsonl.zst:"));
	assert_non_null(strstr(err.text, "damaged"));
	memcpy(frame, "none", 4);
	write_file(packed_path, frame, size);
	assert_int_equal(read_all(packed_path, &lines, &err), RC_FATAL);
	assert_non_null(strstr(err.text, "all.jsonl.zst:1: damaged"));
	free(frame);
	bytes_done(&lines);
}

static void a_line_above_16_mebibytes_is_fatal_and_one_of_16_is_not(void **state)
{
	size_t most = 16 << 20;
	char *text = memory_new(most + 4, 1);
	struct bytes lines = {0};
	struct err err;
	(void)state;

	memset(text, 'x', most + 1);
	text[0] = 'a';
	text[1] = '\n';
	text[most + 2] = '\n'; /* the second line has exactly 16 MiB */
	text[most + 1] = 'x';
	write_file(path, text, most + 3);
	assert_int_equal(read_all(path, &lines, &err), RC_NONE);
	assert_int_equal(lines.size, most + 5);
	text[most + 2] = 'x';
	text[most + 3] = '\n';
	write_file(path, text, most + 4);
	assert_int_equal(read_all(path, &lines, &err), RC_FATAL);
	assert_non_null(strstr(err.text, "all.jsonl:2: a line of more than"));
	free(text);
	bytes_done(&lines);
}

static void what_cannot_be_opened_is_fatal_with_its_path(void **state)
{
	struct bytes lines = {0};
	struct err err;
	(void)state;

	assert_int_equal(read_all("/nowhere/x.jsonl", &lines, &err), RC_FATAL);
	assert_string_equal(
		err.text, "trace /nowhere/x.jsonl: cannot be opened: No such file or directory");
	assert_int_equal(read_all("/tmp", &lines, &err), RC_FATAL);
	assert_string_equal(err.text, "trace /tmp: is not a file");
	bytes_done(&lines);
}

static void a_minus_reads_standard_input(void **state)
{
	struct trace *trace;
	struct view line;
	struct err err;
	int ends[2], before = dup(0);
	(void)state;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "a\nb", 3), 3);
	close(ends[1]);
	dup2(ends[0], 0);
	close(ends[0]);
	assert_int_equal(trace_open("-", &trace, &err), RC_OK);
	assert_true(trace_progress(trace) == -1);
	assert_int_equal(trace_next(trace, &line, &err), RC_OK);
	assert_true(view_is(line, "a"));
	assert_int_equal(trace_next(trace, &line, &err), RC_OK);
	assert_true(view_is(line, "b"));
	assert_int_equal(trace_next(trace, &line, &err), RC_NONE);
	trace_close(trace);
	dup2(before, 0);
	close(before);
}

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/all.jsonl", directory);
	snprintf(packed_path, sizeof packed_path, "%s.zst", path);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path);
	unlink(packed_path);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_without_newlines_and_empty_ones_are_skipped),
		cmocka_unit_test(long_lines_survive_whole_plain_and_in_several_frames),
		cmocka_unit_test(what_is_packed_is_known_without_the_suffix),
		cmocka_unit_test(frames_one_after_another_are_one_text),
		cmocka_unit_test(a_frame_that_is_cut_anywhere_is_fatal_and_says_where),
		cmocka_unit_test(a_damaged_frame_is_fatal_and_names_path_and_line),
		cmocka_unit_test(a_line_above_16_mebibytes_is_fatal_and_one_of_16_is_not),
		cmocka_unit_test(what_cannot_be_opened_is_fatal_with_its_path),
		cmocka_unit_test(a_minus_reads_standard_input),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
