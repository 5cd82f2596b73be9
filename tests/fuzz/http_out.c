/* Any bytes as the answer of an HTTP server to our client: the connection was made and closes after
 * them, so the outcome is an answer within its limits, or unknown, with a sentence. The network is
 * a pair of sockets in this process. */
#include "ports/http_out.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

static struct view answer;
static int peer = -1;

/* Stand for the C library's: what libcurl opens is one end of a pair, of which the other one has
 * answered already. */
int socket(int family, int kind, int protocol)
{
	int ends[2];

	(void)family, (void)protocol;
	if (peer >= 0 || socketpair(AF_UNIX, kind, 0, ends) != 0)
		return -1;
	peer = ends[1];
	CLAIM(send(peer, answer.data, answer.size, MSG_NOSIGNAL) == (ssize_t)answer.size);
	shutdown(peer, SHUT_WR);
	return ends[0];
}

int connect(int end, const struct sockaddr *address, socklen_t size)
{
	(void)end, (void)address, (void)size;
	return 0;
}

static void claim_outcome(const struct http_outcome *outcome)
{
	CLAIM(outcome->tag == 7);
	CLAIM(outcome->fate == HTTP_ANSWERED || outcome->fate == HTTP_UNKNOWN);
	if (outcome->fate == HTTP_UNKNOWN) {
		CLAIM(memchr(outcome->reason, '\0', sizeof outcome->reason));
		CLAIM(outcome->reason[0]);
		return;
	}
	CLAIM(outcome->status >= 100 && outcome->status <= 999);
	CLAIM(outcome->retry_after_ms >= -1);
	CLAIM(outcome->retry_after_ms <= 30LL * 24 * 3600 * 1000);
	CLAIM(outcome->body.size <= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char cidr[] = "127.0.0.1/32", url[] = "http://127.0.0.1:1/x", nothing[] = "";
	static char *allow[] = {cidr};
	static struct http_out *http;
	const struct config_http to = {.url = url, .ca = nothing, .timeout_ms = 2000};
	const struct http_call call = {
		.method = "POST", .to = &to, .body = {"{}", 2}, .tag = 7, .answer_bytes_max = 1000};
	struct http_outcome outcome = {0};
	struct err err;

	if (!http)
		CLAIM(http_out_open(allow, 1, &http, &err) == RC_OK);
	answer = size ? input_view(data, size) : (struct view){"", 0};
	http_out_start(http, &call);
	while (!http_out_take(http, 100, &outcome))
		CLAIM(http_out_running(http) == 1);
	claim_outcome(&outcome);
	CLAIM(http_out_running(http) == 0);
	close(peer);
	peer = -1;
	return 0;
}
