/* core/close.c: close records as bytes.
 * THINKS. Version 2: 'C', 2, sequence, watermark, offset, whole_from, cut, the digest of a
 * configuration that takes effect (empty: none), then the ticks with their windows as sized blobs
 * (window_blob.c). Version 1 is without whole_from and cut. */
#include "core/close.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

enum { BLOB_MARK = 'C', BLOB_VERSION = 2 };

static void tick_done(struct closed_tick *tick)
{
	for (size_t i = 0; i < tick->window_count; i++)
		window_done(&tick->windows[i]);
	free(tick->windows);
}

void close_record_done(struct close_record *record)
{
	for (size_t i = 0; i < record->tick_count; i++)
		tick_done(&record->ticks[i]);
	free(record->ticks);
	*record = (struct close_record){0};
}

static void add_tick(const struct closed_tick *tick, struct bytes *blob, struct bytes *out)
{
	bytes_sized(out, tick->model, strlen(tick->model));
	bytes_zigzag(out, tick->from_ms);
	bytes_zigzag(out, tick->to_ms);
	bytes_zigzag(out, tick->watermark_ms);
	bytes_varint(out, tick->window_count);
	for (size_t i = 0; i < tick->window_count; i++) {
		bytes_clear(blob);
		window_to_blob(&tick->windows[i], blob);
		bytes_sized(out, blob->data, blob->size);
	}
}

void close_record_to_blob(const struct close_record *record, struct bytes *out)
{
	CLEANUP(bytes_done) struct bytes blob = {0};
	const char head[] = {BLOB_MARK, BLOB_VERSION};

	bytes_add(out, head, sizeof head);
	bytes_varint(out, record->sequence);
	bytes_zigzag(out, record->watermark_ms);
	bytes_zigzag(out, record->offset);
	bytes_zigzag(out, record->whole_from_ms);
	bytes_varint(out, record->cut);
	bytes_sized(
		out, record->config_digest, record->configured ? strlen(record->config_digest) : 0);
	bytes_varint(out, record->tick_count);
	for (size_t i = 0; i < record->tick_count; i++)
		add_tick(&record->ticks[i], &blob, out);
}

/* No window takes less than 16 bytes, so the bytes that are left bound their number. */
static bool read_windows(struct reader *reader, struct closed_tick *tick)
{
	uint64_t count = reader_varint(reader);
	struct err ignored;

	if (count > (uint64_t)(reader->end - reader->at) / 16)
		return false;
	tick->windows = memory_new(count, sizeof *tick->windows);
	for (uint64_t i = 0; i < count; i++) {
		struct view blob = reader_sized(reader);

		if (!reader->ok || window_from_blob(blob, &tick->windows[i], &ignored) != RC_OK)
			return false;
		tick->window_count++;
	}
	return true;
}

static bool read_tick(struct reader *reader, struct closed_tick *tick)
{
	if (!reader_text(reader, tick->model, sizeof tick->model))
		return false;
	tick->from_ms = reader_zigzag(reader);
	tick->to_ms = reader_zigzag(reader);
	tick->watermark_ms = reader_zigzag(reader);
	return read_windows(reader, tick);
}

static bool read_record(struct reader *reader, struct close_record *record)
{
	if (reader_varint(reader) != BLOB_MARK)
		return false;
	uint64_t version = reader_varint(reader);

	if (!version || version > BLOB_VERSION)
		return false;
	record->sequence = reader_varint(reader);
	record->watermark_ms = reader_zigzag(reader);
	record->offset = reader_zigzag(reader);
	if (version > 1) {
		record->whole_from_ms = reader_zigzag(reader);
		record->cut = reader_varint(reader);
	}
	if (!reader_text(reader, record->config_digest, sizeof record->config_digest))
		return false;
	record->configured = record->config_digest[0];
	uint64_t count = reader_varint(reader);

	if (count > (uint64_t)(reader->end - reader->at))
		return false;
	record->ticks = NULL;
	for (uint64_t i = 0; i < count; i++) {
		record->ticks =
			memory_grow(record->ticks, record->tick_count + 1, sizeof *record->ticks);
		struct closed_tick *tick = &record->ticks[record->tick_count++];

		*tick = (struct closed_tick){0};
		if (!read_tick(reader, tick))
			return false;
	}
	return reader->ok && reader->at == reader->end;
}

enum rc close_record_from_blob(struct view blob, struct close_record *record, struct err *err)
{
	struct reader reader = reader_of(blob.data, blob.size);

	*record = (struct close_record){0};
	if (read_record(&reader, record))
		return RC_OK;
	close_record_done(record);
	return err_set(err, RC_REJECT, "%zu bytes are not a close record of version %d", blob.size,
		BLOB_VERSION);
}
