#include "core/json_tree.h"

#include "core/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct tree *tree;
	const char *begin, *at, *end;
	size_t depth_left;
	bool bare;
	struct tree_fault *fault;
};

static bool flawed(struct parser *parser, enum tree_flaw flaw, const char *where, const char *why)
{
	*parser->fault = (struct tree_fault){
		.flaw = flaw, .byte = (size_t)(where - parser->begin), .why = why};
	return false;
}

static void skip_space(struct parser *parser)
{
	while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\n' ||
						   *parser->at == '\r' || *parser->at == '\t'))
		parser->at++;
}

static bool is_next(const struct parser *parser, char c)
{
	return parser->at < parser->end && *parser->at == c;
}

static bool is_digit_next(const struct parser *parser)
{
	return parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9';
}

static bool take_word(struct parser *parser, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(parser->end - parser->at) < size || memcmp(parser->at, word, size) != 0)
		return false;
	parser->at += size;
	return true;
}

size_t utf8_length(struct view text)
{
	static const struct {
		unsigned char first_low, first_high, second_low, second_high, length;
	} forms[] = {
		{0x00, 0x7f, 0, 0, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	const unsigned char *bytes = (const unsigned char *)text.data;

	for (size_t i = 0; text.size && i < sizeof forms / sizeof *forms; i++) {
		size_t length = forms[i].length;

		if (bytes[0] < forms[i].first_low || bytes[0] > forms[i].first_high)
			continue;
		if (length > text.size || (length > 1 && (bytes[1] < forms[i].second_low ||
								 bytes[1] > forms[i].second_high)))
			return 0;
		for (size_t k = 2; k < length; k++)
			if (bytes[k] < 0x80 || bytes[k] > 0xbf)
				return 0;
		return length;
	}
	return 0;
}

static void add_utf8(struct tree *tree, unsigned point)
{
	char *to = tree->scratch + tree->scratch_size;
	size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = length; i-- > 1; point >>= 6)
		to[i] = (char)(0x80 | (point & 0x3f));
	to[0] = (char)(marks[length] | point);
	tree->scratch_size += length;
}

static bool take_hex(struct parser *parser, unsigned *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++, parser->at++) {
		char c = parser->at < parser->end ? *parser->at : '?';
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
							: 16;

		if (digit == 16)
			return flawed(parser, TREE_SYNTAX, parser->at,
				"expected four hexadecimal digits");
		*value = *value * 16 + digit;
	}
	return true;
}

static bool take_unicode(struct parser *parser, const char *escape)
{
	unsigned point;
	unsigned low;

	if (!take_hex(parser, &point))
		return false;
	if (point == 0)
		return flawed(parser, TREE_UTF8, escape, "\\u0000 in a text");
	if (point >= 0xd800 && point < 0xdc00) {
		if (!take_word(parser, "\\u"))
			return flawed(parser, TREE_UTF8, escape, "half a surrogate pair");
		if (!take_hex(parser, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return flawed(parser, TREE_UTF8, escape, "half a surrogate pair");
		point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
	} else if (point >= 0xdc00 && point < 0xe000) {
		return flawed(parser, TREE_UTF8, escape, "half a surrogate pair");
	}
	add_utf8(parser->tree, point);
	return true;
}

static bool take_escape(struct parser *parser)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *escape = parser->at++;
	char c = parser->at < parser->end ? *parser->at++ : '\0';
	const char *letter = c ? strchr(letters, c) : NULL;

	if (c == 'u')
		return take_unicode(parser, escape);
	if (!letter)
		return flawed(parser, TREE_SYNTAX, escape, "unknown escape in a text");
	parser->tree->scratch[parser->tree->scratch_size++] = meanings[letter - letters];
	return true;
}

/* The text up to its first escape is in the message already; the rest is built in the scratch. Room
 * for it is there: no text is longer unescaped than escaped. */
static bool take_rest(struct parser *parser, const char *start, struct view *text)
{
	struct tree *tree = parser->tree;
	size_t begin = tree->scratch_size;

	memcpy(tree->scratch + begin, start, (size_t)(parser->at - start));
	tree->scratch_size += (size_t)(parser->at - start);
	while (parser->at < parser->end && *parser->at != '"') {
		unsigned char c = (unsigned char)*parser->at;

		if (c == '\\') {
			if (!take_escape(parser))
				return false;
			continue;
		}
		if (c < 0x20)
			return flawed(
				parser, TREE_SYNTAX, parser->at, "control character in a text");
		size_t length =
			utf8_length((struct view){parser->at, (size_t)(parser->end - parser->at)});

		if (!length)
			return flawed(parser, TREE_UTF8, parser->at, "not UTF-8");
		memcpy(tree->scratch + tree->scratch_size, parser->at, length);
		tree->scratch_size += length;
		parser->at += length;
	}
	*text = (struct view){tree->scratch + begin, tree->scratch_size - begin};
	return true;
}

/* Past ASCII that stands for itself: most of all bytes of most events, hence not through the
 * parser. */
static const char *skip_plain(const char *at, const char *end)
{
	while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
		*at != '\\')
		at++;
	return at;
}

