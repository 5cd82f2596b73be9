/* The API over folds in memory, asked through both HTTP ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "console/api.h"

#include "core/topics.h"
#include "core/window.h"
#include "ports/http_out.h"

#include <stdio.h>
#include <string.h>

static struct config_model any_model = {.match_model = (char[]){"*"},
	.match_segment = (char[]){"*"},
	.owner = (char[]){"payments"}};
static struct config config = {.models = &any_model, .model_count = 1};
static struct metrics metrics;
static struct api api = {.config = &config, .metrics = &metrics};
static struct http_in *http;
static struct http_out *client;

static void answer_request(
	void *context, const struct http_request *request, struct http_answer *answer)
{
	api_answer(context, request, answer);
}

/* ---- asking */

static void call(const char *method, const char *path, int status, struct bytes *body)
{
	char url[400];
	const struct config_http to = {.url = url, .ca = (char[]){""}, .timeout_ms = 10000};
	const struct http_call given = {.method = method, .to = &to, .answer_bytes_max = 1 << 24};
	struct http_outcome outcome;

	snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_in_port(http), path);
	http_out_start(client, &given);
	do
		http_in_poll(http, 0);
	while (!http_out_take(client, 1, &outcome));
	bytes_clear(body);
	bytes_add(body, outcome.body.data, outcome.body.size);
	if (outcome.fate != HTTP_ANSWERED || outcome.status != status)
		fail_msg("%s %s: fate %d, status %d, %s %s", method, path, outcome.fate,
			outcome.status, body->data, outcome.reason);
}

static void get_and_expect(const char *path, int status, const char *expected)
{
	struct bytes body = {0};

	call("GET", path, status, &body);
	if (strcmp(body.data, expected) != 0)
		fail_msg("%s:\nfound    %s\nexpected %s", path, body.data, expected);
	bytes_done(&body);
}

static void get_and_find(const char *path, int status, const char *part)
{
	struct bytes body = {0};

	call("GET", path, status, &body);
	if (!strstr(body.data, part))
		fail_msg("%s: %s has no %s", path, body.data, part);
	bytes_done(&body);
}

/* ---- storing */

static enum rc ignore(void *context, struct view field, struct view data, struct err *err)
{
	(void)context, (void)field, (void)data, (void)err;
	return RC_OK;
}

static void store_step(const char *service, const char *log, struct change *change)
{
	struct fold fold = {.service = service};
	struct head head;
	struct err err;

	snprintf(fold.log, sizeof fold.log, "%s", log);
	assert_int_equal(store_load(api.store, &fold, &head, ignore, NULL, &err), RC_OK);
	assert_int_equal(store_advance(api.store, &fold, &head, change, &err), RC_OK);
	change_done(change);
}

static void put_text(struct change *change, const char *table, const char *field, const char *text)
{
	change_put(change, table, view_of(field), view_of(text));
}

static void put_window(struct change *change, const char *table, const char *model,
	const char *signal, const char *role, int64_t from_ms)
{
	struct window window = {
		.from_ms = from_ms, .to_ms = from_ms + 5000, .layout = LAYOUT_RESULT};
	struct bytes field = {0}, blob = {0};

	snprintf(window.series.model, sizeof window.series.model, "%s", model);
	snprintf(window.series.version, sizeof window.series.version, "v1");
	snprintf(window.series.role, sizeof window.series.role, "%s", role);
	snprintf(window.series.signal, sizeof window.series.signal, "%s", signal);
	window_count(&window, 1, 3);
	for (int shift = 56; shift >= 0; shift -= 8) {
		char byte = (char)(from_ms >> shift);

		bytes_add(&field, &byte, 1);
	}
	series_key(&window.series, &field);
	window_to_blob(&window, &blob);
	change_put(change, table, (struct view){field.data, field.size},
		(struct view){blob.data, blob.size});
	bytes_done(&field);
	bytes_done(&blob);
	window_done(&window);
}

/* ---- what is expected */

