#include "ports/redis.h"

#include "core/memory.h"
#include "ports/clock.h"
#include "ports/redis_socket.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_MS = 10000, TRY_AGAIN_MS = 1000, COMMAND_BYTES_MAX = 256 << 20 };

struct redis {
	const struct config_redis *settings;
	struct bytes name;
	struct redis_socket *socket; /* NULL: not connected */
	redisReader *reader;         /* of this connection */
	size_t due;                  /* answers to what was sent */
	bool tried;
	int64_t tried_ms;
	int64_t asked_ms; /* when the wait for a connection or an answer began */
	enum rc end;      /* of the last connection, or try, and why */
	struct err why;
};

struct redis *redis_open(const struct config_redis *settings)
{
	struct redis *redis = memory_new(1, sizeof *redis);

	redis->settings = settings;
	if (settings->transport == REDIS_UNIX)
		bytes_format(&redis->name, "redis at unix:%s", settings->path);
	else
		bytes_format(&redis->name,
			strchr(settings->host, ':') ? "redis at [%s]:%d" : "redis at %s:%d",
			settings->host, settings->port);
	return redis;
}

static void disconnect(struct redis *redis)
{
	redis_socket_close(redis->socket);
	redis->socket = NULL;
	if (redis->reader)
		redisReaderFree(redis->reader);
	redis->reader = NULL;
	redis->due = 0;
}

void redis_close(struct redis *redis)
{
	if (!redis)
		return;
	disconnect(redis);
	bytes_done(&redis->name);
	free(redis);
}

const char *redis_name(const struct redis *redis)
{
	return redis->name.data;
}

bool redis_is_connected(const struct redis *redis)
{
	return redis->socket != NULL;
}

/* Many folds share a connection: where one has waited in vain, the others must not wait too, one
 * after the other. A connection that was cut at once is tried again at once. */
enum rc redis_drop(struct redis *redis, enum rc rc, const struct err *err)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - redis->asked_ms >= TRY_AGAIN_MS)
		redis->tried_ms = now_ms;
	disconnect(redis);
	redis->end = rc;
	redis->why = *err;
	return rc;
}

/* The connection is of no use any more: says whose it was. */
static enum rc broken(struct redis *redis, enum rc rc, struct err *err)
{
	err_prefix(err, rc, "%s: ", redis_name(redis));
	return redis_drop(redis, rc, err);
}

/* What an answer that is an error means, by how it begins. What is not listed is RC_FATAL: no step
 * is tried again blindly. advice may be NULL. */
static const struct trouble {
	const char *start;
	enum rc rc;
	const char *advice;
} troubles[] = {
	{"LOADING", RC_RETRY, NULL},
	{"MASTERDOWN", RC_RETRY, NULL},
	{"OOM", RC_RETRY, "give it more memory (maxmemory)"},
	{"READONLY", RC_RETRY, "it became a replica"},
	{"MISCONF", RC_RETRY, NULL},
	{"BUSY", RC_RETRY, NULL},
	{"NOREPLICAS", RC_RETRY, NULL},
	{"CLUSTERDOWN", RC_RETRY, NULL},
	{"TRYAGAIN", RC_RETRY, NULL},
	{"ERR max number of clients reached", RC_RETRY, NULL},
	{"WRONGPASS", RC_FATAL, "correct user and password_file of redis"},
	{"NOAUTH", RC_FATAL, "set user and password_file of redis"},
	{"ERR AUTH <password> called without any password configured", RC_FATAL,
		"remove password_file of redis, or set a password there"},
	{"ERR Function not found", RC_FATAL, "run modelwatch init"},
	{"ERR unknown command", RC_FATAL, "modelwatch needs Redis 7 or newer"},
	{"NOPERM", RC_FATAL, "allow it in the ACL of Redis"},
	{"MOVED", RC_FATAL, "this node of a cluster does not hold the key: name the one that does"},
	{NULL, RC_FATAL, NULL},
};

