#include "ctl/words.h"

#include "core/json_tree.h"
#include "core/time_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void words_time(int64_t ms, struct bytes *out)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	char text[40];

	localtime_r(&seconds, &parts);
	size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &parts);

	if (size < 5)
		return;
	bytes_add(out, text, size - 2); /* RFC 3339 has a colon in the offset */
	bytes_format(out, ":%s", text + size - 2);
}

void words_duration(int64_t ms, struct bytes *out)
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		bytes_format(out, "%" PRId64 " ms", ms);
	else if (s < 60)
		bytes_format(out, "%" PRId64 " s", s);
	else if (s < 3600)
		bytes_format(out, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	else if (s < 86400)
		bytes_format(out, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	else
		bytes_format(out, "%" PRId64 " %s %" PRId64 " h", s / 86400,
			s < 172800 ? "day" : "days", s / 3600 % 24);
}

void words_text(struct view text, struct bytes *out)
{
	for (size_t i = 0; i < text.size;) {
		const unsigned char *at = (const unsigned char *)text.data + i;
		size_t size = utf8_length((struct view){text.data + i, text.size - i});
		/* U+0080 to U+009F are control characters as well. */
		bool control = at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);

		if (!size || control) {
			bytes_format(out, "\\x%02x", at[0]);
			i++;
		} else {
			bytes_add(out, at, size);
			i += size;
		}
	}
}

static bool parse_number(const char *text, int64_t most, int64_t *number, const char **rest)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	long long found = strtoll(text, &end, 10);

	if (errno || found > most)
		return false;
	*number = found;
	*rest = end;
	return true;
}

bool words_parse_duration(const char *text, int64_t *ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {
		{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	const char *unit;
	int64_t number;

	if (!parse_number(text, INT64_C(1) << 36, &number, &unit))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strcmp(unit, units[i].name) == 0) {
			*ms = number * units[i].ms;
			return true;
		}
	}
	return false;
}

bool words_parse_time(const char *text, int64_t now_ms, int64_t *ms)
{
	const char *rest;
	int64_t number, ago;

	if (strcmp(text, "now") == 0) {
		*ms = now_ms;
		return true;
	}
	if (parse_number(text, INT64_C(1) << 52, &number, &rest) && !*rest) {
		*ms = number;
		return true;
	}
	if (words_parse_duration(text, &ago) && ago <= now_ms) {
		*ms = now_ms - ago;
		return true;
	}
	return time_text_parse(view_of(text), ms);
}
