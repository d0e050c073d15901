/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_send.c - SendMessage and SendMessageBatch: what a message may be. */
#include "sqs_api.h"

#include "eight.h"
#include "member.h"

#include <ctype.h>
#include <string.h>

enum { LIMIT_ATTRIBUTES = 10 };

/* Eight bytes at once: none is a control character or 0xef, where U+FFFE begins. */
static bool is_harmless(const char *at)
{
	uint64_t eight = eight_bytes(at);

	return (eight_below(eight, 0x20) | eight_equal(eight, 0xef)) == 0;
}

/* Tab, line feed, carriage return, and everything from the blank on but U+FFFE and U+FFFF. */
static bool body_is_allowed(const char *body, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned char letter;

		while (bytes - i > 8 && is_harmless(body + i))
			i += 8;
		letter = (unsigned char)body[i];
		if (letter < 0x20 && letter != '\t' && letter != '\n' && letter != '\r')
			return false;
		if (letter == 0xef && i + 2 < bytes && (unsigned char)body[i + 1] == 0xbf &&
		    (unsigned char)body[i + 2] >= 0xbe)
			return false;
	}
	return true;
}

static bool id_is_allowed(const char *id)
{
	size_t length = strlen(id);

	for (size_t i = 0; i < length; i++) {
		if (!isgraph((unsigned char)id[i]))
			return false;
	}
	return length >= 1 && length <= SQS_ID_MAX;
}

static size_t attributes_bytes(json_t *attributes)
{
	size_t bytes = 0;
	const char *name, *member;
	json_t *attribute, *value;

	json_object_foreach(attributes, name, attribute) {
		bytes += strlen(name);
		json_object_foreach(attribute, member, value)
			bytes += json_string_length(value);
	}
	return bytes;
}

static bool check_attributes(json_t *attributes, struct aws_error *error)
{
	const char *name;
	json_t *attribute;

	if (json_object_size(attributes) > LIMIT_ATTRIBUTES) {
		aws_error_set(error, "InvalidParameterValue",
			      "Number of message attributes [%zu] exceeds the allowed maximum [10].",
			      json_object_size(attributes));
		return false;
	}
	json_object_foreach(attributes, name, attribute) {
		const char *type = NULL, *string = NULL, *binary = NULL;

		if (!member_string(attribute, "DataType", &type, error) ||
		    !member_string(attribute, "StringValue", &string, error) ||
		    !member_string(attribute, "BinaryValue", &binary, error))
			return false;
		if (type == NULL || (string == NULL) == (binary == NULL)) {
			aws_error_set(error, "InvalidParameterValue",
				      "The message attribute '%s' must contain a non-empty message "
				      "attribute value.", name);
			return false;
		}
	}
	return true;
}

static bool check_body(const struct sqs_queue *queue, const struct sqs_draft *draft,
		       struct aws_error *error)
{
	size_t bytes = json_string_length(draft->body) + attributes_bytes(draft->attributes);

	if (draft->body == NULL || json_string_length(draft->body) == 0) {
		aws_error_set(error, "MissingParameter",
			      "The request must contain the parameter MessageBody.");
		return false;
	}
	if (bytes > (size_t)queue->settings.max_bytes) {
		aws_error_set(error, "InvalidParameterValue",
			      "One or more parameters are invalid. Reason: Message must be shorter "
			      "than %" JSON_INTEGER_FORMAT " bytes.", queue->settings.max_bytes);
		return false;
	}
	if (!body_is_allowed(json_string_value(draft->body), json_string_length(draft->body))) {
		aws_error_set(error, "InvalidMessageContents",
			      "Invalid characters found. Valid unicode characters are #x9 | #xA | "
			      "#xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF");
		return false;
	}
	return true;
}

static bool refuse_for_type(struct aws_error *error, const char *name)
{
	aws_error_set(error, "InvalidParameterValue",
		      "The request include parameter that is not valid for this queue type: %s",
		      name);
	return false;
}

static bool check_standard(const struct sqs_draft *draft, struct aws_error *error)
{
	if (draft->dedup_id != NULL)
		return refuse_for_type(error, "MessageDeduplicationId");
	return true;
}

