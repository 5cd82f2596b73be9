/* console/api.h: what is known, as JSON over HTTP, for the `modelwatch` command, pages and scripts.
 * Reads the folds' tables through ports/store.h and writes nothing. docs/api.md lists every route.
 */
#ifndef CONSOLE_API_H
#define CONSOLE_API_H

#include "core/metrics.h"
#include "ports/http_in.h"
#include "ports/store.h"

struct api {
	struct store *store;         /* may be exchanged between two requests */
	const struct config *config; /* for owners of models */
	struct metrics *metrics;     /* modelwatch_api_answers_total{status} */
};

/* Answers every path. The outcome of a store that is unwell is 503, of one that refuses us 500. */
void api_answer(
	const struct api *api, const struct http_request *request, struct http_answer *answer);

#endif
