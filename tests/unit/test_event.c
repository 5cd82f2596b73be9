#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/event.h"
#include "core/json_tree.h"
#include "core/time_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char star[] = "*";
static char real_model[] = "real*";
static char nothing[] = "";
static struct config_model models[] = {
	{.match_model = real_model, .match_segment = star, .owner = nothing, .score = SCORE_REAL},
	{.match_model = star, .match_segment = star, .owner = nothing},
};
static const struct config config = {
	.limits = {.event_bytes = 65536, .depth = 8, .features = 512},
	.models = models,
	.model_count = 2,
};

/* An event with the least that is needed, and something more. */
#define EVENT(more) "{\"ts\":1763654400123,\"model\":\"fraud\"" more "}"

struct refusal {
	const char *text;
	enum event_code code;
	int64_t byte; /* -2: not looked at */
};

static const struct refusal refusals[] = {
	{"", E_EMPTY, -1},
	/* syntax */
	{" ", E_JSON, 1},
	{"{", E_JSON, 1},
	{"{\"ts\":1,}", E_JSON, 8},
	{"{\"ts\" 1}", E_JSON, 6},
	{"{\"ts\":01}", E_JSON, 6},
	{"{\"ts\":1.}", E_JSON, 8},
	{"{\"ts\":-}", E_JSON, 6},
	{"{\"ts\":1e}", E_JSON, 8},
	{"{\"ts\":tru}", E_JSON, 6},
	{"{'ts':1}", E_JSON, 1},
	{"{\"ts\":1} x", E_JSON, 9},
	{"\xef\xbb\xbf{}", E_JSON, 0},
	{EVENT(",\"request_id\":\"a\x01\""), E_JSON, 51},
	{EVENT(",\"request_id\":\"\\x\""), E_JSON, 50},
	{EVENT(",\"request_id\":\"\\u12\""), E_JSON, 54},
	{EVENT(",\"request_id\":\"a"), E_JSON, 49},
	{EVENT(",\"other\":NaN"), E_JSON, 36},
	{EVENT(",\"class\":NaN"), E_JSON, 36},
	{EVENT(",\"x\":{\"score\":Infinity}"), E_JSON, -2},
	{EVENT(",\"score\":nan"), E_JSON, -2},
	{EVENT(",\"score\":+Infinity"), E_JSON, -2},
	{EVENT(",\"request_id\":\"\xff\""), E_UTF8, 50},
	{EVENT(",\"request_id\":\"\xc0\xaf\""), E_UTF8, 50},
	{EVENT(",\"request_id\":\"\xed\xa0\x80\""), E_UTF8, 50},
	{EVENT(",\"request_id\":\"\xf4\x90\x80\x80\""), E_UTF8, 50},
	{EVENT(",\"request_id\":\"\\ud800\""), E_UTF8, 50},
	{EVENT(",\"request_id\":\"\\udc00\""), E_UTF8, 50},
	{EVENT(",\"request_id\":\"\\ud800\\u0041\""), E_UTF8, 50},
	{EVENT(",\"request_id\":\"\\u0000\""), E_UTF8, 50},
	{"[[[[[[[[[1]]]]]]]]]", E_DEPTH, 8},
	{EVENT(",\"ts\":1"), E_DUPKEY, 36},
	{EVENT(",\"features\":{\"a\":1,\"\\u0061\":2}"), E_DUPKEY, -2},
	{EVENT(",\"score\":1e400"), E_NUMBER, 44},
	{EVENT(",\"x\":9223372036854775808"), E_NUMBER, -2},
	{EVENT(",\"x\":-9223372036854775809"), E_NUMBER, -2},
	/* schema */
	{"[]", E_TYPE, 0},
	{"5", E_TYPE, 0},
	{"{}", E_MISSING, -1},
	{EVENT(""), E_MISSING, -1},
	{"{\"model\":\"m\",\"score\":0.5}", E_MISSING, -1},
	{"{\"ts\":1,\"score\":0.5}", E_MISSING, -1},
	{"{\"ts\":1,\"model\":null,\"score\":0.5}", E_MISSING, -1},
	{EVENT(",\"type\":\"label\",\"label\":1"), E_MISSING, -1},
	{EVENT(",\"type\":\"metric\",\"name\":\"x\""), E_MISSING, -1},
	{EVENT(",\"type\":\"metric\",\"value\":1"), E_MISSING, -1},
	{EVENT(",\"type\":\"latency\""), E_MISSING, -1},
	{EVENT(",\"type\":\"latency\",\"status\":200"), E_MISSING, -1},
	{EVENT(",\"type\":\"prediction\""), E_MISSING, -1},
	{EVENT(",\"type\":\"deploy\""), E_MISSING, -1},
	{EVENT(",\"name\":\"x\""), E_MISSING, -1},
	{"{\"ts\":true,\"model\":\"m\",\"score\":1}", E_TYPE, 1},
	{"{\"ts\":1.5,\"model\":\"m\",\"score\":1}", E_TYPE, 1},
	{"{\"ts\":\"yesterday\",\"model\":\"m\",\"score\":1}", E_TYPE, 1},
	{"{\"ts\":1,\"model\":7,\"score\":1}", E_TYPE, 8},
	{EVENT(",\"score\":\"0.5\""), E_TYPE, 36},
	{EVENT(",\"score\":[0.5]"), E_TYPE, 36},
	{EVENT(",\"latency_ms\":\"12\""), E_TYPE, 36},
	{EVENT(",\"status\":true"), E_TYPE, 36},
	{EVENT(",\"error\":{}"), E_TYPE, 36},
	{EVENT(",\"class\":[]"), E_TYPE, 36},
	{EVENT(",\"features\":[]"), E_TYPE, 36},
	{EVENT(",\"features\":{\"a\":[]}"), E_TYPE, 48},
	{EVENT(",\"type\":5"), E_TYPE, 36},
	{EVENT(",\"type\":\"shadow\""), E_ENUM, 36},
	{EVENT(",\"score\":1,\"role\":\"shadow\""), E_ENUM, 46},
	{EVENT(",\"score\":1,\"role\":\"\""), E_ENUM, 46},
	{EVENT(",\"status\":\"fine\""), E_ENUM, 36},
	{"{\"ts\":1,\"model\":\"\",\"score\":1}", E_NAME, 8},
	{"{\"ts\":1,\"model\":\"a b\",\"score\":1}", E_NAME, 8},
	{"{\"ts\":1,\"model\":\"\xc3\xa9\",\"score\":1}", E_NAME, 8},
	{EVENT(",\"score\":1,\"version\":\"1;2\""), E_NAME, 46},
	{EVENT(",\"score\":1,\"segment\":\"*\""), E_NAME, 46},
	{EVENT(",\"class\":\"\""), E_NAME, 36},
	{EVENT(",\"class\":\"a\\nb\""), E_NAME, 36},
	{EVENT(",\"class\":\"a\\u0085\""), E_NAME, 36},
	{EVENT(",\"features\":{\"\":1}"), E_NAME, 48},
	/* range */
	{"{\"ts\":-1,\"model\":\"m\",\"score\":1}", E_RANGE, 1},
	{"{\"ts\":1e18,\"model\":\"m\",\"score\":1}", E_RANGE, 1},
	{EVENT(",\"score\":1.0000001"), E_RANGE, 36},
	{EVENT(",\"score\":-0.1"), E_RANGE, 36},
	{EVENT(",\"status\":-1"), E_RANGE, 36},
	{EVENT(",\"status\":1000"), E_RANGE, 36},
	{EVENT(",\"latency_ms\":1e13"), E_RANGE, 36},
	{EVENT(",\"features\":{\"a\":-1e13}"), E_RANGE, 48},
	{EVENT(",\"name\":\"x\",\"value\":2e12"), E_RANGE, -2},
	{EVENT(",\"latency_ms\":NaN"), E_NONFINITE, 36},
	{EVENT(",\"latency_ms\":-Infinity"), E_NONFINITE, 36},
	{EVENT(",\"latency_ms\":-0.001"), E_LATENCY_NEG, 36},
	/* the first in the order of codes is the one that is told */
	{"{\"score\":2,\"role\":\"x\",\"model\":\"a b\"}", E_MISSING, -1},
	{EVENT(",\"latency_ms\":-1,\"score\":7"), E_RANGE, -2},
	{EVENT(",\"latency_ms\":-1,\"score\":7,\"role\":\"x\""), E_ENUM, -2},
	{EVENT(",\"latency_ms\":-1,\"other\":NaN"), E_JSON, -2},
	/* frames */
	{"\0\0\0\0\1", E_FRAME, 0},
	{"\0\0\0\0\1\x02\x10", E_FRAME, 0},
	{"\0\0\0\0\1[1]", E_FRAME, 0},
	{"\0\0\0\0\1{\"ts\":x}", E_JSON, 11},
};

