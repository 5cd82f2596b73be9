#include "core/memory.h"
#include "core/topics.h"
#include "detectors/fold.h"

#include <stdlib.h>
#include <string.h>

void model_free(void *value)
{
	struct model *model = value;

	for (size_t i = 0; i < model->count; i++)
		comparison_free(model->list[i]);
	free(model->list);
	traffic_done(&model->traffic);
	free(model);
}

struct model *fold_model(struct detectors *detectors, const char *name)
{
	struct model *model = map_get(&detectors->models, name, strlen(name));

	if (!model) {
		model = memory_new(1, sizeof *model);
		view_copy(view_of(name), model->name, sizeof model->name);
		map_put(&detectors->models, name, strlen(name), model);
	}
	return model;
}

size_t model_place(
	const struct model *model, const struct detector *detector, const struct series *series)
{
	size_t low = 0;
	size_t high = model->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (comparison_order(detector, series, model->list[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct comparison *comparison_find(
	const struct model *model, const struct detector *detector, const struct series *series)
{
	size_t place = model_place(model, detector, series);

	return place < model->count && comparison_order(detector, series, model->list[place]) == 0
		       ? model->list[place]
		       : NULL;
}

void model_insert(struct model *model, struct comparison *comparison)
{
	size_t place = model_place(model, comparison->detector, &comparison->series);

	model->list = memory_grow(model->list, model->count + 1, sizeof(struct comparison *));
	memmove(model->list + place + 1, model->list + place,
		(model->count - place) * sizeof(struct comparison *));
	model->list[place] = comparison;
	model->count++;
}

enum role fold_judged_role(const struct config_model *model)
{
	return model->canary == CANARY_CANDIDATE ? ROLE_CANARY : ROLE_PRODUCTION;
}

struct comparison *model_arms(
	struct model *model, const struct detector *detector, const struct series *series)
{
	struct comparison *comparison = comparison_find(model, detector, series);
	const char *main = traffic_main(&model->traffic, role_other(role_of(series->role)));

	if (!comparison && main) {
		comparison = comparison_new(detector, series);
		comparison_refer(comparison, main);
		model_insert(model, comparison);
	}
	return comparison;
}

struct comparison *model_history(
	struct model *model, const struct detector *detector, const struct series *series)
{
	struct series versionless = *series;
	struct comparison *comparison;

	versionless.version[0] = '\0';
	view_copy(view_of(detector->signal), versionless.signal, sizeof versionless.signal);
	comparison = comparison_find(model, detector, &versionless);
	if (!comparison) {
		comparison = comparison_new(detector, &versionless);
		model_insert(model, comparison);
	}
	return comparison;
}

static void drop_record(struct detectors *detectors, const struct comparison *comparison)
{
	CLEANUP(bytes_done) struct bytes field = {0};
	const char prefix[] = "comparison:";
	size_t size = sizeof prefix - 1;

	bytes_text(&field, prefix);
	comparison_key(comparison, &field);
	change_drop(&detectors->waiting, TABLE_STATE, bytes_view(&field));
	change_drop(&detectors->waiting, TABLE_VERDICTS,
		(struct view){field.data + size, field.size - size});
}

void fold_remove(struct detectors *detectors, struct model *model, size_t place)
{
	drop_record(detectors, model->list[place]);
	comparison_free(model->list[place]);
	model->count--;
	memmove(model->list + place, model->list + place + 1,
		(model->count - place) * sizeof(struct comparison *));
}
