/* detectors/arms.c: latency, errors, score and class of one role against the other: given the bin
 * that a request landed in, bets on which arm it came from (core/stats/bank.h), followed by one
 * Shiryaev-Roberts process per bet.
 * THINKS.
 *
 * The bets are made from a frozen histogram of the reference, so that they were fixed before the
 * step that they judge. It freezes anew each time the reference has doubled; what was learned
 * halves at FROZEN_MAX. Processes go on over that: each factor is an e-value given the past.
 *
 * Bins are brought into cells: each bin that the reference has seen is one, and all bins between
 * two of those are one more, because every bet treats them alike. */
#include "core/memory.h"
#include "core/stats/bank.h"
#include "detectors/table.h"
#include "detectors/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	FROZEN_MAX = 1 << 17,
	INFORMED_MIN = 100, /* observations a side before ok is said */
};

struct arms {
	struct tally frozen, learning;
	uint64_t known_names; /* classes when it froze; later ones share the last cell */

	/* Made of the frozen histogram when needed. */
	bool made;
	struct bank bank;
	double *place;
	int32_t *seen; /* ordered: bins of the reference */
	size_t seen_count, cells;
	size_t *chosen; /* bets that are followed */
	size_t chosen_count;
};

static void unmake(struct arms *arms)
{
	free(arms->place);
	free(arms->seen);
	free(arms->chosen);
	arms->place = NULL;
	arms->seen = NULL;
	arms->chosen = NULL;
	arms->made = false;
}

static void arms_done(void *own)
{
	struct arms *arms = own;

	tally_done(&arms->frozen);
	tally_done(&arms->learning);
	unmake(arms);
}

static void arms_write(const void *own, struct bytes *out)
{
	const struct arms *arms = own;

	tally_write(&arms->frozen, out);
	tally_write(&arms->learning, out);
	bytes_varint(out, arms->known_names);
}

static void arms_read(void *own, struct reader *in)
{
	struct arms *arms = own;

	tally_read(&arms->frozen, in);
	tally_read(&arms->learning, in);
	arms->known_names = reader_varint(in);
}

static enum bank_kind kind_of(const struct comparison *comparison)
{
	if (comparison->layout == LAYOUT_NAMES)
		return BANK_CLASSES;
	return comparison->layout == LAYOUT_RESULT ? BANK_ERRORS : BANK_ORDERED;
}

static size_t cell_of(const struct arms *arms, enum bank_kind kind, int32_t bin)
{
	size_t low = 0;
	size_t high = arms->seen_count;

	if (kind == BANK_ERRORS)
		return bin == 1;
	if (kind == BANK_CLASSES)
		return (uint64_t)bin < arms->known_names ? (size_t)bin : arms->known_names;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (arms->seen[middle] < bin)
			low = middle + 1;
		else
			high = middle;
	}
	return low < arms->seen_count && arms->seen[low] == bin ? 2 * low + 1 : 2 * low;
}

static uint64_t *cells_of(const struct arms *arms, enum bank_kind kind, const struct tally *tally)
{
	uint64_t *cells = memory_new(arms->cells, sizeof *cells);

	for (size_t i = 0; i < tally->count; i++)
		cells[cell_of(arms, kind, tally->bins[i].bin)] += tally->bins[i].count;
	return cells;
}

/* Faster is no alarm, and fewer failures are none: bets that could win by them would only hide a
 * later change. A wider spread wins by both, and what is slow about it is in the upper tails. */
static bool is_chosen(const struct comparison *comparison, struct bank_move move)
{
	bool one_sided =
		comparison->layout == LAYOUT_LATENCY || comparison->layout == LAYOUT_RESULT;

	if (!one_sided)
		return true;
	switch (move.what) {
	case BANK_LOCATION:
		return move.amount > 0;
	case BANK_SCALE:
		return false;
	case BANK_LOWER_TAIL:
		return move.amount < 1;
	default:
		return move.amount > 1;
	}
}

static void make(const struct comparison *comparison)
{
	struct arms *arms = comparison->own;
	enum bank_kind kind = kind_of(comparison);

	unmake(arms);
	arms->seen_count = kind == BANK_ORDERED ? arms->frozen.count : 0;
	arms->seen = memory_new(arms->seen_count + 1, sizeof *arms->seen);
	for (size_t i = 0; i < arms->seen_count; i++)
		arms->seen[i] = arms->frozen.bins[i].bin;
	arms->cells = kind == BANK_ERRORS    ? 2
		      : kind == BANK_CLASSES ? arms->known_names + 1
					     : 2 * arms->seen_count + 1;
	arms->place = memory_new(arms->cells, sizeof *arms->place);
	uint64_t *reference = cells_of(arms, kind, &arms->frozen);

	bank_init(&arms->bank, kind, reference, arms->cells, arms->place);
	free(reference);
	arms->chosen = memory_new(arms->bank.members, sizeof *arms->chosen);
	arms->chosen_count = 0;
	for (size_t j = 0; j < arms->bank.members; j++)
		if (is_chosen(comparison, bank_describe(&arms->bank, j)))
			arms->chosen[arms->chosen_count++] = j;
	arms->made = true;
}

