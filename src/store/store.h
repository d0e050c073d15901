/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what we remember of a job, and who may act on it.
 *
 * Every call is asynchronous: its completion runs once and never from inside the call.  What changes
 * something is durable, or has failed, by then; where the disk or the server failed nobody can say whether it
 * is done, and others may see it.  Such calls made in one turn of the loop share one commit;
 * they take effect in the order they were made.  What only reads waits for no commit, ours or another's; it
 * sees all that was completed before it was asked, and may or may not see what is under way.
 *
 * A job is owned by one worker.  Each write about it names owner and fence; once the job has
 * another owner the write fails with ERROR_LOST and the writer must forget the job.  Locks are
 * part of the store: a grant happens in the same transaction as the admission or the end that
 * made it possible.  An unfinished job may launch when it is JOB_QUEUED:
 *
 *      admit ──▶ waiting ──(delay over, earlier of its group finished, key granted)──▶ queued
 *      queued ─intend─▶ launching ─started─▶ running ─finish─▶ final
 *
 * A key goes to the waiter of the lowest rank: its seq, less a thousand for each point of priority above
 * the default.  So a point overtakes at most a thousand jobs that were accepted earlier, nobody waits for
 * ever, and no clock is asked.  Within a message group priority changes nothing.
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
	struct ev_loop *loop;
	const struct log *log;
	const char *owner;              /* this worker's id, unique over all hosts and time; NULL when read-only */
	unsigned lease_ms;              /* how long an owner that stopped renewing keeps its jobs */
	const char *place;              /* of our host, the same for all its owners: attempts that are bound to it can be
					 * followed only there; NULL or "": none is bound to us */
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
/* Outstanding completions run first: with ERROR_TEMPORARY, or with the truth where it is known by then.  New calls that
 * they make fail likewise.  A completion may close its store.  NULL is allowed. */
void store_close(struct store *store);

/* -- owners ----------------------------------------------------------------------------------- */

/* Registers the owner with a fresh lease, or renews it.  ERROR_LOST: the lease had ended and our
 * jobs have gone to others; the next renewal registers anew.  The first admission or adoption
 * registers too; after a lost lease they fail with ERROR_LOST until a renewal has said so. */
void store_renew(struct store *store, store_done_fn *done, void *arg);
/* Gives up all jobs of an owner (ours: at the end of a drain; a dead one's: told by the master) and
 * removes its registration; they can be adopted by anyone, and the deliveries that it had claimed are due at
 * once.  count is the number of jobs. */
typedef void store_count_fn(void *arg, size_t count, const struct error *err);
void store_disown(struct store *store, const char *owner, store_count_fn *done, void *arg);

/* Takes up to max unfinished or unsettled jobs that nobody owns, oldest first, those of owners
 * whose lease has ended included.  The jobs are the callee's: it keeps or destroys each.
 *
 * In a store of several hosts an attempt that is bound to a place (job->attempt.bound, when it was intended) is for the
 * owners of that place, however long they are away: only they can tell what became of it.  Others get the job
 * when nobody of the place has been there for a lease and, besides, its end was asked for or its timeout is over. */
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

struct store_admission;
/* Sets job->attempt as store_intend() takes it; false: job is not to be launched yet, and its attempt is as it was.
 * Job is the store's copy, with its grant. */
typedef bool store_intent_fn(const struct store_admission *admission, struct job *job);

struct store_admission {
	struct job *job;                /* lent until done; the store fills what the verdict says */
	bool released;                  /* admit without an owner: we are draining */
	store_intent_fn *intent;        /* NULL: store_intend() is still to come */
	void *intent_arg;
	enum store_admitted verdict;    /* out */
	char *owner;                    /* out, STORE_ADMITTED_OTHERS: whom to hint, NULL: adopt; caller frees */
};

