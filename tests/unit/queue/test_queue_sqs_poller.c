/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"

static const char standard[] = "https://sqs.eu-west-1.amazonaws.com/1/q";
static const char fifo[] = "https://sqs.eu-west-1.amazonaws.com/1/q.fifo";
static const char receive[] = "ReceiveMessage";

static int64_t asked(size_t n)
{
	int64_t max = -1;

	assert_true(json_at_integer(fake_aws_nth(receive, n)->input, "MaxNumberOfMessages", &max));
	return max;
}

static void answer(struct fixture *fixture, unsigned first, unsigned n)
{
	char *text = fixture_messages(first, n, NULL);

	fake_aws_reply(receive, text);
	free(text);
	fake_aws_run();
	(void)fixture;
}

static void nothing_is_asked_before_the_start_or_without_room(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_set_room(fixture.queue, 5);
	fake_aws_run();
	assert_int_equal(fake_aws_count(receive), 0);
	queue_set_room(fixture.queue, 0);
	queue_start(fixture.queue);
	fake_aws_run();
	assert_int_equal(fake_aws_count(receive), 0);
	queue_set_room(fixture.queue, 3);
	fake_aws_run();
	assert_int_equal(fake_aws_count(receive), 1);
	assert_int_equal(asked(0), 3);
	fixture_end(&fixture);
}

static void a_poll_says_what_it_must(void **state)
{
	struct fixture fixture;
	const struct fake_call *call;
	int64_t value;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 100);
	fake_aws_run();
	call = fake_aws_nth(receive, 0);
	assert_string_equal(json_at_string(call->input, "QueueUrl"), standard);
	assert_string_equal(call->region, "eu-west-1");
	assert_string_equal(call->endpoint, "https://sqs.eu-west-1.amazonaws.com");
	assert_true(call->long_poll);
	assert_int_equal(call->timeout_ms, 30000);
	assert_true(json_at_integer(call->input, "WaitTimeSeconds", &value) && value == 20);
	assert_true(json_at_integer(call->input, "VisibilityTimeout", &value) && value == 100);
	assert_null(json_at(call->input, "ReceiveRequestAttemptId"));
	fixture_end(&fixture);
}

static void an_idle_queue_costs_one_poll(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 1000);
	fake_aws_run();
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(fake_aws_open(receive), 1);
		clock_shift(20, 20000);
		fake_aws_reply(receive, "{}");
		fake_aws_run();
		assert_int_equal(fake_aws_count(receive), i + 1);
	}
	assert_int_equal(fixture.sqs->face.figures.empty_receives, 5);
	assert_int_equal(fixture.sqs->face.figures.receiving, 1);
	fixture_end(&fixture);
}

/* Rounds that come back full, until so many polls are open; returns how many messages that took. */
static unsigned grow_polls(struct fixture *fixture, unsigned count)
{
	unsigned next = 0;

	queue_start(fixture->queue);
	queue_set_room(fixture->queue, 5000);
	fake_aws_run();
	for (unsigned open = 1; open < count; open++) {
		for (unsigned i = 0; i < open; i++, next += 10) {
			assert_int_equal(fake_aws_open(receive), open);
			answer(fixture, next, 10);
		}
	}
	return next;
}

static void polls_grow_by_one_each_round_that_comes_back_full(void **state)
{
	struct fixture fixture;
	unsigned next;

	(void)state;
	fixture_begin(&fixture, standard);
	next = grow_polls(&fixture, 16);
	assert_int_equal(fake_aws_open(receive), 16);
	answer(&fixture, next, 10);
	assert_int_equal(fake_aws_open(receive), 16);
	assert_int_equal(fixture.held_count, 1210);
	/* One empty answer is enough to stop asking so much: the others end and are not opened again. */
	while (fake_aws_open(receive) > 1) {
		clock_shift(20, 20000);
		fake_aws_reply(receive, "{}");
		fake_aws_run();
	}
	assert_int_equal(fake_aws_open(receive), 1);
	fixture_end(&fixture);
}

