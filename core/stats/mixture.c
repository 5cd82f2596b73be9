/* core/stats/mixture.c: see mixture.h. */
#include "core/stats/mixture.h"

#include <assert.h>
#include <math.h>

#include "core/stats/special.h"

/* Halvings of a bracket: below the spacing of doubles. */
#define HALVINGS 60

/* Doublings in search of an upper end: beyond 1e18 times the spread, no sum of ours ever is. */
#define DOUBLINGS 60

double mixture_rho_two(double v, double alpha)
{
	double cost = 2 * log(1 / alpha);

	return v / (cost + log1p(cost));
}

double mixture_rho_one(double v, double alpha)
{
	return mixture_rho_two(v, 2 * alpha);
}

static double normal_two(double s, double v, double rho)
{
	return 0.5 * log(rho / (v + rho)) + s * s / (2 * (v + rho));
}

static double normal_one(double s, double v, double rho)
{
	return M_LN2 + normal_two(s, v, rho) + special_log_normal_cdf(s / sqrt(v + rho));
}

/* The mixing density's own spread must stay positive where rho <= g h. */
static double beta_prior(const struct mixture *mixture)
{
	double gh = mixture->g * mixture->h;

	return fmax(mixture->rho - gh, 0.001 * gh);
}

static double log_beta_up_to(double a, double b, double x)
{
	return special_log_beta(a, b) + (x < 1 ? special_log_beta_lower(a, b, x) : 0);
}

static double beta_binomial(const struct mixture *mixture, double s, double v)
{
	double g = mixture->g;
	double h = mixture->h;
	double r = beta_prior(mixture);
	double low = (r + v - g * s) / (g * (g + h));
	double high = (r + v + h * s) / (h * (g + h));
	double x = mixture->kind == MIXTURE_BETA_BINOMIAL_ONE ? h / (g + h) : 1;

	if (low <= 0 || high <= 0)
		return -INFINITY;
	return v / (g * h) * log(g + h) - (v + h * s) / (h * (g + h)) * log(g) -
	       (v - g * s) / (g * (g + h)) * log(h) + log_beta_up_to(low, high, x) -
	       log_beta_up_to(r / (g * (g + h)), r / (h * (g + h)), x);
}

static double gamma_exponential(double s, double v, double rho, double c)
{
	double r = rho / (c * c);
	double w = (v + rho) / (c * c);
	double x = (c * s + v) / (c * c);

	if (x + r <= 0)
		return -INFINITY;
	return r * log(r) - special_log_gamma(r) - special_log_gamma_lower(r, r) +
	       special_log_gamma(w) + special_log_gamma_lower(w, x + r) - w * log(x + r) + x;
}

static double gamma_poisson(double s, double v, double rho, double c)
{
	double r = rho / (c * c);
	double w = (v + rho) / (c * c);
	double y = s / c + w;

	if (y <= 0)
		return -INFINITY;
	return r * log(r) - special_log_gamma(r) - special_log_gamma_upper(r, r) +
	       special_log_gamma(y) + special_log_gamma_upper(y, w) - y * log(w) + v / (c * c);
}

double mixture_log(const struct mixture *mixture, double s, double v)
{
	switch (mixture->kind) {
	case MIXTURE_NORMAL_TWO:
		return normal_two(s, v, mixture->rho);
	case MIXTURE_NORMAL_ONE:
		return normal_one(s, v, mixture->rho);
	case MIXTURE_BETA_BINOMIAL_TWO:
	case MIXTURE_BETA_BINOMIAL_ONE:
		return beta_binomial(mixture, s, v);
	case MIXTURE_GAMMA_EXPONENTIAL:
		return gamma_exponential(s, v, mixture->rho, mixture->c);
	case MIXTURE_GAMMA_POISSON:
		return gamma_poisson(s, v, mixture->rho, mixture->c);
	}
	return -INFINITY;
}

/* An S where log M has passed the line, or INFINITY. Steps of the beta-binomial end at h, so that
 * its sum ends at n h = V / g. */
