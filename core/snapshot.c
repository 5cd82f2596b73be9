/* core/snapshot.c: snapshots as records of a topic. THINKS.
 * A part, version 1: 'S', 1, the cut as a sized blob, bytes of all parts, number of parts, number
 * of this part from 0, then its bytes. All parts joined: fields and data of the records, each
 * sized. */
#include "core/snapshot.h"

#include "core/memory.h"
#include "core/topics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	PART_MARK = 'S',
	PART_VERSION = 1,
	PART_BYTES = 512 * 1024, /* half of what a message may have */
	PARTS_MAX = 4096,
};

/* ---- cuts */

void cut_write(const struct cut *cut, struct bytes *out)
{
	bytes_sized(out, cut->epoch, strlen(cut->epoch));
	bytes_varint(out, cut->sequence);
	bytes_varint(out, cut->number);
	bytes_zigzag(out, cut->watermark_ms);
	bytes_zigzag(out, cut->offset);
}

bool cut_read(struct view data, struct cut *cut)
{
	struct reader reader = reader_of(data.data, data.size);

	*cut = (struct cut){0};
	if (!reader_text(&reader, cut->epoch, sizeof cut->epoch))
		return false;
	cut->sequence = reader_varint(&reader);
	cut->number = reader_varint(&reader);
	cut->watermark_ms = reader_zigzag(&reader);
	cut->offset = reader_zigzag(&reader);
	return reader.ok && reader.at == reader.end && cut->sequence && cut->number;
}

static void put(struct change *change, const char *field, const struct cut *cut)
{
	CLEANUP(bytes_done) struct bytes data = {0};

	cut_write(cut, &data);
	change_put(change, TABLE_STATE, view_of(field), bytes_view(&data));
}

void cut_put(struct change *change, const struct cut *cut)
{
	put(change, FIELD_SNAPSHOT, cut);
}

/* A Redis that went back in time lets one life make two cuts at one number: at other times. */
static bool is_same(const struct cut *one, const struct cut *other)
{
	return one->sequence == other->sequence && one->number == other->number &&
	       one->watermark_ms == other->watermark_ms && strcmp(one->epoch, other->epoch) == 0;
}

/* ---- writing */

void snapshot_add(struct bytes *records, struct view field, struct view data)
{
	bytes_sized(records, field.data, field.size);
	bytes_sized(records, data.data, data.size);
}

void snapshot_emit(struct change *change, const char *service, const char *log,
	const struct cut *cut, struct view records)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	CLEANUP(bytes_done) struct bytes blob = {0};
	const char head[] = {PART_MARK, PART_VERSION};
	size_t count = records.size / PART_BYTES + 1;

	cut_write(cut, &blob);
	for (size_t i = 0; i < count; i++) {
		size_t from = i * PART_BYTES;
		size_t size = i + 1 < count ? PART_BYTES : records.size - from;

		bytes_clear(&key);
		bytes_format(&key, "%s/%s/%" PRIu64 "/%zu", service, log,
			cut->number % SNAPSHOTS_KEPT, i);
		bytes_clear(&value);
		bytes_add(&value, head, sizeof head);
		bytes_sized(&value, blob.data, blob.size);
		bytes_varint(&value, records.size);
		bytes_varint(&value, count);
		bytes_varint(&value, i);
		bytes_add(&value, records.data + from, size);
		change_emit(change, TOPIC_STATE, bytes_view(&key), bytes_view(&value), NULL);
	}
}

/* ---- finding */

static void free_parts(struct snapshot *snapshot)
{
	for (size_t i = 0; snapshot->parts && i < snapshot->part_count; i++)
		bytes_done(&snapshot->parts[i]);
	free(snapshot->parts);
	snapshot->parts = NULL;
}

static void snapshot_done(struct snapshot *snapshot)
{
	free_parts(snapshot);
	bytes_done(&snapshot->records);
}

void snapshots_done(struct snapshots *snapshots)
{
	for (size_t i = 0; i < snapshots->count; i++)
		snapshot_done(&snapshots->list[i]);
	free(snapshots->list);
	snapshots->list = NULL;
	snapshots->count = 0;
}

static void remove_at(struct snapshots *snapshots, size_t place)
{
	snapshot_done(&snapshots->list[place]);
	snapshots->list[place] = snapshots->list[--snapshots->count];
}

/* Whether one takes the place of the other. */
static bool is_of_slot(const struct cut *one, const struct cut *other)
{
	return one->number % SNAPSHOTS_KEPT == other->number % SNAPSHOTS_KEPT;
}

/* The topic may still hold what is to be compacted away; a whole one makes older ones useless. Of
 * two with one number, which two lives of a log made, the one that was read last stays. */
static void forget_older(struct snapshots *snapshots, struct cut cut)
{
	for (size_t i = snapshots->count; i-- > 0;) {
		const struct cut *other = &snapshots->list[i].cut;

		if (is_of_slot(other, &cut) && !is_same(other, &cut) && other->number <= cut.number)
			remove_at(snapshots, i);
	}
}

static bool is_useless(const struct snapshots *snapshots, const struct cut *cut)
{
	for (size_t i = 0; i < snapshots->count; i++) {
		const struct snapshot *other = &snapshots->list[i];

		if (other->whole && is_of_slot(&other->cut, cut) && other->cut.number > cut->number)
			return true;
	}
	return false;
}

