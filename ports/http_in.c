#include "ports/http_in.h"

#include "core/memory.h"
#include "ports/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BODY_BYTES_MAX = 64 << 10,
	CONNECTIONS_MAX = 128,
	ARRIVAL_MS_MAX = 5000,
	ROUNDS_MAX =
		16, /* of one http_in_poll(): accept, read and answer are rounds of their own */
};

struct connection {
	struct connection *next, *previous;
	int socket;
	int64_t since_ms; /* when its request began to be waited for; -1 while one is answered */
};

struct http_in {
	struct MHD_Daemon *daemon;
	int readiness; /* the daemon's epoll descriptor */
	int port;
	http_handler handler;
	void *context;
	struct connection *connections;
};

struct arrival { /* of one request */
	struct bytes body;
	bool too_large;
};

/* ---- connections that take too long */

static void connection_changed(void *context, struct MHD_Connection *peer, void **place,
	enum MHD_ConnectionNotificationCode code)
{
	struct http_in *http = context;
	struct connection *connection = *place;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		connection = memory_new(1, sizeof *connection);
		connection->socket =
			MHD_get_connection_info(peer, MHD_CONNECTION_INFO_CONNECTION_FD)
				->connect_fd;
		connection->since_ms = clock_monotonic_ms();
		connection->next = http->connections;
		if (connection->next)
			connection->next->previous = connection;
		http->connections = connection;
		*place = connection;
		return;
	}
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		http->connections = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	free(connection);
	*place = NULL;
}

static struct connection *connection_of(struct MHD_Connection *peer)
{
	return MHD_get_connection_info(peer, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* libmicrohttpd's own timeout only knows silence; whoever sends a byte now and then is ended here.
 */
static void end_slow_connections(struct http_in *http)
{
	int64_t now = clock_monotonic_ms();

	for (struct connection *each = http->connections; each; each = each->next) {
		if (each->since_ms >= 0 && now - each->since_ms > ARRIVAL_MS_MAX) {
			shutdown(each->socket, SHUT_RDWR);
			each->since_ms = -1;
		}
	}
}

/* ---- one request */

static enum MHD_Result send_answer(struct MHD_Connection *peer, struct http_answer *answer)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body.size, answer->body.data, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		bytes_done(&answer->body);
		return MHD_NO;
	}
	answer->body = (struct bytes){0}; /* the response owns it from here */
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (answer->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	enum MHD_Result result = MHD_queue_response(peer, (unsigned)answer->status, response);

	MHD_destroy_response(response);
	return result;
}

static struct http_answer answer_new(int status)
{
	return (struct http_answer){.status = status, .content_type = "application/json"};
}

static enum MHD_Result send_error(struct MHD_Connection *peer, int status, const char *text)
{
	struct http_answer answer = answer_new(status);

	bytes_format(&answer.body, "{\"error\":\"%s\"}\n", text);
	return send_answer(peer, &answer);
}

static enum MHD_Result send_too_large(struct MHD_Connection *peer)
{
	return send_error(peer, 413, "the body is too large, at most 65536 bytes are taken");
}

static bool announces_too_much(struct MHD_Connection *peer)
{
	const char *length =
		MHD_lookup_connection_value(peer, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	/* Malformed lengths were refused before this is asked; 20 digits and more overflow to the
	 * maximum. */
	return length && strtoull(length, NULL, 10) > BODY_BYTES_MAX;
}

static void take_body(struct arrival *arrival, const char *data, size_t size)
{
	if (arrival->body.size + size > BODY_BYTES_MAX)
		arrival->too_large = true;
	else
		bytes_add(&arrival->body, data, size);
}

/* The method as the handler sees it; NULL: HTTP knows none such. */
static const char *method_of(const char *method)
{
	static const char *const known[] = {
		"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"};

	if (strcmp(method, "HEAD") == 0)
		return "GET";
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(method, known[i]) == 0)
			return known[i];
	return NULL;
}

static enum MHD_Result handle(struct http_in *http, struct MHD_Connection *peer, const char *path,
	const char *method, const struct arrival *arrival)
{
	struct http_request request = {.method = method_of(method),
		.path = path,
		.body = {.data = arrival->body.data, .size = arrival->body.size},
		.connection = peer};
	struct http_answer answer = answer_new(200);

	if (!request.method)
		return send_error(peer, 501, "unknown method");
	http->handler(http->context, &request, &answer);
	return send_answer(peer, &answer);
}

/* libmicrohttpd calls once with the head, then with each piece of the body, then once more. */
static enum MHD_Result serve(void *context, struct MHD_Connection *peer, const char *path,
	const char *method, const char *version, const char *data, size_t *size, void **place)
{
	struct http_in *http = context;
	struct arrival *arrival = *place;

	(void)version;
	if (!arrival) {
		*place = memory_new(1, sizeof *arrival);
		return announces_too_much(peer) ? send_too_large(peer) : MHD_YES;
	}
	if (*size) {
		take_body(arrival, data, *size);
		*size = 0;
		return MHD_YES;
	}
	connection_of(peer)->since_ms = -1;
	return arrival->too_large ? send_too_large(peer)
				  : handle(http, peer, path, method, arrival);
}

static void request_ended(void *context, struct MHD_Connection *peer, void **place,
	enum MHD_RequestTerminationCode code)
{
	struct arrival *arrival = *place;

