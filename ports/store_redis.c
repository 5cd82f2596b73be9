/* ports/store_redis.c: folds in Redis. A step is one call of the function modelwatch_advance
 * (advance.lua); all else are plain reads. */
#include "core/map.h"
#include "core/memory.h"
#include "ports/redis.h"
#include "ports/store_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY_VERSION "1" /* the VERSION of advance.lua that this program needs */

enum { LOADS_MAX = 10 };

extern const char advance_lua[]; /* advance.lua with a NUL behind it, put in by the Makefile */

struct store_redis {
	struct store store;
	struct redis *redis;
	const char *prefix;
};

static struct store_redis *self_of(struct store *store)
{
	return (struct store_redis *)store;
}

static struct view view_in(const struct bytes *bytes)
{
	return (struct view){bytes->data, bytes->size};
}

/* Appends PREFIX:{LOG}:SERVICE:EPOCH:TABLE; without an epoch PREFIX:{LOG}:SERVICE:TABLE, for the
 * head. */
static void add_key(struct bytes *key, const struct store_redis *self, const struct fold *fold,
	const char *epoch, struct view table)
{
	bytes_format(key, "%s:{%s}:%s:", self->prefix, fold->log, fold->service);
	if (epoch)
		bytes_format(key, "%s:", epoch);
	bytes_add(key, table.data, table.size);
}

static enum rc unexpected(const struct store_redis *self, const char *what, struct err *err)
{
	return err_set(err, RC_FATAL, "%s: unexpected answer to %s", redis_name(self->redis), what);
}

/* A Redis that would lose state, or refuse or evict it, is no place for a fold. */

static enum rc check_role(struct store_redis *self, struct err *err)
{
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(redis_call(self->redis, ARGUMENTS(view_of("ROLE")), &reply, err));
	if (!reply_count(reply))
		return unexpected(self, "ROLE", err);
	struct view role = reply_text(reply_at(reply, 0));

	if (!view_is(role, "master"))
		return err_set(err, RC_RETRY, "%s: its role is %.*s: expected master",
			redis_name(self->redis), (int)role.size, role.data ? role.data : "");
	return RC_OK;
}

static enum rc check_eviction(struct store_redis *self, struct err *err)
{
	static const char setting[] = "maxmemory_policy:";
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(redis_call(self->redis, ARGUMENTS(view_of("INFO"), view_of("memory")), &reply, err));
	struct view info = reply_text(reply);
	const char *found =
		info.size ? memmem(info.data, info.size, setting, strlen(setting)) : NULL;

	if (!found)
		return unexpected(self, "INFO memory", err);
	const char *policy = found + strlen(setting);
	int size = (int)strcspn(policy, "\r\n");

	if (size != 10 || memcmp(policy, "noeviction", 10) != 0)
		return err_set(err, RC_FATAL,
			"%s: maxmemory-policy is %.*s, which may throw away state: set it to "
			"noeviction",
			redis_name(self->redis), size, policy);
	return RC_OK;
}

static enum rc check_library(struct store_redis *self, struct err *err)
{
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(redis_call(self->redis,
		ARGUMENTS(view_of("FCALL_RO"), view_of("modelwatch_version"), view_of("0")), &reply,
		err));
	struct view version = reply_text(reply);

	if (!view_is(version, LIBRARY_VERSION))
		return err_set(err, RC_FATAL,
			"%s: its function library modelwatch has version %.*s, this program needs "
			"%s: run modelwatch init of the same release",
			redis_name(self->redis), (int)version.size,
			version.data ? version.data : "", LIBRARY_VERSION);
	return RC_OK;
}

static enum rc check_server(struct store_redis *self, bool with_library, struct err *err)
{
	TRY(check_role(self, err));
	TRY(check_eviction(self, err));
	return with_library ? check_library(self, err) : RC_OK;
}

