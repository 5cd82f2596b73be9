#include "ctl/ask.h"

#include "ctl/print_json.h"
#include "ports/config_file.h"
#include "ports/http_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000, ANSWER_BYTES_MAX = 65 << 20 };

static const char default_config[] = "/etc/modelwatch/modelwatch.yaml";
static const char default_address[] = "http://127.0.0.1:9130";

static void add_listen(const struct config_listen *listen, struct bytes *address)
{
	bool is_ipv6 = strchr(listen->host, ':') != NULL;

	bytes_format(
		address, is_ipv6 ? "http://[%s]:%d" : "http://%s:%d", listen->host, listen->port);
}

/* As many whole lines as an error has room for, without the last newline. */
static int first_lines(const struct bytes *text)
{
	size_t size = text->size < 400 ? text->size : 400;

	while (size && text->data[size - 1] != '\n')
		size--;
	return (int)(size ? size - 1 : 0);
}

static enum rc add_configured(const char *config_path, struct bytes *address, struct err *err)
{
	struct config config = {0};
	struct mistakes mistakes = {0};
	enum rc rc = config_file_load(config_path, false, &config, &mistakes);

	if (rc == RC_OK)
		add_listen(&config.console, address);
	else
		err_set(err, RC_FATAL, "%zu mistake%s in the configuration (or give --url):\n%.*s",
			mistakes.count, mistakes.count == 1 ? "" : "s", first_lines(&mistakes.text),
			mistakes.text.data ? mistakes.text.data : "");
	config_done(&config);
	bytes_done(&mistakes.text);
	return rc;
}

enum rc ask_address(
	const char *url, const char *config_path, struct bytes *address, struct err *err)
{
	if (!url)
		url = getenv("MODELWATCH_URL");
	if (url && *url) {
		bytes_text(address, url);
		while (address->size && address->data[address->size - 1] == '/')
			address->data[--address->size] = '\0';
		return RC_OK;
	}
	if (config_path || getenv("MODELWATCH_CONFIG") || access(default_config, F_OK) == 0)
		return add_configured(config_path, address, err);
	bytes_text(address, default_address);
	return RC_OK;
}

static enum rc judge(const struct http_outcome *outcome, const char *address, struct bytes *body,
	struct err *err)
{
	char sentence[300];

	if (outcome->fate == HTTP_REFUSED)
		return err_set(err, RC_REJECT,
			"the console's address %s: %s; expected http://HOST:PORT on loopback",
			address, outcome->reason);
	if (outcome->fate != HTTP_ANSWERED)
		return err_set(err, RC_RETRY,
			"no answer from the console at %s: %s; is modelwatch-console running?",
			address, outcome->reason);
	if (outcome->status == 200) {
		bytes_add(body, outcome->body.data, outcome->body.size);
		return RC_OK;
	}
	print_error_sentence(outcome->body, sentence, sizeof sentence);
	err_set(err, RC_OK, "%s (%s, HTTP %d)", sentence, address, outcome->status);
	return outcome->status == 404 ? RC_NONE : outcome->status < 500 ? RC_REJECT : RC_RETRY;
}

enum rc ask(const char *address, const char *path, struct bytes *body, struct err *err)
{
	char *const allow[] = {(char[]){"127.0.0.0/8"}, (char[]){"::1/128"}};
	CLEANUP(bytes_done) struct bytes url = {0};
	struct http_outcome outcome;
	struct http_out *http;

	bytes_format(&url, "%s%s", address, path);
	const struct config_http to = {
		.url = url.data, .ca = (char[]){""}, .timeout_ms = TIMEOUT_MS};
	const struct http_call call = {
		.method = "GET", .to = &to, .answer_bytes_max = ANSWER_BYTES_MAX};

	TRY(http_out_open(allow, sizeof allow / sizeof *allow, &http, err));
	http_out_start(http, &call);
	while (!http_out_take(http, 1000, &outcome))
		;
	enum rc rc = judge(&outcome, address, body, err);

	http_out_close(http);
	return rc;
}

static void add_encoded(struct bytes *path, const char *text)
{
	for (; *text; text++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~",
			    *text))
			bytes_add(path, text, 1);
		else
			bytes_format(path, "%%%02X", (unsigned char)*text);
	}
}

void ask_parameter(struct bytes *path, const char *name, const char *value)
{
	if (!value)
		return;
	bytes_format(path, "%s%s=", strchr(path->data, '?') ? "&" : "?", name);
	add_encoded(path, value);
}

void ask_segment(struct bytes *path, const char *text)
{
	bytes_text(path, "/");
	add_encoded(path, text);
}
