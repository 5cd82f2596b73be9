/* core/document.c: a configuration file as a tree of nodes. THINKS. */
#include "core/document.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

struct node *node_new(enum node_kind kind, const char *file, int line, int column)
{
	struct node *node = memory_new(1, sizeof *node);

	node->kind = kind;
	node->file = file;
	node->line = line;
	node->column = column;
	return node;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->count; i++) {
		if (node->keys)
			node_free(node->keys[i]);
		node_free(node->values[i]);
	}
	free(node->keys);
	free(node->values);
	free(node->text);
	free(node);
}

void node_add(struct node *node, struct node *key, struct node *value)
{
	size_t count = node->count;

	/* Room doubles whenever the count is a power of two, so it needs no field of its own. */
	if ((count & (count - 1)) == 0) {
		size_t room = count ? 2 * count : 1;

		node->values = memory_grow(node->values, room, sizeof(struct node *));
		if (node->kind == NODE_MAPPING)
			node->keys = memory_grow(node->keys, room, sizeof(struct node *));
	}
	if (node->kind == NODE_MAPPING)
		node->keys[count] = key;
	node->values[count] = value;
	node->count++;
}

struct node *node_get(const struct node *mapping, const char *key)
{
	if (mapping->kind != NODE_MAPPING)
		return NULL;
	for (size_t i = 0; i < mapping->count; i++)
		if (strcmp(mapping->keys[i]->text, key) == 0)
			return mapping->values[i];
	return NULL;
}

struct node *node_copy(const struct node *node)
{
	struct node *copy = node_new(node->kind, node->file, node->line, node->column);

	copy->quoted = node->quoted;
	if (node->text)
		copy->text = memory_text(node->text);
	for (size_t i = 0; i < node->count; i++)
		node_add(copy, node->keys ? node_copy(node->keys[i]) : NULL,
			node_copy(node->values[i]));
	return copy;
}
