/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_settle.c - the end of a hold: deletes, and releases (visibility 0).
 *
 * Two lanes, one for each.  A delete lingers until ten are together or its time is over; a release
 * waits only for the others of the same turn.  Before a message enters a lane its renewal, if one
 * is under way, has been answered: a renewal that arrived after the delete would fail, and one that
 * arrived after the release would hide the message again.
 *
 * An entry that was not answered for is sent again until it is.  Deleting twice with one handle is
 * harmless.  A release that can't be made is over when the lease would have ended anyway. */
#include "base/clock.h"
#include "queue/queue_sqs.h"

static const double same_turn_s = 0;
static const double longest_wait_part = 8;      /* of the visibility timeout */

struct sqs_lane *sqs_lane_of(struct sqs_message *message)
{
	struct queue_sqs *queue = container_of(message->face.queue, struct queue_sqs, face);

	return message->verdict == QUEUE_DONE ? &queue->deletes : &queue->releases;
}

/* How long the message stays hidden after its release.  A dead letter is shown again at once, so
 * that its receives reach the redrive policy's number soon; if it still comes after many receives,
 * there seems to be no such policy, and only the lease keeps us from doing nothing else. */
static unsigned release_s(const struct sqs_message *message)
{
	struct queue_sqs *queue = container_of(message->face.queue, struct queue_sqs, face);

	return message->verdict == QUEUE_DEAD && message->face.deliveries > SQS_EAGER_RETURNS ? queue->visibility_s : 0;
}

static void requeue(struct sqs_lane *lane, struct sqs_message *message, struct list *after)
{
	list_remove(&message->link);
	list_insert_between(&message->link, after, after->next);
	lane->count++;
}

static void take_answer(struct sqs_lane *lane, const struct sqs_batch *batch, size_t i,
	const struct sqs_answer *answer, struct list **requeued)
{
	struct sqs_message *message = batch->messages[i];
	bool again = answer->outcome == SQS_AGAIN;

	if (lane->action == SQS_RELEASE && message->hidden_until_s <= clock_monotonic_s())
		again = false;
	/* On a standard queue a delete with an old handle succeeds without deleting. */
	if (!sqs_batch_is_current(batch, i))
		again = true;
	if (again) {
		requeue(lane, message, *requeued);
		*requeued = &message->link;
	} else
		sqs_message_finish(message, answer->outcome != SQS_DONE ? &answer->error : NULL);
}

static void run(struct sqs_lane *lane, bool all);

static void on_answer(struct sqs_batch *batch, const struct sqs_answer *answers, const struct error *whole)
{
	struct sqs_lane *lane = batch->action == SQS_DELETE ? &batch->queue->deletes : &batch->queue->releases;
	struct list *requeued = &lane->waiting;
	double wait_s, longest_s = lane->queue->visibility_s / longest_wait_part;

	lane->calls--;
	wait_s = sqs_batch_note(batch, &lane->trouble, answers, whole);
	/* The sooner it is sent again, the more likely is the message still hidden. */
	lane->not_before_s = clock_monotonic_s() + (wait_s < longest_s ? wait_s : longest_s);
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->messages[i] != NULL)
			take_answer(lane, batch, i, &answers[i], &requeued);
	}
	run(lane, requeued != &lane->waiting);
	sqs_poller_poke(&lane->queue->poller);
}

static void send(struct sqs_lane *lane)
{
	struct sqs_message *messages[SQS_BATCH];
	unsigned visibility_s[SQS_BATCH];
	size_t count = 0;

	while (count < SQS_BATCH && lane->count > 0) {
		struct sqs_message *message = list_first(&lane->waiting, struct sqs_message, link);

		if (message->alone && count > 0)
			break;
		list_remove(&message->link);
		lane->count--;
		visibility_s[count] = release_s(message);
		messages[count++] = message;
		if (message->alone)
			break;
	}
	lane->calls++;
	sqs_batch_send(lane->queue, lane->action, messages, visibility_s, count, (struct sqs_patience){ 0 }, on_answer);
}

/* Sends full batches, and with all the incomplete one too. */
static void run(struct sqs_lane *lane, bool all)
{
	double wait_s = lane->not_before_s - clock_monotonic_s();

	if (lane->count > 0 && wait_s > 0.001) {
		sqs_arm(lane->queue, &lane->timer, wait_s);
		return;
	}
	while (lane->calls < LIMIT_SQS_CALLS && lane->count >= (all ? 1 : SQS_BATCH))
		send(lane);
	if (lane->count == 0)
		ev_timer_stop(lane->queue->face.env.loop, &lane->timer);
	else if (!ev_is_active(&lane->timer) && lane->calls < LIMIT_SQS_CALLS)
		sqs_arm(lane->queue, &lane->timer, lane->linger_s);
}

void sqs_lane_add(struct sqs_lane *lane, struct sqs_message *message)
{
	list_remove(&message->link);
	list_append(&lane->waiting, &message->link);
	lane->count++;
	run(lane, false);
}

void sqs_lane_flush(struct sqs_lane *lane)
{
	lane->linger_s = same_turn_s;
	if (lane->count > 0)
		run(lane, true);
}

bool sqs_lane_is_busy(const struct sqs_lane *lane)
{
	return (lane->count > 0 || lane->calls > 0) && lane->trouble.failures == 0;
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sqs_lane *lane = container_of(timer, struct sqs_lane, timer);

	(void)loop;
	(void)revents;
	run(lane, true);
}

void sqs_lane_init(struct sqs_lane *lane, struct queue_sqs *queue, enum sqs_action action, double linger_s)
{
	lane->queue = queue;
	lane->action = action;
	lane->linger_s = action == SQS_RELEASE ? same_turn_s : linger_s;
	lane->trouble.doing = action == SQS_RELEASE ? "releasing messages" : "deleting messages";
	list_init(&lane->waiting);
	ev_timer_init(&lane->timer, on_time, 0., 0.);
}

void sqs_lane_finish(struct sqs_lane *lane)
{
	ev_timer_stop(lane->queue->face.env.loop, &lane->timer);
}

void sqs_settle(struct sqs_message *message, enum queue_verdict verdict, queue_done_fn *done, void *arg)
{
	if (message->phase == SQS_SETTLING)
		panic("queue %s: message %s is settled twice", queue_name(message->face.queue), message->face.id);
	message->phase = SQS_SETTLING;
	message->verdict = verdict;
	message->done = done;
	message->done_arg = arg;
	message->alone = false;
	/* Off the lease list, so no renewal begins from now on; one under way is awaited, and its
	 * answer brings the message into its lane. */
	list_remove(&message->link);
	if (message->batch == NULL)
		sqs_lane_add(sqs_lane_of(message), message);
}
