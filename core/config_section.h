/* core/config_section.h: the configuration as tables: what the core/config_*.c files share, and
 * nobody else includes. THINKS. A section is a mapping of the configuration and the struct that it
 * fills; each key says its type, default, range and meaning once, and reading, mistakes, freeing
 * and docs/configuration.md follow. */
#ifndef CORE_CONFIG_SECTION_H
#define CORE_CONFIG_SECTION_H

#include "core/config.h"

struct reading { /* one config_read() */
	struct config *config;
	struct mistakes *mistakes;
	load_secret load; /* NULL: secrets are not loaded */
	void *context;
};

struct path {                  /* where in the configuration: models[0].tolerate */
	const struct path *up; /* NULL: the whole */
	const char *name;
	long index; /* in a list; -1: not in one */
};

struct key;

struct type {
	/* Reads a value into the item, or adds mistakes and leaves the default there. */
	void (*read)(struct reading *reading, const struct key *key, const struct node *value,
		const struct path *path, void *item);
	/* Scalars: the text's value into the item. False: it is none, nothing changed. */
	bool (*parse)(const struct key *key, const char *text, void *item);
	/* What is expected: "a duration from 1s to 1d". */
	void (*expect)(const struct key *key, struct bytes *out);
	/* Puts the default into a zeroed item; NULL: zero is right. */
	void (*fill)(const struct key *key, void *item);
	/* Frees what the item holds; NULL: nothing to free. */
	void (*drop)(const struct key *key, void *item);
	bool plain; /* a scalar in quotes is not one */
};

struct key {
	const char *name;
	const struct type *type;
	size_t offset;       /* in the item, of what is read */
	size_t count_offset; /* lists: of its count */
	bool required;
	const char *fallback; /* the default, as one would write it */
	int64_t low, high; /* range of numbers and durations; fewest bytes of a text or entries of a
			      list */
	const char *const *choices;    /* ended by NULL, in the order of the enum */
	const struct type *element;    /* of a list of scalars */
	const struct section *section; /* of a mapping, or of each in a list */
	const char *told; /* what is expected, or the default, where tables cannot say it */
	const char *help; /* the meaning, a sentence */
};

struct section {
	size_t size; /* of the item; needed for lists */
	const struct key *keys;
	size_t key_count;
	const struct key *other; /* reads any other key, under its name; NULL: there may be none */
	/* Whether such a name may stand here; else it has added a mistake. NULL: any may. */
	bool (*accepts)(struct reading *reading, const struct node *name, const struct path *path);
	/* What only the whole item shows. */
	void (*finish)(struct reading *reading, const struct node *mapping, const struct path *path,
		void *item);
};

/* The keys of a struct config_http that is a member of an item. */
#define HTTP_KEYS(item, member)                                                                    \
	{.name = "url",                                                                            \
		.type = &type_url,                                                                 \
		.offset = offsetof(item, member.url),                                              \
		.required = true,                                                                  \
		.help = "Where it is called."},                                                    \
		{.name = "bearer_token_file",                                                      \
			.type = &type_secret,                                                      \
			.offset = offsetof(item, member.bearer),                                   \
			.help = "A file that holds the token of `Authorization: Bearer`."},        \
		{.name = "ca",                                                                     \
			.type = &type_certificate,                                                 \
			.offset = offsetof(item, member.ca),                                       \
			.help = "A file of certificates to believe, instead of the system's."},    \
	{                                                                                          \
		.name = "timeout", .type = &type_duration,                                         \
		.offset = offsetof(item, member.timeout_ms), .low = 100, .high = 600000,           \
		.fallback = "15s", .help = "Of the whole call."                                    \
	}

#define KEYS(table) .keys = (table), .key_count = sizeof(table) / sizeof *(table)

/* The whole configuration, and how its parts are entered. */
extern const struct section section_config, section_kafka, section_receiver, section_route,
	section_target, section_policy, section_model, section_redis, section_formats;