static bool take_text(struct parser *parser, struct view *text)
{
	const char *quote = parser->at;
	const char *start = ++parser->at;

	for (;;) {
		parser->at = skip_plain(parser->at, parser->end);
		if (parser->at == parser->end || *parser->at == '"' || *parser->at == '\\')
			break;
		unsigned char c = (unsigned char)*parser->at;

		if (c < 0x20)
			return flawed(
				parser, TREE_SYNTAX, parser->at, "control character in a text");
		size_t length =
			utf8_length((struct view){parser->at, (size_t)(parser->end - parser->at)});

		if (!length)
			return flawed(parser, TREE_UTF8, parser->at, "not UTF-8");
		parser->at += length;
	}
	*text = (struct view){start, (size_t)(parser->at - start)};
	if (is_next(parser, '\\') && !take_rest(parser, start, text))
		return false;
	if (!is_next(parser, '"'))
		return flawed(parser, TREE_SYNTAX, quote, "text without its closing quote");
	parser->at++;
	return true;
}

/* Digits and a decimal exponent as a double. Exact when both fit into doubles exactly (Clinger
 * 1990); else the C library's correctly rounded strtod() does it. */
static double to_double(
	struct parser *parser, struct view text, uint64_t digits, int exponent, bool all_digits)
{
	static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	char *copy = parser->tree->scratch + parser->tree->scratch_size;

	if (all_digits && digits <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
		double size = exponent < 0 ? (double)digits / tens[-exponent]
					   : (double)digits * tens[exponent];

		return text.data[0] == '-' ? -size : size;
	}
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return strtod(copy, NULL);
}

struct decimal { /* a number as it is read */
	uint64_t digits;
	int exponent;
	bool all_digits; /* digits holds them all */
};

static void take_digits(struct parser *parser, struct decimal *decimal, int step)
{
	struct decimal sum = *decimal;
	const char *at = parser->at;

	for (; at < parser->end && *at >= '0' && *at <= '9'; at++) {
		unsigned digit = (unsigned)(*at - '0');

		if (sum.digits > (UINT64_MAX - digit) / 10)
			sum.all_digits = false;
		else
			sum.digits = sum.digits * 10 + digit;
		if (sum.exponent > -1000)
			sum.exponent -= step;
	}
	*decimal = sum;
	parser->at = at;
}

static bool take_exponent(struct parser *parser, struct decimal *decimal)
{
	bool negative = false;
	int exponent = 0;

	parser->at++;
	if (is_next(parser, '-') || is_next(parser, '+'))
		negative = *parser->at++ == '-';
	if (!is_digit_next(parser))
		return flawed(parser, TREE_SYNTAX, parser->at, "expected a digit");
	for (; is_digit_next(parser); parser->at++)
		if (exponent < 10000)
			exponent = exponent * 10 + (*parser->at - '0');
	decimal->exponent += negative ? -exponent : exponent;
	return true;
}

static bool set_integer(
	struct parser *parser, struct tree_node *node, const struct decimal *decimal)
{
	bool negative = node->text.data[0] == '-';

	if (!decimal->all_digits || decimal->digits > (uint64_t)INT64_MAX + negative)
		return flawed(parser, TREE_RANGE, node->text.data,
			"integer that does not fit into 64 bits");
	node->integral = true;
	node->integer = (int64_t)(negative ? 0 - decimal->digits : decimal->digits);
	node->number = (double)node->integer;
	return true;
}

