/* core/secret.h: a secret: a type that no format can print and no record can carry.
 * THINKS. Only secret_reveal() gives the bytes out; its callers are the doors that need them. */
#ifndef CORE_SECRET_H
#define CORE_SECRET_H

#include "core/bytes.h"

struct secret; /* opaque on purpose */

struct secret *secret_new(const void *data, size_t size); /* trailing newlines are cut off */
struct secret *secret_copy(const struct secret *secret);  /* NULL gives NULL */
void secret_free(struct secret *secret);                  /* wiped first; NULL is fine */
struct view secret_reveal(const struct secret *secret);   /* valid until secret_free() */

#endif
