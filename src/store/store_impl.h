/* SPDX-License-Identifier: Apache-2.0 */
/* store_impl.h - what an adapter of the store implements.
 *
 * store.c turns each public call into a struct store_call that owns copies of what it was given and
 * hands it to submit().  The adapter carries it out when it likes, in the order of submission, fills
 * the outs (or err) and gives it to store_call_complete(), never from inside submit().  The reads
 * (store_call_reads()) are in no order with the others: they neither wait for writes that were submitted
 * before nor hold up those behind, but see what was completed before they were submitted.  What a call
 * means for jobs and locks is store_rules.h's, so that adapters with synchronous rows only bring
 * those (store_rows.h).  store_memory.c is the smallest complete adapter. */
#ifndef STORE_STORE_IMPL_H
#define STORE_STORE_IMPL_H

#include "base/list.h"
#include "store/store.h"

enum store_call_kind {
	CALL_RENEW, CALL_DISOWN, CALL_ADOPT, CALL_ADMIT, CALL_INTEND, CALL_STARTED, CALL_RETRY, CALL_NOTE_WAIT,
	CALL_FINISH, CALL_NOTE, CALL_SWEEP, CALL_CANCEL, CALL_RETRY_FINISHED, CALL_UNLOCK, CALL_TELL_OWNER,
	CALL_NOTE_CRASH, CALL_TAKE_RATE, CALL_SAY, CALL_CLAIM_DELIVERIES, CALL_NOTE_DELIVERIES, CALL_REPLAY, CALL_PRUNE, CALL_IMPORT,
	/* Those that only read; a store without an owner takes these alone. */
	CALL_FIND, CALL_LIST, CALL_COUNT, CALL_ATTEMPTS, CALL_LOCKS, CALL_WHY, CALL_DELIVERIES, CALL_CRASHES, CALLS
};

/* What became of one store_admission; copied into it when the call completes, so that a failed
 * commit leaves the caller's jobs as they were. */
struct store_admitted_job {
	enum store_admitted verdict;
	struct job *job;                /* as stored, without body; for NEW and REJECTED the new row */
};

struct store_call {
	struct list link;
	enum store_call_kind kind;
	union {
		store_done_fn *plain;
		store_count_fn *count;
		store_jobs_fn *jobs;
		store_finish_fn *finish;
		store_sweep_fn *sweep;
		store_answer_fn *answer;
		store_rate_fn *rate;
		store_deliveries_fn *deliveries;
		store_find_fn *find;
		store_list_fn *list;
		store_states_fn *states;
		store_totals_fn *totals;
		store_attempts_fn *attempts;
		store_locks_fn *locks;
		store_why_fn *why;
	} done;
	void *arg;

	/* Given. */
	char *owner;                    /* DISOWN, NOTE_CRASH */
	char *name;                     /* what is asked about: a job's id; UNLOCK, NOTE_CRASH and CRASHES: a key;
					 * LOCKS: the key to go on after, "" for the first */
	char *by;                       /* CANCEL, RETRY_FINISHED, UNLOCK */
	size_t max;                     /* ADOPT, PRUNE, LOCKS and the claims */
	int64_t older_than_ms;          /* PRUNE */
	int64_t delivery_id;            /* REPLAY */
	struct store_rate_ask rate_ask; /* TAKE_RATE; its text is ours */
	struct store_admission *batch;  /* ADMIT; lent until completion */
	size_t batch_count;
	struct job **given;             /* writes about jobs, NOTE: copies of id, seq, fence and what the kind needs;
					 * FINISH: state, reason, detail and exit_code are the result's; SAY: the speaker,
					 * if any, with its state */
	size_t given_count;
	struct store_delivery *said;    /* SAY, NOTE_DELIVERIES; texts ours */
	size_t said_count;
	char *dedup_key;                /* SAY */
	struct store_attempt *past;     /* IMPORT: of given[0], which is whole; texts ours */
	size_t past_count;
	struct store_filter filter;     /* LIST; texts ours */
	bool wants_totals;              /* COUNT: beside the states; an adapter may leave them unknown */
	struct store_delivery_filter delivery_filter;   /* DELIVERIES; text ours */

