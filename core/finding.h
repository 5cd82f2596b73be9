/* core/finding.h: what detectors tell alerts: a verdict changed to or from alarm, with all
 * evidence. THINKS. JSON: finding_json.c; schema: config/schemas/finding.json. */
#ifndef CORE_FINDING_H
#define CORE_FINDING_H

#include "core/digest.h"
#include "core/window.h"

enum verdict { VERDICT_NO_DATA, VERDICT_OK, VERDICT_SUSPECTED, VERDICT_ALARM, VERDICT_SUPERSEDED };
extern const char
	*const verdict_names[]; /* "not enough data", "ok", "suspected", "alarm", "superseded" */

enum { FINDING_MOVED_MAX = 8, FINDING_VALUES_MAX = 8 };

/* Sides are named "production", "canary", "history", "baseline". arm: the one that is judged. */
struct evidence {
	char arm[16], reference[16];
	uint64_t n_arm, n_reference;
	double log_e, line;
	struct {
		char name[32];           /* "p99 ratio", "failure ratio", "mean shift (sd)", "share
					    difference", "rate ratio", "silence (s)" */
		double value, low, high; /* NaN: cannot be said */
		double tolerance;
	} effect;
	struct {
		char name[32];         /* "p50", "p99", "failure rate", "mean", "per tick" */
		double arm, reference; /* NaN: cannot be said */
	} values[FINDING_VALUES_MAX];
	size_t value_count;
	int64_t span_from_ms, span_to_ms;
	struct {
		char what[96]; /* "latency above the 99th percentile x2", "class fraud x1.4" */
		double log_e;
	} moved[FINDING_MOVED_MAX];
	size_t moved_count;
};

struct finding {
	char id[ID_SIZE];
	int64_t ts;           /* end of the tick at which the verdict changed */
	struct series series; /* of the one that is blamed; version "" where the comparison goes by
				 role */
	char against[16];     /* "canary", "production", "baseline", "history" */
	char detector[32];    /* "arms", "cuts", "bernoulli", "counts", "silence" */
	enum verdict verdict;
	bool actionable; /* alarm: the whole interval of the effect lies beyond the tolerance: fit
			    for automatic remediation. An alarm that becomes actionable later is
			    told again, with its own id. */
	char replaced_by[NAME_SIZE]; /* superseded: the version that serves instead; ok: "" */
	int64_t since_ms;            /* change-point estimate */
	char reason[64]; /* of ok: "within tolerance", "successor within tolerance", ... ; "" for
			    alarm */
	struct evidence evidence;
};

/* Fills id from model, version, role, segment, signal, against, detector, verdict, actionable and
 * ts. */
void finding_identify(struct finding *finding);
void finding_to_json(const struct finding *finding, struct bytes *out);
enum rc finding_from_json(struct view text, struct finding *finding, struct err *err) MUST_CHECK;

#endif
