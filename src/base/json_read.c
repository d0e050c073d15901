/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.c - see json_read.h.  The grammar is RFC 8259's; functions return NULL or false where
 * jansson is to be asked. */
#include "base/json_read.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	LIMIT_JSON_READ_DEPTH = 64,
	LIMIT_JSON_READ_DIGITS = 18,            /* every integer of so many digits fits json_int_t */
	LIMIT_JSON_READ_NUMBER_BYTES = 64,
};

struct reader {
	const char *at, *end;
	unsigned depth;
	char *spare;                    /* for the text of a string with escapes; NULL: none so far */
	size_t spare_bytes;
};

struct reader_text {
	const char *bytes;              /* within the text, or reader::spare */
	size_t size;
	bool ascii;
};

static json_t *read_value(struct reader *reader);

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end
		&& (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t'))
		reader->at++;
}

static bool take(struct reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

/* Four hexadecimal digits, of a character that is neither NUL nor half of a pair. */
static bool read_hex(const char *from, const char *end, unsigned *character)
{
	unsigned value = 0;

	if (end - from < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = from[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
			: c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
			: c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;

		if (digit == 16)
			return false;
		value = value << 4 | digit;
	}
	*character = value;
	return value != 0 && (value < 0xd800 || value > 0xdfff);
}

static char *put_utf8(char *to, unsigned character)
{
	if (character < 0x80) {
		*to++ = (char)character;
	} else if (character < 0x800) {
		*to++ = (char)(0xc0 | character >> 6);
		*to++ = (char)(0x80 | (character & 0x3f));
	} else {
		*to++ = (char)(0xe0 | character >> 12);
		*to++ = (char)(0x80 | (character >> 6 & 0x3f));
		*to++ = (char)(0x80 | (character & 0x3f));
	}
	return to;
}

/* What the escape at from, behind its backslash, stands for; moves from behind it.  NULL: not known here. */
static char *put_escape(char *to, const char **from, const char *end)
{
	static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *name;
	unsigned character;

	if (*from == end)
		return NULL;
	if (**from == 'u') {
		if (!read_hex(*from + 1, end, &character))
			return NULL;
		*from += 5;
		return put_utf8(to, character);
	}
	name = **from != '\0' ? strchr(names, **from) : NULL;
	if (name == NULL)
		return NULL;
	(*from)++;
	*to++ = meant[name - names];
	return to;
}

/* size bytes from between quotes; what an escape stands for is never longer than the escape. */
static bool unescape(struct reader *reader, const char *from, size_t size, struct reader_text *text)
{
	const char *end = from + size;
	char *to;

	if (reader->spare_bytes < size) {
		free(reader->spare);
		reader->spare = xcalloc(1, size);
		reader->spare_bytes = size;
	}
	to = reader->spare;
	while (to != NULL && from < end) {
		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		from++;
		to = put_escape(to, &from, end);
	}
	if (to == NULL)
		return false;
	text->bytes = reader->spare;
	text->size = (size_t)(to - reader->spare);
	text->ascii = false;
	return true;
}

static bool read_text(struct reader *reader, struct reader_text *text)
{
	const char *from = reader->at + 1, *at = from, *end = reader->end;
	bool escapes = false;
	unsigned char all = 0;

	if (!take(reader, '"'))
		return false;
	for (; at < end && *at != '"'; at++) {
		all |= (unsigned char)*at;
		if ((unsigned char)*at < ' ')
			return false;
		if (*at == '\\') {
			escapes = true;
			if (++at == end)
				return false;
		}
	}
	if (at == end)
		return false;
	reader->at = at + 1;
	if (escapes)
		return unescape(reader, from, (size_t)(at - from), text);
	*text = (struct reader_text){ .bytes = from, .size = (size_t)(at - from), .ascii = all < 0x80 };
	return true;
}

/* jansson checks what is not ASCII. */
static json_t *read_string(struct reader *reader)
{
	struct reader_text text;

	if (!read_text(reader, &text))
		return NULL;
	return text.ascii ? json_stringn_nocheck(text.bytes, text.size) : json_stringn(text.bytes, text.size);
}

static const char *skip_digits(const struct reader *reader, const char *at)
{
	while (at < reader->end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Moves behind fraction and exponent, if there are any; NULL: begun and not ended. */
static const char *skip_rest_of_real(const struct reader *reader, const char *at)
{
	const char *digits;

	if (at < reader->end && *at == '.') {
		digits = at + 1;
		at = skip_digits(reader, digits);
		if (at == digits)
			return NULL;
	}
	if (at < reader->end && (*at == 'e' || *at == 'E')) {
		digits = at + 1;
		if (digits < reader->end && (*digits == '+' || *digits == '-'))
			digits++;
		at = skip_digits(reader, digits);
		if (at == digits)
			return NULL;
	}
	return at;
}

static json_t *read_number(struct reader *reader)
{
	char text[LIMIT_JSON_READ_NUMBER_BYTES];
	const char *from = reader->at, *digits = *from == '-' ? from + 1 : from;
	const char *whole = skip_digits(reader, digits), *end = skip_rest_of_real(reader, whole);

	if (whole == digits || whole - digits > LIMIT_JSON_READ_DIGITS || (*digits == '0' && whole - digits > 1)
		|| end == NULL || (size_t)(end - from) >= sizeof(text))
		return NULL;
	memcpy(text, from, (size_t)(end - from));
	text[end - from] = '\0';
	reader->at = end;
	if (end == whole)
		return json_integer(strtoll(text, NULL, 10));
	return json_real(strtod(text, NULL));
}

static json_t *read_word(struct reader *reader, const char *word, json_t *value)
{
	size_t len = strlen(word);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return NULL;
	reader->at += len;
	return value;
}

/* A member that was there already is replaced, so that the object does not grow. */
static bool read_member(struct reader *reader, json_t *object)
{
	size_t before = json_object_size(object);
	struct reader_text name;
	char *copy = NULL;              /* the values within must not use the name's memory */
	json_t *value;
	bool added;

	skip_space(reader);
	if (!read_text(reader, &name))
		return false;
	if (name.bytes == reader->spare) {
		copy = reader->spare;
		reader->spare = NULL;
		reader->spare_bytes = 0;
	}
	skip_space(reader);
	value = take(reader, ':') ? read_value(reader) : NULL;
	added = value != NULL && (name.ascii ? json_object_setn_new_nocheck(object, name.bytes, name.size, value)
		: json_object_setn_new(object, name.bytes, name.size, value)) == 0;
	free(copy);
	return added && json_object_size(object) == before + 1;
}

static json_t *read_object(struct reader *reader)
{
	json_t *object = json_object();

	reader->at++;
	skip_space(reader);
	if (take(reader, '}'))
		return object;
	while (read_member(reader, object)) {
		skip_space(reader);
		if (take(reader, '}'))
			return object;
		if (!take(reader, ','))
			break;
	}
	json_decref(object);
	return NULL;
}

static json_t *read_array(struct reader *reader)
{
	json_t *array = json_array();

	reader->at++;
	skip_space(reader);
	if (take(reader, ']'))
		return array;
	while (json_array_append_new(array, read_value(reader)) == 0) {
		skip_space(reader);
		if (take(reader, ']'))
			return array;
		if (!take(reader, ','))
			break;
	}
	json_decref(array);
	return NULL;
}

static json_t *read_nested(struct reader *reader)
{
	json_t *value;

	if (reader->depth == LIMIT_JSON_READ_DEPTH)
		return NULL;
	reader->depth++;
	value = *reader->at == '{' ? read_object(reader) : read_array(reader);
	reader->depth--;
	return value;
}

static json_t *read_value(struct reader *reader)
{
	skip_space(reader);
	if (reader->at == reader->end)
		return NULL;
	switch (*reader->at) {
	case '{':
	case '[':
		return read_nested(reader);
	case '"':
		return read_string(reader);
	case 't':
		return read_word(reader, "true", json_true());
	case 'f':
		return read_word(reader, "false", json_false());
	case 'n':
		return read_word(reader, "null", json_null());
	default:
		return read_number(reader);
	}
}

json_t *json_read(const char *text, size_t size)
{
	struct reader reader = { .at = text, .end = text + size };
	json_t *value = NULL;

	skip_space(&reader);
	if (reader.at < reader.end && (*reader.at == '{' || *reader.at == '['))
		value = read_value(&reader);
	skip_space(&reader);
	if (value != NULL && reader.at < reader.end) {
		json_decref(value);
		value = NULL;
	}
	free(reader.spare);
	return value;
}
