/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - see clock.h. */
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double shift_s;
static int64_t shift_wall_ms;
static int64_t steady_offset_ms;
static bool steady;

static int64_t read_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

double clock_monotonic_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 + shift_s;
}

int64_t clock_boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME) + (int64_t)(shift_s * 1000);
}

int64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME) + shift_wall_ms;
}

int64_t clock_steady_ms(void)
{
	return steady ? read_ms(CLOCK_BOOTTIME) + steady_offset_ms + shift_wall_ms : clock_wall_ms();
}

void clock_steady_set(int64_t offset_ms)
{
	steady = true;
	steady_offset_ms = offset_ms;
}

int64_t clock_steady_offset_ms(void)
{
	return read_ms(CLOCK_REALTIME) - read_ms(CLOCK_BOOTTIME);
}

/* The clocks are read one after the other, so their difference varies by a millisecond without meaning it; a time
 * that was told once shall read the same the next time. */
static int64_t wall_ahead_ms(void)
{
	enum { SAME_MS = 5 };
	static int64_t told_ms;
	int64_t ahead_ms = clock_wall_ms() - clock_steady_ms();

	if (ahead_ms > told_ms + SAME_MS || ahead_ms < told_ms - SAME_MS)
		told_ms = ahead_ms;
	return told_ms;
}

int64_t clock_steady_to_wall(int64_t steady_ms)
{
	return steady_ms > 0 ? steady_ms + wall_ahead_ms() : steady_ms;
}

const char *clock_boot_id(void)
{
	static char id[CLOCK_BOOT_ID_BYTES];
	int fd;
	ssize_t n;

	if (id[0] != '\0')
		return id;
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return id;
	n = read(fd, id, sizeof(id) - 1);
	close(fd);
	id[n > 0 ? n : 0] = '\0';
	id[strcspn(id, "\n")] = '\0';
	return id;
}

void clock_stamp(int64_t wall_ms, char stamp[CLOCK_STAMP_BYTES])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm utc;
	size_t n;

	stamp[0] = '\0';
	if (wall_ms <= 0 || gmtime_r(&seconds, &utc) == NULL)
		return;
	n = strftime(stamp, CLOCK_STAMP_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
	if (n > 0)
		snprintf(stamp + n, CLOCK_STAMP_BYTES - n, ".%03dZ", (int)(wall_ms % 1000));
}

bool clock_parse_stamp(const char *stamp, int64_t *wall_ms)
{
	struct tm utc = { 0 };
	const char *rest = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &utc);
	int64_t fraction_ms = 0;
	int64_t unit = 100;

	if (rest == NULL)
		return false;
	if (*rest == '.') {
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			fraction_ms += unit * (*rest - '0');
	}
	if (strcmp(rest, "Z") != 0)
		return false;
	*wall_ms = (int64_t)timegm(&utc) * 1000 + fraction_ms;
	return true;
}

void clock_shift(double monotonic_s, int64_t wall_ms)
{
	shift_s += monotonic_s;
	shift_wall_ms += wall_ms;
}

void clock_shifted(int64_t *boot_ms, int64_t *steady_ms)
{
	*boot_ms = (int64_t)(shift_s * 1000);
	*steady_ms = shift_wall_ms;
}