static size_t size_of(const char *text)
{
	return text[0] ? strlen(text) : text[4] == '\1' ? 5 + strlen(text + 5) : 0;
}

static enum event_code decode(const struct format *format, const char *text, size_t size,
	struct event *event, struct rejection *rejection)
{
	static struct event_decoder *decoder;

	if (!decoder)
		decoder = event_decoder_new(&config);
	if (!text) {
		event_decoder_free(decoder);
		decoder = NULL;
		return E_GOOD;
	}
	/* Not one byte more than the message, so that a sanitizer sees overruns; the views of the
	 * event stay until the next one. */
	static char *copy;

	free(copy);
	copy = malloc(size ? size : 1);
	memcpy(copy, text, size);
	return event_from_json(decoder, format, (struct view){copy, size}, event, rejection);
}

static void what_is_no_event_is_refused_with_one_code_and_its_place(void **state)
{
	static const char empty[6] = "";
	(void)state;

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *row = &refusals[i];
		struct rejection rejection;
		struct event event;
		size_t size = i ? size_of(row->text) : 0;
		enum event_code code =
			decode(NULL, i ? row->text : empty, size, &event, &rejection);

		if (code != row->code || rejection.code != code)
			fail_msg("row %zu %s: %s (%s), expected %s", i, row->text,
				event_code_names[code], rejection.detail,
				event_code_names[row->code]);
		if (row->byte != -2 && rejection.byte != row->byte)
			fail_msg("row %zu %s: byte %lld, expected %lld", i, row->text,
				(long long)rejection.byte, (long long)row->byte);
		assert_true(strlen(rejection.detail) > 0);
	}
}

