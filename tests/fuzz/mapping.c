/* An event through a declared mapping: five lines are JSON pointers, what follows is the message.
 */
#include "tests/fuzz/event_promises.h"

static char star[] = "*", nothing[] = "", from_true[] = "true", to_ok[] = "ok", model[] = "fraud";
static struct config_model models[] = {
	{.match_model = star, .match_segment = star, .owner = nothing},
};
static const struct config config = {
	.limits = {.event_bytes = 65536, .depth = 8, .features = 512},
	.models = models,
	.model_count = 1,
};

static char *pointer_of(struct view line)
{
	char *pointer = malloc(line.size + 2);

	pointer[0] = '/';
	view_copy(line, pointer + 1, line.size + 1);
	return pointer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum format_field placed[] = {
		FIELD_TS, FIELD_CLASS, FIELD_LATENCY_MS, FIELD_STATUS, FIELD_FEATURES};
	static const double scales[] = {1000, 1, 0.001, 1, 1};
	static struct event_decoder *decoder;
	struct view rest = input_view(data, size);
	char *from[] = {from_true};
	char *to[] = {to_ok};
	struct format format = {.fields = {[FIELD_MODEL] = {.constant = model, .scale = 1}}};
	size_t count = 0;
	struct view line;

	if (!decoder)
		decoder = event_decoder_new(&config);
	while (count < sizeof placed / sizeof *placed && input_line(&rest, &line)) {
		format.fields[placed[count]] =
			(struct field_place){.pointer = pointer_of(line), .scale = scales[count]};
		count++;
	}
	if (format.fields[FIELD_STATUS].pointer) {
		format.fields[FIELD_STATUS].from = from;
		format.fields[FIELD_STATUS].to = to;
		format.fields[FIELD_STATUS].map_count = 1;
	}
	claim_event(decoder, &format, rest);
	while (count--)
		free(format.fields[placed[count]].pointer);
	return 0;
}