/* content_id: room for the deduplication id of the body. */
static bool check_fifo(struct sqs_queue *queue, struct sqs_draft *draft, bool delayed,
		       char *content_id, struct aws_error *error)
{
	if (draft->group_id == NULL) {
		aws_error_set(error, "MissingParameter",
			      "The request must contain the parameter MessageGroupId.");
		return false;
	}
	if (delayed)
		return refuse_for_type(error, "DelaySeconds");
	if (draft->dedup_id == NULL && queue->settings.content_dedup) {
		digest_sha256_hex(queue->sqs->world->digest, json_string_value(draft->body),
				  json_string_length(draft->body), content_id);
		draft->dedup_id = content_id;
	}
	if (draft->dedup_id == NULL) {
		aws_error_set(error, "InvalidParameterValue",
			      "The queue should either have ContentBasedDeduplication enabled or "
			      "MessageDeduplicationId provided explicitly");
		return false;
	}
	return true;
}

static bool read_draft(json_t *entry, struct sqs_draft *draft, json_int_t *delay_s,
		       struct aws_error *error)
{
	const char *body = NULL;
	json_t *system = NULL, *trace = NULL;

	if (!member_string(entry, "MessageBody", &body, error) ||
	    !member_object(entry, "MessageAttributes", &draft->attributes, error) ||
	    !member_object(entry, "MessageSystemAttributes", &system, error) ||
	    !member_object(system, "AWSTraceHeader", &trace, error) ||
	    !member_string(trace, "StringValue", &draft->trace, error) ||
	    !member_string(entry, "MessageGroupId", &draft->group_id, error) ||
	    !member_string(entry, "MessageDeduplicationId", &draft->dedup_id, error) ||
	    !member_integer(entry, "DelaySeconds", delay_s, error))
		return false;
	draft->body = json_object_get(entry, "MessageBody");
	if (json_is_null(draft->body))
		draft->body = NULL;
	if (*delay_s > 900 || *delay_s < -1) {
		aws_error_set(error, "InvalidParameterValue",
			      "Value %" JSON_INTEGER_FORMAT " for parameter DelaySeconds is invalid. "
			      "Reason: DelaySeconds must be >= 0 and <= 900.", *delay_s);
		return false;
	}
	if ((draft->group_id != NULL && !id_is_allowed(draft->group_id)) ||
	    (draft->dedup_id != NULL && !id_is_allowed(draft->dedup_id))) {
		aws_error_set(error, "InvalidParameterValue",
			      "MessageGroupId and MessageDeduplicationId can only include "
			      "alphanumeric and punctuation characters. 1 to 128 in length.");
		return false;
	}
	return true;
}

static void send_entry(struct call *call, struct sqs_queue *queue, json_t *entry,
		       struct sqs_sent *sent, struct aws_error *error)
{
	char content_id[DIGEST_SHA256_HEX];
	struct sqs_draft draft = { .delay_s = 0 };
	json_int_t delay_s = -1;

	(void)call;
	if (!read_draft(entry, &draft, &delay_s, error) || !check_body(queue, &draft, error) ||
	    !check_attributes(draft.attributes, error))
		return;
	if (queue->settings.fifo ? !check_fifo(queue, &draft, delay_s > 0, content_id, error)
				 : !check_standard(&draft, error))
		return;
	draft.delay_s = delay_s < 0 ? queue->settings.delay_s : delay_s;
	sqs_queue_send(queue, &draft, sent);
}

void sqs_send_message(struct call *call)
{
	sqs_run_single(call, send_entry, "messages_sent");
}

/* All entries together may be as long as one message. */
void sqs_send_message_batch(struct call *call)
{
	json_t *entries = json_object_get(call->in, "Entries"), *entry;
	size_t bytes = 0, i;

	json_array_foreach(entries, i, entry)
		bytes += json_string_length(json_object_get(entry, "MessageBody")) +
			 attributes_bytes(json_object_get(entry, "MessageAttributes"));
	if (bytes > SQS_BODY_MAX_BYTES) {
		aws_error_set(&call->error, "BatchRequestTooLong",
			      "Batch requests cannot be longer than %d bytes. You have sent %zu "
			      "bytes.", SQS_BODY_MAX_BYTES, bytes);
		return;
	}
	sqs_run_batch(call, send_entry, "messages_sent");
}
