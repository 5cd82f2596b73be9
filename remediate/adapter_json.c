#include "remediate/adapter.h"

#include "core/strict_json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_body(const struct remedy *remedy, struct bytes *out)
{
	const struct action *action = &remedy->action;
	json_t *object = json_object();

	json_set_text(object, "id", action->id);
	json_set_text(object, "operation", action->operation);
	json_set_text(object, "target", action->target);
	json_set_text(object, "model", action->model);
	json_set_text(object, "version", action->version);
	json_set_text(object, "alert", action->alert);
	json_set_text(object, "policy", action->policy);
	json_set_text(object, "by", action->by);
	json_set_text(object, "reason", action->reason);
	strict_json_write(object, out);
}

static void add_header(struct adapter_call *made, const char *name, const char *value)
{
	size_t place = 0;

	while (made->list[place])
		place++;
	snprintf(made->headers[place], sizeof made->headers[place], "%s: %s", name, value);
	made->list[place] = made->headers[place];
}

bool adapter_call(const struct task *task, uint64_t tag, struct adapter_call *made)
{
	const struct action *action = &task->remedy->action;
	const struct config_operation *operation =
		target_operation(task->target, action->operation);

	*made = (struct adapter_call){.call = {.tag = tag, .headers = made->list}};
	if (task->kind == TASK_PROBE) {
		made->call.method = "GET";
		made->call.to = &task->target->status;
		return task->target->status.url[0] != '\0';
	}
	if (!operation)
		return false;
	made->call.method = operation->method;
	made->call.to = &operation->http;
	if (operation->body[0])
		bytes_text(&made->body, operation->body);
	else
		write_body(task->remedy, &made->body);
	made->call.body = (struct view){made->body.data, made->body.size};
	add_header(made, "Content-Type", "application/json");
	add_header(made, "Idempotency-Key", action->id);
	return true;
}

void adapter_call_done(struct adapter_call *made)
{
	bytes_done(&made->body);
}

/* The begin of an answer for a person: printable, one line. */
static void excerpt(struct view body, char *text, size_t size)
{
	size_t length = body.size < size - 1 ? body.size : size - 1;

	for (size_t i = 0; i < length; i++)
		text[i] = isprint((unsigned char)body.data[i]) ? body.data[i] : ' ';
	text[length] = '\0';
}

enum call_result adapter_judge(
	const struct task *task, const struct http_outcome *outcome, char *sentence, size_t size)
{
	char body[120];
	int status = outcome->status;

	if (outcome->fate != HTTP_ANSWERED) {
		snprintf(sentence, size, "%s of %s: %s", task->remedy->action.operation,
			task->target->name, outcome->reason);
		return outcome->fate == HTTP_UNKNOWN ? CALL_UNKNOWN : CALL_NOT_SENT;
	}
	excerpt(outcome->body, body, sizeof body);
	snprintf(sentence, size, "%s of %s: answered %d %s", task->remedy->action.operation,
		task->target->name, status, body);
	if (status >= 200 && status < 300)
		return CALL_ACCEPTED;
	if (status == 408 || status == 425 || status == 429 || status >= 500)
		return CALL_TRY_LATER;
	return CALL_REFUSED;
}

/* RFC 6901. NULL: nothing there. */
static const json_t *at_pointer(const json_t *value, const char *pointer)
{
	while (value && *pointer == '/') {
		char token[128];
		size_t length = 0;

		for (pointer++; *pointer && *pointer != '/' && length < sizeof token - 1;
			pointer++) {
			char c = *pointer;

			if (c == '~' && (pointer[1] == '0' || pointer[1] == '1'))
				c = *++pointer == '0' ? '~' : '/';
			token[length++] = c;
		}
		token[length] = '\0';
		value = json_is_array(value) ? json_array_get(value, strtoul(token, NULL, 10))
					     : json_object_get(value, token);
	}
	return value;
}

static void canonical(const json_t *value, struct bytes *out)
{
	if (json_is_string(value))
		bytes_text(out, json_string_value(value));
	else
		strict_json_write(json_deep_copy(value), out);
}

bool adapter_converged(const struct config_target *target, const struct http_outcome *outcome,
	char *sentence, size_t size)
{
	CLEANUP(bytes_done) struct bytes found = {0};
	struct json_position position;
	struct err err;

	if (outcome->fate != HTTP_ANSWERED || outcome->status < 200 || outcome->status >= 300) {
		snprintf(sentence, size, "status of %s: %s", target->name,
			outcome->fate == HTTP_ANSWERED ? "not a success" : outcome->reason);
		return false;
	}
	if (!target->converged_pointer[0])
		return true;
	json_t *answer = strict_json_parse(outcome->body, 16, &position, &err);
	const json_t *value = at_pointer(answer, target->converged_pointer);

	if (value)
		canonical(value, &found);
	bool converged = value && strcmp(found.data, target->converged_value) == 0;

	snprintf(sentence, size, "status of %s: %s is %.80s, expected %s", target->name,
		target->converged_pointer, value ? found.data : "missing", target->converged_value);
	json_decref(answer);
	return converged;
}
