/* core/config_value.c: scalars of the configuration: durations, tolerances, names, addresses, files.
 * THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int64_t ms;
} time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { TIME_UNITS = sizeof time_units / sizeof *time_units };

static const int64_t duration_ms_max = 3650LL * 86400000;

static void read_scalar(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	(void)path;
	if (value->kind != NODE_SCALAR || is_nothing(value) ||
		(key->type->plain && value->quoted) || !key->type->parse(key, value->text, item))
		refuse(reading, key, value);
}

static void fill_scalar(const struct key *key, void *item)
{
	if (key->fallback) {
		bool good = key->type->parse(key, key->fallback, item);

		assert(good);
	}
}

static void fill_text(const struct key *key, void *item)
{
	char **text = place_of(key, item);

	*text = memory_text(key->fallback ? key->fallback : "");
}

static void drop_text(const struct key *key, void *item)
{
	char **text = place_of(key, item);

	free(*text);
	*text = NULL;
}

static bool put_text(const struct key *key, const char *text, void *item)
{
	drop_text(key, item);
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
	return (int64_t)strlen(text) >= key->low && !has_control(text) &&
	       put_text(key, text, item);
}

static void expect_text(const struct key *key, struct bytes *out)
{
	expect_told(key, out, "a text");
}

const struct type type_text = {.read = read_scalar,
	.parse = parse_text,
	.expect = expect_text,
	.fill = fill_text,
	.drop = drop_text};

const struct type type_body = {.read = read_scalar,
	.parse = put_text,
	.expect = expect_text,
	.fill = fill_text,
	.drop = drop_text};

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

const struct type type_name = {.read = read_scalar,
	.parse = parse_name,
	.expect = expect_name,
	.fill = fill_text,
	.drop = drop_text};

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
	.read = read_scalar, .parse = parse_label, .expect = expect_label, .drop = drop_text};

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
	.read = read_scalar, .parse = parse_network, .expect = expect_network, .drop = drop_text};

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
			"%s: found a user or password in a URL, expected none; secrets stand in files: "
			"bearer_token_file",
			key->name);
	else
		read_scalar(reading, key, value, path, item);
}

static void expect_url(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a URL such as https://host:8443/path (http or https)");
}

const struct type type_url = {.read = read_url,
	.parse = parse_url,
	.expect = expect_url,
	.fill = fill_text,
	.drop = drop_text};

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

const struct type type_pointer = {.read = read_scalar,
	.parse = parse_pointer,
	.expect = expect_pointer,
	.fill = fill_scalar,
	.drop = drop_text};

static struct secret *load_file(
	struct reading *reading, const struct key *key, const struct node *value)
{
	struct err err = {0};

	if (!reading->load)
		return NULL;
	struct secret *secret = reading->load(reading->context, value->text, &err);

	if (!secret)
		mistake(reading, value, "%s: %s", key->name, err.text);
	return secret;
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
	secret_free(*secret);
	*secret = load_file(reading, key, value);
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

const struct type type_secret = {
	.read = read_secret, .expect = expect_file, .drop = drop_secret};

static void read_certificate(struct reading *reading, const struct key *key,
	const struct node *value, const struct path *path, void *item)
{
	(void)path;
	if (!is_path(reading, key, value))
		return;
	secret_free(load_file(reading, key, value));
	put_text(key, value->text, item);
}

const struct type type_certificate = {
	.read = read_certificate, .expect = expect_file, .fill = fill_text, .drop = drop_text};

static bool parse_whole(const char *text, const char **end, int64_t *number)
{
	int64_t value = 0;
	const char *at = text;

	for (; isdigit((unsigned char)*at); at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *at - '0', &value))
			return false;
	*end = at;
	*number = value;
	return at > text;
}

static bool parse_integer(const struct key *key, const char *text, void *item)
{
	const char *end;
	int64_t number;

	if (!parse_whole(text, &end, &number) || *end || number < key->low || number > key->high)
		return false;
	*(int64_t *)place_of(key, item) = number;
	return true;
}

static void expect_integer(const struct key *key, struct bytes *out)
{
	bytes_format(out, "a whole number from %lld to %lld", (long long)key->low,
		(long long)key->high);
}

const struct type type_integer = {.read = read_scalar,
	.parse = parse_integer,
	.expect = expect_integer,
	.fill = fill_scalar,
	.plain = true};

static bool parse_int(const struct key *key, const char *text, void *item)
{
	struct key wide = *key;
	int64_t number;

	wide.offset = 0;
	if (!parse_integer(&wide, text, &number))
		return false;
	*(int *)place_of(key, item) = (int)number;
	return true;
}

const struct type type_int = {.read = read_scalar,
	.parse = parse_int,
	.expect = expect_integer,
	.fill = fill_scalar,
	.plain = true};

static void format_size(int64_t size, struct bytes *out)
{
	if (size % (1 << 20) == 0)
		bytes_format(out, "%lldMiB", (long long)(size >> 20));
	else if (size % (1 << 10) == 0)
		bytes_format(out, "%lldKiB", (long long)(size >> 10));
	else
		bytes_format(out, "%lld", (long long)size);
}

static bool parse_size(const struct key *key, const char *text, void *item)
{
	const char *end;
	int64_t number, unit = 1;

	if (!parse_whole(text, &end, &number))
		return false;
	end += *end == ' ';
	if (strcmp(end, "KiB") == 0)
		unit = 1 << 10;
	else if (strcmp(end, "MiB") == 0)
		unit = 1 << 20;
	else if (*end)
		return false;
	if (number > key->high / unit || number * unit < key->low)
		return false;
	*(int64_t *)place_of(key, item) = number * unit;
	return true;
}

static void expect_size(const struct key *key, struct bytes *out)
{
	bytes_text(out, "bytes from ");
	format_size(key->low, out);
	bytes_text(out, " to ");
	format_size(key->high, out);
}

const struct type type_size = {
	.read = read_scalar, .parse = parse_size, .expect = expect_size, .fill = fill_scalar};

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

const struct type type_boolean = {.read = read_scalar,
	.parse = parse_boolean,
	.expect = expect_boolean,
	.fill = fill_scalar,
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
			!i		      ? ""
			: key->choices[i + 1] ? ", "
					      : " or ",
			key->choices[i]);
}

const struct type type_choice = {
	.read = read_scalar, .parse = parse_choice, .expect = expect_choice, .fill = fill_scalar};

/* Numbers with units, the larger unit first, each once: 1h30m. */
bool parse_duration(const char *text, int64_t *duration_ms)
{
	int64_t sum = 0;
	size_t unit = 0;

	if (!*text)
		return false;
	while (*text) {
		int64_t number;
		size_t size;

		if (!parse_whole(text, &text, &number))
			return false;
		size = strspn(text, "dhms");
		while (unit < TIME_UNITS && (strlen(time_units[unit].name) != size ||
						    strncmp(time_units[unit].name, text, size) != 0))
			unit++;
		if (unit == TIME_UNITS || number > duration_ms_max / time_units[unit].ms)
			return false;
		sum += number * time_units[unit++].ms;
		text += size;
	}
	if (sum > duration_ms_max)
		return false;
	*duration_ms = sum;
	return true;
}

