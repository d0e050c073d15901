/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns no held message: probes, sending by hand, looks, depth, redrives. */
#include "queue_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"

static const char standard[] = "https://sqs.eu-west-1.amazonaws.com/1/q";
static const char fifo[] = "https://sqs.eu-west-1.amazonaws.com/1/q.fifo";
static const char receive[] = "ReceiveMessage";
static const char change[] = "ChangeMessageVisibilityBatch";
static const char attributes[] = "GetQueueAttributes";
static const char start[] = "StartMessageMoveTask";
static const char list[] = "ListMessageMoveTasks";

static void on_probed(void *arg, const struct error *err)
{
	fixture_done(arg, err);
}

static void a_probe_is_no_receive(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_answer(attributes, "{\"Attributes\":{\"VisibilityTimeout\":\"30\"}}");
	fake_aws_fail(attributes, ERROR_REFUSED, "QueueDoesNotExist", "no such queue", NULL);
	queue_probe(fixture.queue, on_probed, &fixture);
	assert_int_equal(fixture.done, 0);
	fake_aws_run();
	assert_int_equal(fixture.done, 1);
	assert_int_equal(fixture.done_error.kind, ERROR_NONE);
	queue_probe(fixture.queue, on_probed, &fixture);
	fake_aws_run();
	assert_int_equal(fixture.done_error.kind, ERROR_REFUSED);
	assert_int_equal(fake_aws_count(receive), 0);
	fixture_end(&fixture);
}

struct sent {
	size_t calls, count;
	struct error error;
};

static void on_sent(void *arg, size_t count, const struct error *err)
{
	struct sent *sent = arg;

	sent->calls++;
	sent->count = count;
	sent->error = err != NULL ? *err : (struct error){ 0 };
}

static void run_errands(struct fixture *fixture, struct sent *sent)
{
	while (sent->calls == 0)
		ev_run(fixture->loop, EVRUN_ONCE);
}

static void only_failed_entries_are_sent_again(void **state)
{
	static const struct queue_outgoing messages[] = { { "a", "g", "1" }, { "b", "g", "2" }, { "c", "g", "3" } };
	struct fixture fixture;
	struct sent sent = { 0 };

	(void)state;
	fixture_begin(&fixture, fifo);
	fake_aws_answer("SendMessageBatch", "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"2\"}],\"Failed\":[{\"Id\":\"1\","
		"\"SenderFault\":false,\"Code\":\"InternalError\"}]}");
	fake_aws_answer("SendMessageBatch", "{\"Successful\":[{\"Id\":\"0\"}]}");
	queue_send(fixture.queue, messages, 3, on_sent, &sent);
	assert_int_equal(sent.calls, 0);
	run_errands(&fixture, &sent);
	assert_int_equal(sent.count, 3);
	assert_int_equal(sent.error.kind, ERROR_NONE);
	assert_int_equal(fake_aws_count("SendMessageBatch"), 2);
	assert_int_equal(json_array_size(json_at(fake_aws_nth("SendMessageBatch", 1)->input, "Entries")), 1);
	assert_string_equal(json_at_string(fake_aws_nth("SendMessageBatch", 1)->input, "Entries[0].MessageBody"), "b");
	fixture_end(&fixture);
}

static void what_cannot_be_sent_is_named(void **state)
{
	static const struct queue_outgoing messages[] = { { "a", NULL, NULL }, { "b", NULL, NULL } };
	static const struct queue_outgoing broken[] = { { "\xc3\x28", NULL, NULL } };
	struct fixture fixture;
	struct sent sent = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_answer("SendMessageBatch", "{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"1\",\"SenderFault\":true,"
		"\"Code\":\"InvalidMessageContents\",\"Message\":\"bad characters\"}]}");
	queue_send(fixture.queue, messages, 2, on_sent, &sent);
	run_errands(&fixture, &sent);
	assert_int_equal(sent.count, 1);
	assert_string_equal(sent.error.code, "InvalidMessageContents");
	assert_non_null(strstr(sent.error.text, "message 2 of 2"));
	sent = (struct sent){ 0 };
	queue_send(fixture.queue, broken, 1, on_sent, &sent);
	run_errands(&fixture, &sent);
	assert_int_equal(sent.count, 0);
	assert_int_equal(sent.error.kind, ERROR_INVALID);
	assert_int_equal(fake_aws_count("SendMessageBatch"), 1);
	fixture_end(&fixture);
}

