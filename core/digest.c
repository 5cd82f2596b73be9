#include "core/digest.h"

#include "core/memory.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libcrypto forgets to look at some of its allocations, and can wait for itself for ever when
 * another fails. Before main(): it takes an allocator only before its first use. */
static void *crypto_new(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return memory_raw(size);
}

static void *crypto_grow(void *memory, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	if (size)
		return memory_grow(memory, size, 1);
	free(memory);
	return NULL;
}

static void crypto_free(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	free(memory);
}

static __attribute__((constructor)) void use_our_memory(void)
{
	CRYPTO_set_mem_functions(crypto_new, crypto_grow, crypto_free);
}

void digest_sha256(struct view data, unsigned char digest[DIGEST_SIZE])
{
	unsigned size = 0;
	int done = EVP_Digest(data.data, data.size, digest, &size, EVP_sha256(), NULL);

	assert(done == 1 && size == DIGEST_SIZE);
}

static void to_hex(const unsigned char *bytes, size_t count, char *hex)
{
	for (size_t i = 0; i < count; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

void digest_sha256_hex(struct view data, char hex[DIGEST_HEX_SIZE])
{
	unsigned char digest[DIGEST_SIZE];

	digest_sha256(data, digest);
	to_hex(digest, DIGEST_SIZE, hex);
}

void digest_hmac(struct view key, struct view data, unsigned char digest[DIGEST_SIZE])
{
	unsigned size = 0;
	unsigned char *done = HMAC(EVP_sha256(), key.data, (int)key.size,
		(const unsigned char *)data.data, data.size, digest, &size);

	assert(done && size == DIGEST_SIZE);
}

void digest_id(char id[ID_SIZE], char prefix, const char *const parts[])
{
	CLEANUP(bytes_done) struct bytes all = {0};
	unsigned char digest[DIGEST_SIZE];

	for (size_t i = 0; parts[i]; i++)
		bytes_sized(&all, parts[i], strlen(parts[i]));
	digest_sha256((struct view){all.data, all.size}, digest);
	id[0] = prefix;
	id[1] = '-';
	to_hex(digest, 16, id + 2);
}

void base64_encode(struct view data, struct bytes *out)
{
	size_t room = 4 * ((data.size + 2) / 3) + 1;
	char *text = memory_new(room, 1);
	int length = EVP_EncodeBlock(
		(unsigned char *)text, (const unsigned char *)data.data, (int)data.size);

	bytes_add(out, text, (size_t)length);
	free(text);
}

bool base64_decode(struct view text, struct bytes *out)
{
	size_t padding = 0;

	if (text.size % 4)
		return false;
	while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
		padding++;
	unsigned char *bytes = memory_new(text.size / 4 * 3 + 1, 1);
	int length = EVP_DecodeBlock(bytes, (const unsigned char *)text.data, (int)text.size);
	bool good = length >= (int)padding;

	if (good)
		bytes_add(out, bytes, (size_t)length - padding);
	free(bytes);
	return good;
}
