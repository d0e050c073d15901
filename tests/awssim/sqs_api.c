/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_api.c - SQS's actions but sending and receiving, and how a batch goes through its entries. */
#include "sqs_api.h"

#include "member.h"
#include "sqs_answer.h"
#include "stats.h"

#include <ctype.h>
#include <string.h>

enum {
	LIMIT_QUEUE_NAME = 80,
	LIMIT_BATCH_ID = 80,
	LIMIT_LIST_QUEUES = 1000,
	PURGE_PAUSE_MS = 60 * 1000,
};

#define NO_QUEUE "The specified queue does not exist."

static struct sqs *call_sqs(struct call *call)
{
	return call->sim->sqs;
}

struct sqs_queue *sqs_call_queue(struct call *call)
{
	const char *url = NULL;
	struct sqs_queue *queue;

	if (call->protocol == CALL_QUERY && json_object_get(call->in, "QueueUrl") == NULL) {
		url = http_exchange_request(call->exchange)->path;
	} else if (!member_string(call->in, "QueueUrl", &url, &call->error)) {
		return NULL;
	} else if (url == NULL) {
		aws_error_set(&call->error, "MissingParameter",
			      "The request must contain the parameter QueueUrl.");
		return NULL;
	}
	queue = sqs_find_url(call_sqs(call), url);
	if (queue == NULL)
		aws_error_set(&call->error, "QueueDoesNotExist", NO_QUEUE);
	return queue;
}

/* ---- batches ---- */

void sqs_run_single(struct call *call, sqs_entry_fn *run, const char *counter)
{
	struct sqs_queue *queue = sqs_call_queue(call);
	struct sqs_sent sent = { .id = "" };

	if (queue == NULL)
		return;
	run(call, queue, call->in, &sent, &call->error);
	if (aws_error_is_set(&call->error))
		return;
	if (counter != NULL)
		stats_add(call->sim->stats, counter, 1);
	if (sent.id[0] != '\0')
		sqs_answer_sent(call, &sent);
}

static bool batch_id_is_allowed(const char *id)
{
	size_t length = id == NULL ? 0 : strlen(id);

	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)id[i]) && id[i] != '-' && id[i] != '_')
			return false;
	}
	return length >= 1 && length <= LIMIT_BATCH_ID;
}

static bool is_among(const char *id, const char *const *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(ids[i], id) == 0)
			return true;
	}
	return false;
}

static bool check_batch(struct call *call, json_t *entries)
{
	const char *seen[SQS_BATCH_MAX];
	json_t *entry;
	size_t i;

	if (json_array_size(entries) == 0)
		aws_error_set(&call->error, "EmptyBatchRequest",
			      "There should be at least one %sRequestEntry in the request.",
			      call->action->name);
	if (json_array_size(entries) > SQS_BATCH_MAX)
		aws_error_set(&call->error, "TooManyEntriesInBatchRequest",
			      "Maximum number of entries per request are 10. You have sent %zu.",
			      json_array_size(entries));
	json_array_foreach(entries, i, entry) {
		const char *id = NULL;

		if (aws_error_is_set(&call->error) || !member_string(entry, "Id", &id, &call->error))
			return false;
		if (!batch_id_is_allowed(id))
			aws_error_set(&call->error, "InvalidBatchEntryId",
				      "A batch entry id can only contain alphanumeric characters, "
				      "hyphens and underscores. It can be at most 80 letters long.");
		else if (is_among(id, seen, i))
			aws_error_set(&call->error, "BatchEntryIdsNotDistinct",
				      "Id %s repeated.", id);
		else
			seen[i] = id;
	}
	return !aws_error_is_set(&call->error);
}

static json_t *failed_entry(const struct aws_error *error, json_t *id, bool sender_fault)
{
	const struct aws_error_kind *kind = aws_error_kind(error->shape);

	return json_pack("{s:O, s:b, s:s, s:s}", "Id", id, "SenderFault", sender_fault, "Code",
			 kind->query_code != NULL ? kind->query_code : error->shape, "Message",
			 error->message);
}

