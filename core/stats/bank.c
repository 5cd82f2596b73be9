/* core/stats/bank.c: see bank.h. */
#include "core/stats/bank.h"

#include <assert.h>
#include <math.h>

#include "core/stats/binned.h"
#include "core/stats/special.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Normal scores end at +-4.75: one bin far outside must not decide a tick alone. */
#define U_MIN 1e-6

/* exp(6) = 403: no single request is ever worth more than about six nats. */
#define EXPONENT_MAX 6.0

static const double distances[] = {0.02, 0.05, 0.1, 0.2, 0.4, 0.8};
static const double upper_factors[] = {0.5, 1.5, 2, 4, 10, 40};
static const double lower_factors[] = {0.5, 1.5, 2, 4, 10};
static const double class_factors[] = {0.3, 0.7, 0.85, 0.93, 1.07, 1.15, 1.4, 2, 5, 20};
static const double error_factors[] = {
	0.1, 0.2, 0.5, 0.7, 0.85, 0.93, 1.07, 1.15, 1.4, 2, 3, 5, 10, 30, 100};
static const double cuts[] = {0.95, 0.99, 0.999, 0.05, 0.01};

enum {
	UPPER_CUTS = 3,
	SCALES = 2 * LENGTH(distances),
	UPPERS = 2 * SCALES,
	LOWERS = UPPERS + UPPER_CUTS * LENGTH(upper_factors),
};
_Static_assert(LOWERS + 2 * LENGTH(lower_factors) == BANK_ORDERED_MEMBERS, "52 ordered bets");
_Static_assert(LENGTH(error_factors) == BANK_ERROR_MEMBERS, "15 bets on errors");
_Static_assert(LENGTH(class_factors) == BANK_CLASS_FACTORS, "10 bets on each class");
_Static_assert(UPPER_CUTS + 2 == LENGTH(cuts), "a cut for every tail");

/* A tail's place in cuts[] and its factor. */
static size_t tail_of(size_t j, double *factor)
{
	if (j < LOWERS) {
		*factor = upper_factors[(j - UPPERS) % LENGTH(upper_factors)];
		return (j - UPPERS) / LENGTH(upper_factors);
	}
	*factor = lower_factors[(j - LOWERS) % LENGTH(lower_factors)];
	return UPPER_CUTS + (j - LOWERS) / LENGTH(lower_factors);
}

/* Pairs +d, -d in the order of distances[]; d is a distance in units of one sd. */
static double signed_distance(size_t j)
{
	double d = distances[j % SCALES / 2];

	return j % 2 ? -d : d;
}

static const double *group_factors(const struct bank *bank, size_t *count)
{
	bool errors = bank->kind == BANK_ERRORS;

	*count = errors ? LENGTH(error_factors) : LENGTH(class_factors);
	return errors ? error_factors : class_factors;
}

/* One row, as far as it does not depend on the bin. */
struct row {
	const double *place;
	enum { ROW_LOCATION, ROW_SCALE, ROW_UPPER_TAIL, ROW_LOWER_TAIL, ROW_GROUP } shape;
	double distance;   /* location, scale */
	size_t edge;       /* tails */
	double group;      /* group */
	double log_factor; /* tails, group */
	double log_norm;
};

static struct row ordered_row(const struct bank *bank, size_t j)
{
	struct row row = {.place = bank->place, .log_norm = bank->log_norm[j]};
	double factor;

	if (j < UPPERS) {
		row.shape = j < SCALES ? ROW_LOCATION : ROW_SCALE;
		row.distance = signed_distance(j);
		return row;
	}
	row.shape = j < LOWERS ? ROW_UPPER_TAIL : ROW_LOWER_TAIL;
	row.edge = bank->edge[tail_of(j, &factor)];
	row.log_factor = log(factor);
	return row;
}

static struct row group_row(const struct bank *bank, size_t j)
{
	size_t count;
	const double *factors = group_factors(bank, &count);
	double factor = factors[j % count];

	return (struct row){
		.place = bank->place,
		.shape = ROW_GROUP,
		.group = (double)(j / count),
		.log_factor = log(factor),
		.log_norm = -log1p(bank->share[j / count] * (factor - 1)),
	};
}

static struct row row_of(const struct bank *bank, size_t j)
{
	return bank->kind == BANK_ORDERED ? ordered_row(bank, j) : group_row(bank, j);
}

/* exp(d x - d^2 / 2) has mean one if x is standard normal, and nearly so if x = (z^2 - 1) / sqrt 2,
 * which has mean 0 and variance 1 too. */
