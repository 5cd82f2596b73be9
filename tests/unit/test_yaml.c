#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct node *parse(const char *text, struct mistakes *mistakes)
{
	return yaml_parse(view_of(text), "f.yaml", mistakes);
}

static void a_tree_knows_texts_and_places(void **state)
{
	struct mistakes mistakes = {0};
	struct node *tree = parse("# comment\n"
				  "a: 1\n"
				  "b:\n"
				  "  - \"x y\"\n"
				  "  - {c: 'true', d: [e]}\n"
				  "n:\n",
		&mistakes);
	(void)state;

	assert_non_null(tree);
	assert_int_equal(mistakes.count, 0);
	assert_int_equal(tree->kind, NODE_MAPPING);
	assert_int_equal(tree->count, 3);
	assert_string_equal(tree->keys[0]->text, "a");
	assert_string_equal(node_get(tree, "a")->text, "1");
	assert_false(node_get(tree, "a")->quoted);

	const struct node *b = node_get(tree, "b");

	assert_int_equal(b->kind, NODE_LIST);
	assert_int_equal(b->count, 2);
	assert_true(b->values[0]->quoted);
	assert_string_equal(b->values[0]->text, "x y");

	const struct node *c = node_get(b->values[1], "c");

	assert_true(c->quoted);
	assert_string_equal(c->file, "f.yaml");
	assert_int_equal(c->line, 5);
	assert_int_equal(c->column, 9);
	assert_string_equal(node_get(b->values[1], "d")->values[0]->text, "e");
	assert_string_equal(node_get(tree, "n")->text, "");
	assert_null(node_get(tree, "x"));
	node_free(tree);
}

static void an_empty_text_is_an_empty_mapping(void **state)
{
	static const char *const texts[] = {"", "\n\n", "# nothing\n", "\xef\xbb\xbf"};
	(void)state;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct mistakes mistakes = {0};
		struct node *tree = parse(texts[i], &mistakes);

		assert_non_null(tree);
		assert_int_equal(mistakes.count, 0);
		assert_int_equal(tree->kind, NODE_MAPPING);
		assert_int_equal(tree->count, 0);
		node_free(tree);
	}
}

static void a_byte_order_mark_at_the_start_is_skipped(void **state)
{
	struct mistakes mistakes = {0};
	struct node *tree = parse("\xef\xbb\xbf"
				  "a: 1\nb: 2\n",
		&mistakes);
	(void)state;

	assert_non_null(tree);
	assert_int_equal(mistakes.count, 0);
	assert_int_equal(tree->count, 2);
	node_free(tree);
}

static const struct {
	const char *text, *mistakes;
} refusals[] = {
	{"a: &x {b: c}\nd: *x\n",
		"f.yaml:1:4: found an anchor (&), expected none; write values out\n"
		"f.yaml:2:4: found an alias (*), expected none; write values out\n"},
	{"a: !!str 1\n", "f.yaml:1:4: found a tag (!), expected none; types follow from keys\n"},
	{"a: 1\n---\nb: 1\n",
		"f.yaml:2:1: found a second document (---), expected one in a file\n"},
	{"a: b: c\n", "f.yaml:1:5: mapping values are not allowed in this context\n"},
	{"a:\n\tb: c\n",
		"f.yaml:2:1: while scanning for the next token: found character that cannot "
		"start any token; indent with spaces, not tabs\n"},
	{"a: [1, 2\nb: 3\n", "f.yaml:2:2: while parsing a flow sequence: did not find expected ',' "
			     "or ']'\n"},
	{"a: \"x\\0y\"\n", "f.yaml:1:4: found a NUL character in a text, expected none\n"},
	{"? {a: b}\n: c\n", "f.yaml:1:3: found a list or mapping as a key, expected a text\n"},
	{"a: b\nc: \xff\n",
		"f.yaml:2:4: invalid leading UTF-8 octet (0xFF), expected text in UTF-8\n"},
	{"a: \xc3\xa9\xed\xa0\x80\n",
		"f.yaml:1:5: invalid Unicode character (0xD800), expected text in UTF-8\n"},
	{"a: \x01\n",
		"f.yaml:1:4: control characters are not allowed (0x01), expected text in UTF-8\n"},
	{"\xff\xfe"
	 "a",
		"f.yaml:1:1: invalid leading UTF-8 octet (0xFF), expected text in UTF-8\n"},
};

