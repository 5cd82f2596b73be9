/* A request to the console's API: the method, the path, then a parameter NAME=VALUE a line, over an
 * empty store. Every answer is JSON under a status that the API knows. */
#include "console/api.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

static struct view parameters;
static char *given;

/* Stands for the door's, which would want a connection. */
const char *http_query(const struct http_request *request, const char *name)
{
	struct view rest = parameters;
	struct view line;
	size_t size = strlen(name);

	(void)request;
	while (input_line(&rest, &line)) {
		if (line.size <= size || memcmp(line.data, name, size) != 0 ||
			line.data[size] != '=')
			continue;
		free(given);
		given = malloc(line.size);
		view_copy((struct view){line.data + size + 1, line.size - size - 1}, given,
			line.size);
		return given;
	}
	return NULL;
}

static void copy_line(struct view *rest, char *text, size_t size)
{
	struct view line = {"", 0};

	input_line(rest, &line);
	view_copy(line, text, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char star[] = "*", nothing[] = "";
	static struct config_model models[] = {
		{.match_model = star, .match_segment = star, .owner = nothing}};
	static const struct config config = {.models = models, .model_count = 1};
	struct http_answer answer = {.status = 200};
	struct metrics metrics = {0};
	char method[8], path[2048];
	struct api api = {.store = store_memory_open(), .config = &config, .metrics = &metrics};

	parameters = input_view(data, size);
	copy_line(&parameters, method, sizeof method);
	copy_line(&parameters, path, sizeof path);
	const struct http_request request = {.method = method, .path = path, .body = {"", 0}};

	api_answer(&api, &request, &answer);
	CLAIM(answer.status == 200 || answer.status == 400 || answer.status == 404 ||
		answer.status == 405);
	json_t *value = json_loadb(answer.body.data, answer.body.size, 0, NULL);

	/* An error may repeat bytes of the path that are no text. */
	CLAIM(value || answer.status != 200);
	json_decref(value);
	bytes_done(&answer.body);
	metrics_done(&metrics);
	store_close(api.store);
	free(given);
	given = NULL;
	return 0;
}
