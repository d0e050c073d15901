/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "../cmocka_all.h"
#include "master/orphans.h"

static size_t count(const struct list *orphans)
{
	const struct orphan *orphan;
	size_t n = 0;

	list_each(orphan, orphans, link)
		n++;
	return n;
}

static void test_kept_in_order_and_cut_to_size(void **state)
{
	char long_how[2 * REPORT_TEXT_BYTES];
	struct list orphans;
	struct orphan *first;

	(void)state;
	list_init(&orphans);
	memset(long_how, 'x', sizeof(long_how) - 1);
	long_how[sizeof(long_how) - 1] = '\0';
	orphans_add(&orphans, "one", long_how, "deploys/12");
	orphans_add(&orphans, "two", "killed by signal 9", "");
	first = list_first(&orphans, struct orphan, link);
	assert_string_equal(first->owner, "one");
	assert_int_equal(strlen(first->how), REPORT_TEXT_BYTES - 1);
	orphans_finish(&orphans);
	assert_true(list_empty(&orphans));
}

static void test_those_told_lately_are_handed_on(void **state)
{
	struct list waiting, told;
	struct orphan *orphan;
	double at = 10;

	(void)state;
	list_init(&waiting);
	list_init(&told);
	orphans_add(&told, "long ago", "", "");
	orphans_add(&told, "lately", "", "");
	list_each(orphan, &told, link) {
		orphan->told_at = at;
		at += 20;
	}
	orphans_forget_before(&told, 20);
	assert_int_equal(count(&told), 1);
	orphans_add(&waiting, "new", "", "");
	orphans_hand_on(&waiting, &told);
	assert_true(list_empty(&told));
	assert_int_equal(count(&waiting), 2);
	orphans_finish(&waiting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_in_order_and_cut_to_size),
		cmocka_unit_test(test_those_told_lately_are_handed_on),
	};

	return cmocka_run_group_tests_name("orphans", tests, NULL, NULL);
}
