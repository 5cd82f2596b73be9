/* core/window_blob.c: a window as bytes: what Redis keeps and close records carry.
 * THINKS. Version 1: 'W', 1, layout, five sized texts of the series, from and length of the tick,
 * n, the sum as sign and two 64-bit halves, bins as (difference to the bin before, count), then the
 * names. */
#include "core/memory.h"
#include "core/window.h"

#include <string.h>

enum { BLOB_MARK = 'W', BLOB_VERSION = 1 };

static void add_sum(millionths sum, struct bytes *out)
{
	unsigned __int128 size = sum < 0 ? 0 - (unsigned __int128)sum : (unsigned __int128)sum;

	bytes_varint(out, (uint64_t)(size >> 64) << 1 | (sum < 0));
	bytes_varint(out, (uint64_t)size);
}

static millionths read_sum(struct reader *reader)
{
	uint64_t high = reader_varint(reader);
	uint64_t low = reader_varint(reader);
	millionths size = (millionths)((unsigned __int128)(high >> 1) << 64 | low);

	return high & 1 ? -size : size;
}

void window_to_blob(const struct window *window, struct bytes *out)
{
	const struct series *series = &window->series;
	const char head[] = {BLOB_MARK, BLOB_VERSION, (char)window->layout};
	const char *const parts[] = {
		series->model, series->version, series->role, series->segment, series->signal};
	int64_t before = 0;

	bytes_add(out, head, sizeof head);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		bytes_sized(out, parts[i], strlen(parts[i]));
	bytes_zigzag(out, window->from_ms);
	bytes_varint(out, (uint64_t)(window->to_ms - window->from_ms));
	bytes_varint(out, window->n);
	add_sum(window->sum, out);
	bytes_varint(out, window->bin_count);
	for (size_t i = 0; i < window->bin_count; i++) {
		bytes_zigzag(out, window->bins[i].bin - before);
		bytes_varint(out, window->bins[i].count);
		before = window->bins[i].bin;
	}
	bytes_varint(out, window->name_count);
	for (size_t i = 0; i < window->name_count; i++)
		bytes_sized(out, window->names[i], strlen(window->names[i]));
}

static bool read_series(struct reader *reader, struct series *series)
{
	return reader_text(reader, series->model, sizeof series->model) &&
	       reader_text(reader, series->version, sizeof series->version) &&
	       reader_text(reader, series->role, sizeof series->role) &&
	       reader_text(reader, series->segment, sizeof series->segment) &&
	       reader_text(reader, series->signal, sizeof series->signal);
}

static bool is_bin(const struct window *window, int64_t bin)
{
	static const int32_t lowest[] = {
		[LAYOUT_LATENCY] = LATENCY_BIN_MIN, [LAYOUT_REAL] = -976, [LAYOUT_NAMES] = 0};
	static const int32_t highest[] = {[LAYOUT_RESULT] = 1,
		[LAYOUT_LATENCY] = LATENCY_BIN_MAX,
		[LAYOUT_PROBABILITY] = PROBABILITY_BINS - 1,
		[LAYOUT_REAL] = 976,
		[LAYOUT_NAMES] = INT32_MAX};
	bool special = window->layout == LAYOUT_PROBABILITY || window->layout == LAYOUT_REAL;

	if (special && bin >= BIN_SPECIAL_MIN && bin <= BIN_NAN)
		return true;
	return window->layout != LAYOUT_COUNT && bin >= lowest[window->layout] &&
	       bin <= highest[window->layout];
}

/* Every bin and name takes a byte or more, so the bytes that are left bound their numbers. */
static bool read_bins(struct reader *reader, struct window *window)
{
	uint64_t count = reader_varint(reader);
	uint64_t total = 0;
	int64_t bin = 0;

	if (count > (uint64_t)(reader->end - reader->at))
		return false;
	window->bins = memory_new(count, sizeof *window->bins);
	window->bin_capacity = count;
	for (uint64_t i = 0; i < count; i++) {
		int64_t step = reader_zigzag(reader);
		uint64_t times = reader_varint(reader);

		if (step > UINT32_MAX || step < INT32_MIN || (i && step <= 0))
			return false;
		bin += step;
		if (!is_bin(window, bin) || !times || times > window->n - total)
			return false;
		total += times;
		window->bins[window->bin_count++] =
			(struct bin){.bin = (int32_t)bin, .count = times};
	}
	return window->layout == LAYOUT_COUNT || total == window->n;
}

static bool read_names(struct reader *reader, struct window *window)
{
	uint64_t count = reader_varint(reader);
	int64_t highest = window->bin_count ? window->bins[window->bin_count - 1].bin : -1;

	if (count > (uint64_t)(reader->end - reader->at))
		return false;
	if (window->layout != LAYOUT_NAMES)
		return count == 0;
	window->names = memory_new(count, sizeof *window->names);
	for (uint64_t i = 0; i < count; i++) {
		struct view name = reader_sized(reader);

		if (!reader->ok || memchr(name.data, '\0', name.size))
			return false;
		window->names[window->name_count++] = memory_copy(name.data, name.size);
	}
	return highest < (int64_t)count;
}

static bool read_window(struct reader *reader, struct window *window)
{
	if (reader_varint(reader) != BLOB_MARK || reader_varint(reader) != BLOB_VERSION)
		return false;
	uint64_t layout = reader_varint(reader);

	if (layout < LAYOUT_COUNT || layout > LAYOUT_NAMES)
		return false;
	window->layout = (enum layout)layout;
	if (!read_series(reader, &window->series))
		return false;
	window->from_ms = reader_zigzag(reader);
	uint64_t length = reader_varint(reader);

	if (length > INT64_MAX / 2 || window->from_ms > INT64_MAX / 2)
		return false;
	window->to_ms = window->from_ms + (int64_t)length;
	window->n = reader_varint(reader);
	window->sum = read_sum(reader);
	return read_bins(reader, window) && read_names(reader, window) && reader->ok &&
	       reader->at == reader->end;
}

enum rc window_from_blob(struct view blob, struct window *window, struct err *err)
{
	struct reader reader = reader_of(blob.data, blob.size);

	*window = (struct window){0};
	if (read_window(&reader, window))
		return RC_OK;
	window_done(window);
	*window = (struct window){0};
	return err_set(err, RC_REJECT, "%zu bytes are not the blob of a window of version %d",
		blob.size, BLOB_VERSION);
}
