/* console/answer.h: one family of answers each: appends the JSON of a whole answer to out.
 * RC_NONE: there is nothing of that id (404). RC_REJECT: a parameter is wrong (400). RC_RETRY: the
 * store is unwell (503). RC_FATAL: it refuses us, or holds what we cannot read (500). err says why.
 */
#ifndef CONSOLE_ANSWER_H
#define CONSOLE_ANSWER_H

#include "console/api.h"

enum { ANSWER_BYTES_MAX = 64 << 20 };

/* id: what follows the family in the path; NULL: the whole list. */
typedef enum rc (*answer_family)(const struct api *api, const struct http_request *request,
	const char *id, struct bytes *out, struct err *err);

enum rc answer_status(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err) MUST_CHECK;
enum rc answer_windows(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err) MUST_CHECK;
enum rc answer_findings(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err) MUST_CHECK;
enum rc answer_alerts(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err) MUST_CHECK;
enum rc answer_actions(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err) MUST_CHECK;
enum rc answer_deadletters(const struct api *api, const struct http_request *request,
	const char *id, struct bytes *out, struct err *err) MUST_CHECK;
enum rc answer_marks(const struct api *api, const struct http_request *request, const char *id,
	struct bytes *out, struct err *err) MUST_CHECK;

/* A whole number from least to most given as a query parameter; missing: the fallback. */
enum rc query_integer(const struct http_request *request, const char *name, int64_t least,
	int64_t most, int64_t fallback, int64_t *value, struct err *err) MUST_CHECK;

#endif
