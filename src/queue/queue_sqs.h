/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs.h - the parts of the SQS adapter and what they are to each other.
 *
 *      queue_sqs_poller.c      receives: how many at once, and when
 *      queue_sqs_lease.c       keeps what is held hidden
 *      queue_sqs_settle.c      deletes and releases
 *      queue_sqs_batch.c       one batch call, each entry's answer
 *      queue_sqs_message.c     a held message, and telling the holder
 *      queue_sqs_trouble.c     failures in a row: logged once, paced
 *      queue_sqs_errand.c      what concerns no held message: probe, depth
 *      queue_sqs_send.c        sending by hand
 *      queue_sqs_peek.c        a look at messages
 *      queue_sqs_redrive.c     the way back out of the dead-letter queue
 *
 * No part calls the holder in the middle of its work: what there is to tell is put on a list, and
 * sqs_tell() is the last thing that happens in a turn, as the queue may vanish in it. */
#ifndef QUEUE_QUEUE_SQS_H
#define QUEUE_QUEUE_SQS_H

#include <ev.h>

#include "aws/aws.h"
#include "aws/sqs.h"
#include "base/list.h"
#include "base/table.h"
#include "queue/queue_impl.h"

struct sqs_batch;
struct sqs_message;
struct queue_sqs;

enum {
	LIMIT_SQS_POLLS = 16,           /* receives at once */
	LIMIT_SQS_CALLS = 16,           /* batch calls at once, of each kind */
	SQS_EXPIRING_S = 15 * 60,       /* expiring is told this long before the twelve hours end */
	SQS_LAST_WARNING_S = 60,        /* and lost this long */
	SQS_EAGER_RETURNS = 20,         /* deliveries after which a dead letter isn't shown again at once */
};

/* -- calls ---------------------------------------------------------------------------------------- */

/* How patient a call is; zeroes: as aws.h has it. */
struct sqs_patience {
	unsigned tries;
	unsigned timeout_ms;            /* of each */
	bool long_poll;
};
/* A call of this queue's service, region and endpoint; input's text is taken. */
struct aws_call *sqs_call(struct queue_sqs *queue, const char *action, struct sqs_input input,
	struct sqs_patience patience, aws_reply_fn *done, void *arg);

/* -- trouble -------------------------------------------------------------------------------------- */

struct sqs_trouble {
	const char *doing;              /* "receive", for the log */
	unsigned failures;              /* in a row */
	struct error error;             /* the last one */
	double since_s, logged_s;       /* monotonic */
};
/* err NULL: it worked. */
void sqs_trouble_note(struct queue_sqs *queue, struct sqs_trouble *trouble, const struct error *err);
/* How long to wait before the next try; 0 without trouble. */
double sqs_trouble_delay_s(const struct sqs_trouble *trouble);

/* -- messages ------------------------------------------------------------------------------------- */

enum sqs_phase {
	SQS_HELD,                       /* renewed when due */
	SQS_LAST,                       /* its twelve hours end with this lease; lost when due */
	SQS_GONE,                       /* lost; no more renewals */
	SQS_SETTLING,                   /* in a lane, or about to be once its renewal is answered */
};

struct sqs_message {
	struct queue_message face;      /* its texts are ours */
	struct list all;                /* queue_sqs.messages */
	struct list link;               /* sqs_lease.by_due, sqs_lane.waiting, .lost or .finished */
	struct list sibling;            /* sqs_group.messages, in order of arrival */
	struct sqs_group *member;       /* FIFO only */
	enum sqs_phase phase;
	double received_s, hidden_until_s, due_s;       /* monotonic */
	bool guessed;                   /* received_s comes from a stored time, whose clock may have been set since */
	bool warned;                    /* expiring has been told, or is about to be */
	struct list expiring;           /* queue_sqs.expiring */
	struct sqs_batch *batch;        /* the call that is under way for it */
	unsigned slot;                  /* in batch */
	bool alone;                     /* a batch with it was refused as a whole */
	enum queue_verdict verdict;     /* while SQS_SETTLING, as the next two */
	queue_done_fn *done;
	void *done_arg;
	struct error *error;            /* to be told; owned; NULL: none */
};

