/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - bytes that grow: doubling, never shrinking before text_finish(). */
#include "text.h"

#include "xalloc.h"

#include <stdarg.h>

enum { TEXT_FIRST_ROOM = 512 };

void text_finish(struct text *text)
{
	free(text->data);
	*text = (struct text){ 0 };
}

void text_grow(struct text *text, size_t more_bytes)
{
	size_t need = text->bytes + more_bytes + 1;
	size_t room = text->room == 0 ? TEXT_FIRST_ROOM : text->room;

	while (room < need)
		room *= 2;
	text->data = xrealloc(text->data, room);
	text->room = room;
}

void text_add_number(struct text *text, int64_t number)
{
	char digits[24], *at = digits + sizeof(digits);
	uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;

	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (number < 0)
		*--at = '-';
	text_add(text, at, (size_t)(digits + sizeof(digits) - at));
}

void text_addf(struct text *text, const char *format, ...)
{
	va_list args;
	int bytes;

	text_reserve(text, 256);
	va_start(args, format);
	bytes = vsnprintf(text->data + text->bytes, text->room - text->bytes, format, args);
	va_end(args);
	if (bytes < 0)
		abort();
	if ((size_t)bytes >= text->room - text->bytes) {
		text_reserve(text, (size_t)bytes);
		va_start(args, format);
		vsnprintf(text->data + text->bytes, text->room - text->bytes, format, args);
		va_end(args);
	}
	text->bytes += (size_t)bytes;
}

void text_add_xml(struct text *text, const char *string, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		switch (string[i]) {
		case '&': text_add_string(text, "&amp;"); break;
		case '<': text_add_string(text, "&lt;"); break;
		case '>': text_add_string(text, "&gt;"); break;
		case '"': text_add_string(text, "&quot;"); break;
		case '\r': text_add_string(text, "&#13;"); break;
		default: text_add(text, &string[i], 1);
		}
	}
}
