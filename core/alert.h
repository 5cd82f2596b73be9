/* core/alert.h: the incident that people see.
 * THINKS. Identity = (alertname, model, role, segment). Its life is a state x event table
 * (alerts/life.c). JSON: alert_json.c; schema: config/schemas/alert.json. */
#ifndef CORE_ALERT_H
#define CORE_ALERT_H

#include "core/finding.h"
#include "core/labels.h"

enum alert_state { ALERT_FIRING, ALERT_RESOLVED };

struct alert {
	char id[ID_SIZE]; /* of the incident: identity and starts_at */
	enum alert_state state;
	char alertname[32];
	struct labels labels;      /* alertname, model, role, segment (when not ""), version, owner,
				      severity */
	struct labels annotations; /* summary, description, runbook... */
	int64_t starts_at, ends_at; /* ms; ends_at 0 while firing */
	int64_t updated_at;         /* event time of the last finding taken in */
	bool actionable;            /* one of its open findings is */
	char reason[64]; /* why resolved: "ok" or "superseded"; later "ok" when the successor is
			    judged ok */
	char replaced_by[NAME_SIZE];
	char **findings; /* ids of open findings, then closed ones of this incident; owned */
	size_t finding_count;
	struct finding evidence; /* the strongest open finding, or the last one */
};

void alert_done(struct alert *alert);
void alert_copy(struct alert *to, const struct alert *from);
void alert_to_json(const struct alert *alert, struct bytes *out);
enum rc alert_from_json(struct view text, struct alert *alert, struct err *err) MUST_CHECK;

/* "ModelLatency" for latency, ModelErrors, ModelRate, ScoreDrift (score, class), ModelSilent
 * (detector silence). */
const char *alertname_of(const struct finding *finding);
/* The table by alertname: "page" for latency, errors, silent; "ticket" for rate and drift. */
const char *alert_severity(const char *alertname);

#endif
