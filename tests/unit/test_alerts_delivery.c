#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alerts/delivery.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The first row is the example of the Standard Webhooks libraries, the others were computed with
 * Python's hmac. */
static void a_signature_is_that_of_standard_webhooks(void **state)
{
	static const struct {
		const char *secret, *id, *body;
		int64_t at;
		const char *signature;
	} rows[] = {
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
			"{\"test\": 2432232314}", 1614265330,
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		{"topsecret", "n-1", "{}", 1700000000,
			"v1,3LcODHFzUIFEW1PT4IACZsuGRFaMpl7113sFRMFX8YU="},
		{"whsec_no base64!", "n-1", "{}", 1700000000,
			"v1,Z/RJfnGKMTRQdKga+VpoG3beL5RyhLm+EKUzdTEYaqA="},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes signature = {0};

		delivery_sign(view_of(rows[i].secret), rows[i].id, rows[i].at,
			view_of(rows[i].body), &signature);
		assert_string_equal(signature.data, rows[i].signature);
		bytes_done(&signature);
	}
}

static void a_webhook_carries_id_time_and_signature(void **state)
{
	struct secret *secret = secret_new("topsecret\n", 10);
	struct config_integration integration = {
		.kind = RECEIVER_WEBHOOK, .http = {.url = "https://x/hook"}, .secret = secret};
	struct delivery delivery;
	struct http_call call;

	(void)state;
	delivery_call(&integration, "n-1", view_of("{}"), 1700000000999, &delivery, &call);
	assert_string_equal(call.method, "POST");
	assert_null(call.url);
	assert_ptr_equal(call.to, &integration.http);
	assert_string_equal(call.headers[0], "webhook-id: n-1");
	assert_string_equal(call.headers[1], "webhook-timestamp: 1700000000");
	assert_string_equal(call.headers[2],
		"webhook-signature: v1,3LcODHFzUIFEW1PT4IACZsuGRFaMpl7113sFRMFX8YU=");
	assert_null(call.headers[3]);
	delivery_done(&delivery);
	secret_free(secret);
}

static void a_webhook_without_a_secret_is_not_signed(void **state)
{
	static const enum receiver_kind kinds[] = {RECEIVER_WEBHOOK, RECEIVER_ALERTMANAGER_WEBHOOK};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct config_integration integration = {
			.kind = kinds[i], .http = {.url = "https://x/hook"}};
		struct delivery delivery;
		struct http_call call;

		delivery_call(&integration, "n-1", view_of("{}"), 1000, &delivery, &call);
		assert_string_equal(call.headers[0], "webhook-id: n-1");
		assert_null(call.headers[2]);
		delivery_done(&delivery);
	}
}

static void an_alertmanager_is_called_at_its_api(void **state)
{
	static const struct {
		const char *base, *url;
	} rows[] = {
		{"http://am:9093", "http://am:9093/api/v2/alerts"},
		{"http://am:9093/", "http://am:9093/api/v2/alerts"},
		{"https://x/am//", "https://x/am/api/v2/alerts"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config_integration integration = {
			.kind = RECEIVER_ALERTMANAGER, .http = {.url = (char *)rows[i].base}};
		struct delivery delivery;
		struct http_call call;

		delivery_call(&integration, "n-1", view_of("[]"), 1000, &delivery, &call);
		assert_string_equal(call.url, rows[i].url);
		assert_null(call.headers);
		delivery_done(&delivery);
	}
}

static void an_answer_says_whether_to_try_again(void **state)
{
	enum { DELIVERED, AGAIN, FINAL };
	static const struct {
		int status, verdict;
	} rows[] = {
		{200, DELIVERED},
		{202, DELIVERED},
		{204, DELIVERED},
		{299, DELIVERED},
		{300, AGAIN},
		{302, AGAIN},
		{400, FINAL},
		{401, FINAL},
		{403, FINAL},
		{404, FINAL},
		{408, AGAIN},
		{410, FINAL},
		{413, FINAL},
		{422, FINAL},
		{425, AGAIN},
		{429, AGAIN},
		{500, AGAIN},
		{502, AGAIN},
		{503, AGAIN},
		{504, AGAIN},
		{599, AGAIN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_outcome outcome = {
			.fate = HTTP_ANSWERED, .status = rows[i].status, .retry_after_ms = 7000};
		struct attempt attempt = delivery_judge(&outcome, 5);
		int verdict = attempt.delivered ? DELIVERED : attempt.final ? FINAL : AGAIN;

		if (verdict != rows[i].verdict)
			fail_msg("%d: %d", rows[i].status, verdict);
		assert_int_equal(attempt.retry_after_ms, 7000);
		assert_int_equal(attempt.chance, 5);
	}
}

static void no_answer_is_tried_again_and_a_refusal_slowly(void **state)
{
	static const struct {
		enum http_fate fate;
		int64_t retry_after_ms;
	} rows[] = {{HTTP_FAILED, -1}, {HTTP_UNKNOWN, -1}, {HTTP_REFUSED, 60000}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_outcome outcome = {
			.fate = rows[i].fate, .retry_after_ms = -1, .reason = "because"};
		struct attempt attempt = delivery_judge(&outcome, 0);

		assert_false(attempt.delivered);
		assert_false(attempt.final);
		assert_int_equal(attempt.retry_after_ms, rows[i].retry_after_ms);
		assert_string_equal(attempt.result, "because");
	}
}

static void what_a_receiver_says_is_quoted_short_and_plain(void **state)
{
	char body[300];
	struct http_outcome outcome = {
		.fate = HTTP_ANSWERED, .status = 400, .body = {body, sizeof body}};
	char expected[] = "answered 400: a?b??";

	(void)state;
	memset(body, 'x', sizeof body);
	memcpy(body, "a\nb\xff\0", 5);
	struct attempt attempt = delivery_judge(&outcome, 0);

	assert_memory_equal(attempt.result, expected, strlen(expected));
	assert_int_equal(strlen(attempt.result), strlen("answered 400: ") + 120);
	outcome.body.size = 0;
	attempt = delivery_judge(&outcome, 0);
	assert_string_equal(attempt.result, "answered 400");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_is_that_of_standard_webhooks),
		cmocka_unit_test(a_webhook_carries_id_time_and_signature),
		cmocka_unit_test(a_webhook_without_a_secret_is_not_signed),
		cmocka_unit_test(an_alertmanager_is_called_at_its_api),
		cmocka_unit_test(an_answer_says_whether_to_try_again),
		cmocka_unit_test(no_answer_is_tried_again_and_a_refusal_slowly),
		cmocka_unit_test(what_a_receiver_says_is_quoted_short_and_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
