/* SPDX-License-Identifier: Apache-2.0 */
/* conf_value.c - see conf_value.h. */
#include "conf/conf_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/quantity.h"
#include "base/texts.h"

static const char mask[] = "********";

void *conf_field(const struct conf_row *row, void *section)
{
	return (char *)section + row->offset;
}

const void *conf_field_const(const struct conf_row *row, const void *section)
{
	return (const char *)section + row->offset;
}

void *conf_option(const struct conf_row *row, void *section, bool make)
{
	void **option = conf_field(row, section);

	if (*option == NULL && make)
		*option = xcalloc(1, row->size);
	return *option;
}

bool conf_row_counts(const struct conf_row *rows, const struct conf_row *row, const void *section)
{
	const struct conf_row *type = row->of != NULL ? conf_row_find(rows, "type") : NULL;

	return type == NULL || strcmp(type->words[*(const unsigned *)conf_field_const(type, section)], row->of) == 0;
}

const struct conf_row *conf_row_of(const struct conf_row *rows, const char *key, const void *section)
{
	for (const struct conf_row *row = rows; row->key != NULL; row++) {
		if (strcmp(row->key, key) == 0 && conf_row_counts(rows, row, section))
			return row;
	}
	return conf_row_find(rows, key);
}

static size_t *count_field(const struct conf_row *row, void *section)
{
	return (size_t *)(void *)((char *)section + row->count_offset);
}

size_t conf_element_count(const struct conf_row *row, const void *section)
{
	return *(const size_t *)(const void *)((const char *)section + row->count_offset);
}

void *conf_element(const struct conf_row *row, const void *section, size_t index)
{
	char *const *elements = conf_field_const(row, section);

	return *elements + index * row->size;
}

void *conf_element_add(const struct conf_row *row, void *section, const char *name)
{
	char **elements = conf_field(row, section);
	size_t *count = count_field(row, section);
	char *element;

	*elements = xreallocarray(*elements, *count + 1, row->size);
	element = *elements + *count * row->size;
	memset(element, 0, row->size);
	if (row->kind == CONF_MAP)
		*(char **)(void *)element = xstrdup(name);
	++*count;
	return element;
}

void *conf_element_find(const struct conf_row *row, const void *section, const char *name)
{
	for (size_t i = 0; i < conf_element_count(row, section); i++) {
		void *element = conf_element(row, section, i);

		if (strcmp(*(char **)element, name) == 0)
			return element;
	}
	return NULL;
}

/* -- parsing ---------------------------------------------------------------------------------- */

static int word_index(const char *const *words, const char *text, size_t len)
{
	for (int i = 0; words != NULL && words[i] != NULL; i++) {
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return i;
	}
	return -1;
}

static bool within(const struct conf_row *row, int64_t value)
{
	return (value >= row->min && value <= row->max) || (value == 0 && row->zero != NULL);
}

static bool parse_uint(const struct conf_row *row, const char *text, unsigned *field)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 10)
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || !within(row, (int64_t)value))
		return false;
	*field = (unsigned)value;
	return true;
}

static bool parse_duration(const struct conf_row *row, const char *text, int64_t *field)
{
	int64_t value;

	if (!quantity_parse_ms(text, &value) || !within(row, value))
		return false;
	*field = value;
	return true;
}

static bool parse_size(const struct conf_row *row, const char *text, int64_t *field)
{
	int64_t value;

	if (!quantity_parse_bytes(text, &value) || !within(row, value))
		return false;
	*field = value;
	return true;
}

static bool parse_bool(const char *text, bool *field)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return false;
	*field = *text == 't';
	return true;
}

static bool is_one_line(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	}
	return true;
}

static bool names_database(const char *url)
{
	return strncmp(url, "postgres", 8) == 0 || strncmp(url, "db+postgres", 11) == 0;
}

/* "scheme://host...", or a scheme that names a file, or "memory:", which is all there is to it. */
static bool is_url(const struct conf_row *row, const char *text)
{
	size_t scheme = strcspn(text, ":");
	const char *rest = text + scheme + 1;

	if (text[scheme] != ':' || word_index(row->words, text, scheme) < 0)
		return false;
	if (strncmp(text, "memory:", 7) == 0)
		return *rest == '\0';
	if (strncmp(text, "sqlite:", 7) == 0 || strncmp(text, "unix:", 5) == 0)
		return strncmp(rest, "///", 3) == 0 && rest[3] != '\0';
	/* A database may be named without its host, which is this one then. */
	return strncmp(rest, "//", 2) == 0 && rest[2] != '\0' && (rest[2] != '/' || names_database(text)) &&
		strpbrk(rest, " \"<>\\^`{|}") == NULL;
}

static bool text_is_sound(const struct conf_row *row, const char *text)
{
	int64_t len = (int64_t)strlen(text);

	if (row->kind == CONF_WORD)
		return word_index(row->words, text, (size_t)len) >= 0;
	if (len < row->min || len > row->max)
		return false;
	if (row->kind == CONF_TEMPLATE)
		return true;
	if (!is_one_line(text))
		return false;
	if (row->kind == CONF_URL)
		return is_url(row, text);
	if (row->kind == CONF_PATH)
		return *text == '/' || row->relative || word_index(row->words, text, (size_t)len) >= 0;
	return true;
}

