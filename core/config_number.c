/* core/config_number.c: numbers of the configuration: counts, sizes, durations, tolerances. THINKS.
 */
#include "core/config_section.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int64_t ms;
} time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { TIME_UNITS = sizeof time_units / sizeof *time_units };

static const int64_t duration_ms_max = 3650LL * 86400000;

bool parse_whole(const char *text, const char **end, int64_t *number)
{
	int64_t value = 0;
	const char *at = text;

	for (; isdigit((unsigned char)*at); at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *at - '0', &value))
			return false;
	*end = at;
	*number = value;
	return at > text;
}

static bool parse_integer(const struct key *key, const char *text, void *item)
{
	const char *end;
	int64_t number;

	if (!parse_whole(text, &end, &number) || *end || number < key->low || number > key->high)
		return false;
	*(int64_t *)place_of(key, item) = number;
	return true;
}

static void expect_integer(const struct key *key, struct bytes *out)
{
	bytes_format(
		out, "a whole number from %lld to %lld", (long long)key->low, (long long)key->high);
}

const struct type type_integer = {.read = scalar_read,
	.parse = parse_integer,
	.expect = expect_integer,
	.fill = scalar_fill,
	.plain = true};

static bool parse_int(const struct key *key, const char *text, void *item)
{
	struct key wide = *key;
	int64_t number;

	wide.offset = 0;
	if (!parse_integer(&wide, text, &number))
		return false;
	*(int *)place_of(key, item) = (int)number;
	return true;
}

const struct type type_int = {.read = scalar_read,
	.parse = parse_int,
	.expect = expect_integer,
	.fill = scalar_fill,
	.plain = true};

static void format_size(int64_t size, struct bytes *out)
{
	if (size % (1 << 20) == 0)
		bytes_format(out, "%lldMiB", (long long)(size >> 20));
	else if (size % (1 << 10) == 0)
		bytes_format(out, "%lldKiB", (long long)(size >> 10));
	else
		bytes_format(out, "%lld", (long long)size);
}

static bool parse_size(const struct key *key, const char *text, void *item)
{
	const char *end;
	int64_t number, unit = 1;

	if (!parse_whole(text, &end, &number))
		return false;
	end += *end == ' ';
	if (strcmp(end, "KiB") == 0)
		unit = 1 << 10;
	else if (strcmp(end, "MiB") == 0)
		unit = 1 << 20;
	else if (*end)
		return false;
	if (number > key->high / unit || number * unit < key->low)
		return false;
	*(int64_t *)place_of(key, item) = number * unit;
	return true;
}

static void expect_size(const struct key *key, struct bytes *out)
{
	bytes_text(out, "bytes from ");
	format_size(key->low, out);
	bytes_text(out, " to ");
	format_size(key->high, out);
}

const struct type type_size = {
	.read = scalar_read, .parse = parse_size, .expect = expect_size, .fill = scalar_fill};

/* Numbers with units, the larger unit first, each once: 1h30m. */
bool parse_duration(const char *text, int64_t *duration_ms)
{
	int64_t sum = 0;
	size_t unit = 0;

	if (!*text)
		return false;
	while (*text) {
		int64_t number;
		size_t size;

		if (!parse_whole(text, &text, &number))
			return false;
		size = strspn(text, "dhms");
		while (unit < TIME_UNITS &&
			(strlen(time_units[unit].name) != size ||
				strncmp(time_units[unit].name, text, size) != 0))
			unit++;
		if (unit == TIME_UNITS || number > duration_ms_max / time_units[unit].ms)
			return false;
		sum += number * time_units[unit++].ms;
		text += size;
	}
	if (sum > duration_ms_max)
		return false;
	*duration_ms = sum;
	return true;
}

void format_duration(int64_t duration_ms, struct bytes *out)
{
	if (!duration_ms)
		bytes_text(out, "0s");
	for (size_t i = 0; i < TIME_UNITS; i++) {
		if (duration_ms >= time_units[i].ms)
			bytes_format(out, "%lld%s", (long long)(duration_ms / time_units[i].ms),
				time_units[i].name);
		duration_ms %= time_units[i].ms;
	}
}

