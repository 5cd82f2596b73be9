/* ports/config_file.c: a configuration from its file, or from the files of its directory. */
#include "ports/config_file.h"

#include "core/digest.h"
#include "core/memory.h"
#include "ports/yaml.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_BYTES_MAX = 16 << 20, SECRET_BYTES_MAX = 64 << 10 };

static const char path_default[] = "/etc/modelwatch/modelwatch.yaml";

struct files {           /* what one configuration is read from */
	char *directory; /* where relative paths start */
	char **paths;
	struct node **documents; /* NULL: not YAML */
	size_t count;
};

static char *join_path(const char *directory, const char *name)
{
	CLEANUP(bytes_done) struct bytes path = {0};

	bytes_format(&path, "%s/%s", directory, name);
	return memory_text(path.data);
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return memory_text(".");
	return memory_copy(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Appends the file's bytes; on failure err has the reason alone, without the path. */
static enum rc read_all(const char *path, size_t size_max, struct bytes *out, struct err *err)
{
	char piece[16384];
	size_t start = out->size;
	ssize_t got = 0;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return err_set(err, RC_FATAL, "%s", strerror(errno));
	while (out->size - start <= size_max) {
		got = read(file, piece, sizeof piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		bytes_add(out, piece, (size_t)got);
	}
	int failed = errno;

	explicit_bzero(piece, sizeof piece);
	close(file);
	if (got < 0)
		return err_set(err, RC_FATAL, "%s", strerror(failed));
	if (out->size - start > size_max)
		return err_set(err, RC_FATAL, "more than %zu bytes", size_max);
	return RC_OK;
}

static bool is_yaml(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int compare_texts(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static void add_path(struct files *files, char *path)
{
	files->paths = memory_grow(files->paths, files->count + 1, sizeof *files->paths);
	files->paths[files->count++] = path;
}

static void list_directory(const char *path, struct files *files, struct mistakes *mistakes)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	if (!directory) {
		mistakes_add(mistakes, path, 0, 0, "cannot be read: %s", strerror(errno));
		return;
	}
	files->directory = memory_text(path);
	while ((entry = readdir(directory)))
		if (is_yaml(entry->d_name))
			add_path(files, join_path(path, entry->d_name));
	closedir(directory);
	if (files->count)
		qsort(files->paths, files->count, sizeof *files->paths, compare_texts);
	else
		mistakes_add(mistakes, path, 0, 0,
			"found no *.yaml or *.yml in this directory, expected at least one");
}

static void list_files(const char *path, struct files *files, struct mistakes *mistakes)
{
	struct stat about;

	if (stat(path, &about) != 0) {
		mistakes_add(mistakes, path, 0, 0,
			"cannot be read: %s; say where the configuration is with --config or "
			"MODELWATCH_CONFIG",
			strerror(errno));
		return;
	}
	if (S_ISDIR(about.st_mode)) {
		list_directory(path, files, mistakes);
		return;
	}
	files->directory = directory_of(path);
	add_path(files, memory_text(path));
}

/* Reads every file, also after one that is none. True: all are there. */
static bool read_files(struct files *files, char digest[DIGEST_HEX_SIZE], struct mistakes *mistakes)
{
	CLEANUP(bytes_done) struct bytes all = {0};
	bool whole = files->count > 0;

	files->documents = memory_new(files->count, sizeof *files->documents);
	for (size_t i = 0; i < files->count; i++) {
		size_t start = all.size;
		struct err err;

		if (read_all(files->paths[i], CONFIG_BYTES_MAX, &all, &err) != RC_OK)
			mistakes_add(
				mistakes, files->paths[i], 0, 0, "cannot be read: %s", err.text);
		else
			files->documents[i] =
				yaml_parse((struct view){all.data + start, all.size - start},
					files->paths[i], mistakes);
		whole = whole && files->documents[i];
	}
	digest_sha256_hex((struct view){all.data, all.size}, digest);
	return whole;
}

static void files_done(struct files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		if (files->documents)
			node_free(files->documents[i]);
		free(files->paths[i]);
	}
	free(files->documents);
	free(files->paths);
	free(files->directory);
}

/* Where a file that the configuration names is: systemd's credentials first, then beside the
 * configuration. */
static char *resolve(const struct files *files, const char *path)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	if (path[0] == '/')
		return memory_text(path);
	if (credentials && *credentials) {
		char *there = join_path(credentials, path);

		if (access(there, F_OK) == 0)
			return there;
		free(there);
	}
	return join_path(files->directory, path);
}

static struct secret *load(void *context, const char *name, struct err *err)
{
	char *path = resolve(context, name);
	struct bytes data = {0};
	struct secret *secret = NULL;

	if (read_all(path, SECRET_BYTES_MAX, &data, err) != RC_OK)
		err_prefix(err, RC_FATAL, "%s cannot be read: ", path);
	else
		secret = secret_new(data.data, data.size);
	if (secret && !secret_reveal(secret).size) {
		secret_free(secret);
		secret = NULL;
		err_set(err, RC_FATAL, "%s is empty, expected a secret", path);
	}
	if (data.data)
		explicit_bzero(data.data, data.size);
	bytes_done(&data);
	free(path);
	return secret;
}

static void resolve_certificates(const struct files *files, char **ca)
{
	if (!**ca)
		return;
	char *path = resolve(files, *ca);

	free(*ca);
	*ca = path;
}

/* The doors open certificates themselves, by their paths. */
static void resolve_all(const struct files *files, struct config *config)
{
	resolve_certificates(files, &config->redis.ca);
	for (size_t i = 0; i < config->receiver_count; i++)
		for (size_t j = 0; j < config->receivers[i].integration_count; j++)
			resolve_certificates(files, &config->receivers[i].integrations[j].http.ca);
	for (size_t i = 0; i < config->target_count; i++) {
		struct config_target *target = &config->targets[i];

		resolve_certificates(files, &target->status.ca);
		for (size_t j = 0; j < target->operation_count; j++)
			resolve_certificates(files, &target->operations[j].http.ca);
	}
}

enum rc config_file_load(
	const char *path, bool with_secrets, struct config *config, struct mistakes *mistakes)
{
	CLEANUP(files_done) struct files files = {0};
	const char *from_environment = getenv("MODELWATCH_CONFIG");
	char digest[DIGEST_HEX_SIZE];

	*config = (struct config){0};
	if (!path)
		path = from_environment && *from_environment ? from_environment : path_default;
	list_files(path, &files, mistakes);
	/* With one file amiss, what refers to it would look wrong too: only what is certain is
	 * told. */
	if (!read_files(&files, digest, mistakes))
		return RC_FATAL;
	enum rc rc = config_read((const struct node *const *)files.documents, files.count,
		with_secrets ? load : NULL, &files, config, mistakes);

	memcpy(config->digest, digest, sizeof config->digest);
	resolve_all(&files, config);
	return rc;
}