static void sizes_beyond_the_limits_are_refused(void **state)
{
	struct rejection rejection;
	struct event event;
	char *text = malloc(70000);
	char name[200];
	(void)state;

	memset(text, ' ', 70000);
	assert_int_equal(decode(NULL, text, 65537, &event, &rejection), E_OVERSIZE);
	assert_int_equal(decode(NULL, text, 65536, &event, &rejection), E_JSON);
	memset(name, 'a', sizeof name);
	for (int size = 128; size <= 129; size++) {
		int length = snprintf(
			text, 70000, "{\"ts\":1,\"model\":\"%.*s\",\"score\":1}", size, name);

		assert_int_equal(decode(NULL, text, (size_t)length, &event, &rejection),
			size == 128 ? E_GOOD : E_NAME);
	}
	free(text);
}

static void many_keys_are_searched_for_duplicates_too(void **state)
{
	struct rejection rejection;
	struct event event;
	struct bytes text = {0};
	(void)state;

	bytes_text(&text, "{\"ts\":1,\"model\":\"m\",\"features\":{");
	for (int i = 0; i < 600; i++)
		bytes_format(&text, "%s\"f%d\":%d", i ? "," : "", i * 7 % 600, i);
	bytes_text(&text, "}}");
	assert_int_equal(decode(NULL, text.data, text.size, &event, &rejection), E_GOOD);
	assert_int_equal(event.feature_count, 600);
	text.size -= 2;
	size_t byte = text.size + 1;

	bytes_text(&text, ",\"f17\":1,\"f3\":1}}");
	assert_int_equal(decode(NULL, text.data, text.size, &event, &rejection), E_DUPKEY);
	assert_int_equal(rejection.byte, byte);
	bytes_done(&text);
}

static struct event good(const struct format *format, const char *text)
{
	struct rejection rejection;
	struct event event;

	if (decode(format, text, size_of(text), &event, &rejection) != E_GOOD)
		fail_msg("%s: %s %s", text, event_code_names[rejection.code], rejection.detail);
	return event;
}

static void assert_view(struct view view, const char *text)
{
	if (!view_is(view, text))
		fail_msg("found %.*s, expected %s", (int)view.size, view.data, text);
}

