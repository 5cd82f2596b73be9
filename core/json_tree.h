/* core/json_tree.h: one JSON text (RFC 8259) as a tree of views: the reader for the stream of
 * events, where a general library would cost ten times as much, and would tell neither the byte of
 * a schema error nor NaN. THINKS. Strict: UTF-8, depth, duplicate keys, numbers; hostile texts cost
 * time and memory in proportion to their size, nothing else. */
#ifndef CORE_JSON_TREE_H
#define CORE_JSON_TREE_H

#include "core/bytes.h"

enum tree_kind {
	TREE_NULL,
	TREE_FALSE,
	TREE_TRUE,
	TREE_NUMBER,
	TREE_TEXT,
	TREE_ARRAY,
	TREE_OBJECT
};

struct tree_node {
	enum tree_kind kind;
	bool integral;    /* NUMBER: written as an integer; `integer` is its exact value */
	bool bare;        /* NUMBER: one of the tokens NaN, Infinity, -Infinity */
	uint32_t next;    /* place of the next sibling in the tree's nodes; 0: none */
	uint32_t child;   /* ARRAY, OBJECT: place of the first; 0: none */
	uint32_t count;   /* ARRAY, OBJECT: how many children */
	size_t byte;      /* where the value begins; of a member: where its key begins */
	struct view key;  /* of a member of an object, unescaped */
	struct view text; /* TEXT: unescaped; NUMBER: as written */
	double number;    /* NUMBER */
	int64_t integer;
};

/* A parsed text and its memory, reused by the next one. All zero is valid and empty. */
struct tree {
	struct tree_node *nodes; /* nodes[0] is the root */
	uint32_t count, capacity;
	uint32_t bare_count; /* tokens NaN, Infinity, -Infinity in it */
	char *scratch;       /* unescaped texts */
	size_t scratch_size, scratch_capacity;
	const struct tree_node **order; /* for finding duplicate keys of large objects */
	size_t order_capacity;
};

enum tree_flaw { TREE_GOOD, TREE_SYNTAX, TREE_UTF8, TREE_DEPTH, TREE_DUPLICATE, TREE_RANGE };

struct tree_fault {
	enum tree_flaw flaw;
	size_t byte;     /* where, from 0 */
	const char *why; /* "expected a colon" */
};

/* Parses one value with nothing but white space around it. bare: whether NaN, Infinity and
 * -Infinity are taken as numbers. NULL: *fault says why. The root and all views are valid until the
 * next call or tree_done(), and as long as text is. */
const struct tree_node *tree_parse(
	struct tree *tree, struct view text, size_t depth_max, bool bare, struct tree_fault *fault);
void tree_done(struct tree *tree);

/* Children in order: the first, the next; NULL at the end. */
const struct tree_node *tree_child(const struct tree *tree, const struct tree_node *node);
const struct tree_node *tree_next(const struct tree *tree, const struct tree_node *node);
/* A member of an object by its key; NULL: not there, or no object. */
const struct tree_node *tree_get(
	const struct tree *tree, const struct tree_node *object, const char *key);
/* What a JSON pointer (RFC 6901) says; NULL: nothing there. */
const struct tree_node *tree_at(
	const struct tree *tree, const struct tree_node *root, const char *pointer);

/* Members of records: zero or empty when missing or of another type. */
int64_t tree_integer(const struct tree *tree, const struct tree_node *object, const char *key);
struct view tree_text(const struct tree *tree, const struct tree_node *object, const char *key);

enum { NUMBER_TEXT_SIZE = 40 };
/* The canonical text of a finite number: the fewest digits that read back exactly, integers without
 * fraction and exponent up to 10^15: "1", "0.1", "1e+300". */
void number_text(double number, char text[NUMBER_TEXT_SIZE]);

/* Appends a JSON text with its quotes and escapes, or a number (null unless finite). */
void json_add_text(struct bytes *out, struct view text);
void json_add_number(struct bytes *out, double number);

/* Bytes of the UTF-8 sequence (RFC 3629) at the start of text; 0: none that is valid. */
size_t utf8_length(struct view text);

#endif