/* An entry that is to fail without having been tried; NULL when it may go on. */
static json_t *refused_entry(struct call *call, json_t *id)
{
	struct fault *fault = faults_fire_entry(call->sim->faults, &call->sim->world.dice,
						call->action->name);
	json_t *failed;

	if (fault == NULL)
		return NULL;
	failed = json_pack("{s:O, s:b, s:s, s:s}", "Id", id, "SenderFault", fault->sender_fault,
			   "Code", fault->code[0] != '\0' ? fault->code : "InternalError",
			   "Message", fault->message);
	free(fault);
	return failed;
}

void sqs_run_batch(struct call *call, sqs_entry_fn *run, const char *counter)
{
	struct sqs_queue *queue = sqs_call_queue(call);
	struct sqs_batch_answer answer = { .call = call };
	json_t *entries = NULL, *entry;
	size_t i;

	if (queue == NULL || !member_array(call->in, "Entries", &entries, &call->error) ||
	    !check_batch(call, entries))
		return;
	json_array_foreach(entries, i, entry) {
		json_t *id = json_object_get(entry, "Id"), *refused = refused_entry(call, id);
		struct aws_error error = { .status = 0 };
		struct sqs_sent sent;

		if (refused != NULL) {
			sqs_answer_failed(&answer, refused);
			continue;
		}
		sent.id[0] = '\0';
		run(call, queue, entry, &sent, &error);
		if (aws_error_is_set(&error))
			sqs_answer_failed(&answer, failed_entry(&error, id, true));
		else
			sqs_answer_done(&answer, id, &sent);
		aws_error_finish(&error);
	}
	stats_add(call->sim->stats, "batch_entries", json_array_size(entries));
	if (counter != NULL && answer.done > 0)
		stats_add(call->sim->stats, counter, answer.done);
	sqs_answer_batch(&answer);
}

/* ---- messages by handle ---- */

static const char *entry_handle(json_t *entry, struct aws_error *error)
{
	const char *handle = NULL;

	if (!member_string(entry, "ReceiptHandle", &handle, error))
		return NULL;
	if (handle == NULL)
		aws_error_set(error, "MissingParameter",
			      "The request must contain the parameter ReceiptHandle.");
	return handle;
}

static void delete_entry(struct call *call, struct sqs_queue *queue, json_t *entry,
			 struct sqs_sent *sent, struct aws_error *error)
{
	const char *handle = entry_handle(entry, error);

	(void)call, (void)sent;
	if (handle != NULL)
		sqs_queue_delete(queue, handle, error);
}

static void visibility_entry(struct call *call, struct sqs_queue *queue, json_t *entry,
			     struct sqs_sent *sent, struct aws_error *error)
{
	const char *handle = entry_handle(entry, error);
	json_int_t visibility_s = -1;

	(void)call, (void)sent;
	if (handle == NULL || !member_integer(entry, "VisibilityTimeout", &visibility_s, error))
		return;
	if (visibility_s < 0 || visibility_s > SQS_VISIBILITY_MAX_S) {
		aws_error_set(error, "InvalidParameterValue",
			      "Value %" JSON_INTEGER_FORMAT " for parameter VisibilityTimeout is "
			      "invalid. Reason: VisibilityTimeout must be an integer between 0 and "
			      "43200.", visibility_s);
		return;
	}
	sqs_queue_set_visibility(queue, handle, visibility_s, error);
}

static void delete_message(struct call *call)
{
	sqs_run_single(call, delete_entry, "messages_deleted");
}

static void delete_message_batch(struct call *call)
{
	sqs_run_batch(call, delete_entry, "messages_deleted");
}

static void change_visibility(struct call *call)
{
	sqs_run_single(call, visibility_entry, NULL);
}

static void change_visibility_batch(struct call *call)
{
	sqs_run_batch(call, visibility_entry, NULL);
}

/* ---- queues ---- */