/* -- looking -------------------------------------------------------------------------------------- */

struct look {
	size_t calls, count;
	char ids[256], bodies[256];
	unsigned deliveries;            /* of the last one */
	int64_t sent_ms;
	char group[16];
	struct error error;
	struct queue *destroy;
};

static void on_seen(void *arg, const struct queue_peeked *messages, size_t count, const struct error *err)
{
	struct look *look = arg;
	size_t ids = 0, bodies = 0;

	look->calls++;
	look->count = count;
	look->error = err != NULL ? *err : (struct error){ 0 };
	for (size_t i = 0; i < count && i < 20; i++) {
		ids += (size_t)snprintf(look->ids + ids, sizeof(look->ids) - ids, "%s ", messages[i].id);
		bodies += (size_t)snprintf(look->bodies + bodies, sizeof(look->bodies) - bodies, "%.*s ",
			(int)messages[i].body_bytes, messages[i].body);
		look->deliveries = messages[i].deliveries;
		look->sent_ms = messages[i].sent_ms;
		snprintf(look->group, sizeof(look->group), "%s", messages[i].group != NULL ? messages[i].group : "");
	}
	if (look->destroy != NULL)
		queue_destroy(look->destroy);
}

static void answer(unsigned first, unsigned n, const char *group)
{
	char *text = fixture_messages(first, n, group);

	fake_aws_answer(receive, text);
	free(text);
}

static int64_t asked(const char *member)
{
	int64_t value = -1;

	json_at_integer(fake_aws_nth(receive, fake_aws_count(receive) - 1)->input, member, &value);
	return value;
}

/* Until it has been told; errands wait a moment before each new try. */
static void run_look(struct fixture *fixture, const struct look *look)
{
	for (int i = 0; i < 50 && look->calls == 0; i++)
		fixture_pass(fixture, 0.5);
	assert_int_equal(look->calls, 1);
}

static void a_look_shows_and_gives_back(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	fake_aws_answer(receive, "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"ra\",\"Body\":\"one\",\"Attributes\":{"
		"\"ApproximateReceiveCount\":\"4\",\"SentTimestamp\":\"1767323045000\",\"MessageGroupId\":\"g\"}}]}");
	fake_aws_answer(receive, "{}");
	queue_peek(fixture.queue, 5, on_seen, &look);
	assert_int_equal(fake_aws_count(receive), 0);
	fake_aws_run();
	assert_int_equal(look.calls, 1);
	assert_int_equal(look.count, 1);
	assert_string_equal(look.ids, "a ");
	assert_string_equal(look.bodies, "one ");
	assert_string_equal(look.group, "g");
	assert_int_equal(look.deliveries, 4);
	assert_true(look.sent_ms == 1767323045000);
	assert_int_equal(look.error.kind, ERROR_NONE);
	assert_in_range(asked("VisibilityTimeout"), 5, 10);
	assert_int_equal(asked("WaitTimeSeconds"), 1);
	assert_int_equal(fake_aws_count(change), 1);
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 0)), "ra ");
	assert_int_equal(json_integer_value(json_at(fake_aws_nth(change, 0)->input, "Entries[0].VisibilityTimeout")), 0);
	/* Nothing of it is held. */
	assert_int_equal(fixture.sqs->face.figures.held, 0);
	fixture_end(&fixture);
}

static void a_look_takes_several_calls_and_shows_nothing_twice(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	answer(0, 10, NULL);
	answer(8, 4, NULL);
	answer(3, 2, NULL);
	answer(50, 10, NULL);
	queue_peek(fixture.queue, 200, on_seen, &look);
	fake_aws_run();
	assert_int_equal(look.calls, 1);
	assert_int_equal(look.count, 12);
	assert_string_equal(look.ids, "m0 m1 m2 m3 m4 m5 m6 m7 m8 m9 m10 m11 ");
	assert_int_equal(fake_aws_count(receive), 3);
	assert_in_range(asked("VisibilityTimeout"), 20, 30);
	/* Each once, under its newest handle, those of one receive together. */
	assert_int_equal(fake_aws_count(change), 3);
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 0)), "r0 r1 r2 r5 r6 r7 ");
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 1)), "r3 r4 ");
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 2)), "r8 r9 r10 r11 ");
	fixture_end(&fixture);
}

