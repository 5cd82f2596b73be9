/* core/bytes.h: bytes that grow: texts, records, JSON on its way out.
 * THINKS. All zero is valid and empty; data is always NUL-terminated once something was added. */
#ifndef CORE_BYTES_H
#define CORE_BYTES_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	char *data;  /* owned; NULL while nothing was ever added */
	size_t size; /* without the NUL behind the last byte */
	size_t capacity;
};

/* A view: bytes that somebody else owns. */
struct view {
	const char *data;
	size_t size;
};

struct view bytes_view(const struct bytes *bytes); /* valid until something is added */
void bytes_done(struct bytes *bytes);              /* frees; all zero again */
void bytes_clear(struct bytes *bytes);             /* empty, memory kept */
void bytes_add(struct bytes *bytes, const void *data, size_t size);
void bytes_text(struct bytes *bytes, const char *text);
void bytes_format(struct bytes *bytes, const char *format, ...) PRINTF_LIKE(2, 3);

/* Unsigned and zigzag-signed LEB128 variable-length integers (Protocol Buffers, "Encoding"). */
void bytes_varint(struct bytes *bytes, uint64_t value);
void bytes_zigzag(struct bytes *bytes, int64_t value);
void bytes_u64(struct bytes *bytes, uint64_t value);  /* 8 bytes, little endian */
void bytes_double(struct bytes *bytes, double value); /* its 64 bits as bytes_u64 */
void bytes_sized(
	struct bytes *bytes, const void *data, size_t size); /* varint length, then the bytes */

/* Reads the same back. ok turns false at the first read past the end or malformed number and stays
 * so; every read then gives zero. The caller checks ok once, at the end. */
struct reader {
	const char *at;
	const char *end;
	bool ok;
};

struct reader reader_of(const void *data, size_t size);
uint64_t reader_varint(struct reader *reader);
int64_t reader_zigzag(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
double reader_double(struct reader *reader);
struct view reader_sized(struct reader *reader); /* a view into the bytes that are read */
/* Sized bytes as a text; where the reader runs out, "" and ok is false. False, and text is as it
 * was: they do not fit with the NUL behind them, or have one among them. */
bool reader_text(struct reader *reader, char *text, size_t size);

/* The text of a view in a caller's buffer, cut at its size, always NUL-terminated. */
void view_copy(struct view view, char *text, size_t size);
struct view view_of(const char *text);
bool view_is(struct view view, const char *text);

#endif
