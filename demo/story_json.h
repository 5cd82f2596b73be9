/* demo/story_json.h: what the story reads from the console, one record at a time. THINKS. */
#ifndef DEMO_STORY_JSON_H
#define DEMO_STORY_JSON_H

#include "core/bytes.h"

/* Calls use with the text of every element of the array `field` of an object; false: it is no such
 * thing. */
typedef void (*story_record)(void *context, struct view record);
bool story_records(struct view body, const char *field, story_record use, void *context);

/* Of a verdict record (docs/records.md): its fields that the story asks for. */
struct story_verdict {
	char model[129], signal[161], against[16], verdict[32];
};

/* Every verdict in an answer of /api/v1/status. */
typedef void (*story_verdict_use)(void *context, const struct story_verdict *verdict);
void story_verdicts(struct view body, story_verdict_use use, void *context);

/* Of a webhook's body: its type and the name and model of its first alert; false: not ours. */
struct story_hook {
	char type[32], alertname[32], model[129];
};
bool story_hook_read(struct view body, struct story_hook *hook);

#endif