static enum rc connect_and_check(struct store_redis *self, bool with_library, struct err *err)
{
	if (redis_is_connected(self->redis))
		return RC_OK;
	TRY(redis_connect(self->redis, err));
	enum rc rc = check_server(self, with_library, err);

	return rc == RC_OK ? RC_OK : redis_drop(self->redis, rc, err);
}

static enum rc ready(struct store_redis *self, struct err *err)
{
	return connect_and_check(self, true, err);
}

static enum rc install(struct store *store, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(connect_and_check(self, false, err));
	TRY(redis_call(self->redis,
		ARGUMENTS(view_of("FUNCTION"), view_of("LOAD"), view_of("REPLACE"),
			view_of(advance_lua)),
		&reply, err));
	return check_library(self, err);
}

/* Reading. */

static enum rc head_from(const struct store_redis *self, const struct fold *fold,
	const struct reply *reply, struct head *head, struct err *err)
{
	if (reply_count(reply) != 2)
		return unexpected(self, "HMGET", err);
	struct view token = reply_text(reply_at(reply, 0));
	struct view epoch = reply_text(reply_at(reply, 1));

	*head = (struct head){.fresh = !token.data};
	if (head->fresh)
		return RC_OK;
	if (token.size != TOKEN_SIZE - 1 || epoch.size != EPOCH_SIZE - 1)
		return err_set(err, RC_FATAL,
			"%s: the head of %s/%s is not one that modelwatch wrote: remove "
			"%s:{%s}:%s:head "
			"to start that fold anew",
			redis_name(self->redis), fold->service, fold->log, self->prefix, fold->log,
			fold->service);
	view_copy(token, head->token, sizeof head->token);
	view_copy(epoch, head->epoch, sizeof head->epoch);
	return RC_OK;
}

static enum rc ask_head(struct store_redis *self, const struct fold *fold, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};

	add_key(&key, self, fold, NULL, view_of("head"));
	return redis_send(self->redis,
		ARGUMENTS(view_of("HMGET"), view_in(&key), view_of("token"), view_of("epoch")),
		err);
}

static enum rc read_head(
	struct store_redis *self, const struct fold *fold, struct head *head, struct err *err)
{
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(redis_read(self->redis, &reply, err));
	return head_from(self, fold, reply, head, err);
}

static enum rc head_of(
	struct store *store, const struct fold *fold, struct head *head, struct err *err)
{
	struct store_redis *self = self_of(store);

	TRY(ready(self, err));
	TRY(ask_head(self, fold, err));
	TRY(read_head(self, fold, head, err));
	return head->fresh ? RC_NONE : RC_OK;
}

struct pair {
	struct view field, data;
};

static int by_field(const void *left, const void *right)
{
	const struct view *a = &((const struct pair *)left)->field;
	const struct view *b = &((const struct pair *)right)->field;
	size_t shorter = a->size < b->size ? a->size : b->size;
	int order = memcmp(a->data, b->data, shorter);

	if (order)
		return order;
	return (a->size > b->size) - (a->size < b->size);
}

static void free_pairs(struct pair **pairs)
{
	free(*pairs);
}

/* Hands the members of a list out, sorted: of HGETALL (size 2: field, data) or SMEMBERS (size 1).
 */
static enum rc each_sorted(const struct store_redis *self, const struct reply *reply, size_t size,
	store_record record, void *context, struct err *err)
{
	size_t count = reply_count(reply) / size;
	CLEANUP(free_pairs) struct pair *pairs = memory_new(count + 1, sizeof *pairs);

	for (size_t i = 0; i < count; i++) {
		pairs[i].field = reply_text(reply_at(reply, i * size));
		pairs[i].data = size == 2 ? reply_text(reply_at(reply, i * size + 1)) : view_of("");
		if (!pairs[i].field.data || !pairs[i].data.data)
			return unexpected(self, "a read of all members", err);
	}
	qsort(pairs, count, sizeof *pairs, by_field);
	for (size_t i = 0; i < count; i++)
		TRY(record(context, pairs[i].field, pairs[i].data, err));
	return RC_OK;
}

