/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sqs.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "../cmocka_all.h"

/* As the answer of a call that was made with input comes. */
static json_t *parse_answer(const char *text, struct sqs_input input)
{
	struct error err;
	json_t *doc = json_at_parse_wanted(text, strlen(text), input.reads, &err);

	if (doc == NULL)
		fail_msg("%s: %s", err.text, text);
	free(input.text);
	return doc;
}

static json_t *parse(const char *text)
{
	return parse_answer(text, (struct sqs_input){ 0 });
}

static json_t *parse_received(const char *text)
{
	static const struct sqs_receive receive = { .max = 10 };

	return parse_answer(text, sqs_receive_input("u", &receive));
}

static void addresses_are_taken_apart(void **state)
{
	static const struct { const char *url, *region, *origin; bool fifo, ok; } cases[] = {
		{ "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs", "eu-west-1", "https://sqs.eu-west-1.amazonaws.com", false, true },
		{ "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo", "eu-west-1", "https://sqs.eu-west-1.amazonaws.com", true, true },
		{ "https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1", "https://sqs.cn-north-1.amazonaws.com.cn", false, true },
		{ "https://eu-west-1.queue.amazonaws.com/1/q", "eu-west-1", "https://eu-west-1.queue.amazonaws.com", false, true },
		{ "https://queue.amazonaws.com/1/q", "us-east-1", "https://queue.amazonaws.com", false, true },
		{ "http://127.0.0.1:4566/000000000000/jobs.fifo", NULL, "http://127.0.0.1:4566", true, true },
		{ "http://localhost:9324/queue/jobs", NULL, "http://localhost:9324", false, true },
		{ "jobs", NULL, NULL, false, false },
		{ "redis://127.0.0.1/0", NULL, NULL, false, false },
		{ "https://sqs.eu-west-1.amazonaws.com/", NULL, NULL, false, false },
		{ "https://sqs.eu-west-1.amazonaws.com", NULL, NULL, false, false },
		{ "https://user:secret@sqs.eu-west-1.amazonaws.com/1/q", NULL, NULL, false, false },
		{ "", NULL, NULL, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sqs_address address;
		struct error err = { 0 };

		if (sqs_address_parse(&address, cases[i].url, &err) != cases[i].ok)
			fail_msg("%s: %s", cases[i].url, err.text);
		if (!cases[i].ok) {
			assert_int_equal(err.kind, ERROR_INVALID);
			continue;
		}
		assert_string_equal(address.url, cases[i].url);
		assert_string_equal(address.origin, cases[i].origin);
		assert_int_equal(address.fifo, cases[i].fifo);
		if (cases[i].region != NULL)
			assert_string_equal(address.region, cases[i].region);
		else
			assert_null(address.region);
		sqs_address_finish(&address);
	}
}

static void a_receive_asks_for_all_attributes_in_both_words(void **state)
{
	struct sqs_receive receive = { .max = 7, .wait_s = 20, .visibility_s = 120, .attempt_id = "a1" };
	struct sqs_input input = sqs_receive_input("https://x/1/q", &receive);

	(void)state;
	assert_string_equal(input.text, "{\"QueueUrl\":\"https://x/1/q\",\"MaxNumberOfMessages\":7,\"WaitTimeSeconds\":20,"
		"\"VisibilityTimeout\":120,\"MessageSystemAttributeNames\":[\"All\"],\"AttributeNames\":[\"All\"],"
		"\"ReceiveRequestAttemptId\":\"a1\"}");
	free(input.text);
}

static void replies_are_read_whatever_they_are(void **state)
{
	static const struct { const char *name, *doc; size_t count, broken; } cases[] = {
		{ "nothing there", "{}", 0, 0 },
		{ "null", "{\"Messages\":null}", 0, 0 },
		{ "empty", "{\"Messages\":[]}", 0, 0 },
		{ "another type", "{\"Messages\":\"none\"}", 0, 1 },
		{ "one", "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"r\",\"Body\":\"x\"}]}", 1, 0 },
		{ "no receipt", "{\"Messages\":[{\"MessageId\":\"a\",\"Body\":\"x\"}]}", 0, 1 },
		{ "no id", "{\"Messages\":[{\"ReceiptHandle\":\"r\",\"Body\":\"x\"}]}", 0, 1 },
		{ "a number as body", "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"r\",\"Body\":3}]}", 1, 0 },
		{ "good and bad", "{\"Messages\":[7,{\"MessageId\":\"a\",\"ReceiptHandle\":\"r\",\"Body\":\"x\"},null]}", 1, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sqs_received out[SQS_BATCH];
		json_t *doc = parse_received(cases[i].doc);
		size_t broken, count = sqs_receive_parse(doc, out, &broken);

		if (count != cases[i].count || broken != cases[i].broken)
			fail_msg("%s: %zu messages, %zu broken", cases[i].name, count, broken);
		json_decref(doc);
	}
}

static void no_more_than_ten_are_taken(void **state)
{
	struct sqs_received out[SQS_BATCH];
	json_t *doc = json_pack("{s:[]}", "Messages");
	size_t broken;

	(void)state;
	for (int i = 0; i < 12; i++)
		json_array_append_new(json_object_get(doc, "Messages"), json_pack("{s:s, s:s}", "MessageId", "a",
			"ReceiptHandle", "r"));
	assert_int_equal(sqs_receive_parse(doc, out, &broken), SQS_BATCH);
	assert_int_equal(broken, 2);
	json_decref(doc);
}

static void attributes_of_a_message_are_texts_or_numbers(void **state)
{
	struct sqs_received out[SQS_BATCH];
	json_t *doc = parse_received("{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"r\",\"Body\":\"h\\u00e9\",\"Attributes\":"
		"{\"ApproximateReceiveCount\":\"3\",\"MessageGroupId\":\"g\"}},{\"MessageId\":\"b\",\"ReceiptHandle\":\"s\","
		"\"Body\":\"\",\"Attributes\":{\"ApproximateReceiveCount\":4}},{\"MessageId\":\"c\",\"ReceiptHandle\":\"t\","
		"\"Attributes\":{\"ApproximateReceiveCount\":\"many\"}}]}");
	size_t broken;

	(void)state;
	assert_int_equal(sqs_receive_parse(doc, out, &broken), 3);
	assert_int_equal(out[0].deliveries, 3);
	assert_string_equal(out[0].group, "g");
	assert_int_equal(out[0].body_bytes, 3);
	assert_int_equal(out[1].deliveries, 4);
	assert_null(out[1].group);
	assert_int_equal(out[2].deliveries, 1);
	assert_string_equal(out[2].body, "");
	json_decref(doc);
}

static void a_message_is_read_whole(void **state)
{
	struct sqs_received out[SQS_BATCH];
	json_t *doc = parse_received("{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"r\",\"MD5OfBody\":\"5d\",\"Body\":\"b\","
		"\"Attributes\":{\"SenderId\":\"s\",\"SentTimestamp\":\"1700000000123\",\"ApproximateReceiveCount\":\"2\","
		"\"ApproximateFirstReceiveTimestamp\":\"1700000000456\",\"MessageGroupId\":\"g\"},\"MD5OfMessageAttributes\":\"6e\","
		"\"MessageAttributes\":{\"Body\":{\"StringValue\":\"x\",\"DataType\":\"String\"}}}]}");
	size_t broken;

	(void)state;
	assert_int_equal(sqs_receive_parse(doc, out, &broken), 1);
	assert_string_equal(out[0].id, "a");
	assert_string_equal(out[0].receipt, "r");
	assert_string_equal(out[0].body, "b");
	assert_string_equal(out[0].md5, "5d");
	assert_string_equal(out[0].group, "g");
	assert_int_equal(out[0].deliveries, 2);
	assert_int_equal(out[0].sent_ms, 1700000000123);
	assert_null(json_at(doc, "Messages[0].MessageAttributes"));
	json_decref(doc);
}

static void what_has_failed_says_why(void **state)
{
	struct sqs_answer answers[1];
	json_t *doc = parse_answer("{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"Odd\",\"Message\":\"it is\"}]}",
		sqs_visibility_input("u", NULL, 0));

	(void)state;
	sqs_batch_parse(doc, 1, answers);
	assert_int_equal(answers[0].outcome, SQS_DENIED);
	assert_string_equal(answers[0].error.text, "Odd: it is");
	json_decref(doc);
}

static void digests_are_compared(void **state)
{
	static const struct { const char *body, *md5; bool intact; } cases[] = {
		{ "hello", "5d41402abc4b2a76b9719d911017c592", true },
		{ "hello", "5d41402abc4b2a76b9719d911017c593", false },
		{ "hello!", "5d41402abc4b2a76b9719d911017c592", false },
		{ "hello", "", false },
		{ "hello", NULL, true },
		{ "", "d41d8cd98f00b204e9800998ecf8427e", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sqs_received received = {
			.body = cases[i].body, .body_bytes = strlen(cases[i].body), .md5 = cases[i].md5,
		};

		if (sqs_body_intact(&received) != cases[i].intact)
			fail_msg("case %zu", i);
	}
}

static void entry_ids_are_positions(void **state)
{
	static const struct sqs_entry entries[] = { { "same", 30 }, { "same", 0 } };
	struct sqs_input input = sqs_visibility_input("u", entries, 2);

	(void)state;
	assert_string_equal(input.text, "{\"QueueUrl\":\"u\",\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"same\",\"VisibilityTimeout\":30},"
		"{\"Id\":\"1\",\"ReceiptHandle\":\"same\",\"VisibilityTimeout\":0}]}");
	free(input.text);
	input = sqs_delete_input("u", entries, 1);
	assert_string_equal(input.text, "{\"QueueUrl\":\"u\",\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"same\"}]}");
	free(input.text);
}

static void sends_leave_out_what_is_not_given(void **state)
{
	static const struct sqs_outgoing good[] = { { "a", NULL, NULL }, { "b", "g", "d" } };
	static const struct sqs_outgoing bad[] = { { "a", NULL, NULL }, { "\xff", NULL, NULL } };
	struct sqs_input input = sqs_send_input("u", good, 2);

	(void)state;
	assert_string_equal(input.text, "{\"QueueUrl\":\"u\",\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"a\"},{\"Id\":\"1\","
		"\"MessageBody\":\"b\",\"MessageGroupId\":\"g\",\"MessageDeduplicationId\":\"d\"}]}");
	free(input.text);
	assert_null(sqs_send_input("u", bad, 2).text);
}

static void every_entry_of_an_answer_is_judged(void **state)
{
	static const struct { const char *name, *doc; enum sqs_outcome want[3]; } cases[] = {
		{ "all well", "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"}]}", { SQS_DONE, SQS_DONE, SQS_DONE } },
		{ "none mentioned", "{}", { SQS_AGAIN, SQS_AGAIN, SQS_AGAIN } },
		{ "one not mentioned", "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"2\"}],\"Failed\":[]}", { SQS_DONE, SQS_AGAIN, SQS_DONE } },
		{ "out of order", "{\"Failed\":[{\"Id\":\"2\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\"}],"
			"\"Successful\":[{\"Id\":\"1\"},{\"Id\":\"0\"}]}", { SQS_DONE, SQS_DONE, SQS_LOST } },
		{ "in both lists: failed", "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"}],\"Failed\":[{\"Id\":\"1\","
			"\"SenderFault\":false,\"Code\":\"InternalError\"}]}", { SQS_DONE, SQS_AGAIN, SQS_DONE } },
		{ "strange ids", "{\"Successful\":[{\"Id\":\"9\"},{\"Id\":\"-1\"},{\"Id\":\"x\"},{},7]}", { SQS_AGAIN, SQS_AGAIN, SQS_AGAIN } },
		{ "wrong types", "{\"Successful\":\"yes\",\"Failed\":{}}", { SQS_AGAIN, SQS_AGAIN, SQS_AGAIN } },
		{ "our own mistake", "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"InvalidIdFormat\"}]}", { SQS_DENIED, SQS_AGAIN, SQS_AGAIN } },
		{ "throttled as sender's fault", "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"RequestThrottled\"}]}", { SQS_AGAIN, SQS_AGAIN, SQS_AGAIN } },
		{ "no code", "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":false}]}", { SQS_AGAIN, SQS_AGAIN, SQS_AGAIN } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sqs_answer answers[3];
		json_t *doc = parse_answer(cases[i].doc, sqs_delete_input("u", NULL, 0));

		sqs_batch_parse(doc, 3, answers);
		for (size_t k = 0; k < 3; k++) {
			if (answers[k].outcome != cases[i].want[k])
				fail_msg("%s: entry %zu is %d", cases[i].name, k, answers[k].outcome);
			assert_int_equal(answers[k].outcome == SQS_DONE, answers[k].error.kind == ERROR_NONE);
		}
		json_decref(doc);
	}
}

