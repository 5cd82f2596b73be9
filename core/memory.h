/* core/memory.h: memory or the end of the process.
 * Every service is crash-only: a step has happened or it has not, so an allocation that fails
 * ends the process with one line on stderr and exit status 1, and the supervisor starts it again.
 * Sizes that an outsider can grow are checked against a limit before they come here. */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <stddef.h>

/* Zeroed memory for count items of size bytes; ended with free(). Never NULL. */
void *memory_new(size_t count, size_t size) __attribute__((returns_nonnull, malloc));

/* The array grown (or shrunk) to count items; the old pointer is dead. New items are not zeroed. */
void *memory_grow(void *array, size_t count, size_t size) __attribute__((returns_nonnull));

/* A copy of size bytes with a NUL behind it; ended with free(). */
char *memory_copy(const void *data, size_t size) __attribute__((returns_nonnull, malloc));

/* A copy of a text; ended with free(). */
char *memory_text(const char *text) __attribute__((returns_nonnull, malloc));

/* size bytes, not zeroed, for libraries that can be given an allocator; ended with free(). */
void *memory_raw(size_t size) __attribute__((returns_nonnull, malloc));

/* The end itself, where a library says that it had no memory: what it leaves behind then (half a
 * record, a request without a header, a mistake in a configuration that has none) is not used. */
_Noreturn void memory_exhausted(void);

#endif