static enum rc ask_table(struct store_redis *self, const struct fold *fold, const struct head *head,
	const char *table, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};

	add_key(&key, self, fold, head->epoch, view_of(table));
	return redis_send(self->redis, ARGUMENTS(view_of("HGETALL"), view_in(&key)), err);
}

static enum rc table_of(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, store_record record, void *context, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(ready(self, err));
	TRY(ask_table(self, fold, head, table, err));
	TRY(redis_read(self->redis, &reply, err));
	return each_sorted(self, reply, 2, record, context, err);
}

static enum rc remember_fold(struct store_redis *self, const struct fold *fold, struct err *err)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes name = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;

	bytes_format(&key, "%s:folds", self->prefix);
	bytes_format(&name, "%s/%s", fold->service, fold->log);
	return redis_call(self->redis, ARGUMENTS(view_of("SADD"), view_in(&key), view_in(&name)),
		&reply, err);
}

/* One picture: the same token before the state was read and after it. Only a fold that another
 * process moves on all the time has none, and then this process is one too many. */
static enum rc load(struct store *store, const struct fold *fold, struct head *head,
	store_record record, void *context, struct err *err)
{
	struct store_redis *self = self_of(store);

	TRY(ready(self, err));
	TRY(ask_head(self, fold, err));
	TRY(read_head(self, fold, head, err));
	for (int i = 0; i < LOADS_MAX; i++) {
		CLEANUP(reply_free) struct reply *state = NULL;
		struct head before = *head;

		if (head->fresh)
			return remember_fold(self, fold, err);
		TRY(ask_table(self, fold, head, "state", err));
		TRY(ask_head(self, fold, err));
		TRY(redis_read(self->redis, &state, err));
		TRY(read_head(self, fold, head, err));
		if (strcmp(head->token, before.token) == 0)
			return each_sorted(self, state, 2, record, context, err);
	}
	return err_set(err, RC_RETRY,
		"%s: %s/%s changed during each of %d loads: another process works on it",
		redis_name(self->redis), fold->service, fold->log, LOADS_MAX);
}

static enum rc get(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, struct view field, struct bytes *data, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(ready(self, err));
	add_key(&key, self, fold, head->epoch, view_of(table));
	TRY(redis_call(self->redis, ARGUMENTS(view_of("HGET"), view_in(&key), field), &reply, err));
	struct view text = reply_text(reply);

	if (!text.data)
		return RC_NONE;
	bytes_add(data, text.data, text.size);
	return RC_OK;
}

/* Asks for entries of a stream from an id on, and reads them. */
static enum rc read_range(struct store_redis *self, struct view key, const char *from, size_t max,
	struct reply **reply, struct err *err)
{
	char count[24];

	snprintf(count, sizeof count, "%zu", max < INT32_MAX ? max : INT32_MAX);
	return redis_call(self->redis,
		ARGUMENTS(view_of("XRANGE"), key, view_of(from), view_of("+"), view_of("COUNT"),
			view_of(count)),
		reply, err);
}

/* The fields of an entry [id, [name, value...]] by their places; id ends with NUL in the reply.
 * False: it has not this form. */
static bool entry_of(
	const struct reply *entry, struct view *id, struct view values[], size_t value_count)
{
	if (reply_count(entry) != 2 || reply_count(reply_at(entry, 1)) != 2 * value_count)
		return false;
	*id = reply_text(reply_at(entry, 0));
	for (size_t i = 0; i < value_count; i++) {
		values[i] = reply_text(reply_at(reply_at(entry, 1), 2 * i + 1));
		if (!values[i].data)
			return false;
	}
	return id->data != NULL;
}