static void what_is_not_plain_yaml_is_refused_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct mistakes mistakes = {0};

		assert_null(parse(refusals[i].text, &mistakes));
		assert_string_equal(mistakes.text.data, refusals[i].mistakes);
		bytes_done(&mistakes.text);
	}
}

static void a_duplicate_key_is_a_mistake_and_the_first_one_stays(void **state)
{
	struct mistakes mistakes = {0};
	struct node *tree = parse("a: 1\nb: 2\na: {c: 3}\nb: [4]\nd: 5\n", &mistakes);
	(void)state;

	assert_non_null(tree);
	assert_string_equal(mistakes.text.data, "f.yaml:3:1: a: given twice, first in line 1\n"
						"f.yaml:4:1: b: given twice, first in line 2\n");
	assert_int_equal(tree->count, 3);
	assert_string_equal(node_get(tree, "a")->text, "1");
	assert_string_equal(node_get(tree, "d")->text, "5");
	node_free(tree);
	bytes_done(&mistakes.text);
}

static void repeat(struct bytes *text, const char *piece, int times)
{
	for (int i = 0; i < times; i++)
		bytes_text(text, piece);
}

static void depth_and_size_are_bounded(void **state)
{
	struct bytes text = {0};
	struct mistakes mistakes = {0};
	(void)state;

	repeat(&text, "[", 32);
	repeat(&text, "]", 32);
	struct node *tree = parse(text.data, &mistakes);

	assert_non_null(tree);
	node_free(tree);

	bytes_clear(&text);
	repeat(&text, "[", 100000);
	assert_null(parse(text.data, &mistakes));
	assert_string_equal(mistakes.text.data,
		"f.yaml:1:33: more than 32 lists and mappings inside one another\n");

	bytes_clear(&text);
	bytes_clear(&mistakes.text);
	bytes_text(&text, "a: [");
	repeat(&text, "1,", 1000000);
	bytes_text(&text, "]\n");
	assert_null(parse(text.data, &mistakes));
	assert_non_null(strstr(mistakes.text.data, "more than 100 000 values"));
	bytes_done(&text);
	bytes_done(&mistakes.text);
}

/* A fixed sequence of bytes that look like chance; whatever they are, there is a tree or a mistake.
 */
static void hostile_bytes_are_a_tree_or_a_mistake(void **state)
{
	static const char alphabet[] = "ab:-[]{},#&*!|>'\"%@` \n\t\\0?~\xc3\xa9\xff";
	uint64_t chance = 1;
	(void)state;

	for (int round = 0; round < 20000; round++) {
		char text[64];
		size_t size = 0;
		struct mistakes mistakes = {0};

		for (; size < sizeof text; size++) {
			chance = chance * 6364136223846793005u + 1442695040888963407u;
			text[size] = round % 2 ? alphabet[(chance >> 33) % (sizeof alphabet - 1)]
					       : (char)(chance >> 40);
		}
		struct node *tree = yaml_parse((struct view){text, size}, "f", &mistakes);

		assert_true(tree || mistakes.count);
		node_free(tree);
		bytes_done(&mistakes.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_knows_texts_and_places),
		cmocka_unit_test(an_empty_text_is_an_empty_mapping),
		cmocka_unit_test(a_byte_order_mark_at_the_start_is_skipped),
		cmocka_unit_test(what_is_not_plain_yaml_is_refused_with_its_place),
		cmocka_unit_test(a_duplicate_key_is_a_mistake_and_the_first_one_stays),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(hostile_bytes_are_a_tree_or_a_mistake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
