#include "core/close.h"
#include "core/strict_json.h"

void mark_to_json(const struct mark *mark, struct bytes *out)
{
	json_t *object = json_object();

	json_set_text(object, "kind", "mark");
	json_set_text(object, "log", mark->log);
	json_set_integer(object, "offset", mark->offset);
	json_set_integer(object, "watermark", mark->watermark_ms);
	strict_json_write(object, out);
}

static enum rc read_fields(const json_t *object, struct mark *mark, struct err *err)
{
	TRY(json_field_copy(object, "log", mark->log, sizeof mark->log, err));
	TRY(json_field_integer(object, "offset", &mark->offset, err));
	return json_field_integer(object, "watermark", &mark->watermark_ms, err);
}

enum rc mark_from_json(struct view text, struct mark *mark, struct err *err)
{
	struct mark read = {0};
	json_t *object;

	TRY(strict_json_record(text, "mark", &object, err));
	enum rc rc = read_fields(object, &read, err);

	json_decref(object);
	if (rc == RC_OK)
		*mark = read;
	return rc;
}
