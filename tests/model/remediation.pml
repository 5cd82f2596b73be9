/* tests/model/remediation.pml: how remediate/ acts, as a model of which spin looks at every run.
 * tests/model/run builds it once for each target, order and world, and says what has to come out;
 * docs/remediation.md has the table.
 *
 * One action (an id) on one rung of one target, while its alert fires or after. Two workers, each of
 * which may die, freeze between any two events, or go on for long after the other one took the fold
 * over. What a worker remembers between two steps is what the store had under its token, or it is
 * thrown away with the step that is refused: so the model has no copy of it, only whether the
 * worker's token is still the stored one, and what nobody but memory knows. Each d_step is one
 * event; the comment before it names the code that it stands for.
 *
 * Time is absent: whatever waits may wait for ever, and what comes after a while may come at once.
 * Who decides has read the log to its end, as main.c demands; a record that is appended in the
 * seconds since is one that comes after the decision.
 *
 * Not in the model: the next rung, which is an action of its own; verification, which comes after;
 * approval, which comes before; a target that forgets keys; an INTENT that is older than the log. No
 * adapter is CONDITIONAL yet: its rows say how one will have to act. */

/* ---- the row: target, order, world; the defaults are what is shipped */

#define KEY 1          /* knows again the key of a call that it carried out: IDEMPOTENT */
#define PRECONDITION 2 /* acts only on the revision that the call names: CONDITIONAL */
#define BLIND 3
#ifndef TARGET
#define TARGET KEY
#endif

/* Where a call may have been made, its end not known. */
#define REPEAT 1
#define QUERY 2 /* ask the target whether it was done, and call if not */
#define PERSON 3
#ifndef RECOVERY
#if TARGET == BLIND
#define RECOVERY PERSON
#else
#define RECOVERY REPEAT
#endif
#endif

/* What an order does otherwise than the shipped one: 1 each. */
#ifndef CALL_FIRST
#define CALL_FIRST 0 /* calls, and records afterwards */
#endif
#ifndef NO_ARBITRATION
#define NO_ARBITRATION 0 /* acts on its INTENT without reading it back */
#endif
#ifndef NO_MARK
#define NO_MARK 0 /* does not store before a call that it is about to be made */
#endif
#ifndef STORE_BELIEVED
#define STORE_BELIEVED 0 /* a new life takes what is stored for all that was done */
#endif
#ifndef KEY_OF_TRY
#define KEY_OF_TRY 0 /* each try has its own key */
#endif
#ifndef REVISION_AGAIN
#define REVISION_AGAIN 0 /* each try reads the revision again */
#endif
#ifndef REFUSAL_BELIEVED
#define REFUSAL_BELIEVED 0 /* what is refused now was not done by a try before either */
#endif
#ifndef NOT_SENT_BELIEVED
#define NOT_SENT_BELIEVED 0 /* so is what could not be sent */
#endif
#ifndef PAST_FORGOTTEN
#define PAST_FORGOTTEN 0 /* what the log left open matters only while the alert fires */
#endif
#ifndef WAITS_FOR_EVER
#define WAITS_FOR_EVER 0 /* for its INTENT to come back */
#endif

#ifndef CRASHES
#define CRASHES 3
#endif
#ifndef TAKEOVERS
#define TAKEOVERS 1 /* while the other one lives, and thinks it is the owner */
#endif
#ifndef LOST_ANSWERS
#define LOST_ANSWERS 1 /* of the store */
#endif
#ifndef LATE
#define LATE 1 /* records that are on their way to the log for long, or arrive twice */
#endif
#ifndef VANISHING
#define VANISHING 0 /* acknowledged INTENTs that the log loses */
#endif
#ifndef REWINDS
#define REWINDS 0 /* of the store, to any step before, or to nothing */
#endif
#ifndef TRIES
#define TRIES 2 /* CALLS_MAX of act.c */
#endif

/* ---- what is checked */

#ifndef CHECK_ONCE
#define CHECK_ONCE 1 /* executed at most once */
#endif
#ifndef CHECK_INTENT
#define CHECK_INTENT 1 /* nobody calls before an INTENT is in the log */
#endif
#ifndef CHECK_TOLD
#define CHECK_TOLD 1 /* what was intended ends in the log: done, refused, expired, or at a person */
#endif
#ifndef CHECK_TRUE
#define CHECK_TRUE (REWINDS == 0) /* what is told to be refused or expired was not done */
#endif

