#include "ports/redis_socket.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECT_MS = 3000, KEEPALIVE_IDLE_S = 15, KEEPALIVE_INTERVAL_S = 5, KEEPALIVE_COUNT = 3 };

struct redis_socket {
	int fd;           /* -1: none */
	SSL_CTX *context; /* TLS; else these are NULL */
	SSL *tls;
	BIO_METHOD *method;
};

static enum rc wait_for(
	int fd, short events, int64_t deadline_ms, const char *what, struct err *err)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	for (;;) {
		int64_t left_ms = deadline_ms - clock_monotonic_ms();
		int ready = poll(&poll_fd, 1, left_ms > 0 ? (int)left_ms : 0);

		if (ready > 0)
			return RC_OK;
		if (ready == 0 && left_ms <= 0)
			return err_set(err, RC_RETRY, "no %s in time", what);
		if (ready < 0 && errno != EINTR)
			return err_set(err, RC_RETRY, "poll: %s", strerror(errno));
	}
}

/* Connects a new socket; what is wrong with it is in err, and *opened is then untouched. */
static enum rc connect_to(
	const struct sockaddr *address, socklen_t size, int *opened, struct err *err)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int problem = 0;
	socklen_t problem_size = sizeof problem;
	enum rc rc = RC_OK;

	if (fd < 0)
		return err_set(err, RC_RETRY, "socket: %s", strerror(errno));
	if (connect(fd, address, size) != 0)
		problem = errno;
	if (problem == EINPROGRESS) {
		rc = wait_for(fd, POLLOUT, clock_monotonic_ms() + CONNECT_MS, "connection", err);
		if (rc == RC_OK)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &problem_size);
	}
	if (rc == RC_OK && problem)
		rc = err_set(err, problem == EACCES || problem == EPERM ? RC_FATAL : RC_RETRY, "%s",
			strerror(problem));
	if (rc == RC_OK)
		*opened = fd;
	else
		close(fd);
	return rc;
}

static enum rc connect_unix(const char *path, int *opened, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof address.sun_path)
		return err_set(err, RC_FATAL, "a socket's path has at most %zu bytes",
			sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, strlen(path));
	enum rc rc = connect_to(
		(const struct sockaddr *)&address, (socklen_t)sizeof address, opened, err);

	if (rc == RC_FATAL)
		err_prefix(err, rc, "the user of this process may not use the socket: ");
	return rc;
}

static void set_option(int fd, int level, int option, int value)
{
	/* All of these only make things better; a system that refuses one works too. */
	(void)setsockopt(fd, level, option, &value, sizeof value);
}

static enum rc connect_tcp(const char *host, int port, int *opened, struct err *err)
{
	char service[16];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses;
	enum rc rc = RC_RETRY;

	snprintf(service, sizeof service, "%d", port);
	int problem = getaddrinfo(host, service, &hints, &addresses);

	if (problem)
		return err_set(err, RC_RETRY, "its name has no address: %s", gai_strerror(problem));
	for (struct addrinfo *at = addresses; at && rc != RC_OK; at = at->ai_next)
		rc = connect_to(at->ai_addr, at->ai_addrlen, opened, err);
	freeaddrinfo(addresses);
	TRY(rc);

