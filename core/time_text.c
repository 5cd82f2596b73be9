#include "core/time_text.h"

#include <stdio.h>

enum { DAY_MS = 86400000, YEAR_MAX = 9999 };

/* Days since 1970-01-01 of a date of the Gregorian calendar (H. Hinnant, "chrono-compatible
 * low-level date algorithms"; years begin in March there, so that the leap day is the last one). */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = y / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = z / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;

	*day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = (int)(year_of_era + era * 400) + (*month <= 2);
}

static int days_in(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Exactly so many digits of a value between low and high. */
static bool take(struct view *text, size_t digits, int low, int high, int *value)
{
	*value = 0;
	if (text->size < digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (text->data[i] < '0' || text->data[i] > '9')
			return false;
		*value = *value * 10 + (text->data[i] - '0');
	}
	text->data += digits;
	text->size -= digits;
	return *value >= low && *value <= high;
}

static bool take_any(struct view *text, const char *characters)
{
	for (; text->size && *characters; characters++) {
		if (text->data[0] == *characters) {
			text->data++;
			text->size--;
			return true;
		}
	}
	return false;
}

static bool take_fraction(struct view *text, int *ms)
{
	int scale = 100;

	*ms = 0;
	if (!take_any(text, "."))
		return true;
	if (!text->size || text->data[0] < '0' || text->data[0] > '9')
		return false;
	for (; text->size && text->data[0] >= '0' && text->data[0] <= '9'; scale /= 10) {
		*ms += (text->data[0] - '0') * scale;
		text->data++;
		text->size--;
	}
	return true;
}

static bool take_offset(struct view *text, int *minutes)
{
	bool west = text->size && text->data[0] == '-';
	int hours;

	*minutes = 0;
	if (take_any(text, "Zz"))
		return true;
	if (!take_any(text, "+-") || !take(text, 2, 0, 23, &hours) || !take_any(text, ":") ||
		!take(text, 2, 0, 59, minutes))
		return false;
	*minutes += 60 * hours;
	if (west)
		*minutes = -*minutes;
	return true;
}

bool time_text_parse(struct view text, int64_t *ms)
{
	int year, month, day, hour, minute, second, fraction, offset;

	if (!take(&text, 4, 0, YEAR_MAX, &year) || !take_any(&text, "-") ||
		!take(&text, 2, 1, 12, &month) || !take_any(&text, "-") ||
		!take(&text, 2, 1, days_in(year, month), &day) || !take_any(&text, "Tt ") ||
		!take(&text, 2, 0, 23, &hour) || !take_any(&text, ":") ||
		!take(&text, 2, 0, 59, &minute) || !take_any(&text, ":") ||
		!take(&text, 2, 0, 60, &second) || !take_fraction(&text, &fraction) ||
		!take_offset(&text, &offset) || text.size)
		return false;
	int64_t at = days_of(year, month, day) * DAY_MS +
		     ((hour * 60LL + minute - offset) * 60 + second) * 1000 + fraction;

	if (at < 0 || at >= days_of(YEAR_MAX + 1, 1, 1) * DAY_MS)
		return false;
	*ms = at;
	return true;
}

void time_text_print(int64_t ms, char text[TIME_TEXT_SIZE])
{
	int64_t in_day = ms % DAY_MS;
	int year, month, day;

	date_of(ms / DAY_MS, &year, &month, &day);
	snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
		(int)(in_day / 3600000), (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60),
		(int)(in_day % 1000));
}