static void what_comes_again_in_a_look_goes_back_under_its_newest_handle(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	fake_aws_answer(receive, "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"old\",\"Body\":\"one\"}]}");
	fake_aws_answer(receive, "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"new\",\"Body\":\"one\",\"Attributes\":{"
		"\"ApproximateReceiveCount\":\"2\"}}]}");
	queue_peek(fixture.queue, 5, on_seen, &look);
	fake_aws_run();
	assert_int_equal(look.count, 1);
	assert_int_equal(look.deliveries, 2);
	assert_int_equal(fake_aws_count(change), 1);
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 0)), "new ");
	fixture_end(&fixture);
}

/* Its handle is somebody else's business by then. */
static void what_shows_by_itself_is_left_alone(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	answer(0, 2, NULL);
	queue_peek(fixture.queue, 5, on_seen, &look);
	fake_aws_run();
	assert_int_equal(fake_aws_open(receive), 1);
	fixture_pass(&fixture, 6);
	fake_aws_reply(receive, "{}");
	fake_aws_run();
	assert_int_equal(look.count, 2);
	assert_int_equal(fake_aws_count(change), 0);
	fixture_end(&fixture);
}

static void a_look_ends_at_its_number(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, fifo);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	answer(0, 10, "a");
	answer(10, 2, "b");
	queue_peek(fixture.queue, 12, on_seen, &look);
	fake_aws_run();
	assert_int_equal(look.count, 12);
	assert_int_equal(fake_aws_count(receive), 2);
	assert_int_equal(asked("MaxNumberOfMessages"), 2);
	/* Only its own repeats may bring the same ones. */
	assert_string_not_equal(json_at_string(fake_aws_nth(receive, 0)->input, "ReceiveRequestAttemptId"),
		json_at_string(fake_aws_nth(receive, 1)->input, "ReceiveRequestAttemptId"));
	fixture_end(&fixture);
}

static void what_was_looked_at_is_shown_until_it_is_answered(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	answer(0, 3, NULL);
	fake_aws_answer(receive, "{}");
	fake_aws_answer(change, "{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"1\",\"SenderFault\":false,\"Code\":"
		"\"InternalError\"},{\"Id\":\"2\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\"}]}");
	fake_aws_fail(change, ERROR_THROTTLED, "RequestThrottled", "slow down", NULL);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	queue_peek(fixture.queue, 10, on_seen, &look);
	run_look(&fixture, &look);
	assert_int_equal(look.count, 3);
	assert_int_equal(look.error.kind, ERROR_NONE);
	assert_int_equal(fake_aws_count(change), 3);
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 1)), "r1 ");
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 2)), "r1 ");
	fixture_end(&fixture);
}

static void a_look_does_not_try_for_ever(void **state)
{
	static const enum error_kind kinds[] = { ERROR_THROTTLED, ERROR_REFUSED };
	static const size_t tries[] = { 4, 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct fixture fixture;
		struct look look = { 0 };

		fixture_begin(&fixture, standard);
		answer(0, 3, NULL);
		fake_aws_answer(receive, "{}");
		for (int j = 0; j < 20; j++)
			fake_aws_fail(change, kinds[i], "", "no", NULL);
		queue_peek(fixture.queue, 10, on_seen, &look);
		run_look(&fixture, &look);
		assert_int_equal(look.count, 3);
		assert_int_equal(fake_aws_count(change), tries[i]);
		fixture_end(&fixture);
	}
}

static void a_look_that_fails_gives_back_what_it_saw(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	answer(0, 10, NULL);
	fake_aws_fail(receive, ERROR_REFUSED, "AccessDenied", "not you", NULL);
	queue_peek(fixture.queue, 100, on_seen, &look);
	fake_aws_run();
	assert_int_equal(look.count, 10);
	assert_string_equal(look.error.code, "AccessDenied");
	assert_int_equal(fake_aws_count(change), 1);
	fixture_end(&fixture);
}

static void a_look_at_an_empty_queue_calls_once(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_answer(receive, "{}");
	queue_peek(fixture.queue, 10, on_seen, &look);
	fake_aws_run();
	assert_int_equal(look.calls, 1);
	assert_int_equal(look.count, 0);
	assert_int_equal(look.error.kind, ERROR_NONE);
	assert_int_equal(fake_aws_count(receive), 1);
	assert_int_equal(fake_aws_count(change), 0);
	fixture_end(&fixture);
}

