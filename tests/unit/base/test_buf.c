/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void test_grows_to_its_limit_and_no_further(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	for (int i = 0; i < 1000; i++)
		assert_true(buf_add_char(&buf, 'x'));
	assert_false(buf_add_char(&buf, 'y'));
	assert_true(buf.overflowed);
	assert_int_equal(buf.size, 1000);
	assert_int_equal(strlen(buf_text(&buf)), 1000);
	buf_clear(&buf);
	assert_false(buf.overflowed);
	assert_string_equal(buf_text(&buf), "");
	buf_finish(&buf);
}

static void test_refuses_an_addition_whole(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4);
	assert_true(buf_add_text(&buf, "ab"));
	assert_false(buf_add_text(&buf, "cde"));
	assert_string_equal(buf_text(&buf), "ab");
	assert_false(buf_add(&buf, "z", (size_t)-1));
	buf_finish(&buf);
}

static void test_zeroed_refuses_everything_but_nothing(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_true(buf_add(&buf, "", 0));
	assert_false(buf_add_char(&buf, 'a'));
	buf_finish(&buf);
}

/* Around the room of the moment and around the limit. */
static void test_prints_what_fits_and_refuses_the_rest_whole(void **state)
{
	enum { LIMIT = 600 };
	char text[LIMIT + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int len = 0; len <= LIMIT + 1; len++) {
		struct buf buf;

		buf_init(&buf, LIMIT);
		assert_true(buf_add_text(&buf, "ab"));
		assert_int_equal(buf_printf(&buf, "%.*s", len, text), len <= LIMIT - 2);
		assert_int_equal(buf.overflowed, len > LIMIT - 2);
		assert_int_equal(buf.size, len <= LIMIT - 2 ? 2 + len : 2);
		assert_int_equal(strlen(buf_text(&buf)), buf.size);
		assert_int_equal(strspn(buf_text(&buf) + 2, "x"), buf.size - 2);
		buf_finish(&buf);
	}
}

/* What is taken is terminated and whole, however much room there was. */
static void test_takes_any_size(void **state)
{
	(void)state;
	for (size_t size = 0; size < 600; size++) {
		struct buf buf;
		char *taken;

		buf_init(&buf, 1000);
		for (size_t i = 0; i < size; i++)
			buf_add_char(&buf, 'x');
		taken = buf_take(&buf);
		assert_int_equal(strlen(taken), size);
		free(taken);
		buf_finish(&buf);
	}
}

static void test_take_and_consume(void **state)
{
	struct buf buf;
	char *taken;

	(void)state;
	buf_init(&buf, 100);
	buf_printf(&buf, "%d-%s", 42, "answer");
	buf_consume(&buf, 3);
	assert_string_equal(buf_text(&buf), "answer");
	taken = buf_take(&buf);
	assert_string_equal(taken, "answer");
	free(taken);
	taken = buf_take(&buf);
	assert_string_equal(taken, "");
	free(taken);
	buf_consume(&buf, 10);
	buf_finish(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_to_its_limit_and_no_further),
		cmocka_unit_test(test_refuses_an_addition_whole),
		cmocka_unit_test(test_zeroed_refuses_everything_but_nothing),
		cmocka_unit_test(test_prints_what_fits_and_refuses_the_rest_whole),
		cmocka_unit_test(test_takes_any_size),
		cmocka_unit_test(test_take_and_consume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
