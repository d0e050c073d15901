/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"
#include "master/restart.h"

static const struct restart_policy policy = { .delay_s = 0.1, .delay_max_s = 30 };

static const struct {
	const char *name;
	unsigned deaths;
	enum restart_cause cause;
	double unit, want_s;
} delays[] = {
	{ "the first death waits least", 1, RESTART_CRASHED, 0, 0.05 },
	{ "jitter only shortens", 1, RESTART_CRASHED, 0.999999, 0.1 },
	{ "the second waits twice as long", 2, RESTART_CRASHED, 0, 0.1 },
	{ "the fifth sixteen times", 5, RESTART_CRASHED, 0, 0.8 },
	{ "a ceiling is reached", 10, RESTART_CRASHED, 0, 15 },
	{ "and kept", 4000000000u, RESTART_CRASHED, 0, 15 },
	{ "a refusal waits longest at once", 1, RESTART_REFUSED, 0, 15 },
	{ "a failed fork is like a death", 2, RESTART_FORK_FAILED, 0, 0.1 },
};

static void test_delays(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
		double got = restart_delay_s(&policy, delays[i].deaths, delays[i].cause, delays[i].unit);

		if (got < delays[i].want_s - 1e-4 || got > delays[i].want_s + 1e-4)
			fail_msg("%s: %f", delays[i].name, got);
	}
}

static void test_delay_never_shrinks_with_deaths(void **state)
{
	double before = 0;

	(void)state;
	for (unsigned deaths = 1; deaths < 50; deaths++) {
		double now = restart_delay_s(&policy, deaths, RESTART_CRASHED, 0.5);

		assert_true(now >= before && now <= policy.delay_max_s);
		before = now;
	}
}

static const struct {
	const char *name;
	unsigned deaths;
	struct restart_life life;
	unsigned want;
} counts[] = {
	{ "never active", 3, { RESTART_CRASHED, 0, false }, 4 },
	{ "active for a moment", 3, { RESTART_CRASHED, 59.9, false }, 4 },
	{ "active long enough", 3, { RESTART_CRASHED, 60, false }, 1 },
	{ "finished a job and lived on", 3, { RESTART_CRASHED, 10, true }, 1 },
	{ "finished a job and died at once", 3, { RESTART_CRASHED, 9.9, true }, 4 },
	{ "the first", 0, { RESTART_CRASHED, 0, false }, 1 },
};

static void test_a_healthy_while_is_forgiven(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned got = restart_count(counts[i].deaths, &counts[i].life);

		if (got != counts[i].want)
			fail_msg("%s: %u", counts[i].name, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_delay_never_shrinks_with_deaths),
		cmocka_unit_test(test_a_healthy_while_is_forgiven),
	};

	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
