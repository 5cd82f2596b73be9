/* core/address.h: which IP addresses a request of ours may go to.
 * THINKS. Blocks: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its
 * updates) and the metadata services of the large clouds. */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_TEXT_SIZE = 46 };

struct address {
	int bits;                /* 32: IPv4, 128: IPv6 */
	unsigned char bytes[16]; /* in network order */
};

struct address_block {
	struct address first;
	int prefix; /* so many leading bits are those of first */
};

/* "10.1.2.3" or "fd00::1", in full: decimal or shortened IPv4 is for resolvers, not for
 * configuration. */
enum rc address_parse(const char *text, struct address *address, struct err *err) MUST_CHECK;
void address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* "10.1.0.0/16"; an address alone is a block of one. Bits set behind the prefix are a mistake. */
enum rc address_block_parse(
	const char *text, struct address_block *block, struct err *err) MUST_CHECK;
bool address_in(const struct address *address, const struct address_block *block);

/* Why nothing may be sent to this address ("link-local"), or NULL: it may. Public addresses may be
 * called, private ones (private use, loopback, carrier NAT, unique local) inside a block of
 * allowed, all others never. IPv4 inside IPv6 (mapped, NAT64, 6to4) is judged as the IPv4 that it
 * is. */
const char *address_refused(
	const struct address *address, const struct address_block *allowed, size_t allowed_count);

#endif