extern const struct type type_redis;

void section_fill(const struct section *section, void *item); /* all defaults */
void section_read(struct reading *reading, const struct section *section, const struct node *node,
	const struct path *path, void *item);
void section_done(const struct section *section, void *item);

/* Scalars. */
extern const struct type type_text;            /* char *, without control characters */
extern const struct type type_body;            /* char *, anything */
extern const struct type type_name;            /* char *, [A-Za-z0-9_.:/@-]{1,128} */
extern const struct type type_url;             /* char *, http or https */
extern const struct type type_pointer;         /* char *, JSON pointer; NULL without default */
extern const struct type type_label;           /* char *, label name, or "..." */
extern const struct type type_network;         /* char *, CIDR */
extern const struct type type_certificate;     /* char *, a file that load() can read */
extern const struct type type_secret;          /* struct secret *, from a file */
extern const struct type type_integer;         /* int64_t */
extern const struct type type_int;             /* int */
extern const struct type type_size;            /* int64_t bytes: 65536, 64KiB, 1MiB */
extern const struct type type_boolean;         /* bool */
extern const struct type type_choice;          /* an enum */
extern const struct type type_duration;        /* int64_t ms */
extern const struct type type_duration_or_off; /* int64_t ms, -1 = off */
extern const struct type type_ratio;           /* double > 1: 5%, x1.5 */
extern const struct type type_deviations;      /* double: 0.05sd */
extern const struct type type_share;           /* double: 0.01, 1% */
extern const struct type type_listen; /* struct config_listen; low 1: loopback only, never off */

/* More than scalars. */
extern const struct type type_texts;    /* char **, of element */
extern const struct type type_section;  /* a struct */
extern const struct type type_sections; /* an array of structs with key->section */
extern const struct type type_matchers; /* struct matcher * */

static inline void *place_of(const struct key *key, void *item)
{
	return (char *)item + key->offset;
}

/* Mistakes. found: what stands there, quoted, cut; refuse: "NAME: found X, expected Y". */
void mistake(struct reading *reading, const struct node *at, const char *format, ...)
	PRINTF_LIKE(3, 4);
void refuse(struct reading *reading, const struct key *key, const struct node *value);
bool refuse_unless(struct reading *reading, enum node_kind kind, const struct key *key,
	const struct node *value); /* true: it is of this kind */
void found(const struct node *node, struct bytes *out);
void path_render(const struct path *path, struct bytes *out);

/* The nearest of the names that were offered: at most 2 slips away, or a third of the length. */
struct hint {
	const char *word;
	const char *best; /* NULL: none is near */
	size_t distance;
};
void hint_offer(struct hint *hint, const char *name);
const char *hint_text(const struct hint *hint, struct bytes *out); /* "; did you mean 'x'?" or "" */

/* What types of one scalar are made of. put_text replaces a char *. */
void scalar_read(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item);
void scalar_fill(const struct key *key, void *item);
bool put_text(const struct key *key, const char *text, void *item);
void text_fill(const struct key *key, void *item); /* the default or "" */
void text_drop(const struct key *key, void *item);

/* HOST:PORT, with [v6]:PORT; port_default -1: the port must be there. The host is the caller's. */
bool parse_host_port(const char *text, int port_default, char **host, int *port);
bool parse_duration(const char *text, int64_t *duration_ms);
void format_duration(int64_t duration_ms, struct bytes *out);
bool parse_whole(const char *text, const char **end, int64_t *number); /* digits; false: too many */
bool parse_number(const char *text, const char **end, double *number); /* digits[.digits], >= 0 */

/* Whether an alert has this name; else it has added a mistake. */
bool is_alertname(struct reading *reading, const struct node *at, const char *name);

/* Defaults that depend on other values: the entry that matches every model, receivers of routes. */
void complete_models(struct config *config);
void complete_route(struct config *config);

bool is_nothing(const struct node *node); /* a key without a value, ~ or null */

#endif
