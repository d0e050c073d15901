/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/error.h"
#include "exec/rate_share.h"

/* A store that remembers what it was asked and answers when the test says so. */
static struct {
	struct exec_rate_ask ask;
	char bucket[LIMIT_RATE_BUCKET_BYTES];
	exec_rate_fn *done;             /* NULL: nothing is asked */
	void *done_arg;
	unsigned asks, more;
} store;

static void take(void *arg, const struct exec_rate_ask *ask, exec_rate_fn *done, void *done_arg)
{
	assert_ptr_equal(arg, &store);
	assert_null(store.done);
	store.ask = *ask;
	snprintf(store.bucket, sizeof(store.bucket), "%s", ask->bucket);
	store.done = done;
	store.done_arg = done_arg;
	store.asks++;
}

static const struct exec_rates rates = { .take = take, .arg = &store };

static void answer(unsigned tokens, double wait_s, double per_s, const struct error *err)
{
	exec_rate_fn *done = store.done;

	assert_non_null(done);
	store.done = NULL;
	done(store.done_arg, tokens, wait_s, per_s, err);
}

static void on_more(void *arg)
{
	assert_ptr_equal(arg, &store);
	store.more++;
}

static void write_name(void *arg, const char *action, char bucket[LIMIT_RATE_BUCKET_BYTES])
{
	assert_ptr_equal(arg, &store);
	snprintf(bucket, LIMIT_RATE_BUCKET_BYTES, "ecs/here/%s", action);
}

static void begin(struct rate_share *share, const struct exec_rates *shared)
{
	static struct log log;
	struct rate_plan plan = {
		.action = "RunTask", .initial_per_s = 20, .max_per_s = 1000, .burst = 20, .alone_initial_per_s = 20,
		.alone_max_per_s = 20, .alone_burst = 20, .rates = shared, .log = &log, .name = write_name, .more = on_more, .arg = &store,
	};

	log_init(&log, NULL, "test");
	log_set_level(LOG_LEVEL_ERROR + 1);
	memset(&store, 0, sizeof(store));
	rate_share_init(share, &plan);
}

static void pass(double seconds)
{
	clock_shift(seconds, (int64_t)(seconds * 1000));
}

static unsigned take_many(struct rate_share *share, unsigned waiting)
{
	unsigned count = 0;

	while (waiting > 0 && rate_share_take(share, waiting)) {
		waiting--;
		count++;
	}
	return count;
}

static void without_a_store_each_is_alone(void **state)
{
	struct rate_share share;

	(void)state;
	begin(&share, NULL);
	assert_int_equal(take_many(&share, 100), 20);
	assert_true(rate_share_wait_s(&share) > 0);
	pass(0.5);
	assert_int_equal(take_many(&share, 80), 10);
	rate_share_throttled(&share);
	rate_share_finish(&share);
}

static void what_waits_is_asked_for_at_once(void **state)
{
	struct rate_share share;

	(void)state;
	begin(&share, &rates);
	assert_int_equal(take_many(&share, 7), 0);
	assert_int_equal(store.ask.want, 7);
	assert_string_equal(store.bucket, "ecs/here/RunTask");
	assert_true(store.ask.initial_per_s == 20 && store.ask.max_per_s == 1000 && store.ask.burst == 20);
	assert_int_equal(take_many(&share, 9), 0);
	assert_int_equal(store.asks, 1);
	answer(7, 0, 20, NULL);
	assert_int_equal(store.more, 1);
	assert_int_equal(take_many(&share, 9), 7);
	rate_share_finish(&share);
}

