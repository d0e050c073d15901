/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4648, section 10, and what is none. */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/base64.h"

static const struct { const char *text, *want; } cases[] = {
	{ "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" }, { "Zm9v", "foo" }, { "Zm9vYg==", "foob" }, { "Zm9vYmE=", "fooba" },
	{ "Zm9vYmFy", "foobar" }, { "Zm9v\r\nYmFy\n", "foobar" }, { "Zm8", "fo" }, { "+/+/", "\xfb\xff\xbf" },
	{ "Z", NULL }, { "Zm9vY", NULL }, { "Zg=", NULL }, { "Zg===", NULL }, { "Zg==Zg==", NULL }, { "Zm9*", NULL }, { "-_-_", NULL },
	{ "=", NULL }, { "{\"a\":1}", NULL },
};

static void test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t size;
		char *plain = base64_decode(cases[i].text, strlen(cases[i].text), &size);

		if ((plain == NULL) != (cases[i].want == NULL))
			fail_msg("%s: %s", cases[i].text, plain);
		if (plain != NULL && (strcmp(plain, cases[i].want) != 0 || size != strlen(cases[i].want)))
			fail_msg("%s: %zu bytes %s", cases[i].text, size, plain);
		free(plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_decode) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
