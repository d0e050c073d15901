/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/schedule.h"

#include <stdlib.h>

#include "../cmocka_all.h"

enum { MANY = 2000 };

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

static void the_first_is_always_the_one_that_is_due_first(void **state)
{
	struct schedule schedule = { 0 };
	struct schedule_entry entries[MANY] = { { 0 } };
	unsigned seed = 1;

	(void)state;
	for (int turn = 0; turn < 20000; turn++) {
		struct schedule_entry *entry = &entries[next_random(&seed) % MANY];
		double first_s = 1e9;
		size_t count = 0, due = 0;

		if (next_random(&seed) % 3 == 0)
			schedule_remove(&schedule, entry);
		else
			schedule_put(&schedule, entry, next_random(&seed) % 1000);
		if (turn % 100 != 0)
			continue;
		for (int i = 0; i < MANY; i++) {
			if (entries[i].place == 0)
				continue;
			count++;
			due += entries[i].due_s <= 300;
			if (entries[i].due_s < first_s)
				first_s = entries[i].due_s;
		}
		assert_int_equal(count, schedule.count);
		assert_true(count == 0 || schedule_first(&schedule)->due_s == first_s);
		assert_int_equal(schedule_due(&schedule, 300, MANY), due);
		assert_int_equal(schedule_due(&schedule, 300, 7), due < 7 ? due : 7);
	}
	schedule_finish(&schedule);
}

static void it_comes_out_in_order(void **state)
{
	struct schedule schedule = { 0 };
	struct schedule_entry entries[MANY] = { { 0 } }, *first;
	unsigned seed = 7;
	double last_s = -1;

	(void)state;
	for (int i = 0; i < MANY; i++)
		schedule_put(&schedule, &entries[i], next_random(&seed) % 500);
	while ((first = schedule_first(&schedule)) != NULL) {
		assert_true(first->due_s >= last_s);
		last_s = first->due_s;
		schedule_remove(&schedule, first);
	}
	schedule_remove(&schedule, &entries[0]);
	schedule_finish(&schedule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_always_the_one_that_is_due_first),
		cmocka_unit_test(it_comes_out_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
