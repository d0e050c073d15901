/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/rate.h"

#include "../cmocka_all.h"

static unsigned take_all(struct rate *rate, double now_s)
{
	unsigned count = 0;

	while (rate_take(rate, now_s))
		count++;
	return count;
}

static void a_burst_and_then_the_rate(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 20, 100, 20, 0);
	assert_int_equal(take_all(&rate, 0), 100);
	assert_true(rate_wait_s(&rate, 0) > 0.049 && rate_wait_s(&rate, 0) < 0.051);
	assert_int_equal(take_all(&rate, 0.04), 0);
	assert_int_equal(take_all(&rate, 1.01), 20);
	assert_int_equal(take_all(&rate, 1000), 100);
	/* A clock that stands still or goes back gives nothing. */
	assert_int_equal(take_all(&rate, 999), 0);
}

static void a_rate_that_is_set_counts_from_then_on(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 20, 100, 20, 0);
	assert_int_equal(take_all(&rate, 0), 100);
	rate_set(&rate, 50, 1.01);
	assert_int_equal(take_all(&rate, 1.01), 20);
	assert_int_equal(take_all(&rate, 2.01), 50);
}

/* Calls as fast as allowed for so long, with a peer that takes limit_per_s. */
static double after(struct rate *rate, double from_s, double seconds, double limit_per_s)
{
	double second_s = from_s, used = 0;

	for (double now_s = from_s; now_s < from_s + seconds; now_s += 0.005) {
		if (now_s - second_s >= 1) {
			second_s = now_s;
			used = 0;
		}
		if (!rate_take(rate, now_s))
			continue;
		if (++used > limit_per_s)
			rate_throttled(rate, now_s);
		else
			rate_accepted(rate, now_s);
	}
	return rate->per_s;
}

static void it_grows_while_it_is_waited_for_and_nobody_complains(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 20, 20, 500, 0);
	assert_true(after(&rate, 0, 10, 1e9) > 100);
	assert_true(after(&rate, 10, 60, 1e9) <= 500);
}

static void it_does_not_grow_unused(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 20, 20, 500, 0);
	for (int i = 1; i < 100; i++) {
		assert_true(rate_take(&rate, i));
		rate_accepted(&rate, i);
	}
	assert_true(rate.per_s == 20);
}

static void it_falls_when_throttled_once_a_second(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 100, 10, 500, 0);
	for (int i = 0; i < 50; i++)
		rate_throttled(&rate, 5 + i * 0.01);
	assert_true(rate.per_s > 69 && rate.per_s < 71);
	assert_false(rate_take(&rate, 5.5));
	for (int i = 0; i < 100; i++)
		rate_throttled(&rate, 10 + i * 2);
	assert_true(rate.per_s == 25);
}

static void it_finds_the_peers_limit_and_stays_near(void **state)
{
	struct rate rate;
	double per_s;

	(void)state;
	rate_init(&rate, 20, 20, 500, 0);
	after(&rate, 0, 60, 80);
	for (int i = 0; i < 20; i++) {
		per_s = after(&rate, 60 + i * 10, 10, 80);
		if (per_s < 40 || per_s > 120)
			fail_msg("%.1f/s", per_s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_and_then_the_rate),
		cmocka_unit_test(a_rate_that_is_set_counts_from_then_on),
		cmocka_unit_test(it_grows_while_it_is_waited_for_and_nobody_complains),
		cmocka_unit_test(it_does_not_grow_unused),
		cmocka_unit_test(it_falls_when_throttled_once_a_second),
		cmocka_unit_test(it_finds_the_peers_limit_and_stays_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
