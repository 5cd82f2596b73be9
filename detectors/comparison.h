/* detectors/comparison.h: one comparison: what is judged, against what, by which detector; its
 * state and its verdict's life. Detectors are rows of a table (table.h): what differs between them
 * is there, what is the same for all is here and in judge.c. THINKS. */
#ifndef DETECTORS_COMPARISON_H
#define DETECTORS_COMPARISON_H

#include "core/change.h"
#include "core/config.h"
#include "core/finding.h"
#include "core/stats/sr.h"
#include "detectors/measure.h"
#include "detectors/spans.h"

struct detector;

struct comparison {
	const struct detector *detector;
	struct series series; /* of the one that is blamed; version "" where it goes by role */
	char reference_version[NAME_SIZE]; /* of the other role */
	enum layout layout;
	struct names names; /* of classes */

	/* What waits for the next step. */
	struct tally arm, reference;
	int64_t waiting_from_ms; /* start of the first tick that waits */
	uint64_t waiting_ticks;
	int64_t stepped_ms; /* end of the last step; before the first one, start of the first tick
			     */
	int64_t seen_ms;    /* end of the last tick in which the arm had data */

	/* Bets over time; members that went away count in the mean as lost (most >= count). */
	struct sr_member *members;
	size_t member_count, member_most;
	struct spans spans;
	uint64_t steps, n_arm, n_reference;

	/* The verdict's life. */
	enum verdict verdict;
	bool actionable, inherited;
	double log_e;               /* rounded to 1e-6; -INFINITY before the first bet */
	double alarm_log_e;         /* at the alarm, when the process started anew */
	int64_t since_ms;           /* change-point estimate */
	int64_t pinned_ms;          /* alarm, inherited: data from here on say whether it is ok */
	uint64_t steps_pinned;      /* steps since then */
	uint64_t held, held_surely; /* of these the last so many spoke for ok */
	int64_t updated_ms;
	struct measure measure; /* of the last step, for its summary; name NULL: none */

	void *own; /* the detector's; of detector->own_size bytes */

	bool touched; /* in this tick */
	bool dirty;   /* differs from its record */
	bool told;    /* its summary differs from what is stored */
};

/* What a step is judged by. */
struct terms {
	const struct config *config;
	const struct config_model *model;
	double line;
	int64_t from_ms, to_ms; /* the tick */
	struct change *change;  /* findings leave by it */
	uint64_t *findings;     /* and are counted here, by verdict */
};

enum rival { RIVAL_ROLE, RIVAL_HISTORY };

/* One row. All functions are pure in the comparison and the terms. */
struct detector {
	const char *name;   /* "arms" */
	const char *signal; /* "latency" */
	enum rival rival;
	int64_t alarm_ms_max; /* so long in alarm: what is there is the new level; 0 = never */
	size_t own_size;
	void (*own_done)(void *own); /* frees what it points to */
	void (*own_write)(const void *own, struct bytes *out);
	void (*own_read)(void *own, struct reader *in);

	/* Whether what waits is enough for a step. */
	bool (*ready)(const struct comparison *comparison, const struct terms *terms);
	/* Bets with what was known before, then learns, and says how much the reference rests on
	 * (n_reference). What waits then becomes a span. */
	void (*step)(struct comparison *comparison, const struct terms *terms);
	/* Whether there is enough behind it to say ok. */
	bool (*informed)(const struct comparison *comparison);
	/* Whether a sample is enough to say that an alarm has passed. */
	bool (*enough)(const struct comparison *comparison, const struct terms *terms,
		const struct sample *sample);
	/* Effects over a sample: how many. */
	size_t (*measure)(const struct comparison *comparison, const struct terms *terms,
		const struct sample *sample, struct measure *list);
	/* Sizes of both sides, values, and what moved. */
	void (*tell)(const struct comparison *comparison, const struct terms *terms,
		const struct sample *sample, struct evidence *evidence);
	/* Forgets what it learned; a new life on a new level. */
	void (*forget)(struct comparison *comparison);
};

struct comparison *comparison_new(const struct detector *detector, const struct series *series);
void comparison_free(struct comparison *comparison);

/* Orders one that may exist against one that does: segment, signal, detector, role, version. */
int comparison_order(const struct detector *detector, const struct series *series,
	const struct comparison *comparison);

/* "arms|latency|MODEL|SEGMENT|ROLE|VERSION": its key in tables. Appended. */
void comparison_key(const struct comparison *comparison, struct bytes *key);
const char *comparison_against(const struct comparison *comparison);

/* Takes a window of one side in; it waits for the next step. */
void comparison_add(struct comparison *comparison, struct tally *side, const struct window *window,
	const struct terms *terms);

/* The reference is another version from now on: what was learned about the old one goes. An alarm
 * stays one until the new data say otherwise. */
void comparison_refer(struct comparison *comparison, const char *version);

/* The log began anew, and may tell again what it told: evidence goes, what was learned stays. */
void comparison_restart(struct comparison *comparison);

/* Makes count members, all empty, unless it has so many. */
void comparison_bet(struct comparison *comparison, size_t count);

/* Whether both sides have config's min since the last step, or a day has passed and each has any.
 */
bool comparison_has_min(
	const struct comparison *comparison, const struct terms *terms, bool reference);

/* judge.c: the tick is over. Steps when the detector is ready; the verdict moves; what changes to
 * or from alarm becomes a finding. */
void comparison_tick(struct comparison *comparison, const struct terms *terms);

/* It takes the place of one that was superseded: once it is within tolerance, it says so. */
void comparison_inherit(struct comparison *comparison, const struct terms *terms);

/* Ends it: a finding if it was in alarm. replaced_by: the version that serves instead, or "". */
void comparison_supersede(
	struct comparison *comparison, const struct terms *terms, const char *replaced_by);

/* Fills what the comparison knows into a finding of this verdict, and sends it. */
struct finding comparison_finding(
	const struct comparison *comparison, const struct terms *terms, enum verdict verdict);
void finding_send(struct finding *finding, const struct terms *terms);

/* Of detectors that keep a struct counts_rate. */
struct counts_rate;
void rate_write(const struct counts_rate *rate, struct bytes *out);
void rate_read(struct counts_rate *rate, struct reader *in);

/* records.c: its record, and its summary as JSON. */
void comparison_write(const struct comparison *comparison, struct bytes *out);
struct comparison *comparison_read(struct view data); /* NULL: not a record that we know */
void comparison_summary(const struct comparison *comparison, double line, struct bytes *json);

#endif
