/* detectors/judge.c: the life of a verdict, the same for all detectors.
 *
 *   not enough data ─▶ ok ◀─▶ suspected (half the line) ─▶ alarm (the line, and material) ─▶ ok
 *
 * THINKS. Decisions are made on log E rounded to 1e-6. */
#include "core/memory.h"
#include "core/topics.h"
#include "detectors/comparison.h"
#include "detectors/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	STEPS_INFORMED = 5,
	HELD_TIMES = 3, /* so many times clear_for, where only the estimate speaks for ok */
	FINDINGS_TTL_S = 30 * 86400,
};

static double rounded(double log_e)
{
	return isfinite(log_e) ? round(log_e * 1e6) / 1e6 : log_e;
}

static double mixture(const struct comparison *comparison)
{
	double count = (double)comparison->member_count;

	if (!comparison->member_count)
		return -INFINITY;
	return rounded(sr_log_mixture(comparison->members, comparison->member_count) + log(count) -
		       log((double)comparison->member_most));
}

static int64_t leader_since(const struct comparison *comparison)
{
	if (!comparison->member_count)
		return 0;
	return comparison->members[sr_leader(comparison->members, comparison->member_count)].since;
}

static bool informed(const struct comparison *comparison)
{
	return comparison->steps >= STEPS_INFORMED && comparison->detector->informed(comparison);
}

/* The worst effect over the data since a moment; its name is NULL when nothing can be said. */
static struct measure measure_since(
	const struct comparison *comparison, const struct terms *terms, int64_t from_ms)
{
	CLEANUP(sample_done) struct sample sample = {0};
	struct measure list[MEASURES_MAX];

	spans_since(&comparison->spans, from_ms, &sample);
	size_t count = comparison->detector->measure(comparison, terms, &sample, list);

	return count ? *measure_worst(list, count) : (struct measure){0};
}

void finding_send(struct finding *finding, const struct terms *terms)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	finding_identify(finding);
	finding_to_json(finding, &json);
	change_put_for(terms->change, TABLE_FINDINGS, view_of(finding->id), bytes_view(&json),
		FINDINGS_TTL_S);
	change_emit(terms->change, TOPIC_FINDINGS, view_of(finding->series.model),
		bytes_view(&json), NULL);
	terms->findings[finding->verdict]++;
}

struct finding comparison_finding(
	const struct comparison *comparison, const struct terms *terms, enum verdict verdict)
{
	bool alarm = verdict == VERDICT_ALARM || verdict == VERDICT_SUPERSEDED;
	struct finding finding = {
		.ts = terms->to_ms,
		.series = comparison->series,
		.verdict = verdict,
		.actionable = verdict == VERDICT_ALARM && comparison->actionable,
		.since_ms = comparison->since_ms,
		.evidence = {.log_e = alarm ? fmax(comparison->log_e, comparison->alarm_log_e)
					    : comparison->log_e,
			.line = terms->line,
			.effect = {.value = NAN, .low = NAN, .high = NAN, .tolerance = NAN}},
	};
	const char *against = comparison_against(comparison);

	snprintf(finding.against, sizeof finding.against, "%s", against);
	snprintf(finding.detector, sizeof finding.detector, "%s", comparison->detector->name);
	snprintf(finding.evidence.arm, sizeof finding.evidence.arm, "%.15s",
		comparison->series.role);
	snprintf(finding.evidence.reference, sizeof finding.evidence.reference, "%s", against);
	return finding;
}

static void set_effect(struct evidence *evidence, const struct measure *measure)
{
	if (!measure->name)
		return;
	snprintf(evidence->effect.name, sizeof evidence->effect.name, "%s", measure->name);
	evidence->effect.value = measure->effect.value;
	evidence->effect.low = measure->effect.low;
	evidence->effect.high = measure->effect.high;
	evidence->effect.tolerance = measure->tolerance;
}

/* The evidence is that of the data since from_ms. */
static void tell(const struct comparison *comparison, const struct terms *terms, int64_t from_ms,
	struct finding *finding)
{
	CLEANUP(sample_done) struct sample sample = {0};
	struct evidence *evidence = &finding->evidence;
	struct measure measure = measure_since(comparison, terms, from_ms);

