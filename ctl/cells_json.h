/* ctl/cells_json.h: fields of records as cells of tables, for people. */
#ifndef CTL_CELLS_JSON_H
#define CTL_CELLS_JSON_H

#include "core/bytes.h"
#include "ctl/table.h"

#include <jansson.h>

enum cell {
	CELL_TEXT,   /* texts, numbers, yes and no */
	CELL_TIME,   /* Unix milliseconds as local time */
	CELL_AGO,    /* the same as the duration until now, in whole seconds */
	CELL_EFFECT, /* "p99 ratio 1.31 [1.18, 1.47]" */
	CELL_LASTED, /* of an alert, from its start to its end or now */
	CELL_MEAN,   /* of a window */
	CELL_NAMES,  /* of a window: its bins that have names, "ok 511, failed 12" */
	CELL_SIDES,  /* of a verdict: what was counted on both sides, "498/5210" */
	CELL_LOG_E,  /* of a verdict: "14.2/24.2", how far of the line */
};

struct column { /* of an array that a column without heading ends */
	const char *heading;
	const char *field; /* "labels.model": one level down */
	enum cell cell;
};

/* An answer of the console. RC_FATAL: it is no JSON. */
enum rc cells_parse(struct view text, json_t **value, struct err *err) MUST_CHECK;

void cells_begin(struct table *table, const struct column *columns);
void cells_row(
	struct table *table, const struct column *columns, const json_t *record, int64_t now_ms);
void cells_add(
	struct table *table, const struct column *column, const json_t *record, int64_t now_ms);

/* Appends one value; nothing for null, what is missing, and what has parts. */
void cell_value(const json_t *value, struct bytes *out);
void cell_time(const json_t *value, struct bytes *out);

#endif