/* ---- the store: what a step replaces, all of it or nothing (ports/store.h) */

/* Records. An INTENT is the number of its author, the life that wrote it: 1..3. */
#define NONE 0
#define DONE 4
#define REFUSED 5
#define UNKNOWN 6
#define ESCALATED 7
#define EXPIRED 8

#define is_end(record) ((record) >= DONE && (record) != UNKNOWN)

#define NO_CASE 0
#define OPEN 1
#define INTENDED 2
#define CALLING 3
#define ENDED 4 /* or VERIFYING */

typedef content {
	unsigned stage : 3;
	unsigned author : 2; /* the token in the case's INTENT */
	bit maybe_called;
	unsigned tries : 2;
	unsigned cursor : 4; /* of the log of actions */
	unsigned first : 2;  /* past: the author of the first INTENT that was read */
	unsigned last : 4;   /* past: the last record */
	unsigned outbox0 : 4; /* the oldest; 0: none */
	unsigned outbox1 : 4;
	unsigned outbox2 : 4
}

#define STORE 0
#define REPLICA 1
content at[2];
bit has_replica;

inline copy(to, from)
{
	at[to].stage = at[from].stage;
	at[to].author = at[from].author;
	at[to].maybe_called = at[from].maybe_called;
	at[to].tries = at[from].tries;
	at[to].cursor = at[from].cursor;
	at[to].first = at[from].first;
	at[to].last = at[from].last;
	at[to].outbox0 = at[from].outbox0;
	at[to].outbox1 = at[from].outbox1;
	at[to].outbox2 = at[from].outbox2
}

#define stored at[STORE]

/* ---- workers: what only their memory has */

#define NO_CALL 0
#define DUE 1       /* the step that says so is stored; the call is what this thread does next */
#define AWAY 2      /* on its way, and awaited */
#define GOOD 3      /* answers, not yet heard: 2xx */
#define REFUSAL 4   /* 4xx */
#define NO_ANSWER 5 /* none, or "try later" */
#define NOT_SENT 6

typedef memory {
	bit owns;       /* has loaded the fold, and not been refused a step since */
	bit current;    /* its token is the stored one */
	bit is_replica; /* its token is the replica's */
	bit unsure;     /* unsure_before */
	unsigned call : 3;
	unsigned revision : 2 /* that its call names */
}
memory worker[2];

#define is_owner(w) (worker[w].owns && worker[w].current)
#define is_free(w) (is_owner(w) && worker[w].call != DUE)
#define answered(w) (worker[w].call >= GOOD)

/* ---- the log of actions */

#define LOG_MAX 10
byte log[LOG_MAX];
byte count;
byte late;    /* a record that is on its way */
byte authors; /* INTENTs ever decided */
bit told_intent, told_end, told_not_done;

inline append(record)
{
	assert(count < LOG_MAX);
	log[count] = record;
	count++;
	if
	:: record < DONE -> told_intent = 1
	:: record == UNKNOWN
	:: record == ESCALATED -> told_end = 1
	:: record == REFUSED || record == EXPIRED -> told_not_done = 1; told_end = 1
	:: record == DONE -> told_end = 1
	fi
}

/* ---- the target and the world */

byte executions;
byte revision = 1;
byte recorded[4]; /* the revision in the INTENT of each author */
bit orphans[4];   /* calls on their way whose answer nobody awaits, by revision */
bit firing = 1;   /* the alert */
byte crashes = CRASHES, takeovers = TAKEOVERS, lost_answers = LOST_ANSWERS, late_left = LATE,
	vanishing = VANISHING, rewinds = REWINDS, strangers = (TARGET == PRECONDITION);

#define knows_it (TARGET == KEY && !KEY_OF_TRY && executions > 0)
#define would_execute(r) (!knows_it && (TARGET != PRECONDITION || (r) == revision))

inline execute()
{
	executions++;
	revision = revision + (TARGET == PRECONDITION);
	printf("the target EXECUTES the call\n");
	assert(!CHECK_ONCE || executions <= 1)
}

/* ---- a step of the fold, stored by worker w: owner_advance() */

inline store_step(w)
{
	worker[1 - w].current = 0;
	worker[w].is_replica = 0
}

