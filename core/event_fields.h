/* core/event_fields.h: the fields of an event in a parsed text: by their own names, or where a
 * declared mapping (core/format.h) places them. THINKS. */
#ifndef CORE_EVENT_FIELDS_H
#define CORE_EVENT_FIELDS_H

#include "core/format.h"
#include "core/json_tree.h"

/* Reused for every event. All zero is valid. */
struct event_fields {
	/* NULL: left out, or null. Nodes of the tree, or of made. */
	const struct tree_node *found[FIELD_COUNT];
	bool scaled[FIELD_COUNT]; /* a number that was multiplied by the mapping's unit */
	size_t stray_byte;        /* where the first NaN or Infinity stands that no field ... */
	bool stray;               /* ... may have: all but score, value, features, latency_ms */
	struct tree_node made[FIELD_COUNT]; /* of constants, maps and units */
	char texts[FIELD_COUNT][NUMBER_TEXT_SIZE];
};

/* Fills fields from the object root; format NULL: by their own names. Clears the mark `bare` of
 * those NaN and Infinity that stand in a field which may have them; what is wrong with one's sign
 * or range is the caller's to say. */
void event_fields_find(struct event_fields *fields, const struct format *format, struct tree *tree,
	const struct tree_node *root);

/* The canonical text of a text, number or boolean; room: where a number's is built. False: none of
 * these. */
bool node_text(const struct tree_node *node, char room[NUMBER_TEXT_SIZE], struct view *text);

#endif