static const struct trouble *trouble_of(const redisReply *reply)
{
	const struct trouble *trouble = troubles;

	while (trouble->start && strncmp(reply->str, trouble->start, strlen(trouble->start)) != 0)
		trouble++;
	return trouble;
}

static enum rc error_outcome(struct redis *redis, const redisReply *reply, struct err *err)
{
	const struct trouble *trouble = trouble_of(reply);
	enum rc rc = trouble->rc;

	err_set(err, rc, "%s: %s%s%s", redis_name(redis), reply->str, trouble->advice ? ": " : "",
		trouble->advice ? trouble->advice : "");
	/* A replica is left, so that the next connection finds (by name) the new master. */
	if (redis->due || strncmp(reply->str, "READONLY", 8) == 0)
		redis_drop(redis, rc, err);
	return rc;
}

/* The bytes of a command, of which the caller frees *text, or RC_FATAL: too large. */
static enum rc encode(const struct redis *redis, const struct view arguments[], size_t count,
	char **text, size_t *size, struct err *err)
{
	const char **data = memory_new(count, sizeof *data);
	size_t *sizes = memory_new(count, sizeof *sizes);
	size_t total = 0;
	long long encoded = -1;

	for (size_t i = 0; i < count; i++) {
		data[i] = arguments[i].size ? arguments[i].data : "";
		sizes[i] = arguments[i].size;
		total += sizes[i];
	}
	/* Each argument costs a few bytes more; the sum must stay in an int, which hiredis counts
	 * in. */
	bool fits = total <= COMMAND_BYTES_MAX && count <= COMMAND_BYTES_MAX / 16;

	if (fits)
		encoded = redisFormatCommandArgv(text, (int)count, data, sizes);
	free(data);
	free(sizes);
	if (!fits)
		return err_set(err, RC_FATAL,
			"%s: a command of %zu bytes in %zu parts: expected at most %d bytes",
			redis_name(redis), total, count, COMMAND_BYTES_MAX);
	if (encoded < 0)
		return err_set(err, RC_FATAL, "%s: out of memory", redis_name(redis));
	*size = (size_t)encoded;
	return RC_OK;
}

enum rc redis_send(
	struct redis *redis, const struct view arguments[], size_t count, struct err *err)
{
	char *text = NULL;
	size_t size = 0;

	if (!redis->socket)
		return err_set(err, RC_RETRY, "%s: not connected", redis_name(redis));
	TRY(encode(redis, arguments, count, &text, &size, err));
	redis->asked_ms = clock_monotonic_ms();
	enum rc rc = redis_socket_write(redis->socket, text, size, COMMAND_MS, err);

	if (view_is(arguments[0], "AUTH"))
		explicit_bzero(text, size);
	redisFreeCommand(text);
	if (rc != RC_OK)
		return broken(redis, rc, err);
	redis->due++;
	return RC_OK;
}

/* The next answer, also if it is an error. */
static enum rc read_any(struct redis *redis, redisReply **reply, struct err *err)
{
	if (!redis->socket)
		return err_set(err, RC_RETRY, "%s: not connected", redis_name(redis));
	for (;;) {
		char data[65536];
		size_t size;
		void *got = NULL;

		if (redisReaderGetReply(redis->reader, &got) != REDIS_OK) {
			err_set(err, RC_RETRY, "not an answer of Redis: %s", redis->reader->errstr);
			return broken(redis, RC_RETRY, err);
		}
		if (got) {
			redis->due--;
			*reply = got;
			return RC_OK;
		}
		enum rc rc =
			redis_socket_read(redis->socket, data, sizeof data, &size, COMMAND_MS, err);

		if (rc != RC_OK)
			return broken(redis, rc, err);
		if (redisReaderFeed(redis->reader, data, size) != REDIS_OK)
			return broken(redis, err_set(err, RC_FATAL, "out of memory"), err);
	}
}

enum rc redis_read(struct redis *redis, struct reply **reply, struct err *err)
{
	redisReply *got;

