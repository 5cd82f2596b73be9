/* ports/store_memory.c: folds in memory, for replay and the flow tests: what Redis would do,
 * faster. Times to live are not kept: nothing here outlives its process, and the caller bounds what
 * it puts. A callback must not change the store that it is called from. */
#include "core/map.h"
#include "core/memory.h"
#include "ports/store_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct blob {
	size_t size, capacity;
	char data[];
};

struct entry {
	uint64_t number;
	struct blob *blob; /* owned; NULL: was taken out of the middle */
};

struct queue { /* places first..end of the array are used; numbers grow */
	struct entry *entries;
	size_t first, end, capacity;
	uint64_t last; /* number of the newest entry that there ever was */
};

enum table_kind { TABLE_ABSENT, TABLE_HASH, TABLE_STREAM };
static const char *const table_kinds[] = {"none", "hash", "stream"};

struct table {
	enum table_kind kind;
	struct map records; /* HASH: field to struct blob */
	struct queue queue; /* STREAM */

	/* What the table will be after the writes of a change that were checked so far. */
	uint64_t check; /* the number of the check that these are of */
	enum table_kind kind_then;
	uint64_t last_then;
};

struct stored_fold {
	char token[TOKEN_SIZE]; /* "": nothing is stored */
	char epoch[EPOCH_SIZE];
	struct map tables;   /* name to struct table */
	struct queue outbox; /* topic, key, value, headers as bytes_sized() */
};

struct store_memory {
	struct store store;
	struct map folds; /* SERVICE/LOG to struct stored_fold */
	uint64_t checks;
	struct bytes buffer; /* for one output */
};

static struct store_memory *self_of(struct store *store)
{
	return (struct store_memory *)store;
}

/* A blob with these bytes, in the place of an old one (or NULL), which it replaces. */
static struct blob *blob_fill(struct blob *old, struct view data)
{
	struct blob *blob = old;

	if (!old || old->capacity < data.size) {
		/* What grew once is likely to grow again. */
		size_t capacity = old ? data.size + data.size / 4 : data.size;

		free(old);
		blob = memory_new(1, sizeof *blob + capacity);
		blob->capacity = capacity;
	}
	if (data.size)
		memcpy(blob->data, data.data, data.size);
	blob->size = data.size;
	return blob;
}

static struct view blob_view(const struct blob *blob)
{
	return (struct view){blob->data, blob->size};
}

/* Queues. */

static void make_room(struct queue *queue)
{
	size_t count = queue->end - queue->first;

	if (queue->end < queue->capacity)
		return;
	if (queue->first > count) {
		memmove(queue->entries, queue->entries + queue->first,
			count * sizeof *queue->entries);
		queue->first = 0;
		queue->end = count;
		return;
	}
	queue->capacity = queue->capacity ? queue->capacity * 2 : 16;
	queue->entries = memory_grow(queue->entries, queue->capacity, sizeof *queue->entries);
}

static void queue_add(struct queue *queue, uint64_t number, struct view data)
{
	make_room(queue);
	queue->entries[queue->end++] =
		(struct entry){.number = number, .blob = blob_fill(NULL, data)};
	queue->last = number;
}

static void queue_cut(struct queue *queue, size_t first)
{
	while (queue->first < first)
		free(queue->entries[queue->first++].blob);
}

