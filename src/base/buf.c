/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BUF_FIRST_ROOM = 256 };

void buf_init(struct buf *buf, size_t limit)
{
	*buf = (struct buf){ .limit = limit };
}

void buf_finish(struct buf *buf)
{
	free(buf->bytes);
	buf_init(buf, buf->limit);
}

void buf_clear(struct buf *buf)
{
	buf->size = 0;
	buf->overflowed = false;
	if (buf->bytes != NULL)
		buf->bytes[0] = '\0';
}

/* Makes room for size more bytes and the NUL. */
static bool reserve(struct buf *buf, size_t size)
{
	size_t room = buf->room > 0 ? buf->room : BUF_FIRST_ROOM;

	if (size > buf->limit || buf->size > buf->limit - size) {
		buf->overflowed = true;
		return false;
	}
	while (room < buf->size + size + 1)
		room *= 2;
	if (room != buf->room) {
		buf->bytes = xreallocarray(buf->bytes, room, 1);
		buf->room = room;
	}
	return true;
}

bool buf_add(struct buf *buf, const void *bytes, size_t size)
{
	if (!reserve(buf, size))
		return false;
	if (size > 0)
		memcpy(buf->bytes + buf->size, bytes, size);
	buf->size += size;
	buf->bytes[buf->size] = '\0';
	return true;
}

bool buf_add_text(struct buf *buf, const char *text)
{
	return buf_add(buf, text, strlen(text));
}

bool buf_add_char(struct buf *buf, char c)
{
	return buf_add(buf, &c, 1);
}

bool buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
	char *text = xvasprintf(fmt, args);
	bool ok = buf_add_text(buf, text);

	free(text);
	return ok;
}

bool buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	bool ok;

	va_start(args, fmt);
	ok = buf_vprintf(buf, fmt, args);
	va_end(args);
	return ok;
}

void buf_consume(struct buf *buf, size_t size)
{
	if (size >= buf->size) {
		buf->size = 0;
	} else {
		memmove(buf->bytes, buf->bytes + size, buf->size - size);
		buf->size -= size;
	}
	if (buf->bytes != NULL)
		buf->bytes[buf->size] = '\0';
}

char *buf_take(struct buf *buf)
{
	char *bytes = buf->bytes != NULL ? buf->bytes : xstrdup("");

	buf_init(buf, buf->limit);
	return bytes;
}

const char *buf_text(const struct buf *buf)
{
	return buf->bytes != NULL ? buf->bytes : "";
}