/* Admits a received batch in one transaction, in order.  LOCK_LATEST supersedes older waiting jobs
 * of the same deployer and key: those come back as superseded by their owners' sweep, their detail names
 * the successor, and it takes over their rank and, where both have a delay, their earlier not_before_ms.
 * LOCK_REJECT looks at the key when it is admitted, also with a delay.  job->state and seq are set with
 * every verdict; fence, grant, owner, accepted_ms and not_before_ms with NEW, OURS and REJECTED, and for the
 * last reason and detail.
 *
 * A job that is new, may launch at once and has crashed nobody can have its intent in the same commit, and so waits
 * for one commit less until its launch.  Its state is JOB_LAUNCHING then, and its attempt is what intent has set.  Intent
 * is run from inside of the commit, also again when that is made once more; it may call nothing of the store.
 * Stores that are elsewhere don't run it. */
void store_admit(struct store *store, struct store_admission *batch, size_t count, store_done_fn *done, void *arg);

/* The moves below fail with ERROR_INVALID, without effect, when the job is in no state for them; one that
 * is made again (a lost completion, a fallback step) is a success.  After a store_cancel() the owner's
 * store_intend() and store_retry() are such moves: the job is JOB_CANCELLED, or JOB_CANCELLING and to be
 * ended by store_finish(); the sweep says which.
 * Stores job->attempt (number, step, token, request, intended_ms) before the launch: queued -> launching.
 * The texts are copied during the call, as in all calls below. */
void store_intend(struct store *store, const struct job *job, store_done_fn *done, void *arg);
/* Stores job->attempt.handle and started_ms: launching -> running; a cancelling job stays that. */
void store_started(struct store *store, const struct job *job, store_done_fn *done, void *arg);
/* The attempt failed (job->reason and exit_code, for its record) and another is left: back to queued, lock kept.
 * not_before_ms and failures are stored for whoever owns it then; the job does not wait for it in the store. */
void store_retry(struct store *store, const struct job *job, store_done_fn *done, void *arg);
/* What it waits for besides its lock (capacity, a rate, a backoff) and when its next try is, for people:
 * job->waits_for and next_try_ms are stored.  The next move of the job clears them. */
void store_note_wait(struct store *store, const struct job *job, store_done_fn *done, void *arg);

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
 * jobs with news since the last sweep; their state says what to do.  Queued: ready to launch.  Cancelling:
 * to be stopped (said again when somebody asks again).  Cancelled, superseded: ended by others, to be
 * settled if it is not yet.  Running: store_tell_owner(), look at the task.  Any: a newer receipt from
 * another worker.  next_due_ms is the steady time when the next delay ends, 0 for none; a sweep that left
 * something over says now. */
typedef void store_sweep_fn(void *arg, struct job **jobs, size_t count, int64_t next_due_ms, const struct error *err);
void store_sweep(struct store *store, store_sweep_fn *done, void *arg);

/* Calls fn from the loop when a process elsewhere has made news for this owner (sweep), or given up jobs or let
 * some in that are nobody's (orphans: adopt).  A hint: it may come for nothing, and is lost while the store is
 * away, so the slow sweep stays.  Stores that are of one machine never call it. */
typedef void store_news_fn(void *arg, bool orphans);
void store_on_news(struct store *store, store_news_fn *fn, void *arg);

/* -- what people and other processes ask for; the asker need not own the job --------------------- */

enum store_asked {
	STORE_ASKED_DONE,               /* it is as asked for, also when it was so before */
	STORE_ASKED_BEGUN,              /* its owner was given the news; it ends soon */
	STORE_ASKED_REFUSED,            /* not in this state: the record says which */
	STORE_ASKED_UNKNOWN,            /* there is no such job or key */
};

struct store_answer {
	enum store_asked verdict;
	const char *job_id;             /* the job concerned (store_unlock: the holder), or NULL */
	const char *owner;              /* whom to hint; NULL: nobody's, adopt */
	enum job_state state;           /* of the job now */
	const struct store_grant *grants;       /* jobs that became ready by it */
	size_t grant_count;
};
/* All texts are lent. */
typedef void store_answer_fn(void *arg, const struct store_answer *answer, const struct error *err);

