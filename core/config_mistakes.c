/* core/config_mistakes.c: mistakes of a configuration: their order, their words, and what was
 * meant. THINKS. */
#include "core/config_section.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MISTAKES_MAX = 1000, FOUND_BYTES_MAX = 60, WORD_BYTES_MAX = 64 };

struct place {
	struct view file;
	long line, column;
};

static const char *read_count(const char *at, long *count)
{
	char *end;

	*count = isdigit((unsigned char)*at) ? strtol(at, &end, 10) : 0;
	return *count ? end : NULL;
}

/* The place that a line of mistakes starts with. */
static struct place place_in(const char *line)
{
	size_t size = strcspn(line, "\n");
	struct place place = {.file = {line, strcspn(line, ":\n")}};

	for (const char *colon = line; (colon = memchr(colon, ':', size - (size_t)(colon - line)));
		colon++) {
		const char *at = read_count(colon + 1, &place.line);

		if (at && *at == ':' && (at = read_count(at + 1, &place.column)) && *at == ':') {
			place.file.size = (size_t)(colon - line);
			return place;
		}
	}
	place.line = place.column = 0;
	return place;
}

static int compare_places(const struct place *one, const struct place *other)
{
	size_t shorter = one->file.size < other->file.size ? one->file.size : other->file.size;
	int order = memcmp(one->file.data, other->file.data, shorter);

	if (order)
		return order;
	if (one->file.size != other->file.size)
		return one->file.size < other->file.size ? -1 : 1;
	if (one->line != other->line)
		return one->line < other->line ? -1 : 1;
	return one->column < other->column ? -1 : one->column > other->column;
}

/* Where the line goes: behind the last one that does not come after it. Mistakes are found nearly
 * in order, so this looks back a line or two. */
static size_t place_for(const struct bytes *text, const struct place *place)
{
	size_t end = text->size;

	while (end) {
		size_t start = end - 1;

		while (start && text->data[start - 1] != '\n')
			start--;
		struct place before = place_in(text->data + start);

		if (compare_places(&before, place) <= 0)
			break;
		end = start;
	}
	return end;
}

static void insert(struct bytes *text, size_t at, const struct bytes *line)
{
	size_t behind = text->size - at;

	bytes_add(text, line->data, line->size);
	memmove(text->data + at + line->size, text->data + at, behind);
	memcpy(text->data + at, line->data, line->size);
}

static void add_line(
	struct mistakes *mistakes, const char *file, int line, int column, const char *message)
{
	CLEANUP(bytes_done) struct bytes whole = {0};

	if (++mistakes->count > MISTAKES_MAX)
		return;
	bytes_text(&whole, file);
	if (line)
		bytes_format(&whole, ":%d:%d", line, column);
	bytes_format(&whole, ": %s", message);
	for (size_t i = 0; i < whole.size; i++)
		if ((unsigned char)whole.data[i] < ' ')
			whole.data[i] = '?';
	bytes_add(&whole, "\n", 1);

	struct place place = {view_of(file), line, column};

	insert(&mistakes->text, place_for(&mistakes->text, &place), &whole);
}

void mistakes_add(
	struct mistakes *mistakes, const char *file, int line, int column, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	add_line(mistakes, file, line, column, message);
}

void mistake(struct reading *reading, const struct node *at, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	add_line(reading->mistakes, at->file, at->line, at->column, message);
}

bool is_nothing(const struct node *node)
{
	return node->kind == NODE_SCALAR && !node->quoted &&
	       (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

void found(const struct node *node, struct bytes *out)
{
	if (node->kind != NODE_SCALAR) {
		bytes_format(out, "%s %s", node->count ? "a" : "an empty",
			node->kind == NODE_LIST ? "list" : "mapping");
		return;
	}
	if (is_nothing(node)) {
		bytes_text(out, "nothing");
		return;
	}
	size_t size = strlen(node->text), shown = size;

	if (shown > FOUND_BYTES_MAX) {
		shown = FOUND_BYTES_MAX;
		while (shown && ((unsigned char)node->text[shown] & 0xc0) == 0x80)
			shown--; /* not inside a character of UTF-8 */
	}
	bytes_format(out, "\"%.*s%s\"", (int)shown, node->text, shown < size ? "..." : "");
}

void refuse(struct reading *reading, const struct key *key, const struct node *value)
{
	CLEANUP(bytes_done) struct bytes is = {0}, expected = {0};

	found(value, &is);
	key->type->expect(key, &expected);
	if (key->type->plain && value->kind == NODE_SCALAR && value->quoted)
		bytes_text(&expected, ", without quotes");
	mistake(reading, value, "%s: found %s, expected %s", key->name, is.data, expected.data);
}

bool refuse_unless(struct reading *reading, enum node_kind kind, const struct key *key,
	const struct node *value)
{
	if (value->kind == kind && !is_nothing(value))
		return true;
	refuse(reading, key, value);
	return false;
}

void path_render(const struct path *path, struct bytes *out)
{
	if (!path->up)
		return;
	path_render(path->up, out);
	bytes_format(out, "%s%s", out->size ? "." : "", path->name);
	if (path->index >= 0)
		bytes_format(out, "[%ld]", path->index);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Damerau-Levenshtein distance (optimal string alignment): slips are a missing, a needless or a
 * wrong letter, or two neighbours exchanged. Both words have at most WORD_BYTES_MAX bytes. */
static size_t slips(const char *one, size_t one_size, const char *other, size_t other_size)
{
	size_t rows[WORD_BYTES_MAX + 1][WORD_BYTES_MAX + 1];

	for (size_t i = 0; i <= one_size; i++)
		rows[i][0] = i;
	for (size_t j = 0; j <= other_size; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= one_size; i++)
		for (size_t j = 1; j <= other_size; j++) {
			size_t wrong = rows[i - 1][j - 1] + (one[i - 1] != other[j - 1]);

			rows[i][j] = least(wrong, 1 + least(rows[i - 1][j], rows[i][j - 1]));
			if (i > 1 && j > 1 && one[i - 1] == other[j - 2] &&
				one[i - 2] == other[j - 1])
				rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
		}
	return rows[one_size][other_size];
}

void hint_offer(struct hint *hint, const char *name)
{
	size_t size = strlen(hint->word), name_size = strlen(name);

	if (!size || size > WORD_BYTES_MAX || !name_size || name_size > WORD_BYTES_MAX)
		return;
	size_t distance = slips(hint->word, size, name, name_size);
	size_t most = size / 3 > 2 ? size / 3 : 2;

	/* Of a word of two letters, two slips leave nothing. */
	if (distance > most || distance >= size || distance >= name_size)
		return;
	if (hint->best && distance >= hint->distance)
		return;
	hint->best = name;
	hint->distance = distance;
}

const char *hint_text(const struct hint *hint, struct bytes *out)
{
	bytes_clear(out);
	bytes_text(out, "");
	if (hint->best)
		bytes_format(out, "; did you mean '%s'?", hint->best);
	return out->data;
}
