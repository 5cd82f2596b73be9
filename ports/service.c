#include "ports/service.h"

#include "core/memory.h"
#include "ports/clock.h"
#include "ports/config_file.h"
#include "ports/journal.h"
#include "ports/service_options.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
	EXIT_CONFIGURATION = 78, /* EX_CONFIG of sysexits.h: systemd need not try again */
	STATUS_MS = 1000,
	UNWELL_MS = 3000,
	BACKOFF_MS_FIRST = 50,
	BACKOFF_MS_MAX = 1000,
	STAND_BY_MS = 100, /* between two looks: an owner that is gone should be missed on time */
	SLICE_MS = 50,     /* of a wait: how late a signal may be noticed */
};

struct service_inside {
	struct service_options options;
	int signals; /* a signalfd */
	bool stopping;
	bool told_ready;
	bool told_unwell;
	int64_t well_at;        /* monotonic; when it last was, or began */
	struct config *adopted; /* what a reload brought; NULL = none yet */
	struct http_in *http;   /* NULL: metrics are off, or the service serves itself */
	int64_t watchdog_ms;    /* WatchdogSec= of systemd; 0 = none */
	int64_t watchdog_at, status_at;
	uint64_t done; /* both of service_progress() */
	bool waiting;
	int64_t advanced_at;
	bool well, status_changed;
	bool stands_by; /* both of service_came() */
	struct backoff backoff;
	char status[512];
	struct metric *well_gauge, *cpu_seconds, *memory_bytes, *open_files;
};

/* ---- the process */

/* Nobody else of this user may read our memory, where secrets are. LeakSanitizer has to. */
static void forbid_dumps(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return;
#endif
#endif
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* Signals are read where the loop turns, so that no call of any port is ever interrupted. Threads
 * that libraries start later inherit the mask. */
static void open_signals(struct service_inside *inside)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	inside->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
}

static void read_signals(struct service *service)
{
	struct signalfd_siginfo info;

	while (read(service->inside->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP)
			service->reload_wanted = true;
		else
			service->inside->stopping = true;
	}
}

static void open_watchdog(struct service_inside *inside)
{
	uint64_t period_us;

	if (sd_watchdog_enabled(0, &period_us) > 0)
		inside->watchdog_ms = (int64_t)(period_us / 1000);
}

/* ---- metrics */