void format_duration(int64_t duration_ms, struct bytes *out)
{
	if (!duration_ms)
		bytes_text(out, "0s");
	for (size_t i = 0; i < TIME_UNITS; i++) {
		if (duration_ms >= time_units[i].ms)
			bytes_format(out, "%lld%s", (long long)(duration_ms / time_units[i].ms),
				time_units[i].name);
		duration_ms %= time_units[i].ms;
	}
}

static bool parse_duration_key(const struct key *key, const char *text, void *item)
{
	int64_t duration_ms;

	if (!parse_duration(text, &duration_ms) || duration_ms < key->low ||
		duration_ms > key->high)
		return false;
	*(int64_t *)place_of(key, item) = duration_ms;
	return true;
}

static void expect_duration(const struct key *key, struct bytes *out)
{
	bytes_text(out, "a duration from ");
	format_duration(key->low, out);
	bytes_text(out, " to ");
	format_duration(key->high, out);
}

const struct type type_duration = {.read = read_scalar,
	.parse = parse_duration_key,
	.expect = expect_duration,
	.fill = fill_scalar};

static bool parse_duration_or_off(const struct key *key, const char *text, void *item)
{
	if (strcmp(text, "off") != 0)
		return parse_duration_key(key, text, item);
	*(int64_t *)place_of(key, item) = -1;
	return true;
}

