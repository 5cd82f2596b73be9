/* detectors/traffic.h: which versions of a model serve, by role: which one is the reference, and
 * which are gone. THINKS. Everything goes by ticks of the model, never by the clock alone: in
 * sparse traffic a version that was not seen for an hour is not gone. */
#ifndef DETECTORS_TRAFFIC_H
#define DETECTORS_TRAFFIC_H

#include "core/bytes.h"
#include "core/close.h"

enum role { ROLE_PRODUCTION, ROLE_CANARY, ROLES };
extern const char *const role_names[ROLES];
enum role role_of(const char *name); /* ROLES: none of them */
enum role role_other(enum role role);

struct version {
	enum role role;
	char name[NAME_SIZE];
	double recent;       /* observations, each tick of the model weighs 63/64 of the next one */
	int64_t last_ms;     /* end of the last tick with traffic */
	double share, ratio; /* then: of its role's traffic; to the other role's, at most 1 */
	uint64_t role_since,
		other_since; /* observations since then, of its role and of the other */
	uint64_t now;        /* observations in this tick */
};

struct traffic {              /* all zero is valid and empty */
	struct version *list; /* by role, then name; owned */
	size_t count;
	char main[ROLES][NAME_SIZE];
	bool has_main[ROLES];
	bool dirty;
};

void traffic_done(struct traffic *traffic);

/* Takes one closed tick in. A version's observations in it are those of its largest window. */
void traffic_tick(struct traffic *traffic, const struct closed_tick *tick);

/* The version of a role that has most traffic; it stays until it is gone or another one has more
 * than twice as much. NULL: none. */
const char *traffic_main(const struct traffic *traffic, enum role role);

/* Whether a version has no traffic any more: none for 10 ticks and 30 s, while its role, or else
 * the other role, had so much that 30 of its observations were to be expected. replaced_by: the
 * version of its role that serves now, or "". */
bool traffic_is_gone(const struct traffic *traffic, enum role role, const char *version,
	const struct closed_tick *tick, const char **replaced_by);

void traffic_write(const struct traffic *traffic, struct bytes *out);
void traffic_read(struct traffic *traffic, struct reader *in);

#endif
