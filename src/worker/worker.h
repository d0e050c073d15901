/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - the process that turns messages into deployments.
 *
 * One loop composes the four ports.  A job in this worker's hands is a struct holding; its way is
 *
 *      intake ─▶ launch ─▶ watch ─▶ settle        adopt: into any of them, from the store
 *                                                 cancel: out of any of them, as somebody asked
 *
 * with a file each.  Life of the process: warm up, park, take jobs (GO), drain, hand over, leave.
 * Private to src/worker. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"
#include "base/table.h"
#include "conf/conf.h"
#include "exec/exec.h"
#include "ipc/figures.h"
#include "ipc/heritage.h"
#include "ipc/in_hand.h"
#include "ipc/report.h"
#include "job/job.h"
#include "queue/queue.h"
#include "store/store.h"

enum {
	WORKER_ADOPT_BATCH = 100,       /* jobs taken over in one call */
};

enum worker_state {
	WORKER_WARMING,         /* opening the store, asking queues and credentials */
	WORKER_PARKED,          /* ready; takes no job before GO */
	WORKER_ACTIVE,
	WORKER_DRAINING,        /* no new receives; holdings may finish */
	WORKER_RELEASING,       /* handing over what is left */
	WORKER_RELEASED,        /* holds no job; waits for open receives to end */
};

/* A queue with its place in the worker. */
struct intake {
	struct worker *worker;
	const struct conf_queue *conf;
	struct queue *queue;
	struct log log;
	bool stopped;                   /* draining: no receive is open any more */
	unsigned ahead;                 /* messages and jobs that only the store keeps from their launch */
	unsigned admitting;             /* batches and messages without a holding that are not done with yet */
	struct list screenings, batches, refusals;      /* these, as far as they wait for the store */
	unsigned failures;              /* admissions that failed in a row; receiving pauses meanwhile */
	bool is_events;                 /* it carries task state changes (ecs.events), no jobs */
	bool events_come;               /* and works, so that the exec port counts on it */
	uint64_t strange;               /* messages in it that were none */
};

/* Rows of the shared page; all NULL without one. */
struct deployer_counters { struct figures_row *jobs, *wait, *launch, *run, *settle; };

struct deployer {
	const struct conf_deployer *conf;
	struct exec *exec;
	struct deployer_counters counters;
};

struct worker {
	struct ev_loop *loop;
	struct log log;
	struct heritage heritage;
	struct conf *conf;
	enum worker_state state;

	struct aws *aws;
	struct store *store;
	struct intake *intakes;         /* one per conf->queues */
	struct deployer *deployers;     /* one per conf->deployers */
	/* Follow what was launched by a deployer that is configured no more: a task, and a local command. */
	struct deployer removed, removed_process;
	struct warmup *warmup;          /* while WORKER_WARMING */
	struct deliver *deliver;        /* deliver.h */
	struct backlog *backlog;        /* backlog.h; NULL: not begun, or not ours to do */
	struct retention *retention;    /* retention.h; NULL: not begun, or not ours to do */
	struct in_hand *in_hand;        /* shared with the master; NULL: none */
	struct figures *figures;        /* counters.h; the same */
	struct exec_rates rates;

	struct table holdings;          /* struct holding, by job id */
	struct list noting;             /* holdings whose settled message is not noted in the store yet */
	struct list unheard_of;         /* adopt.c: jobs of ours that are not held, and being read */
	struct list dropped;            /* holdings that only an outstanding completion keeps */
	unsigned running;               /* holdings that were launched and have not ended */
	uint64_t jobs_done;
	uint64_t done_at_tick;          /* jobs_done at the last tick */
	bool idle;                      /* at the last tick no job was held, and none had ended since the one before */
	bool adopting;                  /* a store_adopt() is under way */
	bool adopt_again;               /* and was asked for again meanwhile */
	bool sweeping, sweep_again;     /* likewise for store_sweep() */
	bool told_empty;                /* REPORT_EMPTY was sent */
	char degraded[REPORT_TEXT_BYTES];       /* said with REPORT_READY, and repeated while parked */
	char store_trouble[REPORT_TEXT_BYTES];  /* why the store took a write no more, when it last did not */
	bool unrenewed;                         /* the renewal of our lease is such a write */
	double renewal_s;                       /* monotonic: when that under way was asked for; 0: none is */
	bool listening;                 /* reports of the master are being read */
	bool beginning;                 /* told GO, and not begun yet */
	unsigned crash_notes;           /* crashes of others on their way into the store */
	bool last;                      /* draining while gantryd stops: there are no other workers here */
	bool leaving;                   /* our registration is being removed, or all is being destroyed */