static bool name_is_allowed(const char *name)
{
	size_t length = strlen(name);

	if (length > 5 && strcmp(name + length - 5, ".fifo") == 0)
		length -= 5;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	}
	return length >= 1 && strlen(name) <= LIMIT_QUEUE_NAME;
}

static void create_queue(struct call *call)
{
	const char *name = NULL;
	json_t *attributes = NULL;
	struct sqs_queue *queue;

	if (!member_string(call->in, "QueueName", &name, &call->error) ||
	    !member_object(call->in, "Attributes", &attributes, &call->error))
		return;
	if (name == NULL || !name_is_allowed(name)) {
		aws_error_set(&call->error, "InvalidParameterValue",
			      "Can only include alphanumeric characters, hyphens, or underscores. "
			      "1 to 80 in length");
		return;
	}
	queue = sqs_find(call_sqs(call), name);
	if (queue != NULL && sqs_settings_differ(queue, attributes)) {
		aws_error_set(&call->error, "QueueNameExists",
			      "A queue already exists with the same name and a different value "
			      "for an attribute");
		return;
	}
	if (queue == NULL) {
		queue = sqs_queue_create(call_sqs(call), name);
		if (!sqs_settings_apply(&queue->settings, attributes, &call->error)) {
			sqs_queue_destroy(queue);
			return;
		}
	}
	json_object_set_new(call->out, "QueueUrl", json_string(queue->url));
}

static void get_queue_url(struct call *call)
{
	const char *name = NULL;
	struct sqs_queue *queue;

	if (!member_string(call->in, "QueueName", &name, &call->error))
		return;
	queue = sqs_find(call_sqs(call), name == NULL ? "" : name);
	if (queue == NULL)
		aws_error_set(&call->error, "QueueDoesNotExist", NO_QUEUE);
	else
		json_object_set_new(call->out, "QueueUrl", json_string(queue->url));
}

static void get_queue_attributes(struct call *call)
{
	struct sqs_queue *queue = sqs_call_queue(call);
	json_t *names = NULL, *attributes;

	if (queue == NULL || !member_array(call->in, "AttributeNames", &names, &call->error))
		return;
	attributes = sqs_queue_attributes(queue, names);
	if (json_object_size(attributes) > 0)
		json_object_set(call->out, "Attributes", attributes);
	json_decref(attributes);
}

static void set_queue_attributes(struct call *call)
{
	struct sqs_queue *queue = sqs_call_queue(call);
	json_t *attributes = NULL;

	if (queue == NULL || !member_object(call->in, "Attributes", &attributes, &call->error))
		return;
	if (sqs_settings_apply(&queue->settings, attributes, &call->error))
		queue->modified_ms = world_now_ms(queue->sqs->world);
}

static void list_queues(struct call *call)
{
	const char *prefix = "";
	json_t *urls = json_array();
	struct list *node, *next;

	if (member_string(call->in, "QueueNamePrefix", &prefix, &call->error)) {
		list_each(node, next, &call_sqs(call)->queues) {
			struct sqs_queue *queue = container_of(node, struct sqs_queue, peers);

			if (strncmp(queue->name, prefix, strlen(prefix)) == 0 &&
			    json_array_size(urls) < LIMIT_LIST_QUEUES)
				json_array_append_new(urls, json_string(queue->url));
		}
	}
	if (json_array_size(urls) > 0)
		json_object_set(call->out, "QueueUrls", urls);
	json_decref(urls);
}

static void delete_queue(struct call *call)
{
	struct sqs_queue *queue = sqs_call_queue(call);

	if (queue == NULL)
		return;
	sqs_cancel_waiters(queue);
	sqs_move_forget(queue->sqs, queue);
	sqs_queue_destroy(queue);
}

static void purge_queue(struct call *call)
{
	struct sqs_queue *queue = sqs_call_queue(call);
	int64_t now_ms;

	if (queue == NULL)
		return;
	now_ms = world_now_ms(queue->sqs->world);
	if (queue->purged_ms != 0 && now_ms < queue->purged_ms + PURGE_PAUSE_MS) {
		aws_error_set(&call->error, "PurgeQueueInProgress",
			      "Only one PurgeQueue operation on %s is allowed every 60 seconds.",
			      queue->name);
		return;
	}
	queue->purged_ms = now_ms;
	sqs_queue_purge(queue);
}

