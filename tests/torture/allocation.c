/* tests/torture/allocation.c: `modelwatch` commands, of which every allocation fails once.
 *
 * Our own allocations come from core/memory.c, whose calls the Makefile renames to ours_malloc,
 * ours_calloc and ours_realloc; those of libraries come through malloc, calloc and realloc below.
 * A command runs in one process, the walker; at each allocation it forks, the child sees that one
 * fail, and the walker looks how it ended, and goes on. So a child stands exactly where the command
 * would, and no allocation is left out (above FAILURES_MAX: one in so many, the same ones within a
 * month). What must come of it is in judge(). Built with a sanitizer only our own are made to fail:
 * the sanitizer owns the others.
 * allocation TRACE [COMMAND]: prints a line for each command; exits 1 if anything was wrong. */
#include "core/alert.h"
#include "core/bytes.h"
#include "core/close.h"
#include "core/command.h"
#include "core/notification.h"

#include <errno.h>
#include <execinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	FAILURES_MAX = 50000,
	FILES_MAX = 32,
	CHILD_S_MAX = 5,
	ARGUMENTS_MAX = 12,
	FRAMES_MAX = 24,
	SHOWN_MAX = 5, /* of what was wrong with one command */
};

enum whose { NOBODYS, OURS, LIBRARIES };

static const char *const names[] = {"", "our own", "of libraries"};
static const char exhausted[] = "level=error event=out_of_memory action=exit\n";

struct program {
	const char *name;
	char *arguments[ARGUMENTS_MAX];
	int (*run)(int argc, char **argv);
};

struct ending {
	int status; /* of waitpid() */
	int out, err;
	long allocations;
};

/* Shared by the processes of one walk. */
struct walk {
	long allocations, failed, unharmed, ended, refused, wrong;
};

/* What is made to fail in this process, and what became of it. */
static struct {
	enum whose whose;
	bool fails;           /* else they are counted only */
	volatile bool inside; /* of ours: what it asks the library for is not the library's */
	long stride, phase;
	int out, err;
	const char *expected;
	size_t expected_size;
	int expected_status;
	struct walk *walk;
} self;

int modelwatch_main(int argc, char **argv);
void *ours_malloc(size_t size);
void *ours_calloc(size_t count, size_t size);
void *ours_realloc(void *memory, size_t size);

/* ---- how it must end */

static size_t size_of(int file)
{
	off_t size = lseek(file, 0, SEEK_END);

	return size < 0 ? 0 : (size_t)size;
}

static const char *text_of(int file, size_t size)
{
	const char *text = mmap(NULL, size + 1, PROT_READ, MAP_SHARED, file, 0);

	return text == MAP_FAILED ? "" : text;
}

/* One of: it goes on and says all it would have said; the one line and status 1; a sentence that
 * names memory and a status that is not success. What it has said until then is always the truth.
 */
static long *judge(const struct ending *end, size_t said_before)
{
	struct walk *walk = self.walk;
	size_t out_size = size_of(end->out), err_size = size_of(end->err);
	const char *out = text_of(end->out, out_size), *err = text_of(end->err, err_size);
	int status = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : -1;
	size_t left = self.expected_size - said_before;
	bool truth = out_size <= left && memcmp(out, self.expected + said_before, out_size) == 0;
	bool line = err_size == sizeof exhausted - 1 && memcmp(err, exhausted, err_size) == 0;
	long *found = &walk->wrong;

	if (truth && status == 1 && line && (self.whose == LIBRARIES || !out_size))
		found = &walk->ended;
	else if (self.whose == LIBRARIES && truth && status == self.expected_status &&
		 out_size == left)
		found = &walk->unharmed;
	else if (self.whose == LIBRARIES && truth && status == 1 &&
		 memmem(err, err_size, "emory", 5))
		found = &walk->refused;
	munmap((void *)(uintptr_t)out, out_size + 1);
	munmap((void *)(uintptr_t)err, err_size + 1);
	return found;
}