	ev_io channel;
	ev_timer heartbeat;
	ev_timer news;                  /* our figures changed; they are told soon, once for many changes */
	ev_check turn;                  /* sees how far apart two turns of the loop are */
	int64_t turned_ms;              /* boot clock of the last turn */
	ev_prepare flush;               /* what a turn has logged goes out before the next wait */
	ev_timer tick;
	ev_timer due;                   /* when the next delay ends */
	ev_timer note_linger;
	ev_timer deadline;              /* of the drain */
	ev_signal on_term, on_quit;
	uint32_t report_sequence;
	uint32_t reports_dropped;
	int exit_status;
};

/* worker.c */
struct worker *worker_create(const struct heritage *heritage, struct conf *take_conf);
void worker_destroy(struct worker *worker);
/* Runs until the worker leaves; its exit status. */
int worker_run(struct worker *worker);
struct intake *worker_find_intake(struct worker *worker, const char *queue_name);
struct deployer *worker_find_deployer(struct worker *worker, const char *name);
/* Ready, and told GO. */
void worker_go(struct worker *worker);
/* Begins to take jobs, if told so and if nothing has to be known before. */
void worker_begin(struct worker *worker);
/* Deployer of no name, for attempts whose own is configured no more: it can ask again, look, watch and
 * stop, as their stored request says all, but prepare nothing. */
extern const struct conf_deployer worker_removed_conf, worker_removed_process_conf;
/* Whether new launches may begin: active, or draining with time left. */
bool worker_may_launch(const struct worker *worker);
/* Leaves the loop. */
void worker_leave(struct worker *worker, int status);

/* warmup.c */
void warmup_start(struct worker *worker);
void warmup_cancel(struct worker *worker);

/* channel.c: the master */
void channel_start(struct worker *worker);
void channel_stop(struct worker *worker);
void channel_send(struct worker *worker, enum report_kind kind, const char *name, const char *text);
/* Our figures; while parked also that we are ready, as that may have been dropped. */
void channel_send_alive(struct worker *worker);
/* How many workers the backlog is worth. */
void channel_send_scale(struct worker *worker, unsigned wanted, uint64_t depth);
/* The store did not take a write; the master is told, until renewals and admissions succeed again. */
void channel_note_trouble(struct worker *worker, const struct error *err);
/* What we hold has changed: the master is told within a second, so that gantryctl status is true. */
void channel_news(struct worker *worker);

/* drain.c */
void drain_start(struct worker *worker, int64_t deadline_ms, const char *why);
/* Hands over now. */
void drain_release(struct worker *worker);
/* Called whenever something ended that a drain may wait for. */
void drain_check(struct worker *worker);

/* intake.c */
void intake_init(struct intake *intake, struct worker *worker, const struct conf_queue *conf);
/* Forgets what waits for a store that is closed. */
/* The queue goes, with all its messages; what completes later finds none. */
void intake_close(struct intake *intake);
void intake_finish(struct intake *intake);
void intake_start(struct worker *worker);
/* Tells the queue how many more messages we take; called after every change of what we hold. */
void intake_update_room(struct intake *intake);
extern const struct queue_events intake_events;
/* What is done with a message before it is a job; ends with holding_put(). */
void intake_take(struct intake *intake, const struct queue_message *message);

/* events.c: what a queue of task state changes tells us. */
extern const struct queue_events event_events;
/* Whether the exec port may count on them. */
void events_check(struct worker *worker);

/* rates.c */
void rates_init(struct worker *worker);

/* adopt.c */
void adopt_start(struct worker *worker);
/* A job that the store says is ours, of which we have never heard: what made it ours was stored, and its completion
 * said that it was not.  It is taken up as an adopted one. */
void adopt_unheard_of(struct worker *worker, const char *id);
/* Behind the store's end. */
void adopt_finish(struct worker *worker);
/* One worker died: its jobs are anyone's now. */
void adopt_orphans(struct worker *worker, const char *owner, const char *how);
/* Asks the store what was granted, superseded or redelivered, and acts on it. */
void adopt_sweep(struct worker *worker);
/* How often the lease is renewed, news asked for, and what nobody owns adopted. */
double adopt_tick_s(const struct worker *worker);
void adopt_start_ticking(struct worker *worker);
void adopt_stop_ticking(struct worker *worker);

#endif
