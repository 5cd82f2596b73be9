#include "ingest/models.h"

#include "core/json_tree.h"
#include "core/memory.h"
#include "core/topics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SILENT_MS = 3600000, SEGMENTS_MAX = 64, CONFIGURED_MAX = 100000 };

static const char other_segment[] = "__other__";

const char *const signal_names[SIGNALS] = {
	[SIGNAL_LATENCY] = "latency",
	[SIGNAL_ERRORS] = "errors",
	[SIGNAL_RATE] = "rate",
	[SIGNAL_SCORE] = "score",
	[SIGNAL_CLASS] = "class",
	[SIGNAL_LATE] = "late",
};

static void arm_free(struct arm *arm)
{
	for (int level = 0; level < LEVELS; level++)
		free(arm->cells[level].list);
	free(arm);
}

/* Its open windows are ended by ingest/windows.h before. */
static void model_free(struct model *model)
{
	for (size_t i = 0; i < model->arm_count; i++)
		arm_free(model->arms[i]);
	free(model->arms);
	map_done(&model->arms_by_key);
	for (size_t i = 0; i < model->version_count; i++)
		free(model->versions[i]);
	free(model->versions);
	free(model->segments);
	for (int level = 0; level < LEVELS; level++) {
		for (size_t i = 0; i < model->open[level].count; i++)
			free(model->open[level].list[i].windows);
		free(model->open[level].list);
	}
	free(model);
}

void models_done(struct models *models)
{
	for (size_t i = 0; i < models->count; i++)
		model_free(models->list[i]);
	free(models->list);
	free(models->changed);
	map_done(&models->by_name);
	*models = (struct models){0};
}

struct model *models_find(const struct models *models, struct view name)
{
	return map_get(&models->by_name, name.data, name.size);
}

static void note_changed(struct models *models, struct model *model)
{
	if (model->dirty)
		return;
	if (models->changed_count == models->changed_capacity) {
		models->changed_capacity = models->changed_capacity * 2 + 16;
		models->changed = memory_grow(
			models->changed, models->changed_capacity, sizeof(struct model *));
	}
	models->changed[models->changed_count++] = model;
	model->dirty = models->changed_count;
}

static void forget_changed(struct models *models, struct model *model)
{
	if (!model->dirty)
		return;
	struct model *last = models->changed[--models->changed_count];

	models->changed[model->dirty - 1] = last;
	last->dirty = model->dirty;
	model->dirty = 0;
}

/* Whether an entry of the configuration names the model: any that does not match every model. */
static bool is_configured(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->model_count; i++) {
		const char *pattern = config->models[i].match_model;

		if (strcmp(pattern, "*") != 0 && glob_matches(pattern, name))
			return true;
	}
	return false;
}

static struct model *new_model(struct models *models, const char *name)
{
	struct model *model = memory_new(1, sizeof *model);

	view_copy(view_of(name), model->name, sizeof model->name);
	model->configured = is_configured(models->config, name);
	model->tick_ms = config_model(models->config, name, "")->tick_ms;
	if (models->count == models->capacity) {
		models->capacity = models->capacity * 2 + 16;
		models->list = memory_grow(models->list, models->capacity, sizeof(struct model *));
	}
	models->list[models->count++] = model;
	models->unconfigured += !model->configured;
	map_put(&models->by_name, model->name, strlen(model->name), model);
	return model;
}

static bool is_idle(const struct model *model)
{
	for (int level = 0; level < LEVELS; level++)
		if (model->open[level].count)
			return false;
	return true;
}

static bool is_longer_silent(const struct model *a, const struct model *b)
{
	return a->last_ts != b->last_ts ? a->last_ts < b->last_ts : strcmp(a->name, b->name) < 0;
}

static void drop_model(struct models *models, size_t place, struct change *change)
{
	struct model *model = models->list[place];
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_format(&field, "model:%s", model->name);
	change_drop(change, TABLE_STATE, bytes_view(&field));
	forget_changed(models, model);
	map_take(&models->by_name, model->name, strlen(model->name));
	models->list[place] = models->list[--models->count];
	models->unconfigured -= !model->configured;
	model_free(model);
}

/* The longest silent unconfigured model goes, if it has been silent for an hour and has nothing
 * open. Until when surely none has been is remembered, so that a flood of new names does not look
 * through all models. */
