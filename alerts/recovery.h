/* alerts/recovery.h: after Redis was lost, what receivers were told is read from the log of
 * notifications, so that it is not told again. TOUCHES: through ports/inputs.h. */
#ifndef ALERTS_RECOVERY_H
#define ALERTS_RECOVERY_H

#include "alerts/step.h"
#include "ports/service.h"

/* Reads the log to its end, which may take a while: the service turns meanwhile. RC_REJECT:
 * done, but a record was none, as err tells, and was passed over. RC_RETRY: Kafka is unwell, the
 * topic is missing, or the service is asked to stop. */
enum rc recovery_run(struct service *service, struct log *log, const char *prefix,
	struct alerts *alerts, struct err *err) MUST_CHECK;

#endif
