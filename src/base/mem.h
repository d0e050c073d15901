/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - small allocations that succeed or end the process.
 *
 * The queue will deliver again what a dead process held, so running on without memory is worse
 * than stopping.  What strangers send is not small: it goes into a struct buf with a limit. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* Zeroed memory for n objects of size bytes; never NULL. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* Like reallocarray(3); never NULL.  New memory is not zeroed. */
void *xreallocarray(void *old, size_t n, size_t size) __attribute__((returns_nonnull));
/* A copy of text, or NULL for NULL. */
char *xstrdup(const char *text);
/* A terminated copy of len bytes. */
char *xstrndup(const char *bytes, size_t len) __attribute__((returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *xvasprintf(const char *fmt, va_list args) __attribute__((format(printf, 1, 0), returns_nonnull));
/* Frees *text and sets it to a copy of value (which may be NULL). */
void xreplace(char **text, const char *value);
/* Overwrites a secret in a way that the compiler keeps, then frees it.  NULL is allowed. */
void xfree_secret(char *secret);
/* Gives the kernel the pages on which nothing allocated is left.  Costs milliseconds with much memory. */
void mem_trim(void);

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

#endif
