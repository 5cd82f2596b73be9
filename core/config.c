/* core/config.c: a configuration once it is read; and the reference of all its keys. THINKS. */
#include "core/config_section.h"

#include <string.h>

void config_done(struct config *config)
{
	section_done(&section_config, config);
	*config = (struct config){0};
}

const struct config_model *config_model(
	const struct config *config, const char *model, const char *segment)
{
	const struct config_model *entry = config->models;

	/* The last entry matches everything. */
	while (!glob_matches(entry->match_model, model) ||
		!glob_matches(entry->match_segment, segment))
		entry++;
	return entry;
}

static void describe_default(const struct key *key, struct bytes *out)
{
	if (key->required)
		bytes_text(out, "required");
	else if (key->fallback)
		bytes_format(out, "`%s`", key->fallback);
	else if (key->told && strchr(key->told, '`'))
		bytes_text(out, key->told);
	else if (key->section)
		bytes_text(out, "below");
	else
		bytes_text(out, "none");
}

static void describe_key(const struct key *key, struct bytes *out)
{
	bytes_format(out, "| `%s` | ", key->name);
	key->type->expect(key, out);
	bytes_text(out, " | ");
	describe_default(key, out);
	bytes_format(out, " | %s |\n", key->help);
}

static bool is_list(const struct key *key)
{
	return key->type != &type_section && key->section->size;
}

static void describe_section(const struct section *section, const char *title, struct bytes *out);

static void describe_inside(const struct key *key, const char *title, struct bytes *out)
{
	CLEANUP(bytes_done) struct bytes inside = {0};

	if (!key->section)
		return;
	bytes_format(
		&inside, "%s%s%s%s", title, *title ? "." : "", key->name, is_list(key) ? "[]" : "");
	describe_section(key->section, inside.data, out);
}

static void describe_section(const struct section *section, const char *title, struct bytes *out)
{
	bytes_format(out, "\n### `%s`\n\n", *title ? title : "the file");
	bytes_text(out, "| key | expected | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < section->key_count; i++)
		describe_key(&section->keys[i], out);
	if (section->other)
		describe_key(section->other, out);
	for (size_t i = 0; i < section->key_count; i++)
		if (section->keys[i].section != section)
			describe_inside(&section->keys[i], title, out);
	if (section->other)
		describe_inside(section->other, title, out);
}

void config_describe(struct bytes *out)
{
	describe_section(&section_config, "", out);
}
