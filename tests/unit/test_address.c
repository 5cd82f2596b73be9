#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/address.h"

#include <stdio.h>
#include <string.h>

static struct address parsed(const char *text)
{
	struct address address = {0};
	struct err err;

	if (address_parse(text, &address, &err) != RC_OK)
		fail_msg("%s: %s", text, err.text);
	return address;
}

static struct address_block parsed_block(const char *text)
{
	struct address_block block = {0};
	struct err err;

	if (address_block_parse(text, &block, &err) != RC_OK)
		fail_msg("%s: %s", text, err.text);
	return block;
}

struct judgement {
	const char *address;
	const char *refused; /* NULL: may be called */
};

static void check(
	const struct judgement *rows, size_t count, const char *const *allow, size_t allow_count)
{
	struct address_block allowed[8];

	for (size_t i = 0; i < allow_count; i++)
		allowed[i] = parsed_block(allow[i]);
	for (size_t i = 0; i < count; i++) {
		struct address address = parsed(rows[i].address);
		const char *refused = address_refused(&address, allowed, allow_count);
		const char *expected = rows[i].refused;

		if (!refused != !expected || (refused && strcmp(refused, expected) != 0))
			fail_msg("%s: %s, expected %s", rows[i].address,
				refused ? refused : "called", expected ? expected : "called");
	}
}
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The first and the last address of each block, and their neighbours outside where these are
 * public. */
static const struct judgement alone[] = {
	{"0.0.0.0", "unspecified"},
	{"0.255.255.255", "unspecified"},
	{"1.0.0.0", NULL},
	{"9.255.255.255", NULL},
	{"10.0.0.0", "private"},
	{"10.255.255.255", "private"},
	{"11.0.0.0", NULL},
	{"100.63.255.255", NULL},
	{"100.64.0.0", "carrier NAT"},
	{"100.127.255.255", "carrier NAT"},
	{"100.128.0.0", NULL},
	{"100.100.100.200", "metadata service"},
	{"126.255.255.255", NULL},
	{"127.0.0.1", "loopback"},
	{"127.255.255.255", "loopback"},
	{"128.0.0.0", NULL},
	{"168.63.129.16", "metadata service"},
	{"168.63.129.17", NULL},
	{"169.253.255.255", NULL},
	{"169.254.0.0", "link-local"},
	{"169.254.169.254", "link-local"},
	{"169.254.255.255", "link-local"},
	{"169.255.0.0", NULL},
	{"172.15.255.255", NULL},
	{"172.16.0.0", "private"},
	{"172.31.255.255", "private"},
	{"172.32.0.0", NULL},
	{"192.0.0.192", "protocol assignments"},
	{"192.0.2.1", "documentation"},
	{"192.88.99.1", "6to4 relay"},
	{"192.167.255.255", NULL},
	{"192.168.0.0", "private"},
	{"192.168.255.255", "private"},
	{"192.169.0.0", NULL},
	{"198.17.255.255", NULL},
	{"198.18.0.0", "benchmarking"},
	{"198.19.255.255", "benchmarking"},
	{"198.20.0.0", NULL},
	{"198.51.100.7", "documentation"},
	{"203.0.113.7", "documentation"},
	{"223.255.255.255", NULL},
	{"224.0.0.1", "multicast"},
	{"239.255.255.255", "multicast"},
	{"240.0.0.0", "reserved"},
	{"255.255.255.254", "reserved"},
	{"255.255.255.255", "broadcast"},

	{"::", "unspecified"},
	{"::1", "loopback"},
	{"::2", "reserved"},
	{"::7f00:1", "reserved"}, /* IPv4-compatible, given up long ago */
	{"::ffff:127.0.0.1", "loopback"},
	{"::ffff:169.254.169.254", "link-local"},
	{"::ffff:10.1.2.3", "private"},
	{"::ffff:0.0.0.0", "unspecified"},
	{"::ffff:8.8.8.8", NULL},
	{"64:ff9b::169.254.169.254", "link-local"},
	{"64:ff9b::127.0.0.1", "loopback"},
	{"64:ff9b::8.8.8.8", NULL},
	{"64:ff9b:1::808:808", "reserved"},
	{"2002:a9fe:a9fe::1", "link-local"},
	{"2002:7f00:1::", "loopback"},
	{"2002:808:808::1", NULL},
	{"2001::1", "Teredo"},
	{"2001:0:7f00:1::", "Teredo"},
	{"2001:10::1", "protocol assignments"},
	{"2001:1ff::1", "protocol assignments"},
	{"2001:200::1", NULL},
	{"2001:db8::1", "documentation"},
	{"3fff::1", "documentation"},
	{"100::1", "reserved"},
	{"5f00::1", "reserved"},
	{"fc00::1", "unique local"},
	{"fdff::1", "unique local"},
	{"fd00:ec2::254", "metadata service"},
	{"fd20:ce::254", "metadata service"},
	{"fe80::1", "link-local"},
	{"febf::1", "link-local"},
	{"fec0::1", "site-local"},
	{"ff02::1", "multicast"},
	{"2a00:1450:4001::1", NULL},
	{"4000::1", "reserved"},
};