static bool take_number(struct parser *parser, struct tree_node *node)
{
	const char *start = parser->at;
	struct decimal decimal = {.all_digits = true};
	bool integral = true;

	if (is_next(parser, '-'))
		parser->at++;
	if (!is_digit_next(parser))
		return flawed(parser, TREE_SYNTAX, start, "expected a value");
	if (is_next(parser, '0'))
		parser->at++;
	else
		take_digits(parser, &decimal, 0);
	if (is_digit_next(parser))
		return flawed(parser, TREE_SYNTAX, start, "number with a leading zero");
	if (is_next(parser, '.')) {
		integral = false;
		parser->at++;
		if (!is_digit_next(parser))
			return flawed(parser, TREE_SYNTAX, parser->at, "expected a digit");
		take_digits(parser, &decimal, 1);
	}
	if (is_next(parser, 'e') || is_next(parser, 'E')) {
		integral = false;
		if (!take_exponent(parser, &decimal))
			return false;
	}
	node->kind = TREE_NUMBER;
	node->text = (struct view){start, (size_t)(parser->at - start)};
	if (integral)
		return set_integer(parser, node, &decimal);
	node->number =
		to_double(parser, node->text, decimal.digits, decimal.exponent, decimal.all_digits);
	if (isinf(node->number))
		return flawed(parser, TREE_RANGE, start, "number that does not fit into a double");
	return true;
}

static bool take_bare(struct parser *parser, struct tree_node *node)
{
	const char *start = parser->at;

	if (!parser->bare)
		return false;
	if (take_word(parser, "NaN"))
		node->number = NAN;
	else if (take_word(parser, "Infinity"))
		node->number = INFINITY;
	else if (take_word(parser, "-Infinity"))
		node->number = -INFINITY;
	else
		return false;
	node->kind = TREE_NUMBER;
	node->bare = true;
	node->text = (struct view){start, (size_t)(parser->at - start)};
	parser->tree->bare_count++;
	return true;
}

static bool take_value(struct parser *parser, uint32_t place);

static uint32_t new_node(struct tree *tree)
{
	if (tree->count == tree->capacity) {
		tree->capacity = tree->capacity ? tree->capacity * 2 : 64;
		tree->nodes = memory_grow(tree->nodes, tree->capacity, sizeof *tree->nodes);
	}
	tree->nodes[tree->count] = (struct tree_node){0};
	return tree->count++;
}

static int by_key(const void *left, const void *right)
{
	const struct tree_node *a = *(const struct tree_node *const *)left;
	const struct tree_node *b = *(const struct tree_node *const *)right;
	int order = (a->key.size > b->key.size) - (a->key.size < b->key.size);

	if (!order && a->key.size)
		order = memcmp(a->key.data, b->key.data, a->key.size);
	return order ? order : (a->byte > b->byte) - (a->byte < b->byte);
}

static bool same_key(const struct tree_node *a, const struct tree_node *b)
{
	return a->key.size == b->key.size &&
	       (!a->key.size || memcmp(a->key.data, b->key.data, a->key.size) == 0);
}

/* The first member whose key an earlier one has; NULL: none. */
static const struct tree_node *duplicate_of_few(
	const struct tree *tree, const struct tree_node *object)
{
	const struct tree_node *member = tree_child(tree, object);

	for (; member; member = tree_next(tree, member))
		for (const struct tree_node *other = tree_child(tree, object); other != member;
			other = tree_next(tree, other))
			if (same_key(member, other))
				return member;
	return NULL;
}

static const struct tree_node *duplicate_of_many(struct tree *tree, const struct tree_node *object)
{
	const struct tree_node *found = NULL;
	size_t count = 0;

	if (tree->order_capacity < object->count) {
		tree->order_capacity = object->count;
		tree->order = memory_grow(tree->order, tree->order_capacity, sizeof *tree->order);
	}
	for (const struct tree_node *member = tree_child(tree, object); member;
		member = tree_next(tree, member))
		tree->order[count++] = member;
	qsort(tree->order, count, sizeof *tree->order, by_key);
	for (size_t i = 1; i < count; i++)
		if (same_key(tree->order[i - 1], tree->order[i]) &&
			(!found || tree->order[i]->byte < found->byte))
			found = tree->order[i];
	return found;
}

