/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.c - see json_write.h. */
#include "base/json_write.h"

#include <stdlib.h>

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

static bool write_string(struct buf *out, const char *text, size_t size)
{
	size_t from = 0;

	if (!buf_add_char(out, '"'))
		return false;
	for (size_t at = 0; at < size; at++) {
		unsigned char c = (unsigned char)text[at];

		if (c >= ' ' && c != '"' && c != '\\')
			continue;
		if (!buf_add(out, text + from, at - from) || !write_escape(out, c))
			return false;
		from = at + 1;
	}
	return buf_add(out, text + from, size - from) && buf_add_char(out, '"');
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

	if (!buf_add_char(out, '{'))
		return false;
	/* The iteration does not change the object, though its type says so. */
	json_object_keylen_foreach((json_t *)object, key, size, value) {
		if (!buf_add_text(out, comma) || !write_string(out, key, size) || !buf_add_char(out, ':')
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
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return write_object(out, value);
	case JSON_ARRAY:
		return write_array(out, value);
	case JSON_STRING:
		return write_string(out, json_string_value(value), json_string_length(value));
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
