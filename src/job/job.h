/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - one deployment request and what became of it.
 *
 * The noun itself, without I/O: filled from a message by job_message.h, kept by a store, moved
 * along by a worker.  Texts belong to the job; NULL means "not given" unless a field says more. */
#ifndef JOB_JOB_H
#define JOB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/texts.h"
#include "job/job_state.h"

enum {
	LIMIT_JOB_ID_BYTES = 128,
	LIMIT_JOB_PROJECT_BYTES = 256,
	LIMIT_JOB_NAME_BYTES = 128,             /* deployer, queue */
	LIMIT_JOB_LOCK_KEY_BYTES = 512,
	LIMIT_JOB_REASON_BYTES = 32,
	LIMIT_JOB_DETAIL_BYTES = 1024,
	JOB_PRIORITY_DEFAULT = 5,
	JOB_PRIORITY_MAX = 9,
	JOB_NO_EXIT_CODE = -1,                  /* null, which is never a success */
	JOB_NO_TIMEOUT = -1,
};

enum lock_policy {
	LOCK_QUEUE,             /* wait for the key, in order of acceptance */
	LOCK_LATEST,            /* as queue; older waiting jobs of this deployer and key are superseded */
	LOCK_REJECT,            /* fail with reason "locked" when the key is taken */
	LOCK_PARALLEL,          /* neither take nor wait for the key */
	LOCK_POLICIES
};

/* The queue's message that carried a job: all that another process needs to go on holding it. */
struct job_message_ref {
	char *id;               /* the queue's own id; NULL when the job came without a message */
	char *receipt;          /* the newest receipt handle */
	char *group;            /* FIFO message group; NULL on standard queues */
	int64_t hidden_until_ms;        /* steady clock, ms: the queue shows it again after that */
	int64_t received_ms;            /* steady clock, ms, of the receive: SQS counts 12 h from it */
	unsigned deliveries;            /* how often the queue has handed it out, 1 for the first */
	bool settled;                   /* deleted (or left to the redrive policy): no receipt is needed */
};

/* One launch of the job.  token and request are stored before the launch and never change. */
struct job_attempt {
	unsigned number;        /* 1 for the first; 0 while nothing was tried */
	unsigned step;          /* which fallback (capacity provider) it is at; each has its own token */
	char *token;            /* idempotency token of the launch */
	char *request;          /* frozen parameters, as the exec port made them */
	char *handle;           /* task ARN or shim, once known */
	int64_t intended_ms;    /* steady clock, ms */
	int64_t started_ms;
	int64_t timeout_ms;     /* from started_ms to its stop, as frozen; JOB_NO_TIMEOUT; 0: not recorded */
	bool bound;             /* to the host of the worker that intends it, for store_intend(); not read back */
};

struct job {
	char *id;
	char *project;
	char *deployer;
	char *queue;            /* name in the configuration */
	char *lock_key;         /* "" with LOCK_PARALLEL */
	enum lock_policy policy;
	int priority;           /* 0 to 9; higher first among the waiting jobs of a key */
	int64_t not_before_ms;  /* steady clock, ms; 0: at once */
	char *commit;
	char *ref;
	char *stage;
	char *body;             /* the message as it came, JSON text */

	enum job_state state;
	char *reason;           /* one word beside failed: "exit_code", "timeout", "uncertain", ... */
	char *detail;           /* one line for people */
	int exit_code;          /* of the judged container, or JOB_NO_EXIT_CODE */
	int64_t seq;            /* order of acceptance, given by the store */
	int64_t accepted_ms;    /* steady clock, ms, as all times below */
	int64_t finished_ms;

	struct job_message_ref message;
	struct job_attempt attempt;

	unsigned failures;      /* ends of its own that were no success, since it was accepted or retried by hand */
	unsigned losses;        /* attempts that the infrastructure took away, counted likewise */
	char *waits_for;        /* beside its lock, for people: "capacity: ..."; NULL: nothing */
	int64_t next_try_ms;    /* steady clock, ms; 0: unknown */
	char *cancelled_by;     /* who asked for its end; NULL: nobody */
	char *cancel_reason;    /* "cancelled" or "unlocked", with cancelled_by */

	char *owner;            /* worker id; NULL while nobody's */
	int64_t fence;          /* grows with each change of owner; every write names it */
	int64_t grant;          /* grows with each grant of the lock key; 0 while it holds none */
};

/* What a deployer lets a message set itself; everything else is refused. */
struct job_allow {
	struct texts environment;       /* globs of names */
	bool command;
	struct texts directory;         /* globs of paths */
	bool notify;
};

/* What the end of a job is; reason and detail may be "". */
struct job_result {
	enum job_state state;   /* a final one */
	char reason[LIMIT_JOB_REASON_BYTES];
	char detail[LIMIT_JOB_DETAIL_BYTES];
	int exit_code;
};

struct job *job_create(void);
/* NULL is allowed. */
void job_destroy(struct job *job);
/* A copy of everything, the caller's. */
struct job *job_copy(const struct job *job);
void job_result_set(struct job_result *result, enum job_state state, const char *reason, int exit_code,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
bool lock_policy_parse(const char *name, enum lock_policy *policy);
const char *lock_policy_name(enum lock_policy policy);

#endif
