#include "ports/trace.h"

#include "core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum {
	LINE_BYTES_MAX = 16 << 20,
	READ_BYTES = 128 << 10,
	MAGIC_BYTES = 4,
};

static const char zstd_magic[] = "\x28\xb5\x2f\xfd", byte_order_mark[] = "\xef\xbb\xbf";

/* Lines lie in `text` from `start` to `end`; what was searched for a newline ends at `searched`. */
struct trace {
	char *path;
	int file;
	int64_t file_bytes; /* -1 = not a regular file */
	int64_t read_bytes;
	bool file_ended;
	bool begun;

	ZSTD_DStream *zstd; /* NULL: plain */
	bool inside_frame;  /* between the first and the last byte of a frame, or before any */
	char *packed;
	ZSTD_inBuffer input;

	char *text;
	size_t capacity, start, searched, end;
	uint64_t line; /* number of the line that starts at `start`, from 1 */
};

static bool has_suffix(const char *text, const char *suffix)
{
	size_t size = strlen(text), suffix_size = strlen(suffix);

	return size >= suffix_size && strcmp(text + size - suffix_size, suffix) == 0;
}

static void open_zstd(struct trace *trace)
{
	trace->zstd = ZSTD_createDStream();
	if (!trace->zstd)
		memory_exhausted();
	trace->packed = memory_new(READ_BYTES, 1);
	trace->input.src = trace->packed;
	trace->inside_frame = true;
}

enum rc trace_open(const char *path, struct trace **opened, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int file = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (file < 0)
		return err_set(
			err, RC_FATAL, "trace %s: cannot be opened: %s", path, strerror(errno));
	if (fstat(file, &status) != 0 || S_ISDIR(status.st_mode)) {
		if (!is_stdin)
			close(file);
		return err_set(err, RC_FATAL, "trace %s: is not a file", path);
	}
	struct trace *trace = memory_new(1, sizeof *trace);

	trace->path = memory_text(is_stdin ? "stdin" : path);
	trace->file = file;
	trace->file_bytes = S_ISREG(status.st_mode) ? status.st_size : -1;
	trace->line = 1;
	if (!is_stdin && has_suffix(path, ".zst"))
		open_zstd(trace);
	*opened = trace;
	return RC_OK;
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	if (trace->file != STDIN_FILENO)
		close(trace->file);
	ZSTD_freeDStream(trace->zstd);
	free(trace->packed);
	free(trace->text);
	free(trace->path);
	free(trace);
}

static enum rc read_file(
	struct trace *trace, char *data, size_t room, size_t *size, struct err *err)
{
	ssize_t got;

	do
		got = read(trace->file, data, room);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_set(err, RC_FATAL, "%s:%ju: cannot be read at byte %jd: %s", trace->path,
			(uintmax_t)trace->line, (intmax_t)trace->read_bytes, strerror(errno));
	trace->file_ended = got == 0;
	trace->read_bytes += got;
	*size = (size_t)got;
	return RC_OK;
}

static enum rc refill_input(struct trace *trace, struct err *err)
{
	if (trace->input.pos < trace->input.size || trace->file_ended)
		return RC_OK;
	trace->input.pos = 0;
	return read_file(trace, trace->packed, READ_BYTES, &trace->input.size, err);
}

/* Decompresses into the room; *size 0 only at the end of the file. The decompressor may hold back
 * what the room could not take, so it is asked once more after the file has ended. */
static enum rc unpack(struct trace *trace, char *data, size_t room, size_t *size, struct err *err)
{
	ZSTD_outBuffer output = {.dst = data, .size = room};

	while (!output.pos) {
		TRY(refill_input(trace, err));
		if (trace->file_ended && trace->input.pos == trace->input.size &&
			!trace->inside_frame)
			break;
		size_t hint = ZSTD_decompressStream(trace->zstd, &output, &trace->input);

		if (ZSTD_isError(hint))
			return err_set(err, RC_FATAL,
				"%s:%ju: damaged Zstandard frame before byte %jd: %s", trace->path,
				(uintmax_t)trace->line, (intmax_t)trace->read_bytes,
				ZSTD_getErrorName(hint));
		trace->inside_frame = hint != 0;
		if (trace->file_ended && trace->inside_frame && !output.pos)
			return err_set(err, RC_FATAL,
				"%s:%ju: ends inside a Zstandard frame, at byte %jd: truncated?",
				trace->path, (uintmax_t)trace->line, (intmax_t)trace->read_bytes);
	}
	*size = output.pos;
	return RC_OK;
}

