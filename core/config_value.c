/* core/config_value.c: texts of the configuration: names, URLs, addresses, files, choices. THINKS.
 */
#include "core/config_section.h"

#include "core/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void scalar_read(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	(void)path;
	if (value->kind != NODE_SCALAR || is_nothing(value) ||
		(key->type->plain && value->quoted) || !key->type->parse(key, value->text, item))
		refuse(reading, key, value);
}

void scalar_fill(const struct key *key, void *item)
{
	if (key->fallback) {
		bool good = key->type->parse(key, key->fallback, item);

		assert(good);
	}
}

void text_fill(const struct key *key, void *item)
{
	char **text = place_of(key, item);

	*text = memory_text(key->fallback ? key->fallback : "");
}

void text_drop(const struct key *key, void *item)
{
	char **text = place_of(key, item);

	free(*text);
	*text = NULL;
}

bool put_text(const struct key *key, const char *text, void *item)
{
	text_drop(key, item);
	*(char **)place_of(key, item) = memory_text(text);
	return true;
}

static void expect_told(const struct key *key, struct bytes *out, const char *usual)
{
	bytes_text(out, key->told ? key->told : usual);
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static bool parse_text(const struct key *key, const char *text, void *item)
{
	return (int64_t)strlen(text) >= key->low && !has_control(text) && put_text(key, text, item);
}

static void expect_text(const struct key *key, struct bytes *out)
{
	expect_told(key, out, "a text");
}

const struct type type_text = {.read = scalar_read,
	.parse = parse_text,
	.expect = expect_text,
	.fill = text_fill,
	.drop = text_drop};

const struct type type_body = {.read = scalar_read,
	.parse = put_text,
	.expect = expect_text,
	.fill = text_fill,
	.drop = text_drop};

static bool parse_name(const struct key *key, const char *text, void *item)
{
	size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.:/@-");

	return size && size <= 128 && !text[size] && put_text(key, text, item);
}

static void expect_name(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a name of 1 to 128 letters, digits and _.:/@-");
}

const struct type type_name = {.read = scalar_read,
	.parse = parse_name,
	.expect = expect_name,
	.fill = text_fill,
	.drop = text_drop};

static bool parse_label(const struct key *key, const char *text, void *item)
{
	bool name = isalpha((unsigned char)*text) || *text == '_';

	for (const char *at = text; *at; at++)
		name = name && (isalnum((unsigned char)*at) || *at == '_');
	return (name || strcmp(text, "...") == 0) && put_text(key, text, item);
}

static void expect_label(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "the name of a label such as model");
}

const struct type type_label = {
	.read = scalar_read, .parse = parse_label, .expect = expect_label, .drop = text_drop};

static bool parse_network(const struct key *key, const char *text, void *item)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	unsigned char bits[16];

	if (!slash || (size_t)(slash - text) >= sizeof address || !slash[1] ||
		strspn(slash + 1, "0123456789") != strlen(slash + 1) || strlen(slash + 1) > 3)
		return false;
	view_copy((struct view){text, (size_t)(slash - text)}, address, sizeof address);
	int most = inet_pton(AF_INET, address, bits) == 1    ? 32
		   : inet_pton(AF_INET6, address, bits) == 1 ? 128
							     : -1;

	return atoi(slash + 1) <= most && put_text(key, text, item);
}

static void expect_network(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a network such as 10.1.0.0/16, 127.0.0.1/32 or fd00::/8");
}

const struct type type_network = {
	.read = scalar_read, .parse = parse_network, .expect = expect_network, .drop = text_drop};

/* What stands between :// and the path. */
static struct view authority_of(const char *url)
{
	const char *scheme = strstr(url, "://");
	const char *start = scheme ? scheme + 3 : url;

	return (struct view){start, strcspn(start, "/?#")};
}

static bool parse_url(const struct key *key, const char *text, void *item)
{
	char *host, *authority;
	int port;

	if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return false;
	if (has_control(text) || strchr(text, ' '))
		return false;
	struct view view = authority_of(text);

	authority = memory_copy(view.data, view.size);
	bool good = parse_host_port(authority, 80, &host, &port);

	free(authority);
	if (!good)
		return false;
	free(host);
	return port > 0 && put_text(key, text, item);
}

/* A value with an @ may hold a password: such a one is never shown. */
static void read_url(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct view authority = authority_of(value->kind == NODE_SCALAR ? value->text : "");

	if (memchr(authority.data, '@', authority.size))
		mistake(reading, value,
			"%s: found a user or password in a URL, expected none; secrets stand in "
			"files: "
			"bearer_token_file",
			key->name);
	else
		scalar_read(reading, key, value, path, item);
}

static void expect_url(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a URL such as https://host:8443/path (http or https)");
}

const struct type type_url = {.read = read_url,
	.parse = parse_url,
	.expect = expect_url,
	.fill = text_fill,
	.drop = text_drop};

/* RFC 6901: each token starts with /, and ~ only as ~0 or ~1. */
static bool parse_pointer(const struct key *key, const char *text, void *item)
{
	if (*text != '/')
		return false;
	for (const char *at = text; (at = strchr(at, '~')); at++)
		if (at[1] != '0' && at[1] != '1')
			return false;
	return put_text(key, text, item);
}

static void expect_pointer(const struct key *key, struct bytes *out)
{
	expect_told(key, out, "a JSON pointer such as /status/code");
}

const struct type type_pointer = {.read = scalar_read,
	.parse = parse_pointer,
	.expect = expect_pointer,
	.fill = scalar_fill,
	.drop = text_drop};