struct sqs_group {
	struct table_link link;
	char *name;
	struct list messages;           /* sqs_message.sibling */
	double hurried_s;               /* the round of renewals that took them together */
};

/* A copy of what was received, on no list yet. */
struct sqs_message *sqs_message_create(struct queue_sqs *queue, const struct sqs_received *received);
/* Frees it without a word; a call under way for it goes on without it. */
void sqs_message_destroy(struct sqs_message *message);
/* When the lease ends, in both clocks. */
void sqs_message_hidden_for(struct sqs_message *message, double from_s, double hidden_s);
/* Its settle is answered; err NULL: as it was asked for.  Told by sqs_tell(). */
void sqs_message_finish(struct sqs_message *message, const struct error *err);
void sqs_message_lose(struct sqs_message *message, const struct error *why);
/* Its twelve hours end soon. */
void sqs_message_warn(struct sqs_message *message);
/* The twelve hours begin anew: it has been received again. */
void sqs_message_received(struct sqs_message *message, double received_s, int64_t received_ms, bool guessed);
/* Tells the holder what there is, first of all that these were renewed.  The queue may be gone
 * afterwards. */
void sqs_tell(struct queue_sqs *queue, struct queue_message **renewed, size_t count);

/* -- batches -------------------------------------------------------------------------------------- */

enum sqs_action { SQS_RENEW, SQS_DELETE, SQS_RELEASE, SQS_ACTIONS };

/* An answer for each message that is still there; whole is the call's own error or NULL, and is
 * already spread over the answers. */
typedef void sqs_batch_fn(struct sqs_batch *batch, const struct sqs_answer *answers, const struct error *whole);

struct sqs_batch {
	struct list link;               /* queue_sqs.batches */
	struct queue_sqs *queue;
	enum sqs_action action;
	struct aws_call *call;
	double sent_s;
	size_t count;
	struct sqs_message *messages[SQS_BATCH];        /* NULL: forgotten meanwhile */
	char *receipts[SQS_BATCH];      /* as they were sent */
	unsigned visibility_s[SQS_BATCH];
	sqs_batch_fn *done;
};
void sqs_batch_send(struct queue_sqs *queue, enum sqs_action action, struct sqs_message *const *messages,
	const unsigned *visibility_s, size_t count, struct sqs_patience patience, sqs_batch_fn *done);
/* Notes how the call went and returns how long those that have to be sent again should wait. */
double sqs_batch_note(struct sqs_batch *batch, struct sqs_trouble *trouble, const struct sqs_answer *answers,
	const struct error *whole);
/* Whether the handle that the call used is still the newest. */
bool sqs_batch_is_current(const struct sqs_batch *batch, size_t i);
/* Whether a message that is to be settled waits for this batch first. */
bool sqs_batch_is_awaited(const struct sqs_batch *batch);
void sqs_batch_destroy(struct sqs_batch *batch);

/* -- leases --------------------------------------------------------------------------------------- */

struct sqs_lease {
	struct queue_sqs *queue;
	struct list by_due;             /* soonest first */
	ev_timer timer;                 /* one for all messages */
	unsigned calls;
	struct sqs_trouble trouble;
};
void sqs_lease_init(struct sqs_lease *lease, struct queue_sqs *queue);
void sqs_lease_finish(struct sqs_lease *lease);
/* Puts a message where its times say. */
void sqs_lease_schedule(struct sqs_lease *lease, struct sqs_message *message);
/* Renews what is due now; arms the timer for the rest. */
void sqs_lease_run(struct sqs_lease *lease);

/* -- lanes: deletes and releases ------------------------------------------------------------------ */

struct sqs_lane {
	struct queue_sqs *queue;
	enum sqs_action action;
	struct list waiting;            /* sqs_message.link */
	size_t count;
	double linger_s;                /* how long an incomplete batch waits for more */
	double not_before_s;            /* after failures */
	unsigned calls;
	ev_timer timer;
	struct sqs_trouble trouble;
};
void sqs_lane_init(struct sqs_lane *lane, struct queue_sqs *queue, enum sqs_action action, double linger_s);
void sqs_lane_finish(struct sqs_lane *lane);
void sqs_lane_add(struct sqs_lane *lane, struct sqs_message *message);
/* Sends what waits, full or not, and doesn't linger from now on. */
void sqs_lane_flush(struct sqs_lane *lane);
/* Something waits or is under way in it, and it works. */
bool sqs_lane_is_busy(const struct sqs_lane *lane);
/* The lane for a message that is SQS_SETTLING. */
struct sqs_lane *sqs_lane_of(struct sqs_message *message);

