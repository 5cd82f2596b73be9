#include "core/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rule {
	NEVER,
	PRIVATE,  /* where the configuration allows it */
	EMBEDDED, /* by the IPv4 address that it holds */
};

struct special {
	const char *block;
	enum rule rule;
	const char *name;
	size_t embedded; /* EMBEDDED: the byte at which the IPv4 address starts */
};

/* The first block that holds an address decides. */
static const struct special specials[] = {
	{"100.100.100.200", NEVER, "metadata service", 0},
	{"168.63.129.16", NEVER, "metadata service", 0},
	{"0.0.0.0/8", NEVER, "unspecified", 0},
	{"10.0.0.0/8", PRIVATE, "private", 0},
	{"100.64.0.0/10", PRIVATE, "carrier NAT", 0},
	{"127.0.0.0/8", PRIVATE, "loopback", 0},
	{"169.254.0.0/16", NEVER, "link-local", 0},
	{"172.16.0.0/12", PRIVATE, "private", 0},
	{"192.0.0.0/24", NEVER, "protocol assignments", 0},
	{"192.0.2.0/24", NEVER, "documentation", 0},
	{"192.88.99.0/24", NEVER, "6to4 relay", 0},
	{"192.168.0.0/16", PRIVATE, "private", 0},
	{"198.18.0.0/15", NEVER, "benchmarking", 0},
	{"198.51.100.0/24", NEVER, "documentation", 0},
	{"203.0.113.0/24", NEVER, "documentation", 0},
	{"224.0.0.0/4", NEVER, "multicast", 0},
	{"255.255.255.255", NEVER, "broadcast", 0},
	{"240.0.0.0/4", NEVER, "reserved", 0},

	{"fd00:ec2::254", NEVER, "metadata service", 0},
	{"fd20:ce::254", NEVER, "metadata service", 0},
	{"::", NEVER, "unspecified", 0},
	{"::1", PRIVATE, "loopback", 0},
	{"::ffff:0:0/96", EMBEDDED, "IPv4-mapped", 12},
	{"64:ff9b::/96", EMBEDDED, "NAT64", 12},
	{"2002::/16", EMBEDDED, "6to4", 2},
	{"2001::/32", NEVER, "Teredo", 0},
	{"2001::/23", NEVER, "protocol assignments", 0},
	{"2001:db8::/32", NEVER, "documentation", 0},
	{"3fff::/20", NEVER, "documentation", 0},
	{"fc00::/7", PRIVATE, "unique local", 0},
	{"fe80::/10", NEVER, "link-local", 0},
	{"fec0::/10", NEVER, "site-local", 0},
	{"ff00::/8", NEVER, "multicast", 0},
};
static const char global_unicast[] = "2000::/3"; /* all of IPv6 that was ever given out */

enum rc address_parse(const char *text, struct address *address, struct err *err)
{
	struct address read = {.bits = 32};

	if (inet_pton(AF_INET, text, read.bytes) != 1) {
		read.bits = 128;
		if (inet_pton(AF_INET6, text, read.bytes) != 1)
			return err_set(err, RC_REJECT,
				"\"%.60s\" is no IP address; expected one like 10.1.2.3 or fd00::1",
				text);
	}
	*address = read;
	return RC_OK;
}

void address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
	int family = address->bits == 32 ? AF_INET : AF_INET6;

	if (!inet_ntop(family, address->bytes, text, ADDRESS_TEXT_SIZE))
		text[0] = '\0';
}

static bool bit_of(const struct address *address, int place)
{
	return address->bytes[place / 8] >> (7 - place % 8) & 1;
}

static enum rc prefix_parse(const char *text, int bits, int *prefix, struct err *err)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || value > bits)
		return err_set(
			err, RC_REJECT, "\"/%.40s\": expected a number from 0 to %d", text, bits);
	*prefix = (int)value;
	return RC_OK;
}

enum rc address_block_parse(const char *text, struct address_block *block, struct err *err)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	struct address_block read = {0};
	char first[64];

	snprintf(first, sizeof first, "%.*s", (int)length, text);
	TRY(address_parse(first, &read.first, err));
	read.prefix = read.first.bits;
	if (slash)
		TRY(prefix_parse(slash + 1, read.first.bits, &read.prefix, err));
	for (int i = read.prefix; i < read.first.bits; i++)
		if (bit_of(&read.first, i))
			return err_set(err, RC_REJECT,
				"block \"%.60s\" has bits set behind its prefix; expected the "
				"first address of the block",
				text);
	*block = read;
	return RC_OK;
}

bool address_in(const struct address *address, const struct address_block *block)
{
	if (address->bits != block->first.bits)
		return false;
	for (int i = 0; i < block->prefix; i++)
		if (bit_of(address, i) != bit_of(&block->first, i))
			return false;
	return true;
}

static struct address_block known_block(const char *text)
{
	struct address_block block = {0};
	struct err err;
	enum rc rc = address_block_parse(text, &block, &err);

	assert(rc == RC_OK);
	return block;
}

static const struct special *special_of(const struct address *address)
{
	for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
		struct address_block block = known_block(specials[i].block);

		if (address_in(address, &block))
			return &specials[i];
	}
	return NULL;
}

static bool is_allowed(
	const struct address *address, const struct address_block *allowed, size_t allowed_count)
{
	for (size_t i = 0; i < allowed_count; i++)
		if (address_in(address, &allowed[i]))
			return true;
	return false;
}

const char *address_refused(
	const struct address *address, const struct address_block *allowed, size_t allowed_count)
{
	const struct special *special = special_of(address);
	struct address_block unicast = known_block(global_unicast);
	struct address embedded = {.bits = 32};

	if (!special)
		return address->bits == 32 || address_in(address, &unicast) ? NULL : "reserved";
	if (special->rule == EMBEDDED) {
		memcpy(embedded.bytes, address->bytes + special->embedded, 4);
		return address_refused(&embedded, allowed, allowed_count);
	}
	if (special->rule == PRIVATE && is_allowed(address, allowed, allowed_count))
		return NULL;
	return special->name;
}