static double resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (file) {
		if (fscanf(file, "%*s %ld", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	if (!directory)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count - 1; /* the one that was opened to count */
}

static double cpu_seconds(void)
{
	struct rusage usage_of_self;

	getrusage(RUSAGE_SELF, &usage_of_self);
	return (double)(usage_of_self.ru_utime.tv_sec + usage_of_self.ru_stime.tv_sec) +
	       (double)(usage_of_self.ru_utime.tv_usec + usage_of_self.ru_stime.tv_usec) / 1e6;
}

static void open_metrics(struct service *service)
{
	struct service_inside *inside = service->inside;
	struct metrics *metrics = &service->metrics;
	const char *const version[] = {"version", MODELWATCH_VERSION, NULL};

	metric_set(
		metrics_get(metrics, METRIC_GAUGE, "modelwatch_build_info", "Always 1.", version),
		1);
	metric_set(metrics_get(metrics, METRIC_GAUGE, "modelwatch_start_time_seconds",
			   "When the process started, since 1970.", NULL),
		(double)clock_wall_ms() / 1000);
	inside->well_gauge = metrics_get(metrics, METRIC_GAUGE, "modelwatch_well",
		"1: the service does its work; 0: it waits for something, see its STATUS.", NULL);
	inside->cpu_seconds = metrics_get(metrics, METRIC_COUNTER, "process_cpu_seconds_total",
		"User and system CPU time.", NULL);
	inside->memory_bytes = metrics_get(
		metrics, METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory.", NULL);
	inside->open_files = metrics_get(
		metrics, METRIC_GAUGE, "process_open_fds", "Open file descriptors.", NULL);
}

static void write_metrics(struct service *service, struct bytes *out)
{
	struct service_inside *inside = service->inside;

	metric_set(inside->well_gauge, inside->well);
	metric_set(inside->cpu_seconds, cpu_seconds());
	metric_set(inside->memory_bytes, resident_bytes());
	metric_set(inside->open_files, open_files());
	metrics_write(&service->metrics, out);
}

bool service_answer(
	struct service *service, const struct http_request *request, struct http_answer *answer)
{
	bool metrics = strcmp(request->path, "/metrics") == 0;
	bool healthy = strcmp(request->path, "/-/healthy") == 0;
	bool ready = strcmp(request->path, "/-/ready") == 0;

	if (!metrics && !healthy && !ready)
		return false;
	answer->content_type = "text/plain; charset=utf-8";
	if (strcmp(request->method, "GET") != 0) {
		answer->status = 405;
		answer->allow = "GET, HEAD";
		bytes_text(&answer->body, "only GET and HEAD\n");
	} else if (metrics) {
		answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
		write_metrics(service, &answer->body);
	} else if (healthy) {
		bytes_text(&answer->body, "healthy\n");
	} else {
		answer->status = service->inside->well ? 200 : 503;
		bytes_format(&answer->body, "%s\n", service->inside->status);
	}
	return true;
}

static void serve(void *context, const struct http_request *request, struct http_answer *answer)
{
	if (service_answer(context, request, answer))
		return;
	answer->status = 404;
	answer->content_type = "text/plain; charset=utf-8";
	bytes_text(&answer->body, "there are /metrics, /-/healthy and /-/ready\n");
}

static bool open_http(struct service *service, enum config_service kind, struct err *err)
{
	struct service_inside *inside = service->inside;
	struct config_listen address = inside->options.metrics;

	if (kind == SERVICE_SERVES_ITSELF)
		return true;
	if (!inside->options.metrics_text) {
		address = service->config.metrics[kind];
		address.port += address.port ? service->instance : 0;
	}
	if (!address.port)
		return true;
	if (address.port > 65535) {
		err_set(err, RC_FATAL,
			"port %d for the metrics of instance %d, expected at most 65535",
			address.port, service->instance);
		return false;
	}
	if (http_in_open(address.host, address.port, serve, service, &inside->http, err) == RC_OK)
		return true;
	err_prefix(err, RC_FATAL, "metrics: ");
	return false;
}

/* ---- life */

static bool load_config(const struct service *service, struct config *config)
{
	struct mistakes mistakes = {0};
	bool good = config_file_load(
			    service->inside->options.config_path, true, config, &mistakes) == RC_OK;

	if (!good && mistakes.text.size)
		fputs(mistakes.text.data, stderr);
	if (!good)
		fprintf(stderr, "modelwatch-%s: %zu %s in the configuration\n", service->name,
			mistakes.count, mistakes.count == 1 ? "mistake" : "mistakes");
	bytes_done(&mistakes.text);
	return good;
}

static void free_config(struct config *config)
{
	if (!config)
		return;
	config_done(config);
	free(config);
}

struct config *service_reload(struct service *service)
{
	struct config *fresh = memory_new(1, sizeof *fresh);

	service->reload_wanted = false;
	sd_notify(0, "STATUS=reading the configuration again");
	service->inside->status_changed = true;
	if (load_config(service, fresh))
		return fresh;
	service_refuse(fresh, &(struct err){"mistakes in the configuration"});
	return NULL;
}

void service_adopt(struct service *service, struct config *fresh)
{
	free_config(service->inside->adopted);
	service->inside->adopted = fresh;
	journal(JOURNAL_INFO, "reloaded", "config", fresh->digest, NULL);
}

void service_refuse(struct config *fresh, const struct err *reason)
{
	journal(JOURNAL_ERROR, "reload_refused", "reason", reason->text, "action",
		"the old one goes on", NULL);
	free_config(fresh);
}

static bool open_all(struct service *service, enum config_service kind, bool takes_instance,
	int argc, char **argv, int *exit_status)
{
	struct service_options *options = &service->inside->options;
	struct err err = {0};

	if (!service_options_read(
		    options, service->name, takes_instance, argc, argv, exit_status, &err)) {
		if (err.text[0])
			fprintf(stderr, "modelwatch-%s: %s\n", service->name, err.text);
		return false;
	}
	service->instance = options->instance;
	service->instances = options->instances;
	journal_open(service->name, options->level);
	*exit_status = EXIT_CONFIGURATION;
	if (!load_config(service, &service->config))
		return false;
	*exit_status = EXIT_FAILURE;
	open_signals(service->inside);
	open_metrics(service);
	if (!open_http(service, kind, &err)) {
		journal(JOURNAL_ERROR, "start_failed", "reason", err.text, NULL);
		return false;
	}
	open_watchdog(service->inside);
	*exit_status = 0;
	return true;
}

static void tell_ready(struct service *service)
{
	if (service->inside->told_ready)
		return;
	service->inside->told_ready = true;
	sd_notify(0, "READY=1");
	journal(JOURNAL_INFO, "started", "version", MODELWATCH_VERSION, "config",
		service->config.digest, NULL);
}

bool service_open(struct service *service, const char *name, enum config_service kind,
	bool takes_instance, int argc, char **argv, int *exit_status)
{
	*service = (struct service){.name = name, .instances = 1};
	service->inside = memory_new(1, sizeof *service->inside);
	*service->inside = (struct service_inside){.signals = -1, .well_at = clock_monotonic_ms()};
	service_status(service, false, "starting");
	forbid_dumps();
	if (!open_all(service, kind, takes_instance, argc, argv, exit_status)) {
		service_close(service);
		return false;
	}
	if (kind != SERVICE_SERVES_ITSELF)
		tell_ready(service);
	return true;
}

void service_close(struct service *service)
{
	struct service_inside *inside = service->inside;

	if (!inside)
		return;
	if (inside->told_ready) {
		sd_notify(0, "STOPPING=1");
		journal(JOURNAL_INFO, "stopped", NULL);
	}
	http_in_close(inside->http);
	if (inside->signals >= 0)
		close(inside->signals);
	service_options_done(&inside->options);
	free_config(inside->adopted);
	free(inside);
	metrics_done(&service->metrics);
	config_done(&service->config);
	*service = (struct service){0};
}

/* A loop may turn and do nothing, behind a client library that lost its way. One that waits for
 * something that is known to be unwell does what it can. */
static bool is_stuck(struct service_inside *inside, int64_t now)
{
	if (!inside->well || !inside->waiting)
		inside->advanced_at = now;
	return now - inside->advanced_at >= 2 * inside->watchdog_ms;
}

/* Once a second, or oftener if the period is short: a turn may take almost a whole period. */
static void feed_watchdog(struct service_inside *inside, int64_t now)
{
	int64_t every_ms =
		inside->watchdog_ms / 4 < STATUS_MS ? inside->watchdog_ms / 4 : STATUS_MS;

	if (!inside->watchdog_ms || now - inside->watchdog_at < every_ms || is_stuck(inside, now))
		return;
	inside->watchdog_at = now;
	sd_notify(0, "WATCHDOG=1");
}

/* Once when the service has to wait (not for a moment only), and once when it goes on. */
static void tell_journal(struct service_inside *inside, int64_t now)
{
	if (inside->well && inside->told_unwell)
		journal(JOURNAL_INFO, "well", "status", inside->status, NULL);
	if (inside->well) {
		inside->told_unwell = false;
		inside->well_at = now;
	} else if (!inside->told_unwell && now - inside->well_at >= UNWELL_MS) {
		journal(JOURNAL_WARNING, "unwell", "reason", inside->status, "action", "retry",
			NULL);
		inside->told_unwell = true;
	}
}

static void tell_systemd(struct service_inside *inside)
{
	int64_t now = clock_monotonic_ms();

	feed_watchdog(inside, now);
	if (now - inside->status_at < STATUS_MS)
		return;
	inside->status_at = now;
	tell_journal(inside, now);
	journal_turn();
	if (inside->status_changed)
		sd_notifyf(0, "STATUS=%s", inside->status);
	inside->status_changed = false;
}

static bool turn(struct service *service, int wait_ms)
{
	struct service_inside *inside = service->inside;

	tell_ready(service);
	if (inside->http)
		http_in_poll(inside->http, wait_ms);
	else if (wait_ms)
		usleep((useconds_t)wait_ms * 1000);
	read_signals(service);
	tell_systemd(inside);
	return !inside->stopping;
}

bool service_turn(struct service *service)
{
	return turn(service, 0);
}

void service_status(struct service *service, bool well, const char *format, ...)
{
	struct service_inside *inside = service->inside;
	char text[sizeof inside->status];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = ' '; /* a line more would be another message to systemd */
	inside->well = well;
	if (strcmp(text, inside->status) != 0) {
		memcpy(inside->status, text, sizeof text);
		inside->status_changed = true;
	}
}

void service_progress(struct service *service, uint64_t done, bool waiting)
{
	struct service_inside *inside = service->inside;

	if (done != inside->done)
		inside->advanced_at = clock_monotonic_ms();
	inside->done = done;
	inside->waiting = waiting;
}

/* Half of the wait is certain, half is chance, so that services which failed together do not return
 * together. */
static int64_t jittered(int64_t wait_ms)
{
	uint32_t chance;

	clock_chance(&chance, sizeof chance);
	return wait_ms / 2 + (int64_t)(chance % (uint32_t)(wait_ms / 2 + 1));
}

void service_back_off(struct service *service, struct backoff *backoff)
{
	backoff->wait_ms = backoff->wait_ms ? backoff->wait_ms * 2 : BACKOFF_MS_FIRST;
	if (backoff->wait_ms > BACKOFF_MS_MAX)
		backoff->wait_ms = BACKOFF_MS_MAX;
	int64_t until = clock_monotonic_ms() + jittered(backoff->wait_ms);

	for (;;) {
		int64_t left = until - clock_monotonic_ms();

		if (left <= 0 || !turn(service, (int)(left < SLICE_MS ? left : SLICE_MS)))
			return;
	}
}

void backoff_reset(struct backoff *backoff)
{
	backoff->wait_ms = 0;
}

/* Nothing is unwell: there is no reason to come more and more seldom. */
static void stand_by(struct service *service, const char *reason)
{
	struct service_inside *inside = service->inside;
	char status[sizeof inside->status];

	snprintf(status, sizeof status, "standby: %s", reason);
	if (strcmp(status, inside->status) != 0)
		journal(JOURNAL_INFO, "standby", "reason", reason, NULL);
	inside->stands_by = true;
	inside->backoff.wait_ms = STAND_BY_MS / 2;
	service_status(service, true, "%s", status);
}

void service_came(struct service *service, enum rc rc, const struct err *err, bool may_wait)
{
	struct service_inside *inside = service->inside;

	if (rc == RC_OK) {
		if (inside->stands_by)
			journal(JOURNAL_INFO, "active", NULL);
		inside->stands_by = false;
		backoff_reset(&inside->backoff);
		return;
	}
	if (rc == RC_NONE)
		stand_by(service, err->text);
	else
		service_status(service, false, "waiting: %s", err->text);
	if (may_wait)
		service_back_off(service, &inside->backoff);
}
