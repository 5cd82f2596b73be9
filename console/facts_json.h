/* console/facts_json.h: what lists have to know of a record (finding, alert, action, group of dead
 * letters) to choose and order it; and the JSON of an error. */
#ifndef CONSOLE_FACTS_JSON_H
#define CONSOLE_FACTS_JSON_H

#include "core/window.h"

struct facts {
	char id[64];
	char model[NAME_SIZE]; /* also from an alert's labels */
	char state[32];
	char target[NAME_SIZE];
	int64_t at; /* ms: when it happened, began, or was last seen; by this lists are ordered */
};

/* What a record does not have stays empty. RC_REJECT: no JSON object. */
enum rc facts_from_json(struct view record, struct facts *facts, struct err *err) MUST_CHECK;

void error_to_json(const char *sentence, struct bytes *out);

#endif
