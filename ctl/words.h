/* ctl/words.h: times and durations for people, both ways. */
#ifndef CTL_WORDS_H
#define CTL_WORDS_H

#include "core/bytes.h"

/* "2026-11-01T11:00:00+01:00": RFC 3339 in local time, seconds. Appended. */
void words_time(int64_t ms, struct bytes *out);
/* "250 ms", "3 s", "2 min 10 s", "4 h 5 min", "3 days 4 h". Appended. */
void words_duration(int64_t ms, struct bytes *out);
/* Text from outside: control characters and what is no UTF-8 become \xNN, so that no terminal obeys
 * them. */
void words_text(struct view text, struct bytes *out);

/* Unix milliseconds, RFC 3339, "now", or a duration such as "15m" (s, m, h, d): so long before now.
 */
bool words_parse_time(const char *text, int64_t now_ms, int64_t *ms);
/* "30", "30s", "5m", "250ms", "1h", "7d"; a bare number is seconds. */
bool words_parse_duration(const char *text, int64_t *ms);

#endif
