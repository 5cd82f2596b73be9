#include "detectors/tally.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

void tally_done(struct tally *tally)
{
	free(tally->bins);
	*tally = (struct tally){0};
}

void tally_clear(struct tally *tally)
{
	tally->count = 0;
	tally->n = 0;
}

void tally_move(struct tally *to, struct tally *from)
{
	tally_done(to);
	*to = *from;
	*from = (struct tally){0};
}

/* The first place whose bin is not below this one. */
static size_t place_of(const struct tally *tally, int32_t bin)
{
	size_t low = 0;
	size_t high = tally->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (tally->bins[middle].bin < bin)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void tally_add(struct tally *tally, int32_t bin, uint64_t times)
{
	size_t place = place_of(tally, bin);

	if (!times)
		return;
	tally->n += times;
	if (place < tally->count && tally->bins[place].bin == bin) {
		tally->bins[place].count += times;
		return;
	}
	if (tally->count == tally->capacity) {
		tally->capacity = tally->capacity ? tally->capacity * 2 : 8;
		tally->bins = memory_grow(tally->bins, tally->capacity, sizeof *tally->bins);
	}
	memmove(tally->bins + place + 1, tally->bins + place,
		(tally->count - place) * sizeof *tally->bins);
	tally->bins[place] = (struct bin){.bin = bin, .count = times};
	tally->count++;
}

void tally_merge(struct tally *tally, const struct tally *other)
{
	for (size_t i = 0; i < other->count; i++)
		tally_add(tally, other->bins[i].bin, other->bins[i].count);
}

void tally_halve(struct tally *tally)
{
	size_t left = 0;

	tally->n = 0;
	for (size_t i = 0; i < tally->count; i++) {
		struct bin half = {.bin = tally->bins[i].bin, .count = tally->bins[i].count / 2};

		if (half.count)
			tally->bins[left++] = half;
		tally->n += half.count;
	}
	tally->count = left;
}

uint64_t tally_of(const struct tally *tally, int32_t bin)
{
	size_t place = place_of(tally, bin);

	return place < tally->count && tally->bins[place].bin == bin ? tally->bins[place].count : 0;
}

uint64_t tally_from(const struct tally *tally, int32_t bin)
{
	uint64_t sum = 0;

	for (size_t i = place_of(tally, bin); i < tally->count; i++)
		sum += tally->bins[i].count;
	return sum;
}

/* Bins as differences from the one before: most are 1. */
void tally_write(const struct tally *tally, struct bytes *out)
{
	int32_t before = 0;

	bytes_varint(out, tally->count);
	for (size_t i = 0; i < tally->count; i++) {
		bytes_zigzag(out, (int64_t)tally->bins[i].bin - before);
		bytes_varint(out, tally->bins[i].count);
		before = tally->bins[i].bin;
	}
}

void tally_read(struct tally *tally, struct reader *in)
{
	uint64_t count = reader_varint(in);
	int64_t bin = 0;

	for (uint64_t i = 0; i < count && in->ok; i++) {
		int64_t step = reader_zigzag(in);
		uint64_t times = reader_varint(in);
		bool far = step < -(int64_t)UINT32_MAX || step > UINT32_MAX;

		bin += far ? 0 : step;
		if (far || bin < INT32_MIN || bin > INT32_MAX || !times)
			in->ok = false;
		else
			tally_add(tally, (int32_t)bin, times);
	}
}

void names_done(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct names){0};
}

static int32_t names_find(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i], name) == 0)
			return (int32_t)i;
	return -1;
}

int32_t names_place(struct names *names, const char *name, size_t max)
{
	int32_t place = names_find(names, name);

	if (place < 0 && names->count >= max) {
		name = "__other__";
		place = names_find(names, name);
	}
	if (place >= 0)
		return place;
	names->list = memory_grow(names->list, names->count + 1, sizeof *names->list);
	names->list[names->count] = memory_text(name);
	return (int32_t)names->count++;
}

void names_write(const struct names *names, struct bytes *out)
{
	bytes_varint(out, names->count);
	for (size_t i = 0; i < names->count; i++)
		bytes_sized(out, names->list[i], strlen(names->list[i]));
}

void names_read(struct names *names, struct reader *in)
{
	uint64_t count = reader_varint(in);

	for (uint64_t i = 0; i < count && in->ok; i++) {
		char name[NAME_SIZE];

		view_copy(reader_sized(in), name, sizeof name);
		if (in->ok)
			names_place(names, name, SIZE_MAX);
	}
}
