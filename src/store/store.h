/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what we remember of a job, and who may act on it.
 *
 * Every call that changes something is asynchronous: it is durable, or has failed, when its
 * completion runs, once and never from inside the call.  Calls made in one turn of the loop share
 * one commit; they take effect in the order they were made.
 *
 * A job is owned by one worker.  Each write about it names owner and fence; once the job has
 * another owner the write fails with ERROR_LOST and the writer must forget the job.  Locks are
 * part of the store: a grant happens in the same transaction as the admission or the end that
 * made it possible.  An unfinished job may launch when it is JOB_QUEUED:
 *
 *      admit ──▶ waiting ──(delay over, earlier of its group finished, key granted)──▶ queued
 *      queued ─intend─▶ launching ─started─▶ running ─finish─▶ final
 *
 * Callers include this; adapters fill the table in store_impl.h. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "job/job.h"

struct store;

struct store_options {
	struct ev_loop *loop;           /* NULL for read-only use without a loop (gantryctl) */
	const struct log *log;
	const char *owner;              /* this worker's id, unique over all hosts and time; NULL when read-only */
	unsigned lease_ms;              /* how long an owner that stopped renewing keeps its jobs */
	bool migrate;                   /* may create the store and bring its schema up to date */
	bool check;                     /* with migrate: checks integrity also when nothing is to be migrated */
	bool read_only;
};

/* A completion: err is NULL on success and lent for the call otherwise. */
typedef void store_done_fn(void *arg, const struct error *err);

/* A store from its URL ("sqlite:///path"; "memory:" and "memory:NAME" for tests), or NULL.  Opens it;
 * may read from the disk and wait for other processes, so call it before the loop runs.  ERROR_REFUSED:
 * permissions, damage, a schema newer than we are.  ERROR_TEMPORARY: without migrate, the schema is not
 * there yet or is older: whoever may migrate has not done it. */
struct store *store_open(const char *url, const struct store_options *options, struct error *err);
/* Outstanding completions run with ERROR_TEMPORARY first; they must make no new calls.  A completion may
 * close its store.  NULL is allowed. */
void store_close(struct store *store);

/* -- owners ----------------------------------------------------------------------------------- */

/* Registers the owner with a fresh lease, or renews it.  ERROR_LOST: the lease had ended and our
 * jobs have gone to others; the next renewal registers anew.  The first admission or adoption
 * registers too; after a lost lease they fail with ERROR_LOST until a renewal has said so. */
void store_renew(struct store *store, store_done_fn *done, void *arg);
/* Gives up all jobs of an owner (ours: at the end of a drain; a dead one's: told by the master) and
 * removes its registration; they can be adopted by anyone.  count is the number of jobs. */
typedef void store_count_fn(void *arg, size_t count, const struct error *err);
void store_disown(struct store *store, const char *owner, store_count_fn *done, void *arg);

/* Takes up to max unfinished or unsettled jobs that nobody owns, oldest first, those of owners
 * whose lease has ended included.  The jobs are the callee's: it keeps or destroys each. */
typedef void store_jobs_fn(void *arg, struct job **jobs, size_t count, const struct error *err);
void store_adopt(struct store *store, size_t max, store_jobs_fn *done, void *arg);

/* -- the life of a job ------------------------------------------------------------------------ */

enum store_admitted {
	STORE_ADMITTED_NEW,             /* inserted, ours; job->state, seq, fence and grant are set */
	STORE_ADMITTED_OURS,            /* a redelivery of a job that this worker holds; receipt is updated */
	STORE_ADMITTED_OTHERS,          /* held by another live owner, or by nobody; its record has the new receipt now */
	STORE_ADMITTED_FINISHED,        /* ended before, or goes on under another message: settle this one */
	STORE_ADMITTED_REJECTED,        /* inserted as failed: "locked" (LOCK_REJECT); settle the message */
};

struct store_admission {
	struct job *job;                /* lent until done; the store fills what the verdict says */
	bool released;                  /* admit without an owner: we are draining */
	enum store_admitted verdict;    /* out */
	char *owner;                    /* out, STORE_ADMITTED_OTHERS: whom to hint, NULL: adopt; caller frees */
};

/* Admits a received batch in one transaction, in order.  LOCK_LATEST supersedes older waiting jobs
 * of the same deployer and key: those come back as superseded by their owners' sweep.  LOCK_REJECT looks
 * at the key when it is admitted, also with a delay.  job->state and seq are set with every verdict;
 * fence, grant, owner and accepted_ms with NEW, OURS and REJECTED, and for the last reason and detail. */
void store_admit(struct store *store, struct store_admission *batch, size_t count, store_done_fn *done, void *arg);