static void open_polls_never_ask_for_more_than_there_is_room_for(void **state)
{
	struct fixture fixture;
	int64_t sum = 0;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 45);
	fake_aws_run();
	answer(&fixture, 0, 10);
	answer(&fixture, 10, 10);
	answer(&fixture, 20, 10);
	/* 15 left; the thin rest of 5 waits a moment for more room. */
	assert_int_equal(fake_aws_open(receive), 1);
	fixture_pass(&fixture, 0.6);
	assert_int_equal(fake_aws_open(receive), 2);
	for (size_t i = 3; i < fake_aws_count(receive); i++)
		sum += asked(i);
	assert_int_equal(sum, 15);
	fixture_end(&fixture);
}

static void a_full_holder_asks_for_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 10);
	fake_aws_run();
	answer(&fixture, 0, 10);
	fixture_pass(&fixture, 60);
	assert_int_equal(fake_aws_open(receive), 0);
	queue_set_room(fixture.queue, 10);
	fake_aws_run();
	assert_int_equal(fake_aws_open(receive), 1);
	fixture_end(&fixture);
}

static void each_fifo_poll_has_its_own_attempt_id(void **state)
{
	struct fixture fixture;
	char first[64];

	(void)state;
	fixture_begin(&fixture, fifo);
	assert_true(queue_ordered(fixture.queue));
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 100);
	fake_aws_run();
	snprintf(first, sizeof(first), "%s", json_at_string(fake_aws_nth(receive, 0)->input, "ReceiveRequestAttemptId"));
	assert_int_equal(strlen(first), 32);
	answer(&fixture, 0, 1);
	assert_string_not_equal(json_at_string(fake_aws_nth(receive, 1)->input, "ReceiveRequestAttemptId"), first);
	fixture_end(&fixture);
}

static void messages_come_in_the_queues_order(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, fifo);
	fixture_receive(&fixture, 0, 10, "g");
	assert_int_equal(fixture.held_count, 10);
	for (unsigned i = 0; i < 10; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%u", i);
		assert_string_equal(fixture.held[i]->id, id);
		assert_string_equal(fixture.held[i]->group, "g");
		assert_int_equal(fixture.held[i]->deliveries, 1);
	}
	fixture_end(&fixture);
}

static void failures_are_paced_and_recovery_is_seen(void **state)
{
	static const struct { enum error_kind kind; double not_before_s, surely_s; } cases[] = {
		{ ERROR_AMBIGUOUS, 0.2, 1 },
		{ ERROR_THROTTLED, 0.2, 1 },
		{ ERROR_REFUSED, 14, 31 },
		{ ERROR_INVALID, 14, 31 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct queue_figures figures;

		fixture_begin(&fixture, standard);
		queue_start(fixture.queue);
		queue_set_room(fixture.queue, 100);
		fake_aws_run();
		fake_aws_reply_error(receive, cases[i].kind, "SomeCode", "some text");
		fake_aws_run();
		queue_figures(fixture.queue, &figures);
		assert_true(figures.degraded);
		assert_string_equal(figures.error.code, "SomeCode");
		assert_int_equal(fake_aws_open(receive), 0);
		fixture_pass(&fixture, cases[i].not_before_s);
		assert_int_equal(fake_aws_open(receive), 0);
		fixture_pass(&fixture, cases[i].surely_s - cases[i].not_before_s);
		assert_int_equal(fake_aws_open(receive), 1);
		fake_aws_reply(receive, "{}");
		fake_aws_run();
		queue_figures(fixture.queue, &figures);
		assert_false(figures.degraded);
		assert_int_equal(figures.failures, 1);
		fixture_end(&fixture);
	}
}

static void failures_in_a_row_wait_longer(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 100);
	fake_aws_run();
	for (int i = 0; i < 10; i++) {
		fake_aws_reply_error(receive, ERROR_TEMPORARY, "", "connection refused");
		fake_aws_run();
		fixture_pass(&fixture, 30);
		assert_int_equal(fake_aws_open(receive), 1);
	}
	fake_aws_reply_error(receive, ERROR_TEMPORARY, "", "connection refused");
	fake_aws_run();
	fixture_pass(&fixture, 14);
	assert_int_equal(fake_aws_open(receive), 0);
	fixture_end(&fixture);
}

