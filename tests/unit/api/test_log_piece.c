/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <string.h>

#include "api/log_piece.h"

static void test_half_a_character_waits_for_its_other_half(void **state)
{
	static const struct { const char *name, *bytes; size_t want; } cases[] = {
		{ "nothing", "", 0 },
		{ "ASCII", "abc", 3 },
		{ "a whole character of two", "a\xc3\xa4", 3 },
		{ "half of two", "a\xc3", 1 },
		{ "a whole character of three", "a\xe2\x82\xac", 4 },
		{ "one of three", "a\xe2", 1 },
		{ "two of three", "a\xe2\x82", 1 },
		{ "a whole character of four", "a\xf0\x9f\x9a\x80", 5 },
		{ "three of four", "a\xf0\x9f\x9a", 1 },
		{ "only a half", "\xe2\x82", 0 },
		{ "no lead", "a\x82\x82\x82\x82", 5 },
		{ "a lead that is none", "a\xff", 2 },
		{ "one too many", "a\xc3\xa4\xa4", 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t got = log_piece_characters(cases[i].bytes, strlen(cases[i].bytes));

		if (got != cases[i].want)
			fail_msg("%s: %zu, not %zu", cases[i].name, got, cases[i].want);
	}
}

static void test_lines_stay_whole_as_far_as_they_can(void **state)
{
	static const struct { const char *name, *bytes; size_t room; bool complete; size_t want; } cases[] = {
		{ "nothing", "", 8, false, 0 },
		{ "no line yet", "abc", 8, false, 0 },
		{ "a line and a beginning", "ab\ncd", 8, false, 3 },
		{ "two lines", "ab\ncd\n", 8, false, 6 },
		{ "the last line has no end", "ab\ncd", 8, true, 5 },
		{ "full, with a line", "ab\ncdefg", 8, false, 3 },
		{ "full, with a line, and more is there", "ab\ncdefg", 8, true, 3 },
		{ "full, without a line", "abcdefgh", 8, false, 8 },
		{ "full, cutting a character", "abcdefg\xc3", 8, false, 7 },
		{ "full, cutting a character of a log that has ended", "abcdefg\xc3", 8, true, 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t got = log_piece_lines(cases[i].bytes, strlen(cases[i].bytes), cases[i].room, cases[i].complete);

		if (got != cases[i].want)
			fail_msg("%s: %zu, not %zu", cases[i].name, got, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_a_character_waits_for_its_other_half),
		cmocka_unit_test(test_lines_stay_whole_as_far_as_they_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