/* Asks for the end of a job.  by says who asks, for its record ("gantryctl of uid 0").  Nothing launched: it
 * is JOB_CANCELLED at once (DONE), and its owner hears of it by its sweep, tells of it and settles the
 * message; nobody's is adopted for that, one without a message too.  Launching or running: JOB_CANCELLING
 * (BEGUN) until its owner has really stopped it.  Finished, cancelled too: REFUSED.  The first who asked
 * stays in the record. */
void store_cancel(struct store *store, const char *id, const char *by, store_answer_fn *done, void *arg);
/* A new attempt of a job that is final and settled (else REFUSED): it is accepted anew, at the end of the
 * order, under its id, without a delay, and nobody's (adopt).  Attempt numbers go on; its own failures and
 * the crashes of workers count from zero.  Its policy counts as for any newcomer: LOCK_LATEST supersedes who
 * waits; LOCK_REJECT with the key held changes nothing and is ERROR_REFUSED. */
void store_retry_finished(struct store *store, const char *id, const char *by, store_answer_fn *done, void *arg);
/* Frees a lock by ending its holder: as store_cancel() of the holder, with reason "unlocked".  A holder
 * that is final or missing just loses it (DONE); a free key is DONE, too, of no job. */
void store_unlock(struct store *store, const char *key, const char *by, store_answer_fn *done, void *arg);
/* A state change of the job's task was heard of elsewhere: its owner gets the news (BEGUN), and looks at
 * the task soon.  Nothing is written for a job that is not running, or is the caller's own (DONE). */
void store_tell_owner(struct store *store, const char *id, store_answer_fn *done, void *arg);

/* -- what crashes workers ---------------------------------------------------------------------- */

/* The worker owner died by its own fault while it had key in hand (a job's id, or queue + "/" + message
 * id before there is a job).  Counted once per owner. */
void store_note_crash(struct store *store, const char *key, const char *owner, store_done_fn *done, void *arg);
/* How many workers it has crashed; kept for days. */
void store_crashes(struct store *store, const char *key, store_count_fn *done, void *arg);

/* -- rates shared by all workers ---------------------------------------------------------------- */

/* A token bucket in the store, by the store's clock.  Taken in bulk: a worker asks for what it will use
 * within an interval, so that the cost is per interval and not per call.  A throttled call halves the
 * rate once a second at most, down to initial_per_s; while somebody waits and nobody is throttled it doubles per
 * second up to the asker's max_per_s.  What was found out stays, also over a boot and when others ask for less. */
struct store_rate_ask {
	const char *bucket;             /* "ecs/<region>/<account>/RunTask" */
	double initial_per_s, max_per_s, burst;
	double begin_per_s;             /* where a rate begins, and what it is at least unless something was throttled in the
					 * last ten minutes; less than initial_per_s counts as that */
	unsigned want;                  /* tokens; 0: only tells of throttles */
	unsigned throttles;             /* calls that were throttled since the last ask */
};
struct store_rate_given {
	unsigned tokens;                /* 0 to want */
	double wait_s;                  /* before asking again is worth it; 0: at once */
	double per_s;                   /* the rate now */
};
typedef void store_rate_fn(void *arg, const struct store_rate_given *given, const struct error *err);
/* Not durable on its own: a lost write of a bucket loses tokens, not jobs. */
void store_take_rate(struct store *store, const struct store_rate_ask *ask, store_rate_fn *done, void *arg);

/* -- outbox: what is still to be told, and to whom ------------------------------------------------ */

/* One text for one sink.  Given to store_finish() and the other moves by store_say(): what is said before
 * a move, in the same turn of the loop, is in the move's transaction. */
