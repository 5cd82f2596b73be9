/* The betting banks: published vectors, what every row must fulfil, and its borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/stats/bank.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { BINS = 40 };

static void near(double got, double want, double margin)
{
	if (!(fabs(got - want) <= margin))
		fail_msg("got %.15g, want %.15g", got, want);
}

/* A hump with empty bins at both ends and one inside. */
static void fill_hump(uint64_t *counts)
{
	for (size_t k = 0; k < BINS; k++) {
		double z = ((double)k - 19.5) / 5;

		counts[k] = k < 3 || k > 36 || k == 20 ? 0 : (uint64_t)(1000 * exp(-z * z / 2));
	}
}

/* sum of p R over the reference */
static double mean_ratio(const uint64_t *reference, const double *log_row, size_t bins)
{
	double mean = 0, total = 0;

	for (size_t k = 0; k < bins; k++) {
		mean += (double)reference[k] * exp(log_row[k]);
		total += (double)reference[k];
	}
	return mean / total;
}

/* statistics.md 2.3 */
static void a_tick_has_the_published_values(void **state)
{
	const uint64_t a[] = {90, 10}, b[] = {80, 20};
	const struct {
		double log_row[2], want;
	} rows[] = {
		{{0, log(2)}, 1.69899037},
		{{log(0.9), log(1.8)}, 1.95258499},
		{{0, 0}, 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		near(bank_log_e(rows[i].log_row, a, b, 2), rows[i].want, 5e-9);
		near(bank_bin_log_e(rows[i].log_row[0], 90, 80, 100, 100) +
				bank_bin_log_e(rows[i].log_row[1], 10, 20, 100, 100),
			rows[i].want, 5e-9);
	}
}

static void check_rows(const struct bank *bank, const uint64_t *reference, bool all_scaled)
{
	double row[BINS];

	for (size_t j = 0; j < bank->members; j++) {
		bank_row(bank, j, row);
		for (size_t k = 0; k < bank->bins; k++)
			assert_true(isfinite(row[k]));
		if (all_scaled)
			near(mean_ratio(reference, row, bank->bins), 1, 1e-12);
	}
}

static void every_row_has_mean_one_on_its_reference(void **state)
{
	uint64_t hump[BINS];
	const uint64_t errors[] = {990, 10}, classes[] = {300, 0, 500, 200};
	double place[BINS];
	struct bank bank;

	(void)state;
	fill_hump(hump);
	assert_true(bank_init(&bank, BANK_ORDERED, hump, BINS, place));
	assert_int_equal(bank.members, 52);
	check_rows(&bank, hump, true);
	assert_true(bank_init(&bank, BANK_ERRORS, errors, 2, place));
	assert_int_equal(bank.members, 15);
	check_rows(&bank, errors, true);
	assert_true(bank_init(&bank, BANK_CLASSES, classes, 4, place));
	assert_int_equal(bank.members, 40);
	check_rows(&bank, classes, true);
}

static void a_step_is_every_row_alone(void **state)
{
	uint64_t reference[BINS], a[BINS], b[BINS];
	double place[BINS], row[BINS], log_e[BANK_MEMBERS_MAX];
	const enum bank_kind kinds[] = {BANK_ORDERED, BANK_CLASSES};
	struct bank bank;

	(void)state;
	fill_hump(reference);
	for (size_t k = 0; k < BINS; k++) {
		a[k] = reference[k] / 100;
		b[k] = k > 25 ? reference[k] / 60 + (k == 39) : reference[k] / 110;
	}
	for (size_t i = 0; i < LENGTH(kinds); i++) {
		assert_true(bank_init(&bank, kinds[i], reference, BINS, place));
		bank_step(&bank, a, b, log_e);
		for (size_t j = 0; j < bank.members; j++) {
			bank_row(&bank, j, row);
			assert_true(!(log_e[j] < bank_log_e(row, a, b, BINS)) &&
				    !(log_e[j] > bank_log_e(row, a, b, BINS)));
		}
	}
}

/* The formula of the specification, written out: uniform reference of four bins. */
static void ordered_rows_are_those_of_the_specification(void **state)
{
	const uint64_t reference[] = {5, 5, 5, 5};
	const double z[] = {
		-1.1503493803760079, -0.31863936396437514, 0.31863936396437514, 1.1503493803760079};
	double place[4], row[4], plain[4];
	struct bank bank;

	(void)state;
	assert_true(bank_init(&bank, BANK_ORDERED, reference, 4, place));
	for (size_t k = 0; k < 4; k++)
		near(place[k], z[k], 1e-12);
	for (size_t k = 0; k < 4; k++)
		plain[k] = exp(-0.4 * z[k] - 0.08);
	bank_row(&bank, 9, row); /* location -0.4 */
	for (size_t k = 0; k < 4; k++)
		near(row[k], log(plain[k] * 4 / (plain[0] + plain[1] + plain[2] + plain[3])),
			1e-12);
	for (size_t k = 0; k < 4; k++)
		plain[k] = exp(0.8 * (z[k] * z[k] - 1) / sqrt(2) - 0.32);
	bank_row(&bank, 22, row); /* scale +0.8 */
	for (size_t k = 0; k < 4; k++)
		near(row[k], log(plain[k] * 4 / (plain[0] + plain[1] + plain[2] + plain[3])),
			1e-12);
}

static void tails_reach_from_their_cut_to_the_end(void **state)
{
	/* mid-bin u: .47, .945, .9525, .97, .995, .9995 and 1 beyond all mass */
	const uint64_t reference[] = {940, 10, 5, 30, 14, 1, 0};
	double place[7], row[7];
	struct bank bank;
	const struct {
		size_t j, first;
		double factor;
	} rows[] = {
		{24, 2, 0.5},
		{29, 2, 40},
		{30, 4, 0.5},
		{33, 4, 4},
		{36, 5, 0.5},
		{41, 5, 40},
	};

	(void)state;
	assert_true(bank_init(&bank, BANK_ORDERED, reference, 7, place));
	near(place[6], 4.753424308822899, 1e-9);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		bank_row(&bank, rows[i].j, row);
		for (size_t k = 1; k < 7; k++)
			near(row[k] - row[0], k < rows[i].first ? 0 : log(rows[i].factor), 1e-12);
	}
}

