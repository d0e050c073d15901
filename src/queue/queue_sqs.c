/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs.c - the SQS adapter: puts its parts together (queue_sqs.h lists them) and takes over
 * what other processes held. */
#include "queue/queue_sqs.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static struct queue_sqs *sqs_of(const struct queue *queue)
{
	return container_of(queue, struct queue_sqs, face);
}

static struct sqs_message *message_of(struct queue_message *message)
{
	return container_of(message, struct sqs_message, face);
}

struct aws_call *sqs_call(struct queue_sqs *queue, const char *action, struct sqs_input input,
	struct sqs_patience patience, aws_reply_fn *done, void *arg)
{
	struct aws_request request = {
		.service = AWS_SQS, .action = action, .region = queue->address.region,
		.endpoint = queue->address.origin, .text = input.text, .reads = input.reads,
		.timeout_ms = patience.timeout_ms, .long_poll = patience.long_poll, .tries = patience.tries,
	};
	struct aws_call *call = aws_call(queue->face.env.aws, &request, done, arg);

	free(input.text);
	return call;
}

void sqs_arm(struct queue_sqs *queue, ev_timer *timer, double delay_s)
{
	struct ev_loop *loop = queue->face.env.loop;

	ev_timer_stop(loop, timer);
	ev_timer_set(timer, delay_s > 0 ? delay_s : 0., 0.);
	ev_timer_start(loop, timer);
}

/* -- taking over ------------------------------------------------------------------------------------ */

/* What a stored time is on the monotonic clock. */
static double monotonic_of(int64_t steady_ms)
{
	return clock_monotonic_s() + (double)(steady_ms - clock_steady_ms()) / 1000;
}

/* The clock may have been set since another process wrote these times: before a boot, or on another host.
 * Set back, it makes a time lie in the future, and a lease longer than any.  Set ahead, it makes a lease that
 * runs look over: then SQS is asked to renew it all the same, and only what SQS says ends a hold
 * (queue_sqs_lease.c). */
static void set_received(struct sqs_message *message, int64_t received_ms)
{
	int64_t now_ms = clock_steady_ms();

	if (received_ms <= 0 || received_ms > now_ms)
		received_ms = now_ms;
	sqs_message_received(message, monotonic_of(received_ms), received_ms, true);
}

static void set_hidden(struct sqs_message *message, int64_t hidden_until_ms)
{
	int64_t latest_ms = clock_steady_ms() + (int64_t)sqs_of(message->face.queue)->visibility_s * 1000;

	if (hidden_until_ms > latest_ms)
		hidden_until_ms = latest_ms;
	message->face.hidden_until_ms = hidden_until_ms;
	message->hidden_until_s = monotonic_of(hidden_until_ms);
}

static struct queue_message *sqs_resume(struct queue *face, const struct job_message_ref *ref)
{
	struct queue_sqs *queue = sqs_of(face);
	struct sqs_message *message = sqs_message_create(queue, &(struct sqs_received){
		.id = ref->id, .receipt = ref->receipt, .group = ref->group, .deliveries = ref->deliveries,
	});

	set_received(message, ref->received_ms);
	set_hidden(message, ref->hidden_until_ms);
	sqs_lease_schedule(&queue->lease, message);
	return &message->face;
}

/* A message that is being settled, or whose renewal is under way, is dealt with when that is
 * answered: the handles differ then. */
static void take_handle(struct sqs_message *message, const char *receipt)
{
	char *old = (char *)message->face.receipt;

	message->face.receipt = xstrdup(receipt);
	free(old);
	if (message->phase != SQS_SETTLING && message->batch == NULL)
		sqs_lease_schedule(&sqs_of(message->face.queue)->lease, message);
}

static void sqs_supersede(struct queue_message *held, struct queue_message *newer)
{
	struct sqs_message *message = message_of(held);
	struct sqs_message *from = message_of(newer);

	sqs_message_received(message, from->received_s, newer->received_ms, from->guessed);
	message->hidden_until_s = from->hidden_until_s;
	held->hidden_until_ms = newer->hidden_until_ms;
	held->deliveries = newer->deliveries;
	take_handle(message, newer->receipt);
	sqs_message_destroy(from);
}