static void an_event_has_all_that_it_says(void **state)
{
	struct event event = good(NULL,
		"{\"type\":\"prediction\",\"ts\":1763654400123,\"model\":\"fraud\","
		"\"version\":\"2026-11-01\",\"role\":\"canary\",\"request_id\":\"r-81\","
		"\"unit\":\"u-17\",\"score\":0.93,\"class\":\"fra\\u00fcd\","
		"\"features\":{\"amount\":12.5,\"country\":\"DE\",\"age\":null,\"x\":NaN},"
		"\"latency_ms\":12.3,\"status\":503,\"segment\":\"eu\",\"more\":[{}]}");
	(void)state;

	assert_int_equal(event.type, EVENT_PREDICTION);
	assert_int_equal(event.ts, 1763654400123);
	assert_view(event.model, "fraud");
	assert_view(event.version, "2026-11-01");
	assert_view(event.role, "canary");
	assert_view(event.segment, "eu");
	assert_view(event.request_id, "r-81");
	assert_view(event.unit, "u-17");
	assert_view(event.class, "fra\xc3\xbc"
				 "d");
	assert_int_equal(event.has, HAS_LATENCY | HAS_STATUS | HAS_SCORE | HAS_CLASS);
	assert_true(event.score == 0.93 && event.latency_ms == 12.3 && event.failed);
	assert_int_equal(event.feature_count, 4);
}

struct inference {
	const char *more;
	enum event_type type;
};
static const struct inference inferences[] = {
	{",\"label\":1,\"request_id\":\"r\",\"score\":0.5", EVENT_LABEL},
	{",\"name\":\"x\",\"value\":1,\"latency_ms\":2", EVENT_METRIC},
	{",\"name\":\"x\",\"score\":1", EVENT_PREDICTION},
	{",\"class\":false", EVENT_PREDICTION},
	{",\"features\":{}", EVENT_PREDICTION},
	{",\"latency_ms\":2,\"status\":200", EVENT_PREDICTION},
	{",\"latency_ms\":2,\"error\":\"timeout\"", EVENT_PREDICTION},
	{",\"latency_ms\":2,\"score\":null", EVENT_LATENCY},
	{",\"type\":\"heartbeat\",\"score\":\"not looked at\"", EVENT_HEARTBEAT},
	{",\"type\":\"deploy\",\"version\":\"2\"", EVENT_DEPLOY},
};

static void the_type_may_be_left_out_where_the_fields_tell(void **state)
{
	char text[300];
	(void)state;

	for (size_t i = 0; i < sizeof inferences / sizeof *inferences; i++) {
		snprintf(text, sizeof text, "{\"ts\":1,\"model\":\"m\"%s}", inferences[i].more);
		struct event event = good(NULL, text);

		assert_int_equal(event.type, inferences[i].type);
		assert_view(event.role, "production");
		assert_int_equal(event.segment.size, 0);
	}
}

struct canonical {
	const char *written, *text;
};
static const struct canonical canonicals[] = {
	{"1", "1"},
	{"1.0", "1"},
	{"-0", "0"},
	{"-0.0", "0"},
	{"1e2", "100"},
	{"0.10", "0.1"},
	{"1.7976931348623157e308", "1.7976931348623157e+308"},
	{"9007199254740993", "9007199254740993"},
	{"true", "true"},
	{"\"true\"", "true"},
};

static void a_class_is_its_canonical_text(void **state)
{
	char text[300];
	(void)state;

	for (size_t i = 0; i < sizeof canonicals / sizeof *canonicals; i++) {
		snprintf(text, sizeof text, "{\"ts\":1,\"model\":\"m\",\"class\":%s}",
			canonicals[i].written);
		assert_view(good(NULL, text).class, canonicals[i].text);
		snprintf(text, sizeof text,
			"{\"ts\":1,\"model\":\"m\",\"request_id\":4711,\"label\":%s}",
			canonicals[i].written);
		struct event event = good(NULL, text);

		assert_view(event.label, canonicals[i].text);
		assert_view(event.request_id, "4711");
	}
}

static void failures_are_data(void **state)
{
	static const struct {
		const char *more;
		bool failed;
	} rows[] = {
		{",\"status\":200", false},
		{",\"status\":399.5", false},
		{",\"status\":400", true},
		{",\"status\":\"ok\"", false},
		{",\"status\":\"error\"", true},
		{",\"error\":\"timeout\"", true},
		{",\"error\":\"\"", false},
		{",\"error\":false", false},
		{",\"error\":true", true},
		{",\"status\":200,\"error\":\"late\"", true},
	};
	char text[200];
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "{\"ts\":1,\"model\":\"m\"%s}", rows[i].more);
		struct event event = good(NULL, text);

		assert_int_equal(event.failed, rows[i].failed);
		assert_int_equal(event.has, HAS_STATUS);
	}
	assert_false(good(NULL, "{\"ts\":1,\"model\":\"m\",\"score\":1,\"error\":null}").has &
		     HAS_STATUS);
}

