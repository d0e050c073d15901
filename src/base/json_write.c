/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.c - see json_write.h. */
#include "base/json_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_plain.h"
#include "base/utf8.h"

static bool write_value(struct buf *out, const json_t *value);

/* RFC 8259, section 7: what must not stand in a string as it is. */
static bool write_escape(struct buf *out, unsigned char c)
{
	switch (c) {
	case '"':
		return buf_add(out, "\\\"", 2);
	case '\\':
		return buf_add(out, "\\\\", 2);
	case '\b':
		return buf_add(out, "\\b", 2);
	case '\f':
		return buf_add(out, "\\f", 2);
	case '\n':
		return buf_add(out, "\\n", 2);
	case '\r':
		return buf_add(out, "\\r", 2);
	case '\t':
		return buf_add(out, "\\t", 2);
	default:
		return buf_printf(out, "\\u%04X", c);
	}
}

/* *ascii as in json_plain.h. */
static bool write_string(struct buf *out, const char *text, size_t size, bool *ascii)
{
	const char *from = text, *end = text + size, *at;

	if (!buf_add_char(out, '"'))
		return false;
	while ((at = json_plain_end(from, end, ascii)) < end) {
		if (!buf_add(out, from, (size_t)(at - from)) || !write_escape(out, (unsigned char)*at))
			return false;
		from = at + 1;
	}
	return buf_add(out, from, (size_t)(end - from)) && buf_add_char(out, '"');
}

static bool write_array(struct buf *out, const json_t *array)
{
	const json_t *value;
	size_t i;

	if (!buf_add_char(out, '['))
		return false;
	json_array_foreach(array, i, value) {
		if ((i > 0 && !buf_add_char(out, ',')) || !write_value(out, value))
			return false;
	}
	return buf_add_char(out, ']');
}

static bool write_object(struct buf *out, const json_t *object)
{
	const char *key, *comma = "";
	json_t *value;
	size_t size;
	bool ascii = true;      /* nobody asks: jansson has looked */

	if (!buf_add_char(out, '{'))
		return false;
	/* The iteration does not change the object, though its type says so. */
	json_object_keylen_foreach((json_t *)object, key, size, value) {
		if (!buf_add_text(out, comma) || !write_string(out, key, size, &ascii) || !buf_add_char(out, ':')
			|| !write_value(out, value))
			return false;
		comma = ",";
	}
	return buf_add_char(out, '}');
}

/* How many digits a real needs is jansson's affair. */
static bool write_real(struct buf *out, const json_t *real)
{
	char *text = json_dumps(real, JSON_ENCODE_ANY);
	bool ok = text != NULL && buf_add_text(out, text);

	free(text);
	return ok;
}

static bool write_value(struct buf *out, const json_t *value)
{
	bool ascii = true;      /* nobody asks: jansson has looked */

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return write_object(out, value);
	case JSON_ARRAY:
		return write_array(out, value);
	case JSON_STRING:
		return write_string(out, json_string_value(value), json_string_length(value), &ascii);
	case JSON_INTEGER:
		return buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL:
		return write_real(out, value);
	case JSON_TRUE:
		return buf_add_text(out, "true");
	case JSON_FALSE:
		return buf_add_text(out, "false");
	default:
		return buf_add_text(out, "null");
	}
}

bool json_write(struct buf *out, const json_t *value)
{
	return write_value(out, value);
}

/* -- piece by piece --------------------------------------------------------------------------------- */

/* A string ends with a quote, so the last byte says what is before. */
static bool write_comma(struct buf *out)
{
	char last = out->size > 0 ? out->bytes[out->size - 1] : '{';

	return last == '{' || last == '[' || last == ':' || buf_add_char(out, ',');
}

bool json_write_open(struct buf *out, char bracket)
{
	return write_comma(out) && buf_add_char(out, bracket);
}

bool json_write_close(struct buf *out, char bracket)
{
	return buf_add_char(out, bracket);
}

bool json_write_string(struct buf *out, const char *text)
{
	size_t size = strlen(text);
	bool ascii = true;

	return write_comma(out) && write_string(out, text, size, &ascii) && (ascii || utf8_is_valid(text, size));
}

bool json_write_name(struct buf *out, const char *name)
{
	return json_write_string(out, name) && buf_add_char(out, ':');
}

bool json_write_integer(struct buf *out, int64_t value)
{
	return write_comma(out) && buf_printf(out, "%" PRId64, value);
}

bool json_write_true(struct buf *out)
{
	return write_comma(out) && buf_add_text(out, "true");
}

bool json_write_member(struct buf *out, const char *name, const char *text)
{
	return json_write_name(out, name) && json_write_string(out, text);
}
