/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.c - a parser for the plain case.  Whatever is rare or wrong (\u escapes, fractions, long
 * numbers, deep nesting, any error) makes it give up, and jansson reads the text from its start: so
 * there is one judge of what is JSON, and this one only has to be right about what it takes. */
#include "json_read.h"

#include "eight.h"
#include "text.h"

#include <stdbool.h>
#include <string.h>

enum {
	LIMIT_DEPTH = 64,
	LIMIT_DIGITS = 18,
	LIMIT_KEY_BYTES = 128,
};

struct reader {
	const char *at, *end;
	unsigned depth;
	struct text scratch;            /* a string without its escapes */
};

static json_t *read_value(struct reader *reader);

static bool is_blank(char letter)
{
	return letter == ' ' || letter == '\n' || letter == '\t' || letter == '\r';
}

/* The next byte that is no blank, which is not taken; '\0' at the end. */
static char peek(struct reader *reader)
{
	while (reader->at < reader->end && is_blank(*reader->at))
		reader->at++;
	return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(struct reader *reader, char letter)
{
	if (peek(reader) != letter)
		return false;
	reader->at++;
	return true;
}

/* Up to the quote, a backslash, or what can't be in a string; *ascii: nothing above 127 was seen. */
static size_t plain_run(const struct reader *reader, bool *ascii)
{
	const char *at = reader->at;
	unsigned char seen = 0;

	for (; reader->end - at >= 8 && eight_plain(eight_bytes(at)); at += 8)
		seen |= eight_high(eight_bytes(at)) != 0 ? 0x80 : 0;
	for (; at < reader->end; at++) {
		unsigned char letter = (unsigned char)*at;

		if (letter < 0x20 || letter == '"' || letter == '\\')
			break;
		seen |= letter;
	}
	*ascii &= seen < 0x80;
	return (size_t)(at - reader->at);
}

static char unescaped(char letter)
{
	switch (letter) {
	case '"': case '\\': case '/': return letter;
	case 'n': return '\n';
	case 't': return '\t';
	case 'r': return '\r';
	case 'b': return '\b';
	case 'f': return '\f';
	default: return '\0';
	}
}

/* Without its escapes it is no longer than with them.  JSON within JSON has one every few bytes. */
static const char *read_escaped(struct reader *reader, size_t *bytes, bool *ascii)
{
	const char *at = reader->at;
	unsigned char seen = 0;
	char *out;

	text_clear(&reader->scratch);
	text_reserve(&reader->scratch, (size_t)(reader->end - at));
	for (out = reader->scratch.data; at < reader->end && *at != '"'; at++) {
		char letter = *at;

		if ((unsigned char)letter < 0x20)
			return NULL;
		if (letter == '\\')
			letter = ++at < reader->end ? unescaped(*at) : '\0';
		if (letter == '\0')
			return NULL;
		seen |= (unsigned char)letter;
		*out++ = letter;
	}
	if (at == reader->end)
		return NULL;
	*ascii &= seen < 0x80;
	*bytes = (size_t)(out - reader->scratch.data);
	reader->at = at + 1;
	return reader->scratch.data;
}

/* The string that begins after a quote: where it lies, in the input or in scratch. */
static const char *read_string(struct reader *reader, size_t *bytes, bool *ascii)
{
	const char *start = reader->at;
	size_t run = plain_run(reader, ascii);

	if (start + run == reader->end || start[run] != '"')
		return read_escaped(reader, bytes, ascii);
	reader->at += run + 1;
	*bytes = run;
	return start;
}

static json_t *string_value(struct reader *reader)
{
	bool ascii = true;
	size_t bytes;
	const char *string = read_string(reader, &bytes, &ascii);

	if (string == NULL)
		return NULL;
	return ascii ? json_stringn_nocheck(string, bytes) : json_stringn(string, bytes);
}

static bool read_member(struct reader *reader, json_t *object)
{
	char key[LIMIT_KEY_BYTES];
	bool ascii = true;
	const char *name;
	size_t bytes;
	json_t *value;

	if (!take(reader, '"'))
		return false;
	name = read_string(reader, &bytes, &ascii);
	if (name == NULL || bytes >= sizeof(key) || !ascii)
		return false;
	memcpy(key, name, bytes);
	key[bytes] = '\0';
	if (!take(reader, ':'))
		return false;
	value = read_value(reader);
	return value != NULL && json_object_set_new_nocheck(object, key, value) == 0;
}

static json_t *object_value(struct reader *reader)
{
	json_t *object = json_object();

	if (take(reader, '}'))
		return object;
	do {
		if (!read_member(reader, object)) {
			json_decref(object);
			return NULL;
		}
	} while (take(reader, ','));
	if (take(reader, '}'))
		return object;
	json_decref(object);
	return NULL;
}

static json_t *array_value(struct reader *reader)
{
	json_t *array = json_array();

	if (take(reader, ']'))
		return array;
	do {
		json_t *value = read_value(reader);

		if (value == NULL || json_array_append_new(array, value) != 0) {
			json_decref(array);
			return NULL;
		}
	} while (take(reader, ','));
	if (take(reader, ']'))
		return array;
	json_decref(array);
	return NULL;
}

/* Whole numbers without exponent, as JSON spells them: no plus, no zero in front. */
static json_t *number_value(struct reader *reader)
{
	const char *at = reader->at, *first;
	bool negative = *at == '-';
	json_int_t value = 0;

	at += negative;
	for (first = at; at < reader->end && *at >= '0' && *at <= '9' && at - first < LIMIT_DIGITS; at++)
		value = value * 10 + (*at - '0');
	if (at == first || at == reader->end || (*first == '0' && at - first > 1))
		return NULL;
	if (*at != ',' && *at != '}' && *at != ']' && !is_blank(*at))
		return NULL;
	reader->at = at;
	return json_integer(negative ? -value : value);
}

static json_t *word_value(struct reader *reader, const char *word, json_t *value)
{
	size_t bytes = strlen(word);

	if ((size_t)(reader->end - reader->at) < bytes || memcmp(reader->at, word, bytes) != 0)
		return NULL;
	reader->at += bytes;
	return value;
}

static json_t *read_value(struct reader *reader)
{
	char first = peek(reader);
	json_t *value;

	switch (first) {
	case '"':
		reader->at++;
		return string_value(reader);
	case '{':
	case '[':
		if (reader->depth == LIMIT_DEPTH)
			return NULL;
		reader->depth++;
		reader->at++;
		value = first == '{' ? object_value(reader) : array_value(reader);
		reader->depth--;
		return value;
	case 't':
		return word_value(reader, "true", json_true());
	case 'f':
		return word_value(reader, "false", json_false());
	case 'n':
		return word_value(reader, "null", json_null());
	case '\0':
		return NULL;
	default:
		return number_value(reader);
	}
}

json_t *json_read(const char *data, size_t bytes, json_error_t *problem)
{
	struct reader reader = { .at = data, .end = data + bytes };
	json_t *value = peek(&reader) == '{' ? read_value(&reader) : NULL;

	text_finish(&reader.scratch);
	if (value != NULL && peek(&reader) == '\0' && reader.at == reader.end)
		return value;
	json_decref(value);
	return json_loadb(data, bytes, JSON_ALLOW_NUL, problem);
}
