/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_fixture.h"

#include <string.h>

#include "base/json_at.h"

static const char standard[] = "https://sqs.eu-west-1.amazonaws.com/1/q";
static const char fifo[] = "https://sqs.eu-west-1.amazonaws.com/1/q.fifo";
static const char delete[] = "DeleteMessageBatch";
static const char change[] = "ChangeMessageVisibilityBatch";

static void settle_all(struct fixture *fixture, size_t from, size_t count, enum queue_verdict verdict)
{
	for (size_t i = from; i < from + count; i++)
		queue_settle(fixture->held[i], verdict, fixture_done, fixture);
}

static void ten_deletes_go_at_once(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 10, NULL);
	fixture_receive(&fixture, 10, 3, NULL);
	settle_all(&fixture, 0, 9, QUEUE_DONE);
	assert_int_equal(fake_aws_count(delete), 0);
	settle_all(&fixture, 9, 4, QUEUE_DONE);
	assert_int_equal(fake_aws_count(delete), 1);
	assert_int_equal(fixture.done, 0);
	fake_aws_run();
	assert_int_equal(fixture.done, 10);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fake_aws_count(delete), 2);
	assert_string_equal(fixture_receipts(fake_aws_nth(delete, 1)), "r10 r11 r12 ");
	assert_int_equal(fixture.done, 13);
	assert_int_equal(fixture.sqs->face.figures.held, 0);
	assert_int_equal(fixture.sqs->face.figures.settled, 13);
	fixture_end(&fixture);
}

static void every_entry_is_sent_until_it_is_answered(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_answer(delete, "{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"1\",\"SenderFault\":false,\"Code\":"
		"\"InternalError\"}]}");
	fake_aws_fail(delete, ERROR_AMBIGUOUS, "", "timeout", NULL);
	fake_aws_fail(delete, ERROR_REFUSED, "AccessDenied", "not you", NULL);
	fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 3, NULL);
	settle_all(&fixture, 0, 3, QUEUE_DONE);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fixture.done, 1);
	fixture_pass(&fixture, 0.6);
	assert_string_equal(fixture_receipts(fake_aws_nth(delete, 1)), "r1 r2 ");
	assert_int_equal(fixture.done, 1);
	fixture_pass(&fixture, 2);
	assert_int_equal(fake_aws_count(delete), 3);
	fixture_pass(&fixture, 10);
	assert_int_equal(fake_aws_count(delete), 3);
	fixture_pass(&fixture, 120);
	assert_int_equal(fake_aws_count(delete), 4);
	assert_int_equal(fixture.done, 3);
	assert_int_equal(fixture.done_error.kind, ERROR_NONE);
	fixture_end(&fixture);
}

static void a_dead_handle_ends_as_lost(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, fifo);
	fake_aws_answer(delete, "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"InvalidParameterValue\",\"Message\":"
		"\"Value r0 for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.\"}]}");
	fixture_receive(&fixture, 0, 1, "g");
	settle_all(&fixture, 0, 1, QUEUE_DONE);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fixture.done, 1);
	assert_int_equal(fixture.done_error.kind, ERROR_LOST);
	assert_string_equal(fixture.done_error.code, "InvalidParameterValue");
	fixture_end(&fixture);
}

static void a_renewal_under_way_is_awaited(void **state)
{
	static const enum queue_verdict verdicts[] = { QUEUE_DONE, QUEUE_RETURN };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct fixture fixture;
		size_t renewals;

		fixture_begin(&fixture, standard);
		fixture_receive(&fixture, 0, 1, NULL);
		fixture_pass(&fixture, 51);
		renewals = fake_aws_count(change);
		assert_int_equal(renewals, 1);
		settle_all(&fixture, 0, 1, verdicts[i]);
		fixture_pass(&fixture, 5);
		assert_int_equal(fake_aws_count(delete) + fake_aws_count(change), 1);
		fake_aws_reply(change, "{\"Successful\":[{\"Id\":\"0\"}]}");
		fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
		fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
		fake_aws_run();
		fixture_pass(&fixture, 1.1);
		assert_int_equal(fake_aws_count(delete) + fake_aws_count(change), 2);
		assert_int_equal(fixture.done, 1);
		assert_int_equal(fixture.renewed, 0);
		fixture_end(&fixture);
	}
}

static void nothing_is_renewed_once_it_is_settled(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture_receive(&fixture, 0, 2, NULL);
	settle_all(&fixture, 0, 2, QUEUE_DONE);
	fixture_pass(&fixture, 60);
	assert_int_equal(fake_aws_count(delete), 1);
	assert_int_equal(fake_aws_count(change), 0);
	fixture_end(&fixture);
}

