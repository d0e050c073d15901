/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "check/env_file.h"

struct env_case {
	const char *name;
	const char *given;
	const char *want;               /* "NAME=VALUE|..."; NULL: refused */
	struct place place;             /* of the complaint */
};

static const struct env_case cases[] = {
	{ "plain", "A=b\n", "A=b|", { 0 } },
	{ "without a newline at the end", "A=b", "A=b|", { 0 } },
	{ "nothing", "", "", { 0 } },
	{ "comments and blank lines", "# x\n\n  # y\nA=b\n", "A=b|", { 0 } },
	{ "export", "export A=b\nexport\tB=c\n", NULL, { 2, 1 } },
	{ "export with blanks", "export   A=b\n", "A=b|", { 0 } },
	{ "blanks around a value", "A=  b c  \n", "A=b c|", { 0 } },
	{ "blank before =", "A =b\n", NULL, { 1, 1 } },
	{ "empty value", "A=\nB=c\n", "A=|B=c|", { 0 } },
	{ "comment behind a value", "A=b # c\n", "A=b|", { 0 } },
	{ "# within a value", "A=b#c\n", "A=b#c|", { 0 } },
	{ "= within a value", "A=b=c==\n", "A=b=c==|", { 0 } },
	{ "double quotes", "A=\"b # 'c' \\\"d\\\" \\n\\$\\x\"\n", "A=b # 'c' \"d\" \n$\\x|", { 0 } },
	{ "single quotes", "A='b \\n \"c\" $D'\n", "A=b \\n \"c\" $D|", { 0 } },
	{ "quotes over lines", "A=\"b\nc\"\nB=d\n", "A=b\nc|B=d|", { 0 } },
	{ "comment behind quotes", "A='b' # c\n", "A=b|", { 0 } },
	{ "text behind quotes", "A='b'c\n", NULL, { 1, 6 } },
	{ "open quotes", "B=c\nA='b\n", NULL, { 2, 3 } },
	{ "carriage returns", "A=b\r\nB='c'\r\n", "A=b|B=c|", { 0 } },
	{ "a later line wins", "A=b\nB=c\nA=d\n", "A=d|B=c|", { 0 } },
	{ "no value", "A\n", NULL, { 1, 1 } },
	{ "a name with a digit first", "1A=b\n", NULL, { 1, 1 } },
	{ "a name with a dash", "A-B=b\n", NULL, { 1, 1 } },
	{ "dollars stay", "A=$B${C}\n", "A=$B${C}|", { 0 } },
	{ "byte order mark", "\xef\xbb\xbf" "A=b\n", "A=b|", { 0 } },
};

static void join(const struct pairs *pairs, char *text, size_t size)
{
	*text = '\0';
	for (size_t i = 0; i < pairs->count; i++)
		snprintf(text + strlen(text), size - strlen(text), "%s=%s|", pairs->at[i].name, pairs->at[i].value);
}

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pairs pairs = { 0 };
		struct complaints complaints = { 0 };
		bool ok = env_file_parse(cases[i].given, &pairs, &complaints);
		char got[256];

		join(&pairs, got, sizeof(got));
		if (ok != (cases[i].want != NULL) || ok != (complaints.count == 0))
			fail_msg("%s: got %d, %zu complaints", cases[i].name, ok, complaints.count);
		if (ok && strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got \"%s\"", cases[i].name, got);
		if (!ok) {
			assert_int_equal(complaints.at[0].place.line, cases[i].place.line);
			assert_int_equal(complaints.at[0].place.column, cases[i].place.column);
		}
		pairs_finish(&pairs);
		complaints_finish(&complaints);
	}
}

static void test_goes_on_after_a_bad_line_and_shows_no_value(void **state)
{
	struct pairs pairs = { 0 };
	struct complaints complaints = { 0 };

	(void)state;
	assert_false(env_file_parse("hunter2\nA='hunter2' hunter2\nB=c\n", &pairs, &complaints));
	assert_int_equal(complaints.count, 2);
	for (size_t i = 0; i < complaints.count; i++)
		assert_null(strstr(complaints.at[i].text, "hunter2"));
	assert_string_equal(pairs_find(&pairs, "B"), "c");
	pairs_finish(&pairs);
	complaints_finish(&complaints);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_goes_on_after_a_bad_line_and_shows_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
