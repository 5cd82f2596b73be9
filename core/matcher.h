/* core/matcher.h: label matchers in Alertmanager's words: name="x", name!="x", name=~"re",
 * name!~"re". THINKS. Regular expressions are POSIX extended, anchored at both ends. A missing
 * label is "". */
#ifndef CORE_MATCHER_H
#define CORE_MATCHER_H

#include "core/err.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

enum matcher_kind { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX };

struct matcher {
	char *name;
	enum matcher_kind kind;
	char *value;
	regex_t regex; /* compiled for the REGEX kinds */
};

/* text: name, operator, value with or without double quotes. RC_REJECT says what is wrong with it.
 */
enum rc matcher_parse(const char *text, struct matcher *matcher, struct err *err) MUST_CHECK;
void matcher_done(struct matcher *matcher);
bool matcher_matches(const struct matcher *matcher, const char *label_value);

/* Shell-like glob of * and ?, whole text. */
bool glob_matches(const char *pattern, const char *text);

#endif
