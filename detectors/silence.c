/* detectors/silence.c: production that had events regularly and has none any more.
 * THINKS. Driven by event time as the watermark of close records tells it.
 *
 * An alarm when the last sign of life (an event, or a heartbeat) is older than all of
 *   - silent_after of the configuration,
 *   - three times the longest gap of the past, which is forgotten by half in a week,
 *   - line / rate x dispersion: at the past's rate so long a silence has a chance of e^-line.
 * A gap that was an alarm is no habit, unless one began at the same time of day before. */
#include "core/stats/counts.h"
#include "detectors/table.h"

#include <math.h>
#include <stdio.h>

enum {
	EVENTS_MIN = 100,
	TICKS_MIN = 20,
	GAPS = 3,
	HOUR_MS = 3600000,
	DAY_MS = 86400000,
};

#define GAP_HALF_LIFE_MS (7.0 * DAY_MS)
#define MEMORY (1.0 - 1.0 / 64) /* of the rate, per tick with events */

struct silence {
	int64_t last_ms; /* end of the last tick with a sign of life */
	uint64_t events, ticks;
	double gap_ms;                   /* the longest, decayed up to last_ms */
	double recent_events, recent_ms; /* their ratio is the rate */
	struct counts_rate rate;         /* for its dispersion only */
	int64_t broken_ms;               /* when the last alarmed silence began */
};

static void silence_write(const void *own, struct bytes *out)
{
	const struct silence *silence = own;

	bytes_zigzag(out, silence->last_ms);
	bytes_varint(out, silence->events);
	bytes_varint(out, silence->ticks);
	bytes_double(out, silence->gap_ms);
	bytes_double(out, silence->recent_events);
	bytes_double(out, silence->recent_ms);
	rate_write(&silence->rate, out);
	bytes_zigzag(out, silence->broken_ms);
}

static void silence_read(void *own, struct reader *in)
{
	struct silence *silence = own;

	silence->last_ms = reader_zigzag(in);
	silence->events = reader_varint(in);
	silence->ticks = reader_varint(in);
	silence->gap_ms = reader_double(in);
	silence->recent_events = reader_double(in);
	silence->recent_ms = reader_double(in);
	rate_read(&silence->rate, in);
	silence->broken_ms = reader_zigzag(in);
}

/* Nats that a silence gains per millisecond. */
static double growth(const struct silence *silence)
{
	return silence->recent_events / silence->recent_ms / counts_rate_phi(&silence->rate);
}

static bool is_known(const struct silence *silence)
{
	return silence->events >= EVENTS_MIN && silence->ticks >= TICKS_MIN &&
	       silence->recent_events > 0;
}

static double limit_ms(const struct silence *silence, const struct terms *terms)
{
	double by_rate = terms->line / growth(silence);

	return fmax(fmax((double)terms->model->silent_after_ms, GAPS * silence->gap_ms), by_rate);
}

int64_t silence_due(const struct comparison *comparison, const struct terms *terms)
{
	const struct silence *silence = comparison->own;
	int64_t tick_ms = terms->model->tick_ms;

	if (comparison->verdict == VERDICT_ALARM || !is_known(silence))
		return INT64_MAX;
	double limit = limit_ms(silence, terms);

	if (limit > 1e15)
		return INT64_MAX;
	return (silence->last_ms + (int64_t)ceil(limit) + tick_ms - 1) / tick_ms * tick_ms;
}

/* A finding of this verdict about a silence that has lasted until now. */
static void tell(struct comparison *comparison, const struct terms *terms, enum verdict verdict,
	const char *reason)
{
	const struct silence *silence = comparison->own;
	struct finding finding = comparison_finding(comparison, terms, verdict);
	struct evidence *evidence = &finding.evidence;
	double lasted = (double)(terms->to_ms - silence->last_ms);

	snprintf(finding.reason, sizeof finding.reason, "%s", reason);
	evidence->n_reference = silence->events;
	snprintf(evidence->effect.name, sizeof evidence->effect.name, "silence (s)");
	evidence->effect.value = lasted / 1000;
	evidence->effect.low = evidence->effect.high = evidence->effect.value;
	evidence->effect.tolerance = limit_ms(silence, terms) / 1000;
	evidence->value_count = 1;
	snprintf(evidence->values[0].name, sizeof evidence->values[0].name, "per tick");
	evidence->values[0].arm = 0;
	evidence->values[0].reference =
		silence->recent_events / silence->recent_ms * (double)terms->model->tick_ms;
	evidence->span_from_ms = silence->last_ms;
	evidence->span_to_ms = terms->to_ms;
	finding_send(&finding, terms);
}