inline forget(w)
{
	worker[w].owns = 0;
	worker[w].current = 0;
	worker[w].is_replica = 0;
	worker[w].unsure = 0
}

/* remediate_set_past() */
inline learn(record)
{
	stored.last = (is_end(stored.last) && !is_end(record) && !PAST_FORGOTTEN ->
		stored.last : record)
}

/* remediate_tell() */
inline tell(record)
{
	if
	:: record >= DONE && !PAST_FORGOTTEN -> learn(record)
	:: else
	fi;
	assert(!stored.outbox2);
	if
	:: !stored.outbox0 -> stored.outbox0 = record
	:: stored.outbox0 && !stored.outbox1 -> stored.outbox1 = record
	:: else -> stored.outbox2 = record
	fi
}

/* remediate_end(); and remedy_next_rung(), as far as this rung goes */
inline finish(record)
{
	tell(record);
	stored.stage = ENDED;
	stored.maybe_called = 0;
	stored.tries = 0;
	if
	:: !rewinds -> /* they make no difference any more */
		crashes = 0;
		takeovers = 0;
		lost_answers = 0
	:: else
	fi
}

inline unknown()
{
	tell(UNKNOWN);
	finish(ESCALATED)
}

/* remediate_take_over() */
inline take_over()
{
	if
	:: RECOVERY == PERSON -> unknown()
	:: else ->
		stored.stage = CALLING;
		stored.tries = 0;
		stored.maybe_called = 1
	fi
}

inline intend()
{
	authors++;
	assert(authors <= 3);
	stored.author = authors;
	recorded[authors] = (TARGET == PRECONDITION -> revision : 0);
	tell(authors);
	stored.stage = (NO_ARBITRATION -> CALLING : INTENDED);
	stored.tries = 0
}

/* The log tells of an INTENT, or of an unknown outcome, and no end. */
#define is_left_open (!PAST_FORGOTTEN && stored.last && !is_end(stored.last))
#define is_read (stored.cursor == count)
#define decides(w) (is_free(w) && is_read)

#define maybe_called(w) (stored.maybe_called || (RECOVERY == PERSON && worker[w].unsure))
#define may_repeat(answer) (may_call && stored.tries < TRIES && \
	(answer == NOT_SENT && !NOT_SENT_BELIEVED || answer == NO_ANSWER && RECOVERY != PERSON))
#define may_call (stored.stage == CALLING || (CALL_FIRST && stored.stage == OPEN && !stored.last))

/* The revision that a call names: that of the INTENT that counts. */
#define counting (NO_ARBITRATION -> stored.author : stored.first)
#define wanted (REVISION_AGAIN || CALL_FIRST -> revision : recorded[counting])

