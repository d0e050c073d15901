/* SPDX-License-Identifier: Apache-2.0 */
/* queue_redis_settle.c - the end of a hold: one script for all that was settled in a turn.
 *
 * A script that was not answered for is sent again until it is.  What it had done before is not there any more
 * then, which is as good. */
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_redis.h"

static const char *const verdicts[] = { [QUEUE_DONE] = "done", [QUEUE_RETURN] = "return", [QUEUE_DEAD] = "dead" };

static void run(struct redis_settler *settler);

static struct queue_redis *queue_of(struct redis_settler *settler)
{
	return container_of(settler, struct queue_redis, settler);
}

static void finish(struct redis_settler *settler, struct redis_message *message, bool was_held)
{
	if (!was_held && !message->unsure)
		error_set(&message->error, ERROR_LOST, "message %s is not held any more", message->id);
	list_remove(&message->link);
	list_append(&settler->finished, &message->link);
}

static void tell_finished(struct redis_settler *settler)
{
	struct queue_redis *queue = queue_of(settler);
	struct redis_message *message;
	bool gone = false;

	queue->gone = &gone;
	while (!gone && (message = list_first(&settler->finished, struct redis_message, link)) != NULL) {
		queue->face.figures.settled++;
		redis_message_detach(message);
		if (message->done != NULL)
			message->done(message->done_arg, message->error.kind != ERROR_NONE ? &message->error : NULL);
		redis_message_dispose(message);
	}
	if (gone)
		return;
	queue->gone = NULL;
	redis_taker_poke(&queue->taker);
}

/* No answer, or an error of the script: what it had done before stays done. */
static bool may_have_begun(const struct error *err)
{
	return err->kind == ERROR_AMBIGUOUS || err->kind == ERROR_INVALID;
}

/* In their old order, in front of those that came meanwhile. */
static void again(struct redis_settler *settler, const struct error *err)
{
	struct redis_message *message;

	list_each(message, &settler->sent, link)
		message->unsure |= may_have_begun(err);
	list_splice(&settler->sent, &settler->waiting);
	list_splice(&settler->waiting, &settler->sent);
	redis_arm(queue_of(settler), &settler->turn, redis_trouble_note(queue_of(settler), &settler->trouble, err));
	redis_taker_poke(&queue_of(settler)->taker);
}

static void on_settled(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct redis_settler *settler = arg;
	struct redis_message *message, *next;
	size_t i = 0;

	settler->calling = false;
	if (err != NULL) {
		again(settler, err);
		return;
	}
	redis_trouble_over(queue_of(settler), &settler->trouble);
	list_each_safe(message, next, &settler->sent, link) {
		bool answered = reply->type == REDIS_REPLY_ARRAY && i < reply->elements &&
			reply->element[i]->type == REDIS_REPLY_INTEGER;

		finish(settler, message, answered && reply->element[i]->integer == 1);
		i++;
	}
	run(settler);
	tell_finished(settler);
}

static void run(struct redis_settler *settler)
{
	const char *argv[2 * REDIS_SETTLE_MAX];
	struct redis_message *message, *next;
	size_t count = 0;

	if (settler->calling || list_empty(&settler->waiting))
		return;
	list_each_safe(message, next, &settler->waiting, link) {
		if (count == 2 * REDIS_SETTLE_MAX)
			break;
		argv[count++] = verdicts[message->verdict];
		argv[count++] = message->id;
		list_remove(&message->link);
		list_append(&settler->sent, &message->link);
	}
	settler->calling = true;
	redis_eval(queue_of(settler), queue_of(settler)->kind->settle, count, argv, NULL, on_settled, settler);
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	run(container_of(timer, struct redis_settler, turn));
}

void redis_settler_add(struct redis_settler *settler, struct redis_message *message)
{
	list_append(&settler->waiting, &message->link);
	if (!settler->calling && !ev_is_active(&settler->turn))
		redis_arm(queue_of(settler), &settler->turn, 0);
}

bool redis_settler_is_busy(const struct redis_settler *settler)
{
	return (settler->calling || !list_empty(&settler->waiting)) && settler->trouble.failures == 0;
}

void redis_settler_init(struct redis_settler *settler)
{
	list_init(&settler->waiting);
	list_init(&settler->sent);
	list_init(&settler->finished);
	ev_init(&settler->turn, on_turn);
	settler->trouble.doing = "settling messages";
}

void redis_settler_finish(struct redis_settler *settler)
{
	ev_timer_stop(queue_of(settler)->face.env.loop, &settler->turn);
}
