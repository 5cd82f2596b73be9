/* core/stats/classical.c: see classical.h. */
#include "core/stats/classical.h"

#include <math.h>

#include "core/stats/binned.h"
#include "core/stats/special.h"

#define KOLMOGOROV_TERMS 100
#define KOLMOGOROV_MIN 0.2 /* p = 1 to all digits below */
#define EXPECTED_MIN 5.0

struct sizes {
	double n, m, total;
};

static bool sizes_of(const struct classical_arms *arms, struct sizes *sizes)
{
	sizes->n = (double)binned_total(arms->a, arms->bins);
	sizes->m = (double)binned_total(arms->b, arms->bins);
	sizes->total = sizes->n + sizes->m;
	return sizes->n > 0 && sizes->m > 0;
}

/* x log(x / y), 0 at x = 0. */
static double log_excess(double x, double y)
{
	return x > 0 ? x * log(x / y) : 0;
}

/* P(sup of a Brownian bridge's modulus >= lambda). */
static double kolmogorov_tail(double lambda)
{
	double sum = 0;

	if (lambda < KOLMOGOROV_MIN)
		return 1;
	for (int j = KOLMOGOROV_TERMS; j >= 1; j--)
		sum += (j % 2 ? 2 : -2) * exp(-2.0 * j * j * lambda * lambda);
	return fmin(fmax(sum, 0), 1);
}

bool classical_ks(const struct classical_arms *arms, struct classical_test *test)
{
	struct sizes sizes;
	double below_a = 0, below_b = 0, d = 0;

	if (!sizes_of(arms, &sizes))
		return false;
	for (size_t k = 0; k < arms->bins; k++) {
		below_a += (double)arms->a[k];
		below_b += (double)arms->b[k];
		d = fmax(d, fabs(below_a / sizes.n - below_b / sizes.m));
	}
	test->statistic = d;
	test->p = kolmogorov_tail(d * sqrt(sizes.n * sizes.m / sizes.total));
	return true;
}

/* Sums cells of two rows; the newest cell waits, since a poor rest at the end joins it. */
struct chi2 {
	struct sizes sizes;
	double a, b; /* the cell that waits */
	double sum;
	size_t cells; /* finished ones */
};

static void chi2_finish_cell(struct chi2 *chi2)
{
	double ratio = sqrt(chi2->sizes.m / chi2->sizes.n);
	double difference = ratio * chi2->a - chi2->b / ratio;

	if (chi2->a + chi2->b <= 0)
		return;
	chi2->sum += difference * difference / (chi2->a + chi2->b);
	chi2->cells++;
}

static void chi2_add_cell(struct chi2 *chi2, double a, double b)
{
	chi2_finish_cell(chi2);
	chi2->a = a;
	chi2->b = b;
}

bool classical_chi2(const struct classical_arms *arms, struct classical_test *test)
{
	struct chi2 chi2 = {0};
	double a = 0, b = 0;

	if (!sizes_of(arms, &chi2.sizes))
		return false;

	double smaller = fmin(chi2.sizes.n, chi2.sizes.m) / chi2.sizes.total;

	for (size_t k = 0; k < arms->bins; k++) {
		a += (double)arms->a[k];
		b += (double)arms->b[k];
		if ((a + b) * smaller < EXPECTED_MIN)
			continue;
		chi2_add_cell(&chi2, a, b);
		a = b = 0;
	}
	chi2.a += a;
	chi2.b += b;
	chi2_finish_cell(&chi2);
	if (chi2.cells < 2)
		return false;
	test->statistic = chi2.sum;
	test->p = special_chi2_tail(chi2.sum, (double)(chi2.cells - 1));
	return true;
}

bool classical_g(const struct classical_arms *arms, struct classical_test *test)
{
	struct sizes sizes;
	double sum = 0;
	size_t cells = 0;

	if (!sizes_of(arms, &sizes))
		return false;
	for (size_t k = 0; k < arms->bins; k++) {
		double a = (double)arms->a[k];
		double b = (double)arms->b[k];

		sum += log_excess(a, (a + b) * sizes.n / sizes.total) +
		       log_excess(b, (a + b) * sizes.m / sizes.total);
		cells += a + b > 0;
	}
	if (cells < 2)
		return false;
	test->statistic = fmax(2 * sum, 0);
	test->p = special_chi2_tail(test->statistic, (double)(cells - 1));
	return true;
}

bool classical_mann_whitney(const struct classical_arms *arms, struct classical_test *test)
{
	struct sizes sizes;
	double u = 0, below = 0, ties = 0;

	if (!sizes_of(arms, &sizes))
		return false;
	for (size_t k = 0; k < arms->bins; k++) {
		double a = (double)arms->a[k];
		double b = (double)arms->b[k];
		double t = a + b;

		u += a * (below + b / 2);
		below += b;
		ties += t * t * t - t;
	}
	double nm = sizes.n * sizes.m;
	double variance = nm / 12 * (sizes.total + 1 - ties / (sizes.total * (sizes.total - 1)));

	if (!(variance > 0))
		return false;
	test->statistic = u;
	test->p = 2 * special_normal_tail(fmax((fabs(u - nm / 2) - 0.5) / sqrt(variance), 0));
	return true;
}

