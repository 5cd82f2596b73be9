#include "ports/journal.h"

#include "core/bytes.h"
#include "ports/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	VALUE_BYTES_MAX = 1024,
	LINES_A_MINUTE = 100,
	EVENTS_MAX = 64, /* different events that are counted; names are constants of the code */
	MINUTE_MS = 60000,
};

struct tally { /* of one event */
	const char *event;
	enum journal_level level;
	int64_t since_ms; /* when its minute began, monotonic */
	int lines;
	int suppressed;
};

/* The one journal of the process: its stderr. */
static struct {
	char service[32];
	enum journal_level most;
	bool to_systemd; /* stderr is the journal's: lines start with their priority */
	struct tally tallies[EVENTS_MAX];
	size_t tally_count;
} self = {.most = JOURNAL_INFO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int priorities[] = {3, 4, 6, 7}; /* of syslog(3) */

/* $JOURNAL_STREAM is device:inode of the stream that systemd made; a stderr that was redirected
 * since is another one (systemd.exec(5)). */
static bool stderr_is_the_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat status;

	if (!stream || fstat(STDERR_FILENO, &status) != 0)
		return false;
	snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
	return strcmp(stream, ours) == 0;
}

void journal_open(const char *service, enum journal_level most)
{
	view_copy(view_of(service), self.service, sizeof self.service);
	self.most = most;
	self.to_systemd = stderr_is_the_journal();
}

/* Length of the UTF-8 character at text that may be printed; 0: control character or malformed. */
static size_t printable(const unsigned char *text, size_t left)
{
	static const unsigned char leads[] = {0, 0, 0xc2, 0xe0, 0xf0};
	size_t size = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

	if (size == 1)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (text[0] < leads[size] || text[0] > 0xf4 || left < size)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* U+0080 to U+009F are control characters too: terminals obey them. */
	return text[0] == 0xc2 && text[1] < 0xa0 ? 0 : size;
}

static bool is_bare(const char *text)
{
	return text[0] && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_.:/@+-,") == strlen(text);
}

static void add_value(struct bytes *line, const char *text)
{
	size_t size = strlen(text), limit = line->size + VALUE_BYTES_MAX;

	if (size < VALUE_BYTES_MAX && is_bare(text)) {
		bytes_text(line, text);
		return;
	}
	bytes_text(line, "\"");
	for (size_t i = 0; i < size;) {
		size_t length = printable((const unsigned char *)text + i, size - i);

		if (line->size + 8 > limit) {
			bytes_text(line, "...");
			break;
		}
		if (text[i] == '"' || text[i] == '\\')
			bytes_format(line, "\\%c", text[i]);
		else if (text[i] == '\n')
			bytes_text(line, "\\n");
		else if (length)
			bytes_add(line, text + i, length);
		else
			bytes_format(line, "\\x%02x", (unsigned char)text[i]);
		i += length ? length : 1;
	}
	bytes_text(line, "\"");
}

static void begin_line(struct bytes *line, enum journal_level level, const char *event)
{
	if (self.to_systemd)
		bytes_format(line, "<%d>", priorities[level]);
	bytes_format(line, "level=%s event=%s service=%s", level_names[level], event,
		self.service[0] ? self.service : "modelwatch");
}

/* One write, so that lines of several processes on one stderr stay whole. */
static void end_line(struct bytes *line)
{
	bytes_text(line, "\n");
	ssize_t written = write(STDERR_FILENO, line->data, line->size);

	(void)written; /* nobody is left to be told */
}

static void summarize(struct tally *tally)
{
	CLEANUP(bytes_done) struct bytes line = {0};

	begin_line(&line, tally->level, tally->event);
	bytes_format(&line, " suppressed=%d", tally->suppressed);
	end_line(&line);
	tally->suppressed = 0;
}

void journal_turn(void)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < self.tally_count; i++) {
		struct tally *tally = &self.tallies[i];

		if (tally->suppressed && now - tally->since_ms >= MINUTE_MS)
			summarize(tally);
	}
}

static struct tally *tally_of(const char *event)
{
	for (size_t i = 0; i < self.tally_count; i++)
		if (strcmp(self.tallies[i].event, event) == 0)
			return &self.tallies[i];
	if (self.tally_count == EVENTS_MAX)
		return NULL;
	self.tallies[self.tally_count] = (struct tally){.event = event};
	return &self.tallies[self.tally_count++];
}

static bool is_too_much(enum journal_level level, const char *event)
{
	struct tally *tally = tally_of(event);
	int64_t now = clock_monotonic_ms();

	if (!tally)
		return false;
	if (!tally->lines || now - tally->since_ms >= MINUTE_MS) {
		tally->since_ms = now;
		tally->lines = 0;
	}
	tally->level = level;
	if (tally->lines == LINES_A_MINUTE) {
		tally->suppressed++;
		return true;
	}
	tally->lines++;
	return false;
}

void journal(enum journal_level level, const char *event, ...)
{
	CLEANUP(bytes_done) struct bytes line = {0};
	const char *name;
	va_list pairs;

	journal_turn();
	if (level > self.most || is_too_much(level, event))
		return;
	begin_line(&line, level, event);
	va_start(pairs, event);
	while ((name = va_arg(pairs, const char *))) {
		const char *value = va_arg(pairs, const char *);

		bytes_format(&line, " %s=", name);
		add_value(&line, value ? value : "");
	}
	va_end(pairs);
	end_line(&line);
}