	TRY(read_any(redis, &got, err));
	if (got->type != REDIS_REPLY_ERROR) {
		*reply = (struct reply *)got;
		return RC_OK;
	}
	enum rc rc = error_outcome(redis, got, err);

	freeReplyObject(got);
	return rc;
}

enum rc redis_call(struct redis *redis, const struct view arguments[], size_t count,
	struct reply **reply, struct err *err)
{
	TRY(redis_send(redis, arguments, count, err));
	return redis_read(redis, reply, err);
}

/* An unknown error is told without its words: a Redis whose AUTH has another name repeats its
 * arguments. */
static enum rc authenticate(struct redis *redis, struct err *err)
{
	const struct config_redis *settings = redis->settings;
	struct view password = settings->password ? secret_reveal(settings->password) : view_of("");
	redisReply *reply;

	if (settings->user[0])
		TRY(redis_send(
			redis, ARGUMENTS(view_of("AUTH"), view_of(settings->user), password), err));
	else if (settings->password)
		TRY(redis_send(redis, ARGUMENTS(view_of("AUTH"), password), err));
	else
		return RC_OK;
	TRY(read_any(redis, &reply, err));
	enum rc rc = RC_OK;

	if (reply->type == REDIS_REPLY_ERROR) {
		bool is_known = trouble_of(reply)->advice || trouble_of(reply)->rc == RC_RETRY;

		rc = is_known && strncmp(reply->str, "ERR unknown", 11) != 0
			     ? error_outcome(redis, reply, err)
			     : err_set(err, RC_FATAL, "%s: it refused AUTH", redis_name(redis));
	}
	freeReplyObject(reply);
	return rc;
}

/* For CLIENT LIST only, so a Redis that does not allow it is fine. */
static enum rc say_name(struct redis *redis, struct err *err)
{
	redisReply *reply;
	enum rc rc = RC_OK;

	TRY(redis_send(redis,
		ARGUMENTS(view_of("CLIENT"), view_of("SETNAME"), view_of("modelwatch")), err));
	TRY(read_any(redis, &reply, err));
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) != 0 &&
		strncmp(reply->str, "ERR unknown", 11) != 0)
		rc = error_outcome(redis, reply, err);
	freeReplyObject(reply);
	return rc;
}

static enum rc introduce(struct redis *redis, struct err *err)
{
	TRY(authenticate(redis, err));
	return say_name(redis, err);
}

enum rc redis_connect(struct redis *redis, struct err *err)
{
	int64_t now_ms = clock_monotonic_ms();

	if (redis->socket)
		return RC_OK;
	if (redis->tried && now_ms - redis->tried_ms < TRY_AGAIN_MS)
		return err_set(err, redis->end, "%s", redis->why.text);
	redis->tried = true;
	redis->tried_ms = redis->asked_ms = now_ms;

	enum rc rc = redis_socket_open(redis->settings, &redis->socket, err);

	if (rc != RC_OK)
		return broken(redis, rc, err);
	redis->reader = redisReaderCreate();
	if (!redis->reader)
		return broken(redis, err_set(err, RC_FATAL, "out of memory"), err);
	rc = introduce(redis, err);
	return rc == RC_OK ? RC_OK : redis_drop(redis, rc, err);
}

/* A struct reply is hiredis' redisReply under a name that other files may know. */
static const redisReply *inside(const struct reply *reply)
{
	return (const redisReply *)reply;
}

void reply_free(struct reply **reply)
{
	if (*reply)
		freeReplyObject(*reply);
	*reply = NULL;
}

struct view reply_text(const struct reply *reply)
{
	int type = inside(reply)->type;

	if (type != REDIS_REPLY_STRING && type != REDIS_REPLY_STATUS)
		return (struct view){0};
	return (struct view){inside(reply)->str, inside(reply)->len};
}

size_t reply_count(const struct reply *reply)
{
	return inside(reply)->type == REDIS_REPLY_ARRAY ? inside(reply)->elements : 0;
}

const struct reply *reply_at(const struct reply *reply, size_t i)
{
	return (const struct reply *)inside(reply)->element[i];
}
