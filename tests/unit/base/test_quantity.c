/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include "base/quantity.h"

struct quantity_case {
	const char *given;
	int64_t want;           /* -1: refused */
};

static const struct quantity_case durations[] = {
	{ "500ms", 500 }, { "30s", 30000 }, { "10m", 600000 }, { "12h", 43200000 }, { "7d", 604800000 }, { "0", 0 },
	{ "30", -1 }, { "", -1 }, { "s", -1 }, { "-1s", -1 }, { "1.5s", -1 }, { "1 s", -1 }, { " 1s", -1 }, { "1s ", -1 },
	{ "9223372036854775807d", -1 }, { "99999999999999999999s", -1 }, { "1S", -1 },
};
static const struct quantity_case sizes[] = {
	{ "64KiB", 65536 }, { "10MB", 10000000 }, { "1GiB", 1 << 30 }, { "7", 7 }, { "7B", 7 }, { "0", 0 },
	{ "1K", -1 }, { "x", -1 }, { "", -1 }, { "9223372036854775807GiB", -1 },
};

static void check(const struct quantity_case *cases, size_t count, bool (*parse)(const char *, int64_t *))
{
	for (size_t i = 0; i < count; i++) {
		int64_t got = -1;
		bool ok = parse(cases[i].given, &got);

		if (ok != (cases[i].want >= 0) || (ok && got != cases[i].want))
			fail_msg("\"%s\": got %d %lld, want %lld", cases[i].given, ok, (long long)got, (long long)cases[i].want);
	}
}

static void test_parse(void **state)
{
	(void)state;
	check(durations, ARRAY_SIZE(durations), quantity_parse_ms);
	check(sizes, ARRAY_SIZE(sizes), quantity_parse_bytes);
}

static void test_format_reads_back(void **state)
{
	static const int64_t values[] = { 0, 1, 999, 1000, 90000, 5400000, 86400000, 1500, 65536, 1 << 20, 1000000 };
	char text[QUANTITY_TEXT_BYTES];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		quantity_format_ms(values[i], text);
		assert_true(quantity_parse_ms(text, &back));
		assert_int_equal(back, values[i]);
		quantity_format_bytes(values[i], text);
		assert_true(quantity_parse_bytes(text, &back));
		assert_int_equal(back, values[i]);
	}
	quantity_format_ms(90000, text);
	assert_string_equal(text, "90s");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse), cmocka_unit_test(test_format_reads_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
