#include "core/memory.h"
#include "core/topics.h"
#include "detectors/fold.h"

#include <stdlib.h>
#include <string.h>

struct due {
	struct model *model;
	struct comparison *comparison;
	int64_t due_ms;
};

static int due_compare(const void *left, const void *right)
{
	const struct due *a = left;
	const struct due *b = right;

	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms ? -1 : 1;
	int order = strcmp(a->model->name, b->model->name);

	return order ? order : strcmp(a->comparison->series.segment, b->comparison->series.segment);
}

static struct due *dues_of(struct detectors *detectors, size_t *count)
{
	struct map_entry *entry;
	size_t place = 0;
	size_t capacity = 0;
	struct due *dues = NULL;

	*count = 0;
	while ((entry = map_next(&detectors->models, &place))) {
		struct model *model = entry->value;

		for (size_t i = 0; i < model->count; i++) {
			if (!detector_judges_silence(model->list[i]->detector))
				continue;
			struct terms terms =
				fold_terms(detectors, model->name, model->list[i]->series.segment);

			if (*count == capacity) {
				capacity = capacity ? capacity * 2 : 16;
				dues = memory_grow(dues, capacity, sizeof *dues);
			}
			dues[(*count)++] = (struct due){
				model, model->list[i], silence_due(model->list[i], &terms)};
		}
	}
	if (*count)
		qsort(dues, *count, sizeof *dues, due_compare);
	return dues;
}

static void forget_model(struct detectors *detectors, struct model *model)
{
	CLEANUP(bytes_done) struct bytes field = {0};

	while (model->count) {
		struct comparison *comparison = model->list[model->count - 1];
		struct terms terms = fold_terms(detectors, model->name, comparison->series.segment);

		terms.from_ms = model->last_ms;
		terms.to_ms = model->last_ms + IDLE_MAX_MS;
		comparison_supersede(comparison, &terms, "");
		fold_remove(detectors, model, model->count - 1);
	}
	bytes_format(&field, "model:%s", model->name);
	change_drop(&detectors->waiting, TABLE_STATE, bytes_view(&field));
	model_free(map_take(&detectors->models, model->name, strlen(model->name)));
}

/* Models that had no tick for long; returns when the next one will be due. They are gathered first:
 * each that is taken out moves entries of the map. */
static int64_t forget_models(struct detectors *detectors, int64_t clock_ms)
{
	struct map_entry **sorted = map_sorted(&detectors->models);
	size_t count = detectors->models.count;
	struct model **idle = memory_new(count, sizeof(struct model *));
	size_t idle_count = 0;
	int64_t next_ms = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		struct model *model = sorted[i]->value;
		int64_t due_ms = model->last_ms + IDLE_MAX_MS;

		if (due_ms < clock_ms)
			idle[idle_count++] = model;
		else if (due_ms < next_ms)
			next_ms = due_ms;
	}
	free(sorted);
	for (size_t i = 0; i < idle_count; i++)
		forget_model(detectors, idle[i]);
	free(idle);
	return next_ms;
}

void fold_time_passes(struct detectors *detectors, int64_t clock_ms)
{
	size_t count;

	if (detectors->next_due_ms >= clock_ms)
		return;
	struct due *dues = dues_of(detectors, &count);

	detectors->next_due_ms = INT64_MAX;
	for (size_t i = 0; i < count; i++) {
		struct terms terms = fold_terms(
			detectors, dues[i].model->name, dues[i].comparison->series.segment);

		if (dues[i].due_ms >= clock_ms) {
			detectors->next_due_ms = dues[i].due_ms;
			break;
		}
		silence_fall(dues[i].comparison, &terms, dues[i].due_ms);
	}
	free(dues);
	int64_t forget_ms = forget_models(detectors, clock_ms);

	if (forget_ms < detectors->next_due_ms)
		detectors->next_due_ms = forget_ms;
}
