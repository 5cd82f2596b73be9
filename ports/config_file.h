/* ports/config_file.h: configuration from files: YAML documents, directories of them, secrets.
 * TOUCHES: files. Every mistake of every file is collected; nothing starts on a half-read one. */
#ifndef PORTS_CONFIG_FILE_H
#define PORTS_CONFIG_FILE_H

#include "core/config.h"

/* path: a file, or a directory whose *.yaml and *.yml are merged in order of name. NULL:
 * MODELWATCH_CONFIG, else /etc/modelwatch/modelwatch.yaml. Relative paths of secrets and
 * certificates start at the file's directory (or $CREDENTIALS_DIRECTORY when they are there).
 * RC_FATAL: mistakes say why. config_done() is due either way. with_secrets: false for `check` on a
 * machine that does not have them. */
enum rc config_file_load(const char *path, bool with_secrets, struct config *config,
	struct mistakes *mistakes) MUST_CHECK;

#endif
