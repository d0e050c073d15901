/* SPDX-License-Identifier: Apache-2.0 */
/* queue_memory.h - a queue that lives in this process: the smallest adapter, and the fake of tests.
 *
 * Messages have receipts, deliveries and groups as in SQS; there is no lease to renew and no clock:
 * a message that is held stays hidden until it is settled, returned, or the test lets its lease end. */
#ifndef QUEUE_QUEUE_MEMORY_H
#define QUEUE_QUEUE_MEMORY_H

#include "queue/queue.h"

/* conf->url is not read, except that a name ending in ".fifo" makes an ordered queue. */
struct queue *queue_memory_create(const struct conf_queue *conf, const struct queue_env *env,
	const struct queue_events *events);
/* Puts a message into the queue; a started queue with room delivers it in a later turn of the loop.
 * group may be NULL.  Returns its id, lent until the queue is destroyed. */
const char *queue_memory_put(struct queue *queue, const char *body, const char *group);
/* Shows a held message again as a redelivery, as when its lease had run out: a new receipt, one
 * delivery more.  The holder is not told. */
void queue_memory_redeliver(struct queue *queue, const char *id);
/* Tells the holder that the lease of a held message is gone. */
void queue_memory_lose(struct queue *queue, const char *id);
/* Tells the holder that the hold of a message ends soon. */
void queue_memory_expire(struct queue *queue, const char *id);
/* Moves a visible message to the queue's dead letters, from where a redrive brings it back. */
void queue_memory_bury(struct queue *queue, const char *id);
/* From now on settles end with this error; ERROR_NONE ends that. */
void queue_memory_fail_settles(struct queue *queue, enum error_kind kind);
/* From now on probes answer this; ERROR_NONE ends that. */
void queue_memory_fail_probes(struct queue *queue, enum error_kind kind);
/* Messages that are in the queue, held ones included. */
size_t queue_memory_count(const struct queue *queue);
/* How often the message has been handed out; 0 when it is not in the queue. */
unsigned queue_memory_deliveries(const struct queue *queue, const char *id);

#endif