/* The moves below fail with ERROR_INVALID, without effect, when the job is in no state for them; one that
 * is made again (a lost completion, a fallback step) is a success.
 * Stores job->attempt (number, step, token, request, intended_ms) before the launch: queued -> launching.
 * The texts are copied during the call, as in all calls below. */
void store_intend(struct store *store, const struct job *job, store_done_fn *done, void *arg);
/* Stores job->attempt.handle and started_ms: launching -> running; a cancelling job stays that. */
void store_started(struct store *store, const struct job *job, store_done_fn *done, void *arg);
/* The attempt failed (job->reason, for its record) and another is left: back to queued, lock kept.
 * not_before_ms is stored for whoever owns it then; the job does not wait for it in the store. */
void store_retry(struct store *store, const struct job *job, store_done_fn *done, void *arg);
/* running/launching -> cancelling */
void store_cancelling(struct store *store, const struct job *job, store_done_fn *done, void *arg);

/* A job that the end of another made ready to launch. */
struct store_grant {
	char *job_id;
	char *owner;                    /* NULL: nobody's; adopt */
};
/* Result, lock release and the grants to whoever is next, in one transaction.  The grants are lent. */
typedef void store_finish_fn(void *arg, const struct store_grant *grants, size_t count, const struct error *err);
void store_finish(struct store *store, const struct job *job, const struct job_result *result,
	store_finish_fn *done, void *arg);

/* Notes job->message (receipt, hidden_until_ms, received_ms, deliveries, settled) of many jobs.  Jobs that
 * are not ours any more are left out and make it ERROR_LOST; the others are noted all the same.  A
 * receipt older (received_ms) than the stored one does not replace it. */
void store_note_messages(struct store *store, const struct job *const *jobs, size_t count,
	store_done_fn *done, void *arg);

/* The slow sweep, and what a hint asks for: grants what has become due, then gives copies of our
 * jobs that are ready to launch, were superseded, or got a newer receipt from another worker since
 * the last sweep.  next_due_ms is the wall time when the next delay ends, 0 for none; a sweep that left
 * something over says now. */
typedef void store_sweep_fn(void *arg, struct job **jobs, size_t count, int64_t next_due_ms, const struct error *err);
void store_sweep(struct store *store, store_sweep_fn *done, void *arg);

/* -- errors that people should see -------------------------------------------------------------- */

struct store_fault {
	int64_t id;                     /* given by the store */
	int64_t at_ms;                  /* wall clock */
	const char *kind;               /* "malformed", "launch_failed", "task_failed", "worker_crashed", ... */
	const char *job_id;             /* may be NULL, as the next two */
	const char *project;
	const char *queue;
	const char *text;               /* one line */
	const char *body;               /* the message that was not understood; else NULL */
};

/* Records a fault; durable when done.  dedup_key (may be NULL) makes a repeat a success without
 * effect, so that a redelivered malformed message is recorded once. */
void store_add_fault(struct store *store, const struct store_fault *fault, const char *dedup_key,
	store_done_fn *done, void *arg);
/* Up to max recorded faults that were not yet published, oldest first, claimed for a minute so that
 * two workers do not publish the same; lent. */
typedef void store_faults_fn(void *arg, const struct store_fault *faults, size_t count, const struct error *err);
void store_claim_faults(struct store *store, size_t max, store_faults_fn *done, void *arg);
void store_faults_published(struct store *store, const int64_t *ids, size_t count, store_done_fn *done, void *arg);

/* -- reading ------------------------------------------------------------------------------------ */

struct store_filter {
	const char *project;            /* NULL: any */
	int state;                      /* enum job_state, or -1 for any */
	const char *deployer;
	int64_t before_seq;             /* page: only older ones; 0: from the newest */
	size_t max;
};

/* Reading is bounded and done at once.  find: NULL without an error when there is none. */
struct job *store_find(struct store *store, const char *id, struct error *err);
/* Newest first; the array and the jobs are the caller's (store_jobs_free). */
bool store_list(struct store *store, const struct store_filter *filter, struct job ***jobs, size_t *count,
	struct error *err);
void store_jobs_free(struct job **jobs, size_t count);
/* How many jobs are in each state. */
bool store_count(struct store *store, uint64_t counts[JOB_STATES], struct error *err);

/* What the store measured since it was opened. */
struct store_figures {
	uint64_t commits, writes, busy;         /* writes: calls; busy: commits that had to wait for another process */
	double longest_commit_s;                /* or checkpoint: the loop stood still for it */
};
void store_figures(const struct store *store, struct store_figures *figures);

#endif
