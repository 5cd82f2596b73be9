/* The server of these tests is a few threads on a loopback socket, because it must misbehave in
 * ways that a proper one does not. Nothing here connects anywhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/memory.h"
#include "ports/clock.h"
#include "ports/http_out.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- names: "*.test" are ours and lead to loopback; hang.test takes its time */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	const char *dot = node ? strrchr(node, '.') : NULL;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!dot || strcmp(dot, ".test") != 0)
		return real(node, service, hints, found);
	if (strcmp(node, "hang.test") == 0)
		sleep(6);
	if (strcmp(node, "nobody.test") == 0)
		return EAI_NONAME;
	return real(strcmp(node, "unspecified.test") == 0 ? "0.0.0.0" : "127.0.0.1", service, hints,
		found);
}

/* ---- the server */

static int listener, port;
static atomic_int connections;
static _Atomic(char *) last_request; /* leaked by the threads that lose it, on purpose */

static void say(int socket, const char *text)
{
	send(socket, text, strlen(text), MSG_NOSIGNAL);
}

static void repeat(int socket, const char *text)
{
	while (send(socket, text, strlen(text), MSG_NOSIGNAL) > 0)
		continue;
}

static void say_date(int socket, int seconds)
{
	char date[64], answer[256];
	time_t at = (time_t)(clock_wall_ms() / 1000) + seconds;

	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&at));
	snprintf(answer, sizeof answer,
		"HTTP/1.1 503 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
	say(socket, answer);
}