static void the_queue_may_go_in_a_look_or_under_it(void **state)
{
	struct fixture fixture;
	struct look look = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_answer(receive, "{}");
	look.destroy = fixture.queue;
	queue_peek(fixture.queue, 10, on_seen, &look);
	fake_aws_run();
	assert_int_equal(look.calls, 1);
	fixture.queue = NULL;
	fixture_end(&fixture);
	fixture_begin(&fixture, standard);
	answer(0, 3, NULL);
	look.destroy = NULL;
	queue_peek(fixture.queue, 3, on_seen, &look);
	fake_aws_run();
	assert_int_equal(fake_aws_open(change), 1);
	fixture_end(&fixture);
	assert_int_equal(look.calls, 1);
}

/* -- depth ---------------------------------------------------------------------------------------- */

struct measured {
	size_t calls;
	struct queue_depth depth;
	struct error error;
};

static void on_depth(void *arg, const struct queue_depth *depth, const struct error *err)
{
	struct measured *measured = arg;

	measured->calls++;
	measured->depth = *depth;
	measured->error = err != NULL ? *err : (struct error){ 0 };
}

static const char with_dead_letters[] = "{\"Attributes\":{\"QueueArn\":\"arn:q\",\"ApproximateNumberOfMessages\":\"7\","
	"\"ApproximateNumberOfMessagesNotVisible\":\"2\",\"ApproximateNumberOfMessagesDelayed\":\"1\",\"RedrivePolicy\":"
	"\"{\\\"deadLetterTargetArn\\\":\\\"arn:dead\\\",\\\"maxReceiveCount\\\":\\\"3\\\"}\"}}";

static void the_depth_is_what_the_queue_says(void **state)
{
	struct fixture fixture;
	struct measured measured = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_answer(attributes, with_dead_letters);
	fake_aws_answer(attributes, "{}");
	fake_aws_fail(attributes, ERROR_REFUSED, "AccessDenied", "not you", NULL);
	queue_depth(fixture.queue, on_depth, &measured);
	assert_int_equal(measured.calls, 0);
	fake_aws_run();
	assert_int_equal(measured.calls, 1);
	assert_int_equal(measured.depth.visible, 7);
	assert_int_equal(measured.depth.hidden, 2);
	assert_int_equal(measured.depth.delayed, 1);
	assert_int_equal(measured.depth.oldest_age_ms, -1);
	assert_int_equal(measured.depth.max_receives, 3);
	assert_string_equal(measured.depth.dead_letter, "arn:dead");
	queue_depth(fixture.queue, on_depth, &measured);
	fake_aws_run();
	assert_int_equal(measured.depth.visible, -1);
	assert_string_equal(measured.depth.dead_letter, "");
	assert_int_equal(measured.depth.max_receives, 0);
	queue_depth(fixture.queue, on_depth, &measured);
	fake_aws_run();
	assert_int_equal(measured.error.kind, ERROR_REFUSED);
	assert_int_equal(measured.depth.visible, -1);
	fixture_end(&fixture);
}

/* -- redrives ------------------------------------------------------------------------------------- */

struct redriven {
	size_t calls, looks;
	uint64_t moved, seen;
	int64_t total;
	struct error error;
};

static void on_progress(void *arg, uint64_t moved, int64_t total)
{
	struct redriven *redriven = arg;

	redriven->looks++;
	redriven->seen = moved;
	redriven->total = total;
}

static void on_redriven(void *arg, uint64_t moved, const struct error *err)
{
	struct redriven *redriven = arg;

	redriven->calls++;
	redriven->moved = moved;
	redriven->error = err != NULL ? *err : (struct error){ 0 };
}

static void begin_redrive(struct fixture *fixture, struct redriven *redriven)
{
	*redriven = (struct redriven){ 0 };
	fixture_begin(fixture, standard);
	fake_aws_answer(attributes, with_dead_letters);
}

static void run_redrive(struct fixture *fixture, struct redriven *redriven)
{
	queue_redrive(fixture->queue, on_progress, on_redriven, redriven);
	for (int i = 0; i < 200 && redriven->calls == 0; i++)
		fixture_pass(fixture, 1);
	assert_int_equal(redriven->calls, 1);
}

