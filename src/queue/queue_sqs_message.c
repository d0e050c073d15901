/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_message.c - a held message: its texts, its group, its times, and its end.
 *
 * Times are kept on the monotonic clock, which nobody sets; the steady clock times that the holder
 * stores are made from them. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/queue_sqs.h"

static void join_group(struct queue_sqs *queue, struct sqs_message *message)
{
	struct table_link *link;
	struct sqs_group *group;

	/* Standard queues may carry groups too (fair queues); there they order nothing. */
	if (message->face.group == NULL || !queue->address.fifo)
		return;
	link = table_find(&queue->groups, message->face.group);
	if (link != NULL)
		group = container_of(link, struct sqs_group, link);
	else {
		group = xnew(struct sqs_group);
		group->name = xstrdup(message->face.group);
		list_init(&group->messages);
		table_add(&queue->groups, &group->link, group->name);
	}
	message->member = group;
	list_append(&group->messages, &message->sibling);
}

static void leave_group(struct queue_sqs *queue, struct sqs_message *message)
{
	struct sqs_group *group = message->member;

	if (group == NULL)
		return;
	message->member = NULL;
	list_remove(&message->sibling);
	if (!list_empty(&group->messages))
		return;
	table_remove(&queue->groups, &group->link);
	free(group->name);
	free(group);
}

static struct queue_sqs *owner_of(struct sqs_message *message)
{
	return container_of(message->face.queue, struct queue_sqs, face);
}

struct sqs_message *sqs_message_create(struct queue_sqs *queue, const struct sqs_received *received)
{
	struct sqs_message *message = xnew(struct sqs_message);

	message->face = (struct queue_message){
		.queue = &queue->face, .id = xstrdup(received->id), .receipt = xstrdup(received->receipt),
		.group = xstrdup(received->group), .body_bytes = received->body_bytes, .deliveries = received->deliveries,
		.received_ms = clock_steady_ms(),
	};
	if (received->body != NULL)
		message->face.body = xstrndup(received->body, received->body_bytes);
	message->received_s = clock_monotonic_s();
	list_init(&message->link);
	list_init(&message->sibling);
	list_init(&message->expiring);
	list_append(&queue->messages, &message->all);
	join_group(queue, message);
	queue->face.figures.held++;
	return message;
}

/* Out of all that the queue knows; the memory stays for the one who was told. */
static void detach(struct sqs_message *message)
{
	struct queue_sqs *queue = owner_of(message);

	list_remove(&message->link);
	list_remove(&message->expiring);
	list_remove(&message->all);
	leave_group(queue, message);
	if (message->batch != NULL)
		message->batch->messages[message->slot] = NULL;
	queue->face.figures.held--;
}

static void dispose(struct sqs_message *message)
{
	free((char *)message->face.id);
	free((char *)message->face.receipt);
	free((char *)message->face.group);
	free((char *)message->face.body);
	free(message->error);
	free(message);
}

void sqs_message_destroy(struct sqs_message *message)
{
	detach(message);
	dispose(message);
}

void sqs_message_hidden_for(struct sqs_message *message, double from_s, double hidden_s)
{
	message->hidden_until_s = from_s + hidden_s;
	message->face.hidden_until_ms = clock_steady_ms() + (int64_t)((from_s + hidden_s - clock_monotonic_s()) * 1000);
}

static void set_error(struct sqs_message *message, const struct error *err)
{
	free(message->error);
	message->error = NULL;
	if (err == NULL)
		return;
	message->error = xnew(struct error);
	*message->error = *err;
}

void sqs_message_finish(struct sqs_message *message, const struct error *err)
{
	struct queue_sqs *queue = owner_of(message);

	set_error(message, err);
	list_remove(&message->link);
	list_append(&queue->finished, &message->link);
}

void sqs_message_lose(struct sqs_message *message, const struct error *why)
{
	struct queue_sqs *queue = owner_of(message);

	message->phase = SQS_GONE;
	set_error(message, why);
	message->error->kind = ERROR_LOST;
	queue->face.figures.lost++;
	list_remove(&message->link);
	list_append(&queue->lost, &message->link);
}

void sqs_message_warn(struct sqs_message *message)
{
	message->warned = true;
	list_append(&owner_of(message)->expiring, &message->expiring);
}

void sqs_message_received(struct sqs_message *message, double received_s, int64_t received_ms, bool guessed)
{
	message->received_s = received_s;
	message->face.received_ms = received_ms;
	message->guessed = guessed;
	message->warned = false;
	list_remove(&message->expiring);
}

static bool tell_expiring(struct queue_sqs *queue)
{
	struct sqs_message *message = list_first(&queue->expiring, struct sqs_message, expiring);

	if (message == NULL)
		return false;
	list_remove(&message->expiring);
	if (message->phase != SQS_SETTLING && queue->face.events.expiring != NULL)
		queue->face.events.expiring(queue->face.events.arg, &message->face);
	return true;
}

static bool tell_lost(struct queue_sqs *queue)
{
	struct sqs_message *message = list_first(&queue->lost, struct sqs_message, link);
	struct error why;

	if (message == NULL)
		return false;
	list_remove(&message->link);
	why = *message->error;
	if (queue->face.events.lost != NULL)
		queue->face.events.lost(queue->face.events.arg, &message->face, &why);
	return true;
}

static bool tell_finished(struct queue_sqs *queue)
{
	struct sqs_message *message = list_first(&queue->finished, struct sqs_message, link);

	if (message == NULL)
		return false;
	queue->face.figures.settled++;
	detach(message);
	if (message->done != NULL)
		message->done(message->done_arg, message->error);
	dispose(message);
	return true;
}

void sqs_tell(struct queue_sqs *queue, struct queue_message **renewed, size_t count)
{
	bool gone = false;

	queue->gone = &gone;
	if (count > 0 && queue->face.events.renewed != NULL)
		queue->face.events.renewed(queue->face.events.arg, renewed, count);
	while (!gone && (tell_expiring(queue) || tell_lost(queue) || tell_finished(queue)))
		;
	if (!gone)
		queue->gone = NULL;
}
