/* ports/service.h: the process around a fold: options, configuration, readiness, signals, STATUS,
 * watchdog, /metrics, and the rhythm of trying again.
 * TOUCHES. A service's main() is: service_open(), then while (service_turn()) one step of its loop,
 * then service_close(). SIGTERM and SIGINT end the loop after the step; SIGKILL is just as good. */
#ifndef PORTS_SERVICE_H
#define PORTS_SERVICE_H

#include "core/config.h"
#include "core/metrics.h"
#include "ports/http_in.h"

#define MODELWATCH_VERSION "0.1.0"

/* Instead of an enum config_service: the console, which answers /metrics on its own address by
 * handing requests to service_answer(). Its READY=1 is sent by the first service_turn(). */
#define SERVICE_SERVES_ITSELF ((enum config_service)(SERVICE_REMEDIATE + 1))

struct service {
	const char *name;        /* "ingest" */
	struct config config;    /* as read at the start */
	int instance, instances; /* --instance i/n: this is i of n, from 0; 0/1 by default */
	struct metrics metrics;
	bool reload_wanted; /* by SIGHUP; the main loop does it, by service_reload() */
	struct service_inside *inside;
};

/* Reads --config FILE|DIR (or MODELWATCH_CONFIG, or /etc/modelwatch/modelwatch.yaml), --instance
 * i/n,
 * --metrics HOST:PORT (overrides; port 0 = off), --log-level, --help, --version. On a mistake
 * everything wrong is printed and *exit_status is 78 (configuration) or 2 (usage); on --help 0.
 * False: leave with it. After this /metrics is served and READY=1 is sent. takes_instance: whether
 * --instance makes sense; instance i serves its metrics at the configured port + i. A metrics
 * address that is taken is exit status 1. */
bool service_open(struct service *service, const char *name, enum config_service kind,
	bool takes_instance, int argc, char **argv, int *exit_status);
void service_close(struct service *service);

/* One turn of the loop: signals, /metrics, watchdog, STATUS (at most once a second). False: asked
 * to stop. */
bool service_turn(struct service *service);

/* Reads the configuration again. NULL: its mistakes were told to the journal and printed, and what
 * is there goes on. Else it is whole, and one of the two below is due. */
struct config *service_reload(struct service *service) MUST_CHECK;
/* It is in force until another one is adopted, or the service closes; nobody uses the one adopted
 * before any more. */
void service_adopt(struct service *service, struct config *fresh);
/* It cannot be carried out, for this reason; what is there goes on. */
void service_refuse(struct config *fresh, const struct err *reason);

/* /metrics, /-/healthy (the loop turns) and /-/ready (it is well: 200, else 503 with the status);
 * false: any other path, *answer untouched. */
bool service_answer(
	struct service *service, const struct http_request *request, struct http_answer *answer);

/* What the service is about, for STATUS= and the gauge modelwatch_well: "waiting for redis: ...".
 */
void service_status(struct service *service, bool well, const char *format, ...) PRINTF_LIKE(3, 4);

/* How far the work is, for the watchdog. done: anything that grows with it, such as messages
 * folded; waiting: there is more to do. The watchdog is fed by service_turn() alone, and no more
 * once work has waited for two of its periods (WatchdogSec=) in a service that is well and has done
 * none of it: systemd then starts it anew. Without this call a loop is fed for turning. */
void service_progress(struct service *service, uint64_t done, bool waiting);

/* Bounded, jittered waiting between tries at something unwell: 50 ms doubling to 1 s. The wait
 * still serves signals and /metrics and ends early when asked to stop. */
struct backoff {
	int64_t wait_ms;
};
void service_back_off(struct service *service, struct backoff *backoff);
void backoff_reset(struct backoff *backoff);

/* What came of a turn of the loop of a fold that several processes may advance, for STATUS and the
 * journal. RC_OK: all is well. RC_NONE: another process advances it, as err tells; this one stands
 * by. RC_RETRY: it waits for what err tells. After the latter two it waits, if may_wait. */
void service_came(struct service *service, enum rc rc, const struct err *err, bool may_wait);

#endif
