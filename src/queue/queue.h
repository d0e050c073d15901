/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - where jobs come from.
 *
 * A message is ours from receive until we settle it, once.  While we hold it the queue keeps it
 * hidden from the other workers: the adapter renews its lease ahead of time, in batches, without
 * being asked.  A message outlives the process that received it: what queue_message_ref() says is
 * enough for another worker to queue_resume() holding it.
 *
 * Callers include this; adapters fill the table in queue_impl.h.  queue_memory.c is the smallest
 * complete adapter. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"
#include "job/job.h"

struct aws;
struct queue;

/* A held message.  Adapters embed it; all texts are the adapter's and live until it is settled or
 * forgotten. */
struct queue_message {
	struct queue *queue;
	const char *id;                 /* the queue's own id */
	const char *receipt;            /* the newest handle; changes when a redelivery brings a newer one */
	const char *group;              /* FIFO group or NULL */
	const char *body;               /* NULL after queue_message_drop_body() and for resumed ones */
	size_t body_bytes;
	unsigned deliveries;
	int64_t received_ms;            /* steady clock */
	int64_t hidden_until_ms;        /* steady clock */
	void *arg;                      /* the holder's own */
};

enum queue_verdict {
	QUEUE_DONE,                     /* delete it */
	QUEUE_RETURN,                   /* show it again now; the later ones of its group go with it by queue_return() */
	QUEUE_DEAD,                     /* not ours to delete: let it become visible and count towards the redrive policy */
};

struct queue_events {
	/* A receive brought messages, in the queue's order; ours now.  Each is settled, or forgotten. */
	void (*received)(void *arg, struct queue_message **messages, size_t count);
	/* The lease is gone and cannot be had back: somebody else may hold it.  The message is still
	 * ours to settle (which may fail) or to forget. */
	void (*lost)(void *arg, struct queue_message *message, const struct error *why);
	/* The queue will end our hold whatever we do (SQS: 12 hours after the receive), a while from now: a holder
	 * whose own record is enough settles the message now and goes on without it.  Told once; otherwise the
	 * message is lost in the end.  May be NULL. */
	void (*expiring)(void *arg, struct queue_message *message);
	/* A lease was renewed: hidden_until_ms changed.  May be NULL. */
	void (*renewed)(void *arg, struct queue_message **messages, size_t count);
	void *arg;
};

struct queue_env {
	struct ev_loop *loop;
	const struct log *log;
	struct aws *aws;                /* shared by all queues of a worker; NULL for adapters that need none */
};

struct queue_figures {
	unsigned held;                  /* messages, received or resumed */
	unsigned receiving;             /* receives under way */
	uint64_t received, settled, empty_receives, failures, lost;
	double last_receive_s;          /* monotonic time when a receive last completed, also an empty one; 0: never */
	bool degraded;                  /* the last call failed; error below says how */
	struct error error;
};

typedef void queue_done_fn(void *arg, const struct error *err);

/* NULL with ERROR_INVALID when the configuration's url is none of its type. */
struct queue *queue_create(const struct conf_queue *conf, const struct queue_env *env,
	const struct queue_events *events, struct error *err);
/* Ends receives under way (what they would bring shows again later) and forgets all messages; settles
 * that are not answered yet never are: queue_stop() first. */
void queue_destroy(struct queue *queue);
const char *queue_name(const struct queue *queue);
/* Whether messages have groups that must run in order. */
bool queue_ordered(const struct queue *queue);

/* Asks whether the queue answers (GetQueueAttributes, PING), never by a receive.  ERROR_REFUSED and
 * ERROR_INVALID: there is no such queue or we may not use it; anything else: away for now. */
void queue_probe(struct queue *queue, queue_done_fn *done, void *arg);
/* Begins to receive, up to room messages at once in our hands. */
void queue_start(struct queue *queue);
/* How many more messages the holder can take now; receives are sized and started by it.  0 pauses. */
void queue_set_room(struct queue *queue, unsigned room);
/* Starts no new receive; those under way end by themselves and still bring messages.  done runs
 * when none is left and what was settled is answered for, as far as the queue answers at all. */
