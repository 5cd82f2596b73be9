/* core/topics.h: the names of our own topics, of folds and of their tables: written once, here.
 * THINKS. A topic's full name has the configured prefix: "modelwatch.findings". */
#ifndef CORE_TOPICS_H
#define CORE_TOPICS_H

#define TOPIC_EVENTS "events"
#define TOPIC_FINDINGS "findings"
#define TOPIC_ALERTS "alerts"
#define TOPIC_ACTIONS "actions"
#define TOPIC_COMMANDS "commands"
#define TOPIC_NOTIFICATIONS "notifications"
#define TOPIC_DEADLETTER "deadletter"
#define TOPIC_STATE "state"

/* Outputs of a step name a topic without the prefix; ports/outbox.h puts it on. */

#define FOLD_INGEST "ingest"
#define FOLD_DETECTORS "detectors"
#define FOLD_ALERTS "alerts"
#define FOLD_REMEDIATE "remediate"

#define TABLE_STATE "state"             /* every fold: what it finds again at its start */
#define TABLE_CLOSES "closes"           /* ingest: stream of close records (core/close.h) */
#define TABLE_MARKS "marks"             /* ingest: stream of idle marks (core/close.h) */
#define TABLE_PROGRESS "progress"       /* ingest: while it catches up, JSON */
#define TABLE_DEADLETTERS "deadletters" /* ingest: groups by fingerprint, JSON */
#define TABLE_FINDINGS "findings"       /* detectors: by id, JSON, 30 days */
#define TABLE_VERDICTS                                                                             \
	"verdicts"            /* detectors: by comparison, JSON: what is thought at the moment */
#define TABLE_ALERTS "alerts" /* alerts: by id, JSON */
#define TABLE_NOTIFICATIONS "notifications" /* alerts: by id, JSON */
#define TABLE_ACTIONS "actions"             /* remediate: by sequence, JSON */
/* ingest: closed windows: "windows:LEVEL:BUCKET", LEVEL of tick, 1m, 10m; core/window.h */

#endif
