#include "ingest/place.h"

#include "core/json_tree.h"
#include "core/memory.h"
#include "core/snapshot.h"
#include "core/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CURSOR_VERSION = 2,         /* 1: without cuts and whole_from */
	AHEAD_MS = 1000,            /* event time runs ahead of the broker's at most so far */
	CLOSES_BYTES_MAX = 1 << 27, /* kept of close records, whatever their number */
	TRAIL_BYTES = 1 << 22,      /* between two marks of the trail */
};

void place_init(struct place *place, const char *log_name)
{
	const char *dash = strrchr(log_name, '-');
	size_t size = dash ? (size_t)(dash - log_name) : strlen(log_name);

	*place = (struct place){.start = -1,
		.next = -1,
		.last_offset = -1,
		.last_ts = -1,
		.last_append_ms = -1,
		.last_arrival_ms = -1,
		.again_until_ms = -1};
	view_copy((struct view){log_name, size}, place->topic, sizeof place->topic);
	place->partition = dash ? atoi(dash + 1) : 0;
}

void place_done(struct place *place)
{
	free(place->gaps);
	place->gaps = NULL;
	place->gap_count = 0;
}

bool place_pass(struct place *place, int64_t offset)
{
	if (place->next >= 0 && offset < place->next)
		return false;
	if (place->next < 0)
		place->start = offset;
	else
		place->counters.control += offset - place->next;
	place->next = offset + 1;
	place->last_offset = offset;
	place->fingerprint = 0;
	return true;
}

bool place_is_repeat(struct place *place, int64_t append_ms)
{
	bool repeat = append_ms >= 0 && append_ms <= place->again_until_ms;

	if (repeat)
		place->counters.duplicate++;
	else if (append_ms > place->last_arrival_ms)
		place->last_arrival_ms = append_ms;
	return repeat;
}

void place_event(struct place *place, int64_t ts, int64_t append_ms)
{
	int64_t reached;

	if (ts > place->last_ts)
		place->last_ts = ts;
	if (append_ms > place->last_append_ms)
		place->last_append_ms = append_ms;
	reached = place->last_ts;
	if (append_ms >= 0 && place->last_append_ms + AHEAD_MS < reached)
		reached = place->last_append_ms + AHEAD_MS;
	if (reached > place->watermark_ms)
		place->watermark_ms = reached;
	if (place->gap_open)
		place->whole_from_ms = ts > place->watermark_ms ? ts : place->watermark_ms;
	place->gap_open = false;
}

static void add_gap(struct place *place, int64_t from, int64_t to, struct view reason)
{
	if (place->gap_count == GAPS_MAX) {
		place->gap_count--;
		memmove(place->gaps, place->gaps + 1, place->gap_count * sizeof *place->gaps);
	} else {
		place->gaps = memory_grow(place->gaps, place->gap_count + 1, sizeof *place->gaps);
	}
	struct gap *gap = &place->gaps[place->gap_count++];

	*gap = (struct gap){.from = from, .to = to};
	view_copy(reason, gap->reason, sizeof gap->reason);
}

void place_gap(struct place *place, int64_t from, int64_t to, const char *reason)
{
	add_gap(place, from, to, view_of(reason));
	if (to < place->next)
		place->again_until_ms = place->last_arrival_ms;
	place->next = to;
	place->last_offset = -1;
	place->fingerprint = 0;
	place->gap_open = true;
}

int64_t place_whole_from(const struct place *place)
{
	return place->gap_open ? INT64_MAX : place->whole_from_ms;
}

bool place_cut_is_due(const struct place *place, int64_t rebuild_ms)
{
	int64_t every_ms = rebuild_ms / SNAPSHOTS_REACH;

	return rebuild_ms > 0 &&
	       (!place->cuts || place->watermark_ms / every_ms > place->cut_ms / every_ms);
}

