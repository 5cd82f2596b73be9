/* demo/deploy_json.h: which version of a model serves in which role, and its JSON. THINKS. */
#ifndef DEMO_DEPLOY_JSON_H
#define DEMO_DEPLOY_JSON_H

#include "core/bytes.h"

enum { NAME_TEXT_SIZE = 128, ID_TEXT_SIZE = 64 };

struct deployment {
	char model[NAME_TEXT_SIZE];
	char production[NAME_TEXT_SIZE];
	char canary[NAME_TEXT_SIZE]; /* "" = none */
	char before[NAME_TEXT_SIZE]; /* the production version before the last release */
	double canary_share;
	int64_t changed_at; /* monotonic ms */
	bool converged;
	int64_t rollbacks, rollback_calls;
};

/* A release as its JSON says; false: it is none. */
bool deployment_release(struct deployment *deployment, struct view body);
void deployment_write(const struct deployment *deployment, struct bytes *out);
/* The answer of GET /models/NAME; false: it is none. */
bool deployment_read(struct view text, struct deployment *deployment);

#endif
