#include "detectors/traffic.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
	QUIET_TICKS = 10,
	QUIET_MS = 30000,
	EXPECTED_MIN = 30,
};

#define FORGET_MS (30 * (int64_t)86400000)

#define MEMORY (1.0 - 1.0 / 64)

const char *const role_names[ROLES] = {"production", "canary"};

enum role role_of(const char *name)
{
	for (int role = 0; role < ROLES; role++)
		if (strcmp(name, role_names[role]) == 0)
			return (enum role)role;
	return ROLES;
}

enum role role_other(enum role role)
{
	return role == ROLE_CANARY ? ROLE_PRODUCTION : ROLE_CANARY;
}

void traffic_done(struct traffic *traffic)
{
	free(traffic->list);
	*traffic = (struct traffic){0};
}

static struct version *find(const struct traffic *traffic, enum role role, const char *name)
{
	for (size_t i = 0; i < traffic->count; i++)
		if (traffic->list[i].role == role && strcmp(traffic->list[i].name, name) == 0)
			return &traffic->list[i];
	return NULL;
}

static struct version *version_of(struct traffic *traffic, enum role role, const char *name)
{
	struct version *version = find(traffic, role, name);
	size_t place = 0;

	if (version)
		return version;
	while (place < traffic->count &&
		(traffic->list[place].role < role ||
			(traffic->list[place].role == role &&
				strcmp(traffic->list[place].name, name) < 0)))
		place++;
	traffic->list = memory_grow(traffic->list, traffic->count + 1, sizeof *traffic->list);
	version = &traffic->list[place];
	memmove(version + 1, version, (traffic->count - place) * sizeof *version);
	traffic->count++;
	*version = (struct version){.role = role};
	view_copy(view_of(name), version->name, sizeof version->name);
	return version;
}

/* rate and late go by role. */
static bool has_versions(const struct window *window)
{
	return window->layout != LAYOUT_COUNT;
}

static void count_tick(struct traffic *traffic, const struct closed_tick *tick)
{
	for (size_t i = 0; i < traffic->count; i++)
		traffic->list[i].now = 0;
	for (size_t i = 0; i < tick->window_count; i++) {
		const struct window *window = &tick->windows[i];
		enum role role = role_of(window->series.role);

		if (role == ROLES || !has_versions(window) || !window->n)
			continue;
		struct version *version = version_of(traffic, role, window->series.version);

		if (window->n > version->now)
			version->now = window->n;
	}
}

static void sum(const struct traffic *traffic, double recent[ROLES], uint64_t now[ROLES])
{
	for (size_t i = 0; i < traffic->count; i++) {
		recent[traffic->list[i].role] += traffic->list[i].recent;
		now[traffic->list[i].role] += traffic->list[i].now;
	}
}

static bool is_gone(const struct version *version, const struct closed_tick *tick)
{
	int64_t tick_ms = tick->to_ms - tick->from_ms;
	int64_t quiet_ms = tick->to_ms - version->last_ms;

	return quiet_ms >= QUIET_TICKS * tick_ms && quiet_ms >= QUIET_MS &&
	       ((double)version->role_since * version->share >= EXPECTED_MIN ||
		       (double)version->other_since * version->ratio >= EXPECTED_MIN);
}

/* Of the versions of a role that are not gone, the one with most traffic; NULL: there is none. */
static const struct version *largest(
	const struct traffic *traffic, enum role role, const struct closed_tick *tick)
{
	const struct version *best = NULL;

	for (size_t i = 0; i < traffic->count; i++) {
		const struct version *version = &traffic->list[i];

		if (version->role == role && !is_gone(version, tick) &&
			(!best || version->recent > best->recent))
			best = version;
	}
	return best;
}

