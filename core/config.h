/* core/config.h: what one configuration says, typed, with every default filled in.
 * THINKS: config_read() turns a document (core/document.h) into values and collects all mistakes.
 * Files are read, and secrets loaded, by ports/config_file.h. docs/configuration.md is the
 * reference.
 *
 * Durations are milliseconds (*_ms) or seconds (*_s); texts are never NULL unless said. */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "core/bytes.h"
#include "core/document.h"
#include "core/format.h"
#include "core/matcher.h"
#include "core/secret.h"

#include <stdbool.h>

struct config_property { /* one librdkafka setting, passed through */
	char *name;
	char *value;           /* NULL when it comes from a file: NAME_file */
	struct secret *secret; /* then this */
};

struct config_topic {
	char *name;
	char *format; /* "" = our own events (docs/events.md), else a name in formats */
};

struct config_kafka {
	char *brokers;
	struct config_topic *topics;
	size_t topic_count;
	struct config_property *properties;
	size_t property_count;
	char *prefix;    /* of our own topics: "modelwatch" */
	int replication; /* of the topics that init creates; default 1 when there is one broker,
			    else 3 */
};

enum redis_transport { REDIS_TCP, REDIS_UNIX, REDIS_TLS };

struct config_redis {
	enum redis_transport transport;
	char *host; /* TCP, TLS */
	int port;
	char *path;              /* UNIX */
	char *user;              /* "" = none */
	struct secret *password; /* NULL = none */
	char *ca;                /* TLS: file of certificates that we believe, "" = the system's */
	char *prefix;            /* of every key: "modelwatch" */
};

struct config_time {
	int64_t max_age_ms;   /* older than append time - this: E_LATE; -1 = off (recorded input) */
	int64_t max_ahead_ms; /* newer than append time + this: E_FUTURE; -1 = off */
	int64_t lateness_ms;  /* a tick closes so long after its end */
	int64_t max_late_ms;  /* later than this: counted as late only */
	int64_t rebuild_ms;   /* so far back after a loss of Redis, by snapshots; -1 = off: all */
};

struct config_limits {
	int64_t event_bytes;   /* 64 KiB */
	int64_t depth;         /* 8 */
	int64_t features;      /* 512 per event */
	int64_t classes;       /* 256 per series, then __other__ */
	int64_t models;        /* 1000 unconfigured ones per partition */
	int64_t versions;      /* 16 per model */
	int64_t deadletters_s; /* 100 a second per fingerprint */
};

enum payload_kind { PAYLOAD_FULL, PAYLOAD_REDACTED, PAYLOAD_NONE };

/* What differs less than this is nobody's business. Ratios are > 1: 5% is 1.05. */
struct tolerance {
	double latency_p50; /* ratio, default 1.05 */
	double latency_p99; /* ratio, default 1.25 */
	double errors;      /* ratio, default 1.5 */
	double score_sd;    /* shift in standard deviations of the reference, default 0.05 */
	double class_abs;   /* difference of a share, default 0.01 */
	double class_rel;   /* or relative, default 0.10; the larger of both counts */
	double rate;        /* ratio, default 1.06 */
};

enum canary_kind { CANARY_CANDIDATE, CANARY_STABLE };
enum score_kind { SCORE_PROBABILITY, SCORE_REAL };

struct config_model { /* first match wins; the last one matches everything and holds the defaults */
	char *match_model;   /* glob: * and ?; "*" by default */
	char *match_segment; /* glob */
	char *owner;         /* "" = none */
	char *baseline;      /* name of a frozen baseline; "" = none */
	enum canary_kind canary;
	enum score_kind score;
	int64_t tick_ms;         /* 1 s to 1 day; must divide a day */
	int64_t min;             /* observations a side before a comparison steps: 20 */
	int64_t clear_for;       /* ticks: 10 */
	int64_t silent_after_ms; /* at least so long without events before silence is judged: 60 s
				  */
	struct tolerance tolerate;
	struct config_severity { /* overrides of the severity table */
		char *alertname;
		char *severity;
	} * severities;
	size_t severity_count;
};

/* HTTP as a client: what may be called, and how. */
struct config_http {
	char *url;
	struct secret *bearer; /* Authorization: Bearer; NULL = none */
	char *ca;              /* "" = the system's */
	int64_t timeout_ms;    /* default 15 s */
};

enum receiver_kind { RECEIVER_WEBHOOK, RECEIVER_ALERTMANAGER_WEBHOOK, RECEIVER_ALERTMANAGER };

struct config_integration { /* one way to reach a receiver */
	enum receiver_kind kind;
	struct config_http http;
	struct secret *secret; /* webhook: Standard Webhooks key; NULL = unsigned */
	bool send_resolved;    /* default true */
	int64_t max_alerts;    /* 0 = all */
};

