#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/finding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct finding example(void)
{
	struct finding finding = {
		.ts = 1763654410000,
		.series = {.model = "fraud",
			.version = "v2",
			.role = "canary",
			.signal = "latency"},
		.against = "production",
		.detector = "arms",
		.verdict = VERDICT_ALARM,
		.actionable = true,
		.since_ms = 1763654380000,
		.evidence = {.arm = "canary",
			.reference = "production",
			.n_arm = 498,
			.n_reference = 5210,
			.log_e = 24.25,
			.line = 24.1,
			.effect = {"p99 ratio", 1.31, 1.26, NAN, 1.25},
			.values = {{"p50", 12.1, 11.8}, {"p99", 40, NAN}},
			.value_count = 2,
			.span_from_ms = 1763654380000,
			.span_to_ms = 1763654410000,
			.moved = {{"latency above the 99th percentile x2", 9.1}},
			.moved_count = 1},
	};

	finding_identify(&finding);
	return finding;
}

static void a_finding_reads_back_as_the_same_bytes(void **state)
{
	struct finding finding = example();
	struct finding read;
	struct bytes first = {0};
	struct bytes second = {0};
	struct err err;

	(void)state;
	finding_to_json(&finding, &first);
	assert_int_equal(finding_from_json(bytes_view(&first), &read, &err), RC_OK);
	finding_to_json(&read, &second);
	assert_string_equal(first.data, second.data);
	assert_string_equal(read.id, finding.id);
	assert_int_equal(read.evidence.n_arm, 498);
	assert_int_equal(read.evidence.n_reference, 5210);
	assert_true(isnan(read.evidence.effect.high));
	assert_true(isnan(read.evidence.values[1].reference));
	assert_true(read.evidence.effect.low == 1.26);
	assert_true(read.actionable);
	assert_int_equal(read.verdict, VERDICT_ALARM);
	bytes_done(&first);
	bytes_done(&second);
}

static void the_shape_is_that_of_the_documentation(void **state)
{
	struct finding finding = example();
	struct bytes json = {0};

	(void)state;
	finding_to_json(&finding, &json);
	assert_non_null(strstr(json.data, "{\"kind\":\"finding\",\"id\":\"f-"));
	assert_non_null(strstr(json.data, "\"n\":{\"canary\":498,\"production\":5210}"));
	assert_non_null(strstr(json.data, "\"p50\":{\"canary\":12.1,\"production\":11.8}"));
	assert_non_null(strstr(json.data, "\"high\":null,\"tolerance\":1.25}"));
	assert_non_null(strstr(json.data, "\"since\":1763654380000"));
	bytes_done(&json);
}

static void an_id_depends_on_what_the_finding_says_and_on_nothing_else(void **state)
{
	struct finding a = example();
	struct finding b = example();

	(void)state;
	b.evidence.log_e++;
	b.since_ms++;
	finding_identify(&b);
	assert_string_equal(a.id, b.id);
	b.actionable = false;
	finding_identify(&b);
	assert_string_not_equal(a.id, b.id);
	b = a;
	b.ts++;
	finding_identify(&b);
	assert_string_not_equal(a.id, b.id);
	b = a;
	b.verdict = VERDICT_OK;
	finding_identify(&b);
	assert_string_not_equal(a.id, b.id);
}

#define BEFORE                                                                                     \
	"{\"kind\":\"finding\",\"id\":\"f-1\",\"ts\":1,\"model\":\"m\",\"version\":\"\",\"role\":" \
	"\"production\",\"segment\":\"\",\"signal\":\"rate\",\"against\":\"history\","             \
	"\"detector\":"                                                                            \
	"\"counts\","
#define EVIDENCE                                                                                   \
	"\"evidence\":{\"n\":{\"production\":3,\"history\":4},\"log_e\":1,\"line\":2,\"effect\":"  \
	"{\"name\":\"x\",\"value\":1,\"low\":null,\"high\":null,\"tolerance\":1},\"values\":{},"   \
	"\"span\":{\"from\":1,\"to\":2},\"moved\":[]}}"

static void broken_records_are_refused_by_field(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{BEFORE "\"verdict\":\"alarm\",\"since\":1," EVIDENCE, NULL},
		{BEFORE "\"verdict\":\"bad\",\"since\":1," EVIDENCE, "verdict"},
		{BEFORE "\"verdict\":\"alarm\"," EVIDENCE, "since"},
		{BEFORE "\"verdict\":\"alarm\",\"since\":1}", "evidence"},
		{BEFORE "\"verdict\":\"ok\",\"since\":1,\"evidence\":{\"n\":{\"production\":3}}}",
			"history"},
		{BEFORE "\"verdict\":\"ok\",\"since\":1,\"evidence\":{\"n\":{\"production\":-3,"
			"\"history\":1}}}",
			"production"},
		{"{\"kind\":\"finding\",\"id\":\"\",\"ts\":1}", "model"},
		{"{\"kind\":\"alert\"}", "kind"},
		{"[]", ""},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct finding finding = {.ts = 77};
		struct err err = {0};
		enum rc rc = finding_from_json(view_of(cases[i].text), &finding, &err);

		if (!cases[i].names) {
			assert_int_equal(rc, RC_OK);
			assert_int_equal(finding.evidence.n_arm, 3);
			assert_int_equal(finding.evidence.n_reference, 4);
			continue;
		}
		assert_int_equal(rc, RC_REJECT);
		assert_int_equal(finding.ts, 77);
		if (!strstr(err.text, cases[i].names))
			fail_msg("case %zu: \"%s\" does not name %s", i, err.text, cases[i].names);
	}
}

static void too_many_values_or_moves_are_refused(void **state)
{
	struct finding finding = example();
	struct bytes json = {0};
	struct err err;

	(void)state;
	finding.evidence.moved_count = FINDING_MOVED_MAX;
	finding.evidence.value_count = FINDING_VALUES_MAX;
	for (int i = 0; i < FINDING_VALUES_MAX; i++)
		snprintf(finding.evidence.values[i].name, 32, "value %d", i);
	finding_to_json(&finding, &json);
	assert_int_equal(finding_from_json(bytes_view(&json), &finding, &err), RC_OK);
	assert_int_equal(finding.evidence.value_count, FINDING_VALUES_MAX);

	struct bytes more = {0};
	const char *values = strstr(json.data, "\"values\":{");

	bytes_add(&more, json.data, (size_t)(values - json.data) + strlen("\"values\":{"));
	bytes_text(&more, "\"one more\":{\"canary\":1,\"production\":1},");
	bytes_text(&more, values + strlen("\"values\":{"));
	assert_int_equal(finding_from_json(bytes_view(&more), &finding, &err), RC_REJECT);
	bytes_done(&json);
	bytes_done(&more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finding_reads_back_as_the_same_bytes),
		cmocka_unit_test(the_shape_is_that_of_the_documentation),
		cmocka_unit_test(an_id_depends_on_what_the_finding_says_and_on_nothing_else),
		cmocka_unit_test(broken_records_are_refused_by_field),
		cmocka_unit_test(too_many_values_or_moves_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
