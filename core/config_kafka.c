/* core/config_kafka.c: kafka: and redis: of the configuration. THINKS. */
#include "core/config_section.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

/* brokers: one text, or a list of texts, kept as one text with commas. */

static bool add_brokers(const char *text, struct bytes *brokers)
{
	if (!*text || strpbrk(text, " \t\r\n\"'") || strstr(text, ",,") || *text == ',' ||
		text[strlen(text) - 1] == ',')
		return false;
	bytes_format(brokers, "%s%s", brokers->size ? "," : "", text);
	return true;
}

static void read_brokers(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	CLEANUP(bytes_done) struct bytes brokers = {0};
	const struct node *const *entries = (const struct node *const *)value->values;
	size_t count = value->count;

	(void)path;
	if (value->kind == NODE_SCALAR) {
		entries = &value;
		count = 1;
	}
	if (value->kind == NODE_MAPPING || !count) {
		refuse(reading, key, value);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (entries[i]->kind != NODE_SCALAR || is_nothing(entries[i]) ||
			!add_brokers(entries[i]->text, &brokers)) {
			refuse(reading, key, entries[i]);
			return;
		}
	put_text(key, brokers.data, item);
}

static void expect_brokers(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "HOST:PORT, several with commas or as a list");
}

static const struct type type_brokers = {
	.read = read_brokers, .expect = expect_brokers, .fill = text_fill, .drop = text_drop};

/* topics: each a name, or a mapping of topic and format. */

static bool parse_topic(const struct key *key, const char *text, void *item)
{
	size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-");

	return size && size <= 249 && !text[size] && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0 && put_text(key, text, item);
}

static void expect_topic(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "the name of a topic: 1 to 249 letters, digits and ._-");
}

static const struct type type_topic = {.read = scalar_read,
	.parse = parse_topic,
	.expect = expect_topic,
	.fill = text_fill,
	.drop = text_drop};

/* A topic named twice would be read twice. */
static void finish_topic(struct reading *reading, const struct node *node, const char *topic)
{
	const struct config_kafka *kafka = &reading->config->kafka;

	for (size_t i = 0; *topic && i + 1 < kafka->topic_count; i++)
		if (strcmp(kafka->topics[i].name, topic) == 0) {
			mistake(reading, node, "topics[%zu]: \"%s\" is topics[%zu] already",
				kafka->topic_count - 1, topic, i);
			return;
		}
}

static void finish_topic_mapping(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	struct config_topic *topic = item;
	const struct node *format = node_get(mapping, "format");
	struct hint hint = {.word = topic->format};
	CLEANUP(bytes_done) struct bytes meant = {0};

	(void)path;
	finish_topic(reading, mapping, topic->name);
	if (!format || format->kind != NODE_SCALAR || !*topic->format)
		return;
	for (size_t i = 0; i < reading->config->format_count; i++) {
		if (strcmp(reading->config->formats[i].name, topic->format) == 0)
			return;
		hint_offer(&hint, reading->config->formats[i].name);
	}
	mistake(reading, format, "format: \"%s\" is not in formats%s", topic->format,
		hint_text(&hint, &meant));
}

static const struct key topic_keys[] = {
	{.name = "topic",
		.type = &type_topic,
		.offset = offsetof(struct config_topic, name),
		.required = true,
		.help = "An event topic of the models."},
	{.name = "format",
		.type = &type_text,
		.offset = offsetof(struct config_topic, format),
		.low = 1,
		.told = "a name in formats",
		.help = "The mapping that its events are read by; without one they are "
			"modelwatch's own."},
};

static const struct section section_topic = {
	.size = sizeof(struct config_topic), KEYS(topic_keys), .finish = finish_topic_mapping};

static void read_topics(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct config_kafka *kafka = item;

	if (!refuse_unless(reading, NODE_LIST, key, value))
		return;
	if (!value->count)
		mistake(reading, value, "topics: found an empty list, expected at least one topic");
	kafka->topics = memory_new(value->count, sizeof *kafka->topics);
	for (size_t i = 0; i < value->count; i++) {
		struct path here = {path, key->name, (long)i};
		struct config_topic *topic = &kafka->topics[kafka->topic_count++];
		const struct node *entry = value->values[i];

		section_fill(&section_topic, topic);
		if (entry->kind == NODE_SCALAR) {
			type_topic.read(reading, &topic_keys[0], entry, &here, topic);
			finish_topic(reading, entry, topic->name);
		} else {
			section_read(reading, &section_topic, entry, &here, topic);
		}
	}
}

static void expect_topics(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a list of names or of mappings of topic, format");
}

static void drop_topics(const struct key *key, void *item)
{
	struct config_kafka *kafka = item;

	(void)key;
	for (size_t i = 0; i < kafka->topic_count; i++)
		section_done(&section_topic, &kafka->topics[i]);
	free(kafka->topics);
}

static const struct type type_topics = {
	.read = read_topics, .expect = expect_topics, .drop = drop_topics};

