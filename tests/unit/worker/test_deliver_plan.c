/* SPDX-License-Identifier: Apache-2.0 */
/* When a delivery that failed, or found no room, is tried again, and when no more. */
#include "../cmocka_all.h"
#include "worker/deliver_plan.h"

static const struct {
	const char *name;
	struct deliver_history history;
	double unit;
	bool want_dead;
	double want_wait_s;
} cases[] = {
	{ "the first failure waits half a second at least", { 1, 0, 86400, 0, false }, 0, false, 0.5 },
	{ "pauses double", { 4, 10, 86400, 0, false }, 0, false, 4 },
	{ "with jitter", { 4, 10, 86400, 0, false }, 0.5, false, 6 },
	{ "up to ten minutes", { 30, 5000, 86400, 0, false }, 0, false, 300 },
	{ "a receiver may ask for more", { 1, 0, 86400, 60, false }, 0, false, 60 },
	{ "but not for less", { 10, 100, 86400, 1, false }, 0, false, 256 },
	{ "the last try is made in time", { 30, 86390, 86400, 0, false }, 0, false, 10 },
	{ "also when the receiver asks for more", { 30, 86390, 86400, 900, false }, 0, false, 10 },
	{ "then it is over", { 30, 86400, 86400, 0, false }, 0, true, 0 },
	{ "one that was replayed has some tries", { 1, 90000, 86400, 0, false }, 0, false, 0.5 },
	{ "of which the last", { 3, 90000, 86400, 0, false }, 0, false, 2 },
	{ "is the fourth", { 4, 90000, 86400, 0, false }, 0, true, 0 },
	{ "no other will do", { 1, 0, 86400, 0, true }, 0, true, 0 },
};

static void test_plan(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct deliver_next next = deliver_plan(&cases[i].history, cases[i].unit);

		if (next.dead != cases[i].want_dead || (!next.dead && next.wait_s != cases[i].want_wait_s))
			fail_msg("%s: dead %d, waits %f", cases[i].name, next.dead, next.wait_s);
	}
}

static const struct {
	const char *name;
	struct deliver_load load;
	double unit;
	double want_s;
} loads[] = {
	{ "a fast sink has room soon", { 64, 8, 0.01, 0, false }, 0, 1.5 },
	{ "with jitter", { 64, 8, 0.01, 0, false }, 0.5, 2.25 },
	{ "a slow one later", { 64, 8, 5, 0, false }, 0, 20 },
	{ "one that nothing is known of is tried soon", { 64, 2, 0, 0, false }, 0, 1.5 },
	{ "a rate takes its time", { 64, 8, 0.01, 120, false }, 0, 16 },
	{ "the slower of both counts", { 64, 8, 5, 120, false }, 0, 20 },
	{ "up to a minute", { 64, 8, 0.01, 1, false }, 1, 60 },
	{ "one that fails is left alone", { 64, 8, 0.01, 0, true }, 0, 15 },
	{ "also one that fails slowly", { 64, 2, 15, 0, true }, 0, 30 },
};

static void test_put_off(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		double got_s = deliver_put_off_s(&loads[i].load, loads[i].unit);

		if (got_s != loads[i].want_s)
			fail_msg("%s: %f s", loads[i].name, got_s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_plan), cmocka_unit_test(test_put_off) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
