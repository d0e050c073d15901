/* SPDX-License-Identifier: Apache-2.0 */
/* sqs.c - see sqs.h. */
#include "aws/sqs.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/json_at.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"

enum { MD5_BYTES = 16 };

/* -- asking --------------------------------------------------------------------------------------- */

/* A text that cannot grow too large: what is in it has limits of its own. */
static void begin(struct buf *text)
{
	buf_init(text, SIZE_MAX - 1);
	json_write_open(text, '{');
}

static struct sqs_input end(struct buf *text, const char *const *reads)
{
	json_write_close(text, '}');
	return (struct sqs_input){ .text = buf_take(text), .reads = reads };
}

/* Our own texts and what JSON brought: they are UTF-8. */
static void put(struct buf *text, const char *member, const char *value)
{
	if (!json_write_member(text, member, value))
		fatal("a text that is not UTF-8, for a request to SQS: %s", member);
}

static void put_number(struct buf *text, const char *member, unsigned value)
{
	json_write_name(text, member);
	json_write_integer(text, value);
}

static void put_all(struct buf *text, const char *member)
{
	json_write_name(text, member);
	json_write_open(text, '[');
	json_write_string(text, "All");
	json_write_close(text, ']');
}

/* -- address -------------------------------------------------------------------------------------- */

bool sqs_address_parse(struct sqs_address *address, const char *url, struct error *err)
{
	struct endpoint endpoint;
	size_t len = strlen(url);

	*address = (struct sqs_address){ 0 };
	if (len > LIMIT_SQS_URL_BYTES || !endpoint_parse(&endpoint, url, NULL)) {
		error_set(err, ERROR_INVALID, "\"%.200s\" is no queue URL: expected http(s)://HOST/ACCOUNT/NAME", url);
		return false;
	}
	if (endpoint.path[1] == '\0' || url[len - 1] == '/') {
		error_set(err, ERROR_INVALID, "\"%s\" names no queue: expected http(s)://HOST/ACCOUNT/NAME", url);
		endpoint_finish(&endpoint);
		return false;
	}
	endpoint_finish(&endpoint);
	address->url = xstrdup(url);
	address->origin = endpoint_origin(url);
	address->region = endpoint_region_of_queue(url);
	address->fifo = len > 5 && strcmp(url + len - 5, ".fifo") == 0;
	return true;
}

void sqs_address_finish(struct sqs_address *address)
{
	free(address->url);
	free(address->origin);
	free(address->region);
	*address = (struct sqs_address){ 0 };
}

/* -- receiving ------------------------------------------------------------------------------------ */

struct sqs_input sqs_receive_input(const char *url, const struct sqs_receive *receive)
{
	static const char *const reads[] = {
		"Messages", "MessageId", "ReceiptHandle", "Body", "MD5OfBody",
		"Attributes", "ApproximateReceiveCount", "MessageGroupId", "SentTimestamp", NULL
	};
	struct buf text;

	begin(&text);
	put(&text, "QueueUrl", url);
	put_number(&text, "MaxNumberOfMessages", receive->max);
	put_number(&text, "WaitTimeSeconds", receive->wait_s);
	put_number(&text, "VisibilityTimeout", receive->visibility_s);
	/* Emulators of some years ago know only AttributeNames, AWS knows both. */
	put_all(&text, "MessageSystemAttributeNames");
	put_all(&text, "AttributeNames");
	if (receive->attempt_id != NULL)
		put(&text, "ReceiveRequestAttemptId", receive->attempt_id);
	return end(&text, reads);
}

/* SQS writes numbers as texts; emulators also as numbers. */
static int64_t number_at(const json_t *root, const char *path, int64_t otherwise)
{
	const char *text = json_at_string(root, path);
	int64_t value;
	char *end;

	if (text != NULL && *text != '\0') {
		value = strtoll(text, &end, 10);
		return *end == '\0' ? value : otherwise;
	}
	return json_at_integer(root, path, &value) ? value : otherwise;
}

