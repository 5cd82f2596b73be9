/* console/marks.c: idle marks of all logs, for `modelwatch replay`. */
#include "console/answer.h"
#include "console/logs.h"
#include "core/topics.h"

enum { PAGE = 1000 };

struct marks {
	struct store *store;
	struct bytes *out;
	size_t count;      /* written so far */
	size_t page_count; /* of these in the present page */
	uint64_t last;     /* number of the last entry */
};

static enum rc take_mark(void *context, uint64_t sequence, struct view data, struct err *err)
{
	struct marks *marks = context;

	if (marks->out->size > ANSWER_BYTES_MAX)
		return err_set(err, RC_REJECT, "more than %d bytes of marks", ANSWER_BYTES_MAX);
	bytes_text(marks->out, marks->count++ ? "," : "");
	bytes_add(marks->out, data.data, data.size);
	marks->page_count++;
	marks->last = sequence;
	return RC_OK;
}

static enum rc take_log(
	void *context, const struct fold *fold, const struct head *head, struct err *err)
{
	struct marks *marks = context;

	marks->last = 0;
	do {
		marks->page_count = 0;
		TRY(store_stream(marks->store, fold, head, TABLE_MARKS, marks->last + 1, PAGE,
			take_mark, marks, err));
	} while (marks->page_count == PAGE);
	return RC_OK;
}

enum rc answer_marks(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err)
{
	struct marks marks = {.store = api->store, .out = out};

	(void)request;
	(void)id;
	bytes_text(out, "{\"marks\":[");
	TRY(logs_visit(api->store, FOLD_INGEST, take_log, &marks, err));
	bytes_text(out, "]}\n");
	return RC_OK;
}