/* -- receives ------------------------------------------------------------------------------------- */

struct sqs_poller {
	struct queue_sqs *queue;
	struct list polls;              /* under way */
	unsigned open, open_want;       /* of them: number, and messages asked for */
	unsigned target;                /* how many polls the flow of messages asks for, 1 to LIMIT_SQS_POLLS */
	unsigned room;                  /* messages that the holder can take, open polls not counted */
	unsigned quick_empties;         /* in a row: empty answers that came long before the wait was over */
	unsigned full_in_a_row;         /* full answers since the target was changed */
	bool flowing;                   /* the last receive was full */
	bool started, stopping;
	double not_before_s;            /* after failures and quick empties */
	double thin_since_s;            /* room for less than a full batch since then; 0: not */
	ev_timer pump;
	struct sqs_trouble trouble;
	queue_done_fn *stopped;
	void *stopped_arg;
};
struct sqs_poll {
	struct list link;               /* sqs_poller.polls */
	struct sqs_poller *poller;
	struct aws_call *call;
	unsigned want;
	double started_s;
	ev_timer watchdog;
};

void sqs_poller_init(struct sqs_poller *poller, struct queue_sqs *queue);
void sqs_poller_finish(struct sqs_poller *poller);
void sqs_poller_start(struct sqs_poller *poller);
void sqs_poller_set_room(struct sqs_poller *poller, unsigned room);
void sqs_poller_stop(struct sqs_poller *poller, queue_done_fn *done, void *arg);
/* A lane has got further: a stop may be over. */
void sqs_poller_poke(struct sqs_poller *poller);

/* -- errands: calls that concern no held message --------------------------------------------------- */

struct sqs_errand {
	struct list link;               /* queue_sqs.errands */
	struct queue_sqs *queue;
	struct aws_call *call;          /* under way, or NULL */
	ev_timer timer;                 /* until its next step */
	void (*dispose)(struct sqs_errand *errand);
	void *arg;                      /* of its completion */
};
/* dispose frees what embeds the errand, and nothing of the errand itself. */
void sqs_errand_init(struct sqs_errand *errand, struct queue_sqs *queue, void *arg,
	void (*on_step)(struct ev_loop *, ev_timer *, int), void (*dispose)(struct sqs_errand *));
/* Without its completion, which the caller keeps and calls last. */
void sqs_errand_end(struct sqs_errand *errand);
void sqs_errands_cancel(struct queue_sqs *queue);

/* -- the adapter ---------------------------------------------------------------------------------- */

struct queue_sqs {
	struct queue face;
	struct sqs_address address;
	unsigned visibility_s, wait_s;
	struct list messages;           /* sqs_message.all */
	struct table groups;
	struct list batches, errands;   /* under way */
	struct list lost, finished;     /* sqs_message.link: to be told */
	struct list expiring;           /* sqs_message.expiring: the same */
	struct sqs_poller poller;
	struct sqs_lease lease;
	struct sqs_lane deletes, releases;
	bool *gone;                     /* set to true by destroy while sqs_tell() runs */
};
/* Ends a hold (queue.h, queue_settle). */
void sqs_settle(struct sqs_message *message, enum queue_verdict verdict, queue_done_fn *done, void *arg);
/* (Re)starts a timer that fires once after delay_s, or at once if that is less than nothing. */
void sqs_arm(struct queue_sqs *queue, ev_timer *timer, double delay_s);

/* As in queue_impl.h. */
void sqs_probe(struct queue *face, queue_done_fn *done, void *arg);
void sqs_depth(struct queue *face, queue_depth_fn *done, void *arg);
void sqs_send(struct queue *face, const struct queue_outgoing *messages, size_t count, queue_sent_fn *done, void *arg);
void sqs_peek(struct queue *face, unsigned max, queue_peek_fn *done, void *arg);
void sqs_redrive(struct queue *face, queue_progress_fn *progress, queue_redrive_fn *done, void *arg);

#endif
