/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <string.h>

#include "check/nearest.h"

static void test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		size_t want;
	} cases[] = {
		{ "", "", 0 }, { "a", "", 1 }, { "", "abc", 3 }, { "workers", "workers", 0 }, { "workes", "workers", 1 },
		{ "wrokers", "workers", 1 }, { "Workers", "workers", 0 }, { "kitten", "sitting", 3 },
		{ "josn", "json", 1 }, { "abc", "xyz", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(nearest_distance(cases[i].a, cases[i].b), cases[i].want);
		assert_int_equal(nearest_distance(cases[i].b, cases[i].a), cases[i].want);
	}
}

static void test_offer_keeps_the_nearest_that_is_near_enough(void **state)
{
	static const char *const words[] = {
		"workers", "user", "pid_file", "watchdog", "warn", "url", "subnets", "restart_delay", "restart_delay_max",
	};
	static const char *const cases[][2] = {
		{ "worker", "workers" }, { "wachtdog", "watchdog" }, { "usr", "user" }, { "users", "user" },
		{ "warning", "warn" }, { "uri", "url" }, { "restart_delay_may", "restart_delay_max" },
		{ "restart_dely", "restart_delay" }, { "sub", "subnets" }, { "zzz", NULL }, { "w", NULL }, { "", NULL },
		{ "an_unknown_key_that_is_longer_than_what_is_compared_with_the_known_ones_here", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nearest nearest;

		nearest_init(&nearest, cases[i][0]);
		for (size_t j = 0; j < ARRAY_SIZE(words); j++)
			nearest_offer(&nearest, words[j]);
		if ((nearest.best == NULL) != (cases[i][1] == NULL) ||
		    (nearest.best != NULL && strcmp(nearest.best, cases[i][1]) != 0))
			fail_msg("\"%s\": got %s", cases[i][0], nearest.best != NULL ? nearest.best : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_offer_keeps_the_nearest_that_is_near_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
