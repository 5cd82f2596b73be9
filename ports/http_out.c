#include "ports/http_out.h"

#include "core/address.h"
#include "core/memory.h"
#include "ports/clock.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWER_BYTES_MAX = 64 * 1024,
	HEADER_BYTES_MAX = 64 * 1024,
	CONNECT_MS = 3000,
	TIMEOUT_MS = 15000,
	RETRY_AFTER_S_MAX = 30 * 24 * 3600,
};

struct call {
	struct http_out *http;
	uint64_t tag;
	CURL *easy; /* NULL: refused before it began, reason says why */
	struct curl_slist *headers;
	char where[300]; /* host and port; a URL's path may be a secret */
	int64_t timeout_ms;
	size_t answer_bytes_max;
	char reason[256];
	char curl_says[CURL_ERROR_SIZE];
	bool opened; /* some address of the name was allowed */
	bool sent;   /* from here on bytes of the request may have left */
	bool cut;    /* the answer was longer than we read */
	size_t header_bytes;
	struct bytes body;
};

struct http_out {
	CURLM *multi;
	struct address_block *allowed;
	size_t allowed_count;
	struct call **calls; /* running, or refused and not yet taken */
	size_t call_count;
	struct call *taken; /* holds what the last outcome points to */
};

static void call_free(struct call *call)
{
	if (!call)
		return;
	if (call->easy) {
		curl_multi_remove_handle(call->http->multi, call->easy);
		curl_easy_cleanup(call->easy);
	}
	curl_slist_free_all(call->headers);
	bytes_done(&call->body);
	free(call);
}

enum rc http_out_open(
	char *const *allow, size_t allow_count, struct http_out **opened, struct err *err)
{
	struct http_out *http = memory_new(1, sizeof *http);

	curl_global_init(CURL_GLOBAL_DEFAULT);
	http->allowed = memory_new(allow_count, sizeof *http->allowed);
	for (; http->allowed_count < allow_count; http->allowed_count++) {
		const char *text = allow[http->allowed_count];

		if (address_block_parse(text, &http->allowed[http->allowed_count], err) != RC_OK) {
			http_out_close(http);
			return err_prefix(err, RC_FATAL, "allowed addresses of http: ");
		}
	}
	http->multi = curl_multi_init();
	if (!http->multi) {
		http_out_close(http);
		return err_set(err, RC_FATAL, "libcurl cannot start");
	}
	*opened = http;
	return RC_OK;
}

void http_out_close(struct http_out *http)
{
	if (!http)
		return;
	for (size_t i = 0; i < http->call_count; i++)
		call_free(http->calls[i]);
	call_free(http->taken);
	if (http->multi)
		curl_multi_cleanup(http->multi);
	curl_global_cleanup();
	free(http->calls);
	free(http->allowed);
	free(http);
}

static bool address_of(const struct sockaddr *from, size_t size, struct address *address)
{
	if (from->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
		address->bits = 32;
		memcpy(address->bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr,
			4);
		return true;
	}
	if (from->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
		address->bits = 128;
		memcpy(address->bytes,
			&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
		return true;
	}
	return false;
}

/* Called for each address of a name, with the very address that would be connected to next: what a
 * name resolves to a moment later does not matter. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct call *call = context;
	struct address address = {0};
	char text[ADDRESS_TEXT_SIZE] = "";

	(void)purpose;
	bool known = address_of(&to->addr, to->addrlen, &address);
	const char *refused =
		known ? address_refused(&address, call->http->allowed, call->http->allowed_count)
		      : "of an unknown kind";

	if (refused) {
		if (known)
			address_text(&address, text);
		snprintf(call->reason, sizeof call->reason, "address %s (%s) of %.150s is refused",
			text, refused, call->where);
		return CURL_SOCKET_BAD;
	}
	call->opened = true;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Called between the handshakes and the first byte of the request; once, since nothing may be sent
 * twice. */
static int before_request(void *context, char *to, char *from, int to_port, int from_port)
{
	struct call *call = context;

	(void)to, (void)from, (void)to_port, (void)from_port;
	if (call->sent)
		return CURL_PREREQFUNC_ABORT;
	call->sent = true;
	return CURL_PREREQFUNC_OK;
}

static size_t take_body(char *data, size_t one, size_t size, void *context)
{
	struct call *call = context;
	size_t room = call->answer_bytes_max - call->body.size;

	(void)one;
	bytes_add(&call->body, data, size < room ? size : room);
	call->cut = size > room;
	return call->cut ? 0 : size;
}

static size_t take_header(char *data, size_t one, size_t size, void *context)
{
	struct call *call = context;

	(void)data, (void)one;
	call->header_bytes += size;
	return call->header_bytes > HEADER_BYTES_MAX ? 0 : size;
}

/* False: reason says why this URL is not called. */
static bool url_is_good(struct call *call, const char *text)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *password = NULL;
	CURLU *url = curl_url();
	CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);

	curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(url, CURLUPART_HOST, &host, 0);
	curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	curl_url_get(url, CURLUPART_USER, &user, 0);
	curl_url_get(url, CURLUPART_PASSWORD, &password, 0);
	snprintf(call->where, sizeof call->where, "%s:%s", host ? host : "", port ? port : "");
	if (code != CURLUE_OK || !scheme)
		snprintf(call->reason, sizeof call->reason, "malformed URL: %s",
			curl_url_strerror(code));
	else if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
		snprintf(call->reason, sizeof call->reason,
			"URL with scheme %.40s is refused; expected http or https", scheme);
	else if (user || password)
		snprintf(call->reason, sizeof call->reason,
			"URL with credentials for %.150s is refused; expected a bearer_token_file",
			call->where);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_free(password);
	curl_url_cleanup(url);
	return !call->reason[0];
}