static bool parse_duration_key(const struct key *key, const char *text, void *item)
{
	int64_t duration_ms;

	if (!parse_duration(text, &duration_ms) || duration_ms < key->low ||
		duration_ms > key->high)
		return false;
	*(int64_t *)place_of(key, item) = duration_ms;
	return true;
}

static void expect_duration(const struct key *key, struct bytes *out)
{
	bytes_text(out, "a duration from ");
	format_duration(key->low, out);
	bytes_text(out, " to ");
	format_duration(key->high, out);
}

const struct type type_duration = {.read = scalar_read,
	.parse = parse_duration_key,
	.expect = expect_duration,
	.fill = scalar_fill};

static bool parse_duration_or_off(const struct key *key, const char *text, void *item)
{
	if (strcmp(text, "off") != 0)
		return parse_duration_key(key, text, item);
	*(int64_t *)place_of(key, item) = -1;
	return true;
}

static void expect_duration_or_off(const struct key *key, struct bytes *out)
{
	expect_duration(key, out);
	bytes_text(out, ", or off");
}

const struct type type_duration_or_off = {.read = scalar_read,
	.parse = parse_duration_or_off,
	.expect = expect_duration_or_off,
	.fill = scalar_fill};

bool parse_number(const char *text, const char **end, double *number)
{
	size_t whole = strspn(text, "0123456789");
	size_t part = text[whole] == '.' ? 1 + strspn(text + whole + 1, "0123456789") : 0;

	if (!whole || part == 1 || whole + part > 30)
		return false;
	*number = strtod(text, NULL);
	*end = text + whole + part;
	return true;
}

/* (100 + p) / 100 and not 1 + p / 100: rounded once, so that 5% is exactly the double 1.05. */
static bool parse_ratio(const struct key *key, const char *text, void *item)
{
	const char *end;
	double ratio;

	if (*text == 'x') {
		if (!parse_number(text + 1, &end, &ratio) || *end)
			return false;
	} else {
		if (!parse_number(text, &end, &ratio) || strcmp(end, "%") != 0)
			return false;
		ratio = (100 + ratio) / 100;
	}
	if (ratio <= 1 || ratio > 100)
		return false;
	*(double *)place_of(key, item) = ratio;
	return true;
}

static void expect_ratio(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a ratio such as 5% or x1.5, above 0% and up to x100");
}

const struct type type_ratio = {
	.read = scalar_read, .parse = parse_ratio, .expect = expect_ratio, .fill = scalar_fill};

static bool parse_deviations(const struct key *key, const char *text, void *item)
{
	const char *end;
	double number;

	if (!parse_number(text, &end, &number) || strcmp(end, "sd") != 0 || number <= 0 ||
		number > 100)
		return false;
	*(double *)place_of(key, item) = number;
	return true;
}

static void expect_deviations(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "standard deviations such as 0.05sd, above 0sd and up to 100sd");
}

const struct type type_deviations = {.read = scalar_read,
	.parse = parse_deviations,
	.expect = expect_deviations,
	.fill = scalar_fill};

static bool parse_share(const struct key *key, const char *text, void *item)
{
	const char *end;
	double number;

	if (!parse_number(text, &end, &number))
		return false;
	if (strcmp(end, "%") == 0)
		number /= 100;
	else if (*end)
		return false;
	if (number <= 0 || number > (double)key->high)
		return false;
	*(double *)place_of(key, item) = number;
	return true;
}

static void expect_share(const struct key *key, struct bytes *out)
{
	bytes_format(
		out, "a share such as 0.01 or 1%%, above 0 and up to %lld", (long long)key->high);
}

const struct type type_share = {
	.read = scalar_read, .parse = parse_share, .expect = expect_share, .fill = scalar_fill};
