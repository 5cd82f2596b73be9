/* core/matcher.c: label matchers in Alertmanager's words, and globs. THINKS. */
#include "core/matcher.h"

#include "core/bytes.h"
#include "core/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A regular expression larger than this asks the compiler for more memory than a matcher is worth.
 */
enum { REGEX_BYTES_MAX = 1024, REGEX_REPEATS_MAX = 1000 };

static const struct {
	const char *text;
	enum matcher_kind kind;
} operators[] = {
	{"=~", MATCH_REGEX},
	{"!~", MATCH_NOT_REGEX},
	{"!=", MATCH_NOT_EQUAL},
	{"=", MATCH_EQUAL},
};

static bool is_name_byte(char byte, bool first)
{
	return isalpha((unsigned char)byte) || byte == '_' ||
	       (!first && isdigit((unsigned char)byte));
}

static const char *skip_blanks(const char *at)
{
	while (*at == ' ')
		at++;
	return at;
}

static enum rc parse_operator(
	const char *text, const char **at, enum matcher_kind *kind, struct err *err)
{
	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
		size_t size = strlen(operators[i].text);

		if (strncmp(*at, operators[i].text, size) == 0) {
			*kind = operators[i].kind;
			*at += size;
			return RC_OK;
		}
	}
	return err_set(
		err, RC_REJECT, "matcher '%.200s': expected NAME, then =, !=, =~ or !~", text);
}

/* A value in double quotes, with \", \\ and \n as in Alertmanager. */
static enum rc parse_quoted(const char *text, const char *at, struct bytes *value, struct err *err)
{
	for (at++; *at && *at != '"'; at++) {
		char byte = *at;

		if (byte == '\\') {
			byte = *++at;
			if (byte == 'n')
				byte = '\n';
			else if (byte != '"' && byte != '\\')
				return err_set(err, RC_REJECT,
					"matcher '%.200s': expected \\\", \\\\ or \\n after a "
					"backslash; "
					"a backslash of a regular expression is written \\\\",
					text);
		}
		bytes_add(value, &byte, 1);
	}
	if (*at != '"')
		return err_set(err, RC_REJECT, "matcher '%.200s': the quotes are not closed", text);
	if (*skip_blanks(at + 1))
		return err_set(err, RC_REJECT,
			"matcher '%.200s': expected nothing after the closing quotes", text);
	return RC_OK;
}

static enum rc parse_bare(const char *text, const char *at, struct bytes *value, struct err *err)
{
	size_t size = strlen(at);

	while (size && at[size - 1] == ' ')
		size--;
	if (memchr(at, '"', size))
		return err_set(err, RC_REJECT,
			"matcher '%.200s': expected quotes around the whole value or none", text);
	bytes_add(value, at, size);
	return RC_OK;
}

/* Refuses what lets a short expression take unbounded memory or time: nested counted repetitions
 * and back-references. */
static bool is_affordable(const char *regex)
{
	long product = 1;

	if (strlen(regex) > REGEX_BYTES_MAX)
		return false;
	for (const char *at = regex; *at; at++) {
		if (*at == '\\') {
			if (isdigit((unsigned char)*++at))
				return false;
			if (!*at)
				break;
		} else if (*at == '{') {
			const char *comma = at + 1 + strspn(at + 1, "0123456789");
			long count = strtol(
				*comma == ',' && comma[1] != '}' ? comma + 1 : at + 1, NULL, 10);

			if (count > REGEX_REPEATS_MAX)
				return false;
			product *= count > 1 ? count : 1;
			if (product > REGEX_REPEATS_MAX)
				return false;
		}
	}
	return true;
}

static enum rc compile(const char *text, struct matcher *matcher, struct err *err)
{
	CLEANUP(bytes_done) struct bytes anchored = {0};
	char why[128];

	if (!is_affordable(matcher->value))
		return err_set(err, RC_REJECT,
			"matcher '%.200s': expected a regular expression of at most %d bytes, "
			"without "
			"back-references, with at most %d counted repetitions",
			text, REGEX_BYTES_MAX, REGEX_REPEATS_MAX);
	/* Compiled alone first: in ^(...)$ a text such as "a)(b" would be one. */
	int failed = regcomp(&matcher->regex, matcher->value, REG_EXTENDED | REG_NOSUB);

	if (!failed) {
		regfree(&matcher->regex);
		bytes_format(&anchored, "^(%s)$", matcher->value);
		failed = regcomp(&matcher->regex, anchored.data, REG_EXTENDED | REG_NOSUB);
	}
	if (!failed)
		return RC_OK;
	regerror(failed, &matcher->regex, why, sizeof why);
	return err_set(err, RC_REJECT,
		"matcher '%.200s': not a POSIX extended regular expression: %s", text, why);
}

static bool is_regex(const struct matcher *matcher)
{
	return matcher->kind == MATCH_REGEX || matcher->kind == MATCH_NOT_REGEX;
}

enum rc matcher_parse(const char *text, struct matcher *matcher, struct err *err)
{
	CLEANUP(bytes_done) struct bytes value = {0};
	struct matcher parsed = {0};
	const char *name = skip_blanks(text), *at = name;

	while (is_name_byte(*at, at == name))
		at++;
	size_t name_size = (size_t)(at - name);

	if (!name_size)
		return err_set(err, RC_REJECT,
			"matcher '%.200s': expected the name of a label first", text);
	at = skip_blanks(at);
	TRY(parse_operator(text, &at, &parsed.kind, err));
	at = skip_blanks(at);
	TRY(*at == '"' ? parse_quoted(text, at, &value, err) : parse_bare(text, at, &value, err));

	parsed.value = memory_copy(value.data, value.size);
	if (is_regex(&parsed) && compile(text, &parsed, err) != RC_OK) {
		free(parsed.value);
		return RC_REJECT;
	}
	parsed.name = memory_copy(name, name_size);
	*matcher = parsed;
	return RC_OK;
}

void matcher_done(struct matcher *matcher)
{
	if (matcher->value && is_regex(matcher))
		regfree(&matcher->regex);
	free(matcher->name);
	free(matcher->value);
	*matcher = (struct matcher){0};
}

bool matcher_matches(const struct matcher *matcher, const char *label_value)
{
	bool negative = matcher->kind == MATCH_NOT_EQUAL || matcher->kind == MATCH_NOT_REGEX;
	bool same = is_regex(matcher) ? regexec(&matcher->regex, label_value, 0, NULL, 0) == 0
				      : strcmp(matcher->value, label_value) == 0;

	return same != negative;
}

/* On a mismatch only the last * can take one more: linear memory, at worst pattern times text. */
bool glob_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
