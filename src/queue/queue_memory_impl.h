/* SPDX-License-Identifier: Apache-2.0 */
/* queue_memory_impl.h - what queue_memory.c and queue_memory_hands.c share: an entry is what the queue
 * keeps, a held message is what a receiver got of it. */
#ifndef QUEUE_QUEUE_MEMORY_IMPL_H
#define QUEUE_QUEUE_MEMORY_IMPL_H

#include <ev.h>

#include "base/list.h"
#include "queue/queue_impl.h"
#include "queue/queue_memory.h"

struct memory_entry {
	struct list link;               /* in queue_memory.entries, .buried, or .deleted: ids are lent */
	char *id, *body, *group;
	unsigned deliveries;
	int64_t sent_ms;                /* wall clock */
	bool hidden;
	struct memory_message *held;    /* by the newest delivery; NULL when it was forgotten */
};

struct memory_message {
	struct queue_message face;
	struct list link;               /* in queue_memory.held, .settling, .lost or .expiring */
	struct memory_entry *entry;     /* NULL when the entry has gone, or for a resumed stranger */
	char *id, *receipt, *group, *body;
	enum queue_verdict verdict;
	queue_done_fn *done;
	void *arg;
	struct error error;
};

struct memory_answer {                  /* one of the functions is set */
	struct list link;
	queue_done_fn *done;
	queue_sent_fn *sent;
	queue_peek_fn *peeked;
	queue_depth_fn *measured;
	queue_redrive_fn *redriven;
	size_t count;                   /* sent, or to be seen */
	void *arg;
	struct error error;
};

struct queue_memory {
	struct queue face;
	ev_timer turn;
	struct list entries, buried, deleted, held, settling, lost, expiring, answers;
	bool started, stopped, ordered, has_dead_letters;
	bool *gone;                     /* set to true by destroy while the turn runs */
	unsigned room, next_id, next_receipt;
	enum error_kind settle_fails, probe_fails;
};

static inline struct queue_memory *memory_of(const struct queue *queue)
{
	return container_of(queue, struct queue_memory, face);
}

/* What there is to do is done in the next turn of the loop. */
void queue_memory_wake(struct queue_memory *queue);
/* NULL: it is not in the queue. */
struct memory_entry *queue_memory_find(const struct queue_memory *queue, const char *id);

#endif
