/* core/format.c: a declared mapping of somebody else's JSON. THINKS. Read by config_format.c. */
#include "core/format.h"

#include <stdlib.h>

const char *const format_field_names[FIELD_COUNT] = {
	[FIELD_TYPE] = "type",
	[FIELD_TS] = "ts",
	[FIELD_MODEL] = "model",
	[FIELD_VERSION] = "version",
	[FIELD_ROLE] = "role",
	[FIELD_SEGMENT] = "segment",
	[FIELD_REQUEST_ID] = "request_id",
	[FIELD_UNIT] = "unit",
	[FIELD_LATENCY_MS] = "latency_ms",
	[FIELD_STATUS] = "status",
	[FIELD_ERROR] = "error",
	[FIELD_SCORE] = "score",
	[FIELD_CLASS] = "class",
	[FIELD_FEATURES] = "features",
	[FIELD_LABEL] = "label",
	[FIELD_NAME] = "name",
	[FIELD_VALUE] = "value",
};

static void place_done(struct field_place *place)
{
	for (size_t i = 0; i < place->map_count; i++) {
		free(place->from[i]);
		free(place->to[i]);
	}
	free(place->from);
	free(place->to);
	free(place->pointer);
	free(place->constant);
}

void format_done(struct format *format)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		place_done(&format->fields[i]);
	free(format->name);
	*format = (struct format){0};
}