static void nan_and_infinity_are_values_of_scores_metrics_and_features(void **state)
{
	(void)state;
	assert_true(isnan(good(NULL, "{\"ts\":1,\"model\":\"m\",\"score\":NaN}").score));
	assert_true(isinf(good(NULL, "{\"ts\":1,\"model\":\"m\",\"score\":-Infinity}").score));
	assert_true(isinf(
		good(NULL, "{\"ts\":1,\"model\":\"m\",\"name\":\"x\",\"value\":Infinity}").value));
	good(NULL, "{\"ts\":1,\"model\":\"m\",\"features\":{\"a\":NaN,\"b\":-Infinity}}");
	/* in texts they are letters */
	good(NULL, "{\"ts\":1,\"model\":\"m\",\"score\":1,\"other\":\"NaN\"}");
}

static void a_real_score_has_no_range_but_the_exact_sums(void **state)
{
	struct rejection rejection;
	struct event event;
	const char *text = "{\"ts\":1,\"model\":\"real-1\",\"score\":-1.1e12}";
	(void)state;

	assert_true(good(NULL, "{\"ts\":1,\"model\":\"real-1\",\"score\":-17.5}").score == -17.5);
	assert_int_equal(decode(NULL, text, strlen(text), &event, &rejection), E_RANGE);
	text = "{\"ts\":1,\"model\":\"m\",\"score\":17}";
	assert_int_equal(decode(NULL, text, strlen(text), &event, &rejection), E_RANGE);
	assert_non_null(strstr(rejection.detail, "hint: score: real"));
	assert_non_null(strstr(rejection.detail, "found 17, expected"));
}

static void a_schema_registrys_frame_is_taken_off(void **state)
{
	struct event event =
		good(NULL, "\0\0\0\0\1{\"ts\":1763654400123,\"model\":\"fraud\",\"score\":1}");
	(void)state;

	assert_view(event.model, "fraud");
}

static char pointer_class[] = "/out/0/predicted_class";
static char pointer_seconds[] = "/seconds";
static char pointer_ok[] = "/ok";
static char pointer_time[] = "/a~1b/t~0";
static char constant_model[] = "fraud";
static char pointer_version[] = "/v";
static char word_true[] = "true";
static char word_false[] = "false";
static char word_ok[] = "ok";
static char word_error[] = "error";

static void a_mapping_says_where_the_fields_stand(void **state)
{
	char *from[] = {word_true, word_false};
	char *to[] = {word_ok, word_error};
	struct format format = {
		.fields = {
			[FIELD_CLASS] = {.pointer = pointer_class, .scale = 1},
			[FIELD_LATENCY_MS] = {.pointer = pointer_seconds, .scale = 1000},
			[FIELD_STATUS] =
				{.pointer = pointer_ok, .from = from, .to = to, .map_count = 2},
			[FIELD_TS] = {.pointer = pointer_time, .scale = 1000},
			[FIELD_MODEL] = {.constant = constant_model},
			[FIELD_VERSION] = {.pointer = pointer_version},
		}};
	struct rejection rejection;
	const char *bad = "{\"a/b\":{\"t~\":1.5},\"seconds\":-1}";
	(void)state;
	struct event event = good(&format,
		"{\"a/"
		"b\":{\"t~\":1763654400.1234},\"model\":\"theirs\",\"seconds\":0.25,\"ok\":false,"
		"\"out\":[{\"predicted_class\":3}],\"class\":\"not "
		"this\",\"v\":7,\"role\":\"canary\"}");

	assert_view(event.model, "fraud");
	assert_view(event.class, "3");
	assert_view(event.version, "7");
	assert_view(event.role, "canary");
	assert_true(event.latency_ms == 250);
	assert_int_equal(event.ts, 1763654400123);
	assert_true(event.failed);
	assert_int_equal(decode(&format, bad, strlen(bad), &event, &rejection), E_LATENCY_NEG);
}

static const struct {
	const char *text;
	int64_t ms; /* -1: not a moment */
} moments[] = {
	{"1970-01-01T00:00:00Z", 0},
	{"2026-11-01T12:00:00Z", 1793534400000},
	{"2026-11-01t12:00:00.25+02:00", 1793527200250},
	{"2024-02-29 23:59:60.999999-00:30", 1709253000999},
	{"9999-12-31T23:59:59.999Z", 253402300799999},
	{"2023-02-29T00:00:00Z", -1},
	{"1969-12-31T23:59:59Z", -1},
	{"2026-11-01T12:00:00", -1},
	{"2026-11-01T24:00:00Z", -1},
	{"2026-11-01", -1},
	{"2026-11-01T12:00:00.Z", -1},
	{"2026-11-01T12:00:00Z ", -1},
	{"2026-11-01T12:00:00+0200", -1},
};