static void sqs_update(struct queue_message *held, const char *receipt, int64_t hidden_until_ms)
{
	struct sqs_message *message = message_of(held);

	/* A new handle is a new receive, and the twelve hours begin again. */
	if (strcmp(held->receipt, receipt) != 0)
		set_received(message, clock_steady_ms());
	set_hidden(message, hidden_until_ms);
	take_handle(message, receipt);
}

static void sqs_drop_body(struct queue_message *face)
{
	free((char *)face->body);
	face->body = NULL;
}

/* -- ends ------------------------------------------------------------------------------------------- */

static void sqs_end(struct queue_message *face, enum queue_verdict verdict, queue_done_fn *done, void *arg)
{
	sqs_settle(message_of(face), verdict, done, arg);
}

static void sqs_give_back(struct queue *face, struct queue_message **messages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sqs_settle(message_of(messages[i]), QUEUE_RETURN, NULL, NULL);
	(void)face;
}

static void sqs_forget(struct queue_message *face)
{
	struct sqs_message *message = message_of(face);

	if (message->phase == SQS_SETTLING)
		panic("queue %s: message %s is forgotten while it is settled", queue_name(face->queue), face->id);
	sqs_message_destroy(message);
}

static void sqs_stop(struct queue *face, queue_done_fn *done, void *arg)
{
	struct queue_sqs *queue = sqs_of(face);

	sqs_lane_flush(&queue->deletes);
	sqs_lane_flush(&queue->releases);
	sqs_poller_stop(&queue->poller, done, arg);
}

static void sqs_destroy(struct queue *face)
{
	struct queue_sqs *queue = sqs_of(face);

	if (queue->gone != NULL)
		*queue->gone = true;
	sqs_poller_finish(&queue->poller);
	sqs_lease_finish(&queue->lease);
	sqs_lane_finish(&queue->deletes);
	sqs_lane_finish(&queue->releases);
	sqs_errands_cancel(queue);
	while (!list_empty(&queue->batches))
		sqs_batch_destroy(list_first(&queue->batches, struct sqs_batch, link));
	while (!list_empty(&queue->messages))
		sqs_message_destroy(list_first(&queue->messages, struct sqs_message, all));
	table_finish(&queue->groups);
	sqs_address_finish(&queue->address);
	free(queue);
}

/* -- the table -------------------------------------------------------------------------------------- */

static bool sqs_ordered(const struct queue *face)
{
	return sqs_of(face)->address.fifo;
}

static void sqs_start(struct queue *face)
{
	sqs_poller_start(&sqs_of(face)->poller);
}

static void sqs_set_room(struct queue *face, unsigned room)
{
	sqs_poller_set_room(&sqs_of(face)->poller, room);
}

static unsigned whole_seconds(int64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

static struct queue *sqs_create(const struct conf_queue *conf, const struct queue_env *env,
	const struct queue_events *events, struct error *err)
{
	struct queue_sqs *queue = xnew(struct queue_sqs);

	if (!sqs_address_parse(&queue->address, conf->url, err)) {
		free(queue);
		return NULL;
	}
	queue_init(&queue->face, &queue_sqs_impl, conf, env, events);
	queue->visibility_s = whole_seconds(conf->visibility_timeout_ms);
	queue->wait_s = whole_seconds(conf->wait_time_ms);
	list_init(&queue->messages);
	list_init(&queue->batches);
	list_init(&queue->errands);
	list_init(&queue->lost);
	list_init(&queue->finished);
	list_init(&queue->expiring);
	sqs_poller_init(&queue->poller, queue);
	sqs_lease_init(&queue->lease, queue);
	sqs_lane_init(&queue->deletes, queue, SQS_DELETE, (double)conf->delete_linger_ms / 1000);
	sqs_lane_init(&queue->releases, queue, SQS_RELEASE, 0);
	return &queue->face;
}

const struct queue_impl queue_sqs_impl = {
	.create = sqs_create,
	.destroy = sqs_destroy,
	.ordered = sqs_ordered,
	.probe = sqs_probe,
	.start = sqs_start,
	.set_room = sqs_set_room,
	.stop = sqs_stop,
	.resume = sqs_resume,
	.supersede = sqs_supersede,
	.update = sqs_update,
	.drop_body = sqs_drop_body,
	.settle = sqs_end,
	.give_back = sqs_give_back,
	.forget = sqs_forget,
	.send = sqs_send,
	.peek = sqs_peek,
	.depth = sqs_depth,
	.redrive = sqs_redrive,
};
