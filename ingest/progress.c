#include "ingest/progress.h"

#include "core/topics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { LOOK_EVERY_MS = 500, SMOOTH_MS = 5000 };

static double smoothed(double before, double now, int64_t elapsed_ms)
{
	double weight = 1 - exp(-(double)elapsed_ms / SMOOTH_MS);

	return before == 0 ? now : before + weight * (now - before);
}

static void measure(struct progress *progress, int64_t next, int64_t end, int64_t elapsed_ms)
{
	double seconds = (double)elapsed_ms / 1000;

	progress->per_second = smoothed(
		progress->per_second, (double)(next - progress->next) / seconds, elapsed_ms);
	progress->ends_per_second = smoothed(
		progress->ends_per_second, (double)(end - progress->end) / seconds, elapsed_ms);
}

static void begin(struct progress *progress, int64_t next)
{
	progress->catching_up = true;
	progress->from = next;
	progress->per_second = progress->ends_per_second = 0;
}

void progress_look(struct progress *progress, int64_t next, int64_t lag, int64_t now)
{
	int64_t elapsed_ms = now - progress->looked_at;

	if (lag < 0 || next < 0 || (progress->looked_at && elapsed_ms < LOOK_EVERY_MS))
		return;
	if (!progress->catching_up && lag >= PROGRESS_BEGINS_AT)
		begin(progress, next);
	else if (progress->catching_up && lag < PROGRESS_ENDS_AT)
		progress->catching_up = false;
	else if (progress->catching_up && next >= progress->next)
		measure(progress, next, next + lag, elapsed_ms);
	else
		progress->from = next; /* read again from an earlier place */
	progress->next = next;
	progress->end = next + lag;
	progress->looked_at = now;
}

int progress_percent(const struct progress *progress)
{
	int64_t all = progress->end - progress->from;

	return all > 0 ? (int)((progress->next - progress->from) * 100 / all) : 0;
}

int64_t progress_seconds_left(const struct progress *progress)
{
	double closing = progress->per_second - progress->ends_per_second;
	double seconds = (double)(progress->end - progress->next) / closing;

	return closing > 0 && seconds < 1e9 ? (int64_t)ceil(seconds) : -1;
}

void progress_add(struct progress *sum, const struct progress *more)
{
	if (!more->catching_up)
		return;
	sum->catching_up = true;
	sum->next += more->next - more->from;
	sum->end += more->end - more->from;
	sum->per_second += more->per_second;
	sum->ends_per_second += more->ends_per_second;
}

static void time_left(int64_t seconds, char *text, size_t size)
{
	if (seconds < 0)
		snprintf(text, size, "it does not come nearer");
	else if (seconds < 60)
		snprintf(text, size, "%" PRId64 " s left", seconds);
	else if (seconds < 3600)
		snprintf(text, size, "%" PRId64 " min %" PRId64 " s left", seconds / 60,
			seconds % 60);
	else
		snprintf(text, size, "%" PRId64 " h %" PRId64 " min left", seconds / 3600,
			seconds / 60 % 60);
}

void progress_text(const struct progress *progress, char *text, size_t size)
{
	char left[48];

	if (progress->per_second == 0) {
		snprintf(text, size, "catching up: %d %%", progress_percent(progress));
		return;
	}
	time_left(progress_seconds_left(progress), left, sizeof left);
	snprintf(text, size, "catching up: %d %%, %.0f messages/s, %s", progress_percent(progress),
		progress->per_second, left);
}

static void put(const struct progress *progress, struct change *change)
{
	CLEANUP(bytes_done) struct bytes json = {0};

	bytes_format(&json,
		"{\"kind\":\"progress\",\"percent\":%d,\"per_second\":%.0f,\"seconds_left\":"
		"%" PRId64 ",\"behind\":%" PRId64 "}",
		progress_percent(progress), progress->per_second, progress_seconds_left(progress),
		progress->end - progress->next);
	change_put(change, TABLE_PROGRESS, view_of("progress"), bytes_view(&json));
}

bool progress_is_over(const struct progress *progress)
{
	return progress->told && !progress->catching_up;
}

void progress_change(struct progress *progress, struct change *change)
{
	if (progress->catching_up)
		put(progress, change);
	else if (!progress->cleared)
		change_drop(change, TABLE_PROGRESS, view_of("progress"));
	progress->told = progress->catching_up;
	progress->cleared = !progress->catching_up;
}
