/* SPDX-License-Identifier: Apache-2.0 */
/* celery_pickle.c - see celery_pickle.h. */
#include "notify/celery_pickle.h"

#include <stdint.h>
#include <string.h>

enum { INT32_BYTES = 4, INT64_BYTES = 8 };

/* The opcodes, by their names in pickletools. */
enum {
	PROTO = 0x80, STOP = '.', NONE = 'N', NEWTRUE = 0x88, NEWFALSE = 0x89, BININT = 'J', LONG1 = 0x8a, BINFLOAT = 'G',
	BINUNICODE = 'X', EMPTY_LIST = ']', EMPTY_DICT = '}', MARK = '(', APPENDS = 'e', SETITEMS = 'u',
};

static void add_byte(struct buf *out, int byte)
{
	buf_add_char(out, (char)byte);
}

static void add_little_endian(struct buf *out, uint64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		add_byte(out, (int)(number >> (8 * i) & 0xff));
}

static void add_integer(struct buf *out, int64_t number)
{
	if (number >= INT32_MIN && number <= INT32_MAX) {
		add_byte(out, BININT);
		add_little_endian(out, (uint64_t)number, INT32_BYTES);
		return;
	}
	add_byte(out, LONG1);
	add_byte(out, INT64_BYTES);
	add_little_endian(out, (uint64_t)number, INT64_BYTES);
}

/* The only one that is big-endian. */
static void add_real(struct buf *out, double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	add_byte(out, BINFLOAT);
	for (int shift = 56; shift >= 0; shift -= 8)
		add_byte(out, (int)(bits >> shift & 0xff));
}

static void add_text(struct buf *out, const char *text, size_t size)
{
	add_byte(out, BINUNICODE);
	add_little_endian(out, size, INT32_BYTES);
	buf_add(out, text, size);
}

static void add_value(struct buf *out, const json_t *value);

static void add_array(struct buf *out, const json_t *array)
{
	const json_t *value;
	size_t i;

	add_byte(out, EMPTY_LIST);
	add_byte(out, MARK);
	json_array_foreach(array, i, value)
		add_value(out, value);
	add_byte(out, APPENDS);
}

static void add_object(struct buf *out, const json_t *object)
{
	const char *key;
	json_t *value;

	add_byte(out, EMPTY_DICT);
	add_byte(out, MARK);
	json_object_foreach((json_t *)object, key, value) {
		add_text(out, key, strlen(key));
		add_value(out, value);
	}
	add_byte(out, SETITEMS);
}

static void add_value(struct buf *out, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: add_object(out, value); break;
	case JSON_ARRAY: add_array(out, value); break;
	case JSON_STRING: add_text(out, json_string_value(value), json_string_length(value)); break;
	case JSON_INTEGER: add_integer(out, json_integer_value(value)); break;
	case JSON_REAL: add_real(out, json_real_value(value)); break;
	case JSON_TRUE: add_byte(out, NEWTRUE); break;
	case JSON_FALSE: add_byte(out, NEWFALSE); break;
	case JSON_NULL: add_byte(out, NONE); break;
	}
}

bool celery_pickle(const json_t *value, struct buf *out)
{
	add_byte(out, PROTO);
	add_byte(out, 2);
	add_value(out, value);
	add_byte(out, STOP);
	return !out->overflowed;
}
