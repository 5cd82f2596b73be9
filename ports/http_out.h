/* ports/http_out.h: HTTP as a client: webhooks, Alertmanager, deployment APIs, the command's
 * console. TOUCHES; the one user of libcurl.
 *
 * Addresses are judged after the name was resolved and before anything is sent: link-local,
 * metadata, multicast, unspecified and reserved addresses never; private ones (RFC 1918, RFC 4193,
 * loopback) only inside the allowed CIDRs. IPv4 in IPv6 forms (mapped, NAT64, 6to4) is judged as
 * the IPv4 it is. No redirect is followed, no proxy from the environment is used, only http and
 * https are spoken, an answer is read up to 64 KiB (or as the call says), a connection waited for 3
 * s, a request timeout_ms in all. */
#ifndef PORTS_HTTP_OUT_H
#define PORTS_HTTP_OUT_H

#include "core/config.h"

struct http_out;

/* allow: CIDRs such as "10.1.0.0/16", "127.0.0.1/32", "fd00::/8"; must outlive the port. */
enum rc http_out_open(char *const *allow, size_t allow_count, struct http_out **opened,
	struct err *err) MUST_CHECK;
void http_out_close(struct http_out *http);

struct http_call {
	const char *method;
	const struct config_http *to; /* url, bearer, ca, timeout */
	const char *url;              /* instead of to->url, or NULL */
	struct view body;             /* copied */
	const char *const *headers;   /* "Name: value", ended by NULL; copied; or NULL */
	uint64_t tag;                 /* comes back with the outcome */
	size_t answer_bytes_max;      /* of the answer's body, then it is cut; 0 = 64 KiB */
};

enum http_fate {
	HTTP_ANSWERED, /* status and body are the answer, whatever it says */
	HTTP_REFUSED,  /* never sent: address not allowed, malformed URL, scheme */
	HTTP_FAILED,   /* certainly not sent: could not connect, resolve, agree on TLS */
	HTTP_UNKNOWN,  /* sent or perhaps sent, no (whole) answer: it may have had its effect */
};

struct http_outcome { /* views valid until the next http_out_take() */
	uint64_t tag;
	enum http_fate fate;
	int status;
	int64_t retry_after_ms; /* from Retry-After (seconds or date); -1: none */
	struct view body;       /* up to 64 KiB, or as the call says */
	char reason[256];       /* of REFUSED, FAILED, UNKNOWN: a sentence */
};

/* Starts a call; many run at once and none delays another. */
void http_out_start(struct http_out *http, const struct http_call *call);
size_t http_out_running(const struct http_out *http);

/* Works on all calls for up to wait_ms; one outcome at a time. False: none within the time. */
bool http_out_take(struct http_out *http, int wait_ms, struct http_outcome *outcome);

#endif