static bool check_keys(struct parser *parser, const struct tree_node *object)
{
	const struct tree_node *duplicate = object->count <= 16
						    ? duplicate_of_few(parser->tree, object)
						    : duplicate_of_many(parser->tree, object);

	return !duplicate || flawed(parser, TREE_DUPLICATE, parser->begin + duplicate->byte,
				     "key that the object has already");
}

static bool take_key(struct parser *parser, struct view *key)
{
	if (!is_next(parser, '"'))
		return flawed(parser, TREE_SYNTAX, parser->at, "expected a key in quotes");
	if (!take_text(parser, key))
		return false;
	skip_space(parser);
	if (!is_next(parser, ':'))
		return flawed(parser, TREE_SYNTAX, parser->at, "expected a colon");
	parser->at++;
	return true;
}

/* Nodes may move whenever one is made: they are named by place here. */
static bool take_members(struct parser *parser, uint32_t place, bool object, char closing)
{
	struct tree *tree = parser->tree;
	uint32_t before = 0;

	skip_space(parser);
	if (is_next(parser, closing)) {
		parser->at++;
		return true;
	}
	for (;;) {
		struct view key = {0};

		skip_space(parser);
		size_t byte = (size_t)(parser->at - parser->begin);

		if (object && !take_key(parser, &key))
			return false;
		uint32_t member = new_node(tree);

		if (!take_value(parser, member))
			return false;
		tree->nodes[member].key = key;
		tree->nodes[member].byte = byte;
		if (before)
			tree->nodes[before].next = member;
		else
			tree->nodes[place].child = member;
		before = member;
		tree->nodes[place].count++;
		skip_space(parser);
		if (is_next(parser, closing))
			break;
		if (!is_next(parser, ','))
			return flawed(parser, TREE_SYNTAX, parser->at,
				object ? "expected a comma or }" : "expected a comma or ]");
		parser->at++;
	}
	parser->at++;
	return !object || check_keys(parser, &tree->nodes[place]);
}

static bool take_container(struct parser *parser, uint32_t place, bool object)
{
	if (!parser->depth_left)
		return flawed(parser, TREE_DEPTH, parser->at, "nested too deeply");
	parser->depth_left--;
	parser->at++;
	parser->tree->nodes[place].kind = object ? TREE_OBJECT : TREE_ARRAY;
	if (!take_members(parser, place, object, object ? '}' : ']'))
		return false;
	parser->depth_left++;
	return true;
}

static bool take_value(struct parser *parser, uint32_t place)
{
	struct tree_node *node = &parser->tree->nodes[place];

	skip_space(parser);
	node->byte = (size_t)(parser->at - parser->begin);
	if (is_next(parser, '{') || is_next(parser, '['))
		return take_container(parser, place, *parser->at == '{');
	if (is_next(parser, '"')) {
		node->kind = TREE_TEXT;
		return take_text(parser, &node->text);
	}
	if (is_digit_next(parser))
		return take_number(parser, node);
	if (take_word(parser, "true"))
		node->kind = TREE_TRUE;
	else if (take_word(parser, "false"))
		node->kind = TREE_FALSE;
	else if (take_word(parser, "null"))
		node->kind = TREE_NULL;
	else if (!take_bare(parser, node))
		return take_number(parser, node);
	return true;
}

const struct tree_node *tree_parse(
	struct tree *tree, struct view text, size_t depth_max, bool bare, struct tree_fault *fault)
{
	struct parser parser = {.tree = tree,
		.begin = text.data,
		.at = text.data,
		.end = text.data + text.size,
		.depth_left = depth_max,
		.bare = bare,
		.fault = fault};

	*fault = (struct tree_fault){0};
	tree->count = 0;
	tree->bare_count = 0;
	tree->scratch_size = 0;
	if (tree->scratch_capacity < text.size + 1) {
		tree->scratch_capacity = text.size + 1;
		tree->scratch = memory_grow(tree->scratch, tree->scratch_capacity, 1);
	}
	if (!take_value(&parser, new_node(tree)))
		return NULL;
	skip_space(&parser);
	if (parser.at != parser.end) {
		flawed(&parser, TREE_SYNTAX, parser.at, "something after the value");
		return NULL;
	}
	return tree->nodes;
}

