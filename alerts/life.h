/* alerts/life.h: the life of an incident as a table of states and events.
 * THINKS. An incident is opened by the first alarm of its identity, joined by further ones, and
 * resolved when the last of them has closed. */
#ifndef ALERTS_LIFE_H
#define ALERTS_LIFE_H

#include "core/alert.h"
#include "core/config.h"

/* An alarm that has not closed: what a later finding closes it by. */
struct open_alarm {
	char version[NAME_SIZE];
	char signal[SIGNAL_SIZE];
	char against[16];
	char detector[32];
	bool actionable;
	struct finding finding; /* as last told */
};

struct incident {
	bool exists; /* false: nothing ever happened to this identity */
	struct alert alert;
	struct open_alarm *open; /* owned */
	size_t open_count;
	bool untold; /* resolved, and not every receiver knows yet: still a member of its groups */
	bool ended;  /* its identity fires anew: kept only until every receiver knows of its end */
	char action[32]; /* state of the last notable action on it: "proposed", ... ; "" = none */
	bool dirty;
};

void incident_done(struct incident *incident);

/* For restoring: an alarm that was open. */
void incident_add_open(struct incident *incident, const struct finding *finding);

/* Takes one finding in. True: the alert has changed and is to be told (its record, and its groups).
 * config gives owner and severity. */
bool life_take(
	struct incident *incident, const struct finding *finding, const struct config *config);

/* "alertname, model, role, segment", each ended by a NUL byte. Appended. */
void life_identity(const struct finding *finding, struct bytes *key);

#endif