static enum rc stream(struct store *store, const struct fold *fold, const struct head *head,
	const char *table, uint64_t from, size_t max, store_entry entry, void *context,
	struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;
	char first[24];

	TRY(ready(self, err));
	add_key(&key, self, fold, head->epoch, view_of(table));
	snprintf(first, sizeof first, "%" PRIu64, from);
	TRY(read_range(self, view_in(&key), first, max, &reply, err));
	for (size_t i = 0; i < reply_count(reply); i++) {
		struct view id, data;

		if (!entry_of(reply_at(reply, i), &id, &data, 1))
			return unexpected(self, "XRANGE", err);
		TRY(entry(context, strtoull(id.data, NULL, 10), data, err));
	}
	return RC_OK;
}

static enum rc outbox(struct store *store, const struct fold *fold, const struct head *head,
	const char *after_id, size_t max, store_output output, void *context, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;
	char from[64] = "-";

	TRY(ready(self, err));
	add_key(&key, self, fold, head->epoch, view_of("outbox"));
	if (after_id && after_id[0])
		snprintf(from, sizeof from, "(%s", after_id);
	TRY(read_range(self, view_in(&key), from, max, &reply, err));
	for (size_t i = 0; i < reply_count(reply); i++) {
		struct outbox_entry entry;
		struct view id, values[4]; /* in the order in which advance.lua writes them */

		if (!entry_of(reply_at(reply, i), &id, values, 4))
			return unexpected(self, "XRANGE", err);
		view_copy(id, entry.id, sizeof entry.id);
		entry.topic = values[0];
		entry.key = values[1];
		entry.value = values[2];
		entry.headers = values[3];
		TRY(output(context, &entry, err));
	}
	return RC_OK;
}

static enum rc outbox_drop(struct store *store, const struct fold *fold, const struct head *head,
	const char *const ids[], size_t count, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;

	if (!count)
		return RC_OK;
	TRY(ready(self, err));
	add_key(&key, self, fold, head->epoch, view_of("outbox"));
	struct view *arguments = memory_new(count + 2, sizeof *arguments);

	arguments[0] = view_of("XDEL");
	arguments[1] = view_in(&key);
	for (size_t i = 0; i < count; i++)
		arguments[i + 2] = view_of(ids[i]);
	enum rc rc = redis_call(self->redis, arguments, count + 2, &reply, err);

	free(arguments);
	return rc;
}

static enum rc folds(struct store *store, store_record record, void *context, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(ready(self, err));
	bytes_format(&key, "%s:folds", self->prefix);
	TRY(redis_call(self->redis, ARGUMENTS(view_of("SMEMBERS"), view_in(&key)), &reply, err));
	return each_sorted(self, reply, 1, record, context, err);
}

/* Writing: the arguments of modelwatch_advance (advance.lua says which). They are pieces of the
 * change's arena and of a text of our own, which moves while it grows; so they become views only at
 * the end. */

struct piece {
	const struct bytes *in;
	size_t offset, size;
};

struct call {
	struct piece *pieces;
	size_t count, capacity;
	struct bytes text; /* keys and numbers */
};

static void call_done(struct call *call)
{
	free(call->pieces);
	bytes_done(&call->text);
}

static void add_piece(struct call *call, const struct bytes *in, size_t offset, size_t size)
{
	if (call->count == call->capacity) {
		call->capacity = call->capacity ? call->capacity * 2 : 64;
		call->pieces = memory_grow(call->pieces, call->capacity, sizeof *call->pieces);
	}
	call->pieces[call->count++] = (struct piece){in, offset, size};
}

static void add_text(struct call *call, const char *text)
{
	size_t start = call->text.size;

	bytes_text(&call->text, text);
	add_piece(call, &call->text, start, call->text.size - start);
}

static void add_number(struct call *call, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, number);
	add_text(call, text);
}

