/* console/logs.h: all folds of one service, one after another: detectors have one fold a partition.
 */
#ifndef CONSOLE_LOGS_H
#define CONSOLE_LOGS_H

#include "ports/store.h"

typedef enum rc (*log_visit)(
	void *context, const struct fold *fold, const struct head *head, struct err *err);

/* In order of the logs' names; folds that have not taken a step yet are left out. Ends at the first
 * visit that is not RC_OK, with its outcome. */
enum rc logs_visit(struct store *store, const char *service, log_visit visit, void *context,
	struct err *err) MUST_CHECK;

#endif
