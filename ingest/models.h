/* ingest/models.h: the models that a partition knows: their versions, segments, arms, and what is
 * open of them. THINKS. Who is admitted depends on the log and the state alone, so that reading it
 * again decides the same. Part of the fold of ingest/step.h. */
#ifndef INGEST_MODELS_H
#define INGEST_MODELS_H

#include "core/change.h"
#include "core/config.h"
#include "core/event.h"
#include "core/map.h"
#include "core/window.h"

enum level { LEVEL_TICK, LEVEL_MINUTE, LEVEL_TEN_MINUTES, LEVELS };
enum signal {
	SIGNAL_LATENCY,
	SIGNAL_ERRORS,
	SIGNAL_RATE,
	SIGNAL_SCORE,
	SIGNAL_CLASS,
	SIGNAL_LATE,
	SIGNALS,
};
extern const char *const signal_names[SIGNALS];

struct open_window; /* ingest/windows.h */

struct cell { /* the open windows of one arm in one span */
	int64_t from_ms;
	struct open_window *windows[SIGNALS];
};
struct cells {
	struct cell *list; /* by from_ms */
	size_t count, capacity;
};

struct span { /* an open tick, minute, ten minutes of a model */
	int64_t from_ms, to_ms;
	struct open_window **windows;
	size_t count, capacity;
};
struct spans {
	struct span *list; /* by from_ms */
	size_t count, capacity;
};

struct version {
	char name[NAME_SIZE];
	char role[NAME_SIZE];
	int64_t last_ts;
	size_t open; /* windows of it, so without rate and late */
};

/* (version, role, segment) of a model. The one without a version is the lane: rate and late go by
 * it. */
struct arm {
	struct series series; /* signal "" */
	struct model *model;
	struct version *version; /* NULL: this is a lane, and no event without a version was one of
				    a version */
	struct arm *lane;        /* itself when its version is "" */
	enum layout score_layout;
	struct cells cells[LEVELS];
};

struct model {
	char name[NAME_SIZE];
	bool configured; /* named by the configuration: always admitted */
	int64_t tick_ms;
	int64_t last_ts;
	struct version **versions;
	size_t version_count;
	char (*segments)[NAME_SIZE];
	size_t segment_count;
	struct arm **arms;
	size_t arm_count;
	struct map arms_by_key; /* role, segment, version */
	struct spans open[LEVELS];
	size_t dirty; /* its place in the list of changed ones, from 1; 0: not changed */
};

struct models { /* all zero but config is valid and empty */
	const struct config *config;
	struct map by_name;
	struct model **list; /* in no order that may show */
	size_t count, capacity;
	size_t unconfigured;
	int64_t no_room_until_ms; /* watermark below which no unconfigured model can make room */
	struct model **changed;
	size_t changed_count, changed_capacity;
};

void models_done(struct models *models);
struct model *models_find(const struct models *models, struct view name);

/* The arm of an event. E_GOOD: admitting model, version and segment where they are new; what had to
 * make room is dropped from the state in change. E_CARD_MODEL, E_CARD_VERSION: nothing has changed.
 * The arm of an event that is not one of a version (labels, heartbeats...) is the lane. */
enum event_code models_admit(struct models *models, const struct event *event, int64_t watermark_ms,
	struct change *change, struct arm **arm);

/* Takes notice of an event of this arm: last seen. */
void models_touch(struct models *models, struct arm *arm, const struct event *event);

/* The arm of a window that comes back from the state. NULL: its model is not known. */
struct arm *models_arm_of(struct models *models, const struct series *series);

/* Records "model:NAME" of table "state": changed ones written; one read back. */
void models_change(struct models *models, struct change *change);
enum rc models_restore(struct models *models, struct view data, struct err *err) MUST_CHECK;

#endif