uint64_t place_trim(struct place *place, size_t bytes)
{
	struct trail *trail = place->trail;
	size_t last = place->trail_count;
	size_t passed = 0;

	if (!last || place->closes_bytes - trail[last - 1].bytes >= TRAIL_BYTES)
		trail[place->trail_count++] =
			(struct trail){.sequence = place->closes, .bytes = place->closes_bytes};
	place->closes_bytes += bytes;
	while (passed + 1 < place->trail_count &&
		(place->closes_bytes - trail[passed + 1].bytes > CLOSES_BYTES_MAX ||
			place->trail_count - passed == TRAIL_MAX))
		passed++;
	if (!passed)
		return 0;
	place->trail_count -= passed;
	memmove(trail, trail + passed, place->trail_count * sizeof *trail);
	return trail[0].sequence;
}

static void add_cursor(const struct place *place, struct bytes *out)
{
	bytes_varint(out, CURSOR_VERSION);
	bytes_zigzag(out, place->start);
	bytes_zigzag(out, place->next);
	bytes_zigzag(out, place->last_offset);
	bytes_u64(out, place->fingerprint);
	bytes_zigzag(out, place->last_ts);
	bytes_zigzag(out, place->last_append_ms);
	bytes_zigzag(out, place->last_arrival_ms);
	bytes_zigzag(out, place->again_until_ms);
	bytes_zigzag(out, place->watermark_ms);
	bytes_varint(out, place->closes);
	bytes_varint(out, place->marks);
	bytes_varint(out, place->gap_open);
	bytes_zigzag(out, place->whole_from_ms);
	bytes_varint(out, place->cuts);
	bytes_zigzag(out, place->cut_ms);
	bytes_sized(out, place->config_digest, strlen(place->config_digest));
	bytes_varint(out, place->closes_bytes);
	bytes_varint(out, place->trail_count);
	for (size_t i = 0; i < place->trail_count; i++) {
		bytes_varint(out, place->trail[i].sequence);
		bytes_varint(out, place->trail[i].bytes);
	}
}

static bool read_cursor(struct reader *reader, struct place *place)
{
	uint64_t version = reader_varint(reader);

	if (!version || version > CURSOR_VERSION)
		return false;
	place->start = reader_zigzag(reader);
	place->next = reader_zigzag(reader);
	place->last_offset = reader_zigzag(reader);
	place->fingerprint = reader_u64(reader);
	place->last_ts = reader_zigzag(reader);
	place->last_append_ms = reader_zigzag(reader);
	place->last_arrival_ms = reader_zigzag(reader);
	place->again_until_ms = reader_zigzag(reader);
	place->watermark_ms = reader_zigzag(reader);
	place->closes = reader_varint(reader);
	place->marks = reader_varint(reader);
	if (version > 1) {
		place->gap_open = reader_varint(reader);
		place->whole_from_ms = reader_zigzag(reader);
		place->cuts = reader_varint(reader);
		place->cut_ms = reader_zigzag(reader);
	}
	view_copy(reader_sized(reader), place->config_digest, sizeof place->config_digest);
	place->closes_bytes = reader_varint(reader);
	uint64_t count = reader_varint(reader);

	if (count > TRAIL_MAX)
		return false;
	for (place->trail_count = 0; place->trail_count < count; place->trail_count++) {
		place->trail[place->trail_count].sequence = reader_varint(reader);
		place->trail[place->trail_count].bytes = reader_varint(reader);
	}
	return reader->ok;
}

static void add_by_name(
	struct bytes *out, const char *const names[], const int64_t values[], size_t count)
{
	bool first = true;

	bytes_text(out, "{");
	for (size_t i = 0; i < count; i++) {
		if (!values[i])
			continue;
		bytes_format(out, "%s\"%s\":%" PRId64, first ? "" : ",", names[i], values[i]);
		first = false;
	}
	bytes_text(out, "}");
}

