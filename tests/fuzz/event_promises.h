/* tests/fuzz/event_promises.h: what holds of every message given to the decoder of events. */
#ifndef TESTS_FUZZ_EVENT_PROMISES_H
#define TESTS_FUZZ_EVENT_PROMISES_H

#include "core/event.h"
#include "core/json_tree.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

static void claim_text(struct view text)
{
	while (text.size) {
		size_t size = utf8_length(text);

		CLAIM(size > 0 && size <= text.size);
		text = (struct view){text.data + size, text.size - size};
	}
}

static void claim_good(const struct event *event)
{
	CLAIM(event->type < EVENT_TYPES);
	CLAIM(event->ts >= 0);
	CLAIM(event->model.size >= 1 && event->model.size <= 128);
	CLAIM(view_is(event->role, "production") || view_is(event->role, "canary"));
	CLAIM(event->version.size <= 128 && event->segment.size <= 128);
	claim_text(event->model);
	claim_text(event->version);
	claim_text(event->segment);
	claim_text(event->request_id);
	claim_text(event->unit);
	if (event->has & HAS_CLASS)
		claim_text(event->class);
	if (event->has & HAS_CLASS)
		CLAIM(event->class.size >= 1 && event->class.size <= 128);
	if (event->has & HAS_LATENCY)
		CLAIM(event->latency_ms >= 0 && event->latency_ms <= 1e12);
	if (event->has & HAS_SCORE)
		CLAIM(!isfinite(event->score) || fabs(event->score) <= 1e12);
	if (event->has & HAS_VALUE)
		CLAIM(!isfinite(event->value) || fabs(event->value) <= 1e12);
}

/* The same message twice: the same code, at the same byte. */
static void claim_event(
	struct event_decoder *decoder, const struct format *format, struct view message)
{
	struct rejection rejection = {0};
	struct rejection again = {0};
	struct event event = {0};
	enum event_code code = event_from_json(decoder, format, message, &event, &rejection);

	CLAIM(code < E_LATE);
	if (code == E_GOOD) {
		claim_good(&event);
	} else {
		CLAIM(rejection.code == code);
		CLAIM(rejection.byte >= -1 && rejection.byte <= (int64_t)message.size);
		CLAIM(rejection.detail[0]);
		claim_text(view_of(rejection.detail));
	}
	CLAIM(event_from_json(decoder, format, message, &event, &again) == code);
	if (code != E_GOOD)
		CLAIM(again.byte == rejection.byte);
}

#endif
