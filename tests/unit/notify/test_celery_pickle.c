/* SPDX-License-Identifier: Apache-2.0 */
/* Plain values in the bytes that Python's own pickle.loads() takes; the values are those of pickletools' opcodes. */
#include "../cmocka_all.h"

#include <string.h>

#include "notify/celery_pickle.h"

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *name, *json, *want;
	size_t want_bytes;
} cases[] = {
	{ "nothing", "null", BYTES("\x80\x02N.") },
	{ "true", "true", BYTES("\x80\x02\x88.") },
	{ "false", "false", BYTES("\x80\x02\x89.") },
	{ "small", "7", BYTES("\x80\x02J\x07\0\0\0.") },
	{ "negative", "-2", BYTES("\x80\x02J\xfe\xff\xff\xff.") },
	{ "the last of 32 bits", "2147483647", BYTES("\x80\x02J\xff\xff\xff\x7f.") },
	{ "the first beyond", "2147483648", BYTES("\x80\x02\x8a\x08\0\0\0\x80\0\0\0\0.") },
	{ "far below", "-2147483649", BYTES("\x80\x02\x8a\x08\xff\xff\xff\x7f\xff\xff\xff\xff.") },
	{ "real", "1.5", BYTES("\x80\x02G\x3f\xf8\0\0\0\0\0\0.") },
	{ "text in bytes, not characters", "\"\xc3\xa4\"", BYTES("\x80\x02X\x02\0\0\0\xc3\xa4.") },
	{ "text with a NUL", "\"a\\u0000b\"", BYTES("\x80\x02X\x03\0\0\0a\0b.") },
	{ "empty list", "[]", BYTES("\x80\x02](e.") },
	{ "list", "[null,1]", BYTES("\x80\x02](NJ\x01\0\0\0e.") },
	{ "empty object", "{}", BYTES("\x80\x02}(u.") },
	{ "object in an object", "{\"a\":{\"b\":null}}", BYTES("\x80\x02}(X\x01\0\0\0a}(X\x01\0\0\0bNuu.") },
};

static void value_is_pickled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *value = json_loads(cases[i].json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		struct buf out;

		assert_non_null(value);
		buf_init(&out, 100);
		assert_true(celery_pickle(value, &out));
		if (out.size != cases[i].want_bytes || memcmp(out.bytes, cases[i].want, out.size) != 0)
			fail_msg("%s", cases[i].name);
		buf_finish(&out);
		json_decref(value);
	}
}

static void what_does_not_fit_is_said(void **state)
{
	json_t *value = json_pack("[s]", "longer than there is room");
	struct buf out;

	(void)state;
	buf_init(&out, 20);
	assert_false(celery_pickle(value, &out));
	buf_finish(&out);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(value_is_pickled),
		cmocka_unit_test(what_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
