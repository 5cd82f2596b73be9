#include "alerts/fold.h"

#include "core/memory.h"
#include "core/topics.h"

#include <stdlib.h>
#include <string.h>

void alerts_put_state(struct alerts *alerts, const char *kind, struct view name, struct view data)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_text(&field, kind);
	bytes_add(&field, name.data, name.size);
	change_put(&alerts->change, TABLE_STATE, (struct view){field.data, field.size}, data);
}

void alerts_drop_state(struct alerts *alerts, const char *kind, struct view name)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	bytes_text(&field, kind);
	bytes_add(&field, name.data, name.size);
	change_drop(&alerts->change, TABLE_STATE, (struct view){field.data, field.size});
}

static void incident_to_record(const struct incident *incident, struct bytes *out)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	alert_to_json(&incident->alert, &json);
	bytes_sized(out, json.data, json.size);
	bytes_varint(out, (uint64_t)incident->untold | (uint64_t)incident->ended << 1);
	bytes_sized(out, incident->action, strlen(incident->action));
	bytes_varint(out, incident->open_count);
	for (size_t i = 0; i < incident->open_count; i++) {
		bytes_clear(&json);
		finding_to_json(&incident->open[i].finding, &json);
		bytes_sized(out, json.data, json.size);
	}
}

static enum rc open_from_record(struct reader *reader, struct incident *incident, struct err *err)
{
	uint64_t count = reader_varint(reader);

	for (uint64_t i = 0; i < count && reader->ok; i++) {
		struct finding finding = {0};

		TRY(finding_from_json(reader_sized(reader), &finding, err));
		incident_add_open(incident, &finding);
	}
	return reader->ok ? RC_OK : err_set(err, RC_FATAL, "state of an incident is damaged");
}

static enum rc incident_from_record(struct view data, struct incident *incident, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);

	TRY(alert_from_json(reader_sized(&reader), &incident->alert, err));
	incident->exists = true;
	uint64_t flags = reader_varint(&reader);

	incident->untold = flags & 1;
	incident->ended = flags & 2;
	view_copy(reader_sized(&reader), incident->action, sizeof incident->action);
	return open_from_record(&reader, incident, err);
}

static void told_to_record(const struct told *told, struct bytes *out)
{
	bytes_zigzag(out, told->at);
	bytes_zigzag(out, told->sequence);
	bytes_varint(out, told->alert_count);
	for (size_t i = 0; i < told->alert_count; i++)
		bytes_sized(out, told->alerts[i], strlen(told->alerts[i]));
}

static enum rc told_from_record(struct view data, struct told *told, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);

	told->at = reader_zigzag(&reader);
	told->sequence = reader_zigzag(&reader);
	uint64_t count = reader_varint(&reader);

	for (uint64_t i = 0; i < count && reader.ok; i++) {
		struct view alert = reader_sized(&reader);

		told->alerts =
			memory_grow(told->alerts, told->alert_count + 1, sizeof *told->alerts);
		told->alerts[told->alert_count++] = memory_copy(alert.data, alert.size);
	}
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state of a receiver is damaged");
}

static enum rc restore_incident(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct incident *incident = memory_new(1, sizeof *incident);

	map_put(&alerts->incidents, name.data, name.size, incident);
	return incident_from_record(data, incident, err);
}

static enum rc restore_told(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct told *told = memory_new(1, sizeof *told);

	map_put(&alerts->told, name.data, name.size, told);
	return told_from_record(data, told, err);
}

static enum rc restore_group(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);
	struct timer *timer = memory_new(1, sizeof *timer);

	timer->next_flush_at = reader_zigzag(&reader);
	timer->flushed = reader_varint(&reader) != 0;
	map_put(&alerts->timers, name.data, name.size, timer);
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state of a group is damaged");
}

static enum rc restore_seen(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	struct reader reader = reader_of(data.data, data.size);
	int64_t *ts = memory_new(1, sizeof *ts);

	*ts = reader_zigzag(&reader);
	map_put(&alerts->seen, name.data, name.size, ts);
	return reader.ok ? RC_OK : err_set(err, RC_FATAL, "state of a finding id is damaged");
}

static enum rc restore_notification(
	struct alerts *alerts, struct view name, struct view data, struct err *err)
{
	(void)name;
	return notification_from_json(data, alerts_add_pending(alerts), err);
}