static void nothing_stored_is_empty_lists(void **state)
{
	(void)state;
	get_and_expect("/api/v1/status", 200, "{\"models\":[],\"logs\":[],\"alerts_firing\":0}\n");
	get_and_expect("/api/v1/windows?model=m&from=0&to=1", 200, "{\"windows\":[]}\n");
	get_and_expect("/api/v1/findings", 200, "{\"findings\":[]}\n");
	get_and_expect("/api/v1/alerts", 200, "{\"alerts\":[]}\n");
	get_and_expect("/api/v1/actions", 200, "{\"actions\":[]}\n");
	get_and_expect("/api/v1/deadletters", 200, "{\"deadletters\":[]}\n");
	get_and_expect("/api/v1/marks", 200, "{\"marks\":[]}\n");
}

static const struct {
	const char *method, *path;
	int status;
	const char *error;
} refusals[] = {
	{"GET", "/", 404, "there is no /; see docs/api.md"},
	{"GET", "/api/v1/", 404, "there is no /api/v1/; see docs/api.md"},
	{"GET", "/api/v1/findingsx", 404, "there is no /api/v1/findingsx; see docs/api.md"},
	{"GET", "/api/v1/findings/", 404, "there is no /api/v1/findings/; see docs/api.md"},
	{"GET", "/api/v1/status/x", 404, "there is no /api/v1/status/x; see docs/api.md"},
	{"GET", "/api/v1/findings/f-1", 404, "there is no finding f-1"},
	{"GET", "/api/v1/alerts/a-1", 404, "there is no alert a-1"},
	{"GET", "/api/v1/actions/x-1", 404, "there is no action x-1"},
	{"GET", "/api/v1/deadletters/1", 404, "there is no group of dead letters 1"},
	{"GET", "/api/v1/findings?limit=0", 400,
		"limit: found \\\"0\\\", expected a whole number from 1 to 100000"},
	{"GET", "/api/v1/findings?limit=1x", 400,
		"limit: found \\\"1x\\\", expected a whole number from 1 to 100000"},
	{"GET", "/api/v1/alerts?state=on", 400,
		"state: found \\\"on\\\", expected firing or resolved"},
	{"GET", "/api/v1/windows", 400, "model: found nothing, expected the name of a model"},
	{"GET", "/api/v1/windows?model=m&level=2m", 400,
		"level: found \\\"2m\\\", expected tick, 1m or 10m"},
	{"GET", "/api/v1/windows?model=m&from=5&to=5", 400,
		"from: found 5, expected less than to, 5"},
	{"GET", "/api/v1/windows?model=m&from=0&to=3600000001", 200, NULL},
	{"GET", "/api/v1/windows?model=m&from=0&to=3603600000", 400,
		"from, to: a span of 3603600000 ms, expected at most 3600000000 of level "
		"tick"},
	{"POST", "/api/v1/commands", 405, "POST is not answered here, only GET and HEAD"},
	{"DELETE", "/api/v1/findings", 405, "DELETE is not answered here, only GET and HEAD"},
};

static void each_refusal_has_its_status_and_sentence(void **state)
{
	struct bytes body = {0}, expected = {0};
	(void)state;

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		call(refusals[i].method, refusals[i].path, refusals[i].status, &body);
		if (!refusals[i].error)
			continue;
		bytes_clear(&expected);
		bytes_format(&expected, "{\"error\":\"%s\"}\n", refusals[i].error);
		assert_string_equal(body.data, expected.data);
	}
	bytes_done(&body);
	bytes_done(&expected);
}

