/* alerts/delivery.h: one try of a notification as an HTTP call, and what its answer means.
 * THINKS. Signatures: Standard Webhooks 1.0 (webhook-id, webhook-timestamp, webhook-signature). */
#ifndef ALERTS_DELIVERY_H
#define ALERTS_DELIVERY_H

#include "alerts/step.h"
#include "ports/http_out.h"

struct delivery { /* what a call points to */
	struct bytes url;
	struct bytes id, timestamp, signature; /* headers */
	const char *headers[4];
};

/* Webhooks of both kinds get the notification's id, the same in every try, and the time of this
 * try; ours a signature where a secret is configured. An Alertmanager is called at its url +
 * /api/v2/alerts. The call lives as long as *delivery, which delivery_done() ends. */
void delivery_call(const struct config_integration *integration, const char *id, struct view body,
	int64_t now, struct delivery *delivery, struct http_call *call);
void delivery_done(struct delivery *delivery);

/* "v1,..." of "id.timestamp.body". secret: "whsec_" and base64 stands for the bytes it encodes,
 * anything else for itself. Appended. */
void delivery_sign(struct view secret, const char *id, int64_t timestamp_s, struct view body,
	struct bytes *signature);

/* 2xx: delivered. 408, 425, 429, 3xx, 5xx and no answer: to be tried again, after what the receiver
 * asks for. Other answers are final. An address or URL that http_out refuses is tried again,
 * slowly: configuration or name service may mend it, and the sentence in result says what is wrong.
 */
struct attempt delivery_judge(const struct http_outcome *outcome, uint32_t chance);

#endif
