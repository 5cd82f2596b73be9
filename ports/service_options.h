/* ports/service_options.h: the command line of a service. Inside of ports/service.c. */
#ifndef PORTS_SERVICE_OPTIONS_H
#define PORTS_SERVICE_OPTIONS_H

#include "core/config.h"
#include "ports/journal.h"

struct service_options {
	char *config_path; /* NULL: where config_file.h looks */
	int instance, instances;
	enum journal_level level;
	char *metrics_text; /* holds the host of metrics; NULL: metrics as configured */
	struct config_listen metrics;
};

/* False: leave with *exit_status; err says what is wrong, if it has not been said (by getopt, or as
 * help). */
bool service_options_read(struct service_options *options, const char *name, bool takes_instance,
	int argc, char **argv, int *exit_status, struct err *err);
void service_options_done(struct service_options *options);

#endif