	spans_since(&comparison->spans, from_ms, &sample);
	evidence->n_arm = sample.arm.n;
	evidence->n_reference = sample.reference.n;
	evidence->span_from_ms = sample.from_ms;
	evidence->span_to_ms = sample.to_ms;
	set_effect(evidence, &measure);
	comparison->detector->tell(comparison, terms, &sample, evidence);
	finding_send(finding, terms);
}

static void pin(struct comparison *comparison, const struct terms *terms)
{
	comparison->pinned_ms = terms->to_ms;
	comparison->steps_pinned = 0;
	comparison->held = comparison->held_surely = 0;
}

static void raise_alarm(
	struct comparison *comparison, const struct terms *terms, const struct measure *measure)
{
	comparison->verdict = VERDICT_ALARM;
	comparison->since_ms = leader_since(comparison);
	comparison->alarm_log_e = comparison->log_e;
	comparison->actionable = measure_is_surely_beyond(measure);
	comparison->inherited = false;
	pin(comparison, terms);
	struct finding finding = comparison_finding(comparison, terms, VERDICT_ALARM);

	tell(comparison, terms, comparison->since_ms, &finding);
	sr_init(comparison->members, comparison->member_count);
}

static void settle(struct comparison *comparison, const struct terms *terms, const char *reason)
{
	struct finding finding;
	int64_t from_ms = comparison->pinned_ms;

	comparison->verdict = VERDICT_OK;
	comparison->actionable = false;
	comparison->inherited = false;
	finding = comparison_finding(comparison, terms, VERDICT_OK);
	snprintf(finding.reason, sizeof finding.reason, "%s", reason);
	tell(comparison, terms, from_ms, &finding);
	sr_init(comparison->members, comparison->member_count);
	comparison->log_e = -INFINITY;
	comparison->pinned_ms = 0;
}

/* What the data since a moment say about being within tolerance. */
struct outlook {
	bool within, surely;
};

/* A problem that ended some time ago must not weigh for ever: any run of the latest spans with
 * enough data may speak for ok. */
static struct outlook outlook_of(const struct comparison *comparison, const struct terms *terms)
{
	CLEANUP(sample_done) struct sample sample = {0};
	struct outlook outlook = {0};

	for (size_t i = comparison->spans.count; i-- > 0 && !outlook.surely;) {
		struct measure list[MEASURES_MAX];
		bool within = true;
		bool surely = true;

		if (comparison->spans.list[i].from_ms < comparison->pinned_ms)
			break;
		sample_add(&sample, &comparison->spans.list[i]);
		if (!comparison->detector->enough(comparison, terms, &sample))
			continue;
		size_t count = comparison->detector->measure(comparison, terms, &sample, list);

		for (size_t k = 0; k < count; k++) {
			within &= measure_is_within(&list[k]);
			surely &= measure_is_surely_within(&list[k]);
		}
		outlook.within |= count && within;
		outlook.surely |= count && surely;
	}
	return outlook;
}

static void hold(struct comparison *comparison, const struct terms *terms)
{
	struct outlook outlook = outlook_of(comparison, terms);
	bool quiet = comparison->log_e < terms->line / 2;

	comparison->held = outlook.within && quiet ? comparison->held + 1 : 0;
	comparison->held_surely = outlook.surely ? comparison->held_surely + 1 : 0;
}

static void tell_again(struct comparison *comparison, const struct terms *terms)
{
	comparison->actionable = true;
	struct finding finding = comparison_finding(comparison, terms, VERDICT_ALARM);

	tell(comparison, terms, comparison->since_ms, &finding);
}

/* Evidence that went on for an hour would take another one to fade: at the line it starts anew, as
 * at the alarm. */
static void renew(struct comparison *comparison, const struct terms *terms)
{
	if (comparison->log_e < terms->line)
		return;
	comparison->alarm_log_e = fmax(comparison->alarm_log_e, comparison->log_e);
	sr_init(comparison->members, comparison->member_count);
}

