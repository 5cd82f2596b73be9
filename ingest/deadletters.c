#include "ingest/deadletters.h"

#include "core/digest.h"
#include "core/json_tree.h"
#include "core/memory.h"
#include "core/topics.h"
#include "ports/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char other_group[] = "__other__";

void deadletters_done(struct deadletters *deadletters)
{
	size_t place = 0;
	struct map_entry *entry;

	while ((entry = map_next(&deadletters->groups, &place)))
		free(entry->value);
	map_done(&deadletters->groups);
	free(deadletters->changed);
	*deadletters = (struct deadletters){0};
}

/* A detail without what differs from message to message: quoted texts emptied, numbers 0. */
static void normalise(const char *detail, struct bytes *out)
{
	bool quoted = false;
	char before = '\0';

	for (const char *at = detail; *at; at++) {
		char c = *at >= '0' && *at <= '9' ? '0' : *at;

		if (c == '"')
			quoted = !quoted;
		if ((quoted && c != '"') || (c == '0' && before == '0'))
			continue;
		bytes_add(out, &c, 1);
		before = c;
	}
}

static void fingerprint_of(const struct deadletter *letter, char fingerprint[FINGERPRINT_SIZE])
{
	CLEANUP(bytes_done) struct bytes detail = {0};
	char id[ID_SIZE];

	normalise(letter->rejection->detail, &detail);
	const char *parts[] = {"v1", event_code_names[letter->rejection->code],
		detail.data ? detail.data : "", letter->topic, NULL};

	digest_id(id, 'd', parts);
	memcpy(fingerprint, id + 2, FINGERPRINT_SIZE - 1);
	fingerprint[FINGERPRINT_SIZE - 1] = '\0';
}

static void note_changed(struct deadletters *deadletters, struct group *group)
{
	if (group->dirty)
		return;
	if (deadletters->changed_count == deadletters->changed_capacity) {
		deadletters->changed_capacity = deadletters->changed_capacity * 2 + 16;
		deadletters->changed = memory_grow(deadletters->changed,
			deadletters->changed_capacity, sizeof(struct group *));
	}
	deadletters->changed[deadletters->changed_count++] = group;
	group->dirty = true;
}

static struct group *find_group(const struct deadletters *deadletters, const char *fingerprint)
{
	return map_get(&deadletters->groups, fingerprint, strlen(fingerprint));
}

static struct group *add_group(struct deadletters *deadletters, const char *fingerprint)
{
	struct group *group = memory_new(1, sizeof *group);

	snprintf(group->fingerprint, sizeof group->fingerprint, "%s", fingerprint);
	map_put(&deadletters->groups, fingerprint, strlen(fingerprint), group);
	return group;
}

static struct group *need_group(
	struct deadletters *deadletters, const char *fingerprint, const struct deadletter *letter)
{
	struct group *group = find_group(deadletters, fingerprint);

	if (!group && deadletters->groups.count >= GROUPS_MAX) {
		fingerprint = other_group;
		group = find_group(deadletters, fingerprint);
	}
	if (group)
		return group;
	group = add_group(deadletters, fingerprint);
	bool other = strcmp(fingerprint, other_group) == 0;

	snprintf(group->code, sizeof group->code, "%s",
		other ? "" : event_code_names[letter->rejection->code]);
	snprintf(group->detail, sizeof group->detail, "%s",
		other ? "of all further kinds" : letter->rejection->detail);
	group->first_seen = letter->seen_ms;
	group->second = INT64_MIN;
	return group;
}

/* Where append times are not known, a thousand messages stand for a second. */
static bool has_share(
	const struct config *config, struct group *group, const struct deadletter *letter)
{
	int64_t second = (letter->append_ms >= 0 ? letter->append_ms : letter->offset) / 1000;

	if (second != group->second) {
		group->second = second;
		group->sent = 0;
	}
	if (group->sent >= config->limits.deadletters_s)
		return false;
	group->sent++;
	return true;
}

static bool is_literal_character(char c)
{
	return c && strchr("{}[]:,+-. \t\r\n", c);
}

/* The length of a word of JSON at the start of text, or 0. */
static size_t word_length(struct view text)
{
	static const char *const words[] = {"true", "false", "null", "NaN", "Infinity"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t size = strlen(words[i]);

		if (text.size >= size && memcmp(text.data, words[i], size) == 0)
			return size;
	}
	return 0;
}

void deadletter_disguise(struct view payload, struct bytes *out)
{
	bool quoted = false;

	for (size_t i = 0; i < payload.size; i++) {
		char c = payload.data[i];
		size_t word =
			quoted ? 0 : word_length((struct view){payload.data + i, payload.size - i});

		if (word) {
			bytes_add(out, payload.data + i, word);
			i += word - 1;
			continue;
		}
		if (quoted && c == '\\' && i + 1 < payload.size) {
			bytes_text(out, "xx");
			i++;
			continue;
		}
		if (c == '"')
			quoted = !quoted;
		else if (c >= '0' && c <= '9')
			c = '0';
		else if (quoted || !is_literal_character(c))
			c = 'x';
		bytes_add(out, &c, 1);
	}
}

static void add_header(struct bytes *headers, const char *name, const char *value)
{
	bytes_sized(headers, name, strlen(name));
	bytes_sized(headers, value, strlen(value));
}

static void add_number_header(struct bytes *headers, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	add_header(headers, name, text);
}

