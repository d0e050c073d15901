/* SPDX-License-Identifier: Apache-2.0 */
/* error.h - why something could not be done.
 *
 * A function that can fail returns false (or NULL) and fills the struct error it was given last.
 * The kind tells the caller what it can do, the text tells the operator what happened.  Whoever
 * decides what to do logs; whoever returns an error does not. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum error_kind {
	ERROR_NONE,             /* nothing went wrong; a zeroed struct error */
	ERROR_TEMPORARY,        /* did not happen; may work later: connect failed, store busy */
	ERROR_THROTTLED,        /* did not happen; the peer asks for less: rates, quotas, capacity */
	ERROR_AMBIGUOUS,        /* may have happened: timeout, lost answer, 5xx; repeat only with the same token */
	ERROR_REFUSED,          /* needs a human: permissions, credentials, no such queue */
	ERROR_INVALID,          /* no retry helps this input */
	ERROR_LOST,             /* it is not ours any more: another owner, a dead receipt handle */
	ERROR_KINDS
};

enum {
	LIMIT_ERROR_TEXT_BYTES = 768,
	LIMIT_ERROR_CODE_BYTES = 96,
};

struct error {
	enum error_kind kind;
	char code[LIMIT_ERROR_CODE_BYTES];      /* the peer's own word for it ("ThrottlingException"), or "" */
	char text[LIMIT_ERROR_TEXT_BYTES];      /* one line, for people; never a secret */
};

/* Sets kind and text; clears the code.  A NULL err is allowed: the caller does not want to know. */
void error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As error_set(), and appends ": " and strerror(errno). */
void error_set_errno(struct error *err, enum error_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts text and ": " before what err already says. */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void error_set_code(struct error *err, const char *code);
/* "temporary", "throttled", ... */
const char *error_kind_name(enum error_kind kind);
/* True when the same request may be tried again later without any change. */
bool error_may_pass(enum error_kind kind);

#endif
