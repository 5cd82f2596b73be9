/* alerts/hearing.h: what receivers were last told, gathered from the log of notifications after
 * Redis was lost. THINKS. The log has many partitions and no order between them: of each receiver,
 * integration and group the newest notification counts. */
#ifndef ALERTS_HEARING_H
#define ALERTS_HEARING_H

#include "alerts/step.h"
#include "core/map.h"

struct hearing {           /* all zero is valid and empty */
	struct map newest; /* told_key -> struct notification * */
};

void hearing_done(struct hearing *hearing);
enum rc hearing_take(struct hearing *hearing, struct view record, struct err *err) MUST_CHECK;
void hearing_tell(const struct hearing *hearing, struct alerts *alerts);

#endif
