/* ctl/recording.h: recorded events as one log: several files merged by the running maximum of ts in
 * each, then by their order; and recorded idle marks. */
#ifndef CTL_RECORDING_H
#define CTL_RECORDING_H

#include "core/close.h"
#include "core/config.h"

struct recording;

struct recording *recording_new(void);
void recording_close(struct recording *recording);

/* format: NULL = what the first configured topic says. */
void recording_add(struct recording *recording, const char *path, const char *format);
size_t recording_file_count(const struct recording *recording);

/* Looks the formats up. RC_FATAL: one is not in the configuration. */
enum rc recording_formats(
	struct recording *recording, const struct config *config, struct err *err) MUST_CHECK;

/* Reads marks, one JSON object a line. */
enum rc recording_marks(struct recording *recording, const char *path, struct err *err) MUST_CHECK;

struct recorded {
	struct view line,
		tag;       /* tag: of the file, for recording_format(); valid until the next call */
	int32_t partition; /* by murmur2 of the model, as a producer keyed by model would choose */
};
/* The next event in the merged order; RC_NONE: the end. */
enum rc recording_next(struct recording *recording, int32_t partition_count,
	struct recorded *recorded, struct err *err) MUST_CHECK;
const struct format *recording_format(const struct recording *recording, struct view tag);

/* The next mark of this partition at or before this offset; false: none. With one partition all
 * marks are its. */
bool recording_next_mark(
	struct recording *recording, int32_t partition, int64_t offset, struct mark *mark);

double recording_progress(const struct recording *recording); /* 0 to 1; -1 unknown */

#endif