void queue_stop(struct queue *queue, queue_done_fn *done, void *arg);

/* Takes over a message that another process held, or we ourselves until we forgot it. */
struct queue_message *queue_resume(struct queue *queue, const struct job_message_ref *ref);
/* The same message came again with a newer receipt: held goes on with it; newer is freed. */
void queue_supersede(struct queue_message *held, struct queue_message *newer);
/* Another worker's receive brought a newer receipt, which the store told us. */
void queue_update(struct queue_message *held, const char *receipt, int64_t hidden_until_ms);
/* Frees the body once it is stored. */
void queue_message_drop_body(struct queue_message *message);

/* Ends our hold.  done runs when the queue has answered for this very message (each entry of a batch
 * is checked), with ERROR_LOST when the handle is dead.  The message is freed after done. */
void queue_settle(struct queue_message *message, enum queue_verdict verdict, queue_done_fn *done, void *arg);
/* Gives back many at once, in one call as far as they fit, in order: the tail of a FIFO group. */
void queue_return(struct queue_message **messages, size_t count);
/* Handed over through the store: stops renewing and frees it, without a call. */
void queue_forget(struct queue_message *message);

void queue_figures(const struct queue *queue, struct queue_figures *figures);

/* -- sending and reading by hand (gantryctl) ------------------------------------------------------ */

struct queue_outgoing {
	const char *body;
	const char *group;              /* FIFO; else NULL */
	const char *dedup;              /* FIFO deduplication id; NULL: content based */
};
/* Sends up to 10; failed entries are retried; err names the first that could not be sent. */
typedef void queue_sent_fn(void *arg, size_t sent, const struct error *err);
void queue_send(struct queue *queue, const struct queue_outgoing *messages, size_t count, queue_sent_fn *done, void *arg);


/* A look at messages without taking them away for long: up to max, each hidden for a moment and shown again
 * at once; its receive count grows, which the caller should say.  Texts are lent.  On FIFO
 * queues a look holds up the groups it touches for that moment, and shows of each only what one receive
 * brings.  With an error, messages are what was seen before it. */
struct queue_peeked {
	const char *id, *group, *body;
	size_t body_bytes;
	unsigned deliveries;
	int64_t sent_ms;                /* wall clock of the queue; 0: unknown */
};
typedef void queue_peek_fn(void *arg, const struct queue_peeked *messages, size_t count, const struct error *err);
void queue_peek(struct queue *queue, unsigned max, queue_peek_fn *done, void *arg);

/* How much waits in the queue, as far as it says. */
struct queue_depth {
	int64_t visible, hidden, delayed;       /* -1: unknown */
	int64_t oldest_age_ms;                  /* -1: unknown */
	char dead_letter[512];                  /* where its redrive policy sends messages: an ARN or ""  */
	unsigned max_receives;                  /* of the redrive policy; 0: none */
};
typedef void queue_depth_fn(void *arg, const struct queue_depth *depth, const struct error *err);
void queue_depth(struct queue *queue, queue_depth_fn *done, void *arg);

/* Moves what the dead-letter queue of queue holds back into it (SQS: StartMessageMoveTask, watched by
 * ListMessageMoveTasks until it ends).  progress (may be NULL) runs with each look that finds it under way;
 * moved is the number so far, total -1 when it is not known.  A move that somebody else has started is
 * watched as well.  ERROR_INVALID: it has no dead-letter queue. */
typedef void queue_progress_fn(void *arg, uint64_t moved, int64_t total);
typedef void queue_redrive_fn(void *arg, uint64_t moved, const struct error *err);
void queue_redrive(struct queue *queue, queue_progress_fn *progress, queue_redrive_fn *done, void *arg);

#endif
