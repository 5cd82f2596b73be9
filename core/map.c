#include "core/map.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bit (Fowler, Noll, Vo), with a final mix so that the low bits are good. */
static uint64_t hash_of(const void *key, size_t size)
{
	const unsigned char *bytes = key;
	uint64_t hash = 14695981039346656037ULL;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 1099511628211ULL;
	return hash ^ (hash >> 29);
}

static struct map_entry *place_of(
	const struct map *map, const void *key, size_t size, uint64_t hash)
{
	for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
		struct map_entry *entry = &map->entries[i];

		if (!entry->key)
			return entry;
		if (entry->hash == hash && entry->key_size == size &&
			memcmp(entry->key, key, size) == 0)
			return entry;
	}
}

static void grow(struct map *map)
{
	struct map old = *map;

	map->capacity = old.capacity ? old.capacity * 2 : 16;
	map->entries = memory_new(map->capacity, sizeof *map->entries);
	for (size_t i = 0; i < old.capacity; i++) {
		struct map_entry *entry = &old.entries[i];

		if (entry->key)
			*place_of(map, entry->key, entry->key_size, entry->hash) = *entry;
	}
	free(old.entries);
}

void map_done(struct map *map)
{
	for (size_t i = 0; i < map->capacity; i++)
		free(map->entries[i].key);
	free(map->entries);
	*map = (struct map){0};
}

void map_free_values(struct map *map, void (*done)(void *value))
{
	for (size_t i = 0; i < map->capacity; i++)
		if (map->entries[i].key)
			done(map->entries[i].value);
	map_done(map);
}

void *map_get(const struct map *map, const void *key, size_t key_size)
{
	if (!map->count)
		return NULL;
	const struct map_entry *entry = place_of(map, key, key_size, hash_of(key, key_size));

	return entry->key ? entry->value : NULL;
}

void map_put(struct map *map, const void *key, size_t key_size, void *value)
{
	if ((map->count + 1) * 4 > map->capacity * 3)
		grow(map);
	uint64_t hash = hash_of(key, key_size);
	struct map_entry *entry = place_of(map, key, key_size, hash);

	if (!entry->key) {
		entry->key = memory_copy(key, key_size);
		entry->key_size = key_size;
		entry->hash = hash;
		map->count++;
	}
	entry->value = value;
}

/* Entries behind a hole move up, so that a search never stops too early (Knuth, vol. 3, 6.4 R). */
static void close_hole(struct map *map, size_t hole)
{
	size_t mask = map->capacity - 1;

	for (size_t i = (hole + 1) & mask; map->entries[i].key; i = (i + 1) & mask) {
		size_t home = map->entries[i].hash & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->entries[hole] = map->entries[i];
		map->entries[i] = (struct map_entry){0};
		hole = i;
	}
}

void *map_take(struct map *map, const void *key, size_t key_size)
{
	if (!map->count)
		return NULL;
	struct map_entry *entry = place_of(map, key, key_size, hash_of(key, key_size));

	if (!entry->key)
		return NULL;
	void *value = entry->value;

	free(entry->key);
	*entry = (struct map_entry){0};
	map->count--;
	close_hole(map, (size_t)(entry - map->entries));
	return value;
}

struct map_entry *map_next(const struct map *map, size_t *place)
{
	while (*place < map->capacity) {
		struct map_entry *entry = &map->entries[(*place)++];

		if (entry->key)
			return entry;
	}
	return NULL;
}

static int by_key(const void *left, const void *right)
{
	const struct map_entry *a = *(struct map_entry *const *)left;
	const struct map_entry *b = *(struct map_entry *const *)right;
	size_t shorter = a->key_size < b->key_size ? a->key_size : b->key_size;
	int order = memcmp(a->key, b->key, shorter);

	if (order)
		return order;
	return (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

struct map_entry **map_sorted(const struct map *map)
{
	struct map_entry **sorted = memory_new(map->count + 1, sizeof(struct map_entry *));
	size_t place = 0;
	size_t count = 0;
	struct map_entry *entry;

	while ((entry = map_next(map, &place)))
		sorted[count++] = entry;
	qsort(sorted, count, sizeof(struct map_entry *), by_key);
	return sorted;
}
