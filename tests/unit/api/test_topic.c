/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader of a topic is told, whenever it comes and however far behind it is. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "api/topic.h"
#include "base/mem.h"

static void put(struct topic *topic, const char *key, const char *text)
{
	topic_put(topic, "job", key, NULL, true, xstrdup(text));
}

/* "key=text " of all entries after a change; a gone one is "key-". */
static const char *told(struct topic *topic, uint64_t change)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (struct topic_entry *entry = topic_after(topic, change); entry != NULL; entry = topic_next(topic, entry))
		used += (size_t)snprintf(text + used, sizeof(text) - used, entry->text != NULL ? "%s=%s " : "%s- ", entry->key, entry->text);
	return text;
}

static struct topic_entry *find(struct topic *topic, const char *key)
{
	struct table_link *link = table_find(&topic->keys, key);

	return link != NULL ? container_of(link, struct topic_entry, by_key) : NULL;
}

static void test_late_reader_gets_the_last_text_of_each_key(void **state)
{
	struct topic topic;

	(void)state;
	topic_init(&topic);
	put(&topic, "a", "1");
	put(&topic, "b", "1");
	put(&topic, "a", "2");
	assert_string_equal(told(&topic, 0), "b=1 a=2 ");
	assert_int_equal(topic.change, 3);
	topic_finish(&topic);
}

static void test_reader_gets_only_what_changed_since(void **state)
{
	struct topic topic;
	uint64_t seen;

	(void)state;
	topic_init(&topic);
	put(&topic, "a", "1");
	put(&topic, "b", "1");
	seen = topic.change;
	put(&topic, "a", "1");
	assert_int_equal(topic.change, seen);
	assert_string_equal(told(&topic, seen), "");
	put(&topic, "b", "2");
	put(&topic, "c", "1");
	assert_string_equal(told(&topic, seen), "b=2 c=1 ");
	topic_finish(&topic);
}

static void test_what_has_gone_is_told_until_nobody_is_behind_it(void **state)
{
	struct topic topic;
	uint64_t seen;

	(void)state;
	topic_init(&topic);
	put(&topic, "a", "1");
	put(&topic, "b", "1");
	seen = topic.change;
	topic_remove(&topic, find(&topic, "a"));
	topic_remove(&topic, find(&topic, "a"));
	assert_int_equal(topic.change, seen + 1);
	topic_forget_gone(&topic, seen);
	assert_string_equal(told(&topic, seen), "a- ");
	topic_forget_gone(&topic, topic.change);
	assert_string_equal(told(&topic, 0), "b=1 ");
	assert_null(find(&topic, "a"));
	put(&topic, "a", "3");
	assert_string_equal(told(&topic, 0), "b=1 a=3 ");
	assert_int_equal(topic.gone, 0);
	topic_finish(&topic);
}

static void test_what_was_not_put_in_a_round_is_known_by_it(void **state)
{
	struct topic topic;

	(void)state;
	topic_init(&topic);
	topic_begin_round(&topic);
	put(&topic, "a", "1");
	put(&topic, "b", "1");
	topic_begin_round(&topic);
	put(&topic, "a", "1");
	assert_true(find(&topic, "a")->round == topic.round);
	assert_false(find(&topic, "b")->round == topic.round);
	topic_finish(&topic);
}

/* As told to one who may see "a*", came at a change and was told all there was at another. */
static const char *news(struct topic *topic, const char *key, uint64_t joined, uint64_t whole)
{
	static const char *const words[] = { [TOPIC_NOTHING] = "nothing", [TOPIC_TEXT] = "text", [TOPIC_GONE] = "gone" };
	char *glob = (char []){ "a*" };
	const struct texts projects = { .at = &glob, .count = 1 };
	const struct topic_reader reader = { .joined = joined, .whole = whole };

	return words[topic_news(find(topic, key), &projects, &reader)];
}

static void test_what_moves_to_another_project_has_gone_for_who_may_not_see_that(void **state)
{
	struct topic topic;
	uint64_t before, moved;

	(void)state;
	topic_init(&topic);
	topic_put(&topic, "lock", "k", "alpha", false, xstrdup("1"));
	topic_put(&topic, "lock", "other", "beta", false, xstrdup("1"));
	before = topic.change;
	assert_string_equal(news(&topic, "k", 0, 0), "text");
	assert_string_equal(news(&topic, "other", 0, 0), "nothing");
	/* With the same text, too; and changed again before anybody was told. */
	topic_put(&topic, "lock", "k", "beta", false, xstrdup("1"));
	moved = topic.change;
	assert_int_equal(moved, before + 1);
	topic_put(&topic, "lock", "other", "beta", false, xstrdup("2"));
	topic_put(&topic, "lock", "k", "gamma", false, xstrdup("2"));
	topic_put(&topic, "lock", "k", "gamma", false, xstrdup("3"));
	assert_string_equal(news(&topic, "k", 0, before), "gone");
	assert_string_equal(news(&topic, "other", 0, before), "nothing");
	/* Who was told, or came later, hears no more of it. */
	assert_string_equal(news(&topic, "k", 0, topic.change), "nothing");
	assert_string_equal(news(&topic, "k", topic.change, topic.change), "nothing");
	topic_put(&topic, "lock", "k", "alpha", false, xstrdup("4"));
	assert_string_equal(news(&topic, "k", 0, before), "text");
	topic_remove(&topic, find(&topic, "k"));
	assert_string_equal(news(&topic, "k", 0, before), "gone");
	assert_string_equal(news(&topic, "k", topic.change, topic.change), "nothing");
	for (int i = 0; i < 3 * LIMIT_TOPIC_FORMER; i++) {
		char project[2] = { (char)('a' + i), '\0' };

		topic_put(&topic, "lock", "k", project, false, xstrdup("5"));
	}
	topic_finish(&topic);
}

static void test_nothing_is_kept_for_a_reader_that_lags_too_far(void **state)
{
	struct topic_reader slow, quick;
	struct topic topic;
	uint64_t behind;
	char key[16];

	(void)state;
	topic_init(&topic);
	put(&topic, "first", "1");
	topic_reader_begin(&slow, &topic);
	for (int i = 0; i <= LIMIT_TOPIC_GONE; i++) {
		behind = topic.change;
		assert_true(topic_reader_keeps_up(&slow, &topic, &behind));
		assert_int_equal(behind, slow.joined);
		snprintf(key, sizeof(key), "%d", i);
		put(&topic, key, "1");
		topic_remove(&topic, find(&topic, key));
	}
	quick = (struct topic_reader){ .told = topic.change };
	behind = topic.change;
	assert_true(topic_reader_keeps_up(&quick, &topic, &behind));
	assert_false(topic_reader_keeps_up(&slow, &topic, &behind));
	topic_reader_begin(&slow, &topic);
	assert_int_equal(behind, topic.change);
	topic_forget_gone(&topic, behind);
	assert_int_equal(topic.gone, 0);
	assert_string_equal(told(&topic, slow.told), "first=1 ");
	topic_finish(&topic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_reader_gets_the_last_text_of_each_key),
		cmocka_unit_test(test_reader_gets_only_what_changed_since),
		cmocka_unit_test(test_what_has_gone_is_told_until_nobody_is_behind_it),
		cmocka_unit_test(test_what_moves_to_another_project_has_gone_for_who_may_not_see_that),
		cmocka_unit_test(test_nothing_is_kept_for_a_reader_that_lags_too_far),
		cmocka_unit_test(test_what_was_not_put_in_a_round_is_known_by_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
