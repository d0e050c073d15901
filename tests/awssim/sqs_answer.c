/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_answer.c - see sqs_answer.h.
 * Answers in ten parts are most of what SQS says, so the JSON ones are written without a json_t in
 * between.  What both protocols know of a message, its system attributes, is one table. */
#include "sqs_answer.h"

#include "json_text.h"
#include "sqs.h"

#include <stdio.h>
#include <string.h>

enum {
	BATCH_ENTRY_BYTES = 192,        /* about */
	MESSAGE_BYTES = 640,            /* about, without its body */
	ATTRIBUTE_ROOM = 32,
};

#define ADD(text, literal) text_add(text, literal, sizeof(literal) - 1)

/* ---- sends and batches ---- */

static void add_sent(struct text *text, const struct sqs_sent *sent)
{
	ADD(text, "\"MessageId\":\"");
	text_add(text, sent->id, UUID_ROOM - 1);
	ADD(text, "\",\"MD5OfMessageBody\":\"");
	text_add(text, sent->md5, DIGEST_MD5_HEX - 1);
	ADD(text, "\"");
	if (sent->attributes_md5[0] != '\0')
		json_text_member(text, "MD5OfMessageAttributes", sent->attributes_md5);
	if (sent->sequence != 0) {
		char number[SQS_SEQUENCE_ROOM];

		sqs_sequence_number(sent->sequence, number);
		json_text_member(text, "SequenceNumber", number);
	}
}

static void set_sent(json_t *out, const struct sqs_sent *sent)
{
	char number[SQS_SEQUENCE_ROOM];

	json_object_set_new(out, "MessageId", json_string(sent->id));
	json_object_set_new(out, "MD5OfMessageBody", json_string(sent->md5));
	if (sent->attributes_md5[0] != '\0')
		json_object_set_new(out, "MD5OfMessageAttributes",
				    json_string(sent->attributes_md5));
	if (sent->sequence != 0) {
		sqs_sequence_number(sent->sequence, number);
		json_object_set_new(out, "SequenceNumber", json_string(number));
	}
}

void sqs_answer_sent(struct call *call, const struct sqs_sent *sent)
{
	if (call->protocol != CALL_JSON) {
		set_sent(call->out, sent);
		return;
	}
	ADD(&call->raw, "{");
	add_sent(&call->raw, sent);
	ADD(&call->raw, "}");
}

void sqs_answer_done(struct sqs_batch_answer *answer, json_t *id, const struct sqs_sent *sent)
{
	struct text *raw = &answer->call->raw;

	answer->done++;
	if (answer->call->protocol != CALL_JSON) {
		json_t *entry = json_pack("{s:O}", "Id", id);

		if (sent->id[0] != '\0')
			set_sent(entry, sent);
		if (answer->successful == NULL)
			answer->successful = json_array();
		json_array_append_new(answer->successful, entry);
		return;
	}
	if (raw->bytes == 0) {
		text_reserve(raw, SQS_BATCH_MAX * BATCH_ENTRY_BYTES);
		ADD(raw, "{\"Successful\":[{\"Id\":");
	} else {
		ADD(raw, ",{\"Id\":");
	}
	json_text_string(raw, json_string_value(id), json_string_length(id));
	if (sent->id[0] != '\0') {
		ADD(raw, ",");
		add_sent(raw, sent);
	}
	ADD(raw, "}");
}

void sqs_answer_failed(struct sqs_batch_answer *answer, json_t *entry)
{
	if (answer->failed == NULL)
		answer->failed = json_array();
	json_array_append_new(answer->failed, entry);
}

void sqs_answer_batch(struct sqs_batch_answer *answer)
{
	struct call *call = answer->call;

	if (call->protocol == CALL_JSON && answer->done > 0) {
		ADD(&call->raw, "]");
		if (answer->failed != NULL) {
			json_text_name(&call->raw, "Failed");
			json_text_value(&call->raw, answer->failed);
		}
		ADD(&call->raw, "}");
	} else {
		if (answer->successful != NULL)
			json_object_set(call->out, "Successful", answer->successful);
		if (answer->failed != NULL)
			json_object_set(call->out, "Failed", answer->failed);
	}
	json_decref(answer->successful);
	json_decref(answer->failed);
}

/* ---- system attributes ---- */

static const char *number_text(char room[ATTRIBUTE_ROOM], int64_t number)
{
	struct text text = { .data = room, .room = ATTRIBUTE_ROOM };

	text_add_number(&text, number);
	return room;
}

/* The value of one, possibly in room; NULL: the message has none. */
typedef const char *attribute_fn(const struct sqs_message *, char room[ATTRIBUTE_ROOM]);

static const char *sender(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	(void)message, (void)room;
	return "AIDASIMSIMSIMSIMSIMS";
}

static const char *sent_time(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	return number_text(room, message->sent_ms);
}

static const char *receive_count(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	return number_text(room, message->receives);
}

static const char *first_receive(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	return number_text(room, message->first_received_ms);
}

static const char *group(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	(void)room;
	return message->group_id;
}

static const char *dedup(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	(void)room;
	return message->dedup_id;
}

static const char *sequence(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	if (!message->queue->settings.fifo)
		return NULL;
	sqs_sequence_number(message->sequence, room);
	return room;
}

static const char *trace(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	(void)room;
	return message->trace;
}

static const char *source(const struct sqs_message *message, char room[ATTRIBUTE_ROOM])
{
	(void)room;
	return message->source_arn;
}

