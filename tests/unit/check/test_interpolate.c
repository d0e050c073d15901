/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "check/interpolate.h"

struct interpolate_case {
	const char *given;
	const char *want;               /* NULL: refused */
	bool used;
};

static const struct interpolate_case cases[] = {
	{ "", "", false },
	{ "plain", "plain", false },
	{ "${TEST_A}", "a", true },
	{ "x${TEST_A}y${TEST_A}", "xaya", true },
	{ "${TEST_FILE}", "file", true },
	{ "${TEST_BOTH}", "environment", true },
	{ "${TEST_UNSET:-default}", "default", true },
	{ "${TEST_EMPTY:-default}", "default", true },
	{ "${TEST_A:-default}", "a", true },
	{ "${TEST_UNSET:-}", "", true },
	{ "${TEST_EMPTY}", "", true },
	{ "${TEST_UNSET:-a:-b $ c}", "a:-b $ c", true },
	{ "$$", "$", false },
	{ "$${TEST_A}", "${TEST_A}", false },
	{ "$$$${TEST_A}", "$${TEST_A}", false },
	{ "$$${TEST_A}", "$a", true },
	{ "$TEST_A $ $1 $", "$TEST_A $ $1 $", false },
	{ "{{ project }}", "{{ project }}", false },
	{ "${TEST_NESTED}", "${TEST_A} $$", true },
	{ "${TEST_UNSET}", NULL, true },
	{ "${TEST_A", NULL, true },
	{ "${}", NULL, true },
	{ "${:-x}", NULL, true },
	{ "${1A}", NULL, true },
	{ "${TEST_A-x}", NULL, true },
	{ "${TEST_A:x}", NULL, true },
	{ "${TEST A}", NULL, true },
	{ "${ TEST_A }", NULL, true },
	{ "a${", NULL, true },
};

static int set_up(void **state)
{
	(void)state;
	setenv("TEST_A", "a", 1);
	setenv("TEST_EMPTY", "", 1);
	setenv("TEST_BOTH", "environment", 1);
	setenv("TEST_NESTED", "${TEST_A} $$", 1);
	unsetenv("TEST_UNSET");
	return 0;
}

static void test_interpolate(void **state)
{
	struct pairs file = { 0 };
	const struct variables variables = { .file = &file };

	(void)state;
	pairs_set(&file, "TEST_FILE", "file");
	pairs_set(&file, "TEST_BOTH", "file");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out;
		struct error err = { 0 };
		bool used, ok;

		buf_init(&out, 256);
		ok = interpolate(cases[i].given, &variables, &out, &used, &err);
		if (ok != (cases[i].want != NULL) || used != cases[i].used)
			fail_msg("\"%s\": got %d, used %d", cases[i].given, ok, used);
		if (ok)
			assert_string_equal(buf_text(&out), cases[i].want);
		else
			assert_int_equal(err.kind, ERROR_INVALID);
		buf_finish(&out);
	}
	pairs_finish(&file);
}

static void test_what_is_unset_is_named_with_where_it_was_looked_for(void **state)
{
	static const struct pairs file = { 0 };
	static const struct {
		struct variables given;
		const char *want;
	} wants[] = {
		{ { NULL, NULL }, "expected TEST_UNSET in the environment, found it unset" },
		{ { &file, NULL }, "expected TEST_UNSET in the environment or env_file, found it unset" },
		{ { &file, "/x/.env" },
		  "expected TEST_UNSET in the environment, found it unset, and no env_file \"/x/.env\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		struct buf out;
		struct error err = { 0 };
		bool used;

		buf_init(&out, 256);
		assert_false(interpolate("${TEST_UNSET}", &wants[i].given, &out, &used, &err));
		assert_string_equal(err.text, wants[i].want);
		buf_finish(&out);
	}
}

static void test_result_is_limited(void **state)
{
	const struct variables variables = { 0 };
	struct buf out;
	struct error err = { 0 };
	bool used;

	(void)state;
	buf_init(&out, 3);
	assert_false(interpolate("${TEST_A}${TEST_A}${TEST_A}${TEST_A}", &variables, &out, &used, &err));
	assert_string_equal(err.text, "expected at most 3 bytes, found more");
	buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interpolate),
		cmocka_unit_test(test_what_is_unset_is_named_with_where_it_was_looked_for),
		cmocka_unit_test(test_result_is_limited),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
