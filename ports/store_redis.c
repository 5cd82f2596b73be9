/* ports/store_redis.c: folds in Redis. A step is one call of the function modelwatch_advance
 * (advance.lua); all else are plain reads. */
#include "core/memory.h"
#include "ports/redis.h"
#include "ports/step_call.h"
#include "ports/store_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY_VERSION "2" /* the VERSION of advance.lua that this program needs */

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

	step_call_key(&key, self->prefix, fold, NULL, view_of("head"));
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

	step_call_key(&key, self->prefix, fold, head->epoch, view_of(table));
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
	step_call_key(&key, self->prefix, fold, head->epoch, view_of(table));
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
	step_call_key(&key, self->prefix, fold, head->epoch, view_of(table));
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
	step_call_key(&key, self->prefix, fold, head->epoch, view_of("outbox"));
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
	step_call_key(&key, self->prefix, fold, head->epoch, view_of("outbox"));
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

static enum rc advance(struct store *store, const struct fold *fold, const struct head *head,
	const char *next, const struct change *change, struct err *err)
{
	struct store_redis *self = self_of(store);
	CLEANUP(step_call_done) struct step_call call = {0};
	CLEANUP(reply_free) struct reply *reply = NULL;

	TRY(ready(self, err));
	if (head->fresh) /* Redis may have lost the name since it was loaded */
		TRY(remember_fold(self, fold, err));
	step_call_make(&call, self->prefix, fold, head, next, change);
	enum rc rc = redis_call(self->redis, call.arguments, call.count, &reply, err);

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
