#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/metrics.h"

#include <math.h>

static void write_and_expect(struct metrics *metrics, const char *expected)
{
	struct bytes out = {0};

	metrics_write(metrics, &out);
	assert_string_equal(out.data, expected);
	bytes_done(&out);
	metrics_done(metrics);
}

static void samples_of_one_name_stand_together_whatever_the_order_of_first_use(void **state)
{
	struct metrics metrics = {0};
	const char *const eu[] = {"segment", "eu", NULL}, *const us[] = {"segment", "us", NULL};
	(void)state;

	metric_set(metrics_get(&metrics, METRIC_COUNTER, "a_total", "A.", eu), 1);
	metric_set(metrics_get(&metrics, METRIC_GAUGE, "b", "B.", NULL), 2);
	metric_set(metrics_get(&metrics, METRIC_COUNTER, "a_total", "ignored", us), 3);
	write_and_expect(&metrics, "# HELP a_total A.\n# TYPE a_total counter\n"
				   "a_total{segment=\"eu\"} 1\na_total{segment=\"us\"} 3\n"
				   "# HELP b B.\n# TYPE b gauge\nb 2\n");
}

static void the_same_name_and_labels_are_the_same_sample(void **state)
{
	struct metrics metrics = {0};
	const char *const labels[] = {"x", "1", "y", "2", NULL};
	(void)state;

	struct metric *first = metrics_get(&metrics, METRIC_COUNTER, "a_total", "A.", labels);

	metric_add(first, 2);
	assert_ptr_equal(metrics_get(&metrics, METRIC_COUNTER, "a_total", "A.", labels), first);
	assert_ptr_not_equal(metrics_get(&metrics, METRIC_COUNTER, "a_total", "A.", NULL), first);
	metric_add(first, 0.5);
	assert_true(metric_value(first) == 2.5);
	write_and_expect(&metrics, "# HELP a_total A.\n# TYPE a_total "
				   "counter\na_total{x=\"1\",y=\"2\"} 2.5\na_total 0\n");
}

static void labels_and_help_are_escaped(void **state)
{
	struct metrics metrics = {0};
	const char *const labels[] = {"path", "a\\b\"c\nd", NULL};
	(void)state;

	metrics_get(&metrics, METRIC_GAUGE, "g", "one\\\ntwo \"quoted\"", labels);
	write_and_expect(&metrics, "# HELP g one\\\\\\ntwo \"quoted\"\n# TYPE g gauge\n"
				   "g{path=\"a\\\\b\\\"c\\nd\"} 0\n");
}

static const struct {
	double value;
	const char *text;
} values[] = {
	{0, "g 0\n"},
	{-1, "g -1\n"},
	{0.1, "g 0.1\n"},
	{1.0 / 3, "g 0.3333333333333333\n"},
	{1763654400.123, "g 1763654400.123\n"},
	{9007199254740993.0, "g 9007199254740992\n"},
	{1e300, "g 1e+300\n"},
	{INFINITY, "g +Inf\n"},
	{-INFINITY, "g -Inf\n"},
	{NAN, "g NaN\n"},
};

static void values_read_back_exactly(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct metrics metrics = {0};
		struct bytes expected = {0};

		metric_set(metrics_get(&metrics, METRIC_GAUGE, "g", "G.", NULL), values[i].value);
		bytes_format(&expected, "# HELP g G.\n# TYPE g gauge\n%s", values[i].text);
		write_and_expect(&metrics, expected.data);
		bytes_done(&expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			samples_of_one_name_stand_together_whatever_the_order_of_first_use),
		cmocka_unit_test(the_same_name_and_labels_are_the_same_sample),
		cmocka_unit_test(labels_and_help_are_escaped),
		cmocka_unit_test(values_read_back_exactly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