static void show_wrong(const struct ending *end)
{
	void *frames[FRAMES_MAX];
	char line[400];

	if (self.walk->wrong > SHOWN_MAX)
		return;
	int size = snprintf(line, sizeof line,
		"allocation %ld: wait status 0x%04x, %zu bytes out, says: ", self.walk->allocations,
		(unsigned)end->status, size_of(end->out));
	ssize_t said = pread(end->err, line + size, sizeof line - (size_t)size - 1, 0);

	size += said > 0 ? (int)said : 0;
	line[size++] = '\n';
	if (write(STDIN_FILENO, line, (size_t)size) > 0) /* the real stderr; see be_walker() */
		backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDIN_FILENO);
}

/* ---- the walker */

static void take_streams(int out, int err)
{
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
}

/* In the walker: how a child ends whose allocation fails. In the child: returns true. What a child
 * reads moves the place in files that are the walker's, too. */
static bool try_failure(void)
{
	struct ending end = {.out = memfd_create("out", 0), .err = memfd_create("err", 0)};
	off_t places[FILES_MAX];

	for (int file = 0; file < FILES_MAX; file++)
		places[file] = lseek(file, 0, SEEK_CUR);
	pid_t child = fork();

	if (child == 0) {
		self.whose = NOBODYS;
		alarm(CHILD_S_MAX);
		take_streams(end.out, end.err);
		return true;
	}
	waitpid(child, &end.status, 0);
	for (int file = 0; file < FILES_MAX; file++)
		if (places[file] >= 0)
			lseek(file, places[file], SEEK_SET);
	long *found = judge(&end, size_of(self.out));

	++*found;
	if (found == &self.walk->wrong)
		show_wrong(&end);
	close(end.out);
	close(end.err);
	return false;
}

/* True: this allocation fails. */
static bool fails(enum whose whose)
{
	if (self.whose != whose || self.inside)
		return false;
	if (self.walk->allocations++ % self.stride != self.phase || !self.fails)
		return false;
	self.walk->failed++;
	self.inside = true;
	bool failing = try_failure();

	self.inside = false;
	if (failing)
		errno = ENOMEM;
	return failing;
}

void *ours_malloc(size_t size)
{
	if (fails(OURS))
		return NULL;
	bool before = self.inside;

	self.inside = true;
	void *memory = malloc(size);

	self.inside = before;
	return memory;
}

void *ours_calloc(size_t count, size_t size)
{
	if (fails(OURS))
		return NULL;
	bool before = self.inside;

	self.inside = true;
	void *memory = calloc(count, size);

	self.inside = before;
	return memory;
}

void *ours_realloc(void *old, size_t size)
{
	if (fails(OURS))
		return NULL;
	bool before = self.inside;

	self.inside = true;
	void *memory = realloc(old, size);

	self.inside = before;
	return memory;
}

#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
	return fails(LIBRARIES) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(LIBRARIES) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(LIBRARIES) ? NULL : __libc_realloc(old, size);
}
#else
/* Leaks of a process that ends in the middle are nobody's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static _Noreturn void run(const struct program *program)
{
	char *arguments[ARGUMENTS_MAX + 1] = {0};
	int count = 0;

	for (; program->arguments[count]; count++)
		arguments[count] = program->arguments[count];
	int status = program->run(count, arguments);

	self.whose = NOBODYS;
	exit(status);
}

/* A process that runs the command with what self says; how it ended. */
static struct ending process(const struct program *program)
{
	struct ending end = {.out = memfd_create("out", 0), .err = memfd_create("err", 0)};

	self.walk->allocations = 0;
	fflush(stdout);
	pid_t child = fork();

	if (child == 0) {
		self.out = end.out;
		self.err = end.err;
		dup2(STDERR_FILENO, STDIN_FILENO); /* no command reads stdin here */
		take_streams(end.out, end.err);
		run(program);
	}
	waitpid(child, &end.status, 0);
	end.allocations = self.walk->allocations;
	return end;
}

/* The month is the seed of those that are taken, where they are too many. */
static void choose(long allocations)
{
	time_t now = time(NULL);
	struct tm *date = gmtime(&now);

	self.stride = (allocations + FAILURES_MAX - 1) / FAILURES_MAX;
	self.stride = self.stride ? self.stride : 1;
	self.phase = (date->tm_year * 12 + date->tm_mon) % self.stride;
}

