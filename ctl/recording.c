#include "ctl/recording.h"

#include "core/event.h"
#include "core/memory.h"
#include "ports/log.h"
#include "ports/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
	char *path, *format_name;
	const struct format *format;
	char tag[16];
	struct trace *trace;
	struct view line; /* read ahead; data NULL: none */
	bool ended;
	int64_t ts_max;    /* running maximum */
	struct view model; /* of the line read ahead, while the decoder has it */
};

struct recording {
	struct file *files;
	size_t count;
	struct event_decoder *decoder;
	struct mark *marks;
	bool *used;
	size_t mark_count, mark_from; /* all before mark_from are used */
	bool one_partition;
	struct file *given; /* whose line was given out last: to be read ahead again */
};

struct recording *recording_new(void)
{
	return memory_new(1, sizeof(struct recording));
}

void recording_close(struct recording *recording)
{
	for (size_t i = 0; i < recording->count; i++) {
		free(recording->files[i].path);
		free(recording->files[i].format_name);
		trace_close(recording->files[i].trace);
	}
	free(recording->files);
	free(recording->marks);
	free(recording->used);
	event_decoder_free(recording->decoder);
	free(recording);
}

void recording_add(struct recording *recording, const char *path, const char *format)
{
	recording->files =
		memory_grow(recording->files, recording->count + 1, sizeof *recording->files);
	struct file *file = &recording->files[recording->count];

	*file = (struct file){.path = memory_text(path), .ts_max = INT64_MIN};
	file->format_name = format ? memory_text(format) : NULL;
	snprintf(file->tag, sizeof file->tag, "%zu", recording->count++);
}

size_t recording_file_count(const struct recording *recording)
{
	return recording->count;
}

static const struct format *format_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->format_count; i++)
		if (strcmp(config->formats[i].name, name) == 0)
			return &config->formats[i];
	return NULL;
}

enum rc recording_formats(struct recording *recording, const struct config *config, struct err *err)
{
	const char *usual = config->kafka.topic_count ? config->kafka.topics[0].format : "";

	for (size_t i = 0; i < recording->count; i++) {
		struct file *file = &recording->files[i];
		const char *name = file->format_name ? file->format_name : usual;

		file->format = *name ? format_named(config, name) : NULL;
		if (*name && !file->format)
			return err_set(err, RC_FATAL,
				"--format %s: no such format; expected one of `formats` in the "
				"configuration",
				name);
	}
	recording->decoder = event_decoder_new(config);
	return RC_OK;
}

enum rc recording_marks(struct recording *recording, const char *path, struct err *err)
{
	struct trace *trace;
	struct view line;
	enum rc rc;

	TRY(trace_open(path, &trace, err));
	while ((rc = trace_next(trace, &line, err)) == RC_OK) {
		struct mark mark;

		rc = mark_from_json(line, &mark, err);
		if (rc != RC_OK) {
			err_prefix(err, rc, "%s: mark %zu: ", path, recording->mark_count + 1);
			break;
		}
		recording->marks = memory_grow(
			recording->marks, recording->mark_count + 1, sizeof *recording->marks);
		recording->marks[recording->mark_count++] = mark;
	}
	trace_close(trace);
	recording->used = memory_new(recording->mark_count, sizeof *recording->used);
	return rc == RC_NONE ? RC_OK : rc;
}

/* What is no event keeps its place in its file. */
static void look_at(struct recording *recording, struct file *file)
{
	struct rejection rejection;
	struct event event;

	file->model = (struct view){"", 0};
	if (event_from_json(recording->decoder, file->format, file->line, &event, &rejection) !=
		E_GOOD)
		return;
	file->model = event.model;
	if (event.ts > file->ts_max)
		file->ts_max = event.ts;
}

static enum rc read_ahead(struct recording *recording, struct file *file, struct err *err)
{
	if (!file->trace)
		TRY(trace_open(file->path, &file->trace, err));
	enum rc rc = trace_next(file->trace, &file->line, err);

	if (rc == RC_NONE) {
		file->ended = true;
		file->line.data = NULL;
		return RC_OK;
	}
	if (rc == RC_OK && recording->count > 1)
		look_at(recording, file);
	return rc;
}

static enum rc fill(struct recording *recording, struct err *err)
{
	if (recording->given)
		recording->given->line.data = NULL;
	for (size_t i = 0; i < recording->count; i++) {
		struct file *file = &recording->files[i];

		if (!file->ended && !file->line.data)
			TRY(read_ahead(recording, file, err));
	}
	return RC_OK;
}

enum rc recording_next(struct recording *recording, int32_t partition_count,
	struct recorded *recorded, struct err *err)
{
	struct file *first = NULL;

	recording->one_partition = partition_count == 1;
	TRY(fill(recording, err));
	for (size_t i = 0; i < recording->count; i++) {
		struct file *file = &recording->files[i];

		if (file->line.data && (!first || file->ts_max < first->ts_max))
			first = file;
	}
	if (!first)
		return RC_NONE;
	recording->given = first;
	*recorded = (struct recorded){.line = first->line, .tag = view_of(first->tag)};
	if (partition_count > 1) {
		look_at(recording, first);
		recorded->partition = log_partition_of(first->model, partition_count);
	}
	return RC_OK;
}

const struct format *recording_format(const struct recording *recording, struct view tag)
{
	for (size_t i = 0; i < recording->count; i++)
		if (view_is(tag, recording->files[i].tag))
			return recording->files[i].format;
	return NULL;
}

static bool is_of(const struct recording *recording, const struct mark *mark, int32_t partition)
{
	const char *number = strrchr(mark->log, '-');

	return recording->one_partition || (number && atoi(number + 1) == partition);
}

bool recording_next_mark(
	struct recording *recording, int32_t partition, int64_t offset, struct mark *mark)
{
	while (recording->mark_from < recording->mark_count &&
		recording->used[recording->mark_from])
		recording->mark_from++;
	for (size_t i = recording->mark_from; i < recording->mark_count; i++) {
		if (recording->used[i] || !is_of(recording, &recording->marks[i], partition))
			continue;
		if (recording->marks[i].offset > offset)
			return false;
		recording->used[i] = true;
		*mark = recording->marks[i];
		return true;
	}
	return false;
}

double recording_progress(const struct recording *recording)
{
	double sum = 0;

	for (size_t i = 0; i < recording->count; i++) {
		const struct file *file = &recording->files[i];
		double part = file->trace ? trace_progress(file->trace) : 0;

		if (part < 0)
			return -1;
		sum += part;
	}
	return recording->count ? sum / (double)recording->count : -1;
}
