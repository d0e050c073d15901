/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "aws/xml_tag.h"

static const struct { const char *xml, *name, *want; } cases[] = {
	{ "<a><Code>X</Code></a>", "Code", "X" },
	{ "<Code a='1'>X</Code>", "Code", "X" },
	{ "<Code\n>\n  X y \n</Code>", "Code", "X y" },
	{ "<Codes>n</Codes><Code>y</Code>", "Code", "y" },
	{ "<Code></Code>", "Code", "" },
	{ "<m>&lt;a&gt; &amp;amp; &quot;b&quot; &apos;</m>", "m", "<a> &amp; \"b\" '" },
	{ "<m>&#38;&#x26;&#xe9;&#x20ac;&#128640;</m>", "m", "&&\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80" },
	{ "<m>a & b &nbsp; &#; &#xd800; &#0; &</m>", "m", "a & b &nbsp; &#; &#xd800; &#0; &" },
	{ "<m>1</m><m>2</m>", "m", "1" },
	{ "<m/>", "m", NULL },
	{ "<m>a<b/></m>", "m", NULL },
	{ "<m>a</n>", "m", NULL },
	{ "<m>a", "m", NULL },
	{ "<m>a</m", "m", NULL },
	{ "<m", "m", NULL },
	{ "<", "m", NULL },
	{ "", "m", NULL },
	{ "plain text", "m", NULL },
};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		/* A copy without a NUL, so that reading past the end is seen. */
		size_t size = strlen(cases[i].xml);
		char *xml = malloc(size > 0 ? size : 1), *got;

		memcpy(xml, cases[i].xml, size);
		got = xml_tag_text(xml, size, cases[i].name);
		if ((got == NULL) != (cases[i].want == NULL) || (got != NULL && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: got %s", cases[i].xml, got != NULL ? got : "nothing");
		free(got);
		free(xml);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_text) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