static void dead_handles_are_recognised(void **state)
{
	static const struct { const char *code, *text; bool sender; enum sqs_outcome want; } cases[] = {
		{ "ReceiptHandleIsInvalid", "The input receipt handle is invalid.", true, SQS_LOST },
		{ "MessageNotInflight", NULL, true, SQS_LOST },
		{ "AWS.SimpleQueueService.MessageNotInflight", "", true, SQS_LOST },
		{ "InvalidParameterValue", "Value AQEB for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", true, SQS_LOST },
		{ "InvalidParameterValue", "Value x for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", true, SQS_LOST },
		{ "InvalidParameterValue", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]", true, SQS_DENIED },
		{ "InternalError", "", false, SQS_AGAIN },
		{ "OverLimit", "", true, SQS_AGAIN },
		{ "KmsThrottled", "", true, SQS_AGAIN },
		{ "AccessDenied", "", true, SQS_DENIED },
		{ "", NULL, false, SQS_AGAIN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum sqs_outcome got = sqs_outcome_of(cases[i].code, cases[i].text, cases[i].sender);

		if (got != cases[i].want)
			fail_msg("%s %s: %d", cases[i].code, cases[i].text, got);
	}
}

static void a_total_beyond_the_limit_is_told_from_the_rest(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ERROR_INVALID, "InvalidParameterValue: Total VisibilityTimeout for the message is beyond the limit");
	error_set_code(&err, "InvalidParameterValue");
	assert_true(sqs_is_beyond_total(&err));
	error_set_code(&err, "AccessDenied");
	assert_false(sqs_is_beyond_total(&err));
	error_set(&err, ERROR_INVALID, "InvalidParameterValue: something else");
	error_set_code(&err, "InvalidParameterValue");
	assert_false(sqs_is_beyond_total(&err));
}

