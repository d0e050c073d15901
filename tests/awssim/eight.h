/* SPDX-License-Identifier: Apache-2.0 */
/* eight.h - eight bytes looked at as one number.
 * Each question is answered by a number that is 0 for "none of them".  A byte above one that counts may
 * seem to count as well, so the answer says whether there is one and not where. */
#ifndef AWSSIM_EIGHT_H
#define AWSSIM_EIGHT_H

#include <stdint.h>
#include <string.h>

#define EIGHT_TIMES(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline uint64_t eight_bytes(const char *at)
{
	uint64_t eight;

	memcpy(&eight, at, sizeof(eight));
	return eight;
}

/* limit: at most 0x80. */
static inline uint64_t eight_below(uint64_t eight, unsigned char limit)
{
	return (eight - EIGHT_TIMES(limit)) & ~eight & EIGHT_TIMES(0x80);
}

static inline uint64_t eight_equal(uint64_t eight, unsigned char letter)
{
	return eight_below(eight ^ EIGHT_TIMES(letter), 1);
}

/* Not ASCII; this answer is exact. */
static inline uint64_t eight_high(uint64_t eight)
{
	return eight & EIGHT_TIMES(0x80);
}

/* None of them ends a run of plain characters in a JSON string. */
static inline int eight_plain(uint64_t eight)
{
	return (eight_below(eight, 0x20) | eight_equal(eight, '"') | eight_equal(eight, '\\')) == 0;
}

#endif