static bool torture(const struct program *program, enum whose whose)
{
	struct walk *walk = self.walk;

	*walk = (struct walk){0};
	self.whose = whose;
	self.fails = false;
	self.stride = 1;
	struct ending clean = process(program);

	choose(clean.allocations);
	self.fails = true;
	self.expected_size = size_of(clean.out);
	self.expected = text_of(clean.out, self.expected_size);
	self.expected_status = WEXITSTATUS(clean.status);
	struct ending last = process(program);

	self.whose = NOBODYS;
	if (!WIFEXITED(clean.status) || last.status != clean.status ||
		last.allocations != clean.allocations || size_of(last.out) != self.expected_size)
		walk->wrong++; /* two runs of the same are not the same */
	printf("%s: %ld allocations %s, %ld failed once: %ld ended with the line, %ld refused with "
	       "a sentence, %ld went on unharmed, %ld wrong (status %d, %zu bytes)\n",
		program->name, clean.allocations, names[whose], walk->failed, walk->ended,
		walk->refused, walk->unharmed, walk->wrong, self.expected_status,
		self.expected_size);
	return !walk->wrong;
}

/* ---- records that `modelwatch replay` does not meet */

/* Out, in again, and out as before. */
static int records(int argc, char **argv)
{
	CLEANUP(bytes_done) struct bytes text = {0};
	struct mark mark = {.log = "events-0", .offset = 7, .watermark_ms = 1760000000000};
	struct command order = {.id = "c-1",
		.subject = "a-1",
		.actor = "ann",
		.role = "oncall",
		.comment = "\"mine\"",
		.at = 1760000000000};
	char *told[] = {"a-1:firing", "a-2:resolved"};
	struct notification notice = {.id = "n-1",
		.receiver = "oncall",
		.group_key = "{}",
		.alerts = told,
		.alert_count = 2,
		.reason = "repeat",
		.payload = "{\"x\":1}",
		.result = "",
		.created_at = 1760000000000};
	struct notification read = {0};
	struct err err = {"a record is not what it was"};
	bool good;

	(void)argc, (void)argv;
	mark_to_json(&mark, &text);
	good = mark_from_json(bytes_view(&text), &mark, &err) == RC_OK;
	mark_to_json(&mark, &text);
	command_to_json(&order, &text);
	size_t at = text.size;
	command_to_json(&order, &text);
	good = good && command_from_json((struct view){text.data + at, text.size - at}, &order,
			       &err) == RC_OK;
	command_to_json(&order, &text);
	at = text.size;
	notification_to_json(&notice, &text);
	good = good && notification_from_json(
			       (struct view){text.data + at, text.size - at}, &read, &err) == RC_OK;
	notification_to_json(&read, &text);
	notification_done(&read);
	if (good)
		puts(text.data);
	else
		fprintf(stderr, "%s\n", err.text);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *only = argc > 2 ? argv[2] : NULL;
#define DATA "tests/torture/"
	const struct program programs[] = {
		{"replay",
			{"modelwatch", "replay", "--config", DATA "modelwatch.yaml", "--windows",
				"--verdicts", "--partitions", "2", argv[1]},
			modelwatch_main},
		{"replay.zst",
			{"modelwatch", "replay", "--config", DATA "modelwatch.yaml",
				DATA "few.jsonl.zst"},
			modelwatch_main},
		{"check", {"modelwatch", "check", "--without-secrets", "config/modelwatch.yaml"},
			modelwatch_main},
		{"mistakes", {"modelwatch", "check", "--without-secrets", DATA "mistakes.yaml"},
			modelwatch_main},
		{"records", {"records"}, records},
	};
	void *frame[1];
	int passed = 0, failed = 0;

	self.walk = mmap(
		NULL, sizeof *self.walk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	backtrace(frame, 1); /* loads what it needs */
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		for (enum whose whose = OURS; whose <= LIBRARIES; whose++) {
#ifdef __SANITIZE_ADDRESS__
			if (whose == LIBRARIES)
				continue;
#endif
			if (only && strcmp(only, programs[i].name) != 0)
				continue;
			if (torture(&programs[i], whose))
				passed++;
			else
				failed++;
		}
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
