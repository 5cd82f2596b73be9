/* Any records as what lies in the topic of snapshots: what is found whole comes back, and is found
 * again when it is written again. The input: keys and values, each sized. */
#include "core/snapshot.h"
#include "core/topics.h"
#include "tests/fuzz/fuzz.h"

static void write_again(const struct snapshots *found, const struct snapshot *snapshot)
{
	struct snapshots again = {.service = found->service, .log = found->log};
	CLEANUP(change_done) struct change restored = {0};
	CLEANUP(change_done) struct change written = {0};
	CLEANUP(bytes_done) struct bytes records = {0};
	struct err err;

	snapshot_restore(snapshot, &restored);
	CLAIM(restored.write_count > 0);
	for (size_t i = 0; i + 1 < restored.write_count; i++) {
		const struct write *write = &restored.writes[i];

		CLAIM(view_is(
			change_view(&restored, write->table, write->table_size), TABLE_STATE));
		snapshot_add(&records, change_view(&restored, write->field, write->field_size),
			change_view(&restored, write->data, write->data_size));
	}
	snapshot_emit(&written, found->service, found->log, &snapshot->cut, bytes_view(&records));
	for (size_t i = 0; i < written.output_count; i++) {
		const struct output *output = &written.outputs[i];

		CLAIM(snapshots_take(&again, change_view(&written, output->key, output->key_size),
			      change_view(&written, output->value, output->value_size),
			      &err) == RC_OK);
	}
	const struct snapshot *same = snapshots_at(&again, &snapshot->cut);

	CLAIM(same && views_equal(bytes_view(&same->records), bytes_view(&records)));
	snapshots_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshots found = {.service = "ingest", .log = "ml.events-0"};
	struct reader reader = reader_of(data, size);
	struct err err;

	while (reader.ok && reader.at < reader.end) {
		struct view key = reader_sized(&reader);
		struct view value = reader_sized(&reader);

		if (reader.ok && snapshots_take(&found, key, value, &err) == RC_REJECT)
			CLAIM(err.text[0]);
	}
	const struct snapshot *first = snapshots_before(&found, 0);

	CLAIM(!first || !snapshots_after(&found, &first->cut));
	for (const struct snapshot *at = first; at; at = snapshots_after(&found, &at->cut))
		write_again(&found, at);
	CLAIM(found.count <= size);
	snapshots_done(&found);
	return 0;
}
