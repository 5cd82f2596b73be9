/* ingest/deadletters.h: what was refused, with the reason, for people: each message for the topic
 * deadletter, and groups of them by fingerprint, counted exactly. THINKS. Part of the fold of
 * ingest/step.h. */
#ifndef INGEST_DEADLETTERS_H
#define INGEST_DEADLETTERS_H

#include "core/change.h"
#include "core/config.h"
#include "core/event.h"
#include "core/map.h"

enum { GROUPS_MAX = 10000, SAMPLES_MAX = 5, FINGERPRINT_SIZE = 17 };

struct group {
	char fingerprint[FINGERPRINT_SIZE]; /* or "__other__", once there are GROUPS_MAX */
	char code[24];
	char detail[200];              /* of the first one */
	int64_t first_seen, last_seen; /* ms: append time, or the watermark where that is unknown */
	int64_t total;
	int64_t samples[SAMPLES_MAX]; /* offsets of the first ones */
	size_t sample_count;
	int64_t second; /* of the last one; and so many went to the topic in it */
	int64_t sent;
	bool dirty;
};

struct deadletters { /* all zero but the first is valid and empty */
	const struct config *config;
	struct map groups;
	struct group **changed;
	size_t changed_count, changed_capacity;
};

struct deadletter { /* one refused message */
	const char *topic;
	int32_t partition;
	int64_t offset, append_ms; /* -1: unknown */
	struct view value;
	int64_t seen_ms;
	const struct rejection *rejection;
};

void deadletters_done(struct deadletters *deadletters);

/* Counts it in its group, and emits it into change unless its group has had its share of this
 * second. */
void deadletters_add(
	struct deadletters *deadletters, const struct deadletter *letter, struct change *change);

/* Changed groups, into table "deadletters" for people and into the state; and one back from the
 * state. */
void deadletters_change(struct deadletters *deadletters, const char *topic, int32_t partition,
	struct change *change);
enum rc deadletters_restore(
	struct deadletters *deadletters, struct view data, struct err *err) MUST_CHECK;

/* A payload of the same shape that tells nothing: x for characters of texts and of anything that is
 * not JSON, 0 for digits. Appended to out. */
void deadletter_disguise(struct view payload, struct bytes *out);

#endif
