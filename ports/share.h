/* ports/share.h: which partitions of the configured event topics are this instance's: of all
 * partitions of all topics, counted through in the order of the configuration, those whose number
 * leaves the instance as rest. TOUCHES: through log.h. A topic that is not there yet shifts later
 * ones when it comes: overlap is harmless, since tokens fence. */
#ifndef PORTS_SHARE_H
#define PORTS_SHARE_H

#include "ports/log.h"

struct share_place {
	const char *topic; /* the configuration's */
	int32_t number;
};

struct share {                      /* all zero is valid and empty */
	struct share_place *places; /* owned */
	size_t count;
	char missing[256]; /* a topic that is not there; "" = none */
	int64_t look_at;   /* monotonic: when share_turn() asks again; 0 = at once */
};

/* Asks the broker when it is time: at once, then every minute; every second while a topic is
 * missing or no answer comes. RC_NONE: it is not time. RC_OK: *share is as of now. Anything else:
 * *share is as it was. */
enum rc share_turn(struct share *share, struct log *log, const struct config_kafka *kafka,
	int instance, int instances, struct err *err) MUST_CHECK;
void share_done(struct share *share);
bool share_has(const struct share *share, const char *topic, int32_t number);

#endif
