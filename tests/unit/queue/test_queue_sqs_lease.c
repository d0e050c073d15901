/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_fixture.h"

#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"

static const char standard[] = "https://sqs.eu-west-1.amazonaws.com/1/q";
static const char fifo[] = "https://sqs.eu-west-1.amazonaws.com/1/q.fifo";
static const char renew[] = "ChangeMessageVisibilityBatch";

static int64_t visibility(size_t call, size_t entry)
{
	char path[64];
	int64_t seconds = -1;

	snprintf(path, sizeof(path), "Entries[%zu].VisibilityTimeout", entry);
	assert_true(json_at_integer(fake_aws_nth(renew, call)->input, path, &seconds));
	return seconds;
}

static size_t entries(size_t call)
{
	return json_array_size(json_at(fake_aws_nth(renew, call)->input, "Entries"));
}

/* A message that another process received so long ago, hidden for so much longer. */
static struct queue_message *resume(struct fixture *fixture, const char *name, double age_s, double hidden_s)
{
	struct job_message_ref ref = {
		.id = (char *)name, .receipt = (char *)name, .deliveries = 2,
		.received_ms = clock_wall_ms() - (int64_t)(age_s * 1000),
		.hidden_until_ms = clock_wall_ms() + (int64_t)(hidden_s * 1000),
	};

	return queue_resume(fixture->queue, &ref);
}

static void leases_are_renewed_at_half_time_in_tens(void **state)
{
	struct fixture fixture;
	int64_t before_ms;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 10, NULL);
	fixture_receive(&fixture, 10, 10, NULL);
	fixture_receive(&fixture, 20, 5, NULL);
	before_ms = fixture.held[0]->hidden_until_ms;
	fixture_pass(&fixture, 48);
	assert_int_equal(fake_aws_count(renew), 0);
	fixture_pass(&fixture, 2.1);
	assert_int_equal(fake_aws_count(renew), 3);
	assert_int_equal(entries(0), 10);
	assert_int_equal(entries(1), 10);
	assert_int_equal(entries(2), 5);
	assert_int_equal(visibility(0, 0), 100);
	assert_int_equal(fixture.renewed, 25);
	assert_in_range(fixture.held[0]->hidden_until_ms - before_ms, 49000, 52000);
	fixture_pass(&fixture, 48);
	assert_int_equal(fake_aws_count(renew), 3);
	fixture_pass(&fixture, 3);
	assert_int_equal(fake_aws_count(renew), 6);
	fixture_end(&fixture);
}

static void messages_that_came_one_by_one_end_up_in_one_call(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	for (unsigned i = 0; i < 8; i++) {
		fixture_receive(&fixture, i, 1, NULL);
		fixture_pass(&fixture, 1);
	}
	fixture_pass(&fixture, 43);
	assert_int_equal(fake_aws_count(renew), 1);
	assert_int_equal(entries(0), 8);
	fixture_end(&fixture);
}

static void a_fifo_group_is_renewed_together(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, fifo);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 2, "a");
	fixture_receive(&fixture, 2, 1, "b");
	fixture_pass(&fixture, 30);
	fixture_receive(&fixture, 3, 2, "a");
	fixture_pass(&fixture, 21);
	/* The later ones of group a are 30 s from being due; b comes along as it is due too. */
	assert_int_equal(fake_aws_count(renew), 1);
	assert_string_equal(fixture_receipts(fake_aws_nth(renew, 0)), "r0 r1 r3 r4 r2 ");
	fixture_end(&fixture);
}

static void a_group_on_a_standard_queue_orders_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 1, "a");
	fixture_pass(&fixture, 30);
	fixture_receive(&fixture, 1, 1, "a");
	fixture_pass(&fixture, 21);
	assert_string_equal(fixture_receipts(fake_aws_nth(renew, 0)), "r0 ");
	fixture_end(&fixture);
}

static void a_resumed_message_is_renewed_in_time(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	resume(&fixture, "soon", 1000, 10);
	resume(&fixture, "late", 1000, 95);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(renew), 1);
	assert_string_equal(fixture_receipts(fake_aws_nth(renew, 0)), "soon ");
	fixture_pass(&fixture, 46);
	assert_string_equal(fixture_receipts(fake_aws_nth(renew, 1)), "late soon ");
	fixture_end(&fixture);
}

