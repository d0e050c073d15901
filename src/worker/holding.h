/* SPDX-License-Identifier: Apache-2.0 */
/* holding.h - a job in this worker's hands, from its admission or adoption until it is settled,
 * given up or lost.  Private to src/worker. */
#ifndef WORKER_HOLDING_H
#define WORKER_HOLDING_H

#include "worker/worker.h"

enum holding_phase {
	HOLDING_WAITING,        /* the store has not granted it yet */
	HOLDING_PAUSED,         /* may launch, but waits for its timer: backoff */
	HOLDING_SCREENING,      /* whether it has crashed workers is being asked */
	HOLDING_INTENDING,      /* the intent is on its way into the store */
	HOLDING_LAUNCHING,      /* asked for; no answer yet */
	HOLDING_LOOKING,        /* asks whether an earlier launch happened */
	HOLDING_RUNNING,        /* watched */
	HOLDING_FINISHING,      /* the result is on its way into the store */
	HOLDING_SETTLING,       /* the queue is asked to delete the message */
	HOLDING_NOTING,         /* the store is told that the message is gone */
	HOLDING_GONE,           /* only outstanding completions keep the struct */
	HOLDING_PHASES
};

struct holding {
	struct worker *worker;
	struct intake *intake;          /* NULL when its queue is no longer configured */
	struct deployer *deployer;      /* NULL likewise, while nothing is launched; then worker.removed */
	struct job *job;                /* owned */
	struct queue_message *message;  /* NULL once settled, or without a message */
	struct table_link by_id;        /* worker.holdings; key: job->id */
	struct list link;               /* worker.noting or worker.dropped */

	struct exec_launch *launch;
	struct exec_watch *watch;
	ev_timer timer;                 /* HOLDING_PAUSED, or a retry of the phase */
	ev_timer timeout;               /* the deployment's */
	void (*retry)(struct holding *holding);         /* what the timer does */
	unsigned next_number, next_step;        /* HOLDING_SCREENING: of the attempt that is being prepared */
	unsigned failures;              /* tries in a row that failed; sets the backoff */
	unsigned calls;                 /* store and queue completions outstanding */
	enum holding_phase phase;
	bool timed_out;                 /* we asked for its stop */
	bool cancelling;                /* somebody asked for its end; never launched again */
	bool deleting;                  /* its message is being deleted while the job goes on */
	bool looking;                   /* a look is under way */
	bool heard;                     /* its task was heard of before we watch it */
	bool maybe_launched;            /* an ask under the present token was not answered, as far as we know */
	bool counted;                   /* in worker.running */
	double asked_s;                 /* monotonic time of the last answer to an ask; 0: none in this process */
	double free_s, ended_s;         /* monotonic, for counters.c: free to launch, end seen; 0: not yet, or before us */
	struct job_result *result;      /* owned; by holding_result(), as most of its life a job has none: in
					 * HOLDING_FINISHING; while HOLDING_LOOKING: if it is not there;
					 * while HOLDING_INTENDING another attempt: the end of the last */
};

/* Takes the job (and the message, which may be NULL). */
struct holding *holding_create(struct worker *worker, struct job *take_job, struct queue_message *message);
/* Lent; an empty one if it has none yet. */
struct job_result *holding_result(struct holding *holding);
struct holding *holding_find(struct worker *worker, const char *job_id);
void holding_enter(struct holding *holding, enum holding_phase phase);
const char *holding_phase_name(enum holding_phase phase);
/* Who speaks in its lines, for one of them: a name in each of thousands would be a third of them. */
#define holding_log(holding) holding_name((holding), &(struct log){ .owner = NULL })
const struct log *holding_name(const struct holding *holding, struct log *log);
/* Stops everything about it and forgets it; the struct goes when the last completion has run. */
void holding_drop(struct holding *holding);
/* At the end of the worker: the completions that were waited for will not come. */
void holdings_finish(struct worker *worker);
/* Calls retry after a delay that grows with holding->failures. */
void holding_retry_later(struct holding *holding, void (*retry)(struct holding *), double first_s, double max_s);
/* Brackets for an asynchronous call whose arg is the holding.  end returns false when the holding
 * was dropped meanwhile (it may be freed then): the completion must return at once. */
void holding_call_begin(struct holding *holding);
bool holding_call_end(struct holding *holding);
/* A store write failed: LOST drops the holding, anything else repeats retry later. */
void holding_store_failed(struct holding *holding, const struct error *err, const char *what,
	void (*retry)(struct holding *));
/* Has the store say, for people, what it waits for: until its timer fires (a short time is not worth it), or
 * without one for something whose time is not known. */
void holding_note_wait(struct holding *holding, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Launched and not ended: for the figures. */
void holding_count_running(struct holding *holding, bool running);
/* Brackets around what is done with it in one go: should that crash us, the others know what it was. */
void holding_take(struct holding *holding);
void holding_put(struct worker *worker);

/* launch.c: a granted job, towards a running task.  Also continues a stored intent. */
void launch_begin(struct holding *holding);
/* Sets job->attempt for the first launch of a job that is being admitted; false, without effect: not now. */
bool launch_draw_up(struct worker *worker, struct job *job);
/* It was, and is stored. */
void launch_intended(struct holding *holding);
void launch_resume(struct holding *holding);
/* Ends it as failed. */
void launch_fail(struct holding *holding, const char *reason, const char *text);
/* It was asked for and is not to run: finds out whether it does. */
void launch_find(struct holding *holding);

/* cancel.c: a job whose end somebody asked for. */
/* The store says so of a job of ours. */
void cancel_take_news(struct holding *holding, const struct job *news);
/* Adopted in that state. */
void cancel_resume(struct holding *holding);
/* Asks for the stop of what runs. */
void cancel_stop(struct holding *holding);
/* Nothing of it runs, or not any more. */
void cancel_end(struct holding *holding);

/* watch.c: a running task, towards its end. */
void watch_begin(struct holding *holding);

/* settle.c: an ended job, towards a deleted message. */
void settle_begin(struct holding *holding, const struct job_result *result);
/* The result is stored already; only the message is left. */
void settle_message(struct holding *holding);
/* Deletes the message while the job goes on: the store alone has it from then on. */
void settle_early(struct holding *holding);
/* Tells the store of all messages that are gone, now. */
void settle_flush(struct worker *worker);
void settle_init(struct worker *worker);

#endif