/* What a group of bets on a class is about, for finding it again in another bank. */
static size_t group_name(const struct arms *arms, size_t group)
{
	if (group == BANK_CLASSES_MAX)
		return SIZE_MAX; /* all others */
	return arms->bank.bin[group] == arms->known_names ? SIZE_MAX - 1 : arms->bank.bin[group];
}

/* Classes have their bets in order of their frequency: each keeps its processes when that changes.
 */
static void carry_over(struct comparison *comparison, const struct arms *old)
{
	const struct arms *arms = comparison->own;
	size_t groups = arms->bank.members / BANK_CLASS_FACTORS;
	size_t old_groups = old->bank.members / BANK_CLASS_FACTORS;
	struct sr_member *before = comparison->members;
	size_t size = BANK_CLASS_FACTORS * sizeof *before;

	comparison->members = NULL;
	comparison->member_count = 0;
	comparison_bet(comparison, arms->bank.members);
	for (size_t g = 0; g < groups; g++)
		for (size_t o = 0; o < old_groups; o++)
			if (group_name(arms, g) == group_name(old, o))
				memcpy(comparison->members + g * BANK_CLASS_FACTORS,
					before + o * BANK_CLASS_FACTORS, size);
	free(before);
}

static void freeze(struct comparison *comparison)
{
	struct arms *arms = comparison->own;
	bool classes = kind_of(comparison) == BANK_CLASSES && arms->frozen.n > 0;
	struct arms old = *arms;

	tally_merge(&arms->frozen, &arms->learning);
	tally_clear(&arms->learning);
	if (arms->frozen.n > FROZEN_MAX)
		tally_halve(&arms->frozen);
	arms->known_names = comparison->names.count;
	/* The old bank lives on in `old` until its processes are carried over. */
	arms->place = NULL;
	arms->seen = NULL;
	arms->chosen = NULL;
	make(comparison);
	if (classes)
		carry_over(comparison, &old);
	else
		comparison_bet(comparison, arms->chosen_count);
	unmake(&old);
}

static bool arms_ready(const struct comparison *comparison, const struct terms *terms)
{
	return comparison_has_min(comparison, terms, true);
}

static void bet(struct comparison *comparison)
{
	const struct arms *arms = comparison->own;
	enum bank_kind kind = kind_of(comparison);
	uint64_t *a = cells_of(arms, kind, &comparison->reference);
	uint64_t *b = cells_of(arms, kind, &comparison->arm);
	double log_e[BANK_MEMBERS_MAX];

	bank_step(&arms->bank, a, b, log_e);
	for (size_t i = 0; i < arms->chosen_count; i++) /* chosen[i] >= i */
		log_e[i] = log_e[arms->chosen[i]];
	sr_step(comparison->members, arms->chosen_count, log_e, comparison->waiting_from_ms);
	free(a);
	free(b);
}

static void arms_step(struct comparison *comparison, const struct terms *terms)
{
	struct arms *arms = comparison->own;

	if (arms->frozen.n) {
		if (!arms->made)
			make(comparison);
		bet(comparison);
	}
	comparison->n_reference += comparison->reference.n;
	tally_merge(&arms->learning, &comparison->reference);
	if (arms->learning.n >= (uint64_t)terms->model->min && arms->learning.n >= arms->frozen.n)
		freeze(comparison);
}

static bool arms_informed(const struct comparison *comparison)
{
	return comparison->n_arm >= INFORMED_MIN && comparison->n_reference >= INFORMED_MIN;
}

static bool arms_enough(
	const struct comparison *comparison, const struct terms *terms, const struct sample *sample)
{
	(void)comparison;
	(void)terms;
	return sample->arm.n >= INFORMED_MIN && sample->reference.n >= INFORMED_MIN;
}

static struct sides sides_of(const struct comparison *comparison, const struct sample *sample)
{
	return (struct sides){.layout = comparison->layout,
		.names = &comparison->names,
		.arm = &sample->arm,
		.reference = &sample->reference};
}

static size_t arms_measure(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct measure *list)
{
	struct sides sides = sides_of(comparison, sample);

	return measure_signal(comparison->series.signal, &sides, &terms->model->tolerate, list);
}

static void arms_tell(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct evidence *evidence)
{
	struct sides sides = sides_of(comparison, sample);
	const struct arms *arms = comparison->own;
	size_t order[WORDS_STRONGEST];

	(void)terms;
	measure_values(comparison->series.signal, &sides, evidence);
	if (!arms->frozen.n)
		return;
	if (!arms->made)
		make(comparison);
	size_t count = words_strongest(comparison, order);

	for (size_t i = 0; i < count; i++)
		words_bank(comparison, bank_describe(&arms->bank, arms->chosen[order[i]]),
			comparison->members[order[i]].log_r, evidence);
}

#define ARMS(signal_name)                                                                          \
	{                                                                                          \
		.name = "arms", .signal = signal_name, .rival = RIVAL_ROLE,                        \
		.own_size = sizeof(struct arms), .own_done = arms_done, .own_write = arms_write,   \
		.own_read = arms_read, .ready = arms_ready, .step = arms_step,                     \
		.informed = arms_informed, .enough = arms_enough, .measure = arms_measure,         \
		.tell = arms_tell,                                                                 \
	}

const struct detector arms_latency = ARMS("latency");
const struct detector arms_errors = ARMS("errors");
const struct detector arms_score = ARMS("score");
const struct detector arms_class = ARMS("class");
