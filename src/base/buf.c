/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { BUF_FIRST_ROOM = 256, BUF_SPARE = 64 };

void buf_init(struct buf *buf, size_t limit)
{
	*buf = (struct buf){ .limit = limit };
}

void buf_finish(struct buf *buf)
{
	if (buf->secret && buf->bytes != NULL)
		explicit_bzero(buf->bytes, buf->room);
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

/* realloc(3) would leave a copy behind. */
static char *move_secret(struct buf *buf, size_t room)
{
	char *bytes = xreallocarray(NULL, room, 1);

	memcpy(bytes, buf->bytes, buf->size + 1);
	explicit_bzero(buf->bytes, buf->room);
	free(buf->bytes);
	return bytes;
}

static void grow(struct buf *buf, size_t least)
{
	size_t room = buf->room > 0 ? buf->room : BUF_FIRST_ROOM;

	while (room < least)
		room *= 2;
	if (buf->secret && buf->room > 0)
		buf->bytes = move_secret(buf, room);
	else
		buf->bytes = xreallocarray(buf->bytes, room, 1);
	buf->room = room;
}

/* Makes room for size more bytes and the NUL. */
static inline bool reserve(struct buf *buf, size_t size)
{
	if (size > buf->limit || buf->size > buf->limit - size) {
		buf->overflowed = true;
		return false;
	}
	if (buf->size + size >= buf->room)
		grow(buf, buf->size + size + 1);
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
	if (!reserve(buf, 1))
		return false;
	buf->bytes[buf->size++] = c;
	buf->bytes[buf->size] = '\0';
	return true;
}

static size_t print(char *to, size_t room, const char *fmt, va_list args)
{
	int len = vsnprintf(to, room, fmt, args);

	if (len < 0)
		fatal("a line of text could not be printed");
	return (size_t)len;
}

/* Into the room that is there, and once more where that is not enough. */
bool buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
	size_t room, size;
	va_list again;
	bool ok;

	if (!reserve(buf, 0))
		return false;
	va_copy(again, args);
	room = buf->room - buf->size;
	size = print(buf->bytes + buf->size, room, fmt, args);
	ok = reserve(buf, size);
	if (ok && size >= room)
		print(buf->bytes + buf->size, size + 1, fmt, again);
	if (ok)
		buf->size += size;
	else
		buf->bytes[buf->size] = '\0';
	va_end(again);
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

/* What is taken is kept, so it gives back what it does not need. */
char *buf_take(struct buf *buf)
{
	char *bytes = buf->bytes;

	if (bytes == NULL)
		bytes = xstrdup("");
	else if (buf->room - buf->size > BUF_SPARE)
		bytes = xreallocarray(bytes, buf->size + 1, 1);
	buf_init(buf, buf->limit);
	return bytes;
}

const char *buf_text(const struct buf *buf)
{
	return buf->bytes != NULL ? buf->bytes : "";
}