static double tilt(double d, double x)
{
	double exponent = d * x - d * d / 2;

	if (exponent > EXPONENT_MAX)
		return EXPONENT_MAX;
	return exponent < -EXPONENT_MAX ? -EXPONENT_MAX : exponent;
}

static double row_log_ratio(const struct row *row, size_t k)
{
	double z = row->place[k];

	switch (row->shape) {
	case ROW_LOCATION:
		return row->log_norm + tilt(row->distance, z);
	case ROW_SCALE:
		return row->log_norm + tilt(row->distance, (z * z - 1) * M_SQRT1_2);
	case ROW_UPPER_TAIL:
		return row->log_norm + (k >= row->edge ? row->log_factor : 0);
	case ROW_LOWER_TAIL:
		return row->log_norm + (k < row->edge ? row->log_factor : 0);
	case ROW_GROUP: /* small whole numbers: equal means equal */
		return row->log_norm + (z == row->group ? row->log_factor : 0);
	}
	return 0;
}

/* The cuts divide the bins once: u never falls with k. */
static void set_edges(struct bank *bank, size_t k, double u)
{
	for (size_t tail = 0; tail < UPPER_CUTS; tail++)
		if (u < cuts[tail])
			bank->edge[tail] = k + 1;
	for (size_t tail = UPPER_CUTS; tail < LENGTH(cuts); tail++)
		if (u <= cuts[tail])
			bank->edge[tail] = k + 1;
}

static void place_ordered(struct bank *bank, const uint64_t *reference, double *place)
{
	double total = (double)binned_total(reference, bank->bins);
	uint64_t before = 0;

	for (size_t k = 0; k < bank->bins; k++) {
		double u = ((double)before + (double)reference[k] / 2) / total;

		before += reference[k];
		place[k] = special_normal_quantile(fmin(fmax(u, U_MIN), 1 - U_MIN));
		set_edges(bank, k, u);
	}
}

/* log_norm is still 0 here, so that rows are not scaled yet. */
static void norm_ordered(struct bank *bank, const uint64_t *reference)
{
	double total = (double)binned_total(reference, bank->bins);

	for (size_t j = 0; j < BANK_ORDERED_MEMBERS; j++) {
		struct row row = ordered_row(bank, j);
		double mean = 0;

		for (size_t k = 0; k < bank->bins; k++)
			if (reference[k])
				mean += (double)reference[k] / total * exp(row_log_ratio(&row, k));
		assert(mean > 0); /* the reference is not empty */
		bank->log_norm[j] = -log(mean);
	}
}

/* The one group is "failed", bin 1; bin 0 belongs to no group. */
static void place_errors(struct bank *bank, const uint64_t *reference, double *place)
{
	double failed = (double)reference[1];
	double total = (double)reference[0] + failed;

	bank->share[0] = failed > 0 ? failed / total : 0.5 / (total + 1);
	bank->bin[0] = 1;
	place[0] = -1;
	place[1] = 0;
}

/* The most frequent bin without a group: unplaced bins hold the number `other`. */
static size_t largest_unplaced(
	const uint64_t *reference, size_t bins, const double *place, double other)
{
	size_t largest = bins;

	for (size_t k = 0; k < bins; k++)
		if (place[k] == other && (largest == bins || reference[k] > reference[largest]))
			largest = k;
	return largest;
}

/* Returns how many groups there are. */
static size_t place_classes(struct bank *bank, const uint64_t *reference, double *place)
{
	double total = (double)binned_total(reference, bank->bins);
	size_t own = bank->bins < BANK_CLASSES_MAX ? bank->bins : BANK_CLASSES_MAX;
	uint64_t placed = 0;

	for (size_t k = 0; k < bank->bins; k++)
		place[k] = (double)own;
	for (size_t group = 0; group < own; group++) {
		size_t k = largest_unplaced(reference, bank->bins, place, (double)own);

		place[k] = (double)group;
		placed += reference[k];
		bank->bin[group] = k;
		bank->share[group] = (double)reference[k] / total;
	}
	if (own == bank->bins)
		return own;
	bank->share[own] = (total - (double)placed) / total;
	return own + 1;
}

