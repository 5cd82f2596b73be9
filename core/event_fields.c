#include "core/event_fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool node_text(const struct tree_node *node, char room[NUMBER_TEXT_SIZE], struct view *text)
{
	switch (node->kind) {
	case TREE_TEXT:
		*text = node->text;
		return true;
	case TREE_TRUE:
		*text = view_of("true");
		return true;
	case TREE_FALSE:
		*text = view_of("false");
		return true;
	case TREE_NUMBER:
		if (!isfinite(node->number))
			return false;
		if (node->integral)
			*text = node->text; /* exact, also beyond 2^53 */
		else
			number_text(node->number, room), *text = view_of(room);
		if (view_is(*text, "-0"))
			*text = view_of("0");
		return true;
	default:
		return false;
	}
}

static bool is_numeric(enum format_field field)
{
	return field == FIELD_TS || field == FIELD_LATENCY_MS || field == FIELD_STATUS ||
	       field == FIELD_SCORE || field == FIELD_VALUE;
}

static bool is_name(enum format_field field)
{
	return field == FIELD_MODEL || field == FIELD_VERSION || field == FIELD_ROLE ||
	       field == FIELD_SEGMENT;
}

/* A text of the configuration as a value: a number where the field has one and the text is one. */
static const struct tree_node *made_from(
	struct event_fields *fields, enum format_field field, const char *text)
{
	struct tree_node *node = &fields->made[field];
	char *end;
	double number = strtod(text, &end);

	*node = (struct tree_node){.kind = TREE_TEXT, .text = view_of(text)};
	if (is_numeric(field) && end != text && !*end && isfinite(number)) {
		node->kind = TREE_NUMBER;
		node->number = number;
		node->integral = number == trunc(number) && fabs(number) < 1e15;
		node->integer = node->integral ? (int64_t)number : 0;
	}
	return node;
}

static const struct tree_node *mapped(struct event_fields *fields, enum format_field field,
	const struct field_place *place, const struct tree_node *node)
{
	char room[NUMBER_TEXT_SIZE];
	struct view text;

	if (!place->map_count || !node_text(node, room, &text))
		return node;
	for (size_t i = 0; i < place->map_count; i++) {
		if (view_is(text, place->from[i])) {
			size_t byte = node->byte;

			made_from(fields, field, place->to[i]);
			fields->made[field].byte = byte;
			return &fields->made[field];
		}
	}
	return node;
}

static const struct tree_node *scaled(struct event_fields *fields, enum format_field field,
	const struct field_place *place, const struct tree_node *node)
{
	if (node->kind != TREE_NUMBER || place->scale == 1 || place->scale == 0)
		return node;
	fields->made[field] = *node;
	fields->made[field].number *= place->scale;
	fields->made[field].integral = false;
	fields->scaled[field] = true;
	return &fields->made[field];
}

/* Somebody else's version may be a number: where a mapping points to it, its text is the name. */
static const struct tree_node *named(struct event_fields *fields, enum format_field field,
	const struct field_place *place, const struct tree_node *node)
{
	struct view text;

	if (!place->pointer || !is_name(field) || node->kind == TREE_TEXT ||
		!node_text(node, fields->texts[field], &text))
		return node;
	fields->made[field] =
		(struct tree_node){.kind = TREE_TEXT, .text = text, .byte = node->byte};
	return &fields->made[field];
}

static void accept_bare(struct tree *tree, const struct tree_node *node)
{
	if (node->bare) {
		tree->nodes[node - tree->nodes].bare = false;
		tree->bare_count--;
	}
}

static void accept_bare_of(struct tree *tree, enum format_field field, const struct tree_node *node)
{
	if (!tree->bare_count)
		return;
	if (field == FIELD_SCORE || field == FIELD_VALUE || field == FIELD_LATENCY_MS)
		accept_bare(tree, node);
	if (field != FIELD_FEATURES)
		return;
	for (const struct tree_node *feature = tree_child(tree, node); feature;
		feature = tree_next(tree, feature))
		accept_bare(tree, feature);
}

static void find_stray(struct event_fields *fields, const struct tree *tree)
{
	fields->stray = tree->bare_count > 0;
	if (!fields->stray)
		return;
	uint32_t i = 0;

	while (!tree->nodes[i].bare)
		i++;
	fields->stray_byte = tree->nodes[i].byte;
}

static void find_by_name(
	struct event_fields *fields, struct tree *tree, const struct tree_node *root)
{
	const struct tree_node *member = tree_child(tree, root);

	for (; member; member = tree_next(tree, member)) {
		for (int field = 0; field < FIELD_COUNT; field++) {
			const char *name = format_field_names[field];

			if (member->key.size && member->key.data[0] == name[0] &&
				view_is(member->key, name)) {
				accept_bare_of(tree, (enum format_field)field, member);
				fields->found[field] = member;
				break;
			}
		}
	}
}

static void find_by_place(struct event_fields *fields, enum format_field field,
	const struct field_place *place, struct tree *tree, const struct tree_node *root)
{
	if (place->pointer)
		fields->found[field] = tree_at(tree, root, place->pointer);
	else if (place->constant)
		fields->found[field] = NULL;
	if (!fields->found[field] && place->constant)
		fields->found[field] = made_from(fields, field, place->constant);
	const struct tree_node *node = fields->found[field];

	if (!node)
		return;
	if (place->pointer && node != &fields->made[field])
		accept_bare_of(tree, field, node);
	node = mapped(fields, field, place, node);
	node = scaled(fields, field, place, node);
	fields->found[field] = named(fields, field, place, node);
}

void event_fields_find(struct event_fields *fields, const struct format *format, struct tree *tree,
	const struct tree_node *root)
{
	memset(fields->found, 0, sizeof fields->found);
	memset(fields->scaled, 0, sizeof fields->scaled);
	find_by_name(fields, tree, root);
	for (int field = 0; format && field < FIELD_COUNT; field++)
		find_by_place(fields, (enum format_field)field, &format->fields[field], tree, root);
	find_stray(fields, tree);
	for (int field = 0; field < FIELD_COUNT; field++)
		if (fields->found[field] && fields->found[field]->kind == TREE_NULL)
			fields->found[field] = NULL;
}
