/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c - see mem.h. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void *xcalloc(size_t n, size_t size)
{
	void *memory = calloc(n, size);

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
	char *copy = xcalloc(1, len + 1);

	memcpy(copy, bytes, len);
	return copy;
}

char *xvasprintf(const char *fmt, va_list args)
{
	char *text;

	if (vasprintf(&text, fmt, args) < 0)
		fatal("out of memory for a line of text");
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