static void moments_of_rfc_3339_are_read_and_printed(void **state)
{
	char text[TIME_TEXT_SIZE];
	(void)state;

	for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
		int64_t ms = -1;

		assert_int_equal(
			time_text_parse(view_of(moments[i].text), &ms), moments[i].ms >= 0);
		if (ms != moments[i].ms)
			fail_msg("%s: %lld", moments[i].text, (long long)ms);
		if (ms < 0)
			continue;
		time_text_print(ms, text);
		assert_true(time_text_parse(view_of(text), &ms));
		assert_int_equal(ms, moments[i].ms);
	}
	time_text_print(1793527200250, text);
	assert_string_equal(text, "2026-11-01T10:00:00.250Z");
}

static void numbers_are_read_as_the_nearest_doubles(void **state)
{
	static const char *const rows[] = {"0.1", "1e23", "8.41e21", "9007199254740993.0",
		"123456789012345678901234567890e-10", "2.2250738585072011e-308", "1e-400",
		"0.000000000000000000000000000000000000000000000001", "17976931348623157e292",
		"1.00000000000000011102230246251565404236316680908203125", "4.9e-324", "1e-22",
		"1e22", "0.30000000000000004"};
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tree tree = {0};
		struct tree_fault fault;
		const struct tree_node *root =
			tree_parse(&tree, view_of(rows[i]), 1, false, &fault);

		assert_non_null(root);
		assert_true(root->number == strtod(rows[i], NULL));
		tree_done(&tree);
	}
}

/* Any bytes: no crash, no hang, one code. A small generator of damage around real events. */
static void damaged_events_never_do_harm(void **state)
{
	static const char seed[] =
		"{\"type\":\"prediction\",\"ts\":\"2026-11-01T12:00:00Z\",\"model\":\"fraud\","
		"\"score\":NaN,\"class\":\"a\\u00fc\\ud83d\\ude00\",\"features\":{\"a\":[1,2,{}],"
		"\"b\":-1.5e-3,\"c\":null},\"latency_ms\":12.3,\"status\":200}";
	uint64_t chance = 88172645463325252ULL;
	(void)state;

	for (int round = 0; round < 20000; round++) {
		char text[sizeof seed];
		struct rejection rejection;
		struct event event;
		size_t size = sizeof seed - 1;

		memcpy(text, seed, sizeof seed);
		for (int i = 0; i < 3; i++) {
			chance ^= chance << 13;
			chance ^= chance >> 7;
			chance ^= chance << 17;
			text[chance % size] = (char)(chance >> 32);
			if (chance % 11 == 0)
				size = 1 + chance % size;
		}
		enum event_code code = decode(NULL, text, size, &event, &rejection);

		assert_int_equal(code, rejection.code);
		assert_true(code < E_LATE);
	}
}

static int end_decoder(void **state)
{
	(void)state;
	decode(NULL, NULL, 0, NULL, NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_event_is_refused_with_one_code_and_its_place),
		cmocka_unit_test(sizes_beyond_the_limits_are_refused),
		cmocka_unit_test(many_keys_are_searched_for_duplicates_too),
		cmocka_unit_test(an_event_has_all_that_it_says),
		cmocka_unit_test(the_type_may_be_left_out_where_the_fields_tell),
		cmocka_unit_test(a_class_is_its_canonical_text),
		cmocka_unit_test(failures_are_data),
		cmocka_unit_test(nan_and_infinity_are_values_of_scores_metrics_and_features),
		cmocka_unit_test(a_real_score_has_no_range_but_the_exact_sums),
		cmocka_unit_test(a_schema_registrys_frame_is_taken_off),
		cmocka_unit_test(a_mapping_says_where_the_fields_stand),
		cmocka_unit_test(moments_of_rfc_3339_are_read_and_printed),
		cmocka_unit_test(numbers_are_read_as_the_nearest_doubles),
		cmocka_unit_test(damaged_events_never_do_harm),
	};

	return cmocka_run_group_tests(tests, NULL, end_decoder);
}