static void lower_tails_mirror_them(void **state)
{
	/* mid-bin u: 0 before all mass, .004, .029, .525 */
	const uint64_t reference[] = {0, 8, 42, 950};
	double place[4], row[4];
	struct bank bank;

	(void)state;
	assert_true(bank_init(&bank, BANK_ORDERED, reference, 4, place));
	bank_row(&bank, 46, row); /* u <= .05, factor 10 */
	near(row[0] - row[3], log(10), 1e-12);
	near(row[2] - row[3], log(10), 1e-12);
	bank_row(&bank, 51, row); /* u <= .01, factor 10 */
	near(row[1] - row[3], log(10), 1e-12);
	near(row[2] - row[3], 0, 1e-12);
}

static void errors_without_failures_use_a_smoothed_rate(void **state)
{
	const uint64_t none[] = {999, 0}, some[] = {1, 9}, all[] = {0, 10};
	double place[2], row[2];
	struct bank bank;

	(void)state;
	assert_true(bank_init(&bank, BANK_ERRORS, none, 2, place));
	bank_row(&bank, 14, row); /* factor 100 at the rate .5 / 1000 */
	near(row[0], -log1p(0.0005 * 99), 1e-12);
	near(row[1] - row[0], log(100), 1e-12);
	assert_true(bank_init(&bank, BANK_ERRORS, some, 2, place));
	bank_row(&bank, 0, row);
	near(row[0], -log1p(-0.9 * 0.9), 1e-12);
	assert_true(bank_init(&bank, BANK_ERRORS, all, 2, place));
	bank_row(&bank, 0, row);
	near(row[1], 0, 1e-12);
}

static void rare_classes_share_one_group(void **state)
{
	uint64_t reference[BINS];
	double place[BINS], row[BINS];
	struct bank bank;

	(void)state;
	for (size_t k = 0; k < BINS; k++)
		reference[k] = k == 17 ? 100 : k % 5;
	assert_true(bank_init(&bank, BANK_CLASSES, reference, BINS, place));
	assert_int_equal(bank.members, BANK_MEMBERS_MAX);
	assert_int_equal(bank_describe(&bank, 0).bin, 17);
	assert_int_equal(bank_describe(&bank, 10).bin, 4); /* of equals the first */
	assert_int_equal(bank_describe(&bank, 20).bin, 9);
	assert_int_equal(bank_describe(&bank, 329).what, BANK_OTHER_CLASSES);
	bank_row(&bank, 329, row);
	/* 32 have bets; the eight bins without any count are all others */
	for (size_t k = 0; k < BINS; k++)
		near(row[k], k % 5 ? 0 : log(20), 1e-12);
}

static void exactly_thirty_two_classes_leave_no_others(void **state)
{
	uint64_t reference[BANK_CLASSES_MAX];
	double place[BANK_CLASSES_MAX];
	struct bank bank;

	(void)state;
	for (size_t k = 0; k < BANK_CLASSES_MAX; k++)
		reference[k] = 7;
	assert_true(bank_init(&bank, BANK_CLASSES, reference, BANK_CLASSES_MAX, place));
	assert_int_equal(bank.members, 320);
	assert_int_equal(bank_describe(&bank, 319).what, BANK_CLASS);
	assert_int_equal(bank_describe(&bank, 319).bin, 31);
}