static const struct {
	const char *kind;
	enum rc (*restore)(
		struct alerts *alerts, struct view name, struct view data, struct err *err);
} kinds[] = {
	{"group:", restore_group},
	{"incident:", restore_incident},
	{"notification:", restore_notification},
	{"seen:", restore_seen},
	{"told:", restore_told},
};

enum rc alerts_restore(void *context, struct view field, struct view data, struct err *err)
{
	struct alerts *alerts = context;
	enum rc rc = cursors_restore(&alerts->cursors, field, data, err);

	if (rc != RC_NONE)
		return rc;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t size = strlen(kinds[i].kind);

		if (field.size >= size && memcmp(field.data, kinds[i].kind, size) == 0)
			return kinds[i].restore(alerts,
				(struct view){field.data + size, field.size - size}, data, err);
	}
	return err_set(err, RC_FATAL, "state record %.*s is of no kind that we know",
		(int)field.size, field.data);
}

static int by_creation(const void *left, const void *right)
{
	const struct notification *a = *(struct notification *const *)left;
	const struct notification *b = *(struct notification *const *)right;

	if (a->created_at != b->created_at)
		return a->created_at < b->created_at ? -1 : 1;
	return strcmp(a->id, b->id);
}

void alerts_restored(struct alerts *alerts, int64_t now)
{
	struct map_entry **sorted = map_sorted(&alerts->incidents);
	struct map_entry *entry;
	size_t place = 0;

	for (size_t i = 0; i < alerts->incidents.count; i++) {
		struct incident *incident = sorted[i]->value;

		if (incident->alert.state == ALERT_FIRING || incident->untold)
			groups_route(&alerts->groups, alerts->config, incident, now);
	}
	free(sorted);
	while ((entry = map_next(&alerts->timers, &place))) {
		const struct timer *timer = entry->value;

		groups_restore(&alerts->groups, entry->key, timer->next_flush_at, timer->flushed);
	}
	map_free_values(&alerts->timers, free);
	if (alerts->pending_count)
		qsort(alerts->pending, alerts->pending_count, sizeof(struct notification *),
			by_creation);
}

void alerts_set_told(struct alerts *alerts, const struct notification *notification)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes record = {0};
	struct told *told = told_after(notification);

	told_key(notification->receiver, notification->integration, notification->group_key, &key);
	told_free(map_get(&alerts->told, key.data, key.size));
	map_put(&alerts->told, key.data, key.size, told);
	told_to_record(told, &record);
	alerts_put_state(alerts, "told:", bytes_view(&key), bytes_view(&record));
}

static void change_incidents(struct alerts *alerts)
{
	struct map_entry **sorted = map_sorted(&alerts->incidents);

	for (size_t i = 0; i < alerts->incidents.count; i++) {
		struct incident *incident = sorted[i]->value;
		CLEANUP(bytes_done) struct bytes record = {0};

		if (!incident->dirty)
			continue;
		incident_to_record(incident, &record);
		alerts_put_state(alerts,
			"incident:", (struct view){sorted[i]->key, sorted[i]->key_size},
			bytes_view(&record));
		incident->dirty = false;
	}
	free(sorted);
}

static void store_group(struct alerts *alerts, const struct group *group)
{
	CLEANUP(bytes_done) struct bytes data = {0};

	bytes_zigzag(&data, group->next_flush_at);
	bytes_varint(&data, group->flushed);
	alerts_put_state(alerts, "group:", view_of(group->key), bytes_view(&data));
}

static void change_groups(struct alerts *alerts)
{
	struct map_entry **sorted = map_sorted(&alerts->groups.by_key);

	for (size_t i = 0; i < alerts->groups.by_key.count; i++) {
		struct group *group = sorted[i]->value;

		if (group->dirty)
			store_group(alerts, group);
		group->dirty = false;
	}
	free(sorted);
}

void alerts_change(struct alerts *alerts, struct change *change)
{
	cursors_change(&alerts->cursors, &alerts->change);
	change_incidents(alerts);
	change_groups(alerts);

	struct change swap = *change;

	*change = alerts->change;
	alerts->change = swap;
	change_clear(&alerts->change);
}
