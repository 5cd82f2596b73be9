/* core/close.h: what ingest tells detectors: ticks that have closed, with their windows; and idle
 * marks. THINKS. A partition's close records are numbered from 1 without holes; they are the log
 * that detectors fold. How ticks are spread over records never matters to a verdict: detectors go
 * tick by tick. */
#ifndef CORE_CLOSE_H
#define CORE_CLOSE_H

#include "core/window.h"

/* One closed tick of one model: all its windows that have any count, in order of series_compare().
 */
struct closed_tick {
	char model[NAME_SIZE];
	int64_t from_ms, to_ms;
	int64_t watermark_ms; /* of the partition, when it closed */
	struct window *windows;
	size_t window_count;
};

/* The watermark and ticks, in the order in which they closed: by to_ms, then model. */
struct close_record {
	uint64_t sequence;
	int64_t watermark_ms; /* after the ticks; may have moved without any tick closing */
	int64_t offset;       /* of the first message not yet contained */
	struct closed_tick *ticks;
	size_t tick_count;
	int64_t whole_from_ms; /* ticks that begin before are without what a gap in the log took */
	uint64_t cut;          /* snapshots are made behind this record (core/snapshot.h): the
				  number of the cut; 0 = none */
	bool configured;       /* a configuration takes effect with this record: digest below */
	char config_digest[65];
};

void close_record_done(struct close_record *record);
void close_record_to_blob(const struct close_record *record, struct bytes *out);
enum rc close_record_from_blob(
	struct view blob, struct close_record *record, struct err *err) MUST_CHECK;

/* An idle mark: at this offset the log was at its end, and event time is taken to have come this
 * far. The only input of ingest besides messages; recorded, so that replay can repeat it. JSON:
 * {"kind":"mark","log":"ml.events-0","offset":1234,"watermark":1763654400000} */
struct mark {
	char log[280];
	int64_t offset;
	int64_t watermark_ms;
};
void mark_to_json(const struct mark *mark, struct bytes *out);
enum rc mark_from_json(struct view text, struct mark *mark, struct err *err) MUST_CHECK;

#endif