static const struct {
	const char *name;
	attribute_fn *value;
} attributes[] = {
	{ "SenderId", sender },
	{ "SentTimestamp", sent_time },
	{ "ApproximateReceiveCount", receive_count },
	{ "ApproximateFirstReceiveTimestamp", first_receive },
	{ "MessageGroupId", group },
	{ "MessageDeduplicationId", dedup },
	{ "SequenceNumber", sequence },
	{ "AWSTraceHeader", trace },
	{ "DeadLetterQueueSourceArn", source },
};

enum { ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0]) };

/* A bit for each that a list of names asks for. */
static unsigned wanted_by(const json_t *names)
{
	unsigned wanted = 0;
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		const char *string = json_string_value(name);

		for (unsigned j = 0; string != NULL && j < ATTRIBUTES; j++) {
			if (strcmp(string, "All") == 0 || strcmp(string, attributes[j].name) == 0)
				wanted |= 1u << j;
		}
	}
	return wanted;
}

static void add_system_attributes(struct text *text, const struct sqs_message *message,
				  unsigned wanted)
{
	char room[ATTRIBUTE_ROOM];

	if (wanted == 0)
		return;
	ADD(text, ",\"Attributes\":{");
	for (unsigned i = 0; i < ATTRIBUTES; i++) {
		if (wanted & 1u << i)
			json_text_member(text, attributes[i].name, attributes[i].value(message, room));
	}
	ADD(text, "}");
}

static void set_system_attributes(json_t *out, const struct sqs_message *message, unsigned wanted)
{
	char room[ATTRIBUTE_ROOM];
	json_t *object = json_object();

	for (unsigned i = 0; i < ATTRIBUTES; i++) {
		const char *value = wanted & 1u << i ? attributes[i].value(message, room) : NULL;

		if (value != NULL)
			json_object_set_new(object, attributes[i].name, json_string(value));
	}
	if (json_object_size(object) > 0)
		json_object_set(out, "Attributes", object);
	json_decref(object);
}

/* ---- message attributes ---- */

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

/* A new object, or NULL when it would be empty. */
static json_t *wanted_attributes(const struct sqs_message *message, const json_t *patterns)
{
	json_t *wanted = NULL, *value;
	const char *name;

	if (message->attributes == NULL || json_array_size(patterns) == 0)
		return NULL;
	json_object_foreach(message->attributes, name, value) {
		if (!wants_attribute(patterns, name))
			continue;
		if (wanted == NULL)
			wanted = json_object();
		json_object_set(wanted, name, value);
	}
	return wanted;
}

/* ---- messages ---- */

/* What the receive asks for. */
struct wishes {
	unsigned system;
	const json_t *patterns;
};

static void add_message(struct text *text, const struct sqs_message *message,
			const struct wishes *wishes)
{
	json_t *others = wanted_attributes(message, wishes->patterns);
	char handle[SQS_RECEIPT_ROOM];

	sqs_message_handle(message, handle);
	text_reserve(text, MESSAGE_BYTES + json_string_length(message->body));
	ADD(text, "{\"MessageId\":\"");
	text_add(text, message->id, UUID_ROOM - 1);
	ADD(text, "\",\"ReceiptHandle\":\"");
	text_add_string(text, handle);
	ADD(text, "\",\"MD5OfBody\":\"");
	text_add(text, message->md5, DIGEST_MD5_HEX - 1);
	ADD(text, "\",\"Body\":");
	json_text_string(text, json_string_value(message->body), json_string_length(message->body));
	add_system_attributes(text, message, wishes->system);
	if (others != NULL) {
		json_text_name(text, "MessageAttributes");
		json_text_value(text, others);
		json_text_member(text, "MD5OfMessageAttributes", message->attributes_md5);
		json_decref(others);
	}
	ADD(text, "}");
}

static json_t *message_object(const struct sqs_message *message, const struct wishes *wishes)
{
	json_t *out = json_object(), *others = wanted_attributes(message, wishes->patterns);
	char handle[SQS_RECEIPT_ROOM];

	sqs_message_handle(message, handle);
	json_object_set_new(out, "MessageId", json_string(message->id));
	json_object_set_new(out, "ReceiptHandle", json_string(handle));
	json_object_set_new(out, "MD5OfBody", json_string(message->md5));
	json_object_set(out, "Body", message->body);
	set_system_attributes(out, message, wishes->system);
	if (others != NULL) {
		json_object_set_new(out, "MessageAttributes", others);
		json_object_set_new(out, "MD5OfMessageAttributes",
				    json_string(message->attributes_md5));
	}
	return out;
}

void sqs_answer_messages(struct call *call, struct sqs_message *const *taken, unsigned count)
{
	struct wishes wishes = {
		.system = wanted_by(json_object_get(call->in, "MessageSystemAttributeNames")) |
			  wanted_by(json_object_get(call->in, "AttributeNames")),
		.patterns = json_object_get(call->in, "MessageAttributeNames"),
	};
	struct text *raw = &call->raw;
	json_t *messages;

	if (call->protocol == CALL_JSON) {
		text_reserve(raw, count * MESSAGE_BYTES);
		ADD(raw, "{\"Messages\":[");
		for (unsigned i = 0; i < count; i++) {
			if (i > 0)
				ADD(raw, ",");
			add_message(raw, taken[i], &wishes);
		}
		ADD(raw, "]}");
		return;
	}
	messages = json_array();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(messages, message_object(taken[i], &wishes));
	json_object_set_new(call->out, "Messages", messages);
}
