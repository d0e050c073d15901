/* SPDX-License-Identifier: Apache-2.0 */
/* xalloc.h - memory that is there or the simulator ends.
 * A simulator that has run out of memory has nothing useful left to answer, so no caller checks. */
#ifndef AWSSIM_XALLOC_H
#define AWSSIM_XALLOC_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *xalloc_checked(void *memory)
{
	if (memory == NULL) {
		fputs("awssim: out of memory\n", stderr);
		abort();
	}
	return memory;
}

static inline void *xcalloc(size_t count, size_t bytes)
{
	return xalloc_checked(calloc(count, bytes));
}

static inline void *xrealloc(void *memory, size_t bytes)
{
	return xalloc_checked(realloc(memory, bytes));
}

static inline char *xstrdup(const char *string)
{
	return xalloc_checked(strdup(string));
}

static inline void *xmemdup(const void *data, size_t bytes)
{
	return memcpy(xalloc_checked(malloc(bytes)), data, bytes);
}

/* NULL stays NULL. */
static inline char *xstrdup_null(const char *string)
{
	return string == NULL ? NULL : xstrdup(string);
}

#endif
