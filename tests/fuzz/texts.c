/* Short texts with a printed form: what is read is printed and read the same. */
#include "core/address.h"
#include "core/digest.h"
#include "core/time_text.h"
#include "tests/fuzz/fuzz.h"

static void claim_address(const char *text)
{
	struct address address, again;
	struct address_block block;
	char printed[ADDRESS_TEXT_SIZE];
	struct err err;

	if (address_block_parse(text, &block, &err) == RC_OK)
		CLAIM(address_in(&block.first, &block));
	if (address_parse(text, &address, &err) != RC_OK)
		return;
	address_text(&address, printed);
	CLAIM(address_parse(printed, &again, &err) == RC_OK);
	CLAIM(again.bits == address.bits);
	CLAIM(memcmp(again.bytes, address.bytes, (size_t)address.bits / 8) == 0);
	address_refused(&address, NULL, 0);
}

static void claim_moment(struct view text)
{
	char printed[TIME_TEXT_SIZE];
	int64_t ms, again;

	if (!time_text_parse(text, &ms))
		return;
	time_text_print(ms, printed);
	CLAIM(time_text_parse(view_of(printed), &again) && again == ms);
}

static void claim_base64(struct view text)
{
	CLEANUP(bytes_done) struct bytes encoded = {0};
	CLEANUP(bytes_done) struct bytes decoded = {0};
	CLEANUP(bytes_done) struct bytes other = {0};

	base64_encode(text, &encoded);
	CLAIM(base64_decode(bytes_view(&encoded), &decoded));
	CLAIM(views_equal(bytes_view(&decoded), text));
	if (base64_decode(text, &other))
		CLAIM(other.size <= text.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = input_view(data, size);
	char *copy = malloc(size + 1);

	view_copy(text, copy, size + 1);
	claim_address(copy);
	claim_moment(text);
	claim_base64(text);
	free(copy);
	return 0;
}
