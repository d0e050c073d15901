/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - bytes that grow.  Always followed by a NUL once something was added. */
#ifndef AWSSIM_TEXT_H
#define AWSSIM_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	char *data;      /* NULL until the first byte */
	size_t bytes;
	size_t room;     /* allocated, the NUL included */
};

void text_finish(struct text *);
void text_grow(struct text *, size_t more_bytes);       /* for text_reserve() */
void text_add_number(struct text *, int64_t number);
/* Convenient, and slow: not for what every request does. */
void text_addf(struct text *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Character data of XML: the five entities replaced. */
void text_add_xml(struct text *, const char *string, size_t bytes);

static inline void text_reserve(struct text *text, size_t more_bytes)
{
	if (text->bytes + more_bytes + 1 > text->room)
		text_grow(text, more_bytes);
}

static inline void text_add(struct text *text, const void *data, size_t bytes)
{
	text_reserve(text, bytes);
	if (bytes > 0)
		memcpy(text->data + text->bytes, data, bytes);
	text->bytes += bytes;
	text->data[text->bytes] = '\0';
}

static inline void text_add_string(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

static inline void text_clear(struct text *text)
{
	text->bytes = 0;
}

#endif
