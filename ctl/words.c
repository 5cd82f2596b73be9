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
	static const struct {
		int64_t ms;
		const char *one, *many;
	} units[] = {{86400000, "day", "days"}, {3600000, "h", "h"}, {60000, "min", "min"},
		{1000, "s", "s"}, {1, "ms", "ms"}};
	size_t i = 0;

	while (i < 4 && ms < units[i].ms)
		i++;
	int64_t whole = ms / units[i].ms;

	bytes_format(out, "%" PRId64 " %s", whole, whole == 1 ? units[i].one : units[i].many);
	if (i >= 3) /* parts of seconds interest nobody */
		return;
	int64_t rest = ms % units[i].ms / units[i + 1].ms;

	if (rest)
		bytes_format(out, " %" PRId64 " %s", rest, units[i + 1].many);
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
