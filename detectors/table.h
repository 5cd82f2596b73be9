/* detectors/table.h: the detectors, one row per (signal, against). A new one is a file and a row.
 * THINKS. */
#ifndef DETECTORS_TABLE_H
#define DETECTORS_TABLE_H

#include "detectors/comparison.h"

extern const struct detector *const detector_table[];
extern const size_t detector_count;

const struct detector *detector_named(const char *name, const char *signal); /* NULL: none */
bool detector_judges_silence(const struct detector *detector);

/* Their rows. */
extern const struct detector arms_latency, arms_errors, arms_score, arms_class;
extern const struct detector cuts_latency, bernoulli_errors, counts_rate_detector, silence_rate;

/* silence.c: the one detector that time drives, not data. */

/* When it will be an alarm unless events come, on the grid of ticks; INT64_MAX: never. */
int64_t silence_due(const struct comparison *comparison, const struct terms *terms);
/* It is due: the verdict becomes alarm, at that time. */
void silence_fall(struct comparison *comparison, const struct terms *terms, int64_t due_ms);
/* Until this moment nothing is known of it: no reason to call it silent. */
void silence_excuse(struct comparison *comparison, int64_t until_ms);
/* A tick with a sign of life. */
void silence_seen(struct comparison *comparison, const struct terms *terms, uint64_t events);

#endif
