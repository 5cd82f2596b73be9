/* core/change.h: what one step of a fold wants stored and said, all of it or nothing.
 * THINKS. A step fills a change; store_advance() (ports/store.h) carries it out together with the
 * fold's token. Every service is such a fold (docs/architecture.md). All zero is valid and empty.
 */
#ifndef CORE_CHANGE_H
#define CORE_CHANGE_H

#include "core/bytes.h"

enum write_kind {
	WRITE_PUT,    /* table[field] = data */
	WRITE_DROP,   /* remove table[field] */
	WRITE_APPEND, /* the stream `table` gets entry number `sequence` with data, keeps `keep`
			 newest */
	WRITE_TRIM,   /* the stream `table` loses all entries with a number below `sequence` */
};

/* The views of a write point into the change's arena by offset, so that the arena may move. */
struct write {
	enum write_kind kind;
	size_t table, table_size;
	size_t field, field_size;
	size_t data, data_size;
	uint64_t sequence; /* APPEND, TRIM: numbers of a stream start at 1 and only grow */
	uint64_t keep;     /* APPEND: at most so many entries stay (0 = all) */
	int64_t ttl_s; /* PUT, APPEND: the whole table dies so long after its last write (0 = never)
			*/
};

/* One record for a topic. It leaves through the fold's outbox at least once under its key. */
struct output {
	size_t topic, topic_size;
	size_t key, key_size;
	size_t value, value_size;
	size_t headers, headers_size; /* pairs of bytes_sized(name), bytes_sized(value) */
};

struct change {
	struct bytes arena;
	struct write *writes;
	size_t write_count, write_capacity;
	struct output *outputs;
	size_t output_count, output_capacity;
};

void change_done(struct change *change);
void change_clear(struct change *change); /* empty, memory kept */

/* The table "state" is what a fold finds again when it starts (store_load); other tables are read
 * by others. Names of tables: [a-z0-9:-], at most 64 bytes. */
void change_put(struct change *change, const char *table, struct view field, struct view data);
void change_put_for(struct change *change, const char *table, struct view field, struct view data,
	int64_t ttl_s);
void change_drop(struct change *change, const char *table, struct view field);
void change_append(struct change *change, const char *table, uint64_t sequence, struct view data,
	uint64_t keep, int64_t ttl_s);
void change_trim(struct change *change, const char *table, uint64_t sequence);

/* headers: NULL or pairs as above. */
void change_emit(struct change *change, const char *topic, struct view key, struct view value,
	const struct bytes *headers);

struct view change_view(const struct change *change, size_t offset, size_t size);

#endif
