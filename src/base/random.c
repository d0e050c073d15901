/* SPDX-License-Identifier: Apache-2.0 */
/* random.c - see random.h.  getrandom(2) needs no descriptor, so it works at the fd limit. */
#include "base/random.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/log.h"

void random_bytes(void *bytes, size_t size)
{
	char *at = bytes;

	while (size > 0) {
		ssize_t n = getrandom(at, size, 0);

		if (n < 0 && errno != EINTR)
			fatal("getrandom: %m");
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
}

double random_unit(void)
{
	uint64_t bits;

	random_bytes(&bits, sizeof(bits));
	return (double)(bits >> 11) / (double)(1ull << 53);
}

void random_id(char id[RANDOM_ID_BYTES])
{
	unsigned char bytes[(RANDOM_ID_BYTES - 1) / 2];

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}
