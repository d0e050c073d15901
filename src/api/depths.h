/* SPDX-License-Identifier: Apache-2.0 */
/* depths.h - how much waits in each queue, asked for by this process alone and only while somebody wants to
 * know: at most one call per queue in DEPTHS_FRESH_S, however many ask and however many workers there are. */
#ifndef API_DEPTHS_H
#define API_DEPTHS_H

#include <stddef.h>

#include "queue/queue.h"

struct api;
struct depths;

enum {
	DEPTHS_FRESH_S = 15,            /* an answer is good for this long */
	DEPTHS_WAIT_S = 2,              /* who asks waits this long for new ones, then has the old */
};

/* queues: as many as conf has, in its order; they are destroyed before it is, as one may answer while it is. */
struct depths *depths_create(struct api *api, struct queue *const *queues);
/* Who waits is told. */
void depths_destroy(struct depths *depths);

/* They are asked for, if it is time; nobody waits. */
void depths_want(struct depths *depths);
typedef void depths_fn(void *arg);
/* done runs once, later: what can be had is there. */
void depths_ask(struct depths *depths, depths_fn *done, void *arg);
/* Of the queue at that place in the configuration; NULL: not known, or from too long ago to be told. */
const struct queue_depth *depths_at(const struct depths *depths, size_t queue);

#endif