static void choose_main(struct traffic *traffic, enum role role, const struct closed_tick *tick)
{
	const struct version *best = largest(traffic, role, tick);
	const struct version *main =
		traffic->has_main[role] ? find(traffic, role, traffic->main[role]) : NULL;

	if (best && (!main || is_gone(main, tick) || best->recent > 2 * main->recent))
		main = best;
	traffic->has_main[role] = main != NULL;
	if (main)
		view_copy(view_of(main->name), traffic->main[role], NAME_SIZE);
}

static void forget_old(struct traffic *traffic, const struct closed_tick *tick)
{
	size_t left = 0;

	for (size_t i = 0; i < traffic->count; i++)
		if (tick->to_ms - traffic->list[i].last_ms < FORGET_MS)
			traffic->list[left++] = traffic->list[i];
	traffic->count = left;
}

void traffic_tick(struct traffic *traffic, const struct closed_tick *tick)
{
	double recent[ROLES] = {0};
	uint64_t now[ROLES] = {0};

	count_tick(traffic, tick);
	for (size_t i = 0; i < traffic->count; i++)
		traffic->list[i].recent =
			traffic->list[i].recent * MEMORY + (double)traffic->list[i].now;
	sum(traffic, recent, now);
	for (size_t i = 0; i < traffic->count; i++) {
		struct version *version = &traffic->list[i];
		enum role other = role_other(version->role);

		version->role_since += now[version->role];
		version->other_since += now[other];
		if (!version->now)
			continue;
		version->last_ms = tick->to_ms;
		version->share = version->recent / recent[version->role];
		version->ratio =
			recent[other] > version->recent ? version->recent / recent[other] : 1;
		version->role_since = version->other_since = 0;
	}
	forget_old(traffic, tick);
	for (int role = 0; role < ROLES; role++)
		choose_main(traffic, (enum role)role, tick);
	traffic->dirty = true;
}

const char *traffic_main(const struct traffic *traffic, enum role role)
{
	return traffic->has_main[role] ? traffic->main[role] : NULL;
}

bool traffic_is_gone(const struct traffic *traffic, enum role role, const char *version,
	const struct closed_tick *tick, const char **replaced_by)
{
	const struct version *found = find(traffic, role, version);

	*replaced_by = "";
	if (found && !is_gone(found, tick))
		return false;
	const struct version *serving = largest(traffic, role, tick);

	if (serving)
		*replaced_by = serving->name;
	return true;
}

void traffic_write(const struct traffic *traffic, struct bytes *out)
{
	bytes_varint(out, traffic->count);
	for (size_t i = 0; i < traffic->count; i++) {
		const struct version *version = &traffic->list[i];

		bytes_varint(out, version->role);
		bytes_sized(out, version->name, strlen(version->name));
		bytes_double(out, version->recent);
		bytes_zigzag(out, version->last_ms);
		bytes_double(out, version->share);
		bytes_double(out, version->ratio);
		bytes_varint(out, version->role_since);
		bytes_varint(out, version->other_since);
	}
	for (int role = 0; role < ROLES; role++) {
		bytes_varint(out, traffic->has_main[role]);
		bytes_sized(out, traffic->main[role], strlen(traffic->main[role]));
	}
}

void traffic_read(struct traffic *traffic, struct reader *in)
{
	uint64_t count = reader_varint(in);

	for (uint64_t i = 0; i < count && in->ok; i++) {
		uint64_t role = reader_varint(in);
		char name[NAME_SIZE];

		view_copy(reader_sized(in), name, sizeof name);
		if (role >= ROLES || !in->ok) {
			in->ok = false;
			return;
		}
		struct version *version = version_of(traffic, (enum role)role, name);

		version->recent = reader_double(in);
		version->last_ms = reader_zigzag(in);
		version->share = reader_double(in);
		version->ratio = reader_double(in);
		version->role_since = reader_varint(in);
		version->other_since = reader_varint(in);
	}
	for (int role = 0; role < ROLES; role++) {
		traffic->has_main[role] = reader_varint(in) != 0;
		view_copy(reader_sized(in), traffic->main[role], NAME_SIZE);
	}
}