static void in_alarm(struct comparison *comparison, const struct terms *terms)
{
	const struct detector *detector = comparison->detector;
	uint64_t clear_for = (uint64_t)terms->model->clear_for;

	hold(comparison, terms);
	if (comparison->held_surely >= clear_for || comparison->held >= HELD_TIMES * clear_for) {
		settle(comparison, terms, "within tolerance");
	} else if (detector->alarm_ms_max &&
		   terms->to_ms - comparison->pinned_ms >= detector->alarm_ms_max) {
		settle(comparison, terms, "new level");
		detector->forget(comparison);
		comparison->steps = 0;
		comparison->verdict = VERDICT_NO_DATA;
	} else if (!comparison->actionable && measure_is_surely_beyond(&comparison->measure)) {
		tell_again(comparison, terms);
	}
	renew(comparison, terms);
}

/* Of the successor of something in alarm: ok is news, for whoever waits to see that it helped. */
static void prove(struct comparison *comparison, const struct terms *terms)
{
	hold(comparison, terms);
	if (comparison->steps_pinned >= STEPS_INFORMED && informed(comparison) &&
		comparison->held >= (uint64_t)terms->model->clear_for) {
		comparison->since_ms = comparison->pinned_ms;
		settle(comparison, terms, "successor within tolerance");
	}
}

static void at_peace(struct comparison *comparison, const struct terms *terms)
{
	bool half = comparison->log_e >= terms->line / 2;

	comparison->since_ms = leader_since(comparison);
	if (comparison->log_e >= terms->line && comparison->measure.name &&
		measure_is_beyond(&comparison->measure)) {
		raise_alarm(comparison, terms, &comparison->measure);
		return;
	}
	if (half)
		comparison->verdict = VERDICT_SUSPECTED;
	else
		comparison->verdict = informed(comparison) ? VERDICT_OK : VERDICT_NO_DATA;
	if (comparison->inherited)
		prove(comparison, terms);
}

/* The effect is that since the change-point where there seems to be one, else that of all data. */
static void measure_step(struct comparison *comparison, const struct terms *terms)
{
	int64_t from_ms = INT64_MIN;

	if (comparison->verdict == VERDICT_ALARM)
		from_ms = comparison->since_ms;
	else if (comparison->log_e >= terms->line / 2)
		from_ms = leader_since(comparison);
	comparison->measure = measure_since(comparison, terms, from_ms);
}

void comparison_tick(struct comparison *comparison, const struct terms *terms)
{
	comparison->waiting_ticks++;
	if (!comparison->detector->ready(comparison, terms))
		return;
	comparison->detector->step(comparison, terms);
	comparison->steps++;
	comparison->steps_pinned++;
	comparison->n_arm += comparison->arm.n;
	comparison->log_e = mixture(comparison);
	int64_t keep[2] = {comparison->pinned_ms, comparison->verdict == VERDICT_ALARM
							  ? comparison->since_ms
							  : leader_since(comparison)};

	spans_add(&comparison->spans, comparison->waiting_from_ms, terms->to_ms, &comparison->arm,
		&comparison->reference, keep);
	comparison->waiting_ticks = 0;
	comparison->stepped_ms = terms->to_ms;
	comparison->updated_ms = terms->to_ms;
	comparison->told = true;
	measure_step(comparison, terms);
	if (comparison->verdict == VERDICT_ALARM)
		in_alarm(comparison, terms);
	else
		at_peace(comparison, terms);
}

void comparison_inherit(struct comparison *comparison, const struct terms *terms)
{
	if (comparison->verdict == VERDICT_ALARM)
		return;
	comparison->inherited = true;
	comparison->dirty = true;
	pin(comparison, terms);
}

void comparison_supersede(
	struct comparison *comparison, const struct terms *terms, const char *replaced_by)
{
	if (comparison->verdict != VERDICT_ALARM)
		return;
	struct finding finding = comparison_finding(comparison, terms, VERDICT_SUPERSEDED);

	view_copy(view_of(replaced_by), finding.replaced_by, sizeof finding.replaced_by);
	tell(comparison, terms, comparison->since_ms, &finding);
}
