/* core/config_section.c: reads, fills and frees a section by its table. THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct key *find_key(const struct section *section, const char *name)
{
	for (size_t i = 0; i < section->key_count; i++)
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	return NULL;
}

static void list_keys(const struct section *section, struct bytes *out)
{
	for (size_t i = 0; i < section->key_count; i++)
		bytes_format(out, "%s%s", i ? ", " : "", section->keys[i].name);
	if (section->other)
		bytes_format(out, "%s%s", section->key_count ? ", " : "", section->other->name);
}

static void missing(struct reading *reading, const struct key *key, const struct node *mapping,
	const struct path *path)
{
	CLEANUP(bytes_done) struct bytes where = {0}, expected = {0};

	path_render(path, &where);
	key->type->expect(key, &expected);
	mistake(reading, mapping, "%s: missing%s%s, expected %s", key->name,
		where.size ? " in " : "", where.size ? where.data : "", expected.data);
}

static void no_such_key(struct reading *reading, const struct section *section,
	const struct node *name, const struct path *path)
{
	CLEANUP(bytes_done) struct bytes where = {0}, shown = {0}, meant = {0};
	struct hint hint = {.word = name->text};

	for (size_t i = 0; i < section->key_count; i++)
		hint_offer(&hint, section->keys[i].name);
	path_render(path, &where);
	bytes_format(&shown, "%.60s", name->text);
	mistake(reading, name, "%s: no such key%s%s%s", shown.data, where.size ? " in " : "",
		where.size ? where.data : "", hint_text(&hint, &meant));
}

static void read_other(struct reading *reading, const struct section *section,
	const struct node *name, const struct node *value, const struct path *path, void *item)
{
	if (!section->other) {
		no_such_key(reading, section, name, path);
		return;
	}
	if (section->accepts && !section->accepts(reading, name, path))
		return;
	struct key key = *section->other;

	key.name = name->text;
	key.type->read(reading, &key, value, path, item);
}

void section_read(struct reading *reading, const struct section *section, const struct node *node,
	const struct path *path, void *item)
{
	if (node->kind != NODE_MAPPING) {
		CLEANUP(bytes_done) struct bytes where = {0}, is = {0}, keys = {0};

		path_render(path, &where);
		found(node, &is);
		list_keys(section, &keys);
		mistake(reading, node, "%s: found %s, expected a mapping of %s",
			where.size ? where.data : "configuration", is.data, keys.data);
		return;
	}
	/* In the table's order, so that what is referred to has been read; mistakes sort
	 * themselves. */
	for (size_t i = 0; i < section->key_count; i++) {
		const struct key *key = &section->keys[i];
		const struct node *value = node_get(node, key->name);

		if (value)
			key->type->read(reading, key, value, path, item);
		else if (key->required)
			missing(reading, key, node, path);
	}
	for (size_t i = 0; i < node->count; i++)
		if (!find_key(section, node->keys[i]->text))
			read_other(reading, section, node->keys[i], node->values[i], path, item);
	if (section->finish)
		section->finish(reading, node, path, item);
}

void section_fill(const struct section *section, void *item)
{
	for (size_t i = 0; i < section->key_count; i++)
		if (section->keys[i].type->fill)
			section->keys[i].type->fill(&section->keys[i], item);
}

void section_done(const struct section *section, void *item)
{
	for (size_t i = 0; i < section->key_count; i++)
		if (section->keys[i].type->drop)
			section->keys[i].type->drop(&section->keys[i], item);
	if (section->other && section->other->type->drop)
		section->other->type->drop(section->other, item);
}

static void read_section(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct path here = {path, key->name, -1};

	section_read(reading, key->section, value, &here, place_of(key, item));
}

static void expect_section(const struct key *key, struct bytes *out)
{
	bytes_text(out, "a mapping of ");
	list_keys(key->section, out);
}

static void fill_section(const struct key *key, void *item)
{
	section_fill(key->section, place_of(key, item));
}

static void drop_section(const struct key *key, void *item)
{
	section_done(key->section, place_of(key, item));
}

const struct type type_section = {
	.read = read_section, .expect = expect_section, .fill = fill_section, .drop = drop_section};

static size_t *count_of(const struct key *key, void *item)
{
	return (size_t *)((char *)item + key->count_offset);
}

static bool has_enough(struct reading *reading, const struct key *key, const struct node *list)
{
	if (!refuse_unless(reading, NODE_LIST, key, list))
		return false;
	if ((int64_t)list->count >= key->low)
		return true;
	refuse(reading, key, list);
	return false;
}

static void read_sections(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	const struct section *section = key->section;

	if (!has_enough(reading, key, value))
		return;
	char *items = memory_new(value->count, section->size);

	*(void **)place_of(key, item) = items;
	for (size_t i = 0; i < value->count; i++) {
		struct path here = {path, key->name, (long)i};

		/* Counted before it is read: its finish() compares it with those before it. */
		*count_of(key, item) = i + 1;
		section_fill(section, items + i * section->size);
		section_read(reading, section, value->values[i], &here, items + i * section->size);
	}
}

static void expect_sections(const struct key *key, struct bytes *out)
{
	bytes_text(out, "a list of mappings of ");
	list_keys(key->section, out);
}

static void drop_sections(const struct key *key, void *item)
{
	char **items = place_of(key, item);

	for (size_t i = 0; i < *count_of(key, item); i++)
		section_done(key->section, *items + i * key->section->size);
	free(*items);
}

const struct type type_sections = {
	.read = read_sections, .expect = expect_sections, .drop = drop_sections};

static void drop_texts(const struct key *key, void *item)
{
	char ***texts = place_of(key, item);
	size_t *count = count_of(key, item);

	for (size_t i = 0; i < *count; i++)
		free((*texts)[i]);
	free(*texts);
	*texts = NULL;
	*count = 0;
}

static void read_texts(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	if (!has_enough(reading, key, value))
		return;
	drop_texts(key, item);
	char **texts = memory_new(value->count, sizeof *texts);

	*(char ***)place_of(key, item) = texts;
	*count_of(key, item) = value->count;
	for (size_t i = 0; i < value->count; i++) {
		char name[64];
		struct key element = {.name = name, .type = key->element, .low = 1};

		snprintf(name, sizeof name, "%s[%zu]", key->name, i);
		texts[i] = memory_text("");
		element.type->read(reading, &element, value->values[i], path, &texts[i]);
	}
}

static void expect_texts(const struct key *key, struct bytes *out)
{
	const struct key element = {.type = key->element, .low = 1};

	if (key->told) {
		bytes_text(out, key->told);
		return;
	}
	bytes_text(out, "a list, each entry ");
	key->element->expect(&element, out);
}

/* The default as it is written: [model, alertname]. */
static void fill_texts(const struct key *key, void *item)
{
	char ***texts = place_of(key, item);
	size_t *count = count_of(key, item);

	if (!key->fallback)
		return;
	for (const char *at = key->fallback + 1; *at && *at != ']'; at += strspn(at, ", ")) {
		size_t size = strcspn(at, ",]");

		*texts = memory_grow(*texts, *count + 1, sizeof **texts);
		(*texts)[(*count)++] = memory_copy(at, size);
		at += size;
	}
}

const struct type type_texts = {
	.read = read_texts, .expect = expect_texts, .fill = fill_texts, .drop = drop_texts};
