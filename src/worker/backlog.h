/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.h - how much waits in the queues, where somebody wants to be told.  Private to src/worker. */
#ifndef WORKER_BACKLOG_H
#define WORKER_BACKLOG_H

#include <stdint.h>

#include "worker/worker.h"

enum backlog_level { BACKLOG_USUAL, BACKLOG_WARN, BACKLOG_ALARM };

/* The level of a depth after one of level before: a threshold that was passed counts until the depth has fallen
 * a tenth below it (and at least one message), so that one that wavers is told once.  A threshold of 0 is none.  Pure. */
enum backlog_level backlog_level_of(enum backlog_level before, int64_t depth, unsigned warn_depth, unsigned alarm_depth);
/* How many workers a depth is worth; pure. */
unsigned backlog_workers(int64_t depth, unsigned depth_per_worker, unsigned min, unsigned max);

/* Looks as often as configured, if anything is to be looked for and this worker is the one of its generation who does. */
void backlog_start(struct worker *worker);
/* No look after this; safe without a start. */
void backlog_stop(struct worker *worker);
/* Frees it, once the queues are gone. */
void backlog_finish(struct worker *worker);

#endif
