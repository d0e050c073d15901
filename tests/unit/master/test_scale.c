/* SPDX-License-Identifier: Apache-2.0 */
/* How workers come and go by what each look wants. */
#include "../cmocka_all.h"
#include "master/scale.h"

static void a_backlog_is_met_at_once_by_twice_as_many_at_most(void **state)
{
	static const struct { const char *name; size_t current, wanted, want; } cases[] = {
		{ "one more", 4, 5, 5 }, { "twice as many", 4, 8, 8 }, { "no more than that", 4, 100, 8 }, { "from one", 1, 7, 2 },
		{ "as it is", 4, 4, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scale scale = { 0 };
		size_t got = scale_decide(&scale, cases[i].current, cases[i].wanted);

		if (got != cases[i].want)
			fail_msg("%s: %zu", cases[i].name, got);
	}
}

static void one_goes_when_it_has_been_calm_for_long(void **state)
{
	struct scale scale = { 0 };
	size_t count = 4;

	(void)state;
	for (int gone = 0; gone < 3; gone++) {
		for (int i = 1; i < SCALE_CALM_LOOKS; i++)
			assert_int_equal(scale_decide(&scale, count, 1), count);
		assert_int_equal(scale_decide(&scale, count, 1), count - 1);
		count--;
	}
	assert_int_equal(scale_decide(&scale, count, 1), 1);
}

static void a_burst_between_lets_nobody_go(void **state)
{
	struct scale scale = { 0 };

	(void)state;
	for (int i = 0; i < 10 * SCALE_CALM_LOOKS; i++)
		assert_int_equal(scale_decide(&scale, 4, i % (SCALE_CALM_LOOKS - 1) == 0 ? 4 : 1), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backlog_is_met_at_once_by_twice_as_many_at_most),
		cmocka_unit_test(one_goes_when_it_has_been_calm_for_long),
		cmocka_unit_test(a_burst_between_lets_nobody_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