static void behave(int socket, const char *path)
{
	static const struct {
		const char *path, *answer;
	} answers[] = {
		{"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"/empty", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"/refused", "HTTP/1.1 422 No\r\nContent-Length: 3\r\n\r\nbad"},
		{"/redirect", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
		{"/later", "HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"},
		{"/much-later", "HTTP/1.1 503 No\r\nRetry-After: "
				"99999999999999999999\r\nContent-Length: 0\r\n\r\n"},
		{"/nonsense-later",
			"HTTP/1.1 503 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n"},
		{"/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"},
		{"/not-http", "hello, this is no HTTP\r\n\r\n"},
		{"/no-status", "HTTP/29099 07\r\nContent-Length: 0\r\n\r\n"},
	};

	for (size_t i = 0; i < COUNT(answers); i++)
		if (strcmp(path, answers[i].path) == 0)
			say(socket, answers[i].answer);
	if (strcmp(path, "/date") == 0)
		say_date(socket, 90);
	if (strcmp(path, "/past") == 0)
		say_date(socket, -90);
	if (strcmp(path, "/hang") == 0)
		usleep(3000 * 1000);
	if (strcmp(path, "/huge") == 0) {
		say(socket, "HTTP/1.1 200 OK\r\n\r\n");
		repeat(socket, "0123456789abcdef");
	}
	if (strcmp(path, "/headers") == 0) {
		say(socket, "HTTP/1.1 200 OK\r\n");
		repeat(socket, "X-More: 0123456789abcdef\r\n");
	}
}

/* The whole request, by its Content-Length. */
static char *read_request(int socket)
{
	char *text = memory_new(1, 256 * 1024);
	size_t size = 0;

	while (size < 256 * 1024 - 1) {
		ssize_t got = recv(socket, text + size, 256 * 1024 - 1 - size, 0);
		if (got <= 0)
			break;
		size += (size_t)got;
		char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
		if (end && text + size >= end + 4 + (length ? atol(length + 16) : 0))
			break;
	}
	return text;
}

static void *serve(void *context)
{
	int socket = (int)(intptr_t)context;
	char *request = read_request(socket);
	char method[16] = "", path[128] = "";

	sscanf(request, "%15s %127s", method, path);
	free(atomic_exchange(&last_request, request));
	behave(socket, path);
	close(socket);
	return NULL;
}

static void *accept_all(void *context)
{
	(void)context;
	for (;;) {
		int socket = accept(listener, NULL, NULL);
		pthread_t thread;

		if (socket < 0)
			return NULL;
		atomic_fetch_add(&connections, 1);
		pthread_create(&thread, NULL, serve, (void *)(intptr_t)socket);
		pthread_detach(thread);
	}
}

static int listen_on_loopback(int *bound)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(made, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(made, (struct sockaddr *)&address, &size), 0);
	*bound = ntohs(address.sin_port);
	return made;
}

static int start_server(void **state)
{
	pthread_t thread;

	(void)state;
	listener = listen_on_loopback(&port);
	assert_int_equal(listen(listener, 128), 0);
	return pthread_create(&thread, NULL, accept_all, NULL);
}

/* ---- calls */

static char *allow_loopback[] = {"127.0.0.0/8"};

static struct http_out *opened(char *const *allow, size_t count)
{
	struct http_out *http = NULL;
	struct err err;

	if (http_out_open(allow, count, &http, &err) != RC_OK)
		fail_msg("%s", err.text);
	return http;
}

struct asked {
	struct http_outcome outcome;
	char body[64 * 1024 + 1];
};

/* One call from start to end on a port of its own. */
static struct asked *ask_with(char *const *allow, size_t count, const struct http_call *call)
{
	static struct asked asked;
	struct http_out *http = opened(allow, count);

	http_out_start(http, call);
	assert_int_equal(http_out_running(http), 1);
	if (!http_out_take(http, 10000, &asked.outcome))
		fail_msg("no outcome within 10 s");
	assert_int_equal(http_out_running(http), 0);
	assert_int_equal(asked.outcome.tag, call->tag);
	memcpy(asked.body, asked.outcome.body.size ? asked.outcome.body.data : "",
		asked.outcome.body.size);
	asked.body[asked.outcome.body.size] = '\0';
	http_out_close(http);
	return &asked;
}

static const char *url_of(const char *host, const char *path)
{
	static char url[256];

	snprintf(url, sizeof url, "http://%s:%d%s", host, port, path);
	return url;
}

static struct asked *get(const char *url)
{
	struct config_http to = {.url = (char *)url, .ca = "", .timeout_ms = 1000};

	return ask_with(
		allow_loopback, 1, &(struct http_call){.method = "GET", .to = &to, .tag = 7});
}

static void check_fate(const struct asked *asked, const char *what, enum http_fate fate)
{
	static const char *const names[] = {"answered", "refused", "failed", "unknown"};

	if (asked->outcome.fate != fate)
		fail_msg("%s: %s (%s), expected %s", what, names[asked->outcome.fate],
			asked->outcome.reason, names[fate]);
	if ((fate == HTTP_ANSWERED) != !asked->outcome.reason[0])
		fail_msg("%s: reason \"%s\"", what, asked->outcome.reason);
}

/* ---- tests */

static const char *const loopback_spellings[] = {"127.0.0.1", "127.1", "127.0.1", "2130706433",
	"0x7f000001", "0x7f.0.0.1", "0x7f.1", "017700000001", "0177.0.0.1", "0177.1",
	"127.000.000.001", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
	"localhost", "LOCALHOST", "name.test"};

static void loopback_in_any_spelling_is_refused_without_a_packet(void **state)
{
	int before = atomic_load(&connections);

	(void)state;
	for (size_t i = 0; i < COUNT(loopback_spellings); i++) {
		struct config_http to = {.url = (char *)url_of(loopback_spellings[i], "/ok"),
			.ca = "",
			.timeout_ms = 1000};
		struct http_call call = {.method = "POST", .to = &to, .body = view_of("{}")};
		struct asked *asked = ask_with(NULL, 0, &call);

		check_fate(asked, to.url, HTTP_REFUSED);
		if (!strstr(asked->outcome.reason, "(loopback)"))
			fail_msg("%s: %s", to.url, asked->outcome.reason);
	}
	assert_int_equal(atomic_load(&connections), before);
}

static void loopback_in_any_spelling_answers_where_it_is_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(loopback_spellings); i++) {
		struct asked *asked = get(url_of(loopback_spellings[i], "/ok"));

		check_fate(asked, loopback_spellings[i], HTTP_ANSWERED);
		assert_int_equal(asked->outcome.status, 200);
		assert_string_equal(asked->body, "hello");
	}
}

/* Linux connects "0" to loopback: were one not refused, the server would see it. */
static void unspecified_addresses_are_refused_even_when_everything_is_allowed(void **state)
{
	static const char *const hosts[] = {"0", "0.0.0.0", "0x0", "00", "0.0", "[::]",
		"[::ffff:0.0.0.0]", "[::0.0.0.0]", "unspecified.test"};
	char *everything[] = {"0.0.0.0/0", "::/0"};
	int before = atomic_load(&connections);

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct config_http to = {
			.url = (char *)url_of(hosts[i], "/ok"), .ca = "", .timeout_ms = 1000};

		check_fate(ask_with(everything, 2, &(struct http_call){.method = "GET", .to = &to}),
			to.url, HTTP_REFUSED);
	}
	assert_int_equal(atomic_load(&connections), before);
}