void tree_done(struct tree *tree)
{
	free(tree->nodes);
	free(tree->scratch);
	free(tree->order);
	*tree = (struct tree){0};
}

const struct tree_node *tree_child(const struct tree *tree, const struct tree_node *node)
{
	return node->child ? &tree->nodes[node->child] : NULL;
}

const struct tree_node *tree_next(const struct tree *tree, const struct tree_node *node)
{
	return node->next ? &tree->nodes[node->next] : NULL;
}

static const struct tree_node *member_of(
	const struct tree *tree, const struct tree_node *object, struct view key)
{
	if (object->kind != TREE_OBJECT)
		return NULL;
	const struct tree_node *member = tree_child(tree, object);

	while (member && (member->key.size != key.size ||
				 (key.size && memcmp(member->key.data, key.data, key.size) != 0)))
		member = tree_next(tree, member);
	return member;
}

const struct tree_node *tree_get(
	const struct tree *tree, const struct tree_node *object, const char *key)
{
	return member_of(tree, object, view_of(key));
}

static const struct tree_node *element_of(
	const struct tree *tree, const struct tree_node *array, struct view index)
{
	size_t wanted = 0;

	if (!index.size || index.size > 9 || (index.data[0] == '0' && index.size > 1))
		return NULL;
	for (size_t i = 0; i < index.size; i++) {
		if (index.data[i] < '0' || index.data[i] > '9')
			return NULL;
		wanted = wanted * 10 + (size_t)(index.data[i] - '0');
	}
	const struct tree_node *element = tree_child(tree, array);

	while (element && wanted--)
		element = tree_next(tree, element);
	return element;
}

/* One reference token of a pointer, with ~1 and ~0 as / and ~. */
static struct view next_token(const char **pointer, char *token, size_t size)
{
	size_t used = 0;
	const char *at = *pointer;

	for (; *at && *at != '/'; at++) {
		char c = *at;

		if (c == '~' && (at[1] == '0' || at[1] == '1'))
			c = *++at == '0' ? '~' : '/';
		if (used < size)
			token[used++] = c;
	}
	*pointer = at;
	return (struct view){token, used};
}

const struct tree_node *tree_at(
	const struct tree *tree, const struct tree_node *root, const char *pointer)
{
	const struct tree_node *node = root;
	char token[256];

	while (node && *pointer == '/') {
		pointer++;
		struct view key = next_token(&pointer, token, sizeof token);

		node = node->kind == TREE_ARRAY ? element_of(tree, node, key)
						: member_of(tree, node, key);
	}
	return node;
}

int64_t tree_integer(const struct tree *tree, const struct tree_node *object, const char *key)
{
	const struct tree_node *member = tree_get(tree, object, key);

	return member && member->kind == TREE_NUMBER && member->integral ? member->integer : 0;
}

struct view tree_text(const struct tree *tree, const struct tree_node *object, const char *key)
{
	const struct tree_node *member = tree_get(tree, object, key);

	return member && member->kind == TREE_TEXT ? member->text : (struct view){"", 0};
}

void number_text(double number, char text[NUMBER_TEXT_SIZE])
{
	if (number == 0) /* also the negative one */
		number = 0;
	if (fabs(number) < 1e15 && number == trunc(number)) {
		snprintf(text, NUMBER_TEXT_SIZE, "%.0f", number);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, NUMBER_TEXT_SIZE, "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			return;
	}
}

void json_add_text(struct bytes *out, struct view text)
{
	size_t plain = 0; /* where the run of bytes begins that need no escape */

	bytes_text(out, "\"");
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		bytes_add(out, text.data + plain, i - plain);
		plain = i + 1;
		if (c < 0x20)
			bytes_format(out, "\\u%04x", c);
		else
			bytes_format(out, "\\%c", c);
	}
	bytes_add(out, text.data + plain, text.size - plain);
	bytes_text(out, "\"");
}

void json_add_number(struct bytes *out, double number)
{
	char text[NUMBER_TEXT_SIZE];

	if (!isfinite(number)) {
		bytes_text(out, "null");
		return;
	}
	number_text(number, text);
	bytes_text(out, text);
}
