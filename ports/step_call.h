/* ports/step_call.h: a step as the arguments of the Redis function modelwatch_advance
 * (advance.lua). Values in, values out, kept beside the function that they are for; store_redis.c
 * sends them. */
#ifndef PORTS_STEP_CALL_H
#define PORTS_STEP_CALL_H

#include "ports/store.h"

struct piece;

struct step_call {              /* all zero is valid and empty */
	struct view *arguments; /* valid as long as the change and this */
	size_t count;

	struct piece *pieces; /* what the arguments are made of */
	size_t piece_count, piece_capacity;
	struct bytes text; /* keys and numbers */
};

void step_call_done(struct step_call *call);

/* Fills an empty call. next: the token to store. */
void step_call_make(struct step_call *call, const char *prefix, const struct fold *fold,
	const struct head *head, const char *next, const struct change *change);

/* Appends PREFIX:{LOG}:SERVICE:EPOCH:TABLE; epoch NULL: PREFIX:{LOG}:SERVICE:TABLE, for the head.
 */
void step_call_key(struct bytes *key, const char *prefix, const struct fold *fold,
	const char *epoch, struct view table);

#endif
