#include "ports/step_call.h"

#include "core/map.h"
#include "core/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An argument lies in the change's arena or in our text, which moves while it grows; so arguments
 * become views only at the end. */
struct piece {
	const struct bytes *in;
	size_t offset, size;
};

void step_call_key(struct bytes *key, const char *prefix, const struct fold *fold,
	const char *epoch, struct view table)
{
	bytes_format(key, "%s:{%s}:%s:", prefix, fold->log, fold->service);
	if (epoch)
		bytes_format(key, "%s:", epoch);
	bytes_add(key, table.data, table.size);
}

void step_call_done(struct step_call *call)
{
	free(call->arguments);
	free(call->pieces);
	bytes_done(&call->text);
}

static void add_piece(struct step_call *call, const struct bytes *in, size_t offset, size_t size)
{
	if (call->piece_count == call->piece_capacity) {
		call->piece_capacity = call->piece_capacity ? call->piece_capacity * 2 : 64;
		call->pieces =
			memory_grow(call->pieces, call->piece_capacity, sizeof *call->pieces);
	}
	call->pieces[call->piece_count++] = (struct piece){in, offset, size};
}

static void add_text(struct step_call *call, const char *text)
{
	size_t start = call->text.size;

	bytes_text(&call->text, text);
	add_piece(call, &call->text, start, call->text.size - start);
}

static void add_number(struct step_call *call, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, number);
	add_text(call, text);
}

static void add_table_key(struct step_call *call, const char *prefix, const struct fold *fold,
	const char *epoch, struct view table)
{
	size_t start = call->text.size;

	step_call_key(&call->text, prefix, fold, epoch, table);
	add_piece(call, &call->text, start, call->text.size - start);
}

/* The writes of a change, those of each table together and in their order: tables do not depend on
 * one another, and few large operations cost Redis less than many small ones. */
struct plan {
	const struct write **writes;
	size_t *first; /* of each table in writes; and, behind the last, the number of writes */
	size_t table_count;
};

static void plan_done(struct plan *plan)
{
	free(plan->writes);
	free(plan->first);
}

static void plan_writes(struct plan *plan, const struct change *change)
{
	struct map numbers = {0}; /* table name to its number, from 1 */
	size_t count = change->write_count;
	size_t *table_of_write = memory_new(count + 1, sizeof *table_of_write);
	size_t *next;

	plan->first = memory_new(count + 2, sizeof *plan->first);
	plan->writes = memory_new(count + 1, sizeof *plan->writes);
	for (size_t i = 0; i < count; i++) {
		const struct write *write = &change->writes[i];
		const char *name = change->arena.data + write->table;
		size_t number = (size_t)(uintptr_t)map_get(&numbers, name, write->table_size);

		if (!number) {
			number = ++plan->table_count;
			map_put(&numbers, name, write->table_size, (void *)(uintptr_t)number);
		}
		table_of_write[i] = number - 1;
		plan->first[number]++;
	}
	for (size_t t = 0; t < plan->table_count; t++)
		plan->first[t + 1] += plan->first[t];
	next = memory_new(count + 1, sizeof *next);
	memcpy(next, plan->first, plan->table_count * sizeof *next);
	for (size_t i = 0; i < count; i++)
		plan->writes[next[table_of_write[i]]++] = &change->writes[i];
	free(next);
	free(table_of_write);
	map_done(&numbers);
}

static void add_operation(struct step_call *call, const char *kind, size_t table, size_t count)
{
	add_text(call, kind);
	add_number(call, table + 1);
	add_number(call, count);
}

/* Writes of one kind to one table are one operation. */
static void add_run(struct step_call *call, const struct change *change, size_t table,
	const struct write *const writes[], size_t count)
{
	static const struct {
		const char *name;
		size_t arguments;
	} kinds[] = {
		[WRITE_PUT] = {"put", 2},
		[WRITE_DROP] = {"drop", 1},
		[WRITE_APPEND] = {"append", 3},
		[WRITE_TRIM] = {"trim", 1},
	};
	enum write_kind kind = writes[0]->kind;

	add_operation(call, kinds[kind].name, table, count * kinds[kind].arguments);
	for (size_t i = 0; i < count; i++) {
		const struct write *write = writes[i];

		if (kind == WRITE_PUT || kind == WRITE_DROP)
			add_piece(call, &change->arena, write->field, write->field_size);
		if (kind == WRITE_APPEND || kind == WRITE_TRIM)
			add_number(call, write->sequence);
		if (kind == WRITE_APPEND)
			add_number(call, write->keep);
		if (kind == WRITE_PUT || kind == WRITE_APPEND)
			add_piece(call, &change->arena, write->data, write->data_size);
	}
}

static void add_table(struct step_call *call, const struct change *change, size_t table,
	const struct write *const writes[], size_t count)
{
	int64_t ttl_s = 0;

	for (size_t from = 0, to; from < count; from = to) {
		to = from + 1;
		while (to < count && writes[to]->kind == writes[from]->kind)
			to++;
		add_run(call, change, table, writes + from, to - from);
	}
	for (size_t i = 0; i < count; i++)
		if (writes[i]->kind == WRITE_PUT || writes[i]->kind == WRITE_APPEND)
			ttl_s = writes[i]->ttl_s;
	if (ttl_s > 0) {
		add_operation(call, "expire", table, 1);
		add_number(call, (uint64_t)ttl_s);
	}
}

static void add_keys(struct step_call *call, const char *prefix, const struct fold *fold,
	const struct head *head, const struct change *change, const struct plan *plan)
{
	add_number(call, plan->table_count + 2);
	add_table_key(call, prefix, fold, NULL, view_of("head"));
	add_table_key(call, prefix, fold, head->epoch, view_of("outbox"));
	for (size_t t = 0; t < plan->table_count; t++) {
		const struct write *write = plan->writes[plan->first[t]];

		add_table_key(call, prefix, fold, head->epoch,
			change_view(change, write->table, write->table_size));
	}
}

static void add_outputs(struct step_call *call, const struct change *change)
{
	add_number(call, change->output_count);
	for (size_t i = 0; i < change->output_count; i++) {
		const struct output *output = &change->outputs[i];

		add_piece(call, &change->arena, output->topic, output->topic_size);
		add_piece(call, &change->arena, output->key, output->key_size);
		add_piece(call, &change->arena, output->value, output->value_size);
		add_piece(call, &change->arena, output->headers, output->headers_size);
	}
}

static void add_step(struct step_call *call, const char *prefix, const struct fold *fold,
	const struct head *head, const char *next, const struct change *change)
{
	CLEANUP(plan_done) struct plan plan = {0};

	plan_writes(&plan, change);
	add_text(call, "FCALL");
	add_text(call, "modelwatch_advance");
	add_keys(call, prefix, fold, head, change, &plan);
	add_text(call, head->token);
	add_text(call, next);
	add_text(call, head->epoch);
	add_outputs(call, change);
	for (size_t t = 0; t < plan.table_count; t++)
		add_table(call, change, t, plan.writes + plan.first[t],
			plan.first[t + 1] - plan.first[t]);
}

void step_call_make(struct step_call *call, const char *prefix, const struct fold *fold,
	const struct head *head, const char *next, const struct change *change)
{
	add_step(call, prefix, fold, head, next, change);
	call->arguments = memory_new(call->piece_count, sizeof *call->arguments);
	call->count = call->piece_count;
	for (size_t i = 0; i < call->count; i++) {
		const struct piece *piece = &call->pieces[i];

		if (piece->size)
			call->arguments[i] =
				(struct view){piece->in->data + piece->offset, piece->size};
	}
}
