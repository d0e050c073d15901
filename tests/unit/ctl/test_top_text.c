/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers' texts on a screen: cut to columns, and without power over the terminal. */
#include "../cmocka_all.h"

#include <locale.h>
#include <wchar.h>

#include "ctl/top_text.h"

static const struct { const char *name, *text; int columns; const wchar_t *want; } texts[] = {
	{ "padded", "ab", 4, L"ab  " },
	{ "cut", "abcdef", 4, L"abcd" },
	{ "nothing", "", 2, L"  " },
	{ "no room", "abc", 0, L"" },
	{ "an escape", "a\x1b[2Jb", 8, L"a?[2Jb  " },
	{ "a newline", "a\nb", 3, L"a?b" },
	{ "C1 controls", "a\xc2\x9b" "b", 4, L"a?b " },
	{ "half a character", "a\xc3", 3, L"a? " },
	{ "no UTF-8", "a\xff\xfe" "b", 4, L"a??b" },
	{ "letters", "gr\xc3\xbcn", 5, L"gr\u00fcn " },
	{ "a wide one that fits", "\xe4\xb8\xad\xe6\x96\x87", 4, L"\u4e2d\u6587" },
	{ "a wide one that does not", "a\xe4\xb8\xad\xe6\x96\x87", 4, L"a\u4e2d " },
	{ "a combining mark", "e\xcc\x81", 3, L"e? " },
};

static void test_texts_fit(void **state)
{
	wchar_t out[TOP_TEXT_COLUMNS_MAX + 1];

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t count = top_text_fit(texts[i].text, texts[i].columns, out);

		if (wcscmp(out, texts[i].want) != 0 || count != wcslen(texts[i].want))
			fail_msg("%s: \"%ls\"", texts[i].name, out);
	}
}

static void test_without_a_locale_letters_are_question_marks(void **state)
{
	wchar_t out[TOP_TEXT_COLUMNS_MAX + 1];

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C"));
	top_text_fit("gr\xc3\xbcn", 6, out);
	assert_int_equal(wcscmp(out, L"gr??n "), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_fit),
		cmocka_unit_test(test_without_a_locale_letters_are_question_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
