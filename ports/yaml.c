/* ports/yaml.c: YAML texts as trees, event by event; the one user of libyaml. */
#include "ports/yaml.h"

#include "core/map.h"
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 32, NODES_MAX = 100000 };

/* A list or mapping that is not closed yet. It joins its parent when it is. */
struct open_node {
	struct node *node;
	struct node *key; /* MAPPING: waits for its value */
	bool twice;       /* ... and stands there already: its value is dropped */
	struct map keys;  /* MAPPING: what stands there, to its node */
};

struct build {
	yaml_parser_t parser;
	struct view text;
	const char *file;
	struct mistakes *mistakes;
	struct open_node open[DEPTH_MAX];
	size_t depth;
	size_t nodes;
	struct node *root; /* NULL until it is closed */
	bool refused;      /* something is not what it says: no tree */
	bool over;
};

/* at: where, as libyaml counts. */
static void refuse(struct build *build, yaml_mark_t at, const char *what)
{
	mistakes_add(
		build->mistakes, build->file, (int)at.line + 1, (int)at.column + 1, "%s", what);
	build->refused = true;
}

static struct node *new_node(struct build *build, enum node_kind kind, const yaml_event_t *event)
{
	if (++build->nodes > NODES_MAX) {
		refuse(build, event->start_mark,
			"more than 100 000 values, expected a configuration");
		build->over = true;
	}
	return node_new(kind, build->file, (int)event->start_mark.line + 1,
		(int)event->start_mark.column + 1);
}

static void take_key(struct build *build, struct open_node *into, struct node *key)
{
	const struct node *first;
	size_t size;

	if (key->kind != NODE_SCALAR) {
		mistakes_add(build->mistakes, key->file, key->line, key->column,
			"found a list or mapping as a key, expected a text");
		build->refused = build->over = true;
		node_free(key);
		return;
	}
	size = strlen(key->text);
	first = map_get(&into->keys, key->text, size);
	into->key = key;
	into->twice = first;
	if (first)
		mistakes_add(build->mistakes, key->file, key->line, key->column,
			"%.60s: given twice, first in line %d", key->text, first->line);
	else
		map_put(&into->keys, key->text, size, key);
}

/* Gives a whole node to what is open around it. */
static void join(struct build *build, struct node *node)
{
	struct open_node *into = build->depth ? &build->open[build->depth - 1] : NULL;

	if (!into) {
		build->root = node;
	} else if (into->node->kind == NODE_LIST) {
		node_add(into->node, NULL, node);
	} else if (!into->key) {
		take_key(build, into, node);
	} else if (into->twice) {
		node_free(into->key);
		node_free(node);
		into->key = NULL;
	} else {
		node_add(into->node, into->key, node);
		into->key = NULL;
	}
}

static void open_node(struct build *build, enum node_kind kind, const yaml_event_t *event)
{
	if (build->depth == DEPTH_MAX) {
		refuse(build, event->start_mark,
			"more than 32 lists and mappings inside one another");
		build->over = true;
		return;
	}
	build->open[build->depth++] = (struct open_node){.node = new_node(build, kind, event)};
}

static void close_node(struct build *build)
{
	struct open_node *open = &build->open[--build->depth];
	struct node *node = open->node;

	map_done(&open->keys);
	*open = (struct open_node){0};
	join(build, node);
}

static void take_scalar(struct build *build, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t size = event->data.scalar.length;
	struct node *node;

	if (strlen(text) != size)
		refuse(build, event->start_mark, "found a NUL character in a text, expected none");
	node = new_node(build, NODE_SCALAR, event);
	node->text = memory_copy(text, size);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	join(build, node);
}

/* What stands for something else is refused: what an operator reads is what there is. */
static void refuse_decoration(struct build *build, const yaml_event_t *event,
	const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		refuse(build, event->start_mark,
			"found an anchor (&), expected none; write values out");
	if (tag)
		refuse(build, event->start_mark,
			"found a tag (!), expected none; types follow from keys");
}

