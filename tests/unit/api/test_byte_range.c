/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include "api/byte_range.h"

static void test_ranges(void **state)
{
	static const struct {
		const char *header;
		int64_t size;
		enum byte_range_verdict want;
		int64_t from, to;
	} cases[] = {
		{ NULL, 10, BYTE_RANGE_NONE, 0, 0 },
		{ "", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=-", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "lines=1-2", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=1", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=1-2x", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes= 1-2", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=+1-2", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=--2", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=0-1,3-4", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=5-4", 10, BYTE_RANGE_NONE, 0, 0 },
		{ "bytes=0-0", 10, BYTE_RANGE_PART, 0, 1 },
		{ "bytes=1-2", 10, BYTE_RANGE_PART, 1, 3 },
		{ "bytes=3-", 10, BYTE_RANGE_PART, 3, 10 },
		{ "bytes=3-9", 10, BYTE_RANGE_PART, 3, 10 },
		{ "bytes=3-10", 10, BYTE_RANGE_PART, 3, 10 },
		{ "bytes=9-9", 10, BYTE_RANGE_PART, 9, 10 },
		{ "bytes=-4", 10, BYTE_RANGE_PART, 6, 10 },
		{ "bytes=-400", 10, BYTE_RANGE_PART, 0, 10 },
		{ "bytes=0-9223372036854775807", 10, BYTE_RANGE_PART, 0, 10 },
		{ "bytes=0-99999999999999999999999", 10, BYTE_RANGE_PART, 0, 10 },
		{ "bytes=-99999999999999999999999", 10, BYTE_RANGE_PART, 0, 10 },
		{ "bytes=10-", 10, BYTE_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=99999999999999999999999-", 10, BYTE_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-0", 10, BYTE_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=0-", 0, BYTE_RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-5", 0, BYTE_RANGE_UNSATISFIABLE, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int64_t from = 0, to = 0;
		enum byte_range_verdict verdict = byte_range_parse(cases[i].header, cases[i].size, &from, &to);

		if (verdict != cases[i].want || from != cases[i].from || to != cases[i].to)
			fail_msg("%s of %lld: verdict %d, from %lld to %lld", cases[i].header, (long long)cases[i].size, (int)verdict,
				(long long)from, (long long)to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranges) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