static void the_last_extension_ends_with_the_twelve_hours(void **state)
{
	struct fixture fixture;
	struct queue_message *message;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 1, NULL);
	message = fixture.held[0];
	/* As if it had been renewed for all that time. */
	clock_shift(43195 - 80, (43195 - 80) * 1000);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(renew), 1);
	assert_in_range(visibility(0, 0), 78, 80);
	fixture_pass(&fixture, 25);
	assert_int_equal(fixture.lost, 0);
	fixture_pass(&fixture, 6);
	assert_int_equal(fixture.lost, 1);
	assert_ptr_equal(fixture.lost_message, message);
	assert_int_equal(fixture.lost_why.kind, ERROR_LOST);
	assert_non_null(strstr(fixture.lost_why.text, "12 hours"));
	fixture_pass(&fixture, 200);
	assert_int_equal(fake_aws_count(renew), 1);
	assert_int_equal(fixture.lost, 1);
	/* Still ours to forget. */
	queue_forget(message);
	fixture_end(&fixture);
}

/* Renews in time until so many seconds after now. */
static void hold_for(struct fixture *fixture, double seconds)
{
	for (; seconds > 40; seconds -= 40)
		fixture_pass(fixture, 40);
	fixture_pass(fixture, seconds);
}

static void the_end_of_the_twelve_hours_is_told_once_in_time(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 1, NULL);
	hold_for(&fixture, 43195 - 900 - 10);
	assert_int_equal(fixture.expiring, 0);
	fixture_pass(&fixture, 11);
	assert_int_equal(fixture.expiring, 1);
	assert_ptr_equal(fixture.expiring_message, fixture.held[0]);
	/* The hold goes on as before, if its holder wants it to. */
	hold_for(&fixture, 800);
	assert_int_equal(fixture.lost, 0);
	hold_for(&fixture, 90);
	assert_int_equal(fixture.lost, 1);
	assert_int_equal(fixture.expiring, 1);
	fixture_end(&fixture);
}

static void a_holder_may_settle_what_expires(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture.settle_expiring = true;
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fake_aws_otherwise("DeleteMessageBatch", fake_aws_all_succeed, NULL);
	resume(&fixture, "old", 43195 - 300, 90);
	resume(&fixture, "young", 43195 - 1000, 90);
	fixture_pass(&fixture, 0);
	fixture_pass(&fixture, 2);
	assert_int_equal(fixture.expiring, 1);
	assert_int_equal(fixture.done, 1);
	assert_string_equal(fixture_receipts(fake_aws_nth("DeleteMessageBatch", 0)), "old ");
	hold_for(&fixture, 105);
	assert_int_equal(fixture.expiring, 2);
	fixture_pass(&fixture, 2);
	assert_int_equal(fixture.done, 2);
	assert_int_equal(fixture.lost, 0);
	assert_int_equal(fixture.sqs->face.figures.held, 0);
	fixture_end(&fixture);
}

static void a_whole_hold_in_one_lease_expires_in_time(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture.sqs->visibility_s = 43200;
	fixture_receive(&fixture, 0, 1, NULL);
	fixture_pass(&fixture, 43195 - 901);
	assert_int_equal(fixture.expiring, 0);
	fixture_pass(&fixture, 2);
	assert_int_equal(fixture.expiring, 1);
	assert_int_equal(fixture.lost, 0);
	fixture_pass(&fixture, 860);
	assert_int_equal(fixture.lost, 1);
	assert_int_equal(fake_aws_count(renew), 0);
	fixture_end(&fixture);
}

static void a_new_receive_begins_the_twelve_hours_again(void **state)
{
	struct fixture fixture;
	struct queue_message *message;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	message = resume(&fixture, "old", 43195 - 300, 90);
	fixture_pass(&fixture, 0);
	assert_int_equal(fixture.expiring, 1);
	queue_update(message, "again", clock_wall_ms() + 90000);
	hold_for(&fixture, 40000);
	assert_int_equal(fixture.expiring, 1);
	hold_for(&fixture, 3000);
	assert_int_equal(fixture.expiring, 2);
	assert_int_equal(fixture.lost, 0);
	fixture_end(&fixture);
}

