/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_receive.c - ReceiveMessage: now, or as soon as there is something, or not at all in time.
 * A long poll is a waiter on its queue and an alarm; whoever makes a message ready marks the queue,
 * and the waiters are served once the loop has nothing else to do. */
#include "sqs_api.h"

#include "member.h"
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

static bool wants(const json_t *names, const char *name)
{
	json_t *wanted;
	size_t i;

	json_array_foreach(names, i, wanted) {
		const char *string = json_string_value(wanted);

		if (string != NULL && (strcmp(string, "All") == 0 || strcmp(string, name) == 0))
			return true;
	}
	return false;
}

/* "All", ".*", "prefix.*" or the name itself. */
static bool wants_attribute(const json_t *patterns, const char *name)
{
	json_t *pattern;
	size_t i;

	json_array_foreach(patterns, i, pattern) {
		const char *string = json_string_value(pattern);
		size_t length = json_string_length(pattern);

		if (string == NULL)
			continue;
		if (strcmp(string, "All") == 0 || strcmp(string, name) == 0)
			return true;
		if (length >= 2 && strcmp(string + length - 2, ".*") == 0 &&
		    strncmp(string, name, length - 2) == 0)
			return true;
	}
	return false;
}

static void add_time(json_t *out, const char *name, int64_t at_ms)
{
	json_object_set_new(out, name, json_sprintf("%lld", (long long)at_ms));
}

static json_t *system_attributes(const struct sqs_message *message)
{
	json_t *out = json_object();

	json_object_set_new(out, "SenderId", json_string("AIDASIMSIMSIMSIMSIMS"));
	add_time(out, "SentTimestamp", message->sent_ms);
	json_object_set_new(out, "ApproximateReceiveCount",
			    json_sprintf("%u", message->receives));
	add_time(out, "ApproximateFirstReceiveTimestamp", message->first_received_ms);
	if (message->group_id != NULL)
		json_object_set_new(out, "MessageGroupId", json_string(message->group_id));
	if (message->dedup_id != NULL)
		json_object_set_new(out, "MessageDeduplicationId", json_string(message->dedup_id));
	if (message->queue->settings.fifo)
		json_object_set_new(out, "SequenceNumber",
				    sqs_sequence_number(message->sequence));
	if (message->trace != NULL)
		json_object_set_new(out, "AWSTraceHeader", json_string(message->trace));
	if (message->source_arn != NULL)
		json_object_set_new(out, "DeadLetterQueueSourceArn",
				    json_string(message->source_arn));
	return out;
}

static void add_system_attributes(json_t *out, const struct sqs_message *message,
				  const json_t *in)
{
	const json_t *names = json_object_get(in, "MessageSystemAttributeNames");
	const json_t *old_names = json_object_get(in, "AttributeNames");
	json_t *all, *value;
	const char *name;
	void *next;

	if (json_array_size(names) == 0 && json_array_size(old_names) == 0)
		return;
	all = system_attributes(message);
	json_object_foreach_safe(all, next, name, value) {
		if (!wants(names, name) && !wants(old_names, name))
			json_object_del(all, name);
	}
	if (json_object_size(all) > 0)
		json_object_set(out, "Attributes", all);
	json_decref(all);
}

static void add_attributes(json_t *out, const struct sqs_message *message, const json_t *in)
{
	const json_t *patterns = json_object_get(in, "MessageAttributeNames");
	json_t *wanted, *value;
	const char *name;

	if (message->attributes == NULL || json_array_size(patterns) == 0)
		return;
	wanted = json_object();
	json_object_foreach(message->attributes, name, value) {
		if (wants_attribute(patterns, name))
			json_object_set(wanted, name, value);
	}
	if (json_object_size(wanted) > 0) {
		json_object_set(out, "MessageAttributes", wanted);
		json_object_set_new(out, "MD5OfMessageAttributes",
				    json_string(message->attributes_md5));
	}
	json_decref(wanted);
}

static json_t *describe(const struct sqs_message *message, const json_t *in)
{
	char handle[SQS_RECEIPT_ROOM];
	json_t *out = json_object();

	sqs_message_handle(message, handle);
	json_object_set_new(out, "MessageId", json_string(message->id));
	json_object_set_new(out, "ReceiptHandle", json_string(handle));
	json_object_set_new(out, "MD5OfBody", json_string(message->md5));
	json_object_set(out, "Body", message->body);
	add_system_attributes(out, message, in);
	add_attributes(out, message, in);
	return out;
}

/* True when something was taken and is in the call's answer. */
static bool take(struct call *call, struct sqs_queue *queue, const struct sqs_taking *taking)
{
	struct sqs_message *taken[SQS_RECEIVE_MAX];
	unsigned count = sqs_queue_take(queue, taking, taken);
	json_t *messages;

	if (count == 0)
		return false;
	messages = json_array();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(messages, describe(taken[i], call->in));
	json_object_set_new(call->out, "Messages", messages);
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
