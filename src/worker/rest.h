/* SPDX-License-Identifier: Apache-2.0 */
/* rest.h - what a worker lets go of while it has nothing to do.
 *
 * Work leaves memory behind: caches, prepared statements, holes in the heap.  All of it makes the next job
 * quicker, and none of it is worth keeping through a night.  The ticks of an idle worker leave some of it, too, so
 * each of them ends with a rest; as the tick comes anyhow, that wakes nobody up. */
#ifndef WORKER_REST_H
#define WORKER_REST_H

#include "worker/worker.h"

/* At the beginning of each tick: finds out whether the worker was idle since the last one. */
void rest_tick(struct worker *worker);
/* When the store has answered what the tick asked: rests if the worker is idle still. */
void rest_begin(struct worker *worker);

#endif