/* The wall clock was set between the receive and the take-over: only what SQS says ends a hold. */
static void a_clock_that_was_set_drops_no_lease(void **state)
{
	static const struct {
		const char *name;
		double age_s, hidden_s;
		size_t expiring;
	} cases[] = {
		{ "ahead by thirteen hours", 13 * 3600 + 100, -13 * 3600, 1 },
		{ "ahead by three hours", 3 * 3600 + 100, -3 * 3600, 0 },
		{ "back by a day", -24 * 3600, 24 * 3600 + 60, 0 },
		{ "back by a minute", -60, 120, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct queue_message *message;

		fixture_begin(&fixture, standard);
		fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
		message = resume(&fixture, "m", cases[i].age_s, cases[i].hidden_s);
		assert_true(message->hidden_until_ms <= clock_wall_ms() + 100000);
		assert_true(message->received_ms <= clock_wall_ms());
		fixture_pass(&fixture, 51);
		if (fake_aws_count(renew) != 1 || visibility(0, 0) != 100)
			fail_msg("%s: %zu renewals", cases[i].name, fake_aws_count(renew));
		hold_for(&fixture, 1000);
		if (fixture.lost != 0 || fixture.expiring != cases[i].expiring)
			fail_msg("%s: %zu lost, %zu expiring", cases[i].name, fixture.lost, fixture.expiring);
		fixture_end(&fixture);
	}
}

static void where_SQS_refuses_to_go_on_a_hold_expires(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture.sqs->visibility_s = 300;
	/* The clock was set back, the hold is much older than it looks. */
	resume(&fixture, "m", 100, 300);
	fixture_pass(&fixture, 10);
	fake_aws_answer(renew, "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"InvalidParameterValue\",\"Message\":"
		"\"Value 300 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond "
		"the limit [43200 seconds].\"}]}");
	fixture_pass(&fixture, 141);
	assert_int_equal(fake_aws_count(renew), 1);
	fixture_pass(&fixture, 0);
	assert_int_equal(fixture.expiring, 1);
	assert_int_equal(fixture.lost, 0);
	fixture_pass(&fixture, 85);
	assert_int_equal(fixture.lost, 0);
	fixture_pass(&fixture, 10);
	assert_int_equal(fixture.lost, 1);
	assert_int_equal(fake_aws_count(renew), 1);
	fixture_end(&fixture);
}

static void a_dead_handle_is_told_as_lost_and_the_others_go_on(void **state)
{
	static const char *const failures[] = {
		"{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\",\"Message\":\"no\"}",
		"{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"InvalidParameterValue\",\"Message\":\"The receipt handle has expired\"}",
		"{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"MessageNotInflight\"}",
		"{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"InvalidParameterValue\",\"Message\":\"no such thing\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		struct fixture fixture;
		char text[512];

		fixture_begin(&fixture, standard);
		snprintf(text, sizeof(text), "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"2\"}],\"Failed\":[%s]}", failures[i]);
		fake_aws_answer(renew, text);
		fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
		fixture_receive(&fixture, 0, 3, NULL);
		fixture_pass(&fixture, 51);
		assert_int_equal(fixture.lost, 1);
		assert_ptr_equal(fixture.lost_message, fixture.held[1]);
		assert_int_equal(fixture.renewed, 2);
		assert_int_equal(fixture.sqs->face.figures.lost, 1);
		fixture_pass(&fixture, 51);
		assert_string_equal(fixture_receipts(fake_aws_nth(renew, 1)), "r0 r2 ");
		fixture_end(&fixture);
	}
}

static void what_could_not_be_renewed_is_tried_again_before_the_end(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_fail(renew, ERROR_THROTTLED, "RequestThrottled", "too fast", NULL);
	fake_aws_answer(renew, "{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"1\",\"SenderFault\":false,\"Code\":\"InternalError\"}]}");
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 2, NULL);
	fixture_pass(&fixture, 51);
	assert_int_equal(fake_aws_count(renew), 1);
	assert_int_equal(fixture.renewed, 0);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fake_aws_count(renew), 2);
	assert_int_equal(fixture.renewed, 1);
	fixture_pass(&fixture, 1.6);
	assert_int_equal(fake_aws_count(renew), 3);
	assert_string_equal(fixture_receipts(fake_aws_nth(renew, 2)), "r1 ");
	assert_int_equal(fixture.renewed, 2);
	assert_int_equal(fixture.lost, 0);
	fixture_end(&fixture);
}

