#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/matcher.h"

#include <string.h>

static const struct {
	const char *text, *value;
	bool matches;
} matches[] = {
	{"model=\"fraud\"", "fraud", true},
	{"model=\"fraud\"", "frauds", false},
	{"model=fraud", "fraud", true},
	{" model = fraud ", "fraud", true},
	{"model = \" fraud \"", " fraud ", true},
	{"model=", "", true},
	{"model=\"\"", "x", false},
	{"model!=\"fraud\"", "fraud", false},
	{"model!=\"fraud\"", "", true},
	{"model=~\"fraud|spam\"", "spam", true},
	{"model=~\"fraud|spam\"", "xspam", false},
	{"model=~\"fraud|spam\"", "fraudspam", false},
	{"model=~\"fraud.*\"", "fraud-eu", true},
	{"model=~\"\"", "", true},
	{"model=~\"\"", "a", false},
	{"model=~\"a\\\\.b\"", "a.b", true},
	{"model=~\"a\\\\.b\"", "axb", false},
	{"model!~\"fraud.*\"", "fraud-eu", false},
	{"model!~\"fraud.*\"", "spam", true},
	{"a=\"say \\\"x\\\"\\n\"", "say \"x\"\n", true},
	{"_a1=b=c", "b=c", true},
	{"a=~x{2,3}", "xxx", true},
	{"a=~x{2,3}", "x", false},
};

static void a_matcher_says_of_a_value_whether_it_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
		struct matcher matcher;
		struct err err = {0};

		if (matcher_parse(matches[i].text, &matcher, &err) != RC_OK)
			fail_msg("%s: %s", matches[i].text, err.text);
		if (matcher_matches(&matcher, matches[i].value) != matches[i].matches)
			fail_msg("%s on '%s': not %d", matches[i].text, matches[i].value,
				matches[i].matches);
		matcher_done(&matcher);
	}
}

static const struct {
	const char *text, *reason;
} refusals[] = {
	{"", "expected the name of a label first"},
	{"=x", "expected the name of a label first"},
	{"1a=x", "expected the name of a label first"},
	{"model", "expected NAME, then =, !=, =~ or !~"},
	{"mo-del=x", "expected NAME, then =, !=, =~ or !~"},
	{"model!x", "expected NAME, then =, !=, =~ or !~"},
	{"model=\"fraud", "the quotes are not closed"},
	{"model=\"fraud\\\"", "the quotes are not closed"},
	{"model=\"fraud\" x", "expected nothing after the closing quotes"},
	{"model=fr\"aud\"", "expected quotes around the whole value or none"},
	{"model=\"a\\.b\"", "after a backslash"},
	{"model=~\"(\"", "not a POSIX extended regular expression"},
	{"model=~\"a)(b\"", "not a POSIX extended regular expression"},
	{"model=~\"[a\"", "not a POSIX extended regular expression"},
	{"model=~\"((a{100}){100}){100}\"", "at most 1000 counted repetitions"},
	{"model=~\"a{2000}\"", "at most 1000 counted repetitions"},
	{"model=~\"(a*)\\\\1\"", "without back-references"},
};

static void a_text_that_is_no_matcher_is_refused_with_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct matcher matcher;
		struct err err = {0};

		if (matcher_parse(refusals[i].text, &matcher, &err) != RC_REJECT)
			fail_msg("%s: not refused", refusals[i].text);
		if (!strstr(err.text, refusals[i].reason))
			fail_msg("%s: said '%s', expected '%s'", refusals[i].text, err.text,
				refusals[i].reason);
	}
}

static const struct {
	const char *pattern, *text;
	bool matches;
} globs[] = {
	{"*", "", true},
	{"*", "fraud", true},
	{"", "", true},
	{"", "a", false},
	{"fraud*", "fraud", true},
	{"fraud*", "fraud-eu", true},
	{"fraud*", "xfraud", false},
	{"*fraud", "a-fraud", true},
	{"f?aud", "fraud", true},
	{"f?aud", "faud", false},
	{"a*b*c", "a-b-b-c", true},
	{"a*b*c", "a-b-b-d", false},
	{"*a*", "bbb", false},
	{"**x", "x", true},
	{"[a]", "a", false},
	{"a?", "a", false},
};

static void a_glob_is_about_the_whole_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof globs / sizeof *globs; i++)
		if (glob_matches(globs[i].pattern, globs[i].text) != globs[i].matches)
			fail_msg("'%s' on '%s': not %d", globs[i].pattern, globs[i].text,
				globs[i].matches);
}

/* Exponential backtracking would not end in a lifetime. */
static void a_glob_of_many_stars_ends(void **state)
{
	char text[2001];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_false(glob_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_matcher_says_of_a_value_whether_it_matches),
		cmocka_unit_test(a_text_that_is_no_matcher_is_refused_with_its_reason),
		cmocka_unit_test(a_glob_is_about_the_whole_text),
		cmocka_unit_test(a_glob_of_many_stars_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
