/* SPDX-License-Identifier: Apache-2.0 */
/* Thresholds of a queue's depth, and how many workers a depth is worth. */
#include "../cmocka_all.h"
#include "worker/backlog.h"

static void a_threshold_that_was_passed_counts_until_a_tenth_below(void **state)
{
	static const struct { const char *name; int64_t depth; enum backlog_level want; } looks[] = {
		{ "little", 99, BACKLOG_USUAL }, { "to warn of", 100, BACKLOG_WARN }, { "wavers", 91, BACKLOG_WARN },
		{ "back", 89, BACKLOG_USUAL }, { "wavers below", 99, BACKLOG_USUAL }, { "much at once", 1000, BACKLOG_ALARM },
		{ "still", 900, BACKLOG_ALARM }, { "less", 899, BACKLOG_WARN }, { "nearly", 999, BACKLOG_WARN },
		{ "nothing", 0, BACKLOG_USUAL },
	};
	enum backlog_level level = BACKLOG_USUAL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		level = backlog_level_of(level, looks[i].depth, 100, 1000);
		if (level != looks[i].want)
			fail_msg("%s: %d", looks[i].name, (int)level);
	}
	assert_int_equal(backlog_level_of(BACKLOG_USUAL, 1000000, 0, 0), BACKLOG_USUAL);
	assert_int_equal(backlog_level_of(BACKLOG_USUAL, 1000000, 10, 0), BACKLOG_WARN);
	assert_int_equal(backlog_level_of(BACKLOG_USUAL, 5, 0, 5), BACKLOG_ALARM);
	assert_int_equal(backlog_level_of(BACKLOG_ALARM, 4, 0, 5), BACKLOG_ALARM);
	assert_int_equal(backlog_level_of(BACKLOG_ALARM, 3, 0, 5), BACKLOG_USUAL);
	assert_int_equal(backlog_level_of(BACKLOG_WARN, 1, 1, 0), BACKLOG_WARN);
	assert_int_equal(backlog_level_of(BACKLOG_WARN, 0, 1, 0), BACKLOG_USUAL);
}

static void a_depth_is_worth_workers_within_the_bounds(void **state)
{
	static const struct { int64_t depth; unsigned want; } cases[] = {
		{ 0, 2 }, { 1, 2 }, { 20, 2 }, { 21, 3 }, { 80, 8 }, { 81, 8 }, { INT64_MAX - 100, 8 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(backlog_workers(cases[i].depth, 10, 2, 8), cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_threshold_that_was_passed_counts_until_a_tenth_below),
		cmocka_unit_test(a_depth_is_worth_workers_within_the_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
