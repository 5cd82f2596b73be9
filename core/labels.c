#include "core/labels.h"

#include "core/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t place_of(const struct labels *labels, const char *name, bool *found)
{
	for (size_t i = 0; i < labels->count; i++) {
		int order = strcmp(labels->list[i].name, name);

		if (order >= 0) {
			*found = order == 0;
			return i;
		}
	}
	*found = false;
	return labels->count;
}

static void label_done(struct label *label)
{
	free(label->name);
	free(label->value);
}

static void insert(struct labels *labels, size_t place, const char *name, const char *value)
{
	labels->list = memory_grow(labels->list, labels->count + 1, sizeof *labels->list);
	memmove(&labels->list[place + 1], &labels->list[place],
		(labels->count - place) * sizeof *labels->list);
	labels->list[place] =
		(struct label){.name = memory_text(name), .value = memory_text(value)};
	labels->count++;
}

static void take_out(struct labels *labels, size_t place)
{
	label_done(&labels->list[place]);
	labels->count--;
	memmove(&labels->list[place], &labels->list[place + 1],
		(labels->count - place) * sizeof *labels->list);
}

void labels_set(struct labels *labels, const char *name, const char *value)
{
	bool found;
	size_t place = place_of(labels, name, &found);

	if (found)
		take_out(labels, place);
	if (*value)
		insert(labels, place, name, value);
}

const char *labels_get(const struct labels *labels, const char *name)
{
	bool found;
	size_t place = place_of(labels, name, &found);

	return found ? labels->list[place].value : "";
}

void labels_copy(struct labels *to, const struct labels *from)
{
	struct labels copy = {0};

	for (size_t i = 0; i < from->count; i++)
		labels_set(&copy, from->list[i].name, from->list[i].value);
	labels_done(to);
	*to = copy;
}

void labels_done(struct labels *labels)
{
	for (size_t i = 0; i < labels->count; i++)
		label_done(&labels->list[i]);
	free(labels->list);
	*labels = (struct labels){0};
}

static uint64_t fnv1a(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	return (hash ^ 0xff) * 1099511628211ULL;
}

void labels_fingerprint(const struct labels *labels, char text[17])
{
	uint64_t hash = 14695981039346656037ULL;

	for (size_t i = 0; i < labels->count; i++) {
		hash = fnv1a(hash, labels->list[i].name);
		hash = fnv1a(hash, labels->list[i].value);
	}
	snprintf(text, 17, "%016llx", (unsigned long long)hash);
}