static void emit(const struct config *config, const struct deadletter *letter,
	const char *fingerprint, struct change *change)
{
	CLEANUP(bytes_done) struct bytes headers = {0};
	CLEANUP(bytes_done) struct bytes disguised = {0};
	const struct rejection *rejection = letter->rejection;
	struct view value = letter->value;

	add_header(&headers, "code", event_code_names[rejection->code]);
	add_header(&headers, "stage", event_code_stage(rejection->code));
	add_header(&headers, "detail", rejection->detail);
	add_number_header(&headers, "byte", rejection->byte);
	add_header(&headers, "topic", letter->topic);
	add_number_header(&headers, "partition", letter->partition);
	add_number_header(&headers, "offset", letter->offset);
	add_number_header(&headers, "append", letter->append_ms);
	add_header(&headers, "fingerprint", fingerprint);
	add_header(&headers, "service", "modelwatch-ingest " MODELWATCH_VERSION);
	if (config->deadletter_payload == PAYLOAD_NONE || rejection->code == E_OVERSIZE ||
		!value.data) {
		value = (struct view){"", 0};
	} else if (config->deadletter_payload == PAYLOAD_REDACTED) {
		deadletter_disguise(value, &disguised);
		value = bytes_view(&disguised);
	}
	change_emit(change, TOPIC_DEADLETTER, view_of(fingerprint), value, &headers);
}

void deadletters_add(
	struct deadletters *deadletters, const struct deadletter *letter, struct change *change)
{
	char fingerprint[FINGERPRINT_SIZE];

	fingerprint_of(letter, fingerprint);
	struct group *group = need_group(deadletters, fingerprint, letter);

	group->total++;
	group->last_seen = letter->seen_ms;
	if (group->sample_count < SAMPLES_MAX)
		group->samples[group->sample_count++] = letter->offset;
	note_changed(deadletters, group);
	if (has_share(deadletters->config, group, letter))
		emit(deadletters->config, letter, group->fingerprint, change);
}

static void group_to_json(
	const struct group *group, const char *topic, int32_t partition, struct bytes *out)
{
	bytes_format(out,
		"{\"kind\":\"deadletter\",\"fingerprint\":\"%s\",\"code\":\"%s\",\"detail\":",
		group->fingerprint, group->code);
	json_add_text(out, view_of(group->detail));
	bytes_format(out,
		",\"first_seen\":%" PRId64 ",\"last_seen\":%" PRId64 ",\"total\":%" PRId64
		",\"samples\":[",
		group->first_seen, group->last_seen, group->total);
	for (size_t i = 0; i < group->sample_count; i++) {
		bytes_text(out, i ? ",{\"topic\":" : "{\"topic\":");
		json_add_text(out, view_of(topic));
		bytes_format(out, ",\"partition\":%d,\"offset\":%" PRId64 "}", (int)partition,
			group->samples[i]);
	}
	bytes_format(
		out, "],\"second\":%" PRId64 ",\"sent\":%" PRId64 "}", group->second, group->sent);
}

void deadletters_change(struct deadletters *deadletters, const char *topic, int32_t partition,
	struct change *change)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	CLEANUP(bytes_done) struct bytes data = {0};

	for (size_t i = 0; i < deadletters->changed_count; i++) {
		struct group *group = deadletters->changed[i];

		bytes_clear(&field);
		bytes_clear(&data);
		bytes_format(&field, "deadletter:%s", group->fingerprint);
		group_to_json(group, topic, partition, &data);
		struct view json = {data.data, data.size};

		change_put(change, TABLE_DEADLETTERS, view_of(group->fingerprint), json);
		change_put(change, TABLE_STATE, bytes_view(&field), json);
		group->dirty = false;
	}
	deadletters->changed_count = 0;
}

enum rc deadletters_restore(struct deadletters *deadletters, struct view data, struct err *err)
{
	CLEANUP(tree_done) struct tree tree = {0};
	struct tree_fault fault;
	char fingerprint[FINGERPRINT_SIZE];
	const struct tree_node *root = tree_parse(&tree, data, 8, false, &fault);

	if (!root)
		return err_set(err, RC_FATAL, "a group of dead letters is damaged: %s at byte %zu",
			fault.why, fault.byte);
	view_copy(tree_text(&tree, root, "fingerprint"), fingerprint, sizeof fingerprint);
	if (!*fingerprint || find_group(deadletters, fingerprint))
		return err_set(err, RC_FATAL,
			"a group of dead letters is damaged: expected a new fingerprint");
	struct group *group = add_group(deadletters, fingerprint);

	view_copy(tree_text(&tree, root, "code"), group->code, sizeof group->code);
	view_copy(tree_text(&tree, root, "detail"), group->detail, sizeof group->detail);
	group->first_seen = tree_integer(&tree, root, "first_seen");
	group->last_seen = tree_integer(&tree, root, "last_seen");
	group->total = tree_integer(&tree, root, "total");
	group->second = tree_integer(&tree, root, "second");
	group->sent = tree_integer(&tree, root, "sent");
	const struct tree_node *samples = tree_get(&tree, root, "samples");

	for (const struct tree_node *sample = samples ? tree_child(&tree, samples) : NULL;
		sample && group->sample_count < SAMPLES_MAX; sample = tree_next(&tree, sample))
		group->samples[group->sample_count++] = tree_integer(&tree, sample, "offset");
	return RC_OK;
}
