/* core/config_format.c: formats: of the configuration: mappings of somebody else's JSON. THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	double scale; /* to milliseconds */
} time_units[] = {{"s", 1000}, {"ms", 1}, {"us", 0.001}, {"ns", 0.000001}};

static bool parse_unit(const struct key *key, const char *text, void *item)
{
	for (size_t i = 0; i < sizeof time_units / sizeof *time_units; i++)
		if (strcmp(time_units[i].name, text) == 0) {
			*(double *)place_of(key, item) = time_units[i].scale;
			return true;
		}
	return false;
}

static void expect_unit(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "s, ms, us or ns");
}

static const struct type type_unit = {
	.read = scalar_read, .parse = parse_unit, .expect = expect_unit, .fill = scalar_fill};

static void expect_constant(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a text, number or boolean");
}

static const struct type type_constant = {
	.read = scalar_read, .parse = put_text, .expect = expect_constant};

static void read_map_entry(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct field_place *place = item;

	(void)path;
	if (!refuse_unless(reading, NODE_SCALAR, key, value))
		return;
	place->from = memory_grow(place->from, place->map_count + 1, sizeof *place->from);
	place->to = memory_grow(place->to, place->map_count + 1, sizeof *place->to);
	place->from[place->map_count] = memory_text(key->name);
	place->to[place->map_count++] = memory_text(value->text);
}

static const struct type type_map_entry = {.read = read_map_entry, .expect = expect_constant};

static const struct key other_map_entry = {.name = "FOUND",
	.type = &type_map_entry,
	.help = "What a value found in the event (by its canonical text) is taken as; values not "
		"listed "
		"stay as they are."};

static const struct section section_map = {.other = &other_map_entry};

static const struct key place_keys[] = {
	{.name = "pointer",
		.type = &type_pointer,
		.offset = offsetof(struct field_place, pointer),
		.help = "Where the field stands in the event (RFC 6901); the field's own name by "
			"default."},
	{.name = "const",
		.type = &type_constant,
		.offset = offsetof(struct field_place, constant),
		.help = "The same value for every event, instead of pointer."},
	{.name = "unit",
		.type = &type_unit,
		.offset = offsetof(struct field_place, scale),
		.fallback = "ms",
		.help = "Of latency_ms and ts."},
	{.name = "map",
		.type = &type_section,
		.section = &section_map,
		.help = "Translates values, as in `{\"true\": ok, \"false\": error}`."},
};

static void finish_place(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	struct field_place *place = item;
	const struct node *unit = node_get(mapping, "unit");
	bool timed = strcmp(path->name, format_field_names[FIELD_LATENCY_MS]) == 0 ||
		     strcmp(path->name, format_field_names[FIELD_TS]) == 0;

	if (unit && !timed)
		mistake(reading, unit,
			"unit: found a unit of %s, expected one of latency_ms or ts only",
			path->name);
	if (place->constant && mapping->count > 1)
		mistake(reading, mapping,
			"%s: found const and other keys, expected const alone or a place in the "
			"event",
			path->name);
	/* A unit or a map alone is about the field under its own name. */
	if (!place->constant && !place->pointer) {
		CLEANUP(bytes_done) struct bytes pointer = {0};

		bytes_format(&pointer, "/%s", path->name);
		place->pointer = memory_text(pointer.data);
	}
}

static const struct section section_place = {KEYS(place_keys), .finish = finish_place};

static int field_index(const char *name)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		if (strcmp(format_field_names[i], name) == 0)
			return i;
	return -1;
}

static bool accepts_field(struct reading *reading, const struct node *name, const struct path *path)
{
	CLEANUP(bytes_done) struct bytes where = {0}, meant = {0};
	struct hint hint = {.word = name->text};

	if (field_index(name->text) >= 0)
		return true;
	for (int i = 0; i < FIELD_COUNT; i++)
		hint_offer(&hint, format_field_names[i]);
	path_render(path, &where);
	mistake(reading, name, "%.60s: no such field of an event in %s%s", name->text, where.data,
		hint_text(&hint, &meant));
	return false;
}

/* field: /pointer, or field: {pointer:, unit:, map:, const:} */
static void read_field(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct format *format = item;
	struct field_place *place = &format->fields[field_index(key->name)];
	struct path here = {path, key->name, -1};
	struct key pointer = place_keys[0];

	if (value->kind != NODE_SCALAR) {
		section_read(reading, &section_place, value, &here, place);
		return;
	}
	pointer.name = key->name;
	pointer.told = "a JSON pointer such as /status/code, or a mapping with pointer or const";
	type_pointer.read(reading, &pointer, value, path, place);
}

static void expect_field(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a JSON pointer such as /status/code, or a mapping with pointer or const");
}

static const struct type type_field = {.read = read_field, .expect = expect_field};

static const struct key other_field = {.name = "FIELD",
	.type = &type_field,
	.section = &section_place,
	.help = "Where type, ts, model, version, role, segment, request_id, unit, latency_ms, "
		"status, error, "
		"score, class, features, label, name or value stands. What is left out is read "
		"under its own "
		"name."};

static const struct section section_format = {.other = &other_field, .accepts = accepts_field};

static void read_format(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct config *config = item;
	struct path here = {path, key->name, -1};
	struct format *format;

	config->formats =
		memory_grow(config->formats, config->format_count + 1, sizeof *config->formats);
	format = &config->formats[config->format_count++];
	*format = (struct format){.name = memory_text(key->name)};
	for (int i = 0; i < FIELD_COUNT; i++)
		section_fill(&section_place, &format->fields[i]);
	section_read(reading, &section_format, value, &here, format);
}

static void expect_format(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a mapping of fields of an event");
}

static void drop_formats(const struct key *key, void *item)
{
	struct config *config = item;

	(void)key;
	for (size_t i = 0; i < config->format_count; i++)
		format_done(&config->formats[i]);
	free(config->formats);
}

static const struct type type_format = {
	.read = read_format, .expect = expect_format, .drop = drop_formats};

static const struct key other_format = {.name = "NAME",
	.type = &type_format,
	.section = &section_format,
	.help = "A mapping by its name: used by `topics: [{topic: ml.raw, format: NAME}]` and "
		"`replay --format NAME`."};

const struct section section_formats = {.other = &other_format};