struct store_delivery {
	int64_t id;                     /* given by the store */
	const char *sink;               /* its name in the configuration, or a URL from the message */
	const char *event;              /* "accepted", "started", "succeeded", ..., "error" */
	const char *job_id;             /* may be NULL */
	const char *payload;            /* JSON text, <= LIMIT_DELIVERY_BYTES */
	/* Steady clock; in store_say(): 0: now, next_try_ms -1: only recorded.  Of a dead one: when it was given up. */
	int64_t created_ms, next_try_ms;
	unsigned tries;
	const char *error;              /* of the last try; NULL: none failed */
	bool dead;                      /* given up; "outbox replay" brings it back */
	bool kept;                      /* in store_note_deliveries(): nothing came of it yet, the claim goes on */
};
enum { LIMIT_DELIVERY_BYTES = 256 << 10 };
/* With its texts, the caller's to finish. */
struct store_delivery store_delivery_copy(const struct store_delivery *delivery);
void store_delivery_finish(struct store_delivery *delivery);

/* by: the job that speaks, by its owner under its fence, as in a write about it; NULL: nobody's word.  Nothing is
 * said, and it is ERROR_LOST, once the job is another's, or when by->state is an end that it has not and cannot
 * come to, or JOB_QUEUED and there is no other attempt (store_retry()): its move would be refused, too.  What is said
 * of no move names another state, as JOB_WAITING.
 * dedup_key (may be NULL): what was said under it before, delivered or not, is not said again, and the call is
 * a success without effect, for as long as the job is kept.  So it names job, attempt and event, or a job
 * that is retried could not tell of its second end.  A payload that is too large: ERROR_INVALID. */
void store_say(struct store *store, const struct job *by, const struct store_delivery *deliveries, size_t count,
	const char *dedup_key, store_done_fn *done, void *arg);
/* Up to max that are due, the longest due first, claimed for a minute so that two workers do not send the same, or
 * until the claimer's jobs are given up (store_disown(), or its lease ends); a note ends the claim, too.
 * next_due_ms (steady clock, 0: none) is when the next one will be.  Lent. */
typedef void store_deliveries_fn(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err);
void store_claim_deliveries(struct store *store, size_t max, store_deliveries_fn *done, void *arg);
/* What became of each: tries, next_try_ms, error and dead are stored; delivered ones (next_try_ms 0 and not
 * dead) are kept for the record of their job and forgotten with it.  A kept one stays claimed until its next_try_ms.
 * Those that we have not claimed, or that another has claimed since, are left out without an error: what is over
 * is opened again by store_replay() alone. */
void store_note_deliveries(struct store *store, const struct store_delivery *deliveries, size_t count,
	store_done_fn *done, void *arg);
/* A dead one (or with id 0 all dead ones) is due again at once, with fresh tries; UNKNOWN: there is none. */
void store_replay(struct store *store, int64_t id, store_answer_fn *done, void *arg);

/* -- reading ------------------------------------------------------------------------------------ */

/* All that is read is lent to the completion. */

/* The whole record; NULL without an error when there is none. */
typedef void store_find_fn(void *arg, const struct job *job, const struct error *err);
void store_find(struct store *store, const char *id, store_find_fn *done, void *arg);

struct store_filter {
	const char *project;            /* NULL: any */
	int state;                      /* enum job_state, or -1 for any */
	const char *deployer;
	int64_t before_seq;             /* page: only older ones; 0: from the newest */
	size_t max;
};

/* Newest first; the jobs are without body and attempt.request. */
typedef void store_list_fn(void *arg, const struct job *const *jobs, size_t count, const struct error *err);
void store_list(struct store *store, const struct store_filter *filter, store_list_fn *done, void *arg);

/* How many jobs are in each state; counts has JOB_STATES of them, NULL with an error. */
typedef void store_states_fn(void *arg, const uint64_t *counts, const struct error *err);
void store_count(struct store *store, store_states_fn *done, void *arg);

/* How much there is of all; -1: this store does not know. */
struct store_totals {
	uint64_t jobs[JOB_STATES];
	int64_t held_locks;             /* keys */
	int64_t lock_waiters;           /* jobs whose turn for a key it is not yet; not those that are delayed */
	int64_t open_deliveries;        /* to be delivered yet */
	int64_t dead_deliveries;        /* given up */
	int64_t oldest_waiting_ms;      /* steady clock: acceptance of the oldest that was not launched yet; 0: none */
};
typedef void store_totals_fn(void *arg, const struct store_totals *totals, const struct error *err);
void store_totals(struct store *store, store_totals_fn *done, void *arg);

