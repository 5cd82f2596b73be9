/* core/stats/special.c: see special.h. */
#include "core/stats/special.h"

#include <float.h>
#include <math.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf_erf.h>
#include <gsl/gsl_sf_gamma.h>
#include <gsl/gsl_sf_zeta.h>

/* Terms of a series or continued fraction: about sqrt(argument) are needed, so this bound is met
 * only by arguments beyond 1e11, where the value so far is still the best there is. */
#define TERMS_MAX 400000

/* Lentz's method divides by its partial results; this stands in for an exact zero. */
#define TINY 1e-300

/* Below this a probability is computed again as a logarithm. */
#define UNDERFLOW_MIN 1e-290

__attribute__((constructor)) static void switch_abort_off(void)
{
	(void)gsl_set_error_handler_off();
}

double special_normal_cdf(double z)
{
	return gsl_cdf_ugaussian_P(z);
}

double special_normal_tail(double z)
{
	return gsl_cdf_ugaussian_Q(z);
}

double special_log_normal_cdf(double z)
{
	return gsl_sf_log_erfc(-z / M_SQRT2) - M_LN2;
}

double special_normal_quantile(double u)
{
	return gsl_cdf_ugaussian_Pinv(fmin(fmax(u, 1e-300), 1 - DBL_EPSILON / 2));
}

double special_log_gamma(double x)
{
	return gsl_sf_lngamma(x);
}

double special_log_beta(double a, double b)
{
	return gsl_sf_lnbeta(a, b);
}

double special_zeta(double s)
{
	return gsl_sf_zeta(s);
}

/* DLMF 8.7.1, written as one power series with positive terms. */
static double log_gamma_lower_series(double a, double x)
{
	double term = 1;
	double sum = 1;

	for (int k = 1; k < TERMS_MAX && term > sum * DBL_EPSILON; k++) {
		term *= x / (a + k);
		sum += term;
	}
	return a * log(x) - x - gsl_sf_lngamma(a + 1) + log(sum);
}

/* DLMF 8.9.2, evaluated from the front (modified Lentz). */
static double log_gamma_upper_fraction(double a, double x)
{
	double b = x + 1 - a;
	double c = 1 / TINY;
	double d = 1 / (fabs(b) < TINY ? TINY : b);
	double f = d;

	for (int k = 1; k < TERMS_MAX; k++) {
		double numerator = -k * (k - a);

		b += 2;
		d = numerator * d + b;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = b + numerator / c;
		c = fabs(c) < TINY ? TINY : c;
		f *= c * d;
		if (fabs(c * d - 1) <= DBL_EPSILON)
			break;
	}
	return a * log(x) - x - gsl_sf_lngamma(a) + log(f);
}

double special_log_gamma_lower(double a, double x)
{
	if (x <= 0)
		return -INFINITY;

	double p = gsl_sf_gamma_inc_P(a, x);

	return p > UNDERFLOW_MIN ? log(p) : log_gamma_lower_series(a, x);
}

double special_log_gamma_upper(double a, double x)
{
	if (x <= 0)
		return 0;

	double q = gsl_sf_gamma_inc_Q(a, x);

	return q > UNDERFLOW_MIN ? log(q) : log_gamma_upper_fraction(a, x);
}

/* The numerator of step k of DLMF 8.17.22. */
static double beta_numerator(double a, double b, double x, int k)
{
	double half = k / 2;

	if (k % 2 == 0)
		return half * (b - half) * x / ((a + k - 1) * (a + k));
	return -(a + half) * (a + b + half) * x / ((a + k - 1) * (a + k));
}

/* log of the continued fraction DLMF 8.17.22 (modified Lentz); quick for x < (a+1)/(a+b+2). */
static double log_beta_fraction(double a, double b, double x)
{
	double c = 1;
	double d = 0;
	double f = 1;

	for (int k = 1; k < TERMS_MAX; k++) {
		double numerator = beta_numerator(a, b, x, k);

		d = 1 + numerator * d;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = 1 + numerator / c;
		c = fabs(c) < TINY ? TINY : c;
		f *= c * d;
		if (fabs(c * d - 1) <= DBL_EPSILON)
			break;
	}
	return -log(f);
}

/* log(x^a y^b / (a B(a, b) fraction)) with y = 1 - x. */
static double log_beta_front(double a, double b, double x, double y)
{
	return a * log(x) + b * log(y) - gsl_sf_lnbeta(a, b) - log(a) + log_beta_fraction(a, b, x);
}

double special_log_beta_lower(double a, double b, double x)
{
	if (x <= 0)
		return -INFINITY;
	if (x >= 1)
		return 0;
	if (x * (a + b + 2) < a + 1)
		return fmin(log_beta_front(a, b, x, 1 - x), 0);
	/* The rounding of 1 - p must not turn into a probability above one. */
	return log1p(-fmin(exp(log_beta_front(b, a, 1 - x, x)), 1));
}

double special_chi2_tail(double x, double df)
{
	return gsl_cdf_chisq_Q(x, df);
}

double special_poisson_low(double k, double mean)
{
	return k < 0 ? 0 : exp(special_log_gamma_upper(k + 1, mean));
}

double special_poisson_high(double k, double mean)
{
	return k <= 0 ? 1 : exp(special_log_gamma_lower(k, mean));
}

double special_binomial_low(double k, double trials, double p)
{
	if (k < 0)
		return 0;
	return k >= trials ? 1 : exp(special_log_beta_lower(trials - k, k + 1, 1 - p));
}

double special_binomial_high(double k, double trials, double p)
{
	if (k > trials)
		return 0;
	return k <= 0 ? 1 : exp(special_log_beta_lower(k, trials - k + 1, p));
}

double special_negative_binomial_low(double k, double mean, double phi)
{
	return k < 0 ? 0 : exp(special_log_beta_lower(mean / (phi - 1), k + 1, 1 / phi));
}

double special_negative_binomial_high(double k, double mean, double phi)
{
	return k <= 0 ? 1 : exp(special_log_beta_lower(k, mean / (phi - 1), 1 - 1 / phi));
}

double special_log_add(double a, double b)
{
	double high = a > b ? a : b;
	double low = a > b ? b : a;

	if (isinf(high))
		return high;
	return high + log1p(exp(low - high));
}
