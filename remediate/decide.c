#include "remediate/fold.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { APPROVAL_MS = 15 * 60 * 1000, READ_BACK_MS = 15 * 60 * 1000 };

static const struct alert *alert_of(const struct remediate *remediate, const struct remedy *remedy)
{
	return map_get(&remediate->alerts, remedy->alert_id, strlen(remedy->alert_id));
}

static bool is_firing(const struct alert *alert)
{
	return alert && alert->state == ALERT_FIRING;
}

static bool target_is_busy(const struct remediate *remediate, const struct remedy *except)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->cases, &place))) {
		const struct remedy *remedy = entry->value;
		bool acts = remedy->state == CASE_INTENDED || remedy->state == CASE_CALLING ||
			    remedy->state == CASE_VERIFYING;

		if (remedy != except && acts &&
			strcmp(remedy->action.target, except->action.target) == 0)
			return true;
	}
	return false;
}

static void stand_on_rung(struct remedy *remedy, int rung)
{
	struct action *action = &remedy->action;

	action->rung = rung;
	snprintf(action->operation, sizeof action->operation, "%s", remedy_operation(remedy));
	action->token[0] = '\0';
	action_identify(action);
	remedy->converged = false;
	remedy->maybe_called = false;
	remedy->unsure_before = false;
}

void remedy_next_rung(struct remedy *remedy, int64_t now)
{
	stand_on_rung(remedy, remedy->action.rung + 1);
	remedy_enter(remedy, CASE_OPEN, now);
}

static void intend(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	/* Two cases may intend in one step: the id makes their tokens differ. */
	char id[ID_SIZE];
	char hex[33];

	for (size_t i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", chance[i]);
	digest_id(id, 't', (const char *const[]){remedy->action.id, hex, NULL});
	memcpy(remedy->action.token, id + 2, sizeof remedy->action.token);
	target_used(remediate_use(remediate, remedy->action.target), now);
	remediate_tell(remediate, remedy, ACTION_INTENT, "", now);
	remedy_enter(remedy, CASE_INTENDED, now);
}

static bool needs_person(const struct remedy *remedy, const struct alert *alert)
{
	bool quality = strcmp(alert->alertname, "ScoreDrift") == 0 ||
		       strcmp(alert->alertname, "FeatureDrift") == 0 ||
		       strcmp(alert->alertname, "PredictionQuality") == 0;

	return remedy->policy->mode != MODE_AUTO || (quality && !remedy->policy->allow_quality);
}

/* Ladders go on without waiting for the cooldown: it guards against the next incident. */
static void act_if_allowed(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	struct target_use *use = remediate_use(remediate, remedy->action.target);
	char why[256];

	if (target_is_busy(remediate, remedy))
		return;
	if (remedy->action.state == ACTION_APPROVED || remedy->action.rung > 1 ||
		policy_allows(remedy->policy, use, now, why, sizeof why)) {
		intend(remediate, remedy, now, chance);
		return;
	}
	remediate_tell(remediate, remedy, ACTION_SKIPPED, why, now);
	remediate_end(remediate, remedy, ACTION_ESCALATED, why, now);
}

static void decide_open(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	const struct alert *alert = alert_of(remediate, remedy);

	if (!is_firing(alert) || !remedy->policy) {
		remedy_enter(remedy, CASE_ENDED, now);
		return;
	}
	bool approved = remedy->action.state == ACTION_APPROVED;

	if (strcmp(remedy->action.operation, "page") == 0)
		remediate_end(
			remediate, remedy, ACTION_ESCALATED, "the ladder ends with a person", now);
	else if (remedy->policy->mode == MODE_OBSERVE)
		remediate_end(remediate, remedy, ACTION_OBSERVED, "the policy only observes", now);
	else if (needs_person(remedy, alert) && !approved) {
		remediate_tell(remediate, remedy, ACTION_PROPOSED, "", now);
		remedy_enter(remedy, CASE_PROPOSED, now);
	} else if (approved || alert->actionable)
		act_if_allowed(remediate, remedy, now, chance);
}

static void decide_proposed(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	if (!is_firing(alert_of(remediate, remedy)))
		remediate_end(remediate, remedy, ACTION_EXPIRED,
			"the alert ended before anybody decided", now);
	else if (remedy->policy && remedy->policy->mode == MODE_APPROVE &&
		 now - remedy->since > APPROVAL_MS)
		remediate_end(remediate, remedy, ACTION_ESCALATED,
			"nobody approved within 15 minutes", now);
}

/* The log has lost its INTENT, or takes none. */
static void decide_intended(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	static const char why[] = "its INTENT did not come back from the log within 15 minutes";

	if (now - remedy->since <= READ_BACK_MS)
		return;
	if (remedy->unsure_before)
		remediate_end_unknown(remediate, remedy, why, now);
	else
		remediate_end(remediate, remedy, ACTION_ESCALATED, why, now);
}

static void decide_calling(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	if (!target_named(remediate->config, remedy->action.target))
		remediate_end_unknown(remediate, remedy, "its target was configured away", now);
	else if (!remedy->maybe_called && !is_firing(alert_of(remediate, remedy)))
		remediate_end(
			remediate, remedy, ACTION_EXPIRED, "the alert ended before the call", now);
}

static bool same_identity(const struct alert *a, const struct alert *b)
{
	static const char *const names[] = {"alertname", "model", "role", "segment"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(labels_get(&a->labels, names[i]), labels_get(&b->labels, names[i])) != 0)
			return false;
	return true;
}

static bool fires_again(const struct remediate *remediate, const struct alert *alert)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->alerts, &place))) {
		const struct alert *other = entry->value;

		if (is_firing(other) && same_identity(alert, other))
			return true;
	}
	return false;
}

