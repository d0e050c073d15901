/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.c - see json_read.h.  The grammar is RFC 8259's; functions return false where jansson is
 * to be asked. */
#include "base/json_read.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_plain.h"
#include "base/mem.h"

enum {
	LIMIT_JSON_READ_DEPTH = 64,
	LIMIT_JSON_READ_DIGITS = 18,            /* every integer of so many digits fits json_int_t */
	LIMIT_JSON_READ_NUMBER_BYTES = 64,
};

struct reader {
	const char *at, *end;
	const char *const *wanted;      /* names, NULL behind the last; NULL: all */
	unsigned depth;
	char *spare;                    /* for the text of a string with escapes; NULL: none so far */
	size_t spare_bytes;
};

struct reader_text {
	const char *bytes;              /* within the text, or reader::spare */
	size_t size;
	bool ascii;
	bool escapes;                   /* they are in it still */
};

static bool read_value(struct reader *reader, json_t **value);

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

/* What an escape stands for is never longer than the escape. */
static bool unescape(struct reader *reader, struct reader_text *text)
{
	const char *from = text->bytes, *end = from + text->size;
	char *to;

	if (reader->spare_bytes < text->size) {
		free(reader->spare);
		reader->spare = xcalloc(1, text->size);
		reader->spare_bytes = text->size;
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
	*text = (struct reader_text){ .bytes = reader->spare, .size = (size_t)(to - reader->spare) };
	return true;
}

/* -- strings ---------------------------------------------------------------------------------------- */

/* What is between quotes, as it stands there. */
static bool find_text(struct reader *reader, struct reader_text *text)
{
	const char *from = reader->at + 1, *at, *end = reader->end;
	bool escapes = false, ascii = true;

	if (!take(reader, '"'))
		return false;
	for (at = json_plain_end(from, end, &ascii); at < end && *at == '\\'; at = json_plain_end(at, end, &ascii)) {
		escapes = true;
		if (end - at < 2)
			return false;
		at += 2;
	}
	if (at == end || *at != '"')
		return false;
	reader->at = at + 1;
	*text = (struct reader_text){
		.bytes = from, .size = (size_t)(at - from), .ascii = ascii, .escapes = escapes,
	};
	return true;
}

static bool read_text(struct reader *reader, struct reader_text *text)
{
	return find_text(reader, text) && (!text->escapes || unescape(reader, text));
}

/* jansson checks what is not ASCII. */
static bool read_string(struct reader *reader, json_t **value)
{
	struct reader_text text;

	if (!read_text(reader, &text))
		return false;
	*value = text.ascii ? json_stringn_nocheck(text.bytes, text.size) : json_stringn(text.bytes, text.size);
	return *value != NULL;
}

/* -- numbers and words ------------------------------------------------------------------------------ */

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

static bool read_number(struct reader *reader, json_t **value)
{
	char text[LIMIT_JSON_READ_NUMBER_BYTES];
	const char *from = reader->at, *digits = *from == '-' ? from + 1 : from;
	const char *whole = skip_digits(reader, digits), *end = skip_rest_of_real(reader, whole);
	double real;

	if (whole == digits || whole - digits > LIMIT_JSON_READ_DIGITS || (*digits == '0' && whole - digits > 1)
		|| end == NULL || (size_t)(end - from) >= sizeof(text))
		return false;
	memcpy(text, from, (size_t)(end - from));
	text[end - from] = '\0';
	reader->at = end;
	if (end == whole) {
		*value = json_integer(strtoll(text, NULL, 10));
		return true;
	}
	real = strtod(text, NULL);
	if (!isfinite(real))
		return false;
	*value = json_real(real);
	return true;
}

static bool read_word(struct reader *reader, const char *word, json_t *meant, json_t **value)
{
	size_t len = strlen(word);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return false;
	reader->at += len;
	*value = meant;
	return true;
}

/* -- what is not wanted ----------------------------------------------------------------------------- */

/* Moves from a string's first quote to its last. */
static bool skip_text(struct reader *reader)
{
	const char *at = reader->at + 1, *quote, *before;

	while ((quote = memchr(at, '"', (size_t)(reader->end - at))) != NULL) {
		for (before = quote; before > at && before[-1] == '\\'; before--)
			;
		if ((quote - before) % 2 == 0) {
			reader->at = quote;
			return true;
		}
		at = quote + 1;
	}
	return false;
}

/* Moves behind a value, to the comma or bracket that follows it.  It is not read: only its quotes and brackets count. */
static bool skip_value(struct reader *reader)
{
	size_t open = 0;

	for (; reader->at < reader->end; reader->at++) {
		switch (*reader->at) {
		case '"':
			if (!skip_text(reader))
				return false;
			break;
		case '{':
		case '[':
			open++;
			break;
		case ',':
			if (open == 0)
				return true;
			break;
		case '}':
		case ']':
			if (open == 0)
				return true;
			open--;
			break;
		}
	}
	return false;
}

/* -- objects and arrays ----------------------------------------------------------------------------- */

static bool is_named(const struct reader_text *name, const char *other)
{
	for (size_t i = 0; i < name->size; i++) {
		if (name->bytes[i] != other[i])
			return false;
	}
	return other[name->size] == '\0';
}

/* Nearly all differ in the first byte. */
static bool is_wanted(const struct reader *reader, const struct reader_text *name)
{
	const char *const *wanted = reader->wanted;
	char first = name->size > 0 ? *name->bytes : '\0';

	if (wanted == NULL)
		return true;
	while (*wanted != NULL && (**wanted != first || !is_named(name, *wanted)))
		wanted++;
	return *wanted != NULL;
}

static bool take_colon(struct reader *reader)
{
	skip_space(reader);
	return take(reader, ':');
}

/* A member that was there already is replaced, so that the object does not grow. */
static bool keep_member(struct reader *reader, json_t *object, const struct reader_text *name)
{
	size_t before = json_object_size(object);
	char *copy = NULL;              /* the values within must not use the name's memory */
	json_t *value;
	bool kept;

	if (name->bytes == reader->spare) {
		copy = reader->spare;
		reader->spare = NULL;
		reader->spare_bytes = 0;
	}
	kept = take_colon(reader) && read_value(reader, &value) &&
		(name->ascii ? json_object_setn_new_nocheck(object, name->bytes, name->size, value)
			     : json_object_setn_new(object, name->bytes, name->size, value)) == 0;
	free(copy);
	return kept && json_object_size(object) == before + 1;
}

static bool read_member(struct reader *reader, json_t *object)
{
	struct reader_text name;

	skip_space(reader);
	if (!read_text(reader, &name))
		return false;
	if (is_wanted(reader, &name))
		return keep_member(reader, object, &name);
	return take_colon(reader) && skip_value(reader);
}

static bool read_element(struct reader *reader, json_t *array)
{
	json_t *value;

	return read_value(reader, &value) && json_array_append_new(array, value) == 0;
}

/* The members of an object, or the elements of an array, up to close. */
static bool read_all(struct reader *reader, json_t *nested, char close,
	bool (*read_one)(struct reader *reader, json_t *nested))
{
	reader->at++;
	skip_space(reader);
	if (take(reader, close))
		return true;
	while (read_one(reader, nested)) {
		skip_space(reader);
		if (take(reader, close))
			return true;
		if (!take(reader, ','))
			break;
	}
	return false;
}

static bool read_nested(struct reader *reader, json_t **value)
{
	bool object = *reader->at == '{', ok;
	json_t *nested;

	if (reader->depth == LIMIT_JSON_READ_DEPTH)
		return false;
	nested = object ? json_object() : json_array();
	reader->depth++;
	ok = read_all(reader, nested, object ? '}' : ']', object ? read_member : read_element);
	reader->depth--;
	if (ok)
		*value = nested;
	else
		json_decref(nested);
	return ok;
}

static bool read_value(struct reader *reader, json_t **value)
{
	skip_space(reader);
	if (reader->at == reader->end)
		return false;
	switch (*reader->at) {
	case '{':
	case '[':
		return read_nested(reader, value);
	case '"':
		return read_string(reader, value);
	case 't':
		return read_word(reader, "true", json_true(), value);
	case 'f':
		return read_word(reader, "false", json_false(), value);
	case 'n':
		return read_word(reader, "null", json_null(), value);
	default:
		return read_number(reader, value);
	}
}

/* Moves to the value of the object's member, or of the first object's in an array. */
static bool enter(struct reader *reader, const char *name)
{
	struct reader_text found;

	skip_space(reader);
	while (take(reader, '['))
		skip_space(reader);
	if (!take(reader, '{'))
		return false;
	do {
		skip_space(reader);
		if (!read_text(reader, &found) || !take_colon(reader))
			return false;
		if (is_named(&found, name))
			return true;
	} while (skip_value(reader) && take(reader, ','));
	return false;
}

char *json_read_string(const char *text, const char *const *path)
{
	struct reader reader = { .at = text, .end = text + strlen(text) };
	struct reader_text found;
	char *string = NULL;

	while (*path != NULL && enter(&reader, *path))
		path++;
	skip_space(&reader);
	if (*path == NULL && read_text(&reader, &found))
		string = xstrndup(found.bytes, found.size);
	free(reader.spare);
	return string;
}

json_t *json_read(const char *text, size_t size, const char *const *wanted)
{
	struct reader reader = { .at = text, .end = text + size, .wanted = wanted };
	json_t *value = NULL;

	skip_space(&reader);
	if (reader.at < reader.end && (*reader.at == '{' || *reader.at == '[') && !read_value(&reader, &value))
		value = NULL;
	skip_space(&reader);
	if (value != NULL && reader.at < reader.end) {
		json_decref(value);
		value = NULL;
	}
	free(reader.spare);
	return value;
}