static bool parse_received(const json_t *entry, struct sqs_received *out)
{
	const json_t *body = json_at(entry, "Body");
	int64_t deliveries = number_at(entry, "Attributes.ApproximateReceiveCount", 1);

	*out = (struct sqs_received){
		.id = json_at_string(entry, "MessageId"),
		.receipt = json_at_string(entry, "ReceiptHandle"),
		.body = json_is_string(body) ? json_string_value(body) : "",
		.body_bytes = json_string_length(body),
		.md5 = json_at_string(entry, "MD5OfBody"),
		.group = json_at_string(entry, "Attributes.MessageGroupId"),
		.deliveries = deliveries > 0 && deliveries <= INT32_MAX ? (unsigned)deliveries : 1,
		.sent_ms = number_at(entry, "Attributes.SentTimestamp", 0),
	};
	return out->id != NULL && out->id[0] != '\0' && out->receipt != NULL && out->receipt[0] != '\0';
}

size_t sqs_receive_parse(const json_t *doc, struct sqs_received out[SQS_BATCH], size_t *broken)
{
	const json_t *messages = json_object_get(doc, "Messages");
	const json_t *entry;
	size_t count = 0, i;

	*broken = messages != NULL && !json_is_array(messages) && !json_is_null(messages);
	json_array_foreach(messages, i, entry) {
		if (count < SQS_BATCH && parse_received(entry, &out[count]))
			count++;
		else
			(*broken)++;
	}
	return count;
}

bool sqs_body_intact(const struct sqs_received *received)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * MD5_BYTES + 1];
	unsigned size = 0;
	EVP_MD *md5;
	int ok;

	if (received->md5 == NULL)
		return true;
	md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	if (md5 == NULL)
		return true;
	ok = EVP_Digest(received->body, received->body_bytes, digest, &size, md5, NULL);
	EVP_MD_free(md5);
	if (ok != 1 || size != MD5_BYTES)
		return true;
	for (unsigned i = 0; i < size; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * size] = '\0';
	return strcmp(hex, received->md5) == 0;
}

/* -- batches -------------------------------------------------------------------------------------- */

/* Of any batch's answer. */
static const char *const batch_reads[] = { "Successful", "Failed", "Id", "Code", "Message", "SenderFault", NULL };

static void begin_batch(struct buf *text, const char *url)
{
	begin(text);
	put(text, "QueueUrl", url);
	json_write_name(text, "Entries");
	json_write_open(text, '[');
}

static void begin_entry(struct buf *text, size_t i)
{
	char id[24];

	snprintf(id, sizeof(id), "%zu", i);
	json_write_open(text, '{');
	put(text, "Id", id);
}

static struct sqs_input end_batch(struct buf *text)
{
	json_write_close(text, ']');
	return end(text, batch_reads);
}

struct sqs_input sqs_delete_input(const char *url, const struct sqs_entry *entries, size_t count)
{
	struct buf text;

	begin_batch(&text, url);
	for (size_t i = 0; i < count; i++) {
		begin_entry(&text, i);
		put(&text, "ReceiptHandle", entries[i].receipt);
		json_write_close(&text, '}');
	}
	return end_batch(&text);
}

struct sqs_input sqs_visibility_input(const char *url, const struct sqs_entry *entries, size_t count)
{
	struct buf text;

	begin_batch(&text, url);
	for (size_t i = 0; i < count; i++) {
		begin_entry(&text, i);
		put(&text, "ReceiptHandle", entries[i].receipt);
		put_number(&text, "VisibilityTimeout", entries[i].visibility_s);
		json_write_close(&text, '}');
	}
	return end_batch(&text);
}

/* What strangers gave. */
static bool put_given(struct buf *text, const char *member, const char *value)
{
	return value == NULL || json_write_member(text, member, value);
}

struct sqs_input sqs_send_input(const char *url, const struct sqs_outgoing *messages, size_t count)
{
	struct buf text;
	bool ok = true;

