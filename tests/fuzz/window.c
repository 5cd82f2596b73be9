/* Any bytes as the blob of a window: what is accepted is the same after encoding and decoding. */
#include "core/window.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(bytes_done) struct bytes first = {0};
	CLEANUP(bytes_done) struct bytes second = {0};
	CLEANUP(bytes_done) struct bytes json = {0};
	CLEANUP(bytes_done) struct bytes json_again = {0};
	struct window window;
	struct err err;

	if (window_from_blob(input_view(data, size), &window, &err) != RC_OK)
		return 0;
	window_to_blob(&window, &first);
	window_to_json(&window, &json);
	window_done(&window);
	CLAIM(first.size <= size);
	CLAIM(window_from_blob(bytes_view(&first), &window, &err) == RC_OK);
	window_to_blob(&window, &second);
	window_to_json(&window, &json_again);
	window_done(&window);
	CLAIM(views_equal(bytes_view(&first), bytes_view(&second)));
	CLAIM(views_equal(bytes_view(&json), bytes_view(&json_again)));
	return 0;
}
