/* tests/fuzz/record.h: the target of a kind of record: what was decoded says in JSON what the input
 * said, and encoding and decoding it again changes nothing. */
#ifndef TESTS_FUZZ_RECORD_H
#define TESTS_FUZZ_RECORD_H

#include "tests/fuzz/fuzz.h"

#include <jansson.h>

/* The texts and integers of a written record are those of the input, where it gave them. */
static void claim_same(struct view input, struct view written)
{
	json_t *before = json_loadb(input.data, input.size, 0, NULL);
	json_t *after = json_loadb(written.data, written.size, 0, NULL);
	const char *field;
	json_t *value;

	CLAIM(before && after);
	json_object_foreach(after, field, value)
	{
		const json_t *given = json_object_get(before, field);

		if (given && (json_is_string(value) || json_is_integer(value)))
			CLAIM(json_equal((json_t *)(uintptr_t)given, value));
	}
	json_decref(before);
	json_decref(after);
}

/* done: ends a record that was decoded. */
#define RECORD_TARGET(name, done)                                                                  \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                               \
	{                                                                                          \
		CLEANUP(bytes_done) struct bytes first = {0};                                      \
		CLEANUP(bytes_done) struct bytes second = {0};                                     \
		struct name record = {0};                                                          \
		struct err err = {0};                                                              \
                                                                                                   \
		if (name##_from_json(input_view(data, size), &record, &err) != RC_OK) {            \
			CLAIM(err.text[0]);                                                        \
			return 0;                                                                  \
		}                                                                                  \
		name##_to_json(&record, &first);                                                   \
		done(&record);                                                                     \
		claim_same(input_view(data, size), bytes_view(&first));                            \
		record = (struct name){0};                                                         \
		CLAIM(name##_from_json(bytes_view(&first), &record, &err) == RC_OK);               \
		name##_to_json(&record, &second);                                                  \
		done(&record);                                                                     \
		CLAIM(views_equal(bytes_view(&first), bytes_view(&second)));                       \
		return 0;                                                                          \
	}

#endif