	begin_batch(&text, url);
	for (size_t i = 0; ok && i < count; i++) {
		begin_entry(&text, i);
		ok = put_given(&text, "MessageBody", messages[i].body) &&
		     put_given(&text, "MessageGroupId", messages[i].group) &&
		     put_given(&text, "MessageDeduplicationId", messages[i].dedup);
		json_write_close(&text, '}');
	}
	if (ok)
		return end_batch(&text);
	buf_finish(&text);
	return (struct sqs_input){ 0 };
}

static bool is_one_of(const char *code, const char *const *codes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}
#define IS_ONE_OF(code, codes) is_one_of(code, codes, sizeof(codes) / sizeof((codes)[0]))

static const char *const dead_handle_codes[] = {
	"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight",
};
/* Told about an entry although the sender can do nothing but try again. */
static const char *const passing_codes[] = {
	"RequestThrottled", "ThrottlingException", "Throttling", "KmsThrottled", "KMS.ThrottlingException",
	"OverLimit", "ServiceUnavailable", "InternalError", "InternalFailure", "InternalServerError",
};

enum sqs_outcome sqs_outcome_of(const char *code, const char *text, bool sender_fault)
{
	if (IS_ONE_OF(code, dead_handle_codes))
		return SQS_LOST;
	/* FIFO queues and extensions say it in words: "... Reason: The receipt handle has expired", "...
	 * Message does not exist or is not available for visibility timeout change". */
	if (strcmp(code, "InvalidParameterValue") == 0 && text != NULL &&
	    (strstr(text, "expired") != NULL || strstr(text, "does not exist") != NULL ||
	     strstr(text, "not available") != NULL))
		return SQS_LOST;
	return sender_fault && !IS_ONE_OF(code, passing_codes) ? SQS_DENIED : SQS_AGAIN;
}

bool sqs_is_beyond_total(const struct error *err)
{
	return strcmp(err->code, "InvalidParameterValue") == 0 && strstr(err->text, "Total VisibilityTimeout") != NULL;
}

static const enum error_kind kinds[] = {
	[SQS_DONE] = ERROR_NONE, [SQS_LOST] = ERROR_LOST, [SQS_AGAIN] = ERROR_TEMPORARY, [SQS_DENIED] = ERROR_INVALID,
};

static struct sqs_answer *answer_at(const json_t *entry, size_t count, struct sqs_answer *answers)
{
	int64_t i = number_at(entry, "Id", -1);

	return i >= 0 && (uint64_t)i < count ? &answers[i] : NULL;
}

static void take_failed(const json_t *entry, struct sqs_answer *answer)
{
	const char *code = json_at_string(entry, "Code");
	const char *text = json_at_string(entry, "Message");

	code = code != NULL ? code : "";
	answer->outcome = sqs_outcome_of(code, text, json_is_true(json_at(entry, "SenderFault")));
	error_set(&answer->error, kinds[answer->outcome], "%s: %s", code[0] != '\0' ? code : "failed",
		text != NULL ? text : "without a reason");
	error_set_code(&answer->error, code);
}

void sqs_batch_parse(const json_t *doc, size_t count, struct sqs_answer *answers)
{
	const json_t *entry;
	size_t i;

	for (i = 0; i < count; i++) {
		answers[i].outcome = SQS_AGAIN;
		error_set(&answers[i].error, ERROR_TEMPORARY, "the answer does not mention this entry");
	}
	json_array_foreach(json_object_get(doc, "Successful"), i, entry) {
		struct sqs_answer *answer = answer_at(entry, count, answers);

		if (answer != NULL)
			*answer = (struct sqs_answer){ .outcome = SQS_DONE };
	}
	json_array_foreach(json_object_get(doc, "Failed"), i, entry) {
		struct sqs_answer *answer = answer_at(entry, count, answers);

		if (answer != NULL)
			take_failed(entry, answer);
	}
}

/* -- attributes ----------------------------------------------------------------------------------- */

struct sqs_input sqs_attributes_input(const char *url)
{
	struct buf text;

