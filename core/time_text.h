/* core/time_text.h: moments as texts of RFC 3339, and back.
 * THINKS: no clock, no time zone but the one that a text names, no locale. */
#ifndef CORE_TIME_TEXT_H
#define CORE_TIME_TEXT_H

#include "core/bytes.h"

enum { TIME_TEXT_SIZE = 56 };

/* "2026-11-01T12:00:00.25+02:00" as milliseconds since 1970, digits beyond them cut off. False, and
 * *ms untouched: no moment of RFC 3339 in the years 1970 to 9999. */
bool time_text_parse(struct view text, int64_t *ms);

/* "2026-11-01T10:00:00.250Z". ms: of the years 1970 to 9999. */
void time_text_print(int64_t ms, char text[TIME_TEXT_SIZE]);

#endif
