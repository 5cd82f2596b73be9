/* tests/fuzz/play.c: gives files to a fuzz target, one after the other, where there is no
 * libFuzzer. Each lies in memory of exactly its size, so that a sanitizer sees every overrun. */
#include "tests/fuzz/fuzz.h"

static int play(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct bytes text = {0};
	char piece[65536];
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	while ((size = fread(piece, 1, sizeof piece, file)) > 0)
		bytes_add(&text, piece, size);
	fclose(file);
	uint8_t *exact = malloc(text.size ? text.size : 1);

	if (text.size)
		memcpy(exact, text.data, text.size);
	LLVMFuzzerTestOneInput(exact, text.size);
	free(exact);
	bytes_done(&text);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		fprintf(stderr, "%s\n", argv[i]);
		if (play(argv[i]))
			return 1;
	}
	return 0;
}