static void findings_of_all_logs_come_newest_first(void **state)
{
	struct change one = {0}, two = {0};
	(void)state;

	put_text(&one, TABLE_FINDINGS, "f-1",
		"{\"kind\":\"finding\",\"id\":\"f-1\",\"ts\":10,\"model\":\"m\"}");
	put_text(&one, TABLE_FINDINGS, "f-3",
		"{\"kind\":\"finding\",\"id\":\"f-3\",\"ts\":30,\"model\":\"m\"}");
	put_text(&two, TABLE_FINDINGS, "f-2",
		"{\"kind\":\"finding\",\"id\":\"f-2\",\"ts\":20,\"model\":\"other\"}");
	store_step(FOLD_DETECTORS, "t-0", &one);
	store_step(FOLD_DETECTORS, "t-1", &two);
	get_and_expect("/api/v1/findings", 200,
		"{\"findings\":[{\"kind\":\"finding\",\"id\":\"f-3\",\"ts\":30,\"model\":\"m\"},"
		"{\"kind\":\"finding\",\"id\":\"f-2\",\"ts\":20,\"model\":\"other\"},"
		"{\"kind\":\"finding\",\"id\":\"f-1\",\"ts\":10,\"model\":\"m\"}]}\n");
	get_and_expect("/api/v1/findings?model=m&limit=1", 200,
		"{\"findings\":[{\"kind\":\"finding\",\"id\":\"f-3\",\"ts\":30,\"model\":\"m\"}]}"
		"\n");
	get_and_expect("/api/v1/findings/f-2", 200,
		"{\"kind\":\"finding\",\"id\":\"f-2\",\"ts\":20,\"model\":\"other\"}\n");
}

static void alerts_are_chosen_by_state_and_counted_while_they_fire(void **state)
{
	struct change change = {0};
	(void)state;

	put_text(&change, TABLE_ALERTS, "a-1",
		"{\"id\":\"a-1\",\"state\":\"firing\",\"labels\":{\"model\":\"m\"},\"starts_at\":"
		"1}");
	put_text(&change, TABLE_ALERTS, "a-2",
		"{\"id\":\"a-2\",\"state\":\"resolved\",\"labels\":{\"model\":\"m\"},\"starts_at\":"
		"2}");
	store_step(FOLD_ALERTS, "alerts", &change);
	get_and_expect("/api/v1/alerts?state=firing", 200,
		"{\"alerts\":[{\"id\":\"a-1\",\"state\":\"firing\",\"labels\":{\"model\":\"m\"},"
		"\"starts_at\":1}]}\n");
	get_and_find("/api/v1/alerts?model=m", 200, "{\"alerts\":[{\"id\":\"a-2\"");
	get_and_find("/api/v1/alerts/a-2", 200, "{\"id\":\"a-2\"");
	get_and_find("/api/v1/status", 200, "\"alerts_firing\":1}");
	get_and_find("/api/v1/status?model=other", 200, "\"alerts_firing\":0}");
}

static void one_action_is_all_its_records_in_order(void **state)
{
	struct change change = {0};
	(void)state;

	put_text(&change, TABLE_ACTIONS, "0000000000000001",
		"{\"id\":\"x-1\",\"state\":\"intent\",\"target\":\"t\",\"at\":5}");
	put_text(&change, TABLE_ACTIONS, "0000000000000002",
		"{\"id\":\"x-2\",\"state\":\"intent\",\"target\":\"u\",\"at\":5}");
	put_text(&change, TABLE_ACTIONS, "0000000000000003",
		"{\"id\":\"x-1\",\"state\":\"done\",\"target\":\"t\",\"at\":6}");
	store_step(FOLD_REMEDIATE, "remediate", &change);
	get_and_expect("/api/v1/actions/x-1", 200,
		"{\"actions\":[{\"id\":\"x-1\",\"state\":\"intent\",\"target\":\"t\",\"at\":5},"
		"{\"id\":\"x-1\",\"state\":\"done\",\"target\":\"t\",\"at\":6}]}\n");
	get_and_expect("/api/v1/actions?target=u", 200,
		"{\"actions\":[{\"id\":\"x-2\",\"state\":\"intent\",\"target\":\"u\",\"at\":5}]}"
		"\n");
	get_and_expect("/api/v1/actions?limit=1", 200,
		"{\"actions\":[{\"id\":\"x-1\",\"state\":\"done\",\"target\":\"t\",\"at\":6}]}\n");
}

