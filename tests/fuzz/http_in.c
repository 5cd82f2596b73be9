/* Any bytes as what a client sends to our HTTP server: nothing but whole requests reach the
 * handler, with texts for all that it may ask, and the server goes on to answer a good request. */
#include "ports/http_in.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_BYTES_MAX = 64 << 10, TURNS_MAX = 50 };

static struct http_in *http;
static bool well; /* the good request reached the handler */

static void handle(void *context, const struct http_request *request, struct http_answer *answer)
{
	const char *query = http_query(request, "q"), *header = http_header(request, "X-Test");

	(void)context;
	CLAIM(request->method[0] && request->path);
	CLAIM(request->body.size <= BODY_BYTES_MAX);
	well |= strcmp(request->path, "/are-you-well") == 0;
	bytes_format(&answer->body, "%s%s", query ? query : "", header ? header : "");
}

static int call(void)
{
	const struct linger at_once = {.l_onoff = 1};
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_in_port(http)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = socket(AF_INET, SOCK_STREAM, 0);

	/* Without it each run would leave an address that cannot be used for a minute. */
	setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	CLAIM(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
	return client;
}

static void send_all(const char *data, size_t size)
{
	int client = call();

	send(client, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	http_in_poll(http, 0);
	http_in_poll(http, 0);
	close(client);
	http_in_poll(http, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char good[] =
		"GET /are-you-well HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct err err;

	if (!http)
		CLAIM(http_in_open("127.0.0.1", 0, handle, NULL, &http, &err) == RC_OK);
	send_all((const char *)data, size);
	well = false;
	int client = call();

	CLAIM(send(client, good, sizeof good - 1, MSG_NOSIGNAL) == sizeof good - 1);
	for (int turn = 0; turn < TURNS_MAX && !well; turn++)
		http_in_poll(http, 20);
	CLAIM(well);
	close(client);
	http_in_poll(http, 0);
	return 0;
}
