/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c - see mem.h. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/log.h"

/* Up to this size malloc(3) answers from the thread's cache of free chunks.  calloc(3) passes it by in glibc before 2.41,
 * which costs several times as much as zeroing that little. */
enum { CACHED_BYTES = 1024 };
/* Most texts are shorter, and are printed once then. */
enum { BRIEF_BYTES = 1024 };

/* Not inline: the compiler would make a calloc(3) of it and of the memset(3) behind it. */
static void *__attribute__((noinline)) xalloc(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		fatal("out of memory: %zu bytes", size);
	return memory;
}

void *xcalloc(size_t n, size_t size)
{
	size_t bytes;
	void *memory;

	if (!__builtin_mul_overflow(n, size, &bytes) && bytes > 0 && bytes <= CACHED_BYTES)
		return memset(xalloc(bytes), 0, bytes);
	memory = calloc(n, size);
	if (memory == NULL)
		fatal("out of memory: %zu objects of %zu bytes", n, size);
	return memory;
}

void *xreallocarray(void *old, size_t n, size_t size)
{
	void *memory = reallocarray(old, n > 0 ? n : 1, size);

	if (memory == NULL)
		fatal("out of memory: %zu objects of %zu bytes", n, size);
	return memory;
}

char *xstrdup(const char *text)
{
	return text == NULL ? NULL : xstrndup(text, strlen(text));
}

char *xstrndup(const char *bytes, size_t len)
{
	char *copy = xalloc(len + 1);

	memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}

char *xvasprintf(const char *fmt, va_list args)
{
	char brief[BRIEF_BYTES], *text;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(brief, sizeof(brief), fmt, args);
	if (len < 0)
		fatal("a line of text could not be printed");
	if ((size_t)len < sizeof(brief)) {
		text = xstrndup(brief, (size_t)len);
	} else {
		text = xalloc((size_t)len + 1);
		vsnprintf(text, (size_t)len + 1, fmt, again);
	}
	va_end(again);
	return text;
}

char *xasprintf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	return text;
}

void xreplace(char **text, const char *value)
{
	char *copy = xstrdup(value);

	free(*text);
	*text = copy;
}

void xfree_secret(char *secret)
{
	if (secret == NULL)
		return;
	explicit_bzero(secret, strlen(secret));
	free(secret);
}

void mem_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