static void a_redrive_is_watched_to_its_end(void **state)
{
	struct fixture fixture;
	struct redriven redriven;

	(void)state;
	begin_redrive(&fixture, &redriven);
	fake_aws_answer(start, "{\"TaskHandle\":\"t\"}");
	fake_aws_answer(list, "{\"Results\":[{\"Status\":\"COMPLETED\",\"StartedTimestamp\":1,\"ApproximateNumberOfMessagesMoved\":7}]}");
	/* The list lags behind. */
	fake_aws_answer(list, "{\"Results\":[{\"Status\":\"COMPLETED\",\"StartedTimestamp\":1,\"ApproximateNumberOfMessagesMoved\":7}]}");
	fake_aws_answer(list, "{\"Results\":[{\"Status\":\"RUNNING\",\"StartedTimestamp\":2,\"ApproximateNumberOfMessagesMoved\":40,"
		"\"ApproximateNumberOfMessagesToMove\":90}]}");
	fake_aws_fail(list, ERROR_THROTTLED, "RequestThrottled", "slow down", NULL);
	fake_aws_answer(list, "{\"Results\":[{\"Status\":\"COMPLETED\",\"StartedTimestamp\":2,\"ApproximateNumberOfMessagesMoved\":91}]}");
	run_redrive(&fixture, &redriven);
	assert_int_equal(redriven.error.kind, ERROR_NONE);
	assert_int_equal(redriven.moved, 91);
	assert_int_equal(redriven.looks, 1);
	assert_int_equal(redriven.seen, 40);
	assert_int_equal(redriven.total, 90);
	assert_string_equal(json_at_string(fake_aws_nth(start, 0)->input, "SourceArn"), "arn:dead");
	assert_string_equal(json_at_string(fake_aws_nth(start, 0)->input, "DestinationArn"), "arn:q");
	assert_string_equal(json_at_string(fake_aws_nth(list, 0)->input, "SourceArn"), "arn:dead");
	fixture_end(&fixture);
}

static void without_a_dead_letter_queue_nothing_is_moved(void **state)
{
	struct fixture fixture;
	struct redriven redriven = { 0 };

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_answer(attributes, "{\"Attributes\":{\"QueueArn\":\"arn:q\"}}");
	run_redrive(&fixture, &redriven);
	assert_int_equal(redriven.error.kind, ERROR_INVALID);
	assert_int_equal(fake_aws_count(start), 0);
	fixture_end(&fixture);
}