static void members_tell_what_moved(void **state)
{
	const uint64_t errors[] = {9, 1};
	uint64_t hump[BINS];
	double place[BINS];
	struct bank bank;
	const struct {
		size_t j;
		enum bank_what what;
		double amount, cut;
	} rows[] = {
		{0, BANK_LOCATION, 0.02, 0},
		{1, BANK_LOCATION, -0.02, 0},
		{11, BANK_LOCATION, -0.8, 0},
		{12, BANK_SCALE, 0.02, 0},
		{23, BANK_SCALE, -0.8, 0},
		{24, BANK_UPPER_TAIL, 0.5, 0.95},
		{35, BANK_UPPER_TAIL, 40, 0.99},
		{41, BANK_UPPER_TAIL, 40, 0.999},
		{42, BANK_LOWER_TAIL, 0.5, 0.05},
		{51, BANK_LOWER_TAIL, 10, 0.01},
	};

	(void)state;
	fill_hump(hump);
	assert_true(bank_init(&bank, BANK_ORDERED, hump, BINS, place));
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct bank_move move = bank_describe(&bank, rows[i].j);

		assert_int_equal(move.what, rows[i].what);
		near(move.amount, rows[i].amount, 0);
		near(move.cut, rows[i].cut, 0);
	}
	assert_true(bank_init(&bank, BANK_ERRORS, errors, 2, place));
	assert_int_equal(bank_describe(&bank, 14).what, BANK_ERROR_RATE);
	near(bank_describe(&bank, 14).amount, 100, 0);
}

static void an_arm_without_traffic_is_no_bet(void **state)
{
	uint64_t hump[BINS], empty[BINS] = {0};
	double place[BINS], row[BINS], log_e[BANK_ORDERED_MEMBERS];
	struct bank bank;

	(void)state;
	fill_hump(hump);
	assert_true(bank_init(&bank, BANK_ORDERED, hump, BINS, place));
	for (int i = 0; i < 3; i++) {
		bank_step(&bank, i ? empty : hump, i == 1 ? hump : empty, log_e);
		for (size_t j = 0; j < bank.members; j++)
			assert_true(log_e[j] >= 0 && log_e[j] <= 0);
	}
	bank_row(&bank, 3, row);
	near(bank_log_e(row, hump, empty, BINS), 0, 0);
	near(bank_log_e(row, hump, empty, 0), 0, 0);
}

static void a_reference_of_one_value_has_rows_too(void **state)
{
	const uint64_t reference[] = {0, 77, 0};
	double place[3];
	struct bank bank;

	(void)state;
	assert_true(bank_init(&bank, BANK_ORDERED, reference, 3, place));
	check_rows(&bank, reference, true);
	near(place[1], 0, 1e-15);
	near(place[0], -place[2], 1e-9);
}

static void no_bin_is_worth_more_than_six_nats(void **state)
{
	const uint64_t reference[] = {0, 77, 0};
	double place[3], row[3];
	struct bank bank;

	(void)state;
	assert_true(bank_init(&bank, BANK_ORDERED, reference, 3, place));
	bank_row(&bank, 22, row); /* scale +0.8 at z = 4.75 would be 11.9 nats */
	near(row[0] - row[1], 6 + 0.8 / sqrt(2) + 0.32, 1e-12);
	bank_row(&bank, 23, row);
	near(row[2] - row[1], -6 - 0.8 / sqrt(2) + 0.32, 1e-12);
}

static void no_reference_is_no_bank(void **state)
{
	const uint64_t empty[3] = {0}, three[] = {1, 2, 3};
	double place[3];
	struct bank bank = {.members = 9};

	(void)state;
	assert_false(bank_init(&bank, BANK_ORDERED, empty, 3, place));
	assert_false(bank_init(&bank, BANK_CLASSES, three, 0, place));
	assert_false(bank_init(&bank, BANK_ERRORS, empty, 2, place));
	assert_false(bank_init(&bank, BANK_ERRORS, three, 3, place));
	assert_int_equal(bank.members, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tick_has_the_published_values),
		cmocka_unit_test(every_row_has_mean_one_on_its_reference),
		cmocka_unit_test(a_step_is_every_row_alone),
		cmocka_unit_test(ordered_rows_are_those_of_the_specification),
		cmocka_unit_test(tails_reach_from_their_cut_to_the_end),
		cmocka_unit_test(lower_tails_mirror_them),
		cmocka_unit_test(errors_without_failures_use_a_smoothed_rate),
		cmocka_unit_test(rare_classes_share_one_group),
		cmocka_unit_test(exactly_thirty_two_classes_leave_no_others),
		cmocka_unit_test(members_tell_what_moved),
		cmocka_unit_test(an_arm_without_traffic_is_no_bet),
		cmocka_unit_test(a_reference_of_one_value_has_rows_too),
		cmocka_unit_test(no_bin_is_worth_more_than_six_nats),
		cmocka_unit_test(no_reference_is_no_bank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