static void decide_verifying(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	const struct alert *alert = alert_of(remediate, remedy);
	bool good = remedy->converged && alert && alert->state == ALERT_RESOLVED &&
		    strcmp(alert->reason, "ok") == 0 && !fires_again(remediate, alert);

	if (!remedy->policy) {
		remediate_end(
			remediate, remedy, ACTION_ESCALATED, "its policy was configured away", now);
		return;
	}
	if (good != (remedy->good_since != 0)) {
		remedy->good_since = good ? now : 0;
		remedy->dirty = true;
	}
	if (good && now - remedy->good_since >= remedy->policy->verify_hold_ms) {
		remediate_end(remediate, remedy, ACTION_VERIFIED,
			"the target has converged and the signal is ok", now);
	} else if (now - remedy->since > remedy->policy->verify_timeout_ms) {
		remediate_tell(remediate, remedy, ACTION_FAILED,
			remedy->converged ? "the signal did not become ok in time"
					  : "the target did not converge in time",
			now);
		remedy_next_rung(remedy, now);
	}
}

static void decide(struct remediate *remediate, struct remedy *remedy, int64_t now,
	const unsigned char chance[16])
{
	switch (remedy->state) {
	case CASE_OPEN:
		decide_open(remediate, remedy, now, chance);
		break;
	case CASE_PROPOSED:
		decide_proposed(remediate, remedy, now);
		break;
	case CASE_INTENDED:
		decide_intended(remediate, remedy, now);
		break;
	case CASE_CALLING:
		decide_calling(remediate, remedy, now);
		break;
	case CASE_VERIFYING:
		decide_verifying(remediate, remedy, now);
		break;
	case CASE_ENDED:
		break;
	}
}

/* What the log already tells of this id is gone on with, not done again. */
static void adopt_past(struct remediate *remediate, struct remedy *remedy, int64_t now)
{
	const struct past *past;

	while ((past = remediate_past(remediate, remedy->action.id))) {
		remedy->action = past->last;
		switch (past->last.state) {
		case ACTION_INTENT:
			remediate_take_over(remediate, remedy, now);
			return;
		case ACTION_DONE:
			remediate_verify(remediate, remedy, now);
			return;
		case ACTION_PROPOSED:
			remedy_enter(remedy, CASE_PROPOSED, now);
			return;
		case ACTION_APPROVED:
			return;
		case ACTION_FAILED:
		case ACTION_REFUSED:
			remedy_next_rung(remedy, now);
			continue;
		case ACTION_UNKNOWN:
		case ACTION_SKIPPED:
			remediate_end(remediate, remedy, ACTION_ESCALATED, past->last.result, now);
			return;
		default:
			remedy_enter(remedy, CASE_ENDED, now);
			return;
		}
	}
}