static void changed(struct comparison *comparison, int64_t now_ms)
{
	comparison->updated_ms = now_ms;
	comparison->dirty = true;
	comparison->told = true;
}

void silence_fall(struct comparison *comparison, const struct terms *terms, int64_t due_ms)
{
	const struct silence *silence = comparison->own;
	struct terms then = *terms;
	double lasted = (double)(due_ms - silence->last_ms);

	then.to_ms = due_ms;
	comparison->verdict = VERDICT_ALARM;
	comparison->actionable = true;
	comparison->since_ms = silence->last_ms;
	comparison->log_e = round(growth(silence) * lasted * 1e6) / 1e6;
	comparison->alarm_log_e = comparison->log_e;
	tell(comparison, &then, VERDICT_ALARM, "");
	changed(comparison, due_ms);
}

void silence_excuse(struct comparison *comparison, int64_t until_ms)
{
	struct silence *silence = comparison->own;

	if (silence->last_ms && until_ms > silence->last_ms) {
		silence->last_ms = until_ms;
		comparison->dirty = true;
	}
}

static bool is_habit(const struct silence *silence)
{
	int64_t apart = silence->last_ms - silence->broken_ms;
	int64_t off = apart % DAY_MS;

	return silence->broken_ms && apart >= DAY_MS / 2 &&
	       (off <= HOUR_MS || off >= DAY_MS - HOUR_MS);
}

static void learn_gap(struct silence *silence, double gap_ms, bool alarmed)
{
	silence->gap_ms *= exp2(-gap_ms / GAP_HALF_LIFE_MS);
	if (alarmed && !is_habit(silence)) {
		silence->broken_ms = silence->last_ms;
		return;
	}
	if (alarmed)
		silence->broken_ms = silence->last_ms;
	silence->gap_ms = fmax(silence->gap_ms, gap_ms);
}

static void learn_rate(
	struct silence *silence, const struct terms *terms, double gap_ms, uint64_t events)
{
	struct counts_rate_options options = {.tick_s = (double)terms->model->tick_ms / 1000,
		.tolerance = terms->model->tolerate.rate - 1};

	silence->recent_events = silence->recent_events * MEMORY + (double)events;
	silence->recent_ms = silence->recent_ms * MEMORY + gap_ms;
	counts_rate_learn(&silence->rate, &options, events, 1);
}

void silence_seen(struct comparison *comparison, const struct terms *terms, uint64_t events)
{
	struct silence *silence = comparison->own;
	bool alarmed = comparison->verdict == VERDICT_ALARM;
	double tick_ms = (double)(terms->to_ms - terms->from_ms);
	double gap_ms = silence->last_ms ? (double)(terms->to_ms - silence->last_ms) : tick_ms;

	if (alarmed) {
		comparison->verdict = VERDICT_OK;
		comparison->actionable = false;
		tell(comparison, terms, VERDICT_OK, "events again");
	}
	gap_ms = fmax(gap_ms, tick_ms);
	learn_gap(silence, gap_ms, alarmed);
	learn_rate(silence, terms, alarmed ? tick_ms : gap_ms, events);
	silence->last_ms = terms->to_ms;
	silence->events += events;
	silence->ticks++;
	comparison->verdict = is_known(silence) ? VERDICT_OK : VERDICT_NO_DATA;
	comparison->log_e = 0;
	comparison->since_ms = terms->to_ms;
	comparison->seen_ms = terms->to_ms;
	comparison->n_arm += events;
	comparison->steps++;
	changed(comparison, terms->to_ms);
}

/* Data do not drive it: see silence_seen(). */
static bool silence_ready(const struct comparison *comparison, const struct terms *terms)
{
	(void)comparison;
	(void)terms;
	return false;
}

static size_t silence_measure(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct measure *list)
{
	(void)comparison;
	(void)terms;
	(void)sample;
	(void)list;
	return 0;
}

static void silence_tell(const struct comparison *comparison, const struct terms *terms,
	const struct sample *sample, struct evidence *evidence)
{
	const struct silence *silence = comparison->own;

	(void)terms;
	(void)sample;
	evidence->n_reference = silence->events;
}

const struct detector silence_rate = {
	.name = "silence",
	.signal = "rate",
	.rival = RIVAL_HISTORY,
	.own_size = sizeof(struct silence),
	.own_write = silence_write,
	.own_read = silence_read,
	.ready = silence_ready,
	.measure = silence_measure,
	.tell = silence_tell,
};
