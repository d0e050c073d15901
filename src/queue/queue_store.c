/* SPDX-License-Identifier: Apache-2.0 */
/* queue_store.c - the store's own queue: what is submitted to it is a job in the store already.
 *
 * Nothing is received: workers take its jobs up as they take up every job that nobody owns.  So this
 * adapter only answers: it is there as long as the store is, it holds no message, and it is empty. */
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "queue/queue_impl.h"

struct queue_store {
	struct queue face;
	struct list answers;            /* struct answer, not given yet */
};

/* A completion that is owed; never from inside the call that asked for it. */
struct answer {
	struct list link;
	struct queue_store *queue;
	ev_timer timer;
	void (*give)(struct answer *answer);
	union {
		queue_done_fn *done;
		queue_sent_fn *sent;
		queue_peek_fn *peeked;
		queue_depth_fn *depth;
		queue_redrive_fn *redriven;
	};
	void *arg;
};

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct answer *answer = container_of(timer, struct answer, timer);

	(void)loop, (void)revents;
	list_remove(&answer->link);
	answer->give(answer);
	free(answer);
}

static struct answer *owe(struct queue *queue, void (*give)(struct answer *answer), void *arg)
{
	struct queue_store *store = container_of(queue, struct queue_store, face);
	struct answer *answer = xnew(struct answer);

	answer->queue = store;
	answer->give = give;
	answer->arg = arg;
	list_append(&store->answers, &answer->link);
	ev_timer_init(&answer->timer, on_turn, 0., 0.);
	ev_timer_start(queue->env.loop, &answer->timer);
	return answer;
}

static struct queue *create(const struct conf_queue *conf, const struct queue_env *env,
	const struct queue_events *events, struct error *err)
{
	struct queue_store *store = xnew(struct queue_store);

	(void)err;
	list_init(&store->answers);
	queue_init(&store->face, &queue_store_impl, conf, env, events);
	return &store->face;
}

static void destroy(struct queue *queue)
{
	struct queue_store *store = container_of(queue, struct queue_store, face);

	while (!list_empty(&store->answers)) {
		struct answer *answer = list_first(&store->answers, struct answer, link);

		ev_timer_stop(queue->env.loop, &answer->timer);
		list_remove(&answer->link);
		free(answer);
	}
	free(store);
}

static bool ordered(const struct queue *queue)
{
	(void)queue;
	return false;
}

static void give_done(struct answer *answer)
{
	answer->done(answer->arg, NULL);
}

static void probe(struct queue *queue, queue_done_fn *done, void *arg)
{
	owe(queue, give_done, arg)->done = done;
}

static void start(struct queue *queue)
{
	(void)queue;
}

static void set_room(struct queue *queue, unsigned room)
{
	(void)queue, (void)room;
}

static void stop(struct queue *queue, queue_done_fn *done, void *arg)
{
	owe(queue, give_done, arg)->done = done;
}

/* No job of this queue has a message. */
static struct queue_message *resume(struct queue *queue, const struct job_message_ref *ref)
{
	(void)queue, (void)ref;
	return NULL;
}

static void refuse_send(struct answer *answer)
{
	struct error err;

	error_set(&err, ERROR_INVALID, "this is the store's own queue: use \"gantryctl submit\" or POST /v1/jobs");
	answer->sent(answer->arg, 0, &err);
}

static void send_by_hand(struct queue *queue, const struct queue_outgoing *messages, size_t count, queue_sent_fn *done,
	void *arg)
{
	(void)messages, (void)count;
	owe(queue, refuse_send, arg)->sent = done;
}

static void refuse_peek(struct answer *answer)
{
	struct error err;

	error_set(&err, ERROR_INVALID, "this is the store's own queue: \"gantryctl jobs\" shows what is in it");
	answer->peeked(answer->arg, NULL, 0, &err);
}

static void peek(struct queue *queue, unsigned max, queue_peek_fn *done, void *arg)
{
	(void)max;
	owe(queue, refuse_peek, arg)->peeked = done;
}

static void give_depth(struct answer *answer)
{
	struct queue_depth depth = { .visible = -1, .hidden = -1, .delayed = -1, .oldest_age_ms = -1 };

	answer->depth(answer->arg, &depth, NULL);
}

static void ask_depth(struct queue *queue, queue_depth_fn *done, void *arg)
{
	owe(queue, give_depth, arg)->depth = done;
}

static void refuse_redrive(struct answer *answer)
{
	struct error err;

	error_set(&err, ERROR_INVALID, "the store's own queue has no dead letters: \"gantryctl retry\" runs a failed job again");
	answer->redriven(answer->arg, 0, &err);
}

static void redrive(struct queue *queue, queue_progress_fn *progress, queue_redrive_fn *done, void *arg)
{
	(void)progress;
	owe(queue, refuse_redrive, arg)->redriven = done;
}

/* No message of it exists, so calls about messages have no entry. */
const struct queue_impl queue_store_impl = {
	.create = create,
	.destroy = destroy,
	.ordered = ordered,
	.probe = probe,
	.start = start,
	.set_room = set_room,
	.stop = stop,
	.resume = resume,
	.send = send_by_hand,
	.peek = peek,
	.depth = ask_depth,
	.redrive = redrive,
};