static void a_groups_tail_goes_back_in_one_call_in_order(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, fifo);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 10, "g");
	fixture_receive(&fixture, 10, 4, "g");
	queue_return(fixture.held + 2, 8);
	assert_int_equal(fake_aws_count(change), 0);
	fake_aws_run();
	fixture_pass(&fixture, 0.1);
	assert_int_equal(fake_aws_count(change), 1);
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 0)), "r2 r3 r4 r5 r6 r7 r8 r9 ");
	for (unsigned i = 0; i < 8; i++) {
		char path[64];
		int64_t seconds = -1;

		snprintf(path, sizeof(path), "Entries[%u].VisibilityTimeout", i);
		assert_true(json_at_integer(fake_aws_nth(change, 0)->input, path, &seconds) && seconds == 0);
	}
	assert_int_equal(fixture.sqs->face.figures.held, 6);
	fixture_end(&fixture);
}

static void a_long_tail_goes_back_ten_a_call(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, fifo);
	fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 10, "g");
	fixture_receive(&fixture, 10, 10, "g");
	fixture_receive(&fixture, 20, 3, "g");
	queue_return(fixture.held, 23);
	fixture_pass(&fixture, 0.1);
	assert_int_equal(fake_aws_count(change), 3);
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 0)), "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 ");
	assert_string_equal(fixture_receipts(fake_aws_nth(change, 2)), "r20 r21 r22 ");
	assert_int_equal(fixture.sqs->face.figures.held, 0);
	fixture_end(&fixture);
}

static void a_release_that_cannot_be_made_ends_with_its_lease(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	for (int i = 0; i < 40; i++)
		fake_aws_fail(change, ERROR_TEMPORARY, "", "connection refused", NULL);
	fixture_receive(&fixture, 0, 1, NULL);
	settle_all(&fixture, 0, 1, QUEUE_RETURN);
	fixture_pass(&fixture, 0.1);
	fixture_pass(&fixture, 50);
	assert_int_equal(fixture.done, 0);
	fixture_pass(&fixture, 50);
	assert_int_equal(fixture.done, 1);
	assert_int_equal(fixture.done_error.kind, ERROR_TEMPORARY);
	fixture_end(&fixture);
}

static void a_dead_letter_that_nobody_takes_is_not_shown_in_a_loop(void **state)
{
	static const struct { unsigned deliveries; int64_t want_s; } cases[] = { { 1, 0 }, { 20, 0 }, { 21, 100 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		int64_t seconds = -1;

		fixture_begin(&fixture, standard);
		fake_aws_otherwise(change, fake_aws_all_succeed, NULL);
		fixture_receive(&fixture, 0, 1, NULL);
		fixture.held[0]->deliveries = cases[i].deliveries;
		settle_all(&fixture, 0, 1, QUEUE_DEAD);
		fixture_pass(&fixture, 0.1);
		assert_true(json_at_integer(fake_aws_nth(change, 0)->input, "Entries[0].VisibilityTimeout", &seconds));
		assert_int_equal(seconds, cases[i].want_s);
		assert_int_equal(fixture.done, 1);
		fixture_end(&fixture);
	}
}

static void a_delete_with_a_handle_that_got_old_is_repeated_with_the_newest(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture_receive(&fixture, 0, 1, NULL);
	settle_all(&fixture, 0, 1, QUEUE_DONE);
	fixture_pass(&fixture, 1.1);
	assert_string_equal(fixture_receipts(fake_aws_nth(delete, 0)), "r0 ");
	fixture_receive(&fixture, 5, 1, NULL);
	queue_supersede(fixture.held[0], fixture.held[1]);
	fake_aws_reply(delete, "{\"Successful\":[{\"Id\":\"0\"}]}");
	fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
	fake_aws_run();
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fake_aws_count(delete), 2);
	assert_string_equal(fixture_receipts(fake_aws_nth(delete, 1)), "r5 ");
	assert_int_equal(fixture.done, 1);
	fixture_end(&fixture);
}

static void a_batch_that_is_refused_is_taken_apart(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_fail(delete, ERROR_LOST, "ReceiptHandleIsInvalid", "one of them", NULL);
	fake_aws_fail(delete, ERROR_LOST, "ReceiptHandleIsInvalid", "this one", NULL);
	fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 3, NULL);
	settle_all(&fixture, 0, 3, QUEUE_DONE);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fixture.done, 0);
	fixture_pass(&fixture, 0.6);
	assert_int_equal(fake_aws_count(delete), 4);
	assert_int_equal(fixture.done, 3);
	fixture_end(&fixture);
}

