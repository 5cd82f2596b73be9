/* Any bytes as a target's answer to a call and to a probe of its status: lines are the pointer and
 * the value that says "converged", and the body. */
#include "remediate/adapter.h"
#include "tests/fuzz/fuzz.h"

static char *text_of(struct view *rest)
{
	struct view line = {"", 0};

	input_line(rest, &line);
	char *text = malloc(line.size + 1);

	view_copy(line, text, line.size + 1);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "fraud";
	static const struct remedy remedy = {.action = {.operation = "rollback"}};
	struct view rest = input_view(data, size);
	struct config_target target = {.name = name};
	struct http_outcome outcome = {.fate = HTTP_ANSWERED, .retry_after_ms = -1};
	char sentence[200] = "", again[200] = "";

	target.converged_pointer = text_of(&rest);
	target.converged_value = text_of(&rest);
	const struct task task = {.kind = TASK_CALL, .remedy = &remedy, .target = &target};

	outcome.body = rest;
	for (outcome.status = 100; outcome.status < 600; outcome.status += 100) {
		enum call_result result = adapter_judge(&task, &outcome, sentence, sizeof sentence);
		bool converged = adapter_converged(&target, &outcome, again, sizeof again);

		CLAIM((result == CALL_ACCEPTED) == (outcome.status == 200));
		CLAIM(sentence[0] && !strpbrk(sentence, "\r\n"));
		CLAIM(!converged || outcome.status == 200);
	}
	free(target.converged_pointer);
	free(target.converged_value);
	return 0;
}
