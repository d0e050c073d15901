/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"

static const char text[] =
	"{\"tasks\":[{\"taskArn\":\"arn:1\",\"containers\":[{\"exitCode\":0},{\"exitCode\":137.0}]}],"
	"\"n\":1767323047.402,\"big\":1e300,\"empty\":{}}";

static void test_paths(void **state)
{
	struct error err;
	json_t *doc = json_at_parse(text, strlen(text), &err);
	int64_t number = -1;
	double real;

	(void)state;
	assert_non_null(doc);
	assert_string_equal(json_at_string(doc, "tasks[0].taskArn"), "arn:1");
	assert_true(json_at_integer(doc, "tasks[0].containers[0].exitCode", &number));
	assert_int_equal(number, 0);
	assert_true(json_at_integer(doc, "tasks[0].containers[1].exitCode", &number));
	assert_int_equal(number, 137);
	assert_false(json_at_integer(doc, "n", &number));
	assert_false(json_at_integer(doc, "big", &number));
	assert_true(json_at_number(doc, "n", &real));
	assert_null(json_at_string(doc, "tasks[1].taskArn"));
	assert_null(json_at_string(doc, "tasks[0].taskArn.more"));
	assert_null(json_at_string(doc, "n"));
	assert_null(json_at_array(doc, "empty"));
	assert_non_null(json_at_object(doc, "empty"));
	json_decref(doc);
}

static const struct {
	const char *name, *text;
} refused[] = {
	{ "duplicate member", "{\"a\":1,\"a\":2}" },
	{ "trailing bytes", "{} x" },
	{ "truncated", "{\"a\":" },
	{ "empty", "" },
	{ "bare word", "hello" },
	{ "HTML", "<html></html>" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct error err = { 0 };

		if (json_at_parse(refused[i].text, strlen(refused[i].text), &err) != NULL)
			fail_msg("%s was read", refused[i].name);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

#define R "\xef\xbf\xbd"
static const struct {
	const char *name, *given;
	size_t size;
	const char *want;
} dirty[] = {
	{ "plain", "text", 4, "text" },
	{ "empty", "", 0, "" },
	{ "a NUL hides nothing", "a\0b", 3, "a" R "b" },
	{ "all lengths", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "cut in a character", "x\xe2\x82", 3, "x" R R },
	{ "no beginning", "\x80y\xff", 3, R "y" R },
	{ "overlong", "\xc0\xaf\xe0\x80\x80", 5, R R R R R },
	{ "surrogate", "\xed\xa0\x80", 3, R R R },
	{ "beyond the last", "\xf4\x90\x80\x80", 4, R R R R },
};

static void test_clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dirty); i++) {
		char *clean = json_at_clean(dirty[i].given, dirty[i].size);
		json_t *value = json_at_text(clean);

		if (strcmp(clean, dirty[i].want) != 0)
			fail_msg("%s: \"%s\"", dirty[i].name, clean);
		assert_string_equal(json_string_value(value), dirty[i].want);
		json_decref(value);
		free(clean);
	}
}

static void test_text_is_never_missing(void **state)
{
	json_t *value = json_at_text("a\xff");

	(void)state;
	assert_string_equal(json_string_value(value), "a" R);
	json_decref(value);
	assert_true(json_is_null(json_at_text(NULL)));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_paths), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_clean), cmocka_unit_test(test_text_is_never_missing) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