static void take_event(struct build *build, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (build->root) {
			refuse(build, event->start_mark,
				"found a second document (---), expected one in a file");
			build->over = true;
		}
		break;
	case YAML_ALIAS_EVENT:
		/* A text takes its place, so that the rest of the file can be looked at. */
		refuse(build, event->start_mark,
			"found an alias (*), expected none; write values out");
		struct node *node = new_node(build, NODE_SCALAR, event);

		node->text = memory_text("*");
		join(build, node);
		break;
	case YAML_SCALAR_EVENT:
		refuse_decoration(build, event, event->data.scalar.anchor, event->data.scalar.tag);
		take_scalar(build, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_decoration(build, event, event->data.sequence_start.anchor,
			event->data.sequence_start.tag);
		open_node(build, NODE_LIST, event);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_decoration(build, event, event->data.mapping_start.anchor,
			event->data.mapping_start.tag);
		open_node(build, NODE_MAPPING, event);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_node(build);
		break;
	case YAML_STREAM_END_EVENT:
		build->over = true;
		break;
	default:
		break;
	}
}

static yaml_mark_t mark_of(struct view text, size_t offset)
{
	yaml_mark_t mark = {0};

	for (size_t i = 0; i < offset && i < text.size; i++) {
		if (text.data[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if (((unsigned char)text.data[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

/* Whether the line is indented with a tab, which YAML does not allow and an editor does not show.
 */
static bool has_tab(struct view text, size_t line)
{
	const char *at = text.data, *end = text.data + text.size;

	for (; line && at < end; at++)
		line -= *at == '\n';
	while (at < end && *at == ' ')
		at++;
	return at < end && *at == '\t';
}

static void refuse_text(struct build *build)
{
	const yaml_parser_t *parser = &build->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		memory_exhausted();
	const char *problem = parser->problem ? parser->problem : "not YAML";
	CLEANUP(bytes_done) struct bytes what = {0};

	if (parser->error == YAML_READER_ERROR) {
		bytes_format(&what, "%s", problem);
		if (parser->problem_value != -1)
			bytes_format(&what, " (0x%02X)", (unsigned)parser->problem_value);
		bytes_text(&what, ", expected text in UTF-8");
		refuse(build, mark_of(build->text, parser->problem_offset), what.data);
		return;
	}
	bytes_format(&what, "%s%s%s", parser->context ? parser->context : "",
		parser->context ? ": " : "", problem);
	if (has_tab(build->text, parser->problem_mark.line))
		bytes_text(&what, "; indent with spaces, not tabs");
	refuse(build, parser->problem_mark, what.data);
}

static void drop_open(struct build *build)
{
	while (build->depth) {
		struct open_node *open = &build->open[--build->depth];

		map_done(&open->keys);
		node_free(open->key);
		node_free(open->node);
	}
}

static void parse(struct build *build)
{
	while (!build->over) {
		yaml_event_t event;

		if (!yaml_parser_parse(&build->parser, &event)) {
			refuse_text(build);
			return;
		}
		take_event(build, &event);
		yaml_event_delete(&event);
	}
}

struct node *yaml_parse(struct view text, const char *file, struct mistakes *mistakes)
{
	if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		text = (struct view){text.data + 3, text.size - 3}; /* as some editors begin */
	struct build build = {.text = text, .file = file, .mistakes = mistakes};

	if (!yaml_parser_initialize(&build.parser))
		memory_exhausted();
	yaml_parser_set_encoding(&build.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&build.parser, (const unsigned char *)(text.size ? text.data : ""), text.size);
	parse(&build);
	yaml_parser_delete(&build.parser);
	drop_open(&build);
	if (build.refused) {
		node_free(build.root);
		return NULL;
	}
	return build.root ? build.root : node_new(NODE_MAPPING, file, 1, 1);
}