/* Below sixty seconds a call tries once: what waited below would not know how much time is left. */
static void short_leases_wait_for_nobody(void **state)
{
	static const struct {
		const char *name;
		unsigned visibility_s, tries, timeout_ms;
	} cases[] = {
		{ "the shortest call is a second", 2, 1, 1000 },
		{ "an eighth of the lease", 30, 1, 3750 },
		{ "just too short for three tries", 59, 1, 7375 },
		{ "three tries fit", 60, 0, 7500 },
		{ "the longest call is as long as any", 600, 0, 15000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		const struct fake_call *call;

		fixture_begin(&fixture, standard);
		fixture.sqs->visibility_s = cases[i].visibility_s;
		fixture_receive(&fixture, 0, 1, NULL);
		fixture_pass(&fixture, cases[i].visibility_s * 0.51);
		call = fake_aws_nth(renew, 0);
		if (call->tries != cases[i].tries || call->timeout_ms != cases[i].timeout_ms)
			fail_msg("%s: %u tries of %u ms", cases[i].name, call->tries, call->timeout_ms);
		fixture_end(&fixture);
	}
}

static void a_short_lease_survives_throttled_renewals(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture.sqs->visibility_s = 2;
	fake_aws_fail(renew, ERROR_THROTTLED, "RequestThrottled", "too fast", NULL);
	fake_aws_fail(renew, ERROR_THROTTLED, "RequestThrottled", "too fast", NULL);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 1, NULL);
	fixture_pass(&fixture, 1.01);
	assert_int_equal(fake_aws_count(renew), 1);
	fixture_pass(&fixture, 0.26);
	assert_int_equal(fake_aws_count(renew), 2);
	fixture_pass(&fixture, 0.26);
	assert_int_equal(fake_aws_count(renew), 3);
	assert_int_equal(fixture.renewed, 1);
	fixture_end(&fixture);
}

static void an_outage_loses_nothing_by_itself(void **state)
{
	struct fixture fixture;
	size_t tries;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture_receive(&fixture, 0, 1, NULL);
	for (int i = 0; i < 40; i++)
		fake_aws_fail(renew, ERROR_TEMPORARY, "", "connection refused", NULL);
	fixture_pass(&fixture, 51);
	for (int i = 0; i < 20; i++)
		fixture_pass(&fixture, 31);
	tries = fake_aws_count(renew);
	assert_in_range(tries, 15, 40);
	assert_int_equal(fixture.lost, 0);
	fixture_end(&fixture);
}

static void a_batch_that_is_refused_is_taken_apart(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_fail(renew, ERROR_INVALID, "InvalidParameterValue", "one of them is bad", NULL);
	fake_aws_fail(renew, ERROR_LOST, "ReceiptHandleIsInvalid", "this one", NULL);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 3, NULL);
	fixture_pass(&fixture, 51);
	assert_int_equal(fixture.lost, 0);
	fixture_pass(&fixture, 1.1);
	assert_int_equal(fake_aws_count(renew), 4);
	assert_int_equal(entries(1), 1);
	assert_int_equal(fixture.lost, 1);
	assert_ptr_equal(fixture.lost_message, fixture.held[0]);
	assert_int_equal(fixture.renewed, 2);
	fixture_end(&fixture);
}

static void what_is_forgotten_meanwhile_is_not_touched(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture_receive(&fixture, 0, 3, NULL);
	fixture_pass(&fixture, 51);
	assert_int_equal(fake_aws_open(renew), 1);
	queue_forget(fixture.held[1]);
	assert_int_equal(fixture.sqs->face.figures.held, 2);
	fake_aws_reply(renew, "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"2\"}],\"Failed\":[{\"Id\":\"1\",\"SenderFault\":true,"
		"\"Code\":\"ReceiptHandleIsInvalid\"}]}");
	fake_aws_run();
	assert_int_equal(fixture.renewed, 2);
	assert_int_equal(fixture.lost, 0);
	fixture_end(&fixture);
}