/* ---- message move tasks ---- */

static void start_move(struct call *call)
{
	const char *source_arn = NULL, *destination_arn = NULL;
	json_int_t per_s = 0;
	struct sqs_queue *source;
	struct sqs_move *move;

	if (!member_string(call->in, "SourceArn", &source_arn, &call->error) ||
	    !member_string(call->in, "DestinationArn", &destination_arn, &call->error) ||
	    !member_integer(call->in, "MaxNumberOfMessagesPerSecond", &per_s, &call->error))
		return;
	source = source_arn == NULL ? NULL : sqs_find_arn(call_sqs(call), source_arn);
	if (source == NULL) {
		aws_error_set(&call->error, "ResourceNotFoundException",
			      "The resource that you specified for the SourceArn parameter doesn't "
			      "exist.");
		return;
	}
	move = sqs_move_start(call_sqs(call), source, destination_arn, per_s, &call->error);
	if (move != NULL)
		json_object_set_new(call->out, "TaskHandle", json_string(sqs_move_handle(move)));
}

static void list_moves(struct call *call)
{
	const char *source_arn = NULL;
	json_int_t max = 1;
	struct sqs_queue *source;

	if (!member_string(call->in, "SourceArn", &source_arn, &call->error) ||
	    !member_integer(call->in, "MaxResults", &max, &call->error))
		return;
	source = source_arn == NULL ? NULL : sqs_find_arn(call_sqs(call), source_arn);
	if (source == NULL)
		aws_error_set(&call->error, "ResourceNotFoundException",
			      "The resource that you specified for the SourceArn parameter doesn't "
			      "exist.");
	else
		json_object_set_new(call->out, "Results",
				    sqs_move_list(call_sqs(call), source, max));
}

static void cancel_move(struct call *call)
{
	const char *handle = NULL;
	json_int_t moved = 0;

	if (!member_string(call->in, "TaskHandle", &handle, &call->error))
		return;
	if (sqs_move_cancel(call_sqs(call), handle == NULL ? "" : handle, &moved, &call->error))
		json_object_set_new(call->out, "ApproximateNumberOfMessagesMoved",
				    json_integer(moved));
}

static const struct action actions[] = {
	{ .name = "ReceiveMessage", .run = sqs_receive_message },
	{ .name = "DeleteMessage", .run = delete_message },
	{ .name = "DeleteMessageBatch", .run = delete_message_batch },
	{ .name = "SendMessage", .run = sqs_send_message },
	{ .name = "SendMessageBatch", .run = sqs_send_message_batch },
	{ .name = "ChangeMessageVisibility", .run = change_visibility },
	{ .name = "ChangeMessageVisibilityBatch", .run = change_visibility_batch },
	{ .name = "CreateQueue", .run = create_queue },
	{ .name = "GetQueueUrl", .run = get_queue_url },
	{ .name = "GetQueueAttributes", .run = get_queue_attributes },
	{ .name = "SetQueueAttributes", .run = set_queue_attributes },
	{ .name = "ListQueues", .run = list_queues },
	{ .name = "DeleteQueue", .run = delete_queue },
	{ .name = "PurgeQueue", .run = purge_queue },
	{ .name = "StartMessageMoveTask", .run = start_move },
	{ .name = "ListMessageMoveTasks", .run = list_moves },
	{ .name = "CancelMessageMoveTask", .run = cancel_move },
	{ .name = NULL },
};

const struct service sqs_service = {
	.name = "sqs",
	.target_prefix = "AmazonSQS.",
	.json_type = "application/x-amz-json-1.0",
	.query_version = "2012-11-05",
	.query_namespace = "http://queue.amazonaws.com/doc/2012-11-05/",
	.error_namespace = "com.amazonaws.sqs",
	.throttle_shape = "RequestThrottled",
	.actions = actions,
};
