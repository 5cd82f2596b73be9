/* core/map.h: from a key (any bytes) to a pointer that the caller owns.
 * THINKS. Open addressing, grows by doubling. What must come out in an order that does not depend
 * on history goes through map_sorted(). All zero is valid and empty. */
#ifndef CORE_MAP_H
#define CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
	char *key; /* owned by the map, NUL-terminated beyond key_size; NULL = free place */
	size_t key_size;
	uint64_t hash;
	void *value;
};

struct map {
	struct map_entry *entries;
	size_t capacity; /* zero or a power of two */
	size_t count;
};

void map_done(struct map *map); /* frees keys, not values */
/* Ends every value, then the map. */
void map_free_values(struct map *map, void (*done)(void *value));
void *map_get(const struct map *map, const void *key, size_t key_size);       /* NULL: not there */
void map_put(struct map *map, const void *key, size_t key_size, void *value); /* replaces */
void *map_take(struct map *map, const void *key, size_t key_size); /* removes; NULL: not there */

/* The next used entry at or after *place, which then points behind it; NULL at the end. The order
 * is that of the table. map_put and map_take during a walk are forbidden. */
struct map_entry *map_next(const struct map *map, size_t *place);

/* All entries by key (memcmp, shorter first); the array is the caller's, ended with free(). map_put
 * and map_take move entries: after one, none of the array may be looked at. */
struct map_entry **map_sorted(const struct map *map);

#endif
