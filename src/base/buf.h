/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - bytes that grow, up to a named limit.
 *
 * A buf never holds more than its limit: an addition that would pass it is refused whole and the
 * buf remembers, so a chain of additions is checked once, at its end.  The bytes are always
 * followed by a NUL that size does not count. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *bytes;            /* NULL while empty; else terminated */
	size_t size;            /* bytes in use */
	size_t room;            /* bytes allocated */
	size_t limit;           /* size never passes it */
	bool overflowed;        /* an addition was refused */
	bool secret;            /* set after buf_init(): what is outgrown or finished is wiped before it is freed */
};

/* A zeroed struct buf has limit 0 and refuses everything. */
void buf_init(struct buf *buf, size_t limit);
void buf_finish(struct buf *buf);
/* Empties it and forgets an overflow; keeps memory and limit. */
void buf_clear(struct buf *buf);
bool buf_add(struct buf *buf, const void *bytes, size_t size);
bool buf_add_text(struct buf *buf, const char *text);
bool buf_add_char(struct buf *buf, char c);
bool buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *buf, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
/* Drops the first size bytes. */
void buf_consume(struct buf *buf, size_t size);
/* The bytes, terminated, now the caller's to free; the buf is empty again.  Never NULL. */
char *buf_take(struct buf *buf);
/* The text so far; "" when empty.  Lent until the next change. */
const char *buf_text(const struct buf *buf);

#endif