static void depth_and_redrive_policy_are_read(void **state)
{
	struct sqs_attributes attributes;
	json_t *doc = parse("{\"Attributes\":{\"QueueArn\":\"arn:q\",\"ApproximateNumberOfMessages\":\"7\","
		"\"ApproximateNumberOfMessagesNotVisible\":\"2\",\"ApproximateNumberOfMessagesDelayed\":\"1\",\"RedrivePolicy\":"
		"\"{\\\"deadLetterTargetArn\\\":\\\"arn:dead\\\",\\\"maxReceiveCount\\\":3}\"}}");
	char *long_arn = calloc(1, LIMIT_SQS_ARN_BYTES + 1);

	(void)state;
	sqs_attributes_parse(doc, &attributes);
	assert_string_equal(attributes.arn, "arn:q");
	assert_string_equal(attributes.dead_letter, "arn:dead");
	assert_int_equal(attributes.visible, 7);
	assert_int_equal(attributes.hidden, 2);
	assert_int_equal(attributes.delayed, 1);
	json_decref(doc);
	memset(long_arn, 'a', LIMIT_SQS_ARN_BYTES);
	doc = json_pack("{s:{s:s}}", "Attributes", "QueueArn", long_arn);
	sqs_attributes_parse(doc, &attributes);
	assert_string_equal(attributes.arn, "");
	assert_int_equal(attributes.visible, -1);
	assert_int_equal(attributes.delayed, -1);
	json_decref(doc);
	free(long_arn);
}