/* The pooled cdf after bin k, and the weight of the squared difference of the cdfs there. */
struct bridge_point {
	double pooled, weight;
};

struct bridge_walk {
	const struct classical_arms *arms;
	double total;
	bool by_variance; /* Anderson-Darling: divided by H (1 - H) */
	double below;
	size_t k;
};

/* The next bin that is not empty and not the last of them: there both cdfs are 1. */
static bool bridge_next(struct bridge_walk *walk, struct bridge_point *point)
{
	double count = 0;

	while (walk->k < walk->arms->bins && count <= 0) {
		count = (double)walk->arms->a[walk->k] + (double)walk->arms->b[walk->k];
		walk->k++;
	}
	walk->below += count;
	if (count <= 0 || walk->below >= walk->total)
		return false;
	point->pooled = walk->below / walk->total;
	point->weight = count / walk->total;
	if (walk->by_variance)
		point->weight /= point->pooled * (1 - point->pooled);
	return true;
}

/* P(sum of weight times squared Brownian bridge >= statistic): c chi2_nu with the same mean and
 * variance, c = variance / (2 mean), nu = 2 mean^2 / variance. */
static double bridge_tail(struct bridge_walk walk, double statistic)
{
	struct bridge_walk start = walk;
	struct bridge_point p, q;
	double mean = 0, variance = 0;

	while (bridge_next(&walk, &p)) {
		struct bridge_walk other = start;

		mean += p.weight * p.pooled * (1 - p.pooled);
		while (bridge_next(&other, &q)) {
			double covariance =
				fmin(p.pooled, q.pooled) * (1 - fmax(p.pooled, q.pooled));

			variance += 2 * p.weight * q.weight * covariance * covariance;
		}
	}
	return special_chi2_tail(statistic * 2 * mean / variance, 2 * mean * mean / variance);
}

static bool bridge_test(
	const struct classical_arms *arms, bool by_variance, struct classical_test *test)
{
	struct sizes sizes;
	struct bridge_point point;
	double statistic = 0, below_a = 0, below_b = 0;
	size_t counted = 0;

	if (!sizes_of(arms, &sizes))
		return false;

	struct bridge_walk start = {.arms = arms, .total = sizes.total, .by_variance = by_variance};
	struct bridge_walk walk = start;

	while (bridge_next(&walk, &point)) {
		for (; counted < walk.k; counted++) {
			below_a += (double)arms->a[counted];
			below_b += (double)arms->b[counted];
		}
		double d = below_a / sizes.n - below_b / sizes.m;

		statistic += point.weight * d * d;
	}
	if (counted == 0)
		return false;
	test->statistic = statistic * sizes.n * sizes.m / sizes.total;
	test->p = bridge_tail(start, test->statistic);
	return true;
}

bool classical_cramer_von_mises(const struct classical_arms *arms, struct classical_test *test)
{
	return bridge_test(arms, false, test);
}

bool classical_anderson_darling(const struct classical_arms *arms, struct classical_test *test)
{
	return bridge_test(arms, true, test);
}

static double share_of(uint64_t count, double added, double total, size_t bins)
{
	return ((double)count + added) / (total + added * (double)bins);
}

bool classical_psi(const struct classical_arms *arms, double added, double *psi)
{
	struct sizes sizes;
	double sum = 0;

	if (!sizes_of(arms, &sizes))
		return false;
	for (size_t k = 0; k < arms->bins; k++) {
		double p = share_of(arms->a[k], added, sizes.n, arms->bins);
		double q = share_of(arms->b[k], added, sizes.m, arms->bins);

		if ((p > 0) != (q > 0))
			sum = INFINITY;
		else if (p > 0)
			sum += (p - q) * log(p / q);
	}
	*psi = sum;
	return true;
}

bool classical_jensen_shannon(const struct classical_arms *arms, double *distance)
{
	struct sizes sizes;
	double sum = 0;

	if (!sizes_of(arms, &sizes))
		return false;
	for (size_t k = 0; k < arms->bins; k++) {
		double p = (double)arms->a[k] / sizes.n;
		double q = (double)arms->b[k] / sizes.m;

		sum += log_excess(p, (p + q) / 2) + log_excess(q, (p + q) / 2);
	}
	*distance = sqrt(fmax(sum / 2, 0));
	return true;
}

bool classical_hellinger(const struct classical_arms *arms, double *distance)
{
	struct sizes sizes;
	double sum = 0;

	if (!sizes_of(arms, &sizes))
		return false;
	for (size_t k = 0; k < arms->bins; k++)
		sum += sqrt((double)arms->a[k] / sizes.n * ((double)arms->b[k] / sizes.m));
	*distance = sqrt(fmax(1 - sum, 0));
	return true;
}

bool classical_wasserstein(
	const struct classical_arms *arms, const double *values, double *distance)
{
	struct sizes sizes;
	double below_a = 0, below_b = 0, sum = 0;

	if (!sizes_of(arms, &sizes))
		return false;
	for (size_t k = 0; k + 1 < arms->bins; k++) {
		below_a += (double)arms->a[k];
		below_b += (double)arms->b[k];
		sum += fabs(below_a / sizes.n - below_b / sizes.m) * (values[k + 1] - values[k]);
	}
	*distance = sum;
	return true;
}
