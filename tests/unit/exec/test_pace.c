/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>

#include "../cmocka_all.h"
#include "exec/pace.h"

static bool is_about(double a, double b)
{
	return fabs(a - b) < 0.001;
}

/* The ages at which a task that does not end is looked at within its first seconds. */
static size_t looks(const struct pace *pace, double until_s, double *ages_s, size_t most)
{
	size_t count = 0;

	for (double age_s = pace_first_s(pace); age_s <= until_s && count < most; age_s += pace_interval_s(pace, age_s))
		ages_s[count++] = age_s;
	return count;
}

static void unknown_tasks_are_looked_at_by_their_age(void **state)
{
	static const struct { double age_s, want_s; } cases[] = {
		{ 0, 1 }, { 0.5, 1 }, { 1, 1 }, { 5, 1 }, { 10, 1 }, { 60, 6 }, { 300, 30 }, { 36000, 30 }, { -5, 1 },
	};
	static const double longer_s[] = { 0, 1, 30, 4000 };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(longer_s); k++) {
		struct pace pace = { 0 };

		if (longer_s[k] > 0)
			pace_learn(&pace, longer_s[k]);
		assert_true(pace_first_s(&pace) == 1);
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			assert_true(is_about(pace_interval_s(&pace, cases[i].age_s), cases[i].want_s));
	}
}

static void the_first_look_comes_when_the_shortest_would_have_ended(void **state)
{
	static const struct { double took_s, first_s; } cases[] = {
		{ 0.72, 1 }, { 0.6, 0.84 }, { 0.3, 0.42 }, { 0.21, 0.294 }, { 0.1, 0.28 }, { 0, 0.28 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pace pace = { 0 };

		pace_learn(&pace, 20);
		pace_learn(&pace, cases[i].took_s);
		assert_true(is_about(pace_first_s(&pace), cases[i].first_s));
		/* Others come along when they may have ended, and not before. */
		if (cases[i].first_s < 1)
			assert_true(pace_first_s(&pace) - pace_ahead_s(pace_interval_s(&pace, cases[i].took_s)) > cases[i].took_s * 1.1);
	}
}

static void what_was_short_is_forgotten(void **state)
{
	struct pace pace = { 0 };
	int tasks = 0;

	(void)state;
	pace_learn(&pace, 0.3);
	for (int i = 0; i < 3; i++)
		pace_learn(&pace, 60);
	assert_true(is_about(pace_first_s(&pace), 0.42 * 1.331));
	pace_learn(&pace, 0.3);
	assert_true(is_about(pace_first_s(&pace), 0.42));
	for (; pace_first_s(&pace) < 1 && tasks < 100; tasks++)
		pace_learn(&pace, 60);
	assert_in_range(tasks, 5, 15);
	/* And not further than to what the others took. */
	pace_learn(&pace, 0.5);
	for (int i = 0; i < 100; i++)
		pace_learn(&pace, 0.51);
	assert_true(is_about(pace_first_s(&pace), 0.51 * 1.4));
}

static void a_wrong_guess_costs_two_looks(void **state)
{
	double plain_s[100], early_s[100];
	struct pace pace = { 0 };
	size_t plain = looks(&pace, 9.99, plain_s, ARRAY_SIZE(plain_s)), early;

	(void)state;
	assert_int_equal(plain, 9);
	for (double took_s = 0; took_s < 2; took_s += 0.05) {
		pace = (struct pace){ 0 };
		pace_learn(&pace, took_s);
		early = looks(&pace, 9.99, early_s, ARRAY_SIZE(early_s));
		assert_in_range(early, plain, plain + 2);
		for (size_t i = 0; i + 1 < early; i++)
			assert_true(early_s[i + 1] - early_s[i] <= 1.001);
	}
}

static void tasks_come_along_the_earlier_the_older_they_are(void **state)
{
	(void)state;
	assert_true(is_about(pace_ahead_s(0.42), 0.06));
	assert_true(pace_ahead_s(1) == 0.5);
	assert_true(pace_ahead_s(10) == 5);
	assert_true(pace_ahead_s(300) == 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_tasks_are_looked_at_by_their_age),
		cmocka_unit_test(the_first_look_comes_when_the_shortest_would_have_ended),
		cmocka_unit_test(what_was_short_is_forgotten),
		cmocka_unit_test(a_wrong_guess_costs_two_looks),
		cmocka_unit_test(tasks_come_along_the_earlier_the_older_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
