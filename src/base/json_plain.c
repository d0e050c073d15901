/* SPDX-License-Identifier: Apache-2.0 */
/* json_plain.c - see json_plain.h.  Eight bytes are looked at as one number; most strings are plain to their end. */
#include "base/json_plain.h"

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The lowest bit that is set is in the first of the eight bytes, which is the lowest, that does not stand for itself;
 * 0: all do.  A byte borrows from those above it only if it is such a one, so bits above the lowest mean nothing. */
static uint64_t first_stop(uint64_t eight)
{
	uint64_t control = eight - EACH_BYTE(' '), quote = (eight ^ EACH_BYTE('"')) - EACH_BYTE(1);
	uint64_t backslash = (eight ^ EACH_BYTE('\\')) - EACH_BYTE(1);

	return (control | quote | backslash) & ~eight & EACH_BYTE(0x80);
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c != '"' && c != '\\';
}

const char *json_plain_end(const char *at, const char *end, bool *ascii)
{
	uint64_t eight, stop, all = 0;

	for (; end - at >= (ptrdiff_t)sizeof(eight); at += sizeof(eight)) {
		memcpy(&eight, at, sizeof(eight));
		eight = le64toh(eight);
		stop = first_stop(eight);
		if (stop != 0) {
			all |= eight & ((stop & -stop) - 1);
			at += __builtin_ctzll(stop) / 8;
			break;
		}
		all |= eight;
	}
	for (; at < end && is_plain((unsigned char)*at); at++)
		all |= (unsigned char)*at;
	*ascii = *ascii && (all & EACH_BYTE(0x80)) == 0;
	return at;
}
