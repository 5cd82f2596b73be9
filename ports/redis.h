/* ports/redis.h: one connection to one Redis: commands out, answers in.
 * TOUCHES; the one user of hiredis, and only of its codec: the socket is ours (redis_socket.h), so
 * that every transport has the same time-outs and hiredis 0.14 and 1.x the same TLS.
 *
 * Any trouble with the connection closes it; redis_connect() opens it again, at most once a second.
 * An answer that is an error becomes an outcome: RC_RETRY when Redis is unwell for now (LOADING,
 * OOM, READONLY...), else RC_FATAL; the connection stays open unless other answers are still due.
 */
#ifndef PORTS_REDIS_H
#define PORTS_REDIS_H

#include "core/config.h"

struct redis;
struct reply;

struct redis *redis_open(const struct config_redis *settings); /* settings must outlive it */
void redis_close(struct redis *redis);

const char *redis_name(const struct redis *redis); /* "redis at localhost:6379", for sentences */
bool redis_is_connected(const struct redis *redis);

/* Connects and gives name and password, unless connected. Less than a second after the last try:
 * the outcome and the sentence of what ended it. */
enum rc redis_connect(struct redis *redis, struct err *err) MUST_CHECK;

/* Closes the connection for the reason in err, which redis_connect() repeats for a second. Returns
 * rc. */
enum rc redis_drop(struct redis *redis, enum rc rc, const struct err *err);

/* Sends a command of at most 256 MiB; several may be sent before the first answer is read. */
enum rc redis_send(struct redis *redis, const struct view arguments[], size_t count,
	struct err *err) MUST_CHECK;

/* The next answer, ended with reply_free(). RC_RETRY also: no byte came for 10 s. */
enum rc redis_read(struct redis *redis, struct reply **reply, struct err *err) MUST_CHECK;

/* Sends and reads. */
enum rc redis_call(struct redis *redis, const struct view arguments[], size_t count,
	struct reply **reply, struct err *err) MUST_CHECK;

void reply_free(struct reply **reply);             /* leaves NULL behind; of NULL is fine */
struct view reply_text(const struct reply *reply); /* data NULL: it is no text (nil, a list) */
size_t reply_count(const struct reply *reply);     /* 0 when it is no list */
const struct reply *reply_at(const struct reply *reply, size_t i); /* i < reply_count() */

/* The arguments of a short command and their number. */
#define ARGUMENTS(...)                                                                             \
	(const struct view[]){__VA_ARGS__},                                                        \
		sizeof((const struct view[]){__VA_ARGS__}) / sizeof(struct view)

#endif