static void no_more_is_asked_for_than_a_bucket_holds(void **state)
{
	static const struct { double per_s; unsigned want; } cases[] = { { 20, 20 }, { 400, 120 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rate_share share;

		begin(&share, &rates);
		take_many(&share, 1);
		answer(1, 0, cases[i].per_s, NULL);
		take_many(&share, 1);
		pass(1);
		take_many(&share, 5000);
		assert_int_equal(store.ask.want, cases[i].want);
		assert_true(store.ask.burst == cases[i].want);
		rate_share_finish(&share);
		answer(1, 0, 20, NULL);
	}
}

/* Calls of one client, per_s of them in each second, with a store that gives what it is asked for. */
static unsigned asks_of(double per_s, unsigned calls)
{
	struct rate_share share;
	unsigned made = 0, waiting = 0;

	begin(&share, &rates);
	for (unsigned i = 0; i < calls; i++) {
		waiting++;
		for (int k = 0; k < 2; k++) {
			unsigned taken = take_many(&share, waiting);

			waiting -= taken;
			made += taken;
			if (store.done != NULL)
				answer(store.ask.want, 0, 1000, NULL);
		}
		pass(1 / per_s);
	}
	assert_in_range(made, calls - per_s / 4 - 1, calls);
	rate_share_finish(&share);
	return store.asks;
}

static void asks_are_per_interval_and_not_per_call(void **state)
{
	(void)state;
	assert_in_range(asks_of(0.01, 20), 20, 20);
	assert_in_range(asks_of(1, 60), 10, 40);
	assert_in_range(asks_of(20, 400), 20, 140);
	assert_in_range(asks_of(300, 3000), 20, 75);
}

static void tokens_are_forgotten_when_they_are_not_used(void **state)
{
	struct rate_share share;

	(void)state;
	begin(&share, &rates);
	take_many(&share, 10);
	answer(10, 0, 20, NULL);
	pass(11);
	assert_int_equal(take_many(&share, 1), 0);
	assert_int_equal(store.asks, 2);
	rate_share_finish(&share);
	answer(1, 0, 20, NULL);
}

static void a_wait_of_the_store_is_kept(void **state)
{
	struct rate_share share;

	(void)state;
	begin(&share, &rates);
	take_many(&share, 10);
	answer(0, 2, 20, NULL);
	pass(1.9);
	assert_int_equal(take_many(&share, 10), 0);
	assert_int_equal(store.asks, 1);
	assert_true(rate_share_wait_s(&share) > 0.05 && rate_share_wait_s(&share) < 0.11);
	pass(0.11);
	take_many(&share, 10);
	assert_int_equal(store.asks, 2);
	answer(10, 0, 20, NULL);
	assert_int_equal(take_many(&share, 10), 10);
	rate_share_finish(&share);
}

static void a_silent_store_stops_nobody_for_long(void **state)
{
	struct rate_share share;

	(void)state;
	begin(&share, &rates);
	assert_int_equal(take_many(&share, 5), 0);
	assert_true(rate_share_wait_s(&share) <= 1);
	pass(0.9);
	assert_int_equal(take_many(&share, 5), 0);
	pass(0.2);
	assert_int_equal(take_many(&share, 50), 20);
	pass(1);
	assert_int_equal(take_many(&share, 30), 20);
	assert_int_equal(store.asks, 1);
	answer(2, 0, 20, NULL);
	assert_int_equal(take_many(&share, 10), 2);
	rate_share_finish(&share);
	if (store.done != NULL)
		answer(0, 0, 20, NULL);
}

static void a_store_that_fails_is_asked_again_now_and_then(void **state)
{
	struct rate_share share;
	struct error err;

	(void)state;
	begin(&share, &rates);
	error_set(&err, ERROR_TEMPORARY, "is away");
	take_many(&share, 5);
	answer(0, 0, 0, &err);
	assert_int_equal(store.more, 1);
	assert_int_equal(take_many(&share, 5), 5);
	pass(4.9);
	assert_int_equal(take_many(&share, 5), 5);
	assert_int_equal(store.asks, 1);
	pass(0.2);
	assert_int_equal(take_many(&share, 5), 5);
	assert_int_equal(store.asks, 2);
	answer(5, 0, 20, NULL);
	assert_int_equal(take_many(&share, 9), 5);
	rate_share_finish(&share);
}

static void throttles_are_told_and_lower_what_is_asked_for(void **state)
{
	struct rate_share share;

	(void)state;
	begin(&share, &rates);
	take_many(&share, 10);
	answer(10, 0, 100, NULL);
	pass(1);
	take_many(&share, 2);
	rate_share_throttled(&share);
	assert_int_equal(store.asks, 2);
	assert_int_equal(store.ask.want, 0);
	assert_int_equal(store.ask.throttles, 1);
	assert_true(store.ask.max_per_s == 80);
	/* What is told is told once; the rest comes with the next ask. */
	rate_share_throttled(&share);
	rate_share_throttled(&share);
	answer(0, 0, 50, NULL);
	pass(0.2);
	assert_int_equal(take_many(&share, 3), 0);
	assert_int_equal(store.ask.throttles, 2);
	assert_in_range((int)store.ask.max_per_s, 80, 81);
	answer(3, 0, 50, NULL);
	pass(20);
	take_many(&share, 3);
	assert_int_equal(store.ask.throttles, 0);
	assert_in_range((int)store.ask.max_per_s, 110, 130);
	answer(3, 0, 100, NULL);
	for (int i = 0; i < 20; i++) {
		rate_share_throttled(&share);
		pass(2);
		if (store.done != NULL)
			answer(0, 0, 22, NULL);
	}
	assert_true(store.ask.max_per_s >= 20 && store.ask.max_per_s < 21);
	rate_share_finish(&share);
}

static void throttles_that_a_failing_store_did_not_hear_are_told_again(void **state)
{
	struct rate_share share;
	struct error err;

	(void)state;
	begin(&share, &rates);
	error_set(&err, ERROR_TEMPORARY, "is away");
	rate_share_throttled(&share);
	assert_int_equal(store.ask.throttles, 1);
	answer(0, 0, 0, &err);
	rate_share_throttled(&share);
	assert_int_equal(store.asks, 1);
	pass(6);
	take_many(&share, 1);
	assert_int_equal(store.ask.throttles, 2);
	rate_share_finish(&share);
	answer(1, 0, 20, NULL);
}

static void an_answer_may_come_when_nobody_waits_for_it(void **state)
{
	struct rate_share share;

	(void)state;
	begin(&share, &rates);
	take_many(&share, 1);
	rate_share_finish(&share);
	memset(&share, 0xff, sizeof(share));
	answer(1, 0, 20, NULL);
	assert_int_equal(store.more, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_store_each_is_alone),
		cmocka_unit_test(what_waits_is_asked_for_at_once),
		cmocka_unit_test(no_more_is_asked_for_than_a_bucket_holds),
		cmocka_unit_test(asks_are_per_interval_and_not_per_call),
		cmocka_unit_test(tokens_are_forgotten_when_they_are_not_used),
		cmocka_unit_test(a_wait_of_the_store_is_kept),
		cmocka_unit_test(a_silent_store_stops_nobody_for_long),
		cmocka_unit_test(a_store_that_fails_is_asked_again_now_and_then),
		cmocka_unit_test(throttles_are_told_and_lower_what_is_asked_for),
		cmocka_unit_test(throttles_that_a_failing_store_did_not_hear_are_told_again),
		cmocka_unit_test(an_answer_may_come_when_nobody_waits_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