static void a_newer_handle_takes_over(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	fixture_receive(&fixture, 0, 1, NULL);
	fixture_pass(&fixture, 40);
	fixture_receive(&fixture, 7, 1, NULL);
	queue_supersede(fixture.held[0], fixture.held[1]);
	assert_string_equal(fixture.held[0]->receipt, "r7");
	assert_int_equal(fixture.sqs->face.figures.held, 1);
	fixture_pass(&fixture, 40);
	assert_int_equal(fake_aws_count(renew), 0);
	fixture_pass(&fixture, 11);
	assert_string_equal(fixture_receipts(fake_aws_nth(renew, 0)), "r7 ");
	fixture_end(&fixture);
}

static void a_newer_handle_makes_a_late_answer_mean_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, standard);
	fixture_receive(&fixture, 0, 1, NULL);
	fixture_pass(&fixture, 51);
	queue_update(fixture.held[0], "newer", clock_wall_ms() + 100000);
	fake_aws_reply(renew, "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\"}]}");
	fake_aws_run();
	assert_int_equal(fixture.lost, 0);
	fixture_pass(&fixture, 51);
	assert_string_equal(fixture_receipts(fake_aws_nth(renew, 1)), "newer ");
	fixture_end(&fixture);
}

static void thousands_are_kept_with_few_calls_at_once(void **state)
{
	struct fixture fixture;
	char name[16];

	(void)state;
	fixture_begin(&fixture, standard);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		resume(&fixture, name, 10, 50);
	}
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_open(renew), LIMIT_SQS_CALLS);
	fake_aws_otherwise(renew, fake_aws_all_succeed, NULL);
	while (fake_aws_open(renew) > 0)
		fake_aws_reply(renew, "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"},{\"Id\":\"3\"},{\"Id\":\"4\"},"
			"{\"Id\":\"5\"},{\"Id\":\"6\"},{\"Id\":\"7\"},{\"Id\":\"8\"},{\"Id\":\"9\"}]}");
	fake_aws_run();
	assert_int_equal(fake_aws_count(renew), 500);
	assert_int_equal(fixture.renewed, 5000);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leases_are_renewed_at_half_time_in_tens),
		cmocka_unit_test(messages_that_came_one_by_one_end_up_in_one_call),
		cmocka_unit_test(a_fifo_group_is_renewed_together),
		cmocka_unit_test(a_group_on_a_standard_queue_orders_nothing),
		cmocka_unit_test(a_resumed_message_is_renewed_in_time),
		cmocka_unit_test(the_last_extension_ends_with_the_twelve_hours),
		cmocka_unit_test(the_end_of_the_twelve_hours_is_told_once_in_time),
		cmocka_unit_test(a_holder_may_settle_what_expires),
		cmocka_unit_test(a_whole_hold_in_one_lease_expires_in_time),
		cmocka_unit_test(a_new_receive_begins_the_twelve_hours_again),
		cmocka_unit_test(a_clock_that_was_set_drops_no_lease),
		cmocka_unit_test(where_SQS_refuses_to_go_on_a_hold_expires),
		cmocka_unit_test(a_dead_handle_is_told_as_lost_and_the_others_go_on),
		cmocka_unit_test(what_could_not_be_renewed_is_tried_again_before_the_end),
		cmocka_unit_test(short_leases_wait_for_nobody),
		cmocka_unit_test(a_short_lease_survives_throttled_renewals),
		cmocka_unit_test(an_outage_loses_nothing_by_itself),
		cmocka_unit_test(a_batch_that_is_refused_is_taken_apart),
		cmocka_unit_test(what_is_forgotten_meanwhile_is_not_touched),
		cmocka_unit_test(a_newer_handle_takes_over),
		cmocka_unit_test(a_newer_handle_makes_a_late_answer_mean_nothing),
		cmocka_unit_test(thousands_are_kept_with_few_calls_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
