#include "detectors/fold.h"

#include <string.h>

#define ENDS_AFTER_MS DAY_MS /* of a version that is gone, in no alarm */

/* What serves instead is judged on, and says when it is ok. */
static void hand_over(struct model *model, const struct comparison *ended, const char *version,
	const struct terms *terms)
{
	struct series series = ended->series;

	view_copy(view_of(version), series.version, sizeof series.version);
	struct comparison *successor = model_arms(model, ended->detector, &series);

	if (successor)
		comparison_inherit(successor, terms);
}

/* Whether a comparison is over, and which version serves instead. */
static bool is_over(const struct model *model, const struct comparison *comparison,
	const struct closed_tick *tick, const char **replaced_by)
{
	int64_t idle_ms = tick->to_ms - comparison->seen_ms;
	bool awaited = comparison->verdict == VERDICT_ALARM || comparison->inherited;

	*replaced_by = "";
	if (comparison->detector->rival == RIVAL_ROLE &&
		traffic_is_gone(&model->traffic, role_of(comparison->series.role),
			comparison->series.version, tick, replaced_by) &&
		(awaited || idle_ms >= ENDS_AFTER_MS))
		return true;
	return comparison->seen_ms && idle_ms >= IDLE_MAX_MS;
}

void fold_end_comparisons(
	struct detectors *detectors, struct model *model, const struct closed_tick *tick)
{
	for (size_t i = 0; i < model->count;) {
		struct comparison *comparison = model->list[i];
		const char *replaced_by;
		char version[NAME_SIZE];

		if (!is_over(model, comparison, tick, &replaced_by)) {
			i++;
			continue;
		}
		struct terms terms = fold_terms_at(detectors, tick, comparison->series.segment);
		bool awaited = comparison->verdict == VERDICT_ALARM || comparison->inherited;

		view_copy(view_of(replaced_by), version, sizeof version);
		comparison_supersede(comparison, &terms, version);
		if (awaited && version[0] && strcmp(version, comparison->series.version) != 0)
			hand_over(model, comparison, version, &terms);
		fold_remove(detectors, model,
			model_place(model, comparison->detector, &comparison->series));
	}
}

void fold_refer(struct model *model)
{
	for (size_t i = 0; i < model->count; i++) {
		struct comparison *comparison = model->list[i];

		if (comparison->detector->rival != RIVAL_ROLE)
			continue;
		const char *main =
			traffic_main(&model->traffic, role_other(role_of(comparison->series.role)));

		if (main && strcmp(main, comparison->reference_version) != 0)
			comparison_refer(comparison, main);
	}
}
