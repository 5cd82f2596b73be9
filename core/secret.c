#include "core/secret.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

struct secret {
	size_t size;
	char *data;
};

struct secret *secret_new(const void *data, size_t size)
{
	const char *text = data;
	struct secret *secret = memory_new(1, sizeof *secret);

	while (size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
		size--;
	secret->size = size;
	secret->data = memory_copy(data, size);
	return secret;
}

struct secret *secret_copy(const struct secret *secret)
{
	return secret ? secret_new(secret->data, secret->size) : NULL;
}

void secret_free(struct secret *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret->data, secret->size);
	free(secret->data);
	free(secret);
}

struct view secret_reveal(const struct secret *secret)
{
	return (struct view){.data = secret->data, .size = secret->size};
}
