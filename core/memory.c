#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one place outside of main() that may end a process: there is nothing left to go on with. */
_Noreturn void memory_exhausted(void)
{
	static const char line[] = "level=error event=out_of_memory action=exit\n";

	if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
		_exit(1);
	_exit(1);
}

void *memory_new(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (!memory)
		memory_exhausted();
	return memory;
}

void *memory_grow(void *array, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		memory_exhausted();
	void *memory = realloc(array, count && size ? count * size : 1);

	if (!memory)
		memory_exhausted();
	return memory;
}

char *memory_copy(const void *data, size_t size)
{
	char *copy = memory_new(size + 1, 1);

	if (size)
		memcpy(copy, data, size);
	return copy;
}

char *memory_text(const char *text)
{
	return memory_copy(text, strlen(text));
}

void *memory_raw(size_t size)
{
	return memory_grow(NULL, size, 1);
}
