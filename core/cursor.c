#include "core/cursor.h"

#include "core/digest.h"
#include "core/memory.h"
#include "core/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_PREFIX "cursor:"

void cursors_done(struct cursors *cursors)
{
	free(cursors->list);
	*cursors = (struct cursors){0};
}

struct cursor *cursors_of(struct cursors *cursors, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < cursors->count; i++) {
		struct cursor *cursor = &cursors->list[i];

		if (cursor->partition == partition && strcmp(cursor->topic, topic) == 0)
			return cursor;
	}
	cursors->list = memory_grow(cursors->list, cursors->count + 1, sizeof *cursors->list);
	struct cursor *made = &cursors->list[cursors->count++];

	*made = (struct cursor){.partition = partition, .next = -1};
	snprintf(made->topic, sizeof made->topic, "%s", topic);
	return made;
}

uint64_t cursor_fingerprint(int64_t append_ms, struct view key, struct view value)
{
	CLEANUP(bytes_done) struct bytes both = {0};
	unsigned char digest[DIGEST_SIZE];
	uint64_t fingerprint;

	bytes_zigzag(&both, append_ms);
	bytes_sized(&both, key.data, key.size);
	bytes_sized(&both, value.data, value.size);
	digest_sha256((struct view){both.data, both.size}, digest);
	memcpy(&fingerprint, digest, sizeof fingerprint);
	return fingerprint ? fingerprint : 1;
}

bool cursor_pass(struct cursor *cursor, int64_t offset, int64_t append_ms, struct view key,
	struct view value)
{
	if (offset < cursor->next)
		return false;
	cursor->next = offset + 1;
	cursor->fingerprint = cursor_fingerprint(append_ms, key, value);
	cursor->dirty = true;
	return true;
}

void cursors_change(struct cursors *cursors, struct change *change)
{
	for (size_t i = 0; i < cursors->count; i++) {
		struct cursor *cursor = &cursors->list[i];
		CLEANUP(bytes_done) struct bytes field = {0};
		CLEANUP(bytes_done) struct bytes data = {0};

		if (!cursor->dirty)
			continue;
		bytes_format(&field, FIELD_PREFIX "%s-%d", cursor->topic, (int)cursor->partition);
		bytes_sized(&data, cursor->topic, strlen(cursor->topic));
		bytes_zigzag(&data, cursor->partition);
		bytes_zigzag(&data, cursor->next);
		bytes_u64(&data, cursor->fingerprint);
		change_put(change, TABLE_STATE, (struct view){field.data, field.size},
			(struct view){data.data, data.size});
		cursor->dirty = false;
	}
}

enum rc cursors_restore(
	struct cursors *cursors, struct view field, struct view data, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);
	char topic[256];

	if (field.size < strlen(FIELD_PREFIX) ||
		memcmp(field.data, FIELD_PREFIX, strlen(FIELD_PREFIX)) != 0)
		return RC_NONE;
	view_copy(reader_sized(&reader), topic, sizeof topic);
	int64_t partition = reader_zigzag(&reader);
	int64_t next = reader_zigzag(&reader);
	uint64_t fingerprint = reader_u64(&reader);

	if (!reader.ok)
		return err_set(
			err, RC_FATAL, "state record %.*s is damaged", (int)field.size, field.data);
	struct cursor *cursor = cursors_of(cursors, topic, (int32_t)partition);

	cursor->next = next;
	cursor->fingerprint = fingerprint;
	return RC_OK;
}