/* properties: whatever librdkafka takes. Which settings there are is known at the Kafka door alone.
 */

static size_t file_suffix(const char *name)
{
	size_t size = strlen(name);

	return size > 5 && strcmp(name + size - 5, "_file") == 0 ? 5 : 0;
}

static bool names_secret(const char *name)
{
	return strcasestr(name, "password") || strcasestr(name, "secret") ||
	       strcasestr(name, "key.pem");
}

static bool accepts_property(
	struct reading *reading, const struct node *name, const struct path *path)
{
	(void)path;
	if (!*name->text) {
		mistake(reading, name,
			"properties: found an empty name, expected a setting of librdkafka");
		return false;
	}
	if (!names_secret(name->text) || file_suffix(name->text))
		return true;
	mistake(reading, name,
		"%.60s: found a secret, expected the path of a file that holds it: %.60s_file",
		name->text, name->text);
	return false;
}

static void read_property(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct config_kafka *kafka = item;
	size_t suffix = file_suffix(key->name);
	struct config_property property = {0};
	static const struct key file = {
		.type = &type_secret, .offset = offsetof(struct config_property, secret)};
	struct key named = file;

	named.name = key->name;
	if (suffix)
		type_secret.read(reading, &named, value, path, &property);
	else if (!refuse_unless(reading, NODE_SCALAR, key, value))
		return;
	else
		property.value = memory_text(value->text);

	property.name = memory_copy(key->name, strlen(key->name) - suffix);
	for (size_t i = 0; i < kafka->property_count; i++)
		if (strcmp(kafka->properties[i].name, property.name) == 0)
			mistake(reading, value,
				"%s: found both %s and %s_file, expected one of them", key->name,
				property.name, property.name);
	kafka->properties = memory_grow(
		kafka->properties, kafka->property_count + 1, sizeof *kafka->properties);
	kafka->properties[kafka->property_count++] = property;
}

static void expect_property(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "a text or number");
}

static void drop_properties(const struct key *key, void *item)
{
	struct config_kafka *kafka = item;

	(void)key;
	for (size_t i = 0; i < kafka->property_count; i++) {
		free(kafka->properties[i].name);
		free(kafka->properties[i].value);
		secret_free(kafka->properties[i].secret);
	}
	free(kafka->properties);
}

static const struct type type_property = {
	.read = read_property, .expect = expect_property, .drop = drop_properties};

static const struct key other_property = {.name = "NAME",
	.type = &type_property,
	.help = "Any setting of librdkafka; `NAME_file` reads its value from a file, as secrets "
		"must."};

static const struct section section_properties = {
	.other = &other_property, .accepts = accepts_property};

static const struct key kafka_keys[] = {
	{.name = "brokers",
		.type = &type_brokers,
		.offset = offsetof(struct config_kafka, brokers),
		.required = true,
		.help = "Where the cluster is entered."},
	{.name = "topics",
		.type = &type_topics,
		.required = true,
		.section = &section_topic,
		.help = "The event topics of the models. A plain name is a topic of modelwatch's "
			"own events."},
	{.name = "properties",
		.type = &type_section,
		.section = &section_properties,
		.help = "Settings of librdkafka, passed through: SASL, TLS, and what else there "
			"is."},
	{.name = "prefix",
		.type = &type_topic,
		.offset = offsetof(struct config_kafka, prefix),
		.fallback = "modelwatch",
		.help = "Of modelwatch's own topics: `modelwatch.findings` and so on."},
	{.name = "replication",
		.type = &type_int,
		.offset = offsetof(struct config_kafka, replication),
		.low = 1,
		.high = 15,
		.told = "`1` with one broker, else `3`",
		.help = "Replicas of the topics that `modelwatch init` creates."},
};

const struct section section_kafka = {KEYS(kafka_keys)};

/* redis: a URL, or a mapping with a URL and what must not stand in one. */

static bool put_unix(const char *path, struct config_redis *redis)
{
	if (path[0] == '/' && path[1] == '/' && path[2] == '/')
		path += 2; /* unix:///run/x is unix:/run/x */
	if (path[0] != '/' || !path[1] || path[1] == '/')
		return false;
	redis->transport = REDIS_UNIX;
	free(redis->path);
	redis->path = memory_text(path);
	return true;
}

/* [user@]host[:port][/] */
static bool put_address(
	const char *text, enum redis_transport transport, struct config_redis *redis)
{
	const char *at = strchr(text, '@');
	const char *address = at ? at + 1 : text;
	size_t size = strlen(address);
	char *host, *without_slash;
	int port;

	if (at == text)
		return false;
	if (size && address[size - 1] == '/')
		size--;
	without_slash = memory_copy(address, size);
	bool good = parse_host_port(without_slash, 6379, &host, &port);

	free(without_slash);
	if (!good)
		return false;
	redis->transport = transport;
	redis->port = port;
	free(redis->host);
	redis->host = host;
	if (at) {
		free(redis->user);
		redis->user = memory_copy(text, (size_t)(at - text));
	}
	return port > 0;
}

