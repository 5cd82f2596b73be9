#include "alerts/life.h"

#include "core/memory.h"
#include "core/time_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum life_state { LIFE_NONE, LIFE_FIRING, LIFE_RESOLVED };

enum life_event {
	LIFE_ALARM,       /* an alarm that was not open */
	LIFE_STRONGER,    /* an open alarm told again */
	LIFE_CLOSES_SOME, /* an open alarm closes, others stay */
	LIFE_CLOSES_LAST,
	LIFE_SUCCESSOR_OK, /* what serves now is judged ok */
	LIFE_NOTHING,      /* closes what is not open */
};

struct occasion {
	struct incident *incident;
	const struct finding *finding;
	const struct config *config;
	struct open_alarm
		*open; /* the alarm that the finding speaks of; NULL when it is not open */
};

static bool same_alarm(const struct open_alarm *open, const struct finding *finding)
{
	return strcmp(open->version, finding->series.version) == 0 &&
	       strcmp(open->signal, finding->series.signal) == 0 &&
	       strcmp(open->against, finding->against) == 0 &&
	       strcmp(open->detector, finding->detector) == 0;
}

static struct open_alarm *find_open(struct incident *incident, const struct finding *finding)
{
	for (size_t i = 0; i < incident->open_count; i++)
		if (same_alarm(&incident->open[i], finding))
			return &incident->open[i];
	return NULL;
}

void incident_add_open(struct incident *incident, const struct finding *finding)
{
	incident->open =
		memory_grow(incident->open, incident->open_count + 1, sizeof *incident->open);
	struct open_alarm *open = &incident->open[incident->open_count++];

	*open = (struct open_alarm){.actionable = finding->actionable, .finding = *finding};
	snprintf(open->version, sizeof open->version, "%s", finding->series.version);
	snprintf(open->signal, sizeof open->signal, "%s", finding->series.signal);
	snprintf(open->against, sizeof open->against, "%s", finding->against);
	snprintf(open->detector, sizeof open->detector, "%s", finding->detector);
}

static void remove_open(struct incident *incident, struct open_alarm *open)
{
	size_t place = (size_t)(open - incident->open);

	incident->open_count--;
	memmove(open, open + 1, (incident->open_count - place) * sizeof *open);
}

static void note_finding(struct alert *alert, const char *id)
{
	for (size_t i = 0; i < alert->finding_count; i++)
		if (strcmp(alert->findings[i], id) == 0)
			return;
	alert->findings =
		memory_grow(alert->findings, alert->finding_count + 1, sizeof *alert->findings);
	alert->findings[alert->finding_count++] = memory_text(id);
}

/* The open alarm with the most evidence over its line speaks for the incident. */
static void choose_evidence(struct incident *incident)
{
	const struct open_alarm *strongest = NULL;

	incident->alert.actionable = false;
	for (size_t i = 0; i < incident->open_count; i++) {
		const struct open_alarm *open = &incident->open[i];

		incident->alert.actionable |= open->actionable;
		if (!strongest || open->finding.evidence.log_e - open->finding.evidence.line >
					  strongest->finding.evidence.log_e -
						  strongest->finding.evidence.line)
			strongest = open;
	}
	if (strongest)
		incident->alert.evidence = strongest->finding;
}

static const char *severity_of(const struct config_model *model, const char *alertname)
{
	for (size_t i = 0; i < model->severity_count; i++)
		if (strcmp(model->severities[i].alertname, alertname) == 0)
			return model->severities[i].severity;
	return alert_severity(alertname);
}

static void set_labels(struct incident *incident, const struct config *config)
{
	struct alert *alert = &incident->alert;
	const struct series *series = &alert->evidence.series;
	const struct config_model *model = config_model(config, series->model, series->segment);

	labels_done(&alert->labels);
	labels_set(&alert->labels, "alertname", alert->alertname);
	labels_set(&alert->labels, "model", series->model);
	labels_set(&alert->labels, "role", series->role);
	labels_set(&alert->labels, "segment", series->segment);
	labels_set(&alert->labels, "version", series->version);
	labels_set(&alert->labels, "owner", model->owner);
	labels_set(&alert->labels, "severity", severity_of(model, alert->alertname));
}

static void add_effect(const struct evidence *evidence, struct bytes *text)
{
	if (isnan(evidence->effect.value))
		return;
	bytes_format(text, ": %s %.3g", evidence->effect.name, evidence->effect.value);
	if (!isnan(evidence->effect.low) && !isnan(evidence->effect.high))
		bytes_format(text, " [%.3g, %.3g]", evidence->effect.low, evidence->effect.high);
	bytes_format(text, ", tolerance %.3g", evidence->effect.tolerance);
}

static void set_annotations(struct incident *incident)
{
	struct alert *alert = &incident->alert;
	const struct finding *finding = &alert->evidence;
	const struct evidence *evidence = &finding->evidence;
	CLEANUP(bytes_done) struct bytes summary = {0};
	CLEANUP(bytes_done) struct bytes description = {0};
	char since[TIME_TEXT_SIZE];

	bytes_format(&summary, "%s of %s %s%s%s%s", finding->series.signal, finding->series.model,
		finding->series.role, finding->series.version[0] ? " " : "",
		finding->series.version,
		alert->state == ALERT_FIRING ? " out of tolerance" : " back within tolerance");
	add_effect(evidence, &summary);
	time_text_print(finding->since_ms, since);
	bytes_format(&description,
		"against %s, judged by %s since %s; %llu observations against %llu; log E %.2f, "
		"line %.2f",
		finding->against, finding->detector, since, (unsigned long long)evidence->n_arm,
		(unsigned long long)evidence->n_reference, evidence->log_e, evidence->line);
	for (size_t i = 0; i < evidence->moved_count; i++)
		bytes_format(
			&description, "%s%s", i ? ", " : "; moved most: ", evidence->moved[i].what);
	labels_set(&alert->annotations, "summary", summary.data);
	labels_set(&alert->annotations, "description", description.data);
}

