/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_receive.c - ReceiveMessage: now, or as soon as there is something, or not at all in time.
 * A long poll is a waiter on its queue and an alarm; whoever makes a message ready marks the queue,
 * and the waiters are served once the loop has nothing else to do. */
#include "sqs_api.h"

#include "member.h"
#include "sqs_answer.h"
#include "stats.h"
#include "xalloc.h"

#include <string.h>

enum { LIMIT_ATTEMPT_ID = 128 };

struct waiter {
	struct list node;
	struct alarm deadline;
	struct call *call;
	struct sqs_queue *queue;
	struct sqs_taking taking;
};

/* True when something was taken and is in the call's answer. */
static bool take(struct call *call, struct sqs_queue *queue, const struct sqs_taking *taking)
{
	struct sqs_message *taken[SQS_RECEIVE_MAX];
	unsigned count = sqs_queue_take(queue, taking, taken);

	if (count == 0)
		return false;
	sqs_answer_messages(call, taken, count);
	stats_add(call->sim->stats, "messages_received", count);
	return true;
}

/* ---- long polls ---- */

static void waiter_destroy(struct waiter *waiter)
{
	sim_clock_clear(waiter->queue->sqs->world->clock, &waiter->deadline);
	list_remove(&waiter->node);
	free(waiter);
}

static void waiter_end(struct waiter *waiter)
{
	struct call *call = waiter->call;

	waiter_destroy(waiter);
	call_finish(call);
}

static void on_deadline(struct alarm *alarm)
{
	struct waiter *waiter = container_of(alarm, struct waiter, deadline);

	stats_add(waiter->call->sim->stats, "empty_receives", 1);
	waiter_end(waiter);
}

static void on_client_gone(void *arg)
{
	waiter_destroy(arg);
}

void sqs_serve_waiters(struct sqs_queue *queue)
{
	while (!list_empty(&queue->waiters)) {
		struct waiter *waiter = container_of(queue->waiters.next, struct waiter, node);

		if (!take(waiter->call, queue, &waiter->taking))
			return;
		waiter_end(waiter);
	}
}

/* The queue is about to go. */
void sqs_cancel_waiters(struct sqs_queue *queue)
{
	while (!list_empty(&queue->waiters)) {
		struct waiter *waiter = container_of(queue->waiters.next, struct waiter, node);

		aws_error_set(&waiter->call->error, "QueueDoesNotExist",
			      "The specified queue does not exist.");
		waiter_end(waiter);
	}
}

static void wait_for_message(struct call *call, struct sqs_queue *queue,
			     const struct sqs_taking *taking, json_int_t wait_s)
{
	struct waiter *waiter = xcalloc(1, sizeof(*waiter));
	struct world *world = queue->sqs->world;

	waiter->call = call;
	waiter->queue = queue;
	waiter->taking = *taking;
	waiter->deadline.ring = on_deadline;
	list_add_tail(&queue->waiters, &waiter->node);
	sim_clock_set(world->clock, &waiter->deadline, world_now_ms(world) + wait_s * 1000);
	call_wait(call, on_client_gone, waiter);
}

/* ---- the action ---- */

static bool check_range(struct call *call, const char *name, json_int_t value, json_int_t least,
			json_int_t most)
{
	if (value >= least && value <= most)
		return true;
	aws_error_set(&call->error, "InvalidParameterValue",
		      "Value %" JSON_INTEGER_FORMAT " for parameter %s is invalid. Reason: Must be "
		      "between %" JSON_INTEGER_FORMAT " and %" JSON_INTEGER_FORMAT
		      ", if provided.", value, name, least, most);
	return false;
}

static bool read_taking(struct call *call, const struct sqs_queue *queue,
			struct sqs_taking *taking, json_int_t *wait_s)
{
	json_int_t max = 1;
	json_t *names = NULL;

	*wait_s = queue->settings.wait_s;
	taking->visibility_s = -1;
	if (!member_integer(call->in, "MaxNumberOfMessages", &max, &call->error) ||
	    !member_integer(call->in, "WaitTimeSeconds", wait_s, &call->error) ||
	    !member_integer(call->in, "VisibilityTimeout", &taking->visibility_s, &call->error) ||
	    !member_string(call->in, "ReceiveRequestAttemptId", &taking->attempt_id,
			   &call->error) ||
	    !member_array(call->in, "AttributeNames", &names, &call->error) ||
	    !member_array(call->in, "MessageSystemAttributeNames", &names, &call->error) ||
	    !member_array(call->in, "MessageAttributeNames", &names, &call->error))
		return false;
	if (!check_range(call, "MaxNumberOfMessages", max, 1, SQS_RECEIVE_MAX) ||
	    !check_range(call, "WaitTimeSeconds", *wait_s, 0, SQS_WAIT_MAX_S) ||
	    !check_range(call, "VisibilityTimeout", taking->visibility_s, -1,
			 SQS_VISIBILITY_MAX_S))
		return false;
	if (taking->attempt_id != NULL && strlen(taking->attempt_id) > LIMIT_ATTEMPT_ID) {
		aws_error_set(&call->error, "InvalidParameterValue",
			      "ReceiveRequestAttemptId can have at most 128 characters.");
		return false;
	}
	taking->max = (unsigned)max;
	return true;
}

void sqs_receive_message(struct call *call)
{
	struct sqs_queue *queue = sqs_call_queue(call);
	struct sqs_taking taking = { .max = 1 };
	json_int_t wait_s;

	if (queue == NULL || !read_taking(call, queue, &taking, &wait_s))
		return;
	if (call_fault_is(call, FAULT_EMPTY))
		return;
	if (take(call, queue, &taking))
		return;
	if (wait_s > 0) {
		wait_for_message(call, queue, &taking, wait_s);
		return;
	}
	if (!queue->settings.fifo && queue->counts[SQS_IN_FLIGHT] >= SQS_IN_FLIGHT_MAX)
		aws_error_set(&call->error, "OverLimit",
			      "Too many messages are in flight for this queue.");
	stats_add(call->sim->stats, "empty_receives", 1);
}