static bool make_room_for_model(struct models *models, int64_t watermark_ms, struct change *change)
{
	size_t longest = models->count;
	int64_t earliest = INT64_MAX;

	if (watermark_ms <= models->no_room_until_ms)
		return false;
	for (size_t i = 0; i < models->count; i++) {
		const struct model *model = models->list[i];

		if (model->configured)
			continue;
		earliest = model->last_ts < earliest ? model->last_ts : earliest;
		if (is_idle(model) && (longest == models->count ||
					      is_longer_silent(model, models->list[longest])))
			longest = i;
	}
	models->no_room_until_ms = earliest + SILENT_MS;
	if (longest == models->count || watermark_ms <= models->list[longest]->last_ts + SILENT_MS)
		return false;
	drop_model(models, longest, change);
	return true;
}

static bool may_enter(
	struct models *models, const char *name, int64_t watermark_ms, struct change *change)
{
	if (is_configured(models->config, name))
		return models->count - models->unconfigured < CONFIGURED_MAX;
	return (int64_t)models->unconfigured < models->config->limits.models ||
	       make_room_for_model(models, watermark_ms, change);
}

static struct version *find_version(const struct model *model, const char *name, const char *role)
{
	for (size_t i = 0; i < model->version_count; i++)
		if (strcmp(model->versions[i]->name, name) == 0 &&
			(!role || strcmp(model->versions[i]->role, role) == 0))
			return model->versions[i];
	return NULL;
}

static struct version *add_version(struct model *model, const char *name, const char *role)
{
	struct version *version = memory_new(1, sizeof *version);

	view_copy(view_of(name), version->name, sizeof version->name);
	view_copy(view_of(role), version->role, sizeof version->role);
	model->versions =
		memory_grow(model->versions, model->version_count + 1, sizeof(struct version *));
	model->versions[model->version_count++] = version;
	return version;
}

/* A version in both roles is one version. */
static size_t versions_of(const struct model *model)
{
	size_t count = 0;

	for (size_t i = 0; i < model->version_count; i++)
		count += find_version(model, model->versions[i]->name, NULL) == model->versions[i];
	return count;
}

/* When a version was last seen in either role; INT64_MAX while it has open windows. */
static int64_t last_seen(const struct model *model, const char *name)
{
	int64_t last = 0;

	for (size_t i = 0; i < model->version_count; i++) {
		const struct version *version = model->versions[i];

		if (strcmp(version->name, name) != 0)
			continue;
		if (version->open)
			return INT64_MAX;
		last = version->last_ts > last ? version->last_ts : last;
	}
	return last;
}

struct arm_key {
	char text[3 * NAME_SIZE];
	size_t size;
};

static void add_part(struct arm_key *key, struct view part)
{
	memcpy(key->text + key->size, part.data, part.size);
	key->size += part.size;
	key->text[key->size++] = '\0';
}

static struct arm *find_arm(
	const struct model *model, struct view role, struct view segment, struct view version)
{
	struct arm_key key = {.size = 0};

	add_part(&key, role);
	add_part(&key, segment);
	add_part(&key, version);
	return map_get(&model->arms_by_key, key.text, key.size);
}

static struct arm *add_arm(struct models *models, struct model *model, const char *role,
	const char *segment, const char *version)
{
	struct arm *arm = memory_new(1, sizeof *arm);
	struct series *series = &arm->series;
	struct arm_key key = {.size = 0};

	view_copy(view_of(model->name), series->model, sizeof series->model);
	view_copy(view_of(version), series->version, sizeof series->version);
	view_copy(view_of(role), series->role, sizeof series->role);
	view_copy(view_of(segment), series->segment, sizeof series->segment);
	arm->model = model;
	arm->score_layout = config_model(models->config, model->name, segment)->score == SCORE_REAL
				    ? LAYOUT_REAL
				    : LAYOUT_PROBABILITY;
	model->arms = memory_grow(model->arms, model->arm_count + 1, sizeof(struct arm *));
	model->arms[model->arm_count++] = arm;
	add_part(&key, view_of(role));
	add_part(&key, view_of(segment));
	add_part(&key, view_of(version));
	map_put(&model->arms_by_key, key.text, key.size, arm);
	return arm;
}