static void the_newest_move_is_the_one_that_counts(void **state)
{
	static const struct {
		const char *doc;
		enum sqs_move_state state;
		uint64_t moved;
		int64_t total;
	} cases[] = {
		{ "{}", SQS_MOVE_NONE, 0, -1 },
		{ "{\"Results\":[]}", SQS_MOVE_NONE, 0, -1 },
		{ "{\"Results\":[{\"Status\":\"COMPLETED\",\"StartedTimestamp\":5,\"ApproximateNumberOfMessagesMoved\":3},"
			"{\"Status\":\"RUNNING\",\"StartedTimestamp\":9,\"ApproximateNumberOfMessagesMoved\":1,"
			"\"ApproximateNumberOfMessagesToMove\":8},{\"Status\":\"FAILED\",\"StartedTimestamp\":6}]}",
			SQS_MOVE_RUNNING, 1, 8 },
		{ "{\"Results\":[{\"Status\":\"CANCELLING\"}]}", SQS_MOVE_RUNNING, 0, -1 },
		{ "{\"Results\":[{\"Status\":\"CANCELLED\"}]}", SQS_MOVE_CANCELLED, 0, -1 },
		{ "{\"Results\":[{\"Status\":\"FAILED\",\"FailureReason\":\"why\"}]}", SQS_MOVE_FAILED, 0, -1 },
		{ "{\"Results\":[{\"Status\":\"NEWWORD\"}]}", SQS_MOVE_FAILED, 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sqs_move move;
		json_t *doc = parse(cases[i].doc);

		sqs_move_parse(doc, &move);
		assert_int_equal(move.state, cases[i].state);
		assert_int_equal(move.moved, cases[i].moved);
		assert_int_equal(move.total, cases[i].total);
		json_decref(doc);
	}
}

static void queue_attributes_are_read(void **state)
{
	static const struct { const char *doc; bool fifo; int64_t visibility_s, max_receives; } cases[] = {
		{ "{\"Attributes\":{\"FifoQueue\":\"true\",\"VisibilityTimeout\":\"30\",\"RedrivePolicy\":"
			"\"{\\\"deadLetterTargetArn\\\":\\\"arn:x\\\",\\\"maxReceiveCount\\\":\\\"5\\\"}\"}}", true, 30, 5 },
		{ "{\"Attributes\":{\"VisibilityTimeout\":\"0\",\"RedrivePolicy\":\"{\\\"maxReceiveCount\\\":1}\"}}", false, 0, 1 },
		{ "{\"Attributes\":{\"RedrivePolicy\":\"broken\"}}", false, -1, -1 },
		{ "{}", false, -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sqs_attributes attributes;
		json_t *doc = parse(cases[i].doc);

		sqs_attributes_parse(doc, &attributes);
		assert_int_equal(attributes.fifo, cases[i].fifo);
		assert_int_equal(attributes.visibility_s, cases[i].visibility_s);
		assert_int_equal(attributes.max_receives, cases[i].max_receives);
		json_decref(doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_taken_apart),
		cmocka_unit_test(a_receive_asks_for_all_attributes_in_both_words),
		cmocka_unit_test(replies_are_read_whatever_they_are),
		cmocka_unit_test(no_more_than_ten_are_taken),
		cmocka_unit_test(attributes_of_a_message_are_texts_or_numbers),
		cmocka_unit_test(a_message_is_read_whole),
		cmocka_unit_test(what_has_failed_says_why),
		cmocka_unit_test(digests_are_compared),
		cmocka_unit_test(entry_ids_are_positions),
		cmocka_unit_test(sends_leave_out_what_is_not_given),
		cmocka_unit_test(every_entry_of_an_answer_is_judged),
		cmocka_unit_test(dead_handles_are_recognised),
		cmocka_unit_test(queue_attributes_are_read),
		cmocka_unit_test(a_total_beyond_the_limit_is_told_from_the_rest),
		cmocka_unit_test(depth_and_redrive_policy_are_read),
		cmocka_unit_test(the_newest_move_is_the_one_that_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