static bool parse_text(const struct conf_row *row, const char *text, char **field)
{
	if (!text_is_sound(row, text))
		return false;
	xreplace(field, text);
	return true;
}

bool conf_value_parse(const struct conf_row *row, const char *text, void *field)
{
	int word;

	switch (row->kind) {
	case CONF_UINT: return parse_uint(row, text, field);
	case CONF_DURATION: return parse_duration(row, text, field);
	case CONF_SIZE: return parse_size(row, text, field);
	case CONF_BOOL: return parse_bool(text, field);
	case CONF_ENUM:
		word = word_index(row->words, text, strlen(text));
		if (word < 0)
			return false;
		*(unsigned *)field = (unsigned)word;
		return true;
	case CONF_WORD: case CONF_TEXT: case CONF_URL: case CONF_PATH: case CONF_TEMPLATE:
		return parse_text(row, text, field);
	case CONF_TEXTS: case CONF_TEMPLATES: case CONF_TEMPLATE_PAIRS: case CONF_SECTION: case CONF_MAP:
	case CONF_LIST: case CONF_OPTION: case CONF_ABSENT:
		break;
	}
	return false;
}

bool conf_texts_parse(const struct conf_row *row, const char *text, struct texts *texts)
{
	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		char *element = xstrndup(text, len);
		bool ok = row->words == NULL || word_index(row->words, element, len) >= 0;

		if (ok)
			texts_add(texts, element);
		free(element);
		if (!ok)
			return false;
		text += len;
		text += strspn(text, ", ");
	}
	return true;
}

/* -- formatting ------------------------------------------------------------------------------- */

bool conf_value_format(const struct conf_row *row, const void *field, struct buf *out)
{
	char quantity[QUANTITY_TEXT_BYTES];

	switch (row->kind) {
	case CONF_UINT: return buf_printf(out, "%u", *(const unsigned *)field);
	case CONF_DURATION:
		quantity_format_ms(*(const int64_t *)field, quantity);
		return buf_add_text(out, quantity);
	case CONF_SIZE:
		quantity_format_bytes(*(const int64_t *)field, quantity);
		return buf_add_text(out, quantity);
	case CONF_BOOL: return buf_add_text(out, *(const bool *)field ? "true" : "false");
	case CONF_ENUM: return buf_add_text(out, row->words[*(const unsigned *)field]);
	case CONF_WORD: case CONF_TEXT: case CONF_URL: case CONF_PATH: case CONF_TEMPLATE:
		if (*(char *const *)field == NULL)
			return false;
		return buf_add_text(out, *(char *const *)field);
	case CONF_TEXTS: case CONF_TEMPLATES: case CONF_TEMPLATE_PAIRS: case CONF_SECTION: case CONF_MAP:
	case CONF_LIST: case CONF_OPTION: case CONF_ABSENT:
		break;
	}
	return false;
}

/* Only the password of "scheme://user:password@host" is a secret; the rest helps to find a mistake. */
static void format_masked_url(const char *url, struct buf *out)
{
	const char *place = strstr(url, "://");
	const char *at, *colon;

	place = place != NULL ? place + 3 : url;
	/* The last "@", as a password may hold one, or a "/", that nobody encoded. */
	at = strrchr(place, '@');
	if (at == NULL) {
		buf_add_text(out, url);
		return;
	}
	colon = memchr(place, ':', (size_t)(at - place));
	buf_add(out, url, (size_t)((colon != NULL ? colon + 1 : place) - url));
	buf_add_text(out, mask);
	buf_add_text(out, at);
}

bool conf_value_format_masked(const struct conf_row *row, const void *field, struct buf *out)
{
	if (!row->secret)
		return conf_value_format(row, field, out);
	if (*(char *const *)field == NULL)
		return false;
	if (row->kind == CONF_URL)
		format_masked_url(*(char *const *)field, out);
	else
		buf_add_text(out, mask);
	return true;
}

static void expected_words(const char *const *words, const char *before, const char *after, struct buf *out)
{
	for (size_t i = 0; words[i] != NULL; i++) {
		if (i > 0)
			buf_add_text(out, words[i + 1] == NULL ? " or " : ", ");
		buf_printf(out, "%s%s%s", before, words[i], after);
	}
}

static void expected_duration(const struct conf_row *row, struct buf *out)
{
	char low[QUANTITY_TEXT_BYTES], high[QUANTITY_TEXT_BYTES];

	quantity_format_ms(row->min, low);
	quantity_format_ms(row->max, high);
	if (row->min == 0)
		buf_printf(out, "a duration of up to %s", high);
	else
		buf_printf(out, "a duration from %s to %s", low, high);
}