	set_option(*opened, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(*opened, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(*opened, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(*opened, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(*opened, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
	return RC_OK;
}

/* OpenSSL's own socket BIO writes with write(), which raises SIGPIPE when Redis is gone. */
static int bio_write(BIO *bio, const char *data, int size)
{
	const struct redis_socket *socket = BIO_get_data(bio);
	ssize_t written = send(socket->fd, data, (size_t)size, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (written < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)written;
}

static int bio_read(BIO *bio, char *data, int size)
{
	const struct redis_socket *socket = BIO_get_data(bio);
	ssize_t got = recv(socket->fd, data, (size_t)size, 0);

	BIO_clear_retry_flags(bio);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)got;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH; /* nothing is held back; all else is unknown here */
}

static enum rc tls_failed(struct err *err, enum rc rc, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return err_set(err, rc, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

static enum rc tls_prepare(
	struct redis_socket *socket, const struct config_redis *settings, struct err *err)
{
	socket->context = SSL_CTX_new(TLS_client_method());
	if (!socket->context || !SSL_CTX_set_min_proto_version(socket->context, TLS1_2_VERSION))
		return tls_failed(err, RC_FATAL, "TLS cannot be set up");
	SSL_CTX_set_verify(socket->context, SSL_VERIFY_PEER, NULL);
	if (settings->ca[0] ? !SSL_CTX_load_verify_locations(socket->context, settings->ca, NULL)
			    : !SSL_CTX_set_default_verify_paths(socket->context)) {
		tls_failed(err, RC_FATAL, "no certificates can be read from it");
		return err_prefix(
			err, RC_FATAL, "ca %s: ", settings->ca[0] ? settings->ca : "of the system");
	}
	SSL_CTX_set_mode(socket->context,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

	socket->tls = SSL_new(socket->context);
	socket->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "redis");
	if (!socket->tls || !socket->method || !BIO_meth_set_write(socket->method, bio_write) ||
		!BIO_meth_set_read(socket->method, bio_read) ||
		!BIO_meth_set_ctrl(socket->method, bio_control))
		return tls_failed(err, RC_FATAL, "TLS cannot be set up");
	BIO *bio = BIO_new(socket->method);

	if (!bio)
		return tls_failed(err, RC_FATAL, "TLS cannot be set up");
	BIO_set_data(bio, socket);
	BIO_set_init(bio, 1);
	SSL_set_bio(socket->tls, bio, bio); /* tls owns it from here */
	return RC_OK;
}

/* The certificate must be made out to the host of the settings: an address, or a name. */
static enum rc tls_expect(struct redis_socket *socket, const char *host, struct err *err)
{
	unsigned char address[sizeof(struct in6_addr)];
	bool is_address =
		inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	bool done = is_address
			    ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(socket->tls), host) == 1
			    : SSL_set1_host(socket->tls, host) == 1 &&
				      SSL_set_tlsext_host_name(socket->tls, host) == 1;

	if (!done)
		return tls_failed(err, RC_FATAL, "its name cannot be checked by TLS");
	return RC_OK;
}

static enum rc tls_refused(struct redis_socket *socket, const char *host, struct err *err)
{
	long verdict = SSL_get_verify_result(socket->tls);

	switch (verdict) {
	case X509_V_OK:
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return err_set(err, RC_FATAL,
			"its certificate is not made out to %s: name the host in the URL as its "
			"certificate does",
			host);
	default:
		return err_set(err, RC_FATAL,
			"its certificate is not believed (%s): set ca to the file of the "
			"authority that signed it",
			X509_verify_cert_error_string(verdict));
	}
	switch (ERR_GET_REASON(ERR_peek_last_error())) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return err_set(err, RC_RETRY, "it closed the connection before TLS was agreed on");
	case SSL_R_WRONG_VERSION_NUMBER:
		return err_set(err, RC_FATAL,
			"it does not speak TLS on this port: use redis:// or its TLS port");
	default:
		return tls_failed(err, RC_FATAL, "TLS was not agreed on");
	}
}

/* What an incomplete call of OpenSSL asks for: RC_OK: call again. */
static enum rc tls_go_on(
	struct redis_socket *socket, int result, int64_t deadline_ms, struct err *err)
{
	int why = SSL_get_error(socket->tls, result);
	int problem = errno;

	switch (why) {
	case SSL_ERROR_WANT_READ:
		return wait_for(socket->fd, POLLIN, deadline_ms, "answer", err);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(socket->fd, POLLOUT, deadline_ms, "room to write", err);
	case SSL_ERROR_ZERO_RETURN:
		return err_set(err, RC_RETRY, "it closed the connection");
	case SSL_ERROR_SYSCALL:
		return err_set(err, RC_RETRY, "%s",
			problem ? strerror(problem) : "it closed the connection");
	default:
		break;
	}
	switch (ERR_GET_REASON(ERR_peek_last_error())) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return err_set(err, RC_RETRY, "it closed the connection");
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return err_set(err, RC_FATAL,
			"it wants a certificate of ours, but modelwatch proves itself by "
			"password: set tls-auth-clients no in Redis");
	default:
		return tls_failed(err, RC_RETRY, "TLS");
	}
}

static enum rc tls_agree(
	struct redis_socket *socket, const struct config_redis *settings, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + CONNECT_MS;

	ERR_clear_error();
	TRY(tls_prepare(socket, settings, err));
	TRY(tls_expect(socket, settings->host, err));
	for (;;) {
		ERR_clear_error();
		errno = 0;
		int result = SSL_connect(socket->tls);

		if (result == 1)
			return RC_OK;
		if (SSL_get_error(socket->tls, result) == SSL_ERROR_SSL)
			return tls_refused(socket, settings->host, err);
		enum rc rc = tls_go_on(socket, result, deadline_ms, err);

		if (rc != RC_OK)
			return err_prefix(
				err, rc, "TLS was not agreed on (is this its TLS port?): ");
	}
}

enum rc redis_socket_open(
	const struct config_redis *settings, struct redis_socket **opened, struct err *err)
{
	struct redis_socket *socket = memory_new(1, sizeof *socket);

	socket->fd = -1;
	enum rc rc = settings->transport == REDIS_UNIX
			     ? connect_unix(settings->path, &socket->fd, err)
			     : connect_tcp(settings->host, settings->port, &socket->fd, err);

	if (rc == RC_OK && settings->transport == REDIS_TLS)
		rc = tls_agree(socket, settings, err);
	if (rc == RC_OK)
		*opened = socket;
	else
		redis_socket_close(socket);
	return rc;
}

/* No farewell by SSL_shutdown(): answers end by their length, so a cut connection is noticed. */
void redis_socket_close(struct redis_socket *socket)
{
	if (!socket)
		return;
	SSL_free(socket->tls);
	BIO_meth_free(socket->method);
	SSL_CTX_free(socket->context);
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket);
}

/* Writes some bytes; *written 0: try again, a wait was made. */
static enum rc write_some(struct redis_socket *socket, const char *data, size_t size,
	int64_t deadline_ms, size_t *written, struct err *err)
{
	*written = 0;
	errno = 0;
	if (socket->tls) {
		ERR_clear_error();
		int result = SSL_write_ex(socket->tls, data, size, written);

		return result == 1 ? RC_OK : tls_go_on(socket, result, deadline_ms, err);
	}
	ssize_t sent = send(socket->fd, data, size, MSG_NOSIGNAL);

	if (sent >= 0) {
		*written = (size_t)sent;
		return RC_OK;
	}
	if (errno == EAGAIN || errno == EINTR)
		return wait_for(socket->fd, POLLOUT, deadline_ms, "room to write", err);
	return err_set(err, RC_RETRY, "%s", strerror(errno));
}

enum rc redis_socket_write(
	struct redis_socket *socket, const char *data, size_t size, int wait_ms, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + wait_ms;

	while (size) {
		size_t written;

		TRY(write_some(socket, data, size, deadline_ms, &written, err));
		if (written)
			deadline_ms = clock_monotonic_ms() + wait_ms;
		data += written;
		size -= written;
	}
	return RC_OK;
}

/* Reads some bytes; *size 0: try again, a wait was made. */
static enum rc read_some(struct redis_socket *socket, char *data, size_t capacity,
	int64_t deadline_ms, size_t *size, struct err *err)
{
	*size = 0;
	errno = 0;
	if (socket->tls) {
		ERR_clear_error();
		int result = SSL_read_ex(socket->tls, data, capacity, size);

		return result == 1 ? RC_OK : tls_go_on(socket, result, deadline_ms, err);
	}
	ssize_t got = recv(socket->fd, data, capacity, 0);

	if (got == 0)
		return err_set(err, RC_RETRY, "it closed the connection");
	if (got > 0) {
		*size = (size_t)got;
		return RC_OK;
	}
	if (errno == EAGAIN || errno == EINTR)
		return wait_for(socket->fd, POLLIN, deadline_ms, "answer", err);
	return err_set(err, RC_RETRY, "%s", strerror(errno));
}

enum rc redis_socket_read(struct redis_socket *socket, char *data, size_t capacity, size_t *size,
	int wait_ms, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + wait_ms;

	*size = 0;
	while (!*size)
		TRY(read_some(socket, data, capacity, deadline_ms, size, err));
	return RC_OK;
}
