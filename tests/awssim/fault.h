/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - what shall go wrong, as an administrator asked for it.
 * A rule names an action (or "*"), a kind, and how often: the next count calls, or each call with
 * a probability.  Rules are tried in the order they were added; the first that fires is used. */
#ifndef AWSSIM_FAULT_H
#define AWSSIM_FAULT_H

#include "aws_error.h"
#include "dice.h"
#include "list.h"

#include <stddef.h>
#include <stdint.h>

enum fault_kind {
	FAULT_LOST_ANSWER,      /* the effect happens, the connection closes without an answer */
	FAULT_DROP_BEFORE,      /* the connection closes, nothing happened */
	FAULT_STALL,            /* the effect happens, no answer comes, the connection stays */
	FAULT_ERROR,            /* an error answer: status, code, message */
	FAULT_THROTTLE,         /* the service's own throttling error */
	FAULT_HTTP_500,         /* a 5xx in the service's own form */
	FAULT_HIDDEN_THROTTLE,  /* InvalidParameterException that speaks of RequestLimitExceeded */
	FAULT_FAILURES,         /* RunTask: 200 with failures and no task */
	FAULT_MISSING,          /* DescribeTasks: every task is MISSING */
	FAULT_EMPTY,            /* ReceiveMessage: nothing there, though there is */
	FAULT_DELAY,            /* the answer comes ms later */
	FAULT_HTML,             /* a proxy's error page */
	FAULT_TRUNCATE,         /* half of the promised bytes, then the connection closes */
	FAULT_CUT,              /* half of the answer, with a Content-Length that fits */
	FAULT_GARBAGE,          /* bytes that are no JSON */
	FAULT_WRONG_TYPES,      /* the true answer with every value of another type */
	FAULT_HUGE,             /* the true answer with `bytes` more of it */
	FAULT_DRIP,             /* the true answer, `bytes` every ms */
	FAULT_ENTRY_ERROR,      /* batch calls: the entry it fires for ends in Failed */
	FAULT_KINDS
};

struct fault {
	struct list peers;
	enum fault_kind kind;
	char action[64];
	char match[256];        /* the request's body has to contain it; "": any */
	json_int_t count;       /* how often it may still fire; -1: for ever */
	json_int_t skip;        /* so many matching calls pass before */
	double probability;
	bool effect;            /* what was asked for happens all the same */
	bool sender_fault;
	int status;             /* 0: the kind's default */
	char code[96];          /* "": the kind's default */
	char message[512];
	unsigned ms;
	size_t bytes;
};

struct faults;

struct faults *faults_create(void);
void faults_destroy(struct faults *);
bool faults_add(struct faults *, const json_t *description, struct aws_error *);
void faults_clear(struct faults *);
json_t *faults_describe(const struct faults *);         /* a new reference */
/* A copy of the rule that fires for this call, to be freed; NULL: none. */
struct fault *faults_fire(struct faults *, struct dice *, const char *action, const char *body,
			  size_t body_bytes);
/* The same for one entry of a batch. */
struct fault *faults_fire_entry(struct faults *, struct dice *, const char *action);
const char *fault_kind_name(enum fault_kind);

#endif