bool bank_init(struct bank *bank, enum bank_kind kind, const uint64_t *reference, size_t bins,
	double *place)
{
	struct bank built = {.kind = kind, .bins = bins, .place = place};

	if (binned_total(reference, bins) == 0 || (kind == BANK_ERRORS && bins != 2))
		return false;
	switch (kind) {
	case BANK_ORDERED:
		place_ordered(&built, reference, place);
		norm_ordered(&built, reference);
		built.members = BANK_ORDERED_MEMBERS;
		break;
	case BANK_ERRORS:
		place_errors(&built, reference, place);
		built.members = BANK_ERROR_MEMBERS;
		break;
	case BANK_CLASSES:
		built.members = place_classes(&built, reference, place) * BANK_CLASS_FACTORS;
		break;
	}
	*bank = built;
	return true;
}

void bank_row(const struct bank *bank, size_t j, double *log_row)
{
	struct row row = row_of(bank, j);

	assert(j < bank->members);
	for (size_t k = 0; k < bank->bins; k++)
		log_row[k] = row_log_ratio(&row, k);
}

/* log((n + m R) / N), the price of one request in a bin. */
static double log_price(double log_ratio, double n, double m)
{
	return log((n + m * exp(log_ratio)) / (n + m));
}

double bank_bin_log_e(double log_ratio, uint64_t a, uint64_t b, double n, double m)
{
	if (n <= 0 || m <= 0)
		return 0;
	return (double)b * log_ratio - (double)(a + b) * log_price(log_ratio, n, m);
}

/* The running sum over bins. Neighbours with one ratio share one logarithm: most of a tail's row,
 * or of a class's, is constant. */
struct bet {
	double n, m;
	double log_ratio;
	double price;
	double log_e;
};

static void bet_start(struct bet *bet, double n, double m)
{
	*bet = (struct bet){.n = n, .m = m};
}

static void bet_on(struct bet *bet, double log_ratio, uint64_t a, uint64_t b)
{
	if (log_ratio != bet->log_ratio) {
		bet->log_ratio = log_ratio;
		bet->price = log_price(log_ratio, bet->n, bet->m);
	}
	bet->log_e += (double)b * log_ratio - (double)(a + b) * bet->price;
}

double bank_log_e(const double *log_row, const uint64_t *a, const uint64_t *b, size_t bins)
{
	struct bet bet;

	bet_start(&bet, (double)binned_total(a, bins), (double)binned_total(b, bins));
	if (bet.n <= 0 || bet.m <= 0)
		return 0;
	for (size_t k = 0; k < bins; k++)
		if (a[k] | b[k])
			bet_on(&bet, log_row[k], a[k], b[k]);
	return bet.log_e;
}

/* Narrows [*from, *to) to the bins that hold anything. */
static void trim(const uint64_t *a, const uint64_t *b, size_t *from, size_t *to)
{
	while (*from < *to && !(a[*from] | b[*from]))
		++*from;
	while (*from < *to && !(a[*to - 1] | b[*to - 1]))
		--*to;
}

void bank_step(const struct bank *bank, const uint64_t *a, const uint64_t *b, double *log_e)
{
	double n = (double)binned_total(a, bank->bins);
	double m = (double)binned_total(b, bank->bins);
	bool empty = n <= 0 || m <= 0;
	size_t from = 0;
	size_t to = bank->bins;

	trim(a, b, &from, &to);
	for (size_t j = 0; j < bank->members; j++) {
		struct row row = row_of(bank, j);
		struct bet bet;

		bet_start(&bet, n, m);
		for (size_t k = from; k < to && !empty; k++)
			if (a[k] | b[k])
				bet_on(&bet, row_log_ratio(&row, k), a[k], b[k]);
		log_e[j] = bet.log_e;
	}
}

static struct bank_move describe_ordered(size_t j)
{
	struct bank_move move = {.what = j < SCALES ? BANK_LOCATION : BANK_SCALE};

	if (j < UPPERS) {
		move.amount = signed_distance(j);
		return move;
	}
	move.what = j < LOWERS ? BANK_UPPER_TAIL : BANK_LOWER_TAIL;
	move.cut = cuts[tail_of(j, &move.amount)];
	return move;
}

struct bank_move bank_describe(const struct bank *bank, size_t j)
{
	size_t count;

	assert(j < bank->members);
	if (bank->kind == BANK_ORDERED)
		return describe_ordered(j);

	const double *factors = group_factors(bank, &count);
	struct bank_move move = {.amount = factors[j % count]};
	bool other = j / count == BANK_CLASSES_MAX;

	if (bank->kind == BANK_ERRORS)
		move.what = BANK_ERROR_RATE;
	else
		move.what = other ? BANK_OTHER_CLASSES : BANK_CLASS;
	if (move.what == BANK_CLASS)
		move.bin = bank->bin[j / count];
	return move;
}
