#include "console/api.h"

#include "console/answer.h"
#include "console/facts_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char root[] = "/api/v1/";

static const struct route {
	const char *name;
	answer_family answer;
	bool takes_id;
} routes[] = {
	{"status", answer_status, false},
	{"windows", answer_windows, false},
	{"findings", answer_findings, true},
	{"alerts", answer_alerts, true},
	{"actions", answer_actions, true},
	{"deadletters", answer_deadletters, true},
	{"marks", answer_marks, false},
};

static const int status_of[] = {
	[RC_OK] = 200, [RC_NONE] = 404, [RC_RETRY] = 503, [RC_REJECT] = 400, [RC_FATAL] = 500};

enum rc query_integer(const struct http_request *request, const char *name, int64_t least,
	int64_t most, int64_t fallback, int64_t *value, struct err *err)
{
	const char *text = http_query(request, name);
	char *end;

	if (!text) {
		*value = fallback;
		return RC_OK;
	}
	errno = 0;
	long long number = strtoll(text, &end, 10);

	if (end == text || *end || errno || number < least || number > most)
		return err_set(err, RC_REJECT,
			"%s: found \"%.40s\", expected a whole number from %lld to %lld", name,
			text, (long long)least, (long long)most);
	*value = number;
	return RC_OK;
}

/* The route of a path, and the id behind it (NULL: none). */
static const struct route *route_of(const char *path, const char **id)
{
	if (strncmp(path, root, sizeof root - 1) != 0)
		return NULL;
	path += sizeof root - 1;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		size_t size = strlen(routes[i].name);
		const char *rest = path + size;

		if (strncmp(path, routes[i].name, size) != 0)
			continue;
		*id = NULL;
		if (!*rest)
			return &routes[i];
		*id = rest + 1;
		if (*rest == '/' && rest[1] && routes[i].takes_id)
			return &routes[i];
	}
	return NULL;
}

static enum rc find_and_answer(const struct api *api, const struct http_request *request,
	struct bytes *out, struct err *err)
{
	const char *id;
	const struct route *route = route_of(request->path, &id);

	if (!route)
		return err_set(err, RC_NONE, "there is no %.200s; see docs/api.md", request->path);
	return route->answer(api, request, id, out, err);
}

static void count_answer(const struct api *api, int status)
{
	char text[16];
	const char *const labels[] = {"status", text, NULL};

	snprintf(text, sizeof text, "%d", status);
	metric_add(metrics_get(api->metrics, METRIC_COUNTER, "modelwatch_api_answers_total",
			   "Answers of the API by HTTP status.", labels),
		1);
}

void api_answer(
	const struct api *api, const struct http_request *request, struct http_answer *answer)
{
	struct err err = {0};

	if (strcmp(request->method, "GET") != 0) {
		answer->status = 405;
		answer->allow = "GET, HEAD";
		err_set(&err, RC_REJECT, "%s is not answered here, only GET and HEAD",
			request->method);
	} else {
		answer->status = status_of[find_and_answer(api, request, &answer->body, &err)];
	}
	if (answer->status != 200) {
		bytes_clear(&answer->body);
		error_to_json(err.text, &answer->body);
	}
	count_answer(api, answer->status);
}
