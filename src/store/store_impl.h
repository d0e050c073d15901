/* SPDX-License-Identifier: Apache-2.0 */
/* store_impl.h - what an adapter of the store implements.
 *
 * store.c turns each public call into a struct store_call that owns copies of what it was given and
 * hands it to submit().  The adapter carries it out when it likes, in the order of submission, fills
 * the outs (or err) and gives it to store_call_complete(), never from inside submit().  What a call
 * means for jobs and locks is store_rules.h's, so that adapters with synchronous rows only bring
 * those (store_rows.h).  store_memory.c is the smallest complete adapter. */
#ifndef STORE_STORE_IMPL_H
#define STORE_STORE_IMPL_H

#include "base/list.h"
#include "store/store.h"

enum store_call_kind {
	CALL_RENEW, CALL_DISOWN, CALL_ADOPT, CALL_ADMIT, CALL_INTEND, CALL_STARTED, CALL_RETRY, CALL_CANCELLING,
	CALL_FINISH, CALL_NOTE, CALL_SWEEP, CALL_ADD_FAULT, CALL_CLAIM_FAULTS, CALL_FAULTS_PUBLISHED, CALLS
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
		store_faults_fn *faults;
	} done;
	void *arg;

	/* Given. */
	char *owner;                    /* DISOWN */
	size_t max;                     /* ADOPT, CLAIM_FAULTS */
	struct store_admission *batch;  /* ADMIT; lent until completion */
	size_t batch_count;
	struct job **given;             /* writes about jobs, NOTE: copies of id, fence and what the kind needs */
	size_t given_count;
	struct job_result result;       /* FINISH */
	struct store_fault fault;       /* ADD_FAULT; its texts are ours, see store_call.c */
	char *dedup_key;
	int64_t *ids;                   /* FAULTS_PUBLISHED */
	size_t id_count;

	/* Made by the adapter. */
	struct error err;               /* kind ERROR_NONE: success */
	struct store_admitted_job *admitted;    /* batch_count of them */
	size_t disowned;
	struct job **jobs;              /* ADOPT, SWEEP; become the callee's */
	size_t job_count;
	int64_t next_due_ms;
	struct store_grant *grants;     /* FINISH */
	size_t grant_count;
	struct store_fault *faults;     /* CLAIM_FAULTS; texts ours */
	size_t fault_count;
};

struct store_call *store_call_create(enum store_call_kind kind, void *arg);
void store_call_destroy(struct store_call *call);
/* Forgets what was made so far: the transaction was rolled back. */
void store_call_reset(struct store_call *call);
/* Forgets what was made and sets err. */
void store_call_fail(struct store_call *call, enum error_kind kind, const char *text);
/* Runs the completion and destroys the call.  The store may be closed when this returns. */
void store_call_complete(struct store_call *call);
void store_call_add_job(struct store_call *call, struct job *job);
void store_call_add_grant(struct store_call *call, const struct job *job);
/* Copies the texts. */
struct store_fault *store_call_add_fault(struct store_call *call, const struct store_fault *fault);
void store_fault_finish(struct store_fault *fault);
struct store_fault store_fault_copy(const struct store_fault *fault);

struct store_ops {
	void (*close)(struct store *store);             /* completes what is outstanding, then frees */
	void (*submit)(struct store *store, struct store_call *call);
	struct job *(*find)(struct store *store, const char *id, struct error *err);
	bool (*list)(struct store *store, const struct store_filter *filter, struct job ***jobs, size_t *count,
		struct error *err);
	bool (*count)(struct store *store, uint64_t counts[JOB_STATES], struct error *err);
};

/* Embedded first in an adapter's struct. */
struct store {
	const struct store_ops *ops;
	struct ev_loop *loop;
	struct log log;
	char *owner;                    /* NULL when read-only */
	unsigned lease_ms;
	bool read_only;
	bool registered;                /* this owner's row was committed and has not been found missing since */
	struct store_figures figures;
};

void store_init(struct store *store, const struct store_ops *ops, const struct store_options *options,
	const char *name);
void store_finish_base(struct store *store);
/* To be called for each call of a committed batch: keeps registered and the figures up to date. */
void store_committed(struct store *store, const struct store_call *call);
/* How long a batch held the loop. */
void store_note_stall(struct store *store, double took_s);

/* rest is the URL behind its scheme. */
struct store *store_memory_open(const char *rest, const struct store_options *options, struct error *err);
struct store *store_sqlite_open(const char *rest, const struct store_options *options, struct error *err);

#endif