static void open_case(struct remediate *remediate, const struct alert *alert, int64_t now)
{
	const struct config_policy *policy = policy_for(remediate->config, alert);

	if (!policy)
		return;
	struct remedy *remedy = memory_new(1, sizeof *remedy);
	struct action *action = &remedy->action;

	remedy->policy = policy;
	memcpy(remedy->alert_id, alert->id, sizeof remedy->alert_id);
	snprintf(remedy->policy_name, sizeof remedy->policy_name, "%s", policy->name);
	memcpy(action->alert, alert->id, sizeof action->alert);
	snprintf(action->policy, sizeof action->policy, "%s", policy->name);
	snprintf(action->target, sizeof action->target, "%s", policy->target);
	snprintf(action->model, sizeof action->model, "%s", labels_get(&alert->labels, "model"));
	snprintf(action->version, sizeof action->version, "%s",
		labels_get(&alert->labels, "version"));
	snprintf(action->by, sizeof action->by, "policy");
	snprintf(action->reason, sizeof action->reason, "%s",
		labels_get(&alert->annotations, "summary"));
	stand_on_rung(remedy, 1);
	remedy_enter(remedy, CASE_OPEN, now);
	map_put(&remediate->cases, alert->id, strlen(alert->id), remedy);
	adopt_past(remediate, remedy, now);
}

/* Of a case that was lost with Redis: whether what was done for the alert is not verified yet. */
static bool was_done(const struct remediate *remediate, const struct alert *alert)
{
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->past, &place))) {
		const struct past *past = entry->value;

		if (past->last.state == ACTION_DONE && strcmp(past->last.alert, alert->id) == 0)
			return true;
	}
	return false;
}

static bool needs_case(const struct remediate *remediate, const struct alert *alert)
{
	return !map_get(&remediate->cases, alert->id, strlen(alert->id)) &&
	       (is_firing(alert) || was_done(remediate, alert));
}

static void forget(struct remediate *remediate, const char *id)
{
	remediate_free_alert(map_take(&remediate->alerts, id, strlen(id)));
	free(map_take(&remediate->cases, id, strlen(id)));
	remediate_drop_state(remediate, "alert:", id);
	remediate_drop_state(remediate, "case:", id);
}

/* An alert that has resolved is kept as long as its case needs it. */
static void forget_settled(struct remediate *remediate)
{
	struct map_entry **sorted = map_sorted(&remediate->alerts);
	char(*settled)[ID_SIZE] = memory_new(remediate->alerts.count, sizeof *settled);
	size_t count = 0;

	for (size_t i = 0; i < remediate->alerts.count; i++) {
		const struct alert *alert = sorted[i]->value;
		const struct remedy *remedy =
			map_get(&remediate->cases, alert->id, strlen(alert->id));

		if (alert->state == ALERT_RESOLVED && (!remedy || remedy->state == CASE_ENDED))
			memcpy(settled[count++], alert->id, ID_SIZE);
	}
	for (size_t i = 0; i < count; i++)
		forget(remediate, settled[i]);
	free(settled);
	free(sorted);
}

/* Of several the one with the least id; NULL: none. */
static const struct past *left_behind(struct remediate *remediate)
{
	const struct past *least = NULL;
	struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&remediate->past, &place))) {
		const struct past *past = entry->value;
		const char *alert = past->last.alert;

		if (past_is_open(past) && !map_get(&remediate->cases, alert, strlen(alert)) &&
			(!least || strcmp(past->last.id, least->last.id) < 0))
			least = past;
	}
	return least;
}

/* What the log leaves open of a case that was lost with Redis, and whose alert has ended since:
 * nothing is done any more, but nothing ends without a word. */
static void tell_left_behind(struct remediate *remediate, int64_t now)
{
	const struct past *past;

	while ((past = left_behind(remediate))) {
		struct remedy remedy = {.action = past->last};

		remediate_end_unknown(remediate, &remedy,
			"it was intended before Redis was lost, and the alert has ended", now);
	}
}

void remediate_time(struct remediate *remediate, int64_t now, const unsigned char chance[16])
{
	struct map_entry **alerts = map_sorted(&remediate->alerts);
	size_t count = remediate->alerts.count;

	for (size_t i = 0; i < count; i++)
		if (needs_case(remediate, alerts[i]->value))
			open_case(remediate, alerts[i]->value, now);
	free(alerts);

	struct map_entry **cases = map_sorted(&remediate->cases);

	count = remediate->cases.count;
	for (size_t i = 0; i < count; i++)
		decide(remediate, cases[i]->value, now, chance);
	free(cases);
	forget_settled(remediate);
	tell_left_behind(remediate, now);
}