static void expect_duration_or_off(const struct key *key, struct bytes *out)
{
	expect_duration(key, out);
	bytes_text(out, ", or off");
}

const struct type type_duration_or_off = {.read = read_scalar,
	.parse = parse_duration_or_off,
	.expect = expect_duration_or_off,
	.fill = fill_scalar};

bool parse_number(const char *text, const char **end, double *number)
{
	size_t whole = strspn(text, "0123456789");
	size_t part = text[whole] == '.' ? 1 + strspn(text + whole + 1, "0123456789") : 0;

	if (!whole || part == 1 || whole + part > 30)
		return false;
	*number = strtod(text, NULL);
	*end = text + whole + part;
	return true;
}

/* (100 + p) / 100 and not 1 + p / 100: rounded once, so that 5% is exactly the double 1.05. */
static bool parse_ratio(const struct key *key, const char *text, void *item)
{
	const char *end;
	double ratio;

	if (*text == 'x') {
		if (!parse_number(text + 1, &end, &ratio) || *end)
			return false;
	} else {
		if (!parse_number(text, &end, &ratio) || strcmp(end, "%") != 0)
			return false;
		ratio = (100 + ratio) / 100;
	}
	if (ratio <= 1 || ratio > 100)
		return false;
	*(double *)place_of(key, item) = ratio;
	return true;
}

static void expect_ratio(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a ratio such as 5% or x1.5, above 0% and up to x100");
}

const struct type type_ratio = {
	.read = read_scalar, .parse = parse_ratio, .expect = expect_ratio, .fill = fill_scalar};

static bool parse_deviations(const struct key *key, const char *text, void *item)
{
	const char *end;
	double number;

	if (!parse_number(text, &end, &number) || strcmp(end, "sd") != 0 || number <= 0 ||
		number > 100)
		return false;
	*(double *)place_of(key, item) = number;
	return true;
}

static void expect_deviations(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "standard deviations such as 0.05sd, above 0sd and up to 100sd");
}

const struct type type_deviations = {.read = read_scalar,
	.parse = parse_deviations,
	.expect = expect_deviations,
	.fill = fill_scalar};

static bool parse_share(const struct key *key, const char *text, void *item)
{
	const char *end;
	double number;

	if (!parse_number(text, &end, &number))
		return false;
	if (strcmp(end, "%") == 0)
		number /= 100;
	else if (*end)
		return false;
	if (number <= 0 || number > (double)key->high)
		return false;
	*(double *)place_of(key, item) = number;
	return true;
}

static void expect_share(const struct key *key, struct bytes *out)
{
	bytes_format(out, "a share such as 0.01 or 1%%, above 0 and up to %lld",
		(long long)key->high);
}

const struct type type_share = {
	.read = read_scalar, .parse = parse_share, .expect = expect_share, .fill = fill_scalar};

static bool is_host(const char *host, bool bracketed)
{
	size_t size = bracketed ? strspn(host, "0123456789abcdefABCDEF:.")
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
	bytes_text(out, key->low ? "a loopback address and port such as 127.0.0.1:9130 or [::1]:9130 "
				   "(others need TLS)"
				 : "an address and port such as 127.0.0.1:9131 or 0.0.0.0:9131, or off");
}

static void drop_listen(const struct key *key, void *item)
{
	struct config_listen *listen = place_of(key, item);

	free(listen->host);
	listen->host = NULL;
}

const struct type type_listen = {.read = read_scalar,
	.parse = parse_listen,
	.expect = expect_listen,
	.fill = fill_scalar,
	.drop = drop_listen};