static struct snapshot *find_or_make(
	struct snapshots *snapshots, const struct cut *cut, size_t part_count)
{
	for (size_t i = 0; i < snapshots->count; i++)
		if (is_same(&snapshots->list[i].cut, cut))
			return &snapshots->list[i];
	snapshots->list =
		memory_grow(snapshots->list, snapshots->count + 1, sizeof *snapshots->list);
	struct snapshot *made = &snapshots->list[snapshots->count++];

	*made = (struct snapshot){.cut = *cut, .part_count = part_count};
	made->parts = memory_new(part_count, sizeof *made->parts);
	return made;
}

static bool is_of_fold(const struct snapshots *snapshots, struct view key)
{
	size_t service = strlen(snapshots->service);
	size_t log = strlen(snapshots->log);

	return key.size > service + log + 2 && memcmp(key.data, snapshots->service, service) == 0 &&
	       key.data[service] == '/' &&
	       memcmp(key.data + service + 1, snapshots->log, log) == 0 &&
	       key.data[service + 1 + log] == '/';
}

static void add_part(struct snapshot *snapshot, size_t part, struct view bytes)
{
	snapshot->seen += !snapshot->parts[part].data;
	bytes_clear(&snapshot->parts[part]);
	bytes_add(&snapshot->parts[part], bytes.data, bytes.size);
}

/* All parts are there. False: they are not what was written. */
static bool join(struct snapshot *snapshot, uint64_t size)
{
	for (size_t i = 0; i < snapshot->part_count; i++)
		bytes_add(&snapshot->records, snapshot->parts[i].data, snapshot->parts[i].size);
	free_parts(snapshot);
	struct reader reader = reader_of(snapshot->records.data, snapshot->records.size);

	while (reader.ok && reader.at < reader.end) {
		reader_sized(&reader);
		reader_sized(&reader);
	}
	snapshot->whole = reader.ok && snapshot->records.size == size;
	return snapshot->whole;
}

enum rc snapshots_take(
	struct snapshots *snapshots, struct view key, struct view value, struct err *err)
{
	struct reader reader = reader_of(value.data, value.size);
	struct cut cut;

	if (!value.data || !is_of_fold(snapshots, key))
		return RC_OK;
	bool known = reader_varint(&reader) == PART_MARK && reader_varint(&reader) == PART_VERSION;
	bool cut_known = cut_read(reader_sized(&reader), &cut);
	uint64_t size = reader_varint(&reader);
	uint64_t count = reader_varint(&reader);
	uint64_t part = reader_varint(&reader);

	if (!known || !cut_known || !reader.ok || !count || count > PARTS_MAX || part >= count)
		return err_set(err, RC_REJECT,
			"%.*s: %zu bytes are not a part of a snapshot of version %d",
			(int)(key.size > 200 ? 200 : key.size), key.data, value.size, PART_VERSION);
	if (is_useless(snapshots, &cut))
		return RC_OK;
	struct snapshot *snapshot = find_or_make(snapshots, &cut, count);

	if (snapshot->whole)
		return RC_OK;
	if (count != snapshot->part_count)
		return err_set(err, RC_REJECT, "%.*s: %" PRIu64 " parts, expected %zu",
			(int)(key.size > 200 ? 200 : key.size), key.data, count,
			snapshot->part_count);
	add_part(snapshot, part, (struct view){reader.at, (size_t)(reader.end - reader.at)});
	if (snapshot->seen < snapshot->part_count)
		return RC_OK;
	if (!join(snapshot, size)) {
		remove_at(snapshots, (size_t)(snapshot - snapshots->list));
		return err_set(err, RC_REJECT,
			"the snapshot at close record %" PRIu64 " is damaged", cut.sequence);
	}
	forget_older(snapshots, cut);
	return RC_OK;
}

const struct snapshot *snapshots_at(const struct snapshots *snapshots, const struct cut *cut)
{
	for (size_t i = 0; i < snapshots->count; i++)
		if (snapshots->list[i].whole && is_same(&snapshots->list[i].cut, cut))
			return &snapshots->list[i];
	return NULL;
}

const struct snapshot *snapshots_before(const struct snapshots *snapshots, int64_t reach_ms)
{
	const struct snapshot *newest = NULL, *found = NULL;

	for (size_t i = 0; i < snapshots->count; i++) {
		const struct snapshot *at = &snapshots->list[i];

		if (at->whole && (!newest || at->cut.number > newest->cut.number))
			newest = at;
	}
	for (size_t i = 0; i < snapshots->count; i++) {
		const struct snapshot *at = &snapshots->list[i];

		if (at->whole && newest->cut.watermark_ms - at->cut.watermark_ms >= reach_ms &&
			(!found || at->cut.number > found->cut.number))
			found = at;
	}
	return found;
}

const struct snapshot *snapshots_after(const struct snapshots *snapshots, const struct cut *cut)
{
	const struct snapshot *found = NULL;

	for (size_t i = 0; i < snapshots->count; i++) {
		const struct snapshot *at = &snapshots->list[i];

		if (at->whole && at->cut.number > cut->number &&
			(!found || at->cut.number < found->cut.number))
			found = at;
	}
	return found;
}

/* ---- bringing back */

void snapshot_restore(const struct snapshot *snapshot, struct change *change)
{
	struct reader reader = reader_of(snapshot->records.data, snapshot->records.size);

	while (reader.at < reader.end) {
		struct view field = reader_sized(&reader);
		struct view data = reader_sized(&reader);

		change_put(change, TABLE_STATE, field, data);
	}
	put(change, FIELD_RESTORED, &snapshot->cut);
}