/* *loaded stays NULL where secrets are not loaded, or could not be. */
static void load_file(struct reading *reading, const struct key *key, const struct node *value,
	struct secret **loaded)
{
	struct err err = {0};

	if (!reading->load)
		return;
	*loaded = reading->load(reading->context, value->text, &err);
	if (!*loaded)
		mistake(reading, value, "%s: %s", key->name, err.text);
}

static bool is_path(struct reading *reading, const struct key *key, const struct node *value)
{
	if (value->kind == NODE_SCALAR && !is_nothing(value) && *value->text &&
		!has_control(value->text))
		return true;
	refuse(reading, key, value);
	return false;
}

static void read_secret(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct secret **secret = place_of(key, item);

	(void)path;
	if (!is_path(reading, key, value))
		return;
	load_file(reading, key, value, secret);
}

static void expect_file(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "the path of a file");
}

static void drop_secret(const struct key *key, void *item)
{
	struct secret **secret = place_of(key, item);

	secret_free(*secret);
	*secret = NULL;
}

const struct type type_secret = {.read = read_secret, .expect = expect_file, .drop = drop_secret};

static void read_certificate(struct reading *reading, const struct key *key,
	const struct node *value, const struct path *path, void *item)
{
	struct secret *content = NULL;

	(void)path;
	if (!is_path(reading, key, value))
		return;
	load_file(reading, key, value, &content);
	secret_free(content);
	put_text(key, value->text, item);
}

const struct type type_certificate = {
	.read = read_certificate, .expect = expect_file, .fill = text_fill, .drop = text_drop};

static bool parse_boolean(const struct key *key, const char *text, void *item)
{
	bool yes = strcmp(text, "true") == 0;

	if (!yes && strcmp(text, "false") != 0)
		return false;
	*(bool *)place_of(key, item) = yes;
	return true;
}

static void expect_boolean(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "true or false");
}

const struct type type_boolean = {.read = scalar_read,
	.parse = parse_boolean,
	.expect = expect_boolean,
	.fill = scalar_fill,
	.plain = true};

static bool parse_choice(const struct key *key, const char *text, void *item)
{
	for (unsigned i = 0; key->choices[i]; i++)
		if (strcmp(key->choices[i], text) == 0) {
			*(unsigned *)place_of(key, item) = i;
			return true;
		}
	return false;
}

static void expect_choice(const struct key *key, struct bytes *out)
{
	for (size_t i = 0; key->choices[i]; i++)
		bytes_format(out, "%s%s",
			!i                    ? ""
			: key->choices[i + 1] ? ", "
					      : " or ",
			key->choices[i]);
}

const struct type type_choice = {
	.read = scalar_read, .parse = parse_choice, .expect = expect_choice, .fill = scalar_fill};

static bool is_host(const char *host, bool bracketed)
{
	size_t size = bracketed
			      ? strspn(host, "0123456789abcdefABCDEF:.")
			      : strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					     "0123456789._-");

	return size && size <= 255 && !host[size];
}

bool parse_host_port(const char *text, int port_default, char **host, int *port)
{
	bool bracketed = *text == '[';
	const char *start = text + bracketed, *end = start + strcspn(start, bracketed ? "]" : ":");
	int64_t number = port_default;

	if (bracketed && *end != ']')
		return false;
	const char *colon = end + bracketed;

	if (*colon == ':') {
		if (!parse_whole(colon + 1, &colon, &number))
			return false;
	}
	if (*colon || number < 0 || number > 65535)
		return false;
	char *copy = memory_copy(start, (size_t)(end - start));

	if (!is_host(copy, bracketed)) {
		free(copy);
		return false;
	}
	*host = copy;
	*port = (int)number;
	return true;
}

static bool is_address(const char *host, bool *loopback)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1) {
		*loopback = ntohl(v4.s_addr) >> 24 == 127;
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6) != 1)
		return false;
	*loopback = IN6_IS_ADDR_LOOPBACK(&v6);
	return true;
}

static void put_listen(struct config_listen *listen, char *host, int port)
{
	free(listen->host);
	listen->host = host;
	listen->port = port;
}

static bool parse_listen(const struct key *key, const char *text, void *item)
{
	bool loopback_only = key->low, loopback;
	char *host;
	int port;

	if (!loopback_only && strcmp(text, "off") == 0) {
		put_listen(place_of(key, item), memory_text("127.0.0.1"), 0);
		return true;
	}
	if (!parse_host_port(text, -1, &host, &port))
		return false;
	if (strcmp(host, "localhost") == 0) {
		free(host);
		host = memory_text("127.0.0.1");
	}
	if (!is_address(host, &loopback) || (loopback_only && (!loopback || !port))) {
		free(host);
		return false;
	}
	put_listen(place_of(key, item), host, port);
	return true;
}

static void expect_listen(const struct key *key, struct bytes *out)
{
	bytes_text(out,
		key->low ? "a loopback address and port such as 127.0.0.1:9130 or [::1]:9130 "
			   "(others need TLS)"
			 : "an address and port such as 127.0.0.1:9131 or 0.0.0.0:9131, or off");
}

static void drop_listen(const struct key *key, void *item)
{
	struct config_listen *listen = place_of(key, item);

	free(listen->host);
	listen->host = NULL;
}

const struct type type_listen = {.read = scalar_read,
	.parse = parse_listen,
	.expect = expect_listen,
	.fill = scalar_fill,
	.drop = drop_listen};