static double upper_end(const struct mixture *mixture, double v, double line)
{
	double s = sqrt(v + mixture->rho);
	bool bounded = mixture->kind == MIXTURE_BETA_BINOMIAL_TWO ||
		       mixture->kind == MIXTURE_BETA_BINOMIAL_ONE;
	double s_max = bounded ? v / mixture->g : INFINITY;

	for (int i = 0; i < DOUBLINGS && s < s_max; i++, s *= 2)
		if (mixture_log(mixture, s, v) >= line)
			return s;
	return bounded && mixture_log(mixture, s_max, v) >= line ? s_max : INFINITY;
}

double mixture_bound(const struct mixture *mixture, double v, double alpha)
{
	double line = log(1 / alpha);
	double rho = mixture->rho;

	if (mixture->kind == MIXTURE_NORMAL_TWO)
		return sqrt((v + rho) * (log1p(v / rho) + 2 * line));

	double low = 0;
	double high = upper_end(mixture, v, line);

	for (int i = 0; i < HALVINGS && isfinite(high); i++) {
		double middle = low + (high - low) / 2;

		if (mixture_log(mixture, middle, v) >= line)
			high = middle;
		else
			low = middle;
	}
	return high;
}

double mixture_stitched_bound(double v, double alpha, double v_min, double c)
{
	const double s = 1.4;
	const double eta = 2;
	double k1 = (pow(eta, 0.25) + pow(eta, -0.25)) / M_SQRT2;
	double k2 = (sqrt(eta) + 1) / 2;
	double late = fmax(v, v_min);
	double ell = s * log(log(eta * late / v_min)) + log(special_zeta(s) / pow(log(eta), s)) +
		     log(1 / alpha);
	double tail = k2 * c * ell;

	return sqrt(k1 * k1 * late * ell + tail * tail) + tail;
}

double mixture_two_arms(double x_a, double x_b, double share, double k)
{
	return special_log_beta(k * (1 - share) + x_a, k * share + x_b) -
	       special_log_beta(k * (1 - share), k * share) - x_a * log1p(-share) -
	       x_b * log(share);
}

double mixture_multinomial(const uint64_t *counts, const double *shares, size_t cells, double k)
{
	double total = 0;
	double log_e = 0;

	for (size_t i = 0; i < cells; i++) {
		double x = (double)counts[i];

		total += x;
		log_e += special_log_gamma(k * shares[i] + x) - special_log_gamma(k * shares[i]) -
			 x * log(shares[i]);
	}
	return log_e - special_log_gamma(k + total) + special_log_gamma(k);
}

/* With g = p, h = 1 - p, V = n g h and rho tuned at V the beta-binomial is a two-arm test with
 * concentration rho / (g h) - 1, which does not depend on p. */
static double bernoulli_concentration(double trials_tuned)
{
	return fmax(mixture_rho_two(trials_tuned, 0.05) - 1, 0.001);
}

double mixture_bernoulli(double successes, double trials, double p, double trials_tuned)
{
	return mixture_two_arms(
		trials - successes, successes, p, bernoulli_concentration(trials_tuned));
}

/* The border between the excluded end and the rate itself, which no level excludes; the end if the
 * rate lies there. The excluded side is returned, so that rounding can only widen the interval. */
static double bernoulli_border(double successes, double trials, double line, double k, double end)
{
	double in = successes / trials;
	double out = end;

	for (int i = 0; i < HALVINGS; i++) {
		double p = out + (in - out) / 2;

		if (p <= 0 || p >= 1)
			break;
		if (mixture_two_arms(trials - successes, successes, p, k) >= line)
			out = p;
		else
			in = p;
	}
	return out;
}

bool mixture_bernoulli_interval(uint64_t successes, uint64_t trials, double alpha,
	double trials_tuned, double *low, double *high)
{
	double x = (double)successes;
	double n = (double)trials;
	double k = bernoulli_concentration(trials_tuned);

	assert(successes <= trials);
	if (trials == 0)
		return false;
	*low = bernoulli_border(x, n, log(1 / alpha), k, 0);
	*high = bernoulli_border(x, n, log(1 / alpha), k, 1);
	return true;
}

double mixture_log_mean(const double *log_e, size_t count)
{
	double sum = -INFINITY;

	for (size_t j = 0; j < count; j++)
		sum = special_log_add(sum, log_e[j]);
	return count ? sum - log((double)count) : sum;
}