/* The arm with its lane and, if it is asked for, its version; each made where it is missing. */
static struct arm *need_arm(struct models *models, struct model *model, const char *role,
	const char *segment, const char *version, bool with_version)
{
	struct view role_view = view_of(role);
	struct view segment_view = view_of(segment);
	struct arm *lane = find_arm(model, role_view, segment_view, (struct view){"", 0});

	if (!lane) {
		lane = add_arm(models, model, role, segment, "");
		lane->lane = lane;
	}
	if (!with_version)
		return lane;
	struct arm *arm = find_arm(model, role_view, segment_view, view_of(version));

	if (!arm)
		arm = add_arm(models, model, role, segment, version);
	arm->lane = lane;
	arm->version = find_version(model, version, role);
	if (!arm->version)
		arm->version = add_version(model, version, role);
	return arm;
}

static void drop_arm(struct model *model, size_t place)
{
	struct arm *arm = model->arms[place];
	struct arm_key key = {.size = 0};

	add_part(&key, view_of(arm->series.role));
	add_part(&key, view_of(arm->series.segment));
	add_part(&key, view_of(arm->series.version));
	map_take(&model->arms_by_key, key.text, key.size);
	model->arms[place] = model->arms[--model->arm_count];
	arm_free(arm);
}

static void drop_version(struct model *model, const char *name)
{
	for (size_t i = model->arm_count; i-- > 0;) {
		struct arm *arm = model->arms[i];

		if (!arm->version || strcmp(arm->series.version, name) != 0)
			continue;
		if (arm->lane == arm)
			arm->version = NULL;
		else
			drop_arm(model, i);
	}
	for (size_t i = model->version_count; i-- > 0;) {
		if (strcmp(model->versions[i]->name, name) != 0)
			continue;
		free(model->versions[i]);
		model->version_count--;
		memmove(model->versions + i, model->versions + i + 1,
			(model->version_count - i) * sizeof(struct version *));
	}
}

static bool make_room_for_version(struct model *model, int64_t watermark_ms)
{
	char longest[NAME_SIZE] = "";
	int64_t longest_seen = INT64_MAX;

	for (size_t i = 0; i < model->version_count; i++) {
		const char *name = model->versions[i]->name;
		int64_t seen = last_seen(model, name);

		if (seen < longest_seen ||
			(seen == longest_seen && seen != INT64_MAX && strcmp(name, longest) < 0)) {
			view_copy(view_of(name), longest, sizeof longest);
			longest_seen = seen;
		}
	}
	if (longest_seen == INT64_MAX || watermark_ms <= longest_seen + SILENT_MS)
		return false;
	drop_version(model, longest);
	return true;
}

static bool may_have_version(
	struct models *models, struct model *model, const char *name, int64_t watermark_ms)
{
	return find_version(model, name, NULL) ||
	       (int64_t)versions_of(model) < models->config->limits.versions ||
	       make_room_for_version(model, watermark_ms);
}

/* Beyond so many segments of a model, others are one. */
static const char *segment_of(struct model *model, const char *segment)
{
	if (!*segment || strcmp(segment, other_segment) == 0)
		return segment;
	for (size_t i = 0; i < model->segment_count; i++)
		if (strcmp(model->segments[i], segment) == 0)
			return segment;
	if (model->segment_count == SEGMENTS_MAX)
		return other_segment;
	model->segments =
		memory_grow(model->segments, model->segment_count + 1, sizeof *model->segments);
	view_copy(view_of(segment), model->segments[model->segment_count++], NAME_SIZE);
	return segment;
}

static bool is_of_version(const struct event *event)
{
	return event->type == EVENT_PREDICTION || event->type == EVENT_LATENCY ||
	       event->type == EVENT_DEPLOY;
}

static struct arm *known_arm(const struct models *models, const struct event *event)
{
	const struct model *model = models_find(models, event->model);
	bool with_version = is_of_version(event);

	if (!model)
		return NULL;
	struct arm *arm = find_arm(model, event->role, event->segment,
		with_version ? event->version : (struct view){"", 0});

	return arm && with_version && !arm->version ? NULL : arm;
}

enum event_code models_admit(struct models *models, const struct event *event, int64_t watermark_ms,
	struct change *change, struct arm **arm)
{
	bool with_version = is_of_version(event);
	char name[NAME_SIZE];
	char version[NAME_SIZE];
	char role[NAME_SIZE];
	char segment[NAME_SIZE];

	*arm = known_arm(models, event);
	if (*arm)
		return E_GOOD;
	view_copy(event->model, name, sizeof name);
	view_copy(event->version, version, sizeof version);
	view_copy(event->role, role, sizeof role);
	view_copy(event->segment, segment, sizeof segment);
	struct model *model = models_find(models, event->model);

