/* core/window_json.c: a window as the record that people and other programs read (docs/records.md).
 * THINKS. The sum is written exactly: it may have more digits than a double. */
#include "core/json_tree.h"
#include "core/memory.h"
#include "core/window.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void add_text(struct bytes *out, const char *name, const char *value)
{
	bytes_format(out, ",\"%s\":", name);
	json_add_text(out, view_of(value));
}

struct named { /* a bin with a name */
	const char *name;
	uint64_t count;
};

static int by_name(const void *left, const void *right)
{
	const struct named *a = left;
	const struct named *b = right;

	return strcmp(a->name, b->name);
}

static const char *name_of(const struct window *window, const struct bin *bin)
{
	return window->layout == LAYOUT_NAMES ? window->names[bin->bin]
					      : layout_bin_name(window->layout, bin->bin);
}

static void add_numeric_bin(
	const struct window *window, const struct bin *bin, bool first, struct bytes *out)
{
	double low;
	double high;

	layout_edges(window->layout, bin->bin, &low, &high);
	bytes_text(out, first ? "[" : ",[");
	json_add_number(out, low);
	bytes_text(out, ",");
	json_add_number(out, high);
	bytes_format(out, ",%" PRIu64 "]", bin->count);
}

static void add_bins(const struct window *window, struct bytes *out)
{
	struct named *named = memory_new(window->bin_count, sizeof *named);
	size_t named_count = 0;
	bool first = true;

	bytes_text(out, ",\"bins\":[");
	for (size_t i = 0; i < window->bin_count; i++) {
		const char *name = name_of(window, &window->bins[i]);

		if (name) {
			named[named_count++] =
				(struct named){.name = name, .count = window->bins[i].count};
			continue;
		}
		add_numeric_bin(window, &window->bins[i], first, out);
		first = false;
	}
	qsort(named, named_count, sizeof *named, by_name);
	for (size_t i = 0; i < named_count; i++) {
		bytes_text(out, first ? "[" : ",[");
		json_add_text(out, view_of(named[i].name));
		bytes_format(out, ",%" PRIu64 "]", named[i].count);
		first = false;
	}
	bytes_text(out, "]");
	free(named);
}

static bool has_sum(const struct window *window)
{
	if (window->layout == LAYOUT_COUNT)
		return strcmp(window->series.signal, "late") == 0;
	return window->layout == LAYOUT_LATENCY || window->layout == LAYOUT_PROBABILITY ||
	       window->layout == LAYOUT_REAL;
}

void window_to_json(const struct window *window, struct bytes *out)
{
	const struct series *series = &window->series;
	char sum[48];

	bytes_text(out, "{\"kind\":\"window\"");
	add_text(out, "model", series->model);
	add_text(out, "version", series->version);
	add_text(out, "role", series->role);
	add_text(out, "segment", series->segment);
	add_text(out, "signal", series->signal);
	bytes_format(out, ",\"from\":%" PRId64 ",\"to\":%" PRId64 ",\"n\":%" PRIu64,
		window->from_ms, window->to_ms, window->n);
	if (has_sum(window)) {
		millionths_text(window->sum, sum);
		bytes_format(out, ",\"sum\":%s", sum);
	}
	if (window->layout != LAYOUT_COUNT)
		add_bins(window, out);
	bytes_text(out, "}");
}