/* A call without one of its headers, such as its signature, must not leave. */
static void append_header(struct call *call, const char *header)
{
	struct curl_slist *headers = curl_slist_append(call->headers, header);

	if (!headers)
		memory_exhausted();
	call->headers = headers;
}

/* A control character in a header would start another one. */
static bool add_header(struct call *call, const char *header, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)header[i] < ' ' || header[i] == 0x7f) {
			snprintf(call->reason, sizeof call->reason,
				"header %.*s for %.150s has a control character and is refused",
				(int)strcspn(header, ":\r\n"), header, call->where);
			return false;
		}
	}
	append_header(call, header);
	return true;
}

static bool is_given(const struct http_call *given, const char *name)
{
	for (size_t i = 0; given->headers && given->headers[i]; i++)
		if (strncasecmp(given->headers[i], name, strlen(name)) == 0)
			return true;
	return false;
}

static bool add_bearer(struct call *call, const struct secret *bearer)
{
	CLEANUP(bytes_done) struct bytes header = {0};
	struct view token = secret_reveal(bearer);

	bytes_text(&header, "Authorization: Bearer ");
	bytes_add(&header, token.data, token.size);
	bool good = add_header(call, header.data, header.size);

	explicit_bzero(header.data, header.size);
	return good;
}

/* "Expect:" empty: libcurl would ask before it sends a large body, and wait. */
static bool add_headers(struct call *call, const struct http_call *given)
{
	append_header(call, "Expect:");
	if (!is_given(given, "Accept:"))
		append_header(call, "Accept: application/json");
	if (given->body.size && !is_given(given, "Content-Type:"))
		append_header(call, "Content-Type: application/json");
	for (size_t i = 0; given->headers && given->headers[i]; i++)
		if (!add_header(call, given->headers[i], strlen(given->headers[i])))
			return false;
	return !given->to->bearer || add_bearer(call, given->to->bearer);
}

static void set_method(CURL *easy, const struct http_call *given)
{
	bool has_body = given->body.size > 0;

	if (strcmp(given->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (has_body || strcmp(given->method, "POST") == 0) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)given->body.size);
		if (curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS,
			    has_body ? given->body.data : "") != CURLE_OK)
			memory_exhausted();
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, given->method);
}