static void add_table_key(struct call *call, const struct store_redis *self,
	const struct fold *fold, const char *epoch, struct view table)
{
	size_t start = call->text.size;

	add_key(&call->text, self, fold, epoch, table);
	add_piece(call, &call->text, start, call->text.size - start);
}

/* The writes of a change, those of each table together and in their order: tables do not depend on
 * one another, and few large operations cost Redis less than many small ones. */
struct plan {
	const struct write **writes;
	size_t *first; /* of each table in writes; and, behind the last, the number of writes */
	size_t table_count;
};

static void plan_done(struct plan *plan)
{
	free(plan->writes);
	free(plan->first);
}

static void plan_writes(struct plan *plan, const struct change *change)
{
	struct map numbers = {0}; /* table name to its number, from 1 */
	size_t count = change->write_count;
	size_t *table_of_write = memory_new(count + 1, sizeof *table_of_write);
	size_t *next;

	plan->first = memory_new(count + 2, sizeof *plan->first);
	plan->writes = memory_new(count + 1, sizeof *plan->writes);
	for (size_t i = 0; i < count; i++) {
		const struct write *write = &change->writes[i];
		const char *name = change->arena.data + write->table;
		size_t number = (size_t)(uintptr_t)map_get(&numbers, name, write->table_size);

		if (!number) {
			number = ++plan->table_count;
			map_put(&numbers, name, write->table_size, (void *)(uintptr_t)number);
		}
		table_of_write[i] = number - 1;
		plan->first[number]++;
	}
	for (size_t t = 0; t < plan->table_count; t++)
		plan->first[t + 1] += plan->first[t];
	next = memory_new(count + 1, sizeof *next);
	memcpy(next, plan->first, plan->table_count * sizeof *next);
	for (size_t i = 0; i < count; i++)
		plan->writes[next[table_of_write[i]]++] = &change->writes[i];
	free(next);
	free(table_of_write);
	map_done(&numbers);
}

static void add_operation(struct call *call, const char *kind, size_t table, size_t count)
{
	add_text(call, kind);
	add_number(call, table + 1);
	add_number(call, count);
}

/* Writes of one kind to one table are one operation. */
static void add_run(struct call *call, const struct change *change, size_t table,
	const struct write *const writes[], size_t count)
{
	static const struct {
		const char *name;
		size_t arguments;
	} kinds[] = {
		[WRITE_PUT] = {"put", 2},
		[WRITE_DROP] = {"drop", 1},
		[WRITE_APPEND] = {"append", 3},
		[WRITE_TRIM] = {"trim", 1},
	};
	enum write_kind kind = writes[0]->kind;

	add_operation(call, kinds[kind].name, table, count * kinds[kind].arguments);
	for (size_t i = 0; i < count; i++) {
		const struct write *write = writes[i];

		if (kind == WRITE_PUT || kind == WRITE_DROP)
			add_piece(call, &change->arena, write->field, write->field_size);
		if (kind == WRITE_APPEND || kind == WRITE_TRIM)
			add_number(call, write->sequence);
		if (kind == WRITE_APPEND)
			add_number(call, write->keep);
		if (kind == WRITE_PUT || kind == WRITE_APPEND)
			add_piece(call, &change->arena, write->data, write->data_size);
	}
}

static void add_table(struct call *call, const struct change *change, size_t table,
	const struct write *const writes[], size_t count)
{
	int64_t ttl_s = 0;

	for (size_t from = 0, to; from < count; from = to) {
		to = from + 1;
		while (to < count && writes[to]->kind == writes[from]->kind)
			to++;
		add_run(call, change, table, writes + from, to - from);
	}
	for (size_t i = 0; i < count; i++)
		if (writes[i]->kind == WRITE_PUT || writes[i]->kind == WRITE_APPEND)
			ttl_s = writes[i]->ttl_s;
	if (ttl_s > 0) {
		add_operation(call, "expire", table, 1);
		add_number(call, (uint64_t)ttl_s);
	}
}

