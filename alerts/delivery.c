#include "alerts/delivery.h"

#include "core/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REFUSED_RETRY_MS = 60000, QUOTED_BYTES = 120 };

static const char encoded[] = "whsec_";

void delivery_sign(struct view secret, const char *id, int64_t timestamp_s, struct view body,
	struct bytes *signature)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes signed_text = {0};
	size_t prefix = sizeof encoded - 1;
	unsigned char digest[DIGEST_SIZE];
	bool decoded =
		secret.size > prefix && memcmp(secret.data, encoded, prefix) == 0 &&
		base64_decode((struct view){secret.data + prefix, secret.size - prefix}, &key);

	bytes_format(&signed_text, "%s.%" PRId64 ".", id, timestamp_s);
	bytes_add(&signed_text, body.data, body.size);
	digest_hmac(decoded ? (struct view){key.data, key.size} : secret,
		(struct view){signed_text.data, signed_text.size}, digest);
	bytes_text(signature, "v1,");
	base64_encode((struct view){(const char *)digest, sizeof digest}, signature);
	if (key.size)
		explicit_bzero(key.data, key.size);
}

static void add_headers(const struct config_integration *integration, const char *id,
	struct view body, int64_t now, struct delivery *delivery)
{
	size_t count = 0;

	bytes_format(&delivery->id, "webhook-id: %s", id);
	bytes_format(&delivery->timestamp, "webhook-timestamp: %" PRId64, now / 1000);
	delivery->headers[count++] = delivery->id.data;
	delivery->headers[count++] = delivery->timestamp.data;
	if (integration->secret) {
		bytes_text(&delivery->signature, "webhook-signature: ");
		delivery_sign(secret_reveal(integration->secret), id, now / 1000, body,
			&delivery->signature);
		delivery->headers[count++] = delivery->signature.data;
	}
}

static void add_api_path(const char *base, struct bytes *url)
{
	size_t size = strlen(base);

	while (size && base[size - 1] == '/')
		size--;
	bytes_add(url, base, size);
	bytes_text(url, "/api/v2/alerts");
}

void delivery_call(const struct config_integration *integration, const char *id, struct view body,
	int64_t now, struct delivery *delivery, struct http_call *call)
{
	*delivery = (struct delivery){0};
	*call = (struct http_call){.method = "POST", .to = &integration->http, .body = body};
	if (integration->kind == RECEIVER_ALERTMANAGER) {
		add_api_path(integration->http.url, &delivery->url);
		call->url = delivery->url.data;
	} else {
		add_headers(integration, id, body, now, delivery);
		call->headers = delivery->headers;
	}
}

void delivery_done(struct delivery *delivery)
{
	bytes_done(&delivery->url);
	bytes_done(&delivery->id);
	bytes_done(&delivery->timestamp);
	bytes_done(&delivery->signature);
}

/* The beginning of an answer as one line of plain ASCII: it goes into records and the journal. */
static void quote(struct view body, char text[QUOTED_BYTES + 1])
{
	size_t size = body.size < QUOTED_BYTES ? body.size : QUOTED_BYTES;

	for (size_t i = 0; i < size; i++)
		text[i] = body.data[i] >= ' ' && body.data[i] <= '~' ? body.data[i] : '?';
	text[size] = '\0';
}

static bool is_passing(int status)
{
	return status < 400 || status == 408 || status == 425 || status == 429 || status >= 500;
}

struct attempt delivery_judge(const struct http_outcome *outcome, uint32_t chance)
{
	struct attempt attempt = {.retry_after_ms = outcome->retry_after_ms, .chance = chance};
	char body[QUOTED_BYTES + 1];

	if (outcome->fate != HTTP_ANSWERED) {
		if (outcome->fate == HTTP_REFUSED)
			attempt.retry_after_ms = REFUSED_RETRY_MS;
		snprintf(attempt.result, sizeof attempt.result, "%s", outcome->reason);
		return attempt;
	}
	attempt.delivered = outcome->status >= 200 && outcome->status < 300;
	attempt.final = !attempt.delivered && !is_passing(outcome->status);
	quote(outcome->body, body);
	snprintf(attempt.result, sizeof attempt.result, "answered %d%s%s", outcome->status,
		attempt.delivered || !body[0] ? "" : ": ", attempt.delivered ? "" : body);
	return attempt;
}