static void only_public_addresses_may_be_called_when_nothing_is_allowed(void **state)
{
	(void)state;
	check(alone, COUNT(alone), NULL, 0);
}

static void what_is_allowed_opens_private_addresses_inside_its_blocks_only(void **state)
{
	static const char *const allow[] = {"10.1.0.0/16", "127.0.0.1", "fd12::/16"};
	static const struct judgement rows[] = {
		{"10.1.2.3", NULL},
		{"10.2.0.0", "private"},
		{"127.0.0.1", NULL},
		{"127.0.0.2", "loopback"},
		{"::1", "loopback"},
		{"::ffff:10.1.2.3", NULL},
		{"::ffff:10.2.2.3", "private"},
		{"64:ff9b::10.1.0.1", NULL},
		{"fd12::7", NULL},
		{"fd13::7", "unique local"},
	};

	(void)state;
	check(rows, COUNT(rows), allow, COUNT(allow));
}

static void allowing_everything_opens_no_metadata_link_local_or_reserved_address(void **state)
{
	static const char *const allow[] = {"0.0.0.0/0", "::/0"};
	struct address_block allowed[] = {parsed_block(allow[0]), parsed_block(allow[1])};

	(void)state;
	for (size_t i = 0; i < COUNT(alone); i++) {
		struct address address = parsed(alone[i].address);
		const char *name = alone[i].refused;
		bool private =
			name && (strcmp(name, "private") == 0 || strcmp(name, "loopback") == 0 ||
					strcmp(name, "carrier NAT") == 0 ||
					strcmp(name, "unique local") == 0);
		bool open = !address_refused(&address, allowed, COUNT(allowed));

		if (open != (!name || private))
			fail_msg("%s (%s): %s", alone[i].address, name ? name : "public",
				open ? "called" : "refused");
	}
}

static void blocks_of_one_family_say_nothing_about_the_other(void **state)
{
	struct address_block all_v4 = parsed_block("0.0.0.0/0");
	struct address v6 = parsed("::1"), v4 = parsed("127.0.0.1");

	(void)state;
	assert_false(address_in(&v6, &all_v4));
	assert_true(address_in(&v4, &all_v4));
}

static void a_text_that_is_no_block_is_refused_with_a_sentence(void **state)
{
	static const char *const texts[] = {"", "10", "10.1/16", "10.0.0.0/33", "10.0.0.0/",
		"10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8", "10.1.2.3/16", "fd00::1/8", "::/129",
		"localhost", "0x7f.0.0.1", "127.1", "fe80::1%eth0",
		"100000000000000000000000000000000000000000000000000000000000000000000.0.0.0/8"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct address_block block;
		struct err err = {0};

		if (address_block_parse(texts[i], &block, &err) != RC_REJECT)
			fail_msg("\"%s\" was taken for a block", texts[i]);
		assert_true(err.text[0]);
	}
}

static void an_address_reads_back_as_its_text(void **state)
{
	static const char *const texts[] = {
		"127.0.0.1", "255.255.255.255", "::", "fd00:ec2::254", "::ffff:10.0.0.1"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct address address = parsed(texts[i]);
		char text[ADDRESS_TEXT_SIZE];

		address_text(&address, text);
		assert_string_equal(text, texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_public_addresses_may_be_called_when_nothing_is_allowed),
		cmocka_unit_test(what_is_allowed_opens_private_addresses_inside_its_blocks_only),
		cmocka_unit_test(
			allowing_everything_opens_no_metadata_link_local_or_reserved_address),
		cmocka_unit_test(blocks_of_one_family_say_nothing_about_the_other),
		cmocka_unit_test(a_text_that_is_no_block_is_refused_with_a_sentence),
		cmocka_unit_test(an_address_reads_back_as_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