static void add_counters(const struct place *place, const char *log_name, struct bytes *out)
{
	const struct ingest_counters *counters = &place->counters;

	bytes_text(out, "{\"kind\":\"counters\",\"log\":");
	json_add_text(out, view_of(log_name));
	bytes_format(out,
		",\"counted\":%" PRId64 ",\"late\":%" PRId64 ",\"duplicate\":%" PRId64
		",\"control\":%" PRId64 ",\"rejected\":",
		counters->counted, counters->late, counters->duplicate, counters->control);
	add_by_name(out, event_code_names, counters->rejected, E_CODES);
	bytes_text(out, ",\"types\":");
	add_by_name(out, event_type_names, counters->types, EVENT_TYPES);
	bytes_format(out,
		",\"offset\":%" PRId64 ",\"start\":%" PRId64 ",\"watermark\":%" PRId64
		",\"rebuilt_from\":%" PRId64 ",\"gaps\":[",
		place->next, place->start, place->watermark_ms, place->rebuilt_from_ms);
	for (size_t i = 0; i < place->gap_count; i++) {
		const struct gap *gap = &place->gaps[i];

		bytes_format(out,
			"%s{\"from\":%" PRId64 ",\"to\":%" PRId64 ",\"reason\":", i ? "," : "",
			gap->from, gap->to);
		json_add_text(out, view_of(gap->reason));
		bytes_text(out, "}");
	}
	bytes_text(out, "]}");
}

static void read_by_name(const struct tree *tree, const struct tree_node *object,
	const char *const names[], int64_t values[], size_t count)
{
	for (size_t i = 0; object && i < count; i++)
		values[i] = tree_integer(tree, object, names[i]);
}

static enum rc read_counters(struct place *place, struct view data, struct err *err)
{
	CLEANUP(tree_done) struct tree tree = {0};
	struct ingest_counters *counters = &place->counters;
	struct tree_fault fault;
	const struct tree_node *root = tree_parse(&tree, data, 8, false, &fault);

	if (!root)
		return err_set(err, RC_FATAL, "%s at byte %zu", fault.why, fault.byte);
	counters->counted = tree_integer(&tree, root, "counted");
	counters->late = tree_integer(&tree, root, "late");
	counters->duplicate = tree_integer(&tree, root, "duplicate");
	counters->control = tree_integer(&tree, root, "control");
	read_by_name(&tree, tree_get(&tree, root, "rejected"), event_code_names, counters->rejected,
		E_CODES);
	read_by_name(&tree, tree_get(&tree, root, "types"), event_type_names, counters->types,
		EVENT_TYPES);
	const struct tree_node *gaps = tree_get(&tree, root, "gaps");

	for (const struct tree_node *gap = gaps ? tree_child(&tree, gaps) : NULL; gap;
		gap = tree_next(&tree, gap))
		add_gap(place, tree_integer(&tree, gap, "from"), tree_integer(&tree, gap, "to"),
			tree_text(&tree, gap, "reason"));
	return RC_OK;
}

void place_change(const struct place *place, const char *log_name, struct change *change)
{
	CLEANUP(bytes_done) struct bytes cursor = {0};
	CLEANUP(bytes_done) struct bytes counters = {0};

	add_cursor(place, &cursor);
	change_put(change, TABLE_STATE, view_of("cursor"), bytes_view(&cursor));
	add_counters(place, log_name, &counters);
	change_put(change, TABLE_STATE, view_of("counters"), bytes_view(&counters));
}

enum rc place_restore(struct place *place, struct view field, struct view data, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);

	struct cut cut;

	if (view_is(field, "counters"))
		return read_counters(place, data, err);
	if (view_is(field, FIELD_RESTORED)) {
		if (!cut_read(data, &cut))
			return err_set(err, RC_FATAL, "expected a cut");
		place->rebuilt_from_ms = cut.watermark_ms;
		return RC_OK;
	}
	if (read_cursor(&reader, place))
		return RC_OK;
	return err_set(err, RC_FATAL, "expected a cursor of version %d", CURSOR_VERSION);
}
