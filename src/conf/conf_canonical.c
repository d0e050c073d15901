/* SPDX-License-Identifier: Apache-2.0 */
/* conf_canonical.c - see conf_canonical.h.  Writer and reader walk the same rows; neither knows a
 * key.  The reader trusts nothing: it is the only parser that the master links. */
#include "conf/conf_canonical.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "conf/conf_schema.h"
#include "conf/conf_value.h"

static const char first_line[] = "gantry-configuration 1\n";

/* -- writing ---------------------------------------------------------------------------------- */

struct writer {
	struct buf *out;
	struct buf path;                /* of the value at hand */
	bool mask;
	size_t lines;
};

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '\t': buf_add_text(out, "\\t"); break;
		case '\n': buf_add_text(out, "\\n"); break;
		case '\\': buf_add_text(out, "\\\\"); break;
		default: buf_add_char(out, *text);
		}
	}
}

/* Appends ".component" and returns what pop() takes to undo it. */
static size_t push(struct writer *writer, const char *component)
{
	size_t before = writer->path.size;

	if (before > 0)
		buf_add_char(&writer->path, '.');
	add_escaped(&writer->path, component);
	return before;
}

static size_t push_number(struct writer *writer, size_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", number);
	return push(writer, text);
}

static void pop(struct writer *writer, size_t before)
{
	writer->path.size = before;
	if (writer->path.bytes != NULL)
		writer->path.bytes[before] = '\0';
}

static void write_line(struct writer *writer, const char *value)
{
	buf_add(writer->out, buf_text(&writer->path), writer->path.size);
	buf_add_char(writer->out, '\t');
	add_escaped(writer->out, value);
	buf_add_char(writer->out, '\n');
	writer->lines++;
}

static void write_scalar(struct writer *writer, const struct conf_row *row, const void *field)
{
	struct buf value;
	bool given;

	buf_init(&value, LIMIT_CONF_BYTES);
	given = writer->mask ? conf_value_format_masked(row, field, &value) : conf_value_format(row, field, &value);
	if (given)
		write_line(writer, buf_text(&value));
	if (row->secret && value.bytes != NULL)
		explicit_bzero(value.bytes, value.size);
	buf_finish(&value);
}

static void write_texts(struct writer *writer, const struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		size_t before = push_number(writer, i);

		write_line(writer, texts->at[i]);
		pop(writer, before);
	}
}

static void write_pairs(struct writer *writer, const struct conf_row *row, const struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		size_t before = push(writer, pairs->at[i].name);

		write_line(writer, writer->mask && row->secret ? "********" : pairs->at[i].value);
		pop(writer, before);
	}
}

static void write_section(struct writer *writer, const struct conf_row *rows, const void *section);

static void write_elements(struct writer *writer, const struct conf_row *row, const void *section)
{
	for (size_t i = 0; i < conf_element_count(row, section); i++) {
		const void *element = conf_element(row, section, i);
		size_t before = row->kind == CONF_MAP ? push(writer, *(char *const *)element) : push_number(writer, i);

		write_section(writer, row->rows, element);
		pop(writer, before);
	}
}

static void write_row(struct writer *writer, const struct conf_row *row, const void *section)
{
	const void *field = conf_field_const(row, section);

	switch (row->kind) {
	case CONF_TEXTS: case CONF_TEMPLATES: write_texts(writer, field); break;
	case CONF_TEMPLATE_PAIRS: write_pairs(writer, row, field); break;
	case CONF_SECTION: write_section(writer, row->rows, field); break;
	case CONF_OPTION:
		if (*(void *const *)field != NULL)
			write_section(writer, row->rows, *(void *const *)field);
		break;
	case CONF_MAP: case CONF_LIST: write_elements(writer, row, section); break;
	case CONF_ABSENT: break;
	default: write_scalar(writer, row, field);
	}
}

static void write_section(struct writer *writer, const struct conf_row *rows, const void *section)
{
	for (const struct conf_row *row = rows; row->key != NULL; row++) {
		size_t before;

		if (!conf_row_counts(rows, row, section))
			continue;
		before = push(writer, row->key);
		write_row(writer, row, section);
		pop(writer, before);
	}
}

static uint64_t fnv1a(const char *text, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void conf_canonical_write(const struct conf *conf, bool mask, struct buf *out)
{
	struct writer writer = { .out = out, .mask = mask };
	size_t begin = out->size;

	buf_init(&writer.path, LIMIT_CONF_BYTES);
	if (!mask)
		buf_add_text(out, first_line);
	write_section(&writer, conf_schema, conf);
	if (!mask)
		buf_printf(out, "end %zu %016" PRIx64 "\n", writer.lines, fnv1a(out->bytes + begin, out->size - begin));
	buf_finish(&writer.path);
}

/* -- reading ---------------------------------------------------------------------------------- */

/* Undoes add_escaped() in place. */
static bool unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (*text != '\\') {
			*to++ = *text;
			continue;
		}
		switch (*++text) {
		case 't': *to++ = '\t'; break;
		case 'n': *to++ = '\n'; break;
		case '\\': *to++ = '\\'; break;
		default: return false;
		}
	}
	*to = '\0';
	return true;
}

/* Cuts the first component off *path and returns it; *path is NULL behind the last one. */
static char *take_component(char **path)
{
	char *component = *path;
	char *dot;

	if (component == NULL)
		return NULL;
	dot = strchr(component, '.');
	if (dot != NULL)
		*dot++ = '\0';
	*path = dot;
	return component;
}

