#include "core/bytes.h"

#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view bytes_view(const struct bytes *bytes)
{
	return (struct view){.data = bytes->data, .size = bytes->size};
}

void bytes_done(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}

void bytes_clear(struct bytes *bytes)
{
	bytes->size = 0;
	if (bytes->data)
		bytes->data[0] = '\0';
}

static void reserve(struct bytes *bytes, size_t more)
{
	size_t needed = bytes->size + more + 1;

	if (needed <= bytes->capacity)
		return;
	size_t capacity = bytes->capacity ? bytes->capacity * 2 : 64;

	if (capacity < needed)
		capacity = needed;
	bytes->data = memory_grow(bytes->data, capacity, 1);
	bytes->capacity = capacity;
}

void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
	reserve(bytes, size);
	if (size)
		memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	bytes->data[bytes->size] = '\0';
}

void bytes_text(struct bytes *bytes, const char *text)
{
	bytes_add(bytes, text, strlen(text));
}

void bytes_format(struct bytes *bytes, const char *format, ...)
{
	char nothing[1];
	va_list args;

	va_start(args, format);
	int length = vsnprintf(nothing, sizeof nothing, format, args);
	va_end(args);
	if (length < 0)
		return;
	reserve(bytes, (size_t)length);
	va_start(args, format);
	vsnprintf(bytes->data + bytes->size, (size_t)length + 1, format, args);
	va_end(args);
	bytes->size += (size_t)length;
}

void bytes_varint(struct bytes *bytes, uint64_t value)
{
	unsigned char out[10];
	size_t size = 0;

	do {
		out[size] = (unsigned char)(value & 0x7f);
		value >>= 7;
		if (value)
			out[size] |= 0x80;
		size++;
	} while (value);
	bytes_add(bytes, out, size);
}

void bytes_zigzag(struct bytes *bytes, int64_t value)
{
	bytes_varint(bytes, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void bytes_u64(struct bytes *bytes, uint64_t value)
{
	unsigned char out[8];

	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char)(value >> (8 * i));
	bytes_add(bytes, out, sizeof out);
}

void bytes_double(struct bytes *bytes, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	bytes_u64(bytes, bits);
}

void bytes_sized(struct bytes *bytes, const void *data, size_t size)
{
	bytes_varint(bytes, size);
	bytes_add(bytes, data, size);
}

struct reader reader_of(const void *data, size_t size)
{
	const char *at = data;

	return (struct reader){.at = at, .end = at + size, .ok = true};
}

static uint64_t reader_fail(struct reader *reader)
{
	reader->ok = false;
	reader->at = reader->end;
	return 0;
}

uint64_t reader_varint(struct reader *reader)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
		unsigned char byte = (unsigned char)*reader->at++;

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	return reader_fail(reader);
}

int64_t reader_zigzag(struct reader *reader)
{
	uint64_t value = reader_varint(reader);

	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

uint64_t reader_u64(struct reader *reader)
{
	uint64_t value = 0;

	if (reader->end - reader->at < 8)
		return reader_fail(reader);
	for (int i = 0; i < 8; i++)
		value |= (uint64_t)(unsigned char)reader->at[i] << (8 * i);
	reader->at += 8;
	return value;
}

double reader_double(struct reader *reader)
{
	uint64_t bits = reader_u64(reader);
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

struct view reader_sized(struct reader *reader)
{
	uint64_t size = reader_varint(reader);
	struct view view = {.data = reader->at, .size = (size_t)size};

	if (size > (uint64_t)(reader->end - reader->at)) {
		reader_fail(reader);
		return (struct view){.data = "", .size = 0};
	}
	reader->at += size;
	return view;
}

bool reader_text(struct reader *reader, char *text, size_t size)
{
	struct view view = reader_sized(reader);

	if (view.size >= size || memchr(view.data, '\0', view.size))
		return false;
	view_copy(view, text, size);
	return true;
}

void view_copy(struct view view, char *text, size_t size)
{
	size_t length = view.size < size ? view.size : size - 1;

	if (length)
		memcpy(text, view.data, length);
	text[length] = '\0';
}

struct view view_of(const char *text)
{
	return (struct view){.data = text, .size = strlen(text)};
}

bool view_is(struct view view, const char *text)
{
	return strlen(text) == view.size && memcmp(view.data, text, view.size) == 0;
}
