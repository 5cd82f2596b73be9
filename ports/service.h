/* ports/service.h: the process around a fold: options, configuration, readiness, signals, STATUS,
 * watchdog, /metrics, and the rhythm of trying again.
 * TOUCHES. A service's main() is: service_open(), then while (service_turn()) one step of its loop, then
 * service_close(). SIGTERM and SIGINT end the loop after the step; SIGKILL is just as good. */
#ifndef PORTS_SERVICE_H
#define PORTS_SERVICE_H

#include "core/config.h"
#include "core/metrics.h"

struct service {
	const char *name;     /* "ingest" */
	struct config config; /* as read at the start; SIGHUP sets reload_wanted */
	int instance, instances; /* --instance i/n: this is i of n, from 0; 0/1 by default */
	struct metrics metrics;
	bool reload_wanted;
	struct service_inside *inside;
};

/* Reads --config FILE|DIR (or MODELWATCH_CONFIG, or /etc/modelwatch/modelwatch.yaml), --instance i/n,
 * --metrics HOST:PORT (overrides; port 0 = off), --log-level, --help, --version. On a mistake everything
 * wrong is printed and *exit_status is 78 (configuration) or 2 (usage); on --help 0. False: leave with it.
 * After this /metrics is served and READY=1 is sent. takes_instance: whether --instance makes sense. */
bool service_open(struct service *service, const char *name, enum config_service kind,
	bool takes_instance, int argc, char **argv, int *exit_status);
void service_close(struct service *service);

/* One turn of the loop: signals, /metrics, watchdog, STATUS (at most once a second). False: asked to stop. */
bool service_turn(struct service *service);

/* What the service is about, for STATUS= and the gauge modelwatch_well: "waiting for redis: ...". */
void service_status(struct service *service, bool well, const char *format, ...) PRINTF_LIKE(3, 4);

/* Bounded, jittered waiting between tries at something unwell: 50 ms doubling to 1 s. The wait still
 * serves signals and /metrics and ends early when asked to stop. */
struct backoff { int64_t wait_ms; };
void service_back_off(struct service *service, struct backoff *backoff);
void backoff_reset(struct backoff *backoff);

#endif
