#include "core/window.h"

#include "core/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char other_name[] = "__other__";

int series_compare(const struct series *a, const struct series *b)
{
	int order = strcmp(a->model, b->model);

	if (!order)
		order = strcmp(a->segment, b->segment);
	if (!order)
		order = strcmp(a->signal, b->signal);
	if (!order)
		order = strcmp(a->role, b->role);
	return order ? order : strcmp(a->version, b->version);
}

void series_key(const struct series *series, struct bytes *key)
{
	const char *const parts[] = {
		series->model, series->segment, series->signal, series->role, series->version};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		bytes_add(key, parts[i], strlen(parts[i]) + 1);
}

/* value is exactly m * 2^e with |m| < 2^53, so value * 10^6 is m * 10^6 * 2^e: 73 bits and a shift,
 * which is rounded half to even without any rounding before. */
millionths millionths_of(double value)
{
	int exponent;
	double mantissa = ldexp(frexp(fabs(value), &exponent), 53);
	unsigned __int128 scaled = (unsigned __int128)(uint64_t)mantissa * 1000000;
	int shift = 53 - exponent; /* at least 13: |value| <= 1e12 < 2^40 */

	if (value == 0 || shift > 100)
		return 0;
	unsigned __int128 one = (unsigned __int128)1 << shift;
	unsigned __int128 whole = scaled >> shift;
	unsigned __int128 rest = scaled & (one - 1);

	if (rest > one / 2 || (rest == one / 2 && (whole & 1)))
		whole++;
	return value < 0 ? -(millionths)whole : (millionths)whole;
}

double millionths_value(millionths sum)
{
	return (double)sum / 1e6;
}

void millionths_text(millionths sum, char text[48])
{
	unsigned __int128 rest = sum < 0 ? 0 - (unsigned __int128)sum : (unsigned __int128)sum;
	bool fraction = false;
	char reversed[48];
	size_t used = 0;
	size_t out = 0;

	for (int digit = 0; digit <= 6 || rest; digit++, rest /= 10) {
		char c = (char)('0' + (int)(rest % 10));

		if (digit == 6 && fraction)
			reversed[used++] = '.';
		fraction |= digit < 6 && c != '0';
		if (digit >= 6 || fraction)
			reversed[used++] = c;
	}
	if (sum < 0)
		text[out++] = '-';
	while (used)
		text[out++] = reversed[--used];
	text[out] = '\0';
}

void window_done(struct window *window)
{
	for (size_t i = 0; i < window->name_count; i++)
		free(window->names[i]);
	free(window->names);
	free(window->bins);
	window->names = NULL;
	window->bins = NULL;
	window->name_count = window->bin_count = window->bin_capacity = 0;
}

/* The first place whose bin is not below this one. */
static size_t place_of(const struct window *window, int32_t bin)
{
	size_t low = 0;
	size_t high = window->bin_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (window->bins[middle].bin < bin)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void window_count(struct window *window, int32_t bin, uint64_t times)
{
	size_t place = place_of(window, bin);

	window->n += times;
	if (window->layout == LAYOUT_COUNT || !times)
		return;
	if (place < window->bin_count && window->bins[place].bin == bin) {
		window->bins[place].count += times;
		return;
	}
	if (window->bin_count == window->bin_capacity) {
		window->bin_capacity = window->bin_capacity ? window->bin_capacity * 2 : 8;
		window->bins =
			memory_grow(window->bins, window->bin_capacity, sizeof *window->bins);
	}
	memmove(window->bins + place + 1, window->bins + place,
		(window->bin_count - place) * sizeof *window->bins);
	window->bins[place] = (struct bin){.bin = bin, .count = times};
	window->bin_count++;
}

static bool find_name(const struct window *window, struct view name, size_t *place)
{
	for (size_t i = 0; i < window->name_count; i++) {
		if (strncmp(window->names[i], name.data, name.size) == 0 &&
			!window->names[i][name.size]) {
			*place = i;
			return true;
		}
	}
	return false;
}

void window_count_name(struct window *window, struct view name, uint64_t times, size_t names_max)
{
	size_t place;

	if (!find_name(window, name, &place) && window->name_count >= names_max)
		name = view_of(other_name);
	if (!find_name(window, name, &place)) {
		place = window->name_count++;
		window->names =
			memory_grow(window->names, window->name_count, sizeof *window->names);
		window->names[place] = memory_copy(name.data, name.size);
	}
	window_count(window, (int32_t)place, times);
}

void window_merge(struct window *window, const struct window *other, size_t names_max)
{
	window->sum += other->sum;
	if (window->layout == LAYOUT_COUNT) {
		window->n += other->n;
		return;
	}
	for (size_t i = 0; i < other->bin_count; i++) {
		const struct bin *bin = &other->bins[i];

		if (window->layout == LAYOUT_NAMES)
			window_count_name(
				window, view_of(other->names[bin->bin]), bin->count, names_max);
		else
			window_count(window, bin->bin, bin->count);
	}
}
