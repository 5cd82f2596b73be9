/* core/document.h: a configuration file as a tree of nodes that know where they stand.
 * THINKS. Filled by ports/yaml.h; read by core/config.h. */
#ifndef CORE_DOCUMENT_H
#define CORE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

struct node {
	enum node_kind kind;
	const char *file;     /* the document's, as given by the caller; outlives the tree */
	int line, column;     /* from 1 */
	char *text;           /* SCALAR: its value, owned */
	bool quoted;          /* SCALAR: was written in quotes, so never a number or a boolean */
	struct node **keys;   /* MAPPING: scalars, in file order */
	struct node **values; /* MAPPING, LIST: in file order */
	size_t count;
};

struct node *node_new(enum node_kind kind, const char *file, int line, int column);
void node_free(struct node *node); /* the whole tree; NULL is fine */
void node_add(struct node *node, struct node *key, struct node *value); /* takes both over */
struct node *node_get(const struct node *mapping, const char *key);     /* NULL: not there */
struct node *node_copy(const struct node *node);                        /* the whole tree */

#endif
