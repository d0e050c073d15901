/* SPDX-License-Identifier: Apache-2.0 */
/* counters.h - what this worker counts for GET /metrics, in the page it shares with the master (figures.h).
 *
 * To count is to add to a number; nothing is done when there is nothing to count.  What the ports count
 * themselves is copied whenever the master is told of us.  Private to src/worker. */
#ifndef WORKER_COUNTERS_H
#define WORKER_COUNTERS_H

#include "worker/holding.h"

/* Maps the page; without it nothing is counted. */
void counters_init(struct worker *worker);
void counters_finish(struct worker *worker);
/* Queues, deployers and AWS are there: makes their rows, so that they are known before they count anything. */
void counters_begin(struct worker *worker);
/* Copies what queues and store have counted. */
void counters_copy(struct worker *worker);

/* A job is free to launch: its launch is timed from here. */
void counters_free(struct holding *holding);
void counters_launched(struct holding *holding);
/* What ran has ended. */
void counters_run_ended(struct holding *holding);
/* Another attempt follows. */
void counters_tried_again(struct holding *holding, bool infrastructure);
/* Its end is known, or was to the worker before us: its settlement is timed from the first of these. */
void counters_end_seen(struct holding *holding);
/* The store has its end. */
void counters_ended(struct holding *holding, enum job_state state);
/* The queue has deleted its message. */
void counters_settled(struct holding *holding);

#endif
