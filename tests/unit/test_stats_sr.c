/* Shiryaev-Roberts in logarithms: against the plain recursion, and at the ends of the doubles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/sr.h"

enum { MEMBERS = 3 };

static void near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-10 * fmax(fabs(want), 1)))
		fail_msg("got %.15g, want %.15g", got, want);
}

static void an_empty_process_is_at_minus_infinity(void **state)
{
	struct sr_member members[MEMBERS];

	(void)state;
	sr_init(members, MEMBERS);
	assert_true(isinf(sr_log_mixture(members, MEMBERS)));
	assert_true(sr_log_mixture(members, MEMBERS) < 0);
	assert_true(isinf(sr_log_mixture(members, 0)));
	assert_int_equal(sr_leader(members, MEMBERS), 0);
}

static void it_follows_the_plain_recursion(void **state)
{
	struct sr_member members[MEMBERS];
	double r[MEMBERS] = {0};

	(void)state;
	sr_init(members, MEMBERS);
	for (int t = 0; t < 500; t++) {
		double log_e[MEMBERS];

		for (int j = 0; j < MEMBERS; j++) {
			log_e[j] = 0.8 * sin(t * (j + 1.3)) + 0.1 * (j - 1);
			r[j] = (r[j] + 1) * exp(log_e[j]);
		}
		sr_step(members, MEMBERS, log_e, t);
		near(sr_log_mixture(members, MEMBERS), log((r[0] + r[1] + r[2]) / MEMBERS));
	}
}

static void betting_nothing_counts_ticks(void **state)
{
	struct sr_member member;
	const double nothing = 0;

	(void)state;
	sr_init(&member, 1);
	for (int t = 1; t <= 1000; t++) {
		sr_step(&member, 1, &nothing, t);
		near(member.log_r, log(t));
	}
}

static void it_survives_huge_and_lost_bets(void **state)
{
	struct sr_member member;
	const double huge = 1e6, lost = -INFINITY, won = 2;

	(void)state;
	sr_init(&member, 1);
	sr_step(&member, 1, &huge, 1);
	sr_step(&member, 1, &huge, 2);
	near(member.log_r, 2e6);
	sr_step(&member, 1, &lost, 3);
	assert_true(isinf(member.log_r) && member.log_r < 0);
	sr_step(&member, 1, &won, 4);
	near(member.log_r, 2);
	assert_int_equal(member.since, 4);
}

static void since_is_the_tick_after_the_last_minimum(void **state)
{
	struct sr_member member;
	const double log_e[] = {0.5, -1, -0.2, 0.1, 0.4, -0.3, 2};
	const int64_t since[] = {0, 0, 20, 30, 30, 30, 30};

	(void)state;
	sr_init(&member, 1);
	for (int t = 0; t < 7; t++) {
		sr_step(&member, 1, &log_e[t], t * 10);
		assert_int_equal(member.since, since[t]);
	}
	near(member.cusum, 0.1 + 0.4 - 0.3 + 2);
	assert_true(member.cusum <= member.log_r); /* W <= R */
}

static void back_at_its_start_it_starts_again(void **state)
{
	struct sr_member member;
	const double log_e[] = {0.5, -0.5, 0.25};

	(void)state;
	sr_init(&member, 1);
	for (int t = 0; t < 3; t++)
		sr_step(&member, 1, &log_e[t], t * 10);
	assert_int_equal(member.since, 20);
}

static void the_leader_is_the_first_of_the_largest(void **state)
{
	struct sr_member members[MEMBERS] = {{.log_r = 1}, {.log_r = 3}, {.log_r = 3}};

	(void)state;
	assert_int_equal(sr_leader(members, MEMBERS), 1);
	members[2].log_r = 3.5;
	assert_int_equal(sr_leader(members, MEMBERS), 2);
	assert_int_equal(sr_leader(members, 0), 0);
}

/* statistics.md 4: log A for a budget. */
static void lines_are_the_published_ones(void **state)
{
	(void)state;
	assert_true(fabs(sr_line(1, 8640 / 1e-3) - 15.97) < 0.005);
	assert_true(fabs(sr_line(1000, 8640 / 0.1) - 18.27) < 0.01);
	assert_true(fabs(sr_line(10000, 8640 / 0.1) - 20.58) < 0.005);
	assert_true(fabs(sr_line(10000, 8640) - 18.27) < 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_process_is_at_minus_infinity),
		cmocka_unit_test(it_follows_the_plain_recursion),
		cmocka_unit_test(betting_nothing_counts_ticks),
		cmocka_unit_test(it_survives_huge_and_lost_bets),
		cmocka_unit_test(since_is_the_tick_after_the_last_minimum),
		cmocka_unit_test(back_at_its_start_it_starts_again),
		cmocka_unit_test(the_leader_is_the_first_of_the_largest),
		cmocka_unit_test(lines_are_the_published_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