struct config_receiver {
	char *name;
	struct config_integration *integrations; /* webhook_configs, alertmanager_webhook_configs,
						    alertmanager_configs, in this order */
	size_t integration_count;
};

struct config_route {
	char *receiver; /* inherited when left out */
	struct matcher *matchers;
	size_t matcher_count;
	char **group_by; /* {"..."} = all labels */
	size_t group_by_count;
	int64_t group_wait_ms, group_interval_ms, repeat_interval_ms; /* 30 s, 5 min, 4 h */
	bool go_on;                                                   /* continue: */
	struct config_route *routes;
	size_t route_count;
};

struct config_target { /* what a remediation acts on: generic HTTP */
	char *name;
	struct config_operation {
		char *name;   /* rollback, shift, scale, restart */
		char *method; /* POST */
		struct config_http http;
		char *body; /* "" = our JSON of the action */
	} * operations;
	size_t operation_count;
	struct config_http status; /* url "" = none: verified by the signal alone */
	char *converged_pointer;   /* JSON pointer into the status answer: "/converged" */
	char *converged_value;     /* canonical text that it must have: "true" */
	bool idempotent;           /* the target honours Idempotency-Key: default true */
};

enum policy_mode { MODE_OBSERVE, MODE_PROPOSE, MODE_APPROVE, MODE_AUTO };

struct config_policy {
	char *name; /* default: the index as text */
	struct matcher *matchers;
	size_t matcher_count;
	enum policy_mode mode; /* default propose */
	char *target;
	char **ladder; /* operations; "page" is the person; default [page] */
	size_t ladder_count;
	int64_t cooldown_ms;             /* per target: 15 min */
	int64_t budget_hour, budget_day; /* per target: 3, 6 */
	int64_t verify_hold_ms;          /* the signal must be ok so long: 30 s */
	int64_t verify_timeout_ms;       /* else the next rung: 10 min */
	bool allow_quality; /* prediction-quality alerts may be auto: only when said here */
};

struct config_listen {
	char *host; /* 127.0.0.1; loopback only until TLS is configured */
	int port;   /* 0 = off for metrics */
};

struct config {
	struct config_kafka kafka;
	struct config_redis redis;
	double false_alarms;                           /* so many ... */
	int64_t false_alarms_per_s;                    /* ... in so many seconds */
	int64_t capacity_models, capacity_comparisons; /* 1000, 60 per model */
	struct config_time time;
	struct config_limits limits;
	enum payload_kind deadletter_payload;
	struct format *formats; /* core/format.h */
	size_t format_count;
	struct config_model *models;
	size_t model_count;
	struct config_receiver *receivers;
	size_t receiver_count;
	struct config_route route;
	struct config_target *targets;
	size_t target_count;
	struct config_policy *policies;
	size_t policy_count;
	char **http_allow; /* CIDRs of private addresses that HTTP out may reach besides public ones
			    */
	size_t http_allow_count;
	struct config_listen console;    /* 127.0.0.1:9130 */
	struct config_listen metrics[4]; /* by enum config_service; 127.0.0.1:9131 to 9134 */
	char digest[65]; /* of all documents read, SHA-256 in hex: the version of this configuration
			  */
};

enum config_service { SERVICE_INGEST, SERVICE_DETECTORS, SERVICE_ALERTS, SERVICE_REMEDIATE };

/* One mistake, ready to print: "file:line:column: what was found, what was expected; hint". */
struct mistakes {
	struct bytes text; /* one line each, in file order; the first 1 000 */
	size_t count;      /* all */
};

/* Adds one, at its place in file order (files by name). line 0: about the whole file. */
void mistakes_add(struct mistakes *mistakes, const char *file, int line, int column,
	const char *format, ...) PRINTF_LIKE(5, 6);

/* Reads documents (several are merged: mappings by key, lists appended) into *config. Secrets stay
 * NULL; every NAME_file (and ca, only to see that it can be read) is handed to load_secret: NULL
 * with a sentence in err becomes a mistake (load NULL: secrets are not loaded). The digest is left
 * empty. Returns RC_OK, or RC_FATAL when there was any mistake (config_done() is due either way).
 */
typedef struct secret *(*load_secret)(void *context, const char *path, struct err *err);
enum rc config_read(const struct node *const *documents, size_t document_count, load_secret load,
	void *context, struct config *config, struct mistakes *mistakes) MUST_CHECK;
void config_done(struct config *config);

/* The reference of all keys, from the tables that read them: per section a title and rows
 * "| `key` | what is expected | default | meaning |". docs/configuration.md holds these rows. */
void config_describe(struct bytes *out);

/* The first entry of models that matches; there always is one. */
const struct config_model *config_model(
	const struct config *config, const char *model, const char *segment);

#endif
