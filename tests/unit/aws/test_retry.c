/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"
#include "aws/retry.h"

static const struct {
	const char *name;
	unsigned retry;
	enum retry_cause cause;
	double unit;
	int64_t retry_after_ms;
	double want_s;
} delays[] = {
	{ "first", 0, RETRY_TRANSIENT, 1, -1, 0.05 },
	{ "jitter goes down to nothing", 0, RETRY_TRANSIENT, 0, -1, 0 },
	{ "doubles", 3, RETRY_TRANSIENT, 1, -1, 0.4 },
	{ "ceiling", 9, RETRY_TRANSIENT, 1, -1, 20 },
	{ "ceiling with jitter", 30, RETRY_TRANSIENT, 0.5, -1, 10 },
	{ "no overflow", 4000000000u, RETRY_TRANSIENT, 1, -1, 20 },
	{ "throttled starts higher", 0, RETRY_THROTTLED, 1, -1, 1 },
	{ "throttled doubles", 2, RETRY_THROTTLED, 0.5, -1, 2 },
	{ "throttled ceiling", 5, RETRY_THROTTLED, 1, -1, 20 },
	{ "server asks for more", 0, RETRY_TRANSIENT, 1, 2000, 2 },
	{ "server asks for less", 0, RETRY_THROTTLED, 1, 10, 1 },
	{ "server asks for too much", 0, RETRY_THROTTLED, 1, 3600000, 6 },
	{ "server asks for nothing", 0, RETRY_TRANSIENT, 1, 0, 0.05 },
};

static void test_delay(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
		double got_s = retry_delay_s(delays[i].retry, delays[i].cause, delays[i].unit, delays[i].retry_after_ms);

		if (got_s < delays[i].want_s - 1e-9 || got_s > delays[i].want_s + 1e-9)
			fail_msg("%s: got %f, want %f", delays[i].name, got_s, delays[i].want_s);
	}
}

static void test_bucket(void **state)
{
	struct retry_bucket bucket;
	unsigned paid = 0, retries = 0;

	(void)state;
	retry_bucket_init(&bucket);
	while (retry_bucket_pay(&bucket, RETRY_TRANSIENT, &paid))
		retries++;
	assert_int_equal(retries, RETRY_BUCKET / RETRY_COST);
	assert_int_equal(paid, RETRY_COST);
	assert_int_equal(bucket.tokens, RETRY_BUCKET % RETRY_COST);
	assert_true(retry_bucket_pay(&bucket, RETRY_THROTTLED, &paid));
	assert_int_equal(paid, RETRY_COST_THROTTLED);
	retry_bucket_earn(&bucket, paid);
	retry_bucket_earn(&bucket, 0);
	assert_int_equal(bucket.tokens, RETRY_BUCKET % RETRY_COST + 1);
	for (unsigned i = 0; i < 2 * RETRY_BUCKET; i++)
		retry_bucket_earn(&bucket, 0);
	assert_int_equal(bucket.tokens, RETRY_BUCKET);
}

static void test_retry_after(void **state)
{
	static const struct { const char *value; int64_t want_ms; } cases[] = {
		{ "0", 0 }, { "2", 2000 }, { "1.5", 1500 }, { "-1", -1 }, { "", -1 }, { "soon", -1 }, { "2 s", -1 },
		{ "nan", -1 }, { "999999999999", 86400000 },
		{ "Thu, 01 Jan 2026 00:00:10 GMT", 10000 },             /* now is 00:00:00 */
		{ "Wed, 31 Dec 2025 23:00:00 GMT", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(retry_after_parse(cases[i].value, 1767225600), cases[i].want_ms);
	assert_int_equal(retry_after_parse(NULL, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