/* Makes room behind `end` for one more read: first by moving the unfinished line to the front. */
static void make_room(struct trace *trace)
{
	if (trace->start) {
		memmove(trace->text, trace->text + trace->start, trace->end - trace->start);
		trace->searched -= trace->start;
		trace->end -= trace->start;
		trace->start = 0;
	}
	if (trace->capacity - trace->end < READ_BYTES) {
		trace->capacity = trace->capacity ? trace->capacity * 2 : 2 * (size_t)READ_BYTES;
		trace->text = memory_grow(trace->text, trace->capacity, 1);
	}
}

/* What does not have the suffix, such as a pipe, may be packed all the same: its first bytes tell.
 */
static enum rc begin(struct trace *trace, struct err *err)
{
	size_t size;

	trace->begun = true;
	if (trace->zstd)
		return RC_OK;
	make_room(trace);
	while (trace->end < MAGIC_BYTES && !trace->file_ended) {
		TRY(read_file(
			trace, trace->text + trace->end, READ_BYTES - trace->end, &size, err));
		trace->end += size;
	}
	if (trace->end < MAGIC_BYTES || memcmp(trace->text, zstd_magic, MAGIC_BYTES) != 0)
		return RC_OK;
	open_zstd(trace);
	memcpy(trace->packed, trace->text, trace->end);
	trace->input.size = trace->end;
	trace->end = 0;
	return RC_OK;
}

/* RC_NONE: nothing more comes. */
static enum rc fill(struct trace *trace, struct err *err)
{
	size_t size;

	if (trace->end - trace->start > LINE_BYTES_MAX)
		return err_set(err, RC_FATAL, "%s:%ju: a line of more than %d bytes", trace->path,
			(uintmax_t)trace->line, LINE_BYTES_MAX);
	make_room(trace);
	char *data = trace->text + trace->end;
	size_t room = trace->capacity - trace->end;

	TRY(trace->zstd ? unpack(trace, data, room, &size, err)
			: read_file(trace, data, room, &size, err));
	trace->end += size;
	return size ? RC_OK : RC_NONE;
}

/* The text up to `size` bytes from the start is the line; `skip` bytes of newline follow it. */
static struct view take(struct trace *trace, size_t size, size_t skip)
{
	struct view line = {.data = trace->text + trace->start, .size = size};

	trace->start += size + skip;
	trace->searched = trace->start;
	trace->line += skip;
	if (line.size && line.data[line.size - 1] == '\r')
		line.size--;
	return line;
}

static enum rc next_line(struct trace *trace, struct view *line, struct err *err)
{
	for (;;) {
		char *from = trace->text + trace->searched;
		size_t left = trace->end - trace->searched;
		char *newline = left ? memchr(from, '\n', left) : NULL;

		if (newline) {
			size_t size = (size_t)(newline - trace->text) - trace->start;

			if (size > LINE_BYTES_MAX)
				return err_set(err, RC_FATAL,
					"%s:%ju: a line of more than %d bytes", trace->path,
					(uintmax_t)trace->line, LINE_BYTES_MAX);
			*line = take(trace, size, 1);
			return RC_OK;
		}
		trace->searched = trace->end;
		enum rc rc = fill(trace, err);

		if (rc == RC_NONE && trace->end > trace->start) {
			*line = take(trace, trace->end - trace->start, 0);
			return RC_OK;
		}
		TRY(rc);
	}
}

enum rc trace_next(struct trace *trace, struct view *line, struct err *err)
{
	struct view found = {0};

	if (!trace->begun)
		TRY(begin(trace, err));
	while (!found.size) {
		bool first = trace->line == 1;

		TRY(next_line(trace, &found, err));
		if (first && found.size >= 3 && memcmp(found.data, byte_order_mark, 3) == 0)
			found = (struct view){found.data + 3, found.size - 3};
	}
	*line = found;
	return RC_OK;
}

double trace_progress(const struct trace *trace)
{
	if (trace->file_bytes < 0)
		return -1;
	if (trace->read_bytes >= trace->file_bytes)
		return 1;
	return (double)trace->read_bytes / (double)trace->file_bytes;
}
