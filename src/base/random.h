/* SPDX-License-Identifier: Apache-2.0 */
/* random.h - bytes from the kernel: ids, tokens, jitter. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>

enum { RANDOM_ID_BYTES = 33 };          /* 32 hexadecimal digits and the NUL */

/* Fills bytes; ends the process if the kernel has none. */
void random_bytes(void *bytes, size_t size);
/* Evenly from [0, 1). */
double random_unit(void);
/* 128 random bits in lower-case hexadecimal, terminated. */
void random_id(char id[RANDOM_ID_BYTES]);

#endif
