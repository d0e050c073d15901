/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdio.h>

#include "base/list.h"
#include "base/table.h"

enum { ITEMS = 1000 };

struct item {
	struct table_link link;
	struct list at;
	char key[16];
	int seen;
};

static void see_and_remove_odd(struct table_link *link, void *arg)
{
	struct item *item = container_of(link, struct item, link);

	item->seen++;
	if ((item->key[0] - '0') % 2 == 1)
		table_remove(arg, link);
}

static void test_finds_what_was_added(void **state)
{
	static struct item items[ITEMS];
	struct table table = { 0 };

	(void)state;
	assert_null(table_find(&table, "0"));
	for (int i = 0; i < ITEMS; i++) {
		snprintf(items[i].key, sizeof(items[i].key), "%d", i);
		table_add(&table, &items[i].link, items[i].key);
	}
	assert_int_equal(table.count, ITEMS);
	for (int i = 0; i < ITEMS; i++)
		assert_ptr_equal(table_find(&table, items[i].key), &items[i].link);
	table_each(&table, see_and_remove_odd, &table);
	for (int i = 0; i < ITEMS; i++) {
		assert_int_equal(items[i].seen, 1);
		assert_int_equal(table_find(&table, items[i].key) == NULL, (items[i].key[0] - '0') % 2 == 1);
	}
	for (int i = 0; i < ITEMS; i++)
		table_remove(&table, &items[i].link);
	assert_int_equal(table.count, 0);
	assert_null(table_any(&table));
	table_finish(&table);
}

static void test_lists_keep_order_and_survive_double_removal(void **state)
{
	struct item items[3] = { 0 };
	struct item *at, *next;
	struct list list, other;
	int count = 0;

	(void)state;
	list_init(&list);
	list_init(&other);
	for (int i = 0; i < 3; i++)
		list_append(&list, &items[i].at);
	list_each(at, &list, at)
		assert_ptr_equal(at, &items[count++]);
	list_remove(&items[1].at);
	list_remove(&items[1].at);
	list_splice(&other, &list);
	assert_true(list_empty(&list));
	assert_ptr_equal(list_first(&other, struct item, at), &items[0]);
	list_each_safe(at, next, &other, at)
		list_remove(&at->at);
	assert_true(list_empty(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_what_was_added),
		cmocka_unit_test(test_lists_keep_order_and_survive_double_removal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
