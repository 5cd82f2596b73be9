/* core/stats/bank.h: bets on which of two arms a request came from, given the bin it landed in.
 * Pure: no I/O, no clock, no allocation, no log.
 *
 * With tick counts a_k (n in all) on the reference arm and b_k (m in all) on the judged arm, and
 * any positive ratios R_k chosen before the tick,
 *     log e = sum_k a_k log(N / (n + m R_k)) + b_k log(N R_k / (n + m R_k)),   N = n + m,
 * has E[e] <= 1 if both arms share one law in this tick, whatever that law is (statistics.md 2.3;
 * Turner, Ly, Grunwald, arXiv 2106.02693; Podkopaev, Ramdas 2023). A bank is a set of such R, each
 * scaled to sum_k p_k R_k = 1 on a frozen reference p, so that arm sizes alone move nothing.
 *
 * Rows are logarithms of R. They are made when asked for: a bank needs one double per bin instead
 * of a matrix of members by bins. */
#ifndef CORE_STATS_BANK_H
#define CORE_STATS_BANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BANK_ORDERED_MEMBERS = 52, /* 12 locations, 12 scales, 18 upper and 10 lower tails */
	BANK_ERROR_MEMBERS = 15,
	BANK_CLASSES_MAX = 32, /* classes with bets of their own */
	BANK_CLASS_FACTORS = 10,
	BANK_MEMBERS_MAX = (BANK_CLASSES_MAX + 1) * BANK_CLASS_FACTORS,
};

enum bank_kind {
	BANK_ORDERED, /* bins in the order of the value: latency, score, feature */
	BANK_ERRORS,  /* two bins: ok, failed */
	BANK_CLASSES, /* bins without order */
};

/* All zero is a valid bank with no member. The caller owns it and what `place` points to. */
struct bank {
	enum bank_kind kind;
	size_t bins;
	size_t members;
	const double *place;                   /* ordered: normal score of a bin; else its group */
	double log_norm[BANK_ORDERED_MEMBERS]; /* ordered only */
	size_t edge[5];                        /* ordered only: where the tails begin or end */
	double share[BANK_CLASSES_MAX + 1];    /* reference share of a group */
	size_t bin[BANK_CLASSES_MAX + 1];      /* the bin of a group */
};

/* Builds the bank from the frozen reference counts of `bins` bins. `place` is room for `bins`
 * doubles that must live as long as the bank. False, and the bank untouched (place may be
 * written), if the reference is empty, or bins is 0, or not 2 for BANK_ERRORS.
 *
 * Ordered: u = the reference's cdf at mid-bin, clipped to [1e-6, 1 - 1e-6], z = its normal score:
 * bins outside all reference mass get the ends, +-4.75. Log R before scaling is clipped to +-6.
 * Errors: a reference without failures counts as the rate (0 + 0.5) / (n + 1), so that the
 * factors are scaled to something that can happen.
 * Classes: the 32 most frequent bins (of equals the lower index) are groups of their own, all
 * others together are one more. Bins that the reference never saw keep the factor unscaled. */
bool bank_init(struct bank *bank, enum bank_kind kind, const uint64_t *reference, size_t bins,
	double *place);

/* Writes log R of member j < members to log_row[bins]. */
void bank_row(const struct bank *bank, size_t j, double *log_row);

/* What one bin adds to log e. n and m are the totals of the arms over all bins. 0 if one is 0. */
double bank_bin_log_e(double log_ratio, uint64_t a, uint64_t b, double n, double m);

/* log e of one row, summed from the first bin to the last. 0 if an arm is empty: no bet. */
double bank_log_e(const double *log_row, const uint64_t *a, const uint64_t *b, size_t bins);

/* log e of every member: log_e[j] is bank_log_e() of row j, without the rows being stored. */
void bank_step(const struct bank *bank, const uint64_t *a, const uint64_t *b, double *log_e);

enum bank_what {
	BANK_LOCATION,      /* amount: shift of the normal score, in sd of the reference */
	BANK_SCALE,         /* amount > 0: wider, < 0: narrower */
	BANK_UPPER_TAIL,    /* amount: factor on the mass above the quantile `cut` */
	BANK_LOWER_TAIL,    /* amount: factor on the mass below the quantile `cut` */
	BANK_ERROR_RATE,    /* amount: factor on the rate of failures */
	BANK_CLASS,         /* amount: factor on the share of the class in bin `bin` */
	BANK_OTHER_CLASSES, /* amount: factor on the share of all classes without their own bets */
};

struct bank_move {
	enum bank_what what;
	double amount;
	double cut; /* tails only, else 0 */
	size_t bin; /* BANK_CLASS only, else 0 */
};

/* What member j < members says moved, for people to read. */
struct bank_move bank_describe(const struct bank *bank, size_t j);

#endif
