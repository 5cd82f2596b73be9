#include "core/change.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

void change_done(struct change *change)
{
	bytes_done(&change->arena);
	free(change->writes);
	free(change->outputs);
	*change = (struct change){0};
}

void change_clear(struct change *change)
{
	bytes_clear(&change->arena);
	change->write_count = 0;
	change->output_count = 0;
}

static size_t keep(struct change *change, struct view view)
{
	size_t offset = change->arena.size;

	bytes_add(&change->arena, view.data, view.size);
	return offset;
}

static struct write *new_write(struct change *change, enum write_kind kind, const char *table)
{
	if (change->write_count == change->write_capacity) {
		change->write_capacity = change->write_capacity ? change->write_capacity * 2 : 16;
		change->writes =
			memory_grow(change->writes, change->write_capacity, sizeof *change->writes);
	}
	struct write *write = &change->writes[change->write_count++];

	*write = (struct write){.kind = kind, .table_size = strlen(table)};
	write->table = keep(change, view_of(table));
	return write;
}

void change_put(struct change *change, const char *table, struct view field, struct view data)
{
	change_put_for(change, table, field, data, 0);
}

void change_put_for(struct change *change, const char *table, struct view field, struct view data,
	int64_t ttl_s)
{
	struct write *write = new_write(change, WRITE_PUT, table);

	write->field = keep(change, field);
	write->field_size = field.size;
	write->data = keep(change, data);
	write->data_size = data.size;
	write->ttl_s = ttl_s;
}

void change_drop(struct change *change, const char *table, struct view field)
{
	struct write *write = new_write(change, WRITE_DROP, table);

	write->field = keep(change, field);
	write->field_size = field.size;
}

void change_append(struct change *change, const char *table, uint64_t sequence, struct view data,
	uint64_t keep_count, int64_t ttl_s)
{
	struct write *write = new_write(change, WRITE_APPEND, table);

	write->data = keep(change, data);
	write->data_size = data.size;
	write->sequence = sequence;
	write->keep = keep_count;
	write->ttl_s = ttl_s;
}

void change_trim(struct change *change, const char *table, uint64_t sequence)
{
	new_write(change, WRITE_TRIM, table)->sequence = sequence;
}

void change_emit(struct change *change, const char *topic, struct view key, struct view value,
	const struct bytes *headers)
{
	if (change->output_count == change->output_capacity) {
		change->output_capacity = change->output_capacity ? change->output_capacity * 2 : 8;
		change->outputs = memory_grow(
			change->outputs, change->output_capacity, sizeof *change->outputs);
	}
	struct output *output = &change->outputs[change->output_count++];
	struct view pairs =
		headers ? (struct view){headers->data, headers->size} : (struct view){"", 0};

	*output = (struct output){.topic_size = strlen(topic),
		.key_size = key.size,
		.value_size = value.size,
		.headers_size = pairs.size};
	output->topic = keep(change, view_of(topic));
	output->key = keep(change, key);
	output->value = keep(change, value);
	output->headers = keep(change, pairs);
}

struct view change_view(const struct change *change, size_t offset, size_t size)
{
	return (struct view){size ? change->arena.data + offset : "", size};
}