/* A launch of a job and how it ended. */
struct store_attempt {
	unsigned number, step;
	char *handle;                   /* NULL: it never became known */
	int64_t intended_ms, started_ms, ended_ms;      /* steady clock; 0: not yet, or never */
	int exit_code;                  /* or JOB_NO_EXIT_CODE */
	char *reason;                   /* one word; NULL: none, or it has not ended */
};
/* All of a job, oldest first; none also when there is no such job. */
typedef void store_attempts_fn(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err);
void store_attempts(struct store *store, const char *id, store_attempts_fn *done, void *arg);

/* A key that is held; a key that is waited for is. */
struct store_lock {
	char *key, *holder;             /* holder: a job's id */
	char *project;                  /* of the holder */
	int64_t grant;
	int64_t since_ms;               /* steady clock of the grant; 0: unknown, it was before an upgrade */
	size_t waiting;
};
/* Held keys in order, from after_key (NULL: the first) on. */
typedef void store_locks_fn(void *arg, const struct store_lock *locks, size_t count, const struct error *err);
void store_locks(struct store *store, const char *after_key, size_t max, store_locks_fn *done, void *arg);

/* Why a job is where it is, as it was at one moment. */
struct store_why {
	struct job *job;
	char *holder;                   /* the job that has its key; NULL: nobody, or it is itself */
	char *holder_project;
	int64_t holder_since_ms;
	size_t ahead;                   /* waiting jobs that get the key before it, as things are */
	char *group_head;               /* the earlier job of its message group that it waits for */
	size_t group_ahead;
};
/* NULL without an error when there is no such job. */
typedef void store_why_fn(void *arg, const struct store_why *why, const struct error *err);
void store_why(struct store *store, const char *id, store_why_fn *done, void *arg);

struct store_delivery_filter {
	const char *job_id;             /* NULL: any */
	bool open_only;                 /* not delivered yet, the dead included */
	int64_t after_id;
	size_t max;
};
/* Oldest first; the completion's next_due_ms says nothing here. */
void store_deliveries(struct store *store, const struct store_delivery_filter *filter, store_deliveries_fn *done,
	void *arg);

/* -- moving a history --------------------------------------------------------------------------- */

/* Puts in a job as another store has kept it, with its launches (handles, times and ends): DONE.  It must be final and
 * settled, else ERROR_INVALID; it gets a place at the end of the order, nothing is told of it, and grants of its
 * key go on behind its own.  A job of its id that is there already is left as it is: REFUSED. */
void store_import(struct store *store, const struct job *job, const struct store_attempt *attempts, size_t count,
	store_answer_fn *done, void *arg);

/* -- forgetting --------------------------------------------------------------------------------- */

/* Forgets what ended before older_than_ms (steady clock): jobs that are final, settled and without open
 * deliveries (but for dead ones that were given up before that moment, too), with all that is kept of them;
 * deliveries that are of no job, open ones when they are twice as old.  At most max in one call, so that none is
 * long; count is how many went.  Up to max jobs that may not go yet are passed over in a call, and the next one
 * goes on behind them, so a count of 0 need not be the end.  Keys of locks keep their grants. */
void store_prune(struct store *store, int64_t older_than_ms, size_t max, store_count_fn *done, void *arg);

/* To be called when there is nothing to do, from a completion if need be: gives back memory that is kept to be quicker
 * next time. */
void store_rest(struct store *store);

/* What the store measured since it was opened. */
struct store_figures {
	uint64_t commits, writes, busy;         /* writes: calls; busy: commits that had to wait for another process */
	double longest_commit_s;                /* or reading: the loop stood still for it, not for the disk's sync */
};
void store_figures(const struct store *store, struct store_figures *figures);

#endif