static void the_sentence_of_a_refusal_names_address_kind_and_host(void **state)
{
	struct config_http to = {
		.url = (char *)url_of("name.test", "/secret"), .ca = "", .timeout_ms = 1000};
	char expected[128];

	(void)state;
	snprintf(expected, sizeof expected,
		"address 127.0.0.1 (loopback) of name.test:%d is refused", port);
	assert_string_equal(
		ask_with(NULL, 0, &(struct http_call){.method = "GET", .to = &to})->outcome.reason,
		expected);
}

static void other_schemes_credentials_and_malformed_urls_are_refused(void **state)
{
	static const char *const urls[] = {"file:///etc/passwd", "gopher://127.0.0.1/",
		"ftp://127.0.0.1/x", "unix:///run/x", "dict://127.0.0.1/", "", "127.0.0.1",
		"http://", "http://u:p@127.0.0.1/", "http://u@127.0.0.1/",
		"http://127.0.0.1:99999/", "http://127.0.0.1 /", "http://a\nb/",
		"javascript:alert(1)"};

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++)
		check_fate(get(urls[i]), urls[i], HTTP_REFUSED);
}

static void a_redirect_is_an_answer_and_is_not_followed(void **state)
{
	int before = atomic_load(&connections);
	struct asked *asked = get(url_of("127.0.0.1", "/redirect"));

	(void)state;
	check_fate(asked, "/redirect", HTTP_ANSWERED);
	assert_int_equal(asked->outcome.status, 302);
	assert_int_equal(atomic_load(&connections), before + 1);
}

static void a_proxy_of_the_environment_is_not_used(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	check_fate(get(url_of("127.0.0.1", "/ok")), "/ok", HTTP_ANSWERED);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void a_huge_answer_is_cut_and_still_an_answer(void **state)
{
	struct asked *asked = get(url_of("127.0.0.1", "/huge"));

	(void)state;
	check_fate(asked, "/huge", HTTP_ANSWERED);
	assert_int_equal(asked->outcome.status, 200);
	assert_int_equal(asked->outcome.body.size, 64 * 1024);
	assert_memory_equal(asked->body, "0123456789abcdef01", 18);
}

static void a_call_may_ask_for_less_or_more_of_an_answer(void **state)
{
	static const size_t limits[] = {1, 1000, 200 * 1024};

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct http_out *http = opened(allow_loopback, 1);
		struct config_http to = {
			.url = (char *)url_of("127.0.0.1", "/huge"), .ca = "", .timeout_ms = 1000};
		struct http_outcome outcome;

		http_out_start(
			http, &(struct http_call){
				      .method = "GET", .to = &to, .answer_bytes_max = limits[i]});
		assert_true(http_out_take(http, 5000, &outcome));
		assert_int_equal(outcome.fate, HTTP_ANSWERED);
		assert_int_equal(outcome.body.size, limits[i]);
		http_out_close(http);
	}
}

struct fate_row {
	const char *path;
	enum http_fate fate;
	int status;
};