/* Where a request may go, and what may carry it there. */
static void set_way(struct call *call, const struct http_call *given)
{
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	/* A connection of its own for each call: it was judged for this call and its configuration,
	 * and libcurl never repeats by itself a request that a kept connection lost. HTTP/1.1
	 * because HTTP/2 may repeat one too. */
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (given->to->ca && given->to->ca[0]) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, given->to->ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static void set_limits(struct call *call)
{
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	/* Else a name server that hangs would hold up all calls when one of them times out. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
}

static void call_begin(struct call *call, const struct http_call *given, const char *url)
{
	call->easy = curl_easy_init();
	if (!call->easy)
		memory_exhausted();
	curl_easy_setopt(call->easy, CURLOPT_URL, url);
	curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(call->easy, CURLOPT_ERRORBUFFER, call->curl_says);
	curl_easy_setopt(call->easy, CURLOPT_USERAGENT, "modelwatch/1");
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	set_method(call->easy, given);
	set_way(call, given);
	set_limits(call);
	if (curl_multi_add_handle(call->http->multi, call->easy) != CURLM_OK)
		memory_exhausted();
}

void http_out_start(struct http_out *http, const struct http_call *given)
{
	struct call *call = memory_new(1, sizeof *call);
	const char *url = given->url ? given->url : given->to->url;

	call->http = http;
	call->tag = given->tag;
	call->timeout_ms = given->to->timeout_ms > 0 ? given->to->timeout_ms : TIMEOUT_MS;
	call->answer_bytes_max =
		given->answer_bytes_max ? given->answer_bytes_max : ANSWER_BYTES_MAX;
	if (url_is_good(call, url) && add_headers(call, given))
		call_begin(call, given, url);
	http->calls = memory_grow(http->calls, http->call_count + 1, sizeof *http->calls);
	http->calls[http->call_count++] = call;
}

size_t http_out_running(const struct http_out *http)
{
	return http->call_count;
}

/* Seconds, or a date (RFC 9110, section 10.2.3). */
static int64_t retry_after_ms(CURL *easy)
{
	struct curl_header *header;

	if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return -1;
	char *end;
	long long seconds = strtoll(header->value, &end, 10);

	if (header->value[0] < '0' || header->value[0] > '9' || *end) {
		time_t date = curl_getdate(header->value, NULL);

		if (date < 0)
			return -1;
		seconds = (long long)date - clock_wall_ms() / 1000;
	}
	if (seconds < 0)
		seconds = 0;
	return (seconds < RETRY_AFTER_S_MAX ? seconds : RETRY_AFTER_S_MAX) * 1000;
}

/* libcurl also takes "HTTP/29099" for a status. */
static bool is_status(long status)
{
	return status >= 100 && status <= 999;
}

static enum http_fate fate_of(const struct call *call, CURLcode code, long status)
{
	if ((code == CURLE_OK || call->cut) && is_status(status))
		return HTTP_ANSWERED;
	if (call->sent)
		return HTTP_UNKNOWN;
	return call->reason[0] && !call->opened ? HTTP_REFUSED : HTTP_FAILED;
}

static void explain(const struct call *call, CURLcode code, char reason[static 256])
{
	const char *says = call->curl_says[0] ? call->curl_says : curl_easy_strerror(code);

	if (call->sent && code == CURLE_OPERATION_TIMEDOUT)
		snprintf(reason, 256, "%.150s did not answer within %lld ms", call->where,
			(long long)call->timeout_ms);
	else if (call->header_bytes > HEADER_BYTES_MAX)
		snprintf(reason, 256, "%.150s answered with headers of more than %d bytes",
			call->where, HEADER_BYTES_MAX);
	else if (code == CURLE_OK)
		snprintf(reason, 256, "%.150s answered without a status of HTTP", call->where);
	else
		snprintf(reason, 256, "%.100s: %.150s", call->where, says);
}

static void call_end(struct call *call, CURLcode code, struct http_outcome *outcome)
{
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	outcome->fate = fate_of(call, code, status);
	if (outcome->fate == HTTP_ANSWERED) {
		outcome->status = (int)status;
		outcome->retry_after_ms = retry_after_ms(call->easy);
		outcome->body = (struct view){call->body.data, call->body.size};
	} else if (outcome->fate == HTTP_REFUSED) {
		memcpy(outcome->reason, call->reason, sizeof outcome->reason);
	} else {
		explain(call, code, outcome->reason);
	}
}

static void leave(struct http_out *http, struct call *call)
{
	size_t place = 0;

	while (http->calls[place] != call)
		place++;
	http->call_count--;
	memmove(&http->calls[place], &http->calls[place + 1],
		(http->call_count - place) * sizeof *http->calls);
	http->taken = call;
}

static bool take_refused(struct http_out *http, struct http_outcome *outcome)
{
	for (size_t i = 0; i < http->call_count; i++) {
		struct call *call = http->calls[i];

		if (call->easy)
			continue;
		outcome->tag = call->tag;
		outcome->fate = HTTP_REFUSED;
		memcpy(outcome->reason, call->reason, sizeof outcome->reason);
		leave(http, call);
		return true;
	}
	return false;
}

static bool take_ended(struct http_out *http, struct http_outcome *outcome)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct call *call;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		outcome->tag = call->tag;
		call_end(call, message->data.result, outcome);
		leave(http, call);
		return true;
	}
	return false;
}

bool http_out_take(struct http_out *http, int wait_ms, struct http_outcome *outcome)
{
	int64_t deadline = clock_monotonic_ms() + wait_ms;

	call_free(http->taken);
	http->taken = NULL;
	*outcome = (struct http_outcome){.retry_after_ms = -1};
	if (take_refused(http, outcome))
		return true;
	for (;;) {
		int running;

		curl_multi_perform(http->multi, &running);
		if (take_ended(http, outcome))
			return true;
		int64_t left = deadline - clock_monotonic_ms();

		if (left <= 0)
			return false;
		curl_multi_poll(http->multi, NULL, 0, (int)left, NULL);
	}
}