proctype work(bit w)
{
	byte record, answer;

end:	do
	/* owner_load(), remediate_restored(), and the step that follows every load. For nothing where
	 * the other one is no owner; else a takeover from one that is thought to be dead. */
	:: d_step {
		!worker[w].owns && worker[w].call != DUE && (!is_owner(1 - w) || takeovers) ->
		takeovers = takeovers - is_owner(1 - w);
		worker[w].owns = 1;
		worker[w].current = 1;
		worker[w].unsure = !STORE_BELIEVED &&
			(stored.stage == INTENDED || stored.stage == CALLING);
		store_step(w);
		printf("worker %d loads the fold\n", w + 1)
	}
	/* advance() in main.c is refused: drop() */
	:: d_step {
		worker[w].owns && !worker[w].current && worker[w].call != DUE ->
		forget(w);
		printf("worker %d is refused a step, and forgets\n", w + 1)
	}
	/* A step is stored, but its answer is lost: drop(). So is the next one below. */
	:: d_step {
		is_free(w) && lost_answers ->
		lost_answers--;
		forget(w);
		printf("worker %d does not hear that its step is stored: it forgets\n", w + 1)
	}
	/* take_landings() in main.c, without a fold */
	:: d_step {
		answered(w) && !is_owner(w) ->
		worker[w].call = NO_CALL;
		printf("worker %d tells an answer to its journal alone\n", w + 1)
	}
	/* take_action() */
	:: d_step {
		is_free(w) && stored.cursor < count ->
		record = log[stored.cursor];
		/* Where nobody reads it again it makes no difference any more. */
		log[stored.cursor] = (rewinds && has_replica -> record : NONE);
		stored.cursor++;
		store_step(w);
		printf("worker %d reads record %d\n", w + 1, record);
		if
		:: record == NONE
		:: record >= DONE -> learn(record)
		:: else ->
			learn(record);
			stored.first = (stored.first -> stored.first : record);
			if
			:: stored.stage != INTENDED
			:: stored.stage == INTENDED && stored.first == stored.author ->
				stored.stage = CALLING;
				stored.tries = 0
			:: else -> take_over()
			fi
		fi;
		record = 0
	}
	/* open_case(), adopt_past() */
	:: d_step {
		decides(w) && stored.stage == NO_CASE && firing ->
		store_step(w);
		printf("worker %d opens the case; the log says: record %d\n", w + 1, stored.last);
		if
		:: !stored.last -> stored.stage = OPEN
		:: stored.last && stored.last < DONE -> take_over()
		:: stored.last == UNKNOWN -> finish(ESCALATED)
		:: else -> stored.stage = ENDED
		fi
	}
	/* tell_left_behind() */
	:: d_step {
		decides(w) && stored.stage == NO_CASE && !firing && is_left_open ->
		store_step(w);
		printf("worker %d tells of what the log left open\n", w + 1);
		tell(UNKNOWN);
		tell(ESCALATED)
	}
	/* forget_settled() */
	:: d_step {
		decides(w) && stored.stage == ENDED && !firing && !PAST_FORGOTTEN ->
		store_step(w);
		stored.stage = NO_CASE
	}
	/* decide_open() */
	:: d_step {
		decides(w) && stored.stage == OPEN && (!CALL_FIRST || stored.last || !firing) ->
		store_step(w);
		if
		:: !firing -> stored.stage = ENDED
		:: else ->
			intend();
			printf("worker %d decides: record %d\n", w + 1, authors)
		fi
	}
	/* decide_intended() */
	:: d_step {
		decides(w) && stored.stage == INTENDED && !WAITS_FOR_EVER ->
		store_step(w);
		printf("worker %d has waited for its INTENT in vain\n", w + 1);
		if
		:: worker[w].unsure -> unknown()
		:: else -> finish(ESCALATED)
		fi
	}
	/* decide_calling() */
	:: d_step {
		decides(w) && stored.stage == CALLING && !maybe_called(w) && !firing ->
		store_step(w);
		printf("worker %d does not call: the alert has ended\n", w + 1);
		finish(EXPIRED)
	}
	/* remediate_calling(), and the step of start_tasks() in main.c */
	:: d_step {
		decides(w) && may_call && worker[w].call == NO_CALL ->
		store_step(w);
		if
		:: maybe_called(w) && RECOVERY == PERSON ->
			printf("worker %d does not call: a call may have been made\n", w + 1);
			unknown()
		:: maybe_called(w) && RECOVERY == QUERY && executions ->
			printf("worker %d sees that it is done\n", w + 1);
			finish(DONE)
		:: else ->
			worker[w].unsure = (worker[w].unsure || stored.maybe_called);
			stored.tries++;
			stored.maybe_called = !NO_MARK;
			worker[w].call = DUE;
			worker[w].revision = (TARGET == PRECONDITION -> wanted : 0);
			printf("worker %d stores that it is about to call\n", w + 1)
		fi
	}
	:: d_step {
		decides(w) && may_call && worker[w].call == NO_CALL && !maybe_called(w) &&
			lost_answers ->
		store_step(w);
		lost_answers--;
		stored.tries++;
		stored.maybe_called = !NO_MARK;
		forget(w);
		printf("worker %d is about to call, does not hear that this is stored: it forgets\n", w + 1)
	}
	/* flights_start(): http_out_start() */
	:: d_step {
		worker[w].call == DUE ->
		worker[w].call = AWAY;
		printf("worker %d CALLS\n", w + 1);
		assert(!CHECK_INTENT || told_intent)
	}
	:: d_step {
		worker[w].call == DUE ->
		worker[w].call = NOT_SENT;
		worker[w].revision = 0;
		printf("worker %d cannot connect\n", w + 1)
	}
	/* remediate_called() */
	:: d_step {
		is_owner(w) && answered(w) ->
		answer = worker[w].call;
		worker[w].call = NO_CALL;
		store_step(w);
		printf("worker %d hears answer %d\n", w + 1, answer);
		stored.maybe_called = (answer == NOT_SENT -> worker[w].unsure : stored.maybe_called);
		if
		:: !may_call
		:: may_call && answer == GOOD -> finish(DONE)
		:: may_call && answer == REFUSAL && (!worker[w].unsure || REFUSAL_BELIEVED) ->
			finish(REFUSED)
		:: may_call && answer == NOT_SENT && NOT_SENT_BELIEVED -> finish(REFUSED)
		:: may_repeat(answer) /* call_again() */
		:: else ->
			if
			:: stored.maybe_called || worker[w].unsure -> unknown()
			:: else -> finish(REFUSED)
			fi
		fi;
		answer = 0
	}
	/* SIGKILL, at any time */
	:: d_step {
		crashes && (worker[w].owns || worker[w].call) ->
		crashes--;
		orphans[worker[w].revision] = orphans[worker[w].revision] || worker[w].call == AWAY;
		forget(w);
		worker[w].call = NO_CALL;
		worker[w].revision = 0;
		printf("worker %d CRASHES\n", w + 1)
	}
	od
}

