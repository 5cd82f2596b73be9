/* Any bytes as an event: one code and a sentence, or an event within its promises; and what is JSON
 * is the same for our own reader and for jansson. */
#include "core/event.h"
#include "core/json_tree.h"
#include "core/strict_json.h"
#include "tests/fuzz/event_promises.h"
#include "tests/fuzz/fuzz.h"

enum { DEPTH = 8 };

static char star[] = "*", real_model[] = "real*", nothing[] = "";
static struct config_model models[] = {
	{.match_model = real_model, .match_segment = star, .owner = nothing, .score = SCORE_REAL},
	{.match_model = star, .match_segment = star, .owner = nothing},
};
static const struct config config = {
	.limits = {.event_bytes = 65536, .depth = DEPTH, .features = 512},
	.models = models,
	.model_count = 2,
};

static void claim_agreement(struct view text)
{
	struct json_position position;
	struct tree tree = {0};
	struct tree_fault fault;
	struct err err;
	const struct tree_node *root = tree_parse(&tree, text, DEPTH, false, &fault);
	json_t *value = strict_json_parse(text, DEPTH, &position, &err);

	CLAIM((root != NULL) == (value != NULL));
	CLAIM(root || fault.byte <= text.size);
	json_decref(value);
	tree_done(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_decoder *decoder;
	struct view message = input_view(data, size);

	if (!decoder)
		decoder = event_decoder_new(&config);
	claim_event(decoder, NULL, message);
	claim_agreement(message);
	return 0;
}
