/* SPDX-License-Identifier: Apache-2.0 */
/* store_batch.h - collects the calls of one turn of the loop, so that they share one commit.
 *
 * A batch is run just before the loop would wait again (ev_prepare).  While calls are waiting an
 * idle watcher keeps the loop from waiting; while there are none, no watcher is active, so an idle
 * store neither wakes the process nor keeps its loop alive. */
#ifndef STORE_STORE_BATCH_H
#define STORE_STORE_BATCH_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "store/store_impl.h"

/* More calls than this wait for the next turn, which bounds how long a commit holds the loop. */
enum { LIMIT_BATCH_CALLS = 1024 };

struct store_batch;
/* Takes calls off waiting (store_batch_take), carries them out and completes them, or puts them back. */
typedef void store_batch_run_fn(struct store_batch *batch);

struct store_batch {
	struct ev_loop *loop;           /* NULL: nothing is ever added */
	store_batch_run_fn *run;
	ev_prepare before_wait;
	ev_idle no_wait;                /* its callback does nothing */
	ev_timer later;                 /* active after store_batch_put_back() and store_batch_gather() */
	unsigned enough;                /* so many calls more end the wait of store_batch_gather(); 0: none do */
	struct list waiting;            /* store_call, in order */
	struct list finished;           /* carried out, completion still to run */
	bool *closed;                   /* set by store_batch_finish() inside a completion */
	bool held;
};

void store_batch_init(struct store_batch *batch, struct ev_loop *loop, store_batch_run_fn *run);
/* Completes what was carried out with its results and fails the rest with ERROR_TEMPORARY. */
void store_batch_finish(struct store_batch *batch);
void store_batch_add(struct store_batch *batch, struct store_call *call);
/* Moves up to LIMIT_BATCH_CALLS waiting calls, in order, onto calls. */
void store_batch_take(struct store_batch *batch, struct list *calls);
/* They go first again, after after_s; what is added meanwhile joins them. */
void store_batch_put_back(struct store_batch *batch, struct list *calls, double after_s);
/* The next run is put off for after_s, or until so many calls have been added. */
void store_batch_gather(struct store_batch *batch, double after_s, unsigned enough);
/* From inside run: it is not run again before store_batch_complete(); what is added meanwhile gathers. */
void store_batch_hold(struct store_batch *batch);
/* Runs all completions.  The batch may be gone when it returns. */
void store_batch_complete(struct store_batch *batch, struct list *calls);

#endif