/* Elements are numbered in order, so a number is the last element's or the next one's. */
static bool parse_number(const char *text, size_t *number)
{
	char *end;

	if (text == NULL || *text < '0' || *text > '9' || strlen(text) > 9)
		return false;
	*number = strtoul(text, &end, 10);
	return *end == '\0';
}

static bool read_text_element(struct texts *texts, const char *path, const char *value)
{
	size_t number;

	if (!parse_number(path, &number) || number != texts->count)
		return false;
	texts_add(texts, value);
	return true;
}

static bool read_pair(struct pairs *pairs, char *name, const char *value)
{
	if (name == NULL || !unescape(name))
		return false;
	pairs_set(pairs, name, value);
	return true;
}

static void *find_element(const struct conf_row *row, void *section, char **path)
{
	const char *component = take_component(path);
	size_t count = conf_element_count(row, section);
	size_t number;
	void *element;

	if (component == NULL || *path == NULL)
		return NULL;
	if (row->kind == CONF_MAP) {
		if (!conf_name_is_sound(component))
			return NULL;
		element = conf_element_find(row, section, component);
		return element != NULL ? element : conf_element_add(row, section, component);
	}
	if (!parse_number(component, &number) || number > count || number + 1 < count)
		return NULL;
	return number < count ? conf_element(row, section, number) : conf_element_add(row, section, NULL);
}

static bool read_value(const struct conf_row *rows, void *section, char *path, const char *value)
{
	const char *key = take_component(&path);
	const struct conf_row *row = conf_row_of(rows, key, section);
	void *field;

	if (row == NULL)
		return false;
	field = conf_field(row, section);
	switch (row->kind) {
	case CONF_TEXTS: case CONF_TEMPLATES: return read_text_element(field, path, value);
	case CONF_TEMPLATE_PAIRS: return read_pair(field, path, value);
	case CONF_SECTION: return path != NULL && read_value(row->rows, field, path, value);
	case CONF_OPTION:
		return path != NULL && read_value(row->rows, conf_option(row, section, true), path, value);
	case CONF_MAP: case CONF_LIST:
		field = find_element(row, section, &path);
		return field != NULL && read_value(row->rows, field, path, value);
	case CONF_ABSENT: return false;
	default: return path == NULL && conf_value_parse(row, value, field);
	}
}

/* Where the last line begins; size when there is none. */
static size_t last_line(const char *text, size_t size)
{
	const char *newline;

	if (size == 0 || text[size - 1] != '\n')
		return size;
	newline = memrchr(text, '\n', size - 1);
	return newline != NULL ? (size_t)(newline + 1 - text) : 0;
}

uint64_t conf_canonical_hash(const char *text, size_t size)
{
	return fnv1a(text, last_line(text, size));
}

/* *bytes is what lies between the first and the last line. */
static bool is_whole(const char *text, size_t size, size_t *bytes)
{
	char end[64];
	size_t last = last_line(text, size);
	size_t lines = 0;
	int len;

	if (size < sizeof(first_line) - 1 || memcmp(text, first_line, sizeof(first_line) - 1) != 0 ||
	    last < sizeof(first_line) - 1 || memchr(text, '\0', size) != NULL)
		return false;
	for (size_t i = sizeof(first_line) - 1; i < last; i++)
		lines += text[i] == '\n';
	*bytes = last - (sizeof(first_line) - 1);
	len = snprintf(end, sizeof(end), "end %zu %016" PRIx64 "\n", lines, fnv1a(text, last));
	return size - last == (size_t)len && memcmp(text + last, end, (size_t)len) == 0;
}

/* Reads the lines between the first and the last one; cuts them up. */
static bool read_lines(char *text, struct conf *conf, struct error *err)
{
	for (size_t number = 2; *text != '\0'; number++) {
		char *newline = strchr(text, '\n');
		char *tab;

		*newline = '\0';
		tab = strchr(text, '\t');
		if (tab != NULL)
			*tab++ = '\0';
		if (tab == NULL || !unescape(tab) || !read_value(conf_schema, conf, text, tab)) {
			error_set(err, ERROR_INVALID, "line %zu of the canonical configuration is not understood", number);
			return false;
		}
		text = newline + 1;
	}
	return true;
}

struct conf *conf_canonical_read(const char *text, size_t size, struct error *err)
{
	struct conf *conf;
	char *lines;
	size_t bytes = 0;
	bool ok;

	if (size > LIMIT_CONF_BYTES || !is_whole(text, size, &bytes)) {
		error_set(err, ERROR_INVALID, "the canonical configuration is cut or damaged");
		return NULL;
	}
	conf = xnew(struct conf);
	lines = xstrndup(text + sizeof(first_line) - 1, bytes);
	ok = read_lines(lines, conf, err);
	explicit_bzero(lines, bytes);
	free(lines);
	if (ok)
		return conf;
	conf_destroy(conf);
	return NULL;
}

struct conf *conf_canonical_read_fd(int fd, struct error *err)
{
	struct conf *conf;
	size_t size;
	char *text = descriptor_read_all(fd, LIMIT_CONF_BYTES, &size, err);

	if (text == NULL)
		return NULL;
	conf = conf_canonical_read(text, size, err);
	explicit_bzero(text, size);
	free(text);
	return conf;
}