/* What is under way before the start, what the start says, what the list says then. */
static void a_move_is_ours_when_it_leads_here(void **state)
{
	static const char none[] = "{\"Results\":[{\"Status\":\"COMPLETED\",\"StartedTimestamp\":1,\"DestinationArn\":\"arn:q\"}]}";
	static const char ours[] = "{\"Results\":[{\"Status\":\"RUNNING\",\"StartedTimestamp\":2,\"DestinationArn\":\"arn:q\"}]}";
	static const char other[] = "{\"Results\":[{\"Status\":\"RUNNING\",\"StartedTimestamp\":2,\"DestinationArn\":\"arn:o\"}]}";
	static const char back[] = "{\"Results\":[{\"Status\":\"RUNNING\",\"StartedTimestamp\":2}]}";
	static const char over[] = "{\"Results\":[{\"Status\":\"COMPLETED\",\"StartedTimestamp\":2,\"DestinationArn\":\"arn:q\","
		"\"ApproximateNumberOfMessagesMoved\":5}]}";
	static const struct {
		const char *name, *before;
		enum error_kind kind;
		const char *code, *after;
		size_t starts;
		enum error_kind want;
	} cases[] = {
		{ "not allowed", none, ERROR_REFUSED, "AccessDenied", none, 1, ERROR_REFUSED },
		{ "one to here runs already", ours, ERROR_NONE, "", over, 0, ERROR_NONE },
		{ "one to another queue runs", other, ERROR_NONE, "", over, 0, ERROR_INVALID },
		{ "one to where they came from runs", back, ERROR_NONE, "", over, 0, ERROR_INVALID },
		{ "somebody was quicker", none, ERROR_INVALID, "UnsupportedOperation", ours, 1, ERROR_NONE },
		{ "somebody was quicker, to another queue", none, ERROR_INVALID, "UnsupportedOperation", other, 1, ERROR_INVALID },
		{ "the answer was lost, and it is over already", none, ERROR_INVALID, "UnsupportedOperation", over, 1, ERROR_NONE },
		{ "no answer, and it runs", none, ERROR_AMBIGUOUS, "", ours, 1, ERROR_NONE },
		{ "no answer, and it is over", none, ERROR_AMBIGUOUS, "", over, 1, ERROR_NONE },
		{ "no answer, and nothing new", none, ERROR_AMBIGUOUS, "", none, 1, ERROR_AMBIGUOUS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct redriven redriven;

		begin_redrive(&fixture, &redriven);
		fake_aws_answer(list, cases[i].before);
		if (cases[i].kind != ERROR_NONE)
			fake_aws_fail(start, cases[i].kind, cases[i].code, "no", NULL);
		fake_aws_answer(list, cases[i].after);
		fake_aws_answer(list, over);
		run_redrive(&fixture, &redriven);
		if (redriven.error.kind != cases[i].want || fake_aws_count(start) != cases[i].starts)
			fail_msg("%s: %zu starts, %s", cases[i].name, fake_aws_count(start), redriven.error.text);
		if (cases[i].want == ERROR_NONE)
			assert_int_equal(redriven.moved, 5);
		fixture_end(&fixture);
	}
}

static void a_redrive_that_fails_says_why(void **state)
{
	static const struct {
		const char *status, *want;
	} cases[] = {
		{ "\"FAILED\",\"FailureReason\":\"CouldNotDetermineMessageSource\"", "CouldNotDetermineMessageSource" },
		{ "\"CANCELLED\"", "cancelled" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct redriven redriven;

		begin_redrive(&fixture, &redriven);
		fake_aws_answer(list, "{}");
		fake_aws_answer(start, "{}");
		snprintf(text, sizeof(text), "{\"Results\":[{\"Status\":%s,\"ApproximateNumberOfMessagesMoved\":3}]}", cases[i].status);
		fake_aws_answer(list, text);
		run_redrive(&fixture, &redriven);
		assert_int_equal(redriven.error.kind, ERROR_REFUSED);
		assert_non_null(strstr(redriven.error.text, cases[i].want));
		assert_int_equal(redriven.moved, 3);
		fixture_end(&fixture);
	}
}

static void a_redrive_nobody_can_see_is_given_up(void **state)
{
	static const enum error_kind kinds[] = { ERROR_TEMPORARY, ERROR_REFUSED };
	static const size_t tries[] = { 10, 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct fixture fixture;
		struct redriven redriven;

		begin_redrive(&fixture, &redriven);
		fake_aws_answer(list, "{}");
		fake_aws_answer(start, "{}");
		for (int j = 0; j < 20; j++)
			fake_aws_fail(list, kinds[i], "", "no", NULL);
		run_redrive(&fixture, &redriven);
		assert_int_equal(redriven.error.kind, kinds[i]);
		assert_int_equal(fake_aws_count(list), 1 + tries[i]);
		fixture_end(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_is_no_receive),
		cmocka_unit_test(only_failed_entries_are_sent_again),
		cmocka_unit_test(what_cannot_be_sent_is_named),
		cmocka_unit_test(a_look_shows_and_gives_back),
		cmocka_unit_test(a_look_takes_several_calls_and_shows_nothing_twice),
		cmocka_unit_test(what_comes_again_in_a_look_goes_back_under_its_newest_handle),
		cmocka_unit_test(what_shows_by_itself_is_left_alone),
		cmocka_unit_test(a_look_ends_at_its_number),
		cmocka_unit_test(what_was_looked_at_is_shown_until_it_is_answered),
		cmocka_unit_test(a_look_does_not_try_for_ever),
		cmocka_unit_test(a_look_that_fails_gives_back_what_it_saw),
		cmocka_unit_test(a_look_at_an_empty_queue_calls_once),
		cmocka_unit_test(the_queue_may_go_in_a_look_or_under_it),
		cmocka_unit_test(the_depth_is_what_the_queue_says),
		cmocka_unit_test(a_redrive_is_watched_to_its_end),
		cmocka_unit_test(without_a_dead_letter_queue_nothing_is_moved),
		cmocka_unit_test(a_move_is_ours_when_it_leads_here),
		cmocka_unit_test(a_redrive_that_fails_says_why),
		cmocka_unit_test(a_redrive_nobody_can_see_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
