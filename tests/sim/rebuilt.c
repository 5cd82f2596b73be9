/* What a fold began with after its store was lost: the snapshot that it says it came back with. */
#include "core/snapshot.h"
#include "core/topics.h"
#include "tests/sim/world.h"

#include <stdio.h>

enum { TAKE_MAX = 100 };

/* The cut that the fold's state names. False: it began with nothing. */
static bool cut_of(struct world *world, const struct fold *fold, struct cut *cut)
{
	CLEANUP(bytes_done) struct bytes data = {0};
	struct head head;
	struct err err;

	if (store_head(world->store, fold, &head, &err) != RC_OK ||
		store_get(world->store, fold, &head, TABLE_STATE, view_of(FIELD_RESTORED), &data,
			&err) != RC_OK)
		return false;
	if (!cut_read(bytes_view(&data), cut))
		wrong(world, "%s/%s: what it came back with is no cut", fold->service, fold->log);
	return cut->sequence;
}

/* Reads until the snapshot is whole: later ones take its place. */
static const struct snapshot *look_for(
	struct world *world, struct log_reader *reader, struct snapshots *found, struct cut *cut)
{
	const struct log_message *messages;
	const struct snapshot *snapshot = NULL;
	struct log_gap gap;
	struct err err;
	size_t count;

	while (!snapshot && log_take(reader, 0, TAKE_MAX, &messages, &count, &gap, &err) == RC_OK) {
		for (size_t i = 0; i < count && !snapshot; i++) {
			if (snapshots_take(found, messages[i].key, messages[i].value, &err) !=
				RC_OK)
				wrong(world, "%s", err.text);
			snapshot = snapshots_at(found, cut);
		}
	}
	return snapshot;
}

bool rebuilt_from(struct world *world, const struct fold *fold, struct change *change)
{
	struct snapshots found = {.service = fold->service, .log = fold->log};
	struct log_reader *reader;
	char topic[64];
	struct cut cut;
	struct err err;

	if (!cut_of(world, fold, &cut))
		return false;
	snprintf(topic, sizeof topic, "%s.%s", world->config.kafka.prefix, TOPIC_STATE);
	if (log_reader_open(world->log, &reader, &err) != RC_OK ||
		log_assign(reader, topic, 0, 0, &err) != RC_OK)
		return false;
	const struct snapshot *snapshot = look_for(world, reader, &found, &cut);

	if (snapshot)
		snapshot_restore(snapshot, change);
	else
		wrong(world, "%s/%s came back with a snapshot that is not in the log",
			fold->service, fold->log);
	snapshots_done(&found);
	log_reader_close(reader);
	return snapshot;
}
