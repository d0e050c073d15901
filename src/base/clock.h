/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - which time is it, and for whom.
 *
 * Deadlines and timeouts use the monotonic clock; leases use the boot clock, which also runs
 * while the machine sleeps; the wall clock is for people and for peers, never for decisions.  Times that
 * are stored, and decided by later or elsewhere, are on the steady clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLOCK_STAMP_BYTES = 32,         /* "2026-01-02T03:04:05.678Z" and the NUL */
	CLOCK_BOOT_ID_BYTES = 37,       /* a UUID and the NUL */
};

double clock_monotonic_s(void);
/* Milliseconds of CLOCK_BOOTTIME; meaningful together with clock_boot_id(). */
int64_t clock_boot_ms(void);
/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);
/* Milliseconds since 1970 as the wall clock said when the store was first opened in this boot, running on
 * with the boot clock: setting the wall clock does not move it.  The wall clock until it is set. */
int64_t clock_steady_ms(void);
/* By how much the steady clock shall be ahead of the boot clock, for this process.  Whoever opens a store
 * says it, so that all who share the store agree. */
void clock_steady_set(int64_t offset_ms);
/* What that is if the steady clock began now. */
int64_t clock_steady_offset_ms(void);
/* What the wall clock, as it goes now, says of a steady time; 0 stays 0. */
int64_t clock_steady_to_wall(int64_t steady_ms);
/* The kernel's random id of this boot; "" when /proc is not there. */
const char *clock_boot_id(void);
/* Formats wall time in ISO 8601 with milliseconds; "" for 0 or less. */
void clock_stamp(int64_t wall_ms, char stamp[CLOCK_STAMP_BYTES]);
/* Reads "2026-01-02T03:04:05[.678]Z" into milliseconds since 1970. */
bool clock_parse_stamp(const char *stamp, int64_t *wall_ms);
/* For tests: adds to what the clocks above answer, from now on; the steady clock goes with the wall clock. */
void clock_shift(double monotonic_s, int64_t wall_ms);
/* What that has added so far to the boot clock and to the steady clock, for a store whose clock is a server's;
 * 0 outside of tests. */
void clock_shifted(int64_t *boot_ms, int64_t *steady_ms);

#endif