static void windows_are_cut_by_time_and_chosen_by_series(void **state)
{
	struct change change = {0};
	int64_t hour = 3600000;
	struct bytes body = {0};
	(void)state;

	put_window(&change, "windows:tick:0", "m", "errors", "production", hour - 5000);
	put_window(&change, "windows:tick:1", "m", "errors", "production", hour);
	put_window(&change, "windows:tick:1", "m", "errors", "canary", hour);
	put_window(&change, "windows:tick:1", "mm", "errors", "production", hour);
	put_window(&change, "windows:1m:0", "m", "errors", "production", 0);
	store_step(FOLD_INGEST, "t-0", &change);
	get_and_expect("/api/v1/windows?model=m&from=3600000&to=3605000&role=production", 200,
		"{\"windows\":[{\"kind\":\"window\",\"model\":\"m\",\"version\":\"v1\","
		"\"role\":\"production\",\"segment\":\"\",\"signal\":\"errors\",\"from\":3600000,"
		"\"to\":3605000,\"n\":3,\"bins\":[[\"failed\",3]]}]}\n");
	call("GET", "/api/v1/windows?model=m&from=0&to=3605000", 200, &body);
	assert_ptr_not_equal(strstr(body.data, "\"from\":3595000"), NULL);
	assert_ptr_not_equal(strstr(body.data, "canary"), NULL);
	assert_ptr_equal(strstr(body.data, "\"mm\""), NULL);
	assert_ptr_equal(strstr(body.data, "\"from\":0"), NULL);
	bytes_done(&body);
	get_and_find("/api/v1/windows?model=m&from=0&to=5000&level=1m", 200, "\"from\":0");
	get_and_expect(
		"/api/v1/windows?model=m&from=0&to=3600001&signal=rate", 200, "{\"windows\":[]}\n");
	get_and_expect(
		"/api/v1/windows?model=m&from=0&to=3600001&version=v2", 200, "{\"windows\":[]}\n");
}

static void status_joins_models_verdicts_and_logs(void **state)
{
	struct change zero = {0}, one = {0}, judged = {0};
	(void)state;

	put_text(&zero, TABLE_STATE, "counters",
		"{\"kind\":\"counters\",\"counted\":7,\"late\":1,\"rejected\":{\"E_JSON\":2},"
		"\"offset\":10}");
	put_text(&zero, TABLE_STATE, "model:z",
		"{\"kind\":\"model\",\"model\":\"z\",\"last_ts\":5}");
	put_text(&zero, TABLE_STATE, "model:m",
		"{\"kind\":\"model\",\"model\":\"m\",\"last_ts\":6,\"versions\":[]}");
	put_text(&zero, TABLE_STATE, "open", "\x01 not JSON");
	put_text(
		&one, TABLE_STATE, "model:z", "{\"kind\":\"model\",\"model\":\"z\",\"last_ts\":4}");
	put_text(&judged, TABLE_VERDICTS, "k",
		"{\"kind\":\"verdict\",\"model\":\"m\",\"signal\":\"errors\",\"verdict\":\"ok\"}");
	store_step(FOLD_INGEST, "t-0", &zero);
	store_step(FOLD_INGEST, "t-1", &one);
	store_step(FOLD_DETECTORS, "t-0", &judged);
	get_and_expect("/api/v1/status", 200,
		"{\"models\":[{\"model\":\"m\",\"log\":\"t-0\",\"owner\":\"payments\",\"tick\":0,"
		"\"last_ts\":"
		"6,"
		"\"versions\":[],\"split\":false,\"verdicts\":[{\"model\":\"m\",\"signal\":"
		"\"errors\","
		"\"verdict\":\"ok\"}]},{\"model\":\"z\",\"log\":\"t-0\",\"owner\":\"payments\","
		"\"tick\":0,\"last_ts\":5,\"split\":true,\"verdicts\":[]},{\"model\":\"z\",\"log\":"
		"\"t-1\","
		"\"owner\":\"payments\",\"tick\":0,\"last_ts\":4,\"split\":true,\"verdicts\":[]}],"
		"\"logs\":[{\"log\":\"t-0\",\"counted\":7,\"late\":1,\"rejected\":{\"E_JSON\":2},"
		"\"offset\":10},{\"log\":\"t-1\"}],\"alerts_firing\":0}\n");
	get_and_find("/api/v1/status?model=m", 200, "{\"models\":[{\"model\":\"m\",");
	get_and_find("/api/v1/status?model=m", 200, "\"verdict\":\"ok\"}]}],\"logs\":");
}

