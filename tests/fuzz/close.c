/* Any bytes as a close record: what is accepted is the same after encoding and decoding. */
#include "core/close.h"
#include "tests/fuzz/fuzz.h"

static void claim_equal(const struct close_record *a, const struct close_record *b)
{
	CLAIM(a->sequence == b->sequence && a->watermark_ms == b->watermark_ms);
	CLAIM(a->offset == b->offset && a->configured == b->configured);
	CLAIM(a->whole_from_ms == b->whole_from_ms && a->cut == b->cut);
	CLAIM(strcmp(a->config_digest, b->config_digest) == 0);
	CLAIM(a->tick_count == b->tick_count);
	for (size_t i = 0; i < a->tick_count; i++) {
		CLAIM(strcmp(a->ticks[i].model, b->ticks[i].model) == 0);
		CLAIM(a->ticks[i].from_ms == b->ticks[i].from_ms);
		CLAIM(a->ticks[i].window_count == b->ticks[i].window_count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(bytes_done) struct bytes first = {0};
	CLEANUP(bytes_done) struct bytes second = {0};
	struct close_record record, again;
	struct err err;

	if (close_record_from_blob(input_view(data, size), &record, &err) != RC_OK)
		return 0;
	close_record_to_blob(&record, &first);
	CLAIM(close_record_from_blob(bytes_view(&first), &again, &err) == RC_OK);
	close_record_to_blob(&again, &second);
	CLAIM(views_equal(bytes_view(&first), bytes_view(&second)));
	claim_equal(&record, &again);
	close_record_done(&record);
	close_record_done(&again);
	return 0;
}
