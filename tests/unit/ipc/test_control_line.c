/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "ipc/control_line.h"

static const char *const values[] = {
	"plain", "", "two words", "a=b", "\"quoted\"", "back\\slash", "line\nand\ttab", "\x01\x1f\x7f", "\xc3\xa4",
	"C:\\n", " leading", "trailing ",
};

static void test_what_is_composed_is_read_back(void **state)
{
	struct control_line line;
	struct buf out;
	char key[8];

	(void)state;
	buf_init(&out, LIMIT_CONTROL_REPLY_BYTES);
	control_line_begin(&out, "values");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(key, sizeof(key), "v%zu", i);
		control_line_text(&out, key, values[i]);
	}
	control_line_number(&out, "number", -42);
	control_line_end(&out);
	assert_int_equal(out.bytes[out.size - 1], '\n');
	assert_null(memchr(out.bytes, '\n', out.size - 1));
	assert_true(control_line_parse(&line, out.bytes, out.size - 1, NULL));
	assert_string_equal(line.name, "values");
	assert_int_equal(line.count, ARRAY_SIZE(values) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(key, sizeof(key), "v%zu", i);
		assert_string_equal(control_line_find(&line, key), values[i]);
	}
	assert_string_equal(control_line_find(&line, "number"), "-42");
	assert_null(control_line_find(&line, "v"));
	control_line_finish(&line);
	buf_finish(&out);
}

static const struct { const char *name, *given; size_t words; } good[] = {
	{ "a name alone", "status", 0 },
	{ "blanks between and after", "reload   wait=1  ", 1 },
	{ "an empty value", "reload wait=", 1 },
	{ "an equals sign in a value", "x a=b=c", 1 },
	{ "a number with a sign", "workers count=+1", 1 },
};

static void test_good_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct control_line line;

		if (!control_line_parse(&line, good[i].given, strlen(good[i].given), NULL))
			fail_msg("%s", good[i].name);
		assert_int_equal(line.count, good[i].words);
		control_line_finish(&line);
	}
}

static const struct { const char *name, *given; } bad[] = {
	{ "nothing", "" },
	{ "no name", " wait=1" },
	{ "a name with a value", "wait=1" },
	{ "a word without a value", "reload wait" },
	{ "a word without a key", "reload =1" },
	{ "an open quote", "x a=\"b" },
	{ "something behind a quote", "x a=\"b\"c" },
	{ "a quote inside a plain value", "x a=b\"c" },
	{ "a backslash at the end", "x a=\"b\\" },
	{ "an escape that is none", "x a=\"\\q\"" },
	{ "half a hexadecimal escape", "x a=\"\\x1\"" },
	{ "an escaped NUL", "x a=\"\\x00\"" },
	{ "a control character", "x a=\x01" },
	{ "a tab", "x\ta=1" },
};

static void test_bad_lines_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct control_line line;
		struct error err = { .kind = ERROR_NONE };

		if (control_line_parse(&line, bad[i].given, strlen(bad[i].given), &err))
			fail_msg("%s was taken", bad[i].name);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(line.copy);
	}
}

static void test_limits(void **state)
{
	static char text[LIMIT_CONTROL_RECORD_BYTES + 1];
	struct control_line line;
	struct buf words;

	(void)state;
	memset(text, 'n', sizeof(text));
	assert_true(control_line_parse(&line, text, LIMIT_CONTROL_RECORD_BYTES, NULL));
	control_line_finish(&line);
	assert_false(control_line_parse(&line, text, LIMIT_CONTROL_RECORD_BYTES + 1, NULL));

	buf_init(&words, LIMIT_CONTROL_LINE_BYTES);
	control_line_begin(&words, "x");
	for (int i = 0; i < LIMIT_CONTROL_WORDS; i++)
		control_line_number(&words, "k", i);
	assert_true(control_line_parse(&line, words.bytes, words.size, NULL));
	control_line_finish(&line);
	control_line_number(&words, "k", 1);
	assert_false(control_line_parse(&line, words.bytes, words.size, NULL));
	buf_finish(&words);
}

/* Whatever bytes come, they are taken or refused, and never read past their end. */
static void test_random_lines(void **state)
{
	static const char alphabet[] = "ab=\"\\ nx019\t";
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t size = (size_t)(rand_r(&seed) % 24);
		char *text = malloc(size + 1);
		struct control_line line;

		assert_non_null(text);
		for (size_t k = 0; k < size; k++)
			text[k] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		if (control_line_parse(&line, text, size, NULL)) {
			assert_true(line.count <= LIMIT_CONTROL_WORDS && line.name[0] != '\0');
			control_line_finish(&line);
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_composed_is_read_back),
		cmocka_unit_test(test_good_lines),
		cmocka_unit_test(test_bad_lines_are_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_random_lines),
	};

	return cmocka_run_group_tests_name("control_line", tests, NULL, NULL);
}
