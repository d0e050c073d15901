/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"
#include "base/backoff.h"

static const struct {
	const char *name;
	unsigned failures;
	double first_s, max_s, unit, want_s;
} cases[] = {
	{ "first, least jitter", 1, 1, 60, 0, 0.5 },
	{ "first, most jitter", 1, 1, 60, 1, 1 },
	{ "third doubles twice", 3, 1, 60, 1, 4 },
	{ "ceiling", 20, 1, 60, 1, 60 },
	{ "ceiling below first", 1, 10, 5, 1, 5 },
	{ "many failures do not overflow", 4000000000u, 0.1, 30, 1, 30 },
};

static void test_backoff(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double got_s = backoff_s(cases[i].failures, cases[i].first_s, cases[i].max_s, cases[i].unit);

		if (got_s < cases[i].want_s - 1e-9 || got_s > cases[i].want_s + 1e-9)
			fail_msg("%s: got %f, want %f", cases[i].name, got_s, cases[i].want_s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_backoff) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
