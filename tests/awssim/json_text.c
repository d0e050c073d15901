/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.c - JSON by appending; runs of plain characters are copied at once. */
#include "json_text.h"

#include "dice.h"
#include "eight.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static bool is_plain(unsigned char letter)
{
	return letter >= 0x20 && letter != '"' && letter != '\\';
}

static void add_escaped(struct text *text, unsigned char letter)
{
	switch (letter) {
	case '"': text_add(text, "\\\"", 2); break;
	case '\\': text_add(text, "\\\\", 2); break;
	case '\n': text_add(text, "\\n", 2); break;
	case '\r': text_add(text, "\\r", 2); break;
	case '\t': text_add(text, "\\t", 2); break;
	default: text_addf(text, "\\u%04x", letter);
	}
}

void json_text_string(struct text *text, const char *string, size_t bytes)
{
	size_t start = 0;

	text_reserve(text, bytes + 2);
	text_add(text, "\"", 1);
	for (size_t i = 0; i < bytes; i++) {
		while (bytes - i > 8 && eight_plain(eight_bytes(string + i)))
			i += 8;
		if (is_plain((unsigned char)string[i]))
			continue;
		text_add(text, string + start, i - start);
		add_escaped(text, (unsigned char)string[i]);
		start = i + 1;
	}
	text_add(text, string + start, bytes - start);
	text_add(text, "\"", 1);
}

static void add_time(struct text *text, double value)
{
	int64_t thousandths = llround(value * 1000);
	char fraction[4] = { '.', (char)('0' + thousandths / 100 % 10),
			     (char)('0' + thousandths / 10 % 10), (char)('0' + thousandths % 10) };

	text_add_number(text, thousandths / 1000);
	text_add(text, fraction, sizeof(fraction));
}

void json_text_item(struct text *text)
{
	char last = text->bytes == 0 ? '[' : text->data[text->bytes - 1];

	if (last != '[' && last != '{' && last != ':')
		text_add(text, ",", 1);
}

void json_text_name(struct text *text, const char *name)
{
	json_text_item(text);
	json_text_string(text, name, strlen(name));
	text_add(text, ":", 1);
}

void json_text_member(struct text *text, const char *name, const char *value)
{
	if (value == NULL)
		return;
	json_text_name(text, name);
	json_text_string(text, value, strlen(value));
}

void json_text_number_member(struct text *text, const char *name, int64_t number)
{
	json_text_name(text, name);
	text_add_number(text, number);
}

static void add_object(struct text *text, json_t *object)
{
	const char *name;
	json_t *value;

	text_add(text, "{", 1);
	json_object_foreach(object, name, value) {
		json_text_name(text, name);
		json_text_value(text, value);
	}
	text_add(text, "}", 1);
}

static void add_array(struct text *text, json_t *array)
{
	json_t *item;
	size_t i;

	text_add(text, "[", 1);
	json_array_foreach(array, i, item) {
		if (i > 0)
			text_add(text, ",", 1);
		json_text_value(text, item);
	}
	text_add(text, "]", 1);
}

void json_text_value(struct text *text, json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: add_object(text, value); break;
	case JSON_ARRAY: add_array(text, value); break;
	case JSON_STRING:
		json_text_string(text, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER: text_add_number(text, json_integer_value(value)); break;
	case JSON_REAL: add_time(text, json_real_value(value)); break;
	case JSON_TRUE: text_add(text, "true", 4); break;
	case JSON_FALSE: text_add(text, "false", 5); break;
	default: text_add(text, "null", 4);
	}
}

static uint64_t hash_bytes(const char *bytes, size_t count, uint64_t hash)
{
	uint64_t eight;

	for (; count >= sizeof(eight); bytes += sizeof(eight), count -= sizeof(eight)) {
		memcpy(&eight, bytes, sizeof(eight));
		hash = (hash ^ eight) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	for (size_t i = 0; i < count; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	return dice_mix(hash + count);
}

static uint64_t hash_object(json_t *object, const char *without)
{
	uint64_t hash = dice_mix((uint64_t)JSON_OBJECT + 1);
	const char *name;
	json_t *inner;

	json_object_foreach(object, name, inner) {
		if (without == NULL || strcmp(name, without) != 0)
			hash += dice_mix(hash_bytes(name, strlen(name), 1) ^ json_text_hash(inner));
	}
	return dice_mix(hash);
}

uint64_t json_text_hash_without(json_t *object, const char *name)
{
	return hash_object(object, name);
}

uint64_t json_text_hash(json_t *value)
{
	uint64_t hash = dice_mix((uint64_t)json_typeof(value) + 1);
	json_t *inner;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return hash_object(value, NULL);
	case JSON_ARRAY:
		json_array_foreach(value, i, inner)
			hash = dice_mix(hash * 31 + json_text_hash(inner));
		return hash;
	case JSON_STRING:
		return hash_bytes(json_string_value(value), json_string_length(value), hash);
	case JSON_INTEGER:
		return dice_mix(hash ^ (uint64_t)json_integer_value(value));
	case JSON_REAL:
		return dice_mix(hash ^ (uint64_t)llround(json_real_value(value) * 1000));
	default:
		return hash;
	}
}
