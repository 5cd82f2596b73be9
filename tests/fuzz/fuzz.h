/* tests/fuzz/fuzz.h: what every fuzz target needs. A target is one file: libFuzzer calls
 * LLVMFuzzerTestOneInput() with bytes of its making, and so does play.c with those of files. What
 * must hold is claimed with CLAIM(): a false one ends the process, like a crash. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "core/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static inline struct view input_view(const uint8_t *data, size_t size)
{
	return (struct view){(const char *)data, size};
}

/* Takes the next line (without its newline) off *rest. False: nothing is left. The bytes of a line
 * are followed by others, so that a target which cares for overruns copies them. */
static inline bool input_line(struct view *rest, struct view *line)
{
	if (!rest->size)
		return false;
	const char *end = memchr(rest->data, '\n', rest->size);
	size_t size = end ? (size_t)(end - rest->data) : rest->size;

	*line = (struct view){rest->data, size};
	size += end != NULL;
	*rest = (struct view){rest->data + size, rest->size - size};
	return true;
}

static inline bool views_equal(struct view a, struct view b)
{
	return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

#endif