static void dead_letters_and_marks_come_as_they_were_stored(void **state)
{
	struct change change = {0};
	(void)state;

	put_text(&change, TABLE_DEADLETTERS, "aa",
		"{\"fingerprint\":\"aa\",\"last_seen\":1,\"total\":3}");
	put_text(&change, TABLE_DEADLETTERS, "bb",
		"{\"fingerprint\":\"bb\",\"last_seen\":2,\"total\":1}");
	for (uint64_t i = 1; i <= 2001; i++) /* more than two pages */
		change_append(
			&change, TABLE_MARKS, i, view_of(i == 2001 ? "{\"last\":1}" : "{}"), 0, 0);
	store_step(FOLD_INGEST, "t-0", &change);
	get_and_expect("/api/v1/deadletters", 200,
		"{\"deadletters\":[{\"fingerprint\":\"bb\",\"last_seen\":2,\"total\":1},"
		"{\"fingerprint\":\"aa\",\"last_seen\":1,\"total\":3}]}\n");
	get_and_expect("/api/v1/deadletters/aa", 200,
		"{\"deadletters\":[{\"fingerprint\":\"aa\",\"last_seen\":1,\"total\":3}]}\n");
	get_and_find("/api/v1/marks", 200, ",{\"last\":1}]}\n");
}

static void a_record_that_is_no_json_is_counted_and_hides_no_other(void **state)
{
	struct change change = {0};
	(void)state;

	put_text(&change, TABLE_FINDINGS, "f-1", "{\"cut in a letter\":\"\xc3\"}");
	put_text(&change, TABLE_FINDINGS, "f-2", "{\"id\":\"f-2\"}");
	store_step(FOLD_DETECTORS, "t-0", &change);
	get_and_expect(
		"/api/v1/findings", 200, "{\"findings\":[{\"id\":\"f-2\"}],\"unreadable\":1}\n");
}

static void answers_are_counted_by_status(void **state)
{
	struct bytes text = {0};
	(void)state;

	metrics_done(&metrics);
	get_and_find("/api/v1/findings", 200, "[]");
	get_and_find("/api/v1/findings", 200, "[]");
	get_and_find("/nothing", 404, "error");
	metrics_write(&metrics, &text);
	assert_non_null(strstr(text.data, "modelwatch_api_answers_total{status=\"200\"} 2\n"));
	assert_non_null(strstr(text.data, "modelwatch_api_answers_total{status=\"404\"} 1\n"));
	bytes_done(&text);
}

static int open_store(void **state)
{
	(void)state;
	api.store = store_memory_open();
	return 0;
}

static int close_store(void **state)
{
	(void)state;
	store_close(api.store);
	return 0;
}

static int open_ports(void **state)
{
	static char loopback[] = "127.0.0.1/32";
	static char *const allow[] = {loopback};
	struct err err;

	(void)state;
	return http_in_open("127.0.0.1", 0, answer_request, &api, &http, &err) == RC_OK &&
			       http_out_open(allow, 1, &client, &err) == RC_OK
		       ? 0
		       : -1;
}

static int close_ports(void **state)
{
	(void)state;
	http_out_close(client);
	http_in_close(http);
	metrics_done(&metrics);
	return 0;
}

#define OVER_A_STORE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_A_STORE(nothing_stored_is_empty_lists),
		OVER_A_STORE(each_refusal_has_its_status_and_sentence),
		OVER_A_STORE(findings_of_all_logs_come_newest_first),
		OVER_A_STORE(alerts_are_chosen_by_state_and_counted_while_they_fire),
		OVER_A_STORE(one_action_is_all_its_records_in_order),
		OVER_A_STORE(windows_are_cut_by_time_and_chosen_by_series),
		OVER_A_STORE(status_joins_models_verdicts_and_logs),
		OVER_A_STORE(dead_letters_and_marks_come_as_they_were_stored),
		OVER_A_STORE(a_record_that_is_no_json_is_counted_and_hides_no_other),
		OVER_A_STORE(answers_are_counted_by_status),
	};
	return cmocka_run_group_tests(tests, open_ports, close_ports);
}
