/* The door for HTTP out without memory: libcurl says so instead of ending the process, and a call
 * that would leave without its headers or its body must not. Each of what the door asks of libcurl
 * fails once, in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/secret.h"
#include "ports/http_out.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ASKED_MAX = 100, NOTHING_FAILED = 7, WENT_ON = 8 };

static int asked, fails_at;

static bool fails(void)
{
	return ++asked == fails_at;
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
	struct curl_slist *(*real)(struct curl_slist *, const char *);

	*(void **)&real = dlsym(RTLD_NEXT, "curl_slist_append");
	return fails() ? NULL : real(list, text);
}

CURL *curl_easy_init(void)
{
	CURL *(*real)(void);

	*(void **)&real = dlsym(RTLD_NEXT, "curl_easy_init");
	return fails() ? NULL : real();
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	CURLMcode (*real)(CURLM *, CURL *);

	*(void **)&real = dlsym(RTLD_NEXT, "curl_multi_add_handle");
	return fails() ? CURLM_OUT_OF_MEMORY : real(multi, easy);
}

/* Every option takes one word. */
#undef curl_easy_setopt
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	CURLcode (*real)(CURL *, CURLoption, ...);
	va_list args;

	*(void **)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
	va_start(args, option);
	void *word = va_arg(args, void *);
	va_end(args);
	if (option == CURLOPT_COPYPOSTFIELDS && fails())
		return CURLE_OUT_OF_MEMORY;
	return real(easy, option, word);
}

/* How a process ends in which so manieth request fails. */
static int end_of_call(int which)
{
	static char cidr[] = "127.0.0.1/32", url[] = "http://127.0.0.1:1/x", nothing[] = "";
	static char *allow[] = {cidr};
	static const char *const headers[] = {"webhook-id: n-1", "webhook-signature: v1,x", NULL};
	struct config_http to = {.url = url, .ca = nothing, .timeout_ms = 2000};
	const struct http_call call = {
		.method = "POST", .to = &to, .headers = headers, .body = {"{}", 2}, .tag = 7};
	struct http_out *http;
	struct err err;
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (http_out_open(allow, 1, &http, &err) != RC_OK)
			_exit(2);
		to.bearer = secret_new("token", 5);
		asked = 0;
		fails_at = which;
		http_out_start(http, &call);
		_exit(asked < which ? NOTHING_FAILED : WENT_ON);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_call_for_which_memory_is_short_does_not_leave(void **state)
{
	int which = 1;

	(void)state;
	while (which < ASKED_MAX && end_of_call(which) != NOTHING_FAILED) {
		assert_int_equal(end_of_call(which), 1);
		which++;
	}
	/* A handle, three headers of our own, three of the call, its body, its start. */
	assert_int_equal(which - 1, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_for_which_memory_is_short_does_not_leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