static void a_server_that_does_not_wait_is_not_asked_in_a_loop(void **state)
{
	struct fixture fixture;
	size_t before;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 100);
	fake_aws_run();
	for (int i = 0; i < 8; i++) {
		fake_aws_reply(receive, "{}");
		fake_aws_run();
		fixture_pass(&fixture, 5.1);
	}
	before = fake_aws_count(receive);
	fake_aws_reply(receive, "{}");
	fake_aws_run();
	fixture_pass(&fixture, 4);
	assert_int_equal(fake_aws_count(receive), before);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fake_aws_count(receive), before + 1);
	fixture_end(&fixture);
}

/* A proxy that is restarted cuts all of them; nobody is to wait for seconds because there were many. */
static void polls_that_end_together_are_one_reason_to_pause(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	grow_polls(&fixture, 8);
	assert_int_equal(fake_aws_open(receive), 8);
	for (unsigned i = 0; i < 8; i++) {
		fake_aws_reply(receive, "{}");
		fake_aws_run();
	}
	assert_int_equal(fake_aws_open(receive), 0);
	fixture_pass(&fixture, 0.25);
	assert_int_equal(fake_aws_open(receive), 1);
	fixture_end(&fixture);
}

static void a_poll_that_never_ends_is_given_up(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 100);
	fake_aws_run();
	fixture_pass(&fixture, 60);
	assert_false(fake_aws_nth(receive, 0)->cancelled);
	fixture_pass(&fixture, 31);
	assert_true(fake_aws_nth(receive, 0)->cancelled);
	assert_int_equal(fixture.sqs->face.figures.failures, 1);
	fixture_pass(&fixture, 1);
	assert_int_equal(fake_aws_open(receive), 1);
	fixture_end(&fixture);
}

static void a_damaged_body_goes_back_unread(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise("ChangeMessageVisibilityBatch", fake_aws_all_succeed, NULL);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 10);
	fake_aws_run();
	fake_aws_reply(receive, "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"ra\",\"Body\":\"x\",\"MD5OfBody\":"
		"\"00000000000000000000000000000000\"},{\"MessageId\":\"b\",\"ReceiptHandle\":\"rb\",\"Body\":\"hello\","
		"\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\"}]}");
	fake_aws_run();
	assert_int_equal(fixture.held_count, 1);
	assert_string_equal(fixture.held[0]->id, "b");
	assert_int_equal(fake_aws_count("ChangeMessageVisibilityBatch"), 1);
	assert_string_equal(fixture_receipts(fake_aws_nth("ChangeMessageVisibilityBatch", 0)), "ra ");
	assert_int_equal(fixture.sqs->face.figures.held, 1);
	assert_int_equal(fixture.sqs->face.figures.failures, 1);
	fixture_end(&fixture);
}

