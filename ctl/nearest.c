/* ctl/nearest.c: "did you mean": the name with the fewest changed letters. */
#include "ctl/commands.h"

#include <stddef.h>
#include <string.h>

enum { NAME_MAX_SIZE = 32, DISTANCE_MAX = 2 };

/* Levenshtein's: letters to insert, drop or change; two neighbours that swapped places count two.
 */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_SIZE + 1], size = strlen(b);

	for (size_t k = 0; k <= size; k++)
		row[k] = k;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t k = 1; k <= size; k++) {
			size_t change = diagonal + (a[i] != b[k - 1]);
			size_t least = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;

			diagonal = row[k];
			row[k] = change < least ? change : least;
		}
	}
	return row[size];
}

const char *nearest_name(const char *name, const char *const names[])
{
	const char *nearest = NULL;
	size_t least = DISTANCE_MAX + 1;

	if (strlen(name) > NAME_MAX_SIZE)
		return NULL;
	for (size_t i = 0; names[i]; i++) {
		size_t found = distance(name, names[i]);

		if (found < least && found < strlen(names[i])) {
			least = found;
			nearest = names[i];
		}
	}
	return nearest;
}