static void refresh(struct occasion *occasion)
{
	struct alert *alert = &occasion->incident->alert;

	note_finding(alert, occasion->finding->id);
	if (occasion->finding->ts > alert->updated_at)
		alert->updated_at = occasion->finding->ts;
	choose_evidence(occasion->incident);
	/* Labels say which alert it is: once told they stay, or a receiver would see two. */
	if (!alert->labels.count)
		set_labels(occasion->incident, occasion->config);
	set_annotations(occasion->incident);
	occasion->incident->dirty = true;
}

static bool open_incident(struct occasion *occasion)
{
	struct incident *incident = occasion->incident;
	const struct finding *finding = occasion->finding;
	char starts[24];

	alert_done(&incident->alert);
	incident->exists = true;
	incident->untold = false;
	incident->action[0] = '\0';
	incident_add_open(incident, finding);
	incident->alert.starts_at = finding->ts;
	snprintf(incident->alert.alertname, sizeof incident->alert.alertname, "%s",
		alertname_of(finding));
	snprintf(starts, sizeof starts, "%lld", (long long)finding->ts);
	const char *const parts[] = {incident->alert.alertname, finding->series.model,
		finding->series.role, finding->series.segment, starts, NULL};

	digest_id(incident->alert.id, 'a', parts);
	refresh(occasion);
	return true;
}

static bool join(struct occasion *occasion)
{
	incident_add_open(occasion->incident, occasion->finding);
	refresh(occasion);
	return true;
}

static bool strengthen(struct occasion *occasion)
{
	occasion->open->actionable |= occasion->finding->actionable;
	occasion->open->finding = *occasion->finding;
	refresh(occasion);
	return true;
}

static bool leave(struct occasion *occasion)
{
	remove_open(occasion->incident, occasion->open);
	refresh(occasion);
	return true;
}

static void set_reason(struct alert *alert, const struct finding *finding)
{
	snprintf(alert->reason, sizeof alert->reason, "%s",
		finding->verdict == VERDICT_SUPERSEDED ? "superseded" : "ok");
	if (finding->replaced_by[0])
		snprintf(alert->replaced_by, sizeof alert->replaced_by, "%s", finding->replaced_by);
}

static bool resolve(struct occasion *occasion)
{
	struct incident *incident = occasion->incident;

	remove_open(incident, occasion->open);
	incident->alert.state = ALERT_RESOLVED;
	incident->alert.ends_at = occasion->finding->ts;
	incident->untold = true;
	set_reason(&incident->alert, occasion->finding);
	refresh(occasion);
	return true;
}

static bool confirm(struct occasion *occasion)
{
	struct alert *alert = &occasion->incident->alert;

	if (strcmp(alert->reason, "superseded") != 0)
		return false;
	set_reason(alert, occasion->finding);
	refresh(occasion);
	return true;
}

static bool ignore(struct occasion *occasion)
{
	(void)occasion;
	return false;
}

typedef bool (*reaction)(struct occasion *occasion);

/* clang-format off */
static const reaction table[][LIFE_NOTHING + 1] = {
	/*                 ALARM          STRONGER       CLOSES_SOME CLOSES_LAST SUCCESSOR_OK NOTHING */
	[LIFE_NONE] =     {open_incident, open_incident, ignore,     ignore,     ignore,      ignore},
	[LIFE_FIRING] =   {join,          strengthen,    leave,      resolve,    ignore,      ignore},
	[LIFE_RESOLVED] = {open_incident, open_incident, ignore,     ignore,     confirm,     ignore},
};
/* clang-format on */

static enum life_event event_of(const struct incident *incident, const struct finding *finding,
	const struct open_alarm *open)
{
	if (finding->verdict == VERDICT_ALARM)
		return open ? LIFE_STRONGER : LIFE_ALARM;
	if (open)
		return incident->open_count == 1 ? LIFE_CLOSES_LAST : LIFE_CLOSES_SOME;
	return finding->verdict == VERDICT_OK ? LIFE_SUCCESSOR_OK : LIFE_NOTHING;
}

bool life_take(
	struct incident *incident, const struct finding *finding, const struct config *config)
{
	struct occasion occasion = {.incident = incident,
		.finding = finding,
		.config = config,
		.open = find_open(incident, finding)};
	enum life_state state = !incident->exists                       ? LIFE_NONE
				: incident->alert.state == ALERT_FIRING ? LIFE_FIRING
									: LIFE_RESOLVED;

	return table[state][event_of(incident, finding, occasion.open)](&occasion);
}

void life_identity(const struct finding *finding, struct bytes *key)
{
	const char *const parts[] = {alertname_of(finding), finding->series.model,
		finding->series.role, finding->series.segment};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		bytes_add(key, parts[i], strlen(parts[i]) + 1);
}

void incident_done(struct incident *incident)
{
	alert_done(&incident->alert);
	free(incident->open);
	*incident = (struct incident){0};
}
