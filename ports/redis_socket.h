/* ports/redis_socket.h: bytes to and from one Redis over TCP, TLS or a Unix socket; every wait has
 * an end. TOUCHES: sockets, and OpenSSL for TLS. Part of the Redis door: only redis.c includes it.
 */
#ifndef PORTS_REDIS_SOCKET_H
#define PORTS_REDIS_SOCKET_H

#include "core/config.h"

struct redis_socket;

/* Connects within 3 s per address (resolving a name takes what the system's resolver takes), and
 * agrees on TLS within 3 s more: 1.2 or newer, the certificate signed by one of settings->ca (or
 * the system's) and made out to settings->host. RC_FATAL: it is not, or the setting can never work.
 */
enum rc redis_socket_open(const struct config_redis *settings, struct redis_socket **opened,
	struct err *err) MUST_CHECK;
void redis_socket_close(struct redis_socket *socket);

/* Writes everything. RC_RETRY: the connection is broken, or took nothing for wait_ms. */
enum rc redis_socket_write(struct redis_socket *socket, const char *data, size_t size, int wait_ms,
	struct err *err) MUST_CHECK;

/* Reads what is there, at least one byte. RC_RETRY as above. */
enum rc redis_socket_read(struct redis_socket *socket, char *data, size_t capacity, size_t *size,
	int wait_ms, struct err *err) MUST_CHECK;

#endif
