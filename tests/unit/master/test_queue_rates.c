/* SPDX-License-Identifier: Apache-2.0 */
/* Messages a minute, told from what is said now and then. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "master/queue_rates.h"

static void want(const struct queue_rates *rates, size_t n, double now_s, const char *name, uint64_t received,
	uint64_t settled)
{
	uint64_t got_received, got_settled;
	const char *got;

	assert_true(queue_rates_get(rates, n, now_s, &got, &got_received, &got_settled));
	assert_string_equal(got, name);
	assert_int_equal(got_received, received);
	assert_int_equal(got_settled, settled);
}

static void steady_stream_is_told_as_it_is(void **state)
{
	struct queue_rates rates = { .at = NULL };

	(void)state;
	queue_rates_add(&rates, "q", 0, 0, 1000);
	for (int s = 10; s <= 300; s += 10)
		queue_rates_add(&rates, "q", 20, 10, 1000 + s);
	/* 55 s and the present slice are looked at: six times of ten seconds, in 55 to 60 s. */
	want(&rates, 0, 1300, "q", 131, 65);
	want(&rates, 0, 1304.9, "q", 120, 60);
	queue_rates_finish(&rates);
}

static void short_life_is_no_whole_minute(void **state)
{
	struct queue_rates rates = { .at = NULL };

	(void)state;
	queue_rates_add(&rates, "q", 0, 0, 1000);
	queue_rates_add(&rates, "q", 10, 0, 1020);
	want(&rates, 0, 1020, "q", 30, 0);
	/* Nobody is told of thousands for what came within the first moment. */
	queue_rates_add(&rates, "r", 10, 10, 1020);
	want(&rates, 1, 1020.001, "r", 120, 120);
	queue_rates_finish(&rates);
}

static void what_was_long_ago_does_not_count(void **state)
{
	struct queue_rates rates = { .at = NULL };
	uint64_t received, settled;
	const char *name;

	(void)state;
	queue_rates_add(&rates, "q", 600, 600, 1000);
	queue_rates_add(&rates, "q", 0, 0, 1060);
	want(&rates, 0, 1061, "q", 0, 0);
	assert_false(queue_rates_get(&rates, 0, 1121, &name, &received, &settled));
	queue_rates_finish(&rates);
}

static void queues_are_apart_and_limited(void **state)
{
	struct queue_rates rates = { .at = NULL };

	(void)state;
	for (int i = 0; i < LIMIT_QUEUE_RATES + 1; i++) {
		char name[16];

		snprintf(name, sizeof(name), "q%d", i);
		queue_rates_add(&rates, name, (uint64_t)i, 0, 1000);
	}
	assert_int_equal(rates.count, LIMIT_QUEUE_RATES);
	want(&rates, 3, 1030, "q3", 6, 0);
	/* A reload has other queues: they take the places of those that nobody speaks of any more. */
	queue_rates_add(&rates, "q0", 1, 0, 1050);
	queue_rates_add(&rates, "other", 0, 0, 1060);
	queue_rates_add(&rates, "other", 10, 0, 1070);
	assert_int_equal(rates.count, LIMIT_QUEUE_RATES);
	want(&rates, 0, 1070, "q0", 1, 0);
	want(&rates, 1, 1070, "other", 60, 0);
	queue_rates_finish(&rates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steady_stream_is_told_as_it_is),
		cmocka_unit_test(short_life_is_no_whole_minute),
		cmocka_unit_test(what_was_long_ago_does_not_count),
		cmocka_unit_test(queues_are_apart_and_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
