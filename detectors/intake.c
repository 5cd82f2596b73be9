#include "detectors/fold.h"

#include <string.h>

static void take_arm(struct model *model, const struct detector *detector,
	const struct window *window, const struct terms *terms)
{
	const struct series *series = &window->series;

	if (strcmp(detector->signal, series->signal) != 0)
		return;
	if (detector->rival == RIVAL_ROLE) {
		if (role_of(series->role) != fold_judged_role(terms->model))
			return;
		struct comparison *comparison = model_arms(model, detector, series);

		if (comparison)
			comparison_add(comparison, &comparison->arm, window, terms);
	} else if (role_of(series->role) == ROLE_PRODUCTION) {
		struct comparison *comparison = model_history(model, detector, series);

		comparison_add(comparison, &comparison->arm, window, terms);
	}
}

/* Anything but lateness is a sign of life; the largest window says how many events there were. */
static void take_life(struct model *model, const struct window *window)
{
	if (role_of(window->series.role) != ROLE_PRODUCTION ||
		strcmp(window->series.signal, "late") == 0)
		return;
	struct comparison *comparison = model_history(model, &silence_rate, &window->series);

	comparison->touched = true;
	if (window->n > comparison->arm.n) {
		tally_clear(&comparison->arm);
		tally_add(&comparison->arm, 0, window->n);
	}
}

/* A window of the reference version waits with every comparison that it is the reference of. */
static void take_reference(struct model *model, const struct detector *detector,
	const struct window *window, const struct terms *terms)
{
	enum role judged = fold_judged_role(terms->model);
	struct series first = window->series;

	if (detector->rival != RIVAL_ROLE || strcmp(detector->signal, first.signal) != 0 ||
		role_of(first.role) != role_other(judged))
		return;
	view_copy(view_of(role_names[judged]), first.role, sizeof first.role);
	first.version[0] = '\0';
	for (size_t i = model_place(model, detector, &first); i < model->count; i++) {
		struct comparison *comparison = model->list[i];

		if (comparison->detector != detector ||
			strcmp(comparison->series.segment, first.segment) != 0 ||
			strcmp(comparison->series.role, first.role) != 0)
			break;
		if (strcmp(comparison->reference_version, window->series.version) == 0)
			comparison_add(comparison, &comparison->reference, window, terms);
	}
}

/* Arms first: they make the comparisons that references are taken into. */
void fold_take_windows(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick)
{
	for (int references = 0; references <= 1; references++) {
		for (size_t i = 0; i < tick->window_count; i++) {
			const struct window *window = &tick->windows[i];
			struct terms terms = fold_terms_at(detectors, tick, window->series.segment);

			for (size_t k = 0; k < detector_count; k++) {
				if (references)
					take_reference(model, detector_table[k], window, &terms);
				else if (detector_judges_silence(detector_table[k]))
					take_life(model, window);
				else
					take_arm(model, detector_table[k], window, &terms);
			}
		}
	}
}