static void what_was_sent_without_a_whole_answer_is_unknown(void **state)
{
	static const struct fate_row rows[] = {
		{"/ok", HTTP_ANSWERED, 200},
		{"/empty", HTTP_ANSWERED, 204},
		{"/refused", HTTP_ANSWERED, 422},
		{"/hang", HTTP_UNKNOWN, 0},
		{"/drop", HTTP_UNKNOWN, 0},
		{"/short", HTTP_UNKNOWN, 0},
		{"/not-http", HTTP_UNKNOWN, 0},
		{"/no-status", HTTP_UNKNOWN, 0},
		{"/headers", HTTP_UNKNOWN, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct asked *asked = get(url_of("127.0.0.1", rows[i].path));

		check_fate(asked, rows[i].path, rows[i].fate);
		assert_int_equal(asked->outcome.status, rows[i].status);
	}
}

static void what_never_began_to_be_sent_has_failed(void **state)
{
	char url[64];
	int closed_port, silent_port;
	int bound = listen_on_loopback(&closed_port); /* does not listen: connections are refused */
	int silent = listen_on_loopback(&silent_port);

	(void)state;
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", closed_port);
	check_fate(get(url), "nobody listens", HTTP_FAILED);
	snprintf(url, sizeof url, "http://nobody.test:%d/", port);
	check_fate(get(url), "no such name", HTTP_FAILED);
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
	check_fate(get(url), "no TLS there", HTTP_FAILED);
	assert_int_equal(listen(silent, 8), 0);
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", silent_port);
	check_fate(get(url), "TLS does not answer", HTTP_FAILED);
	close(bound);
	close(silent);
}

static void retry_after_is_read_as_seconds_or_as_a_date(void **state)
{
	static const struct {
		const char *path;
		int64_t from, to;
	} rows[] = {{"/ok", -1, -1}, {"/later", 7000, 7000}, {"/date", 85000, 91000},
		{"/past", 0, 0}, {"/nonsense-later", -1, -1},
		{"/much-later", 86400000, INT64_C(2592000000)}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t found = get(url_of("127.0.0.1", rows[i].path))->outcome.retry_after_ms;

		if (found < rows[i].from || found > rows[i].to)
			fail_msg("%s: %lld", rows[i].path, (long long)found);
	}
}

static void check_sent(const char *expected)
{
	const char *request = atomic_load(&last_request);

	if (!strstr(request, expected))
		fail_msg("\"%s\" is not in:\n%s", expected, request);
}

static void a_request_carries_method_headers_token_and_body(void **state)
{
	static const char *const headers[] = {"webhook-id: n-1", NULL};
	struct secret *bearer = secret_new("s3cret\n", 7);
	struct config_http to = {
		.url = "http://127.0.0.1:1/", .bearer = bearer, .ca = "", .timeout_ms = 1000};
	struct http_call call = {.method = "PUT",
		.to = &to,
		.url = url_of("127.0.0.1", "/ok"),
		.body = {"{\"a\":1}xxx", 7},
		.headers = headers,
		.tag = UINT64_MAX};

	(void)state;
	check_fate(ask_with(allow_loopback, 1, &call), "PUT", HTTP_ANSWERED);
	check_sent("PUT /ok HTTP/1.1\r\n");
	check_sent("\r\nwebhook-id: n-1\r\n");
	check_sent("\r\nAuthorization: Bearer s3cret\r\n");
	check_sent("\r\nAccept: application/json\r\n");
	check_sent("\r\nContent-Type: application/json\r\n");
	check_sent("\r\nUser-Agent: modelwatch/1\r\n");
	check_sent("\r\nContent-Length: 7\r\n");
	check_sent("\r\n\r\n{\"a\":1}");
	assert_null(strstr(atomic_load(&last_request), "xxx"));
	assert_null(strstr(atomic_load(&last_request), "Expect"));
	secret_free(bearer);
}

static void a_post_without_a_body_says_so(void **state)
{
	struct config_http to = {
		.url = (char *)url_of("127.0.0.1", "/ok"), .ca = "", .timeout_ms = 1000};

	(void)state;
	check_fate(ask_with(allow_loopback, 1, &(struct http_call){.method = "POST", .to = &to}),
		"POST", HTTP_ANSWERED);
	check_sent("POST /ok HTTP/1.1\r\n");
	check_sent("\r\nContent-Length: 0\r\n");
}

static void a_header_cannot_start_another_one(void **state)
{
	static const char *const headers[] = {"webhook-id: n-1\r\nX-Evil: 1", NULL};
	struct secret *bearer = secret_new("a\nX-Evil: 1", 11);
	struct config_http to = {
		.url = (char *)url_of("127.0.0.1", "/ok"), .ca = "", .timeout_ms = 1000};
	struct config_http with_bearer = to;
	struct asked *asked;

	(void)state;
	with_bearer.bearer = bearer;
	check_fate(ask_with(allow_loopback, 1,
			   &(struct http_call){.method = "GET", .to = &to, .headers = headers}),
		"header", HTTP_REFUSED);
	asked = ask_with(
		allow_loopback, 1, &(struct http_call){.method = "GET", .to = &with_bearer});
	check_fate(asked, "bearer", HTTP_REFUSED);
	assert_null(strstr(asked->outcome.reason, "Evil"));
	secret_free(bearer);
}

/* One hangs in its server, one in the resolver beyond its own end; the others must not notice. */
static void a_call_that_hangs_delays_no_other(void **state)
{
	enum { HANGING, UNRESOLVED, QUICK, CALLS = 40 };
	struct http_out *http = opened(allow_loopback, 1);
	struct http_outcome outcome;
	int64_t begin = clock_monotonic_ms();
	size_t quick = 0;

	(void)state;
	for (uint64_t i = 0; i < CALLS; i++) {
		struct config_http to = {.ca = "", .timeout_ms = i == UNRESOLVED ? 200 : 4500};
		const char *url = i == HANGING      ? url_of("127.0.0.1", "/hang")
				  : i == UNRESOLVED ? url_of("hang.test", "/ok")
						    : url_of("127.0.0.1", "/ok");

		http_out_start(http,
			&(struct http_call){.method = "GET", .to = &to, .url = url, .tag = i});
	}
	while (http_out_take(http, 5000, &outcome)) {
		int64_t took = clock_monotonic_ms() - begin;

		if (outcome.tag >= QUICK) {
			assert_int_equal(outcome.fate, HTTP_ANSWERED);
			quick++;
		} else {
			assert_int_equal(
				outcome.fate, outcome.tag == HANGING ? HTTP_UNKNOWN : HTTP_FAILED);
		}
		if (took > (outcome.tag == HANGING ? 4000 : 1000))
			fail_msg("call %d took %lld ms", (int)outcome.tag, (long long)took);
		if (!http_out_running(http))
			break;
	}
	assert_int_equal(quick, CALLS - QUICK);
	assert_int_equal(http_out_running(http), 0);
	http_out_close(http);
}

static void closing_with_calls_under_way_does_not_wait_for_them(void **state)
{
	struct http_out *http = opened(allow_loopback, 1);
	struct config_http to = {.ca = "", .timeout_ms = 5000};
	struct http_outcome outcome;
	int64_t begin = clock_monotonic_ms();

	(void)state;
	http_out_start(
		http, &(struct http_call){
			      .method = "GET", .to = &to, .url = url_of("127.0.0.1", "/hang")});
	http_out_start(http,
		&(struct http_call){.method = "GET", .to = &to, .url = url_of("hang.test", "/ok")});
	http_out_start(http, &(struct http_call){.method = "GET", .to = &to, .url = "file:///"});
	assert_true(http_out_take(http, 0, &outcome));
	assert_false(http_out_take(http, 100, &outcome));
	http_out_close(http);
	assert_true(clock_monotonic_ms() - begin < 1000);
}

static void an_allowed_block_that_is_none_is_fatal_with_a_sentence(void **state)
{
	char *allow[] = {"127.0.0.0/8", "10.0.0.0/40"};
	struct http_out *http = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(http_out_open(allow, 2, &http, &err), RC_FATAL);
	assert_non_null(strstr(err.text, "40"));
	assert_null(http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback_in_any_spelling_is_refused_without_a_packet),
		cmocka_unit_test(loopback_in_any_spelling_answers_where_it_is_allowed),
		cmocka_unit_test(unspecified_addresses_are_refused_even_when_everything_is_allowed),
		cmocka_unit_test(the_sentence_of_a_refusal_names_address_kind_and_host),
		cmocka_unit_test(other_schemes_credentials_and_malformed_urls_are_refused),
		cmocka_unit_test(a_redirect_is_an_answer_and_is_not_followed),
		cmocka_unit_test(a_proxy_of_the_environment_is_not_used),
		cmocka_unit_test(a_huge_answer_is_cut_and_still_an_answer),
		cmocka_unit_test(a_call_may_ask_for_less_or_more_of_an_answer),
		cmocka_unit_test(what_was_sent_without_a_whole_answer_is_unknown),
		cmocka_unit_test(what_never_began_to_be_sent_has_failed),
		cmocka_unit_test(retry_after_is_read_as_seconds_or_as_a_date),
		cmocka_unit_test(a_request_carries_method_headers_token_and_body),
		cmocka_unit_test(a_post_without_a_body_says_so),
		cmocka_unit_test(a_header_cannot_start_another_one),
		cmocka_unit_test(a_call_that_hangs_delays_no_other),
		cmocka_unit_test(closing_with_calls_under_way_does_not_wait_for_them),
		cmocka_unit_test(an_allowed_block_that_is_none_is_fatal_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