	(void)context;
	(void)code;
	connection_of(peer)->since_ms = clock_monotonic_ms();
	if (arrival)
		bytes_done(&arrival->body);
	free(arrival);
	*place = NULL;
}

/* ---- the server */

static int listen_at(const struct addrinfo *address)
{
	int one = 1;
	int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		address->ai_protocol);

	if (listener < 0)
		return -1;
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
		bind(listener, address->ai_addr, address->ai_addrlen) == 0 &&
		listen(listener, CONNECTIONS_MAX) == 0)
		return listener;
	int reason = errno;

	close(listener);
	errno = reason;
	return -1;
}

static enum rc open_listener(const char *host, int port, int *listener, struct err *err)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found;
	char service[16];

	snprintf(service, sizeof service, "%d", port);
	int failure = getaddrinfo(host, service, &hints, &found);

	if (failure)
		return err_set(err, RC_FATAL, "cannot listen on %s:%d: %s", host, port,
			gai_strerror(failure));
	*listener = listen_at(found);
	freeaddrinfo(found);
	if (*listener < 0)
		return err_set(
			err, RC_FATAL, "cannot listen on %s:%d: %s", host, port, strerror(errno));
	return RC_OK;
}

static int port_of(int listener)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;
	char port[16] = "0";

	if (getsockname(listener, (struct sockaddr *)&address, &size) == 0)
		getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port,
			NI_NUMERICSERV);
	return atoi(port);
}

enum rc http_in_open(const char *host, int port, http_handler handler, void *context,
	struct http_in **opened, struct err *err)
{
	int listener;

	TRY(open_listener(host, port, &listener, err));
	struct http_in *http = memory_new(1, sizeof *http);

	*http = (struct http_in){.port = port_of(listener), .handler = handler, .context = context};
	/* The daemon owns the listener once it has started. */
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, serve, http,
		MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, ARRIVAL_MS_MAX / 1000u,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, request_ended, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http, MHD_OPTION_END);
	if (!http->daemon) {
		close(listener);
		free(http);
		return err_set(
			err, RC_FATAL, "cannot serve %s:%d: %s", host, port, strerror(errno));
	}
	http->readiness = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	*opened = http;
	return RC_OK;
}

void http_in_close(struct http_in *http)
{
	if (!http)
		return;
	MHD_stop_daemon(http->daemon);
	free(http);
}

int http_in_port(const struct http_in *http)
{
	return http->port;
}

static bool has_more(struct http_in *http)
{
	struct pollfd readiness = {.fd = http->readiness, .events = POLLIN};
	MHD_UNSIGNED_LONG_LONG wait_ms;

	if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES && wait_ms == 0)
		return true;
	return poll(&readiness, 1, 0) > 0;
}

static bool has_descriptors(struct http_in *http)
{
	int spare = fcntl(http->readiness, F_DUPFD_CLOEXEC, 0);

	if (spare < 0)
		return errno != EMFILE && errno != ENFILE;
	close(spare);
	return true;
}

/* Who cannot be accepted, because there are no descriptors, stays ready to be: libmicrohttpd would
 * not wait at all. Those that are here are served, once in a wait. */
void http_in_poll(struct http_in *http, int wait_ms)
{
	end_slow_connections(http);
	if (!has_descriptors(http)) {
		MHD_run_wait(http->daemon, 0);
		poll(NULL, 0, wait_ms);
		return;
	}
	MHD_run_wait(http->daemon, wait_ms);
	for (int round = 0; round < ROUNDS_MAX && has_more(http); round++)
		MHD_run_wait(http->daemon, 0);
}

const char *http_query(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}