static void a_stop_sends_what_lingers(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 3, NULL);
	settle_all(&fixture, 0, 2, QUEUE_DONE);
	queue_stop(fixture.queue, NULL, NULL);
	assert_int_equal(fake_aws_count(delete), 1);
	fake_aws_run();
	assert_int_equal(fixture.done, 2);
	settle_all(&fixture, 2, 1, QUEUE_DONE);
	fake_aws_run();
	assert_int_equal(fake_aws_count(delete), 2);
	fixture_end(&fixture);
}

static void a_stop_is_over_when_the_settles_are_answered(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture_receive(&fixture, 0, 2, NULL);
	settle_all(&fixture, 0, 1, QUEUE_DONE);
	queue_return(&fixture.held[1], 1);
	queue_stop(fixture.queue, fixture_stopped, &fixture);
	fake_aws_reply("ReceiveMessage", "{}");
	fake_aws_run();
	assert_int_equal(fixture.stopped, 0);
	fake_aws_reply(delete, "{\"Successful\":[{\"Id\":\"0\"}]}");
	fake_aws_run();
	assert_int_equal(fixture.stopped, 0);
	fake_aws_reply(change, "{\"Successful\":[{\"Id\":\"0\"}]}");
	fake_aws_run();
	assert_int_equal(fixture.stopped, 1);
	fixture_end(&fixture);
}

/* A message whose renewal is under way enters its lane only when that is answered. */
static void a_stop_awaits_a_renewal_before_a_settle(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 1, NULL);
	while (fake_aws_open("ReceiveMessage") > 0)
		fake_aws_reply("ReceiveMessage", "{}");
	fixture_pass(&fixture, 51);
	assert_int_equal(fake_aws_open(change), 1);
	assert_int_equal(fake_aws_open("ReceiveMessage"), 0);
	settle_all(&fixture, 0, 1, QUEUE_DONE);
	queue_stop(fixture.queue, fixture_stopped, &fixture);
	fake_aws_run();
	assert_int_equal(fixture.stopped, 0);
	fake_aws_reply(change, "{\"Successful\":[{\"Id\":\"0\"}]}");
	fixture_pass(&fixture, 0);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fixture.done, 1);
	assert_int_equal(fixture.stopped, 1);
	fixture_end(&fixture);
}

static void a_stop_does_not_wait_for_a_queue_that_fails(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_fail(delete, ERROR_TEMPORARY, "", "connection refused", NULL);
	fixture_receive(&fixture, 0, 1, NULL);
	settle_all(&fixture, 0, 1, QUEUE_DONE);
	queue_stop(fixture.queue, fixture_stopped, &fixture);
	fake_aws_reply("ReceiveMessage", "{}");
	fake_aws_run();
	assert_int_equal(fixture.stopped, 1);
	assert_int_equal(fixture.done, 0);
	fixture_end(&fixture);
}

static void the_queue_may_go_in_a_completion(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(delete, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 10, NULL);
	fixture.destroy_in_done = true;
	settle_all(&fixture, 0, 10, QUEUE_DONE);
	fake_aws_run();
	assert_int_equal(fixture.done, 1);
	assert_null(fixture.queue);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_deletes_go_at_once),
		cmocka_unit_test(every_entry_is_sent_until_it_is_answered),
		cmocka_unit_test(a_dead_handle_ends_as_lost),
		cmocka_unit_test(a_renewal_under_way_is_awaited),
		cmocka_unit_test(nothing_is_renewed_once_it_is_settled),
		cmocka_unit_test(a_groups_tail_goes_back_in_one_call_in_order),
		cmocka_unit_test(a_long_tail_goes_back_ten_a_call),
		cmocka_unit_test(a_release_that_cannot_be_made_ends_with_its_lease),
		cmocka_unit_test(a_dead_letter_that_nobody_takes_is_not_shown_in_a_loop),
		cmocka_unit_test(a_delete_with_a_handle_that_got_old_is_repeated_with_the_newest),
		cmocka_unit_test(a_batch_that_is_refused_is_taken_apart),
		cmocka_unit_test(a_stop_sends_what_lingers),
		cmocka_unit_test(a_stop_is_over_when_the_settles_are_answered),
		cmocka_unit_test(a_stop_awaits_a_renewal_before_a_settle),
		cmocka_unit_test(a_stop_does_not_wait_for_a_queue_that_fails),
		cmocka_unit_test(the_queue_may_go_in_a_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
