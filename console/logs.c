#include "console/logs.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

struct names {
	const char *service;
	char **list; /* of logs */
	size_t count;
};

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

/* field: "SERVICE/LOG" */
static enum rc take_name(void *context, struct view field, struct view data, struct err *err)
{
	struct names *names = context;
	size_t size = strlen(names->service);

	(void)data;
	(void)err;
	if (field.size <= size + 1 || memcmp(field.data, names->service, size) != 0 ||
		field.data[size] != '/')
		return RC_OK;
	names->list = memory_grow(names->list, names->count + 1, sizeof *names->list);
	names->list[names->count++] = memory_copy(field.data + size + 1, field.size - size - 1);
	return RC_OK;
}

enum rc logs_visit(
	struct store *store, const char *service, log_visit visit, void *context, struct err *err)
{
	CLEANUP(names_done) struct names names = {.service = service};

	TRY(store_folds(store, take_name, &names, err));
	for (size_t i = 0; i < names.count; i++) {
		struct fold fold = {.service = service};
		struct head head;

		view_copy(view_of(names.list[i]), fold.log, sizeof fold.log);
		enum rc rc = store_head(store, &fold, &head, err);

		if (rc == RC_NONE)
			continue;
		TRY(rc);
		TRY(visit(context, &fold, &head, err));
	}
	return RC_OK;
}