static bool parse_redis_url(const struct key *key, const char *text, void *item)
{
	struct config_redis *redis = place_of(key, item);

	for (const char *at = text; *at; at++)
		if ((unsigned char)*at <= ' ')
			return false;
	if (strncmp(text, "unix:", 5) == 0)
		return put_unix(text + 5, redis);
	if (strncmp(text, "redis://", 8) == 0)
		return put_address(text + 8, REDIS_TCP, redis);
	if (strncmp(text, "rediss://", 9) == 0)
		return put_address(text + 9, REDIS_TLS, redis);
	return false;
}

/* Before the @, a colon starts a password. Its value is not shown. */
static bool holds_password(const char *url)
{
	const char *scheme = strstr(url, "://");
	const char *start = scheme ? scheme + 3 : url;
	const char *at = strchr(start, '@');

	return at && memchr(start, ':', (size_t)(at - start));
}

static void read_redis_url(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	(void)path;
	if (!refuse_unless(reading, NODE_SCALAR, key, value))
		return;
	if (holds_password(value->text))
		mistake(reading, value,
			"%s: found a password in a URL, expected none; secrets stand in files: "
			"redis: {url: ..., password_file: ...}",
			key->name);
	else if (!parse_redis_url(key, value->text, item))
		refuse(reading, key, value);
}

static void expect_redis_url(const struct key *key, struct bytes *out)
{
	(void)key;
	bytes_text(out, "redis://[USER@]HOST[:PORT], rediss://[USER@]HOST[:PORT] or unix:/PATH");
}

static void fill_redis_url(const struct key *key, void *item)
{
	struct config_redis *redis = place_of(key, item);

	redis->host = memory_text("localhost");
	redis->path = memory_text("");
	redis->port = 6379;
}

static void drop_redis_url(const struct key *key, void *item)
{
	struct config_redis *redis = place_of(key, item);

	free(redis->host);
	free(redis->path);
}

static const struct type type_redis_url = {.read = read_redis_url,
	.expect = expect_redis_url,
	.fill = fill_redis_url,
	.drop = drop_redis_url};

static const struct key redis_keys[] = {
	{.name = "url",
		.type = &type_redis_url,
		.fallback = "redis://localhost:6379",
		.help = "Plain, TLS (`rediss://`), or a Unix socket."},
	{.name = "user",
		.type = &type_text,
		.offset = offsetof(struct config_redis, user),
		.low = 1,
		.help = "The ACL user; may stand in the URL instead."},
	{.name = "password_file",
		.type = &type_secret,
		.offset = offsetof(struct config_redis, password),
		.help = "A file that holds the password."},
	{.name = "ca",
		.type = &type_certificate,
		.offset = offsetof(struct config_redis, ca),
		.help = "TLS: a file of certificates to believe, instead of the system's."},
	{.name = "prefix",
		.type = &type_text,
		.offset = offsetof(struct config_redis, prefix),
		.low = 1,
		.fallback = "modelwatch",
		.help = "Of every key."},
};

static void finish_redis(
	struct reading *reading, const struct node *mapping, const struct path *path, void *item)
{
	const struct config_redis *redis = item;
	const struct node *url = node_get(mapping, "url"), *user = node_get(mapping, "user");
	const struct node *ca = node_get(mapping, "ca"), *prefix = node_get(mapping, "prefix");

	(void)path;
	if (user && url && url->kind == NODE_SCALAR && redis->transport != REDIS_UNIX &&
		strchr(url->text, '@'))
		mistake(reading, user, "user: found a user here and in url, expected one of them");
	if (ca && redis->transport != REDIS_TLS)
		mistake(reading, ca,
			"ca: found a file of certificates, expected none without rediss://");
	if (prefix && strpbrk(redis->prefix, "{} "))
		mistake(reading, prefix, "prefix: found \"%s\", expected no {, } or blank",
			redis->prefix);
}

const struct section section_redis = {KEYS(redis_keys), .finish = finish_redis};

static void read_redis(struct reading *reading, const struct key *key, const struct node *value,
	const struct path *path, void *item)
{
	struct path here = {path, key->name, -1};

	if (value->kind == NODE_SCALAR)
		read_redis_url(reading, key, value, path, item);
	else
		section_read(reading, &section_redis, value, &here, place_of(key, item));
}

static void expect_redis(const struct key *key, struct bytes *out)
{
	expect_redis_url(key, out);
	bytes_text(out, ", or a mapping");
}

static void fill_redis(const struct key *key, void *item)
{
	section_fill(&section_redis, place_of(key, item));
}

static void drop_redis(const struct key *key, void *item)
{
	section_done(&section_redis, place_of(key, item));
}

const struct type type_redis = {
	.read = read_redis, .expect = expect_redis, .fill = fill_redis, .drop = drop_redis};
