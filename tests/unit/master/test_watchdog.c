/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"
#include "master/watchdog.h"

static const struct { const char *name; double now, expected; bool want; } ticks[] = {
	{ "in time", 100, 100, false },
	{ "early", 99, 100, false },
	{ "a busy loop", 102.9, 100, false },
	{ "stopped for a while", 103.1, 100, true },
	{ "suspended for a day", 86500, 100, true },
};

static void test_late_ticks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ticks); i++) {
		if (watchdog_is_late(ticks[i].now, ticks[i].expected) != ticks[i].want)
			fail_msg("%s", ticks[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_late_ticks) };

	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