	if (!model && !may_enter(models, name, watermark_ms, change))
		return E_CARD_MODEL;
	if (model && with_version && !may_have_version(models, model, version, watermark_ms))
		return E_CARD_VERSION;
	if (!model)
		model = new_model(models, name);
	*arm = need_arm(models, model, role, segment_of(model, segment), version, with_version);
	note_changed(models, model);
	return E_GOOD;
}

void models_touch(struct models *models, struct arm *arm, const struct event *event)
{
	if (arm->model->last_ts < event->ts)
		arm->model->last_ts = event->ts;
	if (is_of_version(event) && arm->version->last_ts < event->ts)
		arm->version->last_ts = event->ts;
	note_changed(models, arm->model);
}

struct arm *models_arm_of(struct models *models, const struct series *series)
{
	struct model *model = models_find(models, view_of(series->model));
	bool with_version = strcmp(series->signal, signal_names[SIGNAL_RATE]) != 0 &&
			    strcmp(series->signal, signal_names[SIGNAL_LATE]) != 0;

	return model ? need_arm(models, model, series->role, series->segment, series->version,
			       with_version)
		     : NULL;
}

static void model_to_json(const struct model *model, struct bytes *out)
{
	bytes_text(out, "{\"kind\":\"model\",\"model\":");
	json_add_text(out, view_of(model->name));
	bytes_format(out, ",\"last_ts\":%" PRId64 ",\"versions\":[", model->last_ts);
	for (size_t i = 0; i < model->version_count; i++) {
		bytes_text(out, i ? ",{\"version\":" : "{\"version\":");
		json_add_text(out, view_of(model->versions[i]->name));
		bytes_text(out, ",\"role\":");
		json_add_text(out, view_of(model->versions[i]->role));
		bytes_format(out, ",\"last_ts\":%" PRId64 "}", model->versions[i]->last_ts);
	}
	bytes_text(out, "],\"segments\":[");
	for (size_t i = 0; i < model->segment_count; i++) {
		bytes_text(out, i ? "," : "");
		json_add_text(out, view_of(model->segments[i]));
	}
	bytes_text(out, "]}");
}

void models_change(struct models *models, struct change *change)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes data = {0};

	for (size_t i = 0; i < models->changed_count; i++) {
		struct model *model = models->changed[i];

		bytes_clear(&field);
		bytes_clear(&data);
		bytes_format(&field, "model:%s", model->name);
		model_to_json(model, &data);
		change_put(change, TABLE_STATE, bytes_view(&field), bytes_view(&data));
		model->dirty = 0;
	}
	models->changed_count = 0;
}

static void read_versions(
	struct model *model, const struct tree *tree, const struct tree_node *list)
{
	char name[NAME_SIZE];
	char role[NAME_SIZE];

	for (const struct tree_node *node = tree_child(tree, list); node;
		node = tree_next(tree, node)) {
		view_copy(tree_text(tree, node, "version"), name, sizeof name);
		view_copy(tree_text(tree, node, "role"), role, sizeof role);
		add_version(model, name, role)->last_ts = tree_integer(tree, node, "last_ts");
	}
}

static void read_segments(
	struct model *model, const struct tree *tree, const struct tree_node *list)
{
	char segment[NAME_SIZE];

	for (const struct tree_node *node = tree_child(tree, list); node;
		node = tree_next(tree, node)) {
		view_copy(node->text, segment, sizeof segment);
		segment_of(model, segment);
	}
}

enum rc models_restore(struct models *models, struct view data, struct err *err)
{
	CLEANUP(tree_done) struct tree tree = {0};
	struct tree_fault fault;
	char name[NAME_SIZE];
	const struct tree_node *root = tree_parse(&tree, data, 8, false, &fault);

	if (!root)
		return err_set(err, RC_FATAL, "a model's state is damaged: %s at byte %zu",
			fault.why, fault.byte);
	view_copy(tree_text(&tree, root, "model"), name, sizeof name);
	const struct tree_node *versions = tree_get(&tree, root, "versions");
	const struct tree_node *segments = tree_get(&tree, root, "segments");

	if (!*name || !versions || !segments || models_find(models, view_of(name)))
		return err_set(err, RC_FATAL,
			"a model's state is damaged: expected a new name, "
			"versions and segments");
	struct model *model = new_model(models, name);

	model->last_ts = tree_integer(&tree, root, "last_ts");
	read_versions(model, &tree, versions);
	read_segments(model, &tree, segments);
	return RC_OK;
}
