/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include "base/clock.h"

static const struct {
	const char *stamp;
	int64_t want_ms;        /* -1: refused */
} stamps[] = {
	{ "1970-01-01T00:00:01Z", 1000 },
	{ "2026-01-02T03:04:05.678Z", 1767323045678 },
	{ "2026-01-02T03:04:05.6Z", 1767323045600 },
	{ "2026-01-02T03:04:05.6789123Z", 1767323045678 },
	{ "2026-01-02T03:04:05", -1 },
	{ "2026-01-02 03:04:05Z", -1 },
	{ "", -1 },
};

static void test_parse_stamp(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
		int64_t got_ms = -1;

		assert_int_equal(clock_parse_stamp(stamps[i].stamp, &got_ms), stamps[i].want_ms >= 0);
		assert_int_equal(got_ms, stamps[i].want_ms);
	}
}

static void test_stamp_reads_back(void **state)
{
	char stamp[CLOCK_STAMP_BYTES];
	int64_t back_ms;

	(void)state;
	clock_stamp(1767323045678, stamp);
	assert_string_equal(stamp, "2026-01-02T03:04:05.678Z");
	assert_true(clock_parse_stamp(stamp, &back_ms));
	assert_int_equal(back_ms, 1767323045678);
	clock_stamp(0, stamp);
	assert_string_equal(stamp, "");
}

static void test_shift_moves_all_clocks(void **state)
{
	double monotonic_s = clock_monotonic_s();
	int64_t boot_ms = clock_boot_ms();
	int64_t wall_ms = clock_wall_ms();

	(void)state;
	clock_shift(100, -3600000);
	assert_true(clock_monotonic_s() - monotonic_s >= 100);
	assert_true(clock_boot_ms() - boot_ms >= 100000);
	assert_true(clock_wall_ms() < wall_ms);
	clock_shift(-100, 3600000);
}

static void test_steady_time_is_not_moved_by_setting_the_wall_clock(void **state)
{
	int64_t offset_ms = clock_steady_offset_ms();
	int64_t hour_ms = 3600000;

	(void)state;
	assert_int_equal(clock_steady_to_wall(0), 0);
	assert_in_range(clock_steady_ms() - clock_wall_ms() + 100, 0, 200);
	/* As if the store had been opened for the first time before the wall clock was set an hour ahead. */
	clock_steady_set(offset_ms - hour_ms);
	assert_in_range(clock_wall_ms() - clock_steady_ms() - hour_ms + 100, 0, 200);
	assert_in_range(clock_steady_to_wall(clock_steady_ms()) - clock_wall_ms() + 100, 0, 200);
	assert_int_equal(clock_steady_to_wall(0), 0);
	clock_steady_set(offset_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_stamp),
		cmocka_unit_test(test_stamp_reads_back),
		cmocka_unit_test(test_shift_moves_all_clocks),
		cmocka_unit_test(test_steady_time_is_not_moved_by_setting_the_wall_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