/* The place of the first entry with this number or a higher one. */
static size_t queue_find(const struct queue *queue, uint64_t number)
{
	size_t low = queue->first;
	size_t high = queue->end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (queue->entries[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void queue_take(struct queue *queue, uint64_t number)
{
	size_t place = queue_find(queue, number);

	if (place == queue->end || queue->entries[place].number != number)
		return;
	free(queue->entries[place].blob);
	queue->entries[place].blob = NULL;
	while (queue->first < queue->end && !queue->entries[queue->first].blob)
		queue->first++;
}

static void queue_done(struct queue *queue)
{
	queue_cut(queue, queue->end);
	free(queue->entries);
}

/* Folds and tables. */

/* add: makes it if it is not there; else NULL. */
static struct stored_fold *fold_of(struct store_memory *self, const struct fold *fold, bool add)
{
	char name[LOG_NAME_SIZE + 64];
	int size = snprintf(name, sizeof name, "%s/%s", fold->service, fold->log);
	struct stored_fold *stored = map_get(&self->folds, name, (size_t)size);

	if (!stored && add) {
		stored = memory_new(1, sizeof *stored);
		map_put(&self->folds, name, (size_t)size, stored);
	}
	return stored;
}

/* The fold that the head is one of, or NULL: nothing is stored under its epoch. */
static struct stored_fold *fold_under(
	struct store_memory *self, const struct fold *fold, const struct head *head)
{
	struct stored_fold *stored = fold_of(self, fold, false);

	return stored && strcmp(stored->epoch, head->epoch) == 0 ? stored : NULL;
}

static struct table *table_under(struct store_memory *self, const struct fold *fold,
	const struct head *head, const char *name)
{
	struct stored_fold *stored = fold_under(self, fold, head);

	return stored ? map_get(&stored->tables, name, strlen(name)) : NULL;
}

static struct table *table_of_write(
	struct stored_fold *stored, const struct change *change, const struct write *write)
{
	const char *name = change->arena.data + write->table;
	struct table *table = map_get(&stored->tables, name, write->table_size);

	if (!table) {
		table = memory_new(1, sizeof *table);
		map_put(&stored->tables, name, write->table_size, table);
	}
	return table;
}

/* As in Redis, a hash without records is not there, and a stream without entries is. */
static enum table_kind kind_of(const struct table *table)
{
	return table->kind == TABLE_HASH && !table->records.count ? TABLE_ABSENT : table->kind;
}

/* A step is checked as a whole before the first write, with the sentences of advance.lua. */

static enum rc check_write(struct stored_fold *stored, const struct change *change,
	const struct write *write, uint64_t check, struct err *err)
{
	struct table *table = table_of_write(stored, change, write);
	bool is_stream = write->kind == WRITE_APPEND || write->kind == WRITE_TRIM;
	enum table_kind wanted = is_stream ? TABLE_STREAM : TABLE_HASH;
	struct view name = change_view(change, write->table, write->table_size);

	if (table->check != check) {
		table->check = check;
		table->kind_then = kind_of(table);
		table->last_then = table->queue.last;
	}
	if (table->kind_then != TABLE_ABSENT && table->kind_then != wanted)
		return err_set(err, RC_FATAL, "%.*s: it is a %s, expected a %s", (int)name.size,
			name.data, table_kinds[table->kind_then], table_kinds[wanted]);
	table->kind_then = wanted;
	if (write->kind == WRITE_APPEND) {
		if (write->sequence <= table->last_then)
			return err_set(err, RC_FATAL,
				"%.*s: entry number %" PRIu64 ": expected one above %" PRIu64,
				(int)name.size, name.data, write->sequence, table->last_then);
		table->last_then = write->sequence;
	}
	return RC_OK;
}

static void put(struct table *table, struct view field, struct view data)
{
	struct blob *old = map_get(&table->records, field.data, field.size);
	struct blob *blob = blob_fill(old, data);

	if (blob != old)
		map_put(&table->records, field.data, field.size, blob);
}

static void carry_out(
	struct stored_fold *stored, const struct change *change, const struct write *write)
{
	struct table *table = table_of_write(stored, change, write);
	struct queue *queue = &table->queue;
	struct view field = change_view(change, write->field, write->field_size);
	struct view data = change_view(change, write->data, write->data_size);

	table->kind = table->kind_then;
	switch (write->kind) {
	case WRITE_PUT:
		put(table, field, data);
		break;
	case WRITE_DROP:
		free(map_take(&table->records, field.data, field.size));
		break;
	case WRITE_APPEND:
		queue_add(queue, write->sequence, data);
		if (write->keep && queue->end - queue->first > write->keep)
			queue_cut(queue, queue->end - write->keep);
		break;
	case WRITE_TRIM:
		queue_cut(queue, queue_find(queue, write->sequence));
		break;
	}
}

/* As advance.lua does: an id carries a part of its step's token, so that it is never given twice,
 * not even after this store went back in time. */
static uint64_t output_number(const struct stored_fold *stored, const char *token)
{
	char part[9];

	snprintf(part, sizeof part, "%.8s", token);
	return ((stored->outbox.last >> 32) + 1) << 32 | strtoul(part, NULL, 16);
}

static void keep_output(struct store_memory *self, struct stored_fold *stored, const char *token,
	const struct change *change, const struct output *output)
{
	const char *arena = change->arena.data;
	struct bytes *buffer = &self->buffer;

	bytes_clear(buffer);
	bytes_sized(buffer, arena + output->topic, output->topic_size);
	bytes_sized(buffer, arena + output->key, output->key_size);
	bytes_sized(buffer, arena + output->value, output->value_size);
	bytes_sized(buffer, arena + output->headers, output->headers_size);
	queue_add(&stored->outbox, output_number(stored, token),
		(struct view){buffer->data, buffer->size});
}

static enum rc advance(struct store *store, const struct fold *fold, const struct head *head,
	const char *next, const struct change *change, struct err *err)
{
	struct store_memory *self = self_of(store);
	struct stored_fold *stored = fold_of(self, fold, true);

	if (strcmp(stored->token, next) == 0)
		return RC_OK;
	if (strcmp(stored->token, head->token) != 0 ||
		(stored->token[0] && strcmp(stored->epoch, head->epoch) != 0))
		return err_set(err, RC_REJECT,
			"%s/%s is not where this process left it: another process moved it on",
			fold->service, fold->log);
	self->checks++;
	for (size_t i = 0; i < change->write_count; i++)
		TRY(check_write(stored, change, &change->writes[i], self->checks, err));

	for (size_t i = 0; i < change->write_count; i++)
		carry_out(stored, change, &change->writes[i]);
	for (size_t i = 0; i < change->output_count; i++)
		keep_output(self, stored, next, change, &change->outputs[i]);
	memcpy(stored->epoch, head->epoch, sizeof stored->epoch);
	memcpy(stored->token, next, sizeof stored->token);
	return RC_OK;
}

static enum rc install(struct store *store, struct err *err)
{
	(void)store, (void)err; /* there is nothing to install */
	return RC_OK;
}

static enum rc each_record(
	const struct map *records, store_record record, void *context, struct err *err)
{
	struct map_entry **sorted = map_sorted(records);
	enum rc rc = RC_OK;

	for (size_t i = 0; i < records->count && rc == RC_OK; i++)
		rc = record(context, (struct view){sorted[i]->key, sorted[i]->key_size},
			blob_view(sorted[i]->value), err);
	free(sorted);
	return rc;
}

static enum rc table_of(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, store_record record, void *context, struct err *err)
{
	struct table *found = table_under(self_of(store), fold, head, table);

	return found ? each_record(&found->records, record, context, err) : RC_OK;
}

static enum rc head_of(
	struct store *store, const struct fold *fold, struct head *head, struct err *err)
{
	const struct stored_fold *stored = fold_of(self_of(store), fold, false);

	(void)err;
	*head = (struct head){.fresh = !stored || !stored->token[0]};
	if (head->fresh)
		return RC_NONE;
	memcpy(head->token, stored->token, sizeof head->token);
	memcpy(head->epoch, stored->epoch, sizeof head->epoch);
	return RC_OK;
}

static enum rc load(struct store *store, const struct fold *fold, struct head *head,
	store_record record, void *context, struct err *err)
{
	fold_of(self_of(store), fold, true); /* for folds() */
	if (head_of(store, fold, head, err) == RC_NONE)
		return RC_OK;
	return table_of(store, fold, head, "state", record, context, err);
}

static enum rc get(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, struct view field, struct bytes *data, struct err *err)
{
	const struct table *found = table_under(self_of(store), fold, head, table);
	const struct blob *blob = found ? map_get(&found->records, field.data, field.size) : NULL;

	(void)err;
	if (!blob)
		return RC_NONE;
	bytes_add(data, blob->data, blob->size);
	return RC_OK;
}

static enum rc stream(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, uint64_t from, size_t max, store_entry entry, void *context,
	struct err *err)
{
	struct table *found = table_under(self_of(store), fold, head, table);

	if (!found)
		return RC_OK;
	for (size_t i = queue_find(&found->queue, from); i < found->queue.end && max; i++, max--) {
		const struct entry *at = &found->queue.entries[i];

		TRY(entry(context, at->number, blob_view(at->blob), err));
	}
	return RC_OK;
}

/* Ids look like those of Redis: NUMBER-0. */
static enum rc outbox(struct store *store, const struct fold *fold, const struct head *head,
	const char *after_id, size_t max, store_output output, void *context, struct err *err)
{
	struct stored_fold *stored = fold_under(self_of(store), fold, head);

	if (!stored)
		return RC_OK;
	const struct queue *queue = &stored->outbox;
	uint64_t from = after_id && after_id[0] ? strtoull(after_id, NULL, 10) + 1 : 0;

	for (size_t i = queue_find(queue, from); i < queue->end && max; i++) {
		const struct blob *blob = queue->entries[i].blob;
		struct outbox_entry entry;

		if (!blob)
			continue;
		struct reader reader = reader_of(blob->data, blob->size);

		snprintf(entry.id, sizeof entry.id, "%" PRIu64 "-0", queue->entries[i].number);
		entry.topic = reader_sized(&reader);
		entry.key = reader_sized(&reader);
		entry.value = reader_sized(&reader);
		entry.headers = reader_sized(&reader);
		TRY(output(context, &entry, err));
		max--;
	}
	return RC_OK;
}

static enum rc outbox_drop(struct store *store, const struct fold *fold, const struct head *head,
	const char *const ids[], size_t count, struct err *err)
{
	struct stored_fold *stored = fold_under(self_of(store), fold, head);

	(void)err;
	for (size_t i = 0; stored && i < count; i++)
		queue_take(&stored->outbox, strtoull(ids[i], NULL, 10));
	return RC_OK;
}

static enum rc folds(struct store *store, store_record record, void *context, struct err *err)
{
	const struct map *map = &self_of(store)->folds;
	struct map_entry **sorted = map_sorted(map);
	enum rc rc = RC_OK;

	for (size_t i = 0; i < map->count && rc == RC_OK; i++)
		rc = record(context, (struct view){sorted[i]->key, sorted[i]->key_size},
			view_of(""), err);
	free(sorted);
	return rc;
}

static void free_table(void *value)
{
	struct table *table = value;

	map_free_values(&table->records, free);
	queue_done(&table->queue);
	free(table);
}

static void free_fold(void *value)
{
	struct stored_fold *stored = value;

	map_free_values(&stored->tables, free_table);
	queue_done(&stored->outbox);
	free(stored);
}

static void close_memory(struct store *store)
{
	struct store_memory *self = self_of(store);

	map_free_values(&self->folds, free_fold);
	bytes_done(&self->buffer);
	free(self);
}

static const struct store_kind memory_kind = {
	.close = close_memory,
	.install = install,
	.load = load,
	.advance = advance,
	.head = head_of,
	.table = table_of,
	.get = get,
	.stream = stream,
	.outbox = outbox,
	.outbox_drop = outbox_drop,
	.folds = folds,
};

struct store *store_memory_open(void)
{
	struct store_memory *self = memory_new(1, sizeof *self);

	self->store.kind = &memory_kind;
	return &self->store;
}

static void copy_queue(const struct queue *from, struct queue *to)
{
	for (size_t i = from->first; i < from->end; i++)
		if (from->entries[i].blob)
			queue_add(to, from->entries[i].number, blob_view(from->entries[i].blob));
	to->last = from->last;
}

static struct table *copy_table(const struct table *from)
{
	struct table *to = memory_new(1, sizeof *to);
	struct map_entry *entry;
	size_t place = 0;

	to->kind = from->kind;
	while ((entry = map_next(&from->records, &place)))
		map_put(&to->records, entry->key, entry->key_size,
			blob_fill(NULL, blob_view(entry->value)));
	copy_queue(&from->queue, &to->queue);
	return to;
}

static struct stored_fold *copy_fold(const struct stored_fold *from)
{
	struct stored_fold *to = memory_new(1, sizeof *to);
	struct map_entry *entry;
	size_t place = 0;

	memcpy(to->token, from->token, sizeof to->token);
	memcpy(to->epoch, from->epoch, sizeof to->epoch);
	while ((entry = map_next(&from->tables, &place)))
		map_put(&to->tables, entry->key, entry->key_size, copy_table(entry->value));
	copy_queue(&from->outbox, &to->outbox);
	return to;
}

struct store *store_memory_copy(struct store *store)
{
	struct store *copy = store_memory_open();
	struct map *folds_of_copy = &self_of(copy)->folds;
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&self_of(store)->folds, &place)))
		map_put(folds_of_copy, entry->key, entry->key_size, copy_fold(entry->value));
	return copy;
}
