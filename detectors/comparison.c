#include "detectors/comparison.h"

#include "core/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_MS = 86400000 };

struct comparison *comparison_new(const struct detector *detector, const struct series *series)
{
	struct comparison *comparison = memory_new(1, sizeof *comparison);

	comparison->detector = detector;
	comparison->series = *series;
	comparison->log_e = -INFINITY;
	comparison->own = memory_new(1, detector->own_size);
	comparison->dirty = true;
	return comparison;
}

void comparison_free(struct comparison *comparison)
{
	if (!comparison)
		return;
	if (comparison->detector->own_done)
		comparison->detector->own_done(comparison->own);
	free(comparison->own);
	names_done(&comparison->names);
	tally_done(&comparison->arm);
	tally_done(&comparison->reference);
	spans_done(&comparison->spans);
	free(comparison->members);
	free(comparison);
}

int comparison_order(const struct detector *detector, const struct series *series,
	const struct comparison *comparison)
{
	int order = strcmp(series->segment, comparison->series.segment);

	if (!order)
		order = strcmp(series->signal, comparison->series.signal);
	if (!order)
		order = strcmp(detector->name, comparison->detector->name);
	if (!order)
		order = strcmp(series->role, comparison->series.role);
	return order ? order : strcmp(series->version, comparison->series.version);
}

void comparison_key(const struct comparison *comparison, struct bytes *key)
{
	const struct series *series = &comparison->series;

	bytes_format(key, "%s|%s|%s|%s|%s|%s", comparison->detector->name, series->signal,
		series->model, series->segment, series->role, series->version);
}

const char *comparison_against(const struct comparison *comparison)
{
	if (comparison->detector->rival == RIVAL_HISTORY)
		return "history";
	return strcmp(comparison->series.role, "canary") == 0 ? "production" : "canary";
}

void comparison_restart(struct comparison *comparison)
{
	sr_init(comparison->members, comparison->member_count);
	spans_done(&comparison->spans);
	tally_clear(&comparison->arm);
	tally_clear(&comparison->reference);
	comparison->waiting_ticks = 0;
	comparison->stepped_ms = 0;
	comparison->steps = comparison->n_arm = comparison->n_reference = 0;
	comparison->held = comparison->held_surely = 0;
	comparison->log_e = -INFINITY;
	comparison->dirty = true;
	if (comparison->verdict != VERDICT_ALARM)
		comparison->verdict = VERDICT_NO_DATA;
}

static void forget(struct comparison *comparison)
{
	if (comparison->detector->own_done)
		comparison->detector->own_done(comparison->own);
	memset(comparison->own, 0, comparison->detector->own_size);
	comparison_restart(comparison);
}

void comparison_refer(struct comparison *comparison, const char *version)
{
	forget(comparison);
	view_copy(view_of(version), comparison->reference_version,
		sizeof comparison->reference_version);
}

void comparison_add(struct comparison *comparison, struct tally *side, const struct window *window,
	const struct terms *terms)
{
	size_t max = (size_t)terms->config->limits.classes;

	if (comparison->layout && comparison->layout != window->layout)
		forget(comparison); /* the configuration says another kind of score */
	if (!comparison->waiting_ticks && !comparison->arm.n && !comparison->reference.n)
		comparison->waiting_from_ms = terms->from_ms;
	if (!comparison->stepped_ms)
		comparison->stepped_ms = terms->from_ms;
	if (side == &comparison->arm)
		comparison->seen_ms = terms->to_ms;
	comparison->layout = window->layout;
	comparison->touched = true;
	comparison->dirty = true;
	if (window->layout == LAYOUT_COUNT)
		tally_add(side, 0, window->n);
	for (size_t i = 0; i < window->bin_count; i++) {
		int32_t bin = window->bins[i].bin;

		if (window->layout == LAYOUT_NAMES)
			bin = names_place(&comparison->names, window->names[bin], max);
		tally_add(side, bin, window->bins[i].count);
	}
}

void comparison_bet(struct comparison *comparison, size_t count)
{
	if (comparison->member_count == count)
		return;
	comparison->members = memory_grow(comparison->members, count, sizeof *comparison->members);
	comparison->member_count = count;
	if (count > comparison->member_most)
		comparison->member_most = count;
	sr_init(comparison->members, count);
}

bool comparison_has_min(
	const struct comparison *comparison, const struct terms *terms, bool reference)
{
	uint64_t least = comparison->arm.n;

	if (reference && comparison->reference.n < least)
		least = comparison->reference.n;
	return least >= (uint64_t)terms->model->min ||
	       (least > 0 && terms->to_ms - comparison->stepped_ms >= DAY_MS);
}
