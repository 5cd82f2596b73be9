/* core/action.h: one step of a remediation, as the log modelwatch.actions tells it: who, what, why,
 * result. THINKS. Each record carries the hash of the record before it in the log of its target's
 * partition. JSON: action_json.c; schema: config/schemas/action.json. */
#ifndef CORE_ACTION_H
#define CORE_ACTION_H

#include "core/digest.h"
#include "core/window.h"

enum action_state {
	ACTION_OBSERVED, /* mode observe: would have been done */
	ACTION_PROPOSED, /* waits for a person */
	ACTION_APPROVED,
	ACTION_REJECTED,
	ACTION_INTENT,    /* written before the call; the first one of an id in the log may act */
	ACTION_DONE,      /* the call was accepted */
	ACTION_REFUSED,   /* the target said no */
	ACTION_UNKNOWN,   /* no answer: may have had its effect */
	ACTION_EXPIRED,   /* not called in time, or another one was first */
	ACTION_VERIFIED,  /* it helped */
	ACTION_FAILED,    /* it did not help in time: next rung */
	ACTION_ESCALATED, /* a person was called, or must be */
	ACTION_SKIPPED,   /* cooldown or budget forbids: reason says which */
};
extern const char *const action_state_names[];

struct action {
	char id[ID_SIZE]; /* of the case and rung: policy, target, alert id, rung: the same in all
			     its records */
	enum action_state state;
	char policy[NAME_SIZE];
	char target[NAME_SIZE];
	char operation[32]; /* "rollback", "page" */
	int rung;           /* from 1 */
	char alert[ID_SIZE];
	char model[NAME_SIZE], version[NAME_SIZE]; /* what is blamed */
	char by[NAME_SIZE];                        /* "policy" or the person's name */
	char authenticated_as[NAME_SIZE];          /* "" for a policy */
	char token[33];                            /* INTENT: of the worker that wrote it */
	char reason[512];                          /* why, with the evidence in a sentence */
	char result[512];                          /* what came of it */
	int64_t at;                                /* ms, wall clock of the step */
	char previous[65]; /* SHA-256 in hex of the record before; "" for the first */
};

void action_identify(struct action *action);
void action_to_json(const struct action *action, struct bytes *out);
enum rc action_from_json(struct view text, struct action *action, struct err *err) MUST_CHECK;

#endif
