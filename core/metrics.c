#include "core/metrics.h"

#include "core/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metric {
	char *name;
	char *labels; /* as written: {name="value",...}; "" without any */
	char *help;
	enum metric_kind kind;
	size_t family; /* index of the first sample of this name */
	double value;
};

static void add_escaped(struct bytes *out, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\\')
			bytes_text(out, "\\\\");
		else if (*text == '\n')
			bytes_text(out, "\\n");
		else if (*text == '"' && quotes)
			bytes_text(out, "\\\"");
		else
			bytes_add(out, text, 1);
	}
}

static void write_labels(const char *const labels[], struct bytes *out)
{
	bytes_text(out, "");
	if (!labels || !labels[0])
		return;
	for (size_t i = 0; labels[i]; i += 2) {
		bytes_format(out, "%s%s=\"", i ? "," : "{", labels[i]);
		add_escaped(out, labels[i + 1], true);
		bytes_text(out, "\"");
	}
	bytes_text(out, "}");
}

static struct metric *add_sample(struct metrics *metrics, enum metric_kind kind, const char *name,
	const char *help, const char *labels)
{
	struct metric *metric = memory_new(1, sizeof *metric);
	size_t family = 0;

	while (family < metrics->count && strcmp(metrics->samples[family]->name, name) != 0)
		family++;
	*metric = (struct metric){.name = memory_text(name),
		.labels = memory_text(labels),
		.help = memory_text(help),
		.kind = kind,
		.family = family};
	if (metrics->count == metrics->capacity) {
		metrics->capacity = metrics->capacity ? metrics->capacity * 2 : 16;
		metrics->samples =
			memory_grow(metrics->samples, metrics->capacity, sizeof *metrics->samples);
	}
	metrics->samples[metrics->count++] = metric;
	return metric;
}

struct metric *metrics_get(struct metrics *metrics, enum metric_kind kind, const char *name,
	const char *help, const char *const labels[])
{
	CLEANUP(bytes_done) struct bytes text = {0};

	write_labels(labels, &text);
	for (size_t i = 0; i < metrics->count; i++) {
		struct metric *metric = metrics->samples[i];

		if (strcmp(metric->name, name) == 0 && strcmp(metric->labels, text.data) == 0)
			return metric;
	}
	return add_sample(metrics, kind, name, help, text.data);
}

void metric_set(struct metric *metric, double value)
{
	metric->value = value;
}

void metric_add(struct metric *metric, double more)
{
	metric->value += more;
}

double metric_value(const struct metric *metric)
{
	return metric->value;
}

/* The fewest digits that read back exactly; infinities and NaN as the format spells them. */
static void write_value(double value, struct bytes *out)
{
	char text[40];

	if (isnan(value)) {
		bytes_text(out, "NaN");
	} else if (isinf(value)) {
		bytes_text(out, value > 0 ? "+Inf" : "-Inf");
	} else {
		for (int digits = 15; digits <= 17; digits++) {
			snprintf(text, sizeof text, "%.*g", digits, value);
			if (strtod(text, NULL) == value)
				break;
		}
		bytes_text(out, text);
	}
}

static void write_family(const struct metrics *metrics, size_t family, struct bytes *out)
{
	const struct metric *first = metrics->samples[family];

	bytes_format(out, "# HELP %s ", first->name);
	add_escaped(out, first->help, false);
	bytes_format(out, "\n# TYPE %s %s\n", first->name,
		first->kind == METRIC_COUNTER ? "counter" : "gauge");
	for (size_t i = family; i < metrics->count; i++) {
		const struct metric *metric = metrics->samples[i];

		if (metric->family != family)
			continue;
		bytes_format(out, "%s%s ", metric->name, metric->labels);
		write_value(metric->value, out);
		bytes_text(out, "\n");
	}
}

void metrics_write(const struct metrics *metrics, struct bytes *out)
{
	for (size_t i = 0; i < metrics->count; i++)
		if (metrics->samples[i]->family == i)
			write_family(metrics, i, out);
}

void metrics_done(struct metrics *metrics)
{
	for (size_t i = 0; i < metrics->count; i++) {
		free(metrics->samples[i]->name);
		free(metrics->samples[i]->labels);
		free(metrics->samples[i]->help);
		free(metrics->samples[i]);
	}
	free(metrics->samples);
	*metrics = (struct metrics){0};
}
