/* Any bytes as the answers of a Redis, read by the real door and the real store: every call ends in
 * an outcome with a sentence. The first byte says which call; the socket below gives the rest,
 * seven bytes at a time, then breaks. */
#include "ports/redis_socket.h"
#include "ports/store.h"
#include "tests/fuzz/fuzz.h"

static struct view left;

struct redis_socket {
	char unused;
};

enum rc redis_socket_open(
	const struct config_redis *settings, struct redis_socket **opened, struct err *err)
{
	static struct redis_socket one;

	(void)settings, (void)err;
	*opened = &one;
	return RC_OK;
}

void redis_socket_close(struct redis_socket *socket)
{
	(void)socket;
}

enum rc redis_socket_write(
	struct redis_socket *socket, const char *data, size_t size, int wait_ms, struct err *err)
{
	(void)socket, (void)data, (void)size, (void)wait_ms, (void)err;
	return RC_OK;
}

enum rc redis_socket_read(struct redis_socket *socket, char *data, size_t capacity, size_t *size,
	int wait_ms, struct err *err)
{
	(void)socket, (void)capacity, (void)wait_ms;
	if (!left.size)
		return err_set(err, RC_RETRY, "the connection was closed");
	*size = left.size < 7 ? left.size : 7;
	memcpy(data, left.data, *size);
	left = (struct view){left.data + *size, left.size - *size};
	return RC_OK;
}

static enum rc take_record(void *context, struct view field, struct view data, struct err *err)
{
	(void)context, (void)err;
	CLAIM(field.data && data.data);
	return RC_OK;
}

static enum rc take_entry(void *context, uint64_t sequence, struct view data, struct err *err)
{
	(void)context, (void)sequence, (void)err;
	CLAIM(data.data);
	return RC_OK;
}

static enum rc take_output(void *context, const struct outbox_entry *entry, struct err *err)
{
	(void)context, (void)err;
	CLAIM(memchr(entry->id, '\0', sizeof entry->id));
	CLAIM(entry->topic.data && entry->key.data && entry->value.data && entry->headers.data);
	return RC_OK;
}

static enum rc call(struct store *store, char which, struct err *err)
{
	static const struct fold fold = {"ingest", "ml.events-0"};
	static const struct change nothing;
	struct head head = {.epoch = "0123456789abcdef", .token = "0"};
	CLEANUP(bytes_done) struct bytes data = {0};

	switch (which) {
	case 'a':
		return store_advance(store, &fold, &head, &nothing, err);
	case 'f':
		return store_folds(store, take_record, NULL, err);
	case 'g':
		return store_get(store, &fold, &head, "state", view_of("a"), &data, err);
	case 'h':
		return store_head(store, &fold, &head, err);
	case 'i':
		return store_install(store, err);
	case 'l':
		return store_load(store, &fold, &head, take_record, NULL, err);
	case 'o':
		return store_outbox(store, &fold, &head, "", 10, take_output, NULL, err);
	case 's':
		return store_stream(store, &fold, &head, "closes", 1, 10, take_entry, NULL, err);
	default:
		return store_table(store, &fold, &head, "state", take_record, NULL, err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char host[] = "localhost", nothing[] = "", prefix[] = "modelwatch";
	static const struct config_redis settings = {.host = host,
		.port = 6379,
		.path = nothing,
		.user = nothing,
		.ca = nothing,
		.prefix = prefix};
	struct store *store;
	struct err err = {0};

	if (!size || store_open(&settings, &store, &err) != RC_OK)
		return 0;
	left = input_view(data + 1, size - 1);
	enum rc rc = call(store, (char)data[0], &err);

	CLAIM(rc == RC_OK || rc == RC_NONE || err.text[0]);
	store_close(store);
	return 0;
}
