/* ports/http_in.h: HTTP as a server: /metrics of every service, the console's API, the demo's
 * targets. TOUCHES; the one user of libmicrohttpd. Single-threaded: requests are answered inside
 * http_in_poll(). Limits: 64 KiB body, 128 connections, 5 s for a request to arrive.
 * HEAD reaches the handler as GET and is answered without the body; a method that HTTP does not
 * know is answered 501 here, a body above the limit 413. */
#ifndef PORTS_HTTP_IN_H
#define PORTS_HTTP_IN_H

#include "core/bytes.h"

struct http_in;

struct http_request {
	const char *method, *path; /* path without the query */
	struct view body;
	void *connection; /* for http_query() and http_header() */
};
struct http_answer {
	int status;               /* 200 unless set */
	const char *content_type; /* application/json unless set */
	const char *allow;        /* for 405: the methods that are allowed; NULL = none told */
	struct bytes body;        /* freed by the port */
};
typedef void (*http_handler)(
	void *context, const struct http_request *request, struct http_answer *answer);

/* host: an address of the machine ("127.0.0.1"); port 0: any free one (http_in_port() tells). */
enum rc http_in_open(const char *host, int port, http_handler handler, void *context,
	struct http_in **opened, struct err *err) MUST_CHECK;
void http_in_close(struct http_in *http);
int http_in_port(const struct http_in *http);

/* Serves what is there, waiting for it at most wait_ms. */
void http_in_poll(struct http_in *http, int wait_ms);

const char *http_query(const struct http_request *request, const char *name);  /* NULL: not given */
const char *http_header(const struct http_request *request, const char *name); /* NULL: not given */

#endif