/* The way of a worker's call to the target and back. */
proctype way(bit w)
{
end:	do
	:: d_step {
		worker[w].call == AWAY && (would_execute(worker[w].revision) || knows_it) ->
		worker[w].call = GOOD;
		worker[w].revision = 0;
		if
		:: knows_it -> printf("the target knows the key\n")
		:: else -> execute()
		fi
	}
	:: d_step {
		worker[w].call == AWAY ->
		worker[w].call = REFUSAL;
		worker[w].revision = 0;
		printf("the target refuses the call\n")
	}
	:: d_step {
		worker[w].call == AWAY ->
		orphans[worker[w].revision] = 1;
		worker[w].call = NO_ANSWER;
		worker[w].revision = 0;
		printf("worker %d waits for an answer in vain\n", w + 1)
	}
	od
}

/* Calls whose answer nobody awaits. */
proctype stray(byte r)
{
end:	do
	:: d_step {
		orphans[r] && would_execute(r) ->
		orphans[r] = 0;
		printf("a call arrives late\n");
		execute()
	}
	od
}

/* outbox_turn() and the way to the log */
proctype relay()
{
end:	do
	:: d_step {
		stored.outbox0 ->
		printf("record %d is appended to the log\n", stored.outbox0);
		append(stored.outbox0);
		stored.outbox0 = stored.outbox1;
		stored.outbox1 = stored.outbox2;
		stored.outbox2 = 0
	}
	:: d_step {
		stored.outbox0 && late_left && !late ->
		late_left--;
		late = stored.outbox0;
		printf("record %d is sent to the log, and delayed\n", late)
	}
	:: d_step {
		late ->
		printf("record %d arrives in the log late\n", late);
		append(late);
		late = 0
	}
	od
}

proctype disasters()
{
	do
	:: d_step { firing -> firing = 0; printf("the alert is resolved\n") }
	:: d_step {
		rewinds && !has_replica ->
		has_replica = 1;
		copy(REPLICA, STORE);
		worker[0].is_replica = worker[0].current;
		worker[1].is_replica = worker[1].current;
		printf("(the store as it is now is what a replica has)\n")
	}
	:: d_step {
		rewinds && has_replica ->
		rewinds--;
		copy(STORE, REPLICA);
		worker[0].current = worker[0].is_replica;
		worker[1].current = worker[1].is_replica;
		printf("THE STORE GOES BACK to what the replica has\n")
	}
	:: d_step { strangers -> strangers--; revision++; printf("somebody else changes the target\n") }
	:: d_step {
		vanishing && count && log[count - 1] && log[count - 1] < DONE ->
		vanishing--;
		log[count - 1] = NONE;
		printf("THE LOG LOSES its youngest record\n")
	}
	:: break
	od;
	timeout;
	assert(!CHECK_TOLD || told_end || !(told_intent || executions || firing));
	assert(!CHECK_TRUE || !executions || !told_not_done)
}

init {
	atomic {
		run work(0);
		run work(1);
		run way(0);
		run way(1);
		run stray(0);
#if TARGET == PRECONDITION
		run stray(1);
		run stray(2);
		run stray(3);
#endif
		run relay();
		run disasters()
	}
}
