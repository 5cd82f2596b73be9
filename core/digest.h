/* core/digest.h: hashes of records: deterministic ids, chains, signatures.
 * THINKS; the one user of libcrypto's digests. */
#ifndef CORE_DIGEST_H
#define CORE_DIGEST_H

#include "core/bytes.h"

enum { DIGEST_SIZE = 32, DIGEST_HEX_SIZE = 2 * DIGEST_SIZE + 1, ID_SIZE = 36 };

/* SHA-256 (FIPS 180-4). */
void digest_sha256(struct view data, unsigned char digest[DIGEST_SIZE]);
void digest_sha256_hex(struct view data, char hex[DIGEST_HEX_SIZE]);

/* HMAC-SHA-256 (RFC 2104). */
void digest_hmac(struct view key, struct view data, unsigned char digest[DIGEST_SIZE]);

/* "f-" and 32 hex digits: the first 128 bits of the SHA-256 over the parts, each with its length in
 * front, so that no two lists of parts run together. parts ends with NULL. prefix: one letter. */
void digest_id(char id[ID_SIZE], char prefix, const char *const parts[]);

/* Base64 (RFC 4648, section 4) appended to out; and back: false if text is not base64. */
void base64_encode(struct view data, struct bytes *out);
bool base64_decode(struct view text, struct bytes *out);

#endif