static void expected_size(const struct conf_row *row, struct buf *out)
{
	char low[QUANTITY_TEXT_BYTES], high[QUANTITY_TEXT_BYTES];

	quantity_format_bytes(row->min, low);
	quantity_format_bytes(row->max, high);
	buf_printf(out, "a size from %s to %s", low, high);
}

static void expected_texts(const struct conf_row *row, struct buf *out)
{
	buf_add_text(out, "a list of ");
	if (row->words != NULL)
		expected_words(row->words, "", "", out);
	else
		buf_add_text(out, "texts");
}

static void expected_text(const struct conf_row *row, struct buf *out)
{
	switch (row->kind) {
	case CONF_URL:
		buf_add_text(out, "a URL that starts with ");
		for (size_t i = 0; row->words[i] != NULL; i++) {
			if (i > 0)
				buf_add_text(out, row->words[i + 1] == NULL ? " or " : ", ");
			buf_printf(out, "%s%s", row->words[i], strcmp(row->words[i], "memory") == 0 ? ":" :
				strcmp(row->words[i], "sqlite") == 0 || strcmp(row->words[i], "unix") == 0 ? ":///" :
				"://");
		}
		return;
	case CONF_PATH:
		if (row->words != NULL) {
			expected_words(row->words, "", "", out);
			buf_add_text(out, ", or ");
		}
		buf_printf(out, row->relative ? "a path" : "an absolute path");
		if (row->max < 4095)
			buf_printf(out, " of at most %" PRId64 " bytes", row->max);
		return;
	default:
		buf_printf(out, "%s of at most %" PRId64 " bytes", row->kind == CONF_TEMPLATE ? "a template" :
			"a line of text", row->max);
	}
}

void conf_value_expected(const struct conf_row *row, struct buf *out)
{
	switch (row->kind) {
	case CONF_UINT: buf_printf(out, "a whole number from %" PRId64 " to %" PRId64, row->min, row->max); break;
	case CONF_DURATION: expected_duration(row, out); break;
	case CONF_SIZE: expected_size(row, out); break;
	case CONF_BOOL: buf_add_text(out, "true or false"); break;
	case CONF_ENUM: case CONF_WORD: expected_words(row->words, "", "", out); break;
	case CONF_TEXT: case CONF_URL: case CONF_PATH: case CONF_TEMPLATE: expected_text(row, out); break;
	case CONF_TEXTS: expected_texts(row, out); break;
	case CONF_TEMPLATES: buf_add_text(out, "a list of templates"); break;
	case CONF_TEMPLATE_PAIRS: buf_add_text(out, "names with a template each"); break;
	case CONF_SECTION: case CONF_OPTION: buf_add_text(out, "a section of keys"); break;
	case CONF_MAP: buf_add_text(out, "at least one name with a section of keys"); break;
	case CONF_LIST: buf_add_text(out, "a list of sections"); break;
	case CONF_ABSENT: buf_add_text(out, "nothing"); break;
	}
	if (row->zero != NULL)
		buf_printf(out, ", or 0 (%s)", row->zero);
}

/* -- the end ---------------------------------------------------------------------------------- */

static void finish_elements(const struct conf_row *row, void *section)
{
	void **elements = conf_field(row, section);

	for (size_t i = 0; i < conf_element_count(row, section); i++) {
		void *element = conf_element(row, section, i);

		conf_section_finish(row->rows, element);
		if (row->kind == CONF_MAP)
			free(*(char **)element);
	}
	free(*elements);
	*elements = NULL;
	*count_field(row, section) = 0;
}

static void finish_option(const struct conf_row *row, void *section)
{
	void **option = conf_field(row, section);

	if (*option != NULL)
		conf_section_finish(row->rows, *option);
	free(*option);
	*option = NULL;
}

static void finish_pairs(const struct conf_row *row, struct pairs *pairs)
{
	for (size_t i = 0; row->secret && i < pairs->count; i++) {
		xfree_secret(pairs->at[i].value);
		pairs->at[i].value = NULL;
	}
	pairs_finish(pairs);
}

static void finish_field(const struct conf_row *row, void *section)
{
	void *field = conf_field(row, section);

	switch (row->kind) {
	case CONF_UINT: case CONF_DURATION: case CONF_SIZE: case CONF_BOOL: case CONF_ENUM: case CONF_ABSENT:
		break;
	case CONF_WORD: case CONF_TEXT: case CONF_URL: case CONF_PATH: case CONF_TEMPLATE:
		if (row->secret)
			xfree_secret(*(char **)field);
		else
			free(*(char **)field);
		*(char **)field = NULL;
		break;
	case CONF_TEXTS: case CONF_TEMPLATES: texts_finish(field); break;
	case CONF_TEMPLATE_PAIRS: finish_pairs(row, field); break;
	case CONF_SECTION: conf_section_finish(row->rows, field); break;
	case CONF_OPTION: finish_option(row, section); break;
	case CONF_MAP: case CONF_LIST: finish_elements(row, section); break;
	}
}

void conf_section_finish(const struct conf_row *rows, void *section)
{
	for (; rows->key != NULL; rows++)
		finish_field(rows, section);
}