	/* Made by the adapter. */
	struct error *err;              /* NULL: success; store_call_error() */
	bool failed;                    /* err is of the rows, not of the rules: nothing of it was written */
	struct store_admitted_job *admitted;    /* batch_count of them */
	size_t went;                    /* DISOWN, PRUNE, CRASHES */
	struct job **jobs;              /* ADOPT, SWEEP: become the callee's; FIND: one or none, whole; LIST */
	size_t job_count;
	int64_t next_due_ms;            /* SWEEP, CLAIM_DELIVERIES */
	struct store_grant *grants;     /* FINISH, and what is asked for */
	size_t grant_count;
	struct store_delivery *claimed; /* CLAIM_DELIVERIES, DELIVERIES; texts ours */
	size_t claimed_count;
	struct store_answer answer;     /* its texts are ours; the grants are put in when it is told */
	struct store_rate_given rate;
	struct store_totals *totals;    /* COUNT, always there; -1 from the beginning, but for its jobs */
	struct store_attempt *attempts; /* ATTEMPTS; texts ours, as in the two below */
	size_t attempt_count;
	struct store_lock *locks;       /* LOCKS */
	size_t lock_count;
	struct store_why *why;          /* WHY; NULL: no such job */
};

struct store_call *store_call_create(enum store_call_kind kind, void *arg);
void store_call_destroy(struct store_call *call);
/* Forgets what was made so far: the transaction was rolled back. */
void store_call_reset(struct store_call *call);
/* To be set, for a call that is refused; the call's. */
struct error *store_call_error(struct store_call *call);
/* Forgets what was made and sets err: the rows failed. */
void store_call_fail(struct store_call *call, enum error_kind kind, const char *text);
/* Runs the completion and destroys the call.  The store may be closed when this returns. */
void store_call_complete(struct store_call *call);
void store_call_add_job(struct store_call *call, struct job *job);
void store_call_add_grant(struct store_call *call, const struct job *job);
/* Copies the texts. */
struct store_delivery *store_call_add_claimed(struct store_call *call, const struct store_delivery *delivery);
/* Copy the texts. */
void store_call_add_attempt(struct store_call *call, const struct store_attempt *attempt);
void store_call_add_lock(struct store_call *call, const struct store_lock *lock);
/* Its kind, as what runs in a server calls it. */
const char *store_call_name(const struct store_call *call);
/* Whether the kind only reads. */
bool store_call_reads(const struct store_call *call);
/* NULL is allowed. */
void store_why_free(struct store_why *why);
/* What is answered about a job, NULL for none. */
void store_call_answer(struct store_call *call, enum store_asked verdict, const struct job *job);

struct store_ops {
	void (*close)(struct store *store);             /* completes what is outstanding, then frees */
	void (*submit)(struct store *store, struct store_call *call);
	void (*listen)(struct store *store);            /* calls on_news from now on; NULL: the store never does */
	void (*rest)(struct store *store);              /* NULL: nothing is kept to be quicker */
};

/* Embedded first in an adapter's struct. */
struct store {
	const struct store_ops *ops;
	struct ev_loop *loop;
	struct log log;
	char *owner;                    /* NULL when read-only */
	char *place;                    /* "" for none */
	unsigned lease_ms;
	bool read_only;
	bool registered;                /* this owner's row was committed and has not been found missing since */
	/* Where the last store_prune() left off: what it may not forget is not looked at each time. */
	int64_t pruned_ms, pruned_seq;
	struct store_figures figures;
	store_news_fn *on_news;         /* NULL: nobody listens */
	void *news_arg;
};

void store_init(struct store *store, const struct store_ops *ops, const struct store_options *options,
	const char *name);
void store_finish_base(struct store *store);
/* Hands a call to the adapter; panics when one that writes is made of a store that was opened for reading. */
void store_submit(struct store *store, struct store_call *call);
/* To be called for each call of a committed batch: keeps registered and the figures up to date. */
void store_committed(struct store *store, const struct store_call *call);
/* How long a batch held the loop. */
void store_note_stall(struct store *store, double took_s);

/* rest is the URL behind its scheme. */
struct store *store_memory_open(const char *rest, const struct store_options *options, struct error *err);
/* redis, rediss, postgresql: the URL whole. */
struct store *store_redis_open(const char *url, const struct store_options *options, struct error *err);
struct store *store_postgresql_open(const char *url, const struct store_options *options, struct error *err);
struct store *store_sqlite_open(const char *rest, const struct store_options *options, struct error *err);

#endif
