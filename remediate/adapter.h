/* remediate/adapter.h: how a decision becomes a call: the typed adapters.
 * THINKS: it builds calls and judges answers; ports/http_out.h carries them. One adapter so far:
 * generic HTTP. Its class is IDEMPOTENT (every call carries Idempotency-Key: the action's id)
 * unless the target's configuration says `idempotent: false`, which makes it BLIND. */
#ifndef REMEDIATE_ADAPTER_H
#define REMEDIATE_ADAPTER_H

#include "ports/http_out.h"
#include "remediate/step.h"

/* What a call needs besides the configuration; owned by the caller until http_out_start() has
 * copied it. */
struct adapter_call {
	struct http_call call;
	struct bytes body;
	char headers[4][160];
	const char *list[5];
};

/* False: the target has no such operation (or no status to probe). */
bool adapter_call(const struct task *task, uint64_t tag, struct adapter_call *made);
void adapter_call_done(struct adapter_call *made);

/* 2xx accepted; 408, 425, 429, 5xx later; other statuses refused; not sent or unknown as the door
 * says. The sentence names the target, what it answered and the begin of its body. */
enum call_result adapter_judge(
	const struct task *task, const struct http_outcome *outcome, char *sentence, size_t size);

/* A probe: 2xx, and what stands at converged_pointer equals converged_value (or 2xx alone when no
 * pointer is set). */
bool adapter_converged(const struct config_target *target, const struct http_outcome *outcome,
	char *sentence, size_t size);

#endif
