/* SPDX-License-Identifier: Apache-2.0 */
/* control_line.c - see control_line.h.  Only the form of a line; what may be asked is decided by the
 * master, what is shown by gantryctl. */
#include "ipc/control_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void control_line_begin(struct buf *out, const char *name)
{
	buf_add_text(out, name);
}

static bool needs_quotes(const char *value)
{
	if (*value == '\0')
		return true;
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if (c <= ' ' || c == 0x7f || c == '"' || c == '\\')
			return true;
	}
	return false;
}

static void add_quoted(struct buf *out, const char *value)
{
	buf_add_char(out, '"');
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c == '\n')
			buf_add_text(out, "\\n");
		else if (c == '\t')
			buf_add_text(out, "\\t");
		else if (c < ' ' || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_add_char(out, (char)c);
	}
	buf_add_char(out, '"');
}

void control_line_text(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, " %s=", key);
	if (value == NULL)
		value = "";
	if (needs_quotes(value))
		add_quoted(out, value);
	else
		buf_add_text(out, value);
}

void control_line_number(struct buf *out, const char *key, long long value)
{
	buf_printf(out, " %s=%lld", key, value);
}

void control_line_end(struct buf *out)
{
	buf_add_char(out, '\n');
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Reads one escape after its backslash; the character, or -1. */
static int unescape(const char **at)
{
	char c = *(*at)++;
	int high, low;

	switch (c) {
	case '"':
	case '\\':
		return c;
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'x':
		high = hex_digit((*at)[0]);
		low = high < 0 ? -1 : hex_digit((*at)[1]);
		if (low < 0 || high * 16 + low == 0)
			return -1;
		*at += 2;
		return high * 16 + low;
	default:
		return -1;
	}
}

/* Reads a quoted value in place, from behind its opening quote, and terminates it; what follows the
 * closing quote, or NULL. */
static char *read_quoted(char *value)
{
	const char *from = value;
	char *to = value;

	while (*from != '"') {
		int c = (unsigned char)*from++;

		if (c < ' ')
			return NULL;
		if (c == '\\')
			c = unescape(&from);
		if (c < 0)
			return NULL;
		*to++ = (char)c;
	}
	*to = '\0';
	return value + (from - value) + 1;
}

/* Reads one word in place; what follows it, or NULL. */
static char *read_word(struct control_word *word, char *at)
{
	word->key = at;
	at += strcspn(at, "= \"\\");
	if (*at != '=' || at == word->key)
		return NULL;
	*at++ = '\0';
	if (*at == '"') {
		word->value = at + 1;
		return read_quoted(word->value);
	}
	word->value = at;
	return at + strcspn(at, " \"\\");
}

static bool read_words(struct control_line *line, char *at)
{
	while (at != NULL && *at == ' ') {
		*at++ = '\0';
		if (*at == ' ' || *at == '\0')
			continue;
		if (line->count == LIMIT_CONTROL_WORDS)
			return false;
		at = read_word(&line->words[line->count++], at);
	}
	return at != NULL && *at == '\0';
}

static bool only_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	}
	return true;
}

bool control_line_parse(struct control_line *line, const char *text, size_t size, struct error *err)
{
	char *at;

	*line = (struct control_line){ .count = 0 };
	if (size > LIMIT_CONTROL_RECORD_BYTES) {
		error_set(err, ERROR_INVALID, "a line has at most %d bytes", LIMIT_CONTROL_RECORD_BYTES);
		return false;
	}
	if (!only_text(text, size)) {
		error_set(err, ERROR_INVALID, "a line has no control characters");
		return false;
	}
	line->copy = xstrndup(text, size);
	line->name = line->copy;
	at = line->copy + strcspn(line->copy, " =\"\\");
	if (at == line->copy || !read_words(line, at)) {
		error_set(err, ERROR_INVALID, "a line is a name and at most %d words of the form key=value",
			LIMIT_CONTROL_WORDS);
		control_line_finish(line);
		return false;
	}
	return true;
}

void control_line_finish(struct control_line *line)
{
	free(line->copy);
	*line = (struct control_line){ .count = 0 };
}

const char *control_line_find(const struct control_line *line, const char *key)
{
	for (size_t i = 0; i < line->count; i++) {
		if (strcmp(line->words[i].key, key) == 0)
			return line->words[i].value;
	}
	return NULL;
}
