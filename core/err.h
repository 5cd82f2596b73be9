/* core/err.h: how a function says what happened, named by the reaction it asks for.
 * THINKS: no I/O, no clock, no log. The reason is written once, where it is known. */
#ifndef CORE_ERR_H
#define CORE_ERR_H

enum rc {
	RC_OK,
	RC_NONE,   /* nothing there: go on with the next thing */
	RC_RETRY,  /* the world is unwell: the same again, later */
	RC_REJECT, /* this input is unwell: refuse it, go on */
	RC_FATAL,  /* we cannot go on: end the process, somebody must act */
};

/* A sentence for a person: object, value, expectation. All zero is valid and empty. */
struct err {
	char text[512];
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* Writes the sentence (cut at its size) and returns rc, so that a failure is one return statement.
 */
enum rc err_set(struct err *err, enum rc rc, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts a context in front of the sentence that is there: "config x: " + text. Returns rc. */
enum rc err_prefix(struct err *err, enum rc rc, const char *format, ...) PRINTF_LIKE(3, 4);

/* Returns any outcome but RC_OK to the caller. */
#define TRY(call)                                                                                  \
	do {                                                                                       \
		enum rc try_rc_ = (call);                                                          \
		if (try_rc_ != RC_OK)                                                              \
			return try_rc_;                                                            \
	} while (0)

/* Runs drop(&variable) when the variable leaves its scope. */
#define CLEANUP(drop) __attribute__((cleanup(drop)))

#endif