/* Group g: a is fine, b is damaged, c must not run before b comes again.  d is of another group. */
static void a_damaged_message_takes_the_later_ones_of_its_group_back(void **state)
{
	static const struct {
		const char *url, *kept, *back;
	} cases[] = {
		{ fifo, "a d ", "rb rc " },
		{ standard, "a c d ", "rb " },
	};
	static const char entry[] = "{\"MessageId\":\"%s\",\"ReceiptHandle\":\"r%s\",\"Body\":\"hello\",\"MD5OfBody\":\"%s\","
		"\"Attributes\":{\"MessageGroupId\":\"%s\"}}%s";
	static const char right[] = "5d41402abc4b2a76b9719d911017c592", wrong[] = "5d41402abc4b2a76b9719d911017c593";
	char reply[2048], kept[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		size_t used = (size_t)snprintf(reply, sizeof(reply), "{\"Messages\":[");

		used += (size_t)snprintf(reply + used, sizeof(reply) - used, entry, "a", "a", right, "g", ",");
		used += (size_t)snprintf(reply + used, sizeof(reply) - used, entry, "b", "b", wrong, "g", ",");
		used += (size_t)snprintf(reply + used, sizeof(reply) - used, entry, "c", "c", right, "g", ",");
		used += (size_t)snprintf(reply + used, sizeof(reply) - used, entry, "d", "d", right, "h", "]}");
		fixture_begin(&fixture, cases[i].url);
		fake_aws_otherwise("ChangeMessageVisibilityBatch", fake_aws_all_succeed, NULL);
		queue_start(fixture.queue);
		queue_set_room(fixture.queue, 10);
		fake_aws_run();
		fake_aws_reply(receive, reply);
		fake_aws_run();
		kept[0] = '\0';
		for (size_t j = 0; j < fixture.held_count; j++)
			snprintf(kept + 2 * j, sizeof(kept) - 2 * j, "%s ", fixture.held[j]->id);
		assert_string_equal(kept, cases[i].kept);
		assert_string_equal(fixture_receipts(fake_aws_nth("ChangeMessageVisibilityBatch", 0)), cases[i].back);
		assert_int_equal(fixture.sqs->face.figures.failures, 1);
		fixture_end(&fixture);
	}
}

static void a_stop_lets_open_polls_end_and_bring_messages(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 100);
	fake_aws_run();
	queue_stop(fixture.queue, fixture_stopped, &fixture);
	fake_aws_run();
	assert_int_equal(fixture.stopped, 0);
	assert_false(fake_aws_nth(receive, 0)->cancelled);
	answer(&fixture, 0, 2);
	assert_int_equal(fixture.held_count, 2);
	assert_int_equal(fixture.stopped, 1);
	fixture_pass(&fixture, 5);
	assert_int_equal(fake_aws_count(receive), 1);
	assert_int_equal(fixture.stopped, 1);
	fixture_end(&fixture);
}

static void a_stop_while_paused_is_told_too(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	queue_start(fixture.queue);
	queue_stop(fixture.queue, fixture_stopped, &fixture);
	assert_int_equal(fixture.stopped, 0);
	fake_aws_run();
	assert_int_equal(fixture.stopped, 1);
	fixture_end(&fixture);
}

static void the_queue_may_go_while_it_speaks(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture.destroy_in_received = true;
	queue_start(fixture.queue);
	queue_set_room(fixture.queue, 10);
	fake_aws_run();
	answer(&fixture, 0, 3);
	assert_null(fixture.queue);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_asked_before_the_start_or_without_room),
		cmocka_unit_test(a_poll_says_what_it_must),
		cmocka_unit_test(an_idle_queue_costs_one_poll),
		cmocka_unit_test(polls_grow_by_one_each_round_that_comes_back_full),
		cmocka_unit_test(open_polls_never_ask_for_more_than_there_is_room_for),
		cmocka_unit_test(a_full_holder_asks_for_nothing),
		cmocka_unit_test(each_fifo_poll_has_its_own_attempt_id),
		cmocka_unit_test(messages_come_in_the_queues_order),
		cmocka_unit_test(failures_are_paced_and_recovery_is_seen),
		cmocka_unit_test(failures_in_a_row_wait_longer),
		cmocka_unit_test(a_server_that_does_not_wait_is_not_asked_in_a_loop),
		cmocka_unit_test(polls_that_end_together_are_one_reason_to_pause),
		cmocka_unit_test(a_poll_that_never_ends_is_given_up),
		cmocka_unit_test(a_damaged_body_goes_back_unread),
		cmocka_unit_test(a_damaged_message_takes_the_later_ones_of_its_group_back),
		cmocka_unit_test(a_stop_lets_open_polls_end_and_bring_messages),
		cmocka_unit_test(a_stop_while_paused_is_told_too),
		cmocka_unit_test(the_queue_may_go_while_it_speaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