static void add_keys(struct call *call, const struct store_redis *self, const struct fold *fold,
	const struct head *head, const struct change *change, const struct plan *plan)
{
	add_number(call, plan->table_count + 2);
	add_table_key(call, self, fold, NULL, view_of("head"));
	add_table_key(call, self, fold, head->epoch, view_of("outbox"));
	for (size_t t = 0; t < plan->table_count; t++) {
		const struct write *write = plan->writes[plan->first[t]];

		add_table_key(call, self, fold, head->epoch,
			change_view(change, write->table, write->table_size));
	}
}

static void add_outputs(struct call *call, const struct change *change)
{
	add_number(call, change->output_count);
	for (size_t i = 0; i < change->output_count; i++) {
		const struct output *output = &change->outputs[i];

		add_piece(call, &change->arena, output->topic, output->topic_size);
		add_piece(call, &change->arena, output->key, output->key_size);
		add_piece(call, &change->arena, output->value, output->value_size);
		add_piece(call, &change->arena, output->headers, output->headers_size);
	}
}

static void add_step(struct call *call, const struct store_redis *self, const struct fold *fold,
	const struct head *head, const char *next, const struct change *change)
{
	CLEANUP(plan_done) struct plan plan = {0};

	plan_writes(&plan, change);
	add_text(call, "FCALL");
	add_text(call, "modelwatch_advance");
	add_keys(call, self, fold, head, change, &plan);
	add_text(call, head->token);
	add_text(call, next);
	add_text(call, head->epoch);
	add_outputs(call, change);
	for (size_t t = 0; t < plan.table_count; t++)
		add_table(call, change, t, plan.writes + plan.first[t],
			plan.first[t + 1] - plan.first[t]);
}

static enum rc make_call(
	struct store_redis *self, const struct call *call, struct reply **reply, struct err *err)
{
	struct view *arguments = memory_new(call->count, sizeof *arguments);

	for (size_t i = 0; i < call->count; i++) {
		const struct piece *piece = &call->pieces[i];

		if (piece->size)
			arguments[i] = (struct view){piece->in->data + piece->offset, piece->size};
	}
	enum rc rc = redis_call(self->redis, arguments, call->count, reply, err);

	free(arguments);
	return rc;
}

static enum rc advance(struct store *store, const struct fold *fold, const struct head *head,
	const char *next, const struct change *change, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(call_done) struct call call = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(ready(self, err));
	add_step(&call, self, fold, head, next, change);
	enum rc rc = make_call(self, &call, &reply, err);

	if (rc == RC_RETRY && !redis_is_connected(self->redis))
		return err_prefix(err, RC_REJECT,
			"the step of %s/%s may or may not have happened: ", fold->service,
			fold->log);
	TRY(rc);

	struct view answer = reply_text(reply);

	if (view_is(answer, "OK") || view_is(answer, "ALREADY"))
		return RC_OK;
	if (view_is(answer, "STALE"))
		return err_set(err, RC_REJECT,
			"%s: %s/%s is not where this process left it: another process moved it on, "
			"or Redis lost data",
			redis_name(self->redis), fold->service, fold->log);
	return err_set(err, RC_FATAL, "%s: a step of %s/%s was refused: %.*s",
		redis_name(self->redis), fold->service, fold->log, (int)answer.size,
		answer.data ? answer.data : "");
}

static void close_redis(struct store *store)
{
	redis_close(self_of(store)->redis);
	free(store);
}

static const struct store_kind redis_kind = {
	.close = close_redis,
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

enum rc store_open(const struct config_redis *settings, struct store **opened, struct err *err)
{
	struct store_redis *self = memory_new(1, sizeof *self);

	(void)err; /* nothing can fail before the first connection */
	self->store.kind = &redis_kind;
	self->redis = redis_open(settings);
	self->prefix = settings->prefix;
	*opened = &self->store;
	return RC_OK;
}
