#include "alerts/recovery.h"

#include "alerts/hearing.h"
#include "core/topics.h"
#include "ports/inputs.h"

enum { TAKE_MAX = 500, TAKE_WAIT_MS = 20 };

static enum rc take(struct hearing *hearing, struct cursors *cursors,
	const struct log_message *message, struct err *err)
{
	struct cursor *cursor = cursors_of(cursors, message->topic, message->partition);

	cursor_pass(cursor, message->offset, message->append_ms, message->key, message->value);
	return message->value.data ? hearing_take(hearing, message->value, err) : RC_OK;
}

static enum rc hear_all(struct service *service, struct inputs *inputs, struct cursors *cursors,
	struct hearing *hearing, struct err *err)
{
	const struct log_message *messages;
	size_t count;
	enum rc worst = RC_OK;
	struct err why;

	while (!inputs_are_read(inputs, INT64_MAX)) {
		if (!service_turn(service))
			return err_set(
				err, RC_RETRY, "notifications to be read, but asked to stop");
		enum rc rc = inputs_take(inputs, TAKE_WAIT_MS, TAKE_MAX, &messages, &count, &why);

		if (rc == RC_RETRY || rc == RC_FATAL)
			return err_set(err, rc, "%s", why.text);
		for (size_t i = 0; i < count; i++)
			if (take(hearing, cursors, &messages[i], err) != RC_OK)
				worst = RC_REJECT;
	}
	return worst;
}

enum rc recovery_run(struct service *service, struct log *log, const char *prefix,
	struct alerts *alerts, struct err *err)
{
	static const char *const topics[] = {TOPIC_NOTIFICATIONS};
	CLEANUP(hearing_done) struct hearing hearing = {0};
	CLEANUP(cursors_done) struct cursors cursors = {0};
	struct inputs *inputs;

	TRY(inputs_open(log, prefix, topics, 1, &inputs, err));
	enum rc rc = inputs_start(inputs, &cursors, err);

	if (rc == RC_OK)
		rc = hear_all(service, inputs, &cursors, &hearing, err);
	if (rc == RC_OK || rc == RC_REJECT)
		hearing_tell(&hearing, alerts);
	inputs_close(inputs);
	return rc;
}
