/* SPDX-License-Identifier: Apache-2.0 */
/* xml_tag.c - see xml_tag.h. */
#include "aws/xml_tag.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static const struct { const char *name; char c; } entities[] = {
	{ "amp;", '&' }, { "lt;", '<' }, { "gt;", '>' }, { "quot;", '"' }, { "apos;", '\'' },
};

static bool starts_with(const char *at, const char *end, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(end - at) >= len && memcmp(at, text, len) == 0;
}

/* Just behind "<name>" or "<name attribute...>"; NULL when there is none, or it is "<name/>". */
static const char *find_content(const char *at, const char *end, const char *name)
{
	size_t len = strlen(name);

	while ((at = memchr(at, '<', (size_t)(end - at))) != NULL) {
		at++;
		if (!starts_with(at, end, name) || at + len == end)
			continue;
		if (at[len] != '>' && !isspace((unsigned char)at[len]))
			continue;
		at = memchr(at, '>', (size_t)(end - at));
		if (at == NULL || at[-1] == '/')
			return NULL;
		return at + 1;
	}
	return NULL;
}

static void add_utf8(struct buf *text, unsigned long c)
{
	if (c < 0x80) {
		buf_add_char(text, (char)c);
	} else if (c < 0x800) {
		buf_add_char(text, (char)(0xc0 | c >> 6));
		buf_add_char(text, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_add_char(text, (char)(0xe0 | c >> 12));
		buf_add_char(text, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(text, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_char(text, (char)(0xf0 | c >> 18));
		buf_add_char(text, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_add_char(text, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(text, (char)(0x80 | (c & 0x3f)));
	}
}

/* "#38;" or "#x26;" behind an ampersand; NULL when it is neither. */
static const char *add_number(struct buf *text, const char *at, const char *end)
{
	unsigned long c = 0;
	unsigned base = 10, digits = 0;

	at++;
	if (at < end && *at == 'x') {
		base = 16;
		at++;
	}
	for (; at < end && isxdigit((unsigned char)*at) && digits < 8; at++, digits++) {
		unsigned digit = isdigit((unsigned char)*at) ? (unsigned)(*at - '0')
			: (unsigned)(tolower((unsigned char)*at) - 'a') + 10;

		if (digit >= base)
			return NULL;
		c = c * base + digit;
	}
	if (digits == 0 || at == end || *at != ';' || c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return NULL;
	add_utf8(text, c);
	return at + 1;
}

/* What stands behind an ampersand; an ampersand that begins nothing known stands for itself. */
static const char *add_entity(struct buf *text, const char *at, const char *end)
{
	const char *after = at < end && *at == '#' ? add_number(text, at, end) : NULL;

	if (after != NULL)
		return after;
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		if (starts_with(at, end, entities[i].name)) {
			buf_add_char(text, entities[i].c);
			return at + strlen(entities[i].name);
		}
	}
	buf_add_char(text, '&');
	return at;
}

char *xml_tag_text(const char *xml, size_t xml_bytes, const char *name)
{
	const char *end = xml + xml_bytes;
	const char *at = xml_bytes > 0 ? find_content(xml, end, name) : NULL;
	const char *stop = at != NULL ? memchr(at, '<', (size_t)(end - at)) : NULL;
	size_t len = strlen(name);
	struct buf text;

	if (stop == NULL || !starts_with(stop, end, "</") || !starts_with(stop + 2, end, name)
	    || stop + 2 + len >= end || stop[2 + len] != '>')
		return NULL;
	while (at < stop && isspace((unsigned char)*at))
		at++;
	while (stop > at && isspace((unsigned char)stop[-1]))
		stop--;
	buf_init(&text, xml_bytes);
	while (at < stop) {
		if (*at == '&')
			at = add_entity(&text, at + 1, stop);
		else
			buf_add_char(&text, *at++);
	}
	return buf_take(&text);
}