	begin(&text);
	put(&text, "QueueUrl", url);
	put_all(&text, "AttributeNames");
	return end(&text, NULL);
}

/* A text that is too long is none: half an ARN is another one. */
static void keep_arn(char *out, const char *arn)
{
	if (arn != NULL && strlen(arn) < LIMIT_SQS_ARN_BYTES)
		snprintf(out, LIMIT_SQS_ARN_BYTES, "%s", arn);
	else
		out[0] = '\0';
}

/* RedrivePolicy is a text with JSON in it. */
static void parse_policy(const char *policy, struct sqs_attributes *attributes)
{
	json_t *doc = json_at_parse(policy, strlen(policy), NULL);

	attributes->max_receives = doc != NULL ? number_at(doc, "maxReceiveCount", -1) : -1;
	keep_arn(attributes->dead_letter, json_at_string(doc, "deadLetterTargetArn"));
	json_decref(doc);
}

void sqs_attributes_parse(const json_t *doc, struct sqs_attributes *attributes)
{
	const char *fifo = json_at_string(doc, "Attributes.FifoQueue");
	const char *policy = json_at_string(doc, "Attributes.RedrivePolicy");

	*attributes = (struct sqs_attributes){
		.fifo = fifo != NULL && strcmp(fifo, "true") == 0,
		.visibility_s = number_at(doc, "Attributes.VisibilityTimeout", -1),
		.visible = number_at(doc, "Attributes.ApproximateNumberOfMessages", -1),
		.hidden = number_at(doc, "Attributes.ApproximateNumberOfMessagesNotVisible", -1),
		.delayed = number_at(doc, "Attributes.ApproximateNumberOfMessagesDelayed", -1),
	};
	keep_arn(attributes->arn, json_at_string(doc, "Attributes.QueueArn"));
	if (policy != NULL && *policy != '\0')
		parse_policy(policy, attributes);
}

/* -- message move tasks --------------------------------------------------------------------------- */

struct sqs_input sqs_move_input(const char *source_arn, const char *destination_arn)
{
	struct buf text;

	begin(&text);
	put(&text, "SourceArn", source_arn);
	put(&text, "DestinationArn", destination_arn);
	return end(&text, NULL);
}

struct sqs_input sqs_move_list_input(const char *source_arn)
{
	struct buf text;

	begin(&text);
	put(&text, "SourceArn", source_arn);
	put_number(&text, "MaxResults", 10);
	return end(&text, NULL);
}

static enum sqs_move_state move_state(const char *status)
{
	static const struct {
		const char *status;
		enum sqs_move_state state;
	} states[] = {
		{ "RUNNING", SQS_MOVE_RUNNING }, { "CANCELLING", SQS_MOVE_RUNNING },
		{ "COMPLETED", SQS_MOVE_COMPLETED }, { "CANCELLED", SQS_MOVE_CANCELLED },
	};

	for (size_t i = 0; status != NULL && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(status, states[i].status) == 0)
			return states[i].state;
	}
	return SQS_MOVE_FAILED;
}

/* The order of the list is not documented, the time of the start is a member. */
void sqs_move_parse(const json_t *doc, struct sqs_move *move)
{
	const json_t *entry, *newest = NULL;
	int64_t latest = -1;
	size_t i;

	json_array_foreach(json_object_get(doc, "Results"), i, entry) {
		int64_t started = number_at(entry, "StartedTimestamp", 0);

		if (started > latest) {
			latest = started;
			newest = entry;
		}
	}
	*move = (struct sqs_move){ .state = SQS_MOVE_NONE, .started = -1, .total = -1 };
	if (newest == NULL)
		return;
	move->state = move_state(json_at_string(newest, "Status"));
	move->started = latest;
	move->moved = (uint64_t)number_at(newest, "ApproximateNumberOfMessagesMoved", 0);
	move->total = number_at(newest, "ApproximateNumberOfMessagesToMove", -1);
	move->destination = json_at_string(newest, "DestinationArn");
	move->failure = json_at_string(newest, "FailureReason");
}
