/* SPDX-License-Identifier: Apache-2.0 */
/* profile_file.c - see profile_file.h.
 *
 * A line is blank, a comment (# or ; in its first column), a section's head, a key, or, when it
 * begins with a blank, the continuation of the key above it.  Sections that can't be meant (a
 * config section without "profile", a name with blanks) are read for their errors and dropped,
 * as the SDKs do. */
#include "aws/profile_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

struct key {
	char *name;                     /* lower case */
	char *value;                    /* may be secret */
};

struct profile_section {
	struct table_link link;
	char *id;                       /* kind and name; the table's key */
	bool prefixed;                  /* [profile default], which displaces [default] */
	struct key *keys;
	size_t count;
};

struct profile_file {
	struct table sections;
	struct profile_section dropped; /* takes the keys of sections that can't be meant */
};

struct span {
	const char *at;
	size_t size;
};

struct parser {
	struct profile_file *file;
	enum profile_file_kind kind;
	const char *label;
	unsigned line;
	struct profile_section *section;        /* NULL before the first head */
	enum { KEY_NONE, KEY_PLAIN, KEY_NESTED, KEY_DROPPED } key;      /* what a continuation continues */
	size_t key_index;                       /* in section, for KEY_PLAIN and KEY_NESTED */
	struct error *err;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct span trim(struct span span)
{
	for (; span.size > 0 && is_blank(*span.at); span.at++, span.size--)
		;
	for (; span.size > 0 && is_blank(span.at[span.size - 1]); span.size--)
		;
	return span;
}

static bool span_is(struct span span, const char *text)
{
	return span.size == strlen(text) && memcmp(span.at, text, span.size) == 0;
}

/* Cuts a comment off: after a head it may stand anywhere, after a value only behind a blank. */
static struct span without_comment(struct span line, bool after_blank)
{
	for (size_t i = 0; i < line.size; i++) {
		if (line.at[i] != '#' && line.at[i] != ';')
			continue;
		if (!after_blank || (i > 0 && is_blank(line.at[i - 1]))) {
			line.size = i;
			break;
		}
	}
	return trim(line);
}

static bool is_name(struct span span)
{
	for (size_t i = 0; i < span.size; i++) {
		char c = span.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c != '\0' && strchr("-_/.%@:+", c) != NULL)))
			return false;
	}
	return span.size > 0;
}

static bool fail(struct parser *parser, const char *what)
{
	error_set(parser->err, ERROR_REFUSED, "%s:%u: %s", parser->label, parser->line, what);
	return false;
}

static void section_empty(struct profile_section *section)
{
	for (size_t i = 0; i < section->count; i++) {
		free(section->keys[i].name);
		xfree_secret(section->keys[i].value);
	}
	free(section->keys);
	section->keys = NULL;
	section->count = 0;
}

static char *section_id(enum profile_section_kind kind, const char *name, size_t size)
{
	return xasprintf("%d %.*s", (int)kind, (int)size, name);
}

/* The section of that kind and name, made when it is new. */
static struct profile_section *section_open(struct profile_file *file, enum profile_section_kind kind,
	struct span name)
{
	char *id = section_id(kind, name.at, name.size);
	struct table_link *link = table_find(&file->sections, id);
	struct profile_section *section;

	if (link != NULL) {
		free(id);
		return container_of(link, struct profile_section, link);
	}
	section = xnew(struct profile_section);
	section->id = id;
	table_add(&file->sections, &section->link, id);
	return section;
}

static struct profile_section *section_drop(struct profile_file *file)
{
	section_empty(&file->dropped);
	return &file->dropped;
}

/* [default] and [profile default] are the same profile, but only the second counts if both are there. */
static struct profile_section *default_open(struct profile_file *file, struct span name, bool prefixed)
{
	struct profile_section *section = section_open(file, PROFILE_SECTION_PROFILE, name);

	if (section->prefixed && !prefixed)
		return section_drop(file);
	if (prefixed && !section->prefixed)
		section_empty(section);
	section->prefixed = prefixed;
	return section;
}

/* Takes "word " off the front of a head; false when it is not there. */
static bool take_word(struct span *head, const char *word)
{
	size_t size = strlen(word);

	if (head->size <= size || memcmp(head->at, word, size) != 0 || !is_blank(head->at[size]))
		return false;
	*head = trim((struct span){ head->at + size, head->size - size });
	return true;
}

static struct profile_section *config_section(struct profile_file *file, struct span head)
{
	bool prefixed = take_word(&head, "profile");

	if (!prefixed && take_word(&head, "services") && is_name(head))
		return section_open(file, PROFILE_SECTION_SERVICES, head);
	if (!prefixed && take_word(&head, "sso-session") && is_name(head))
		return section_open(file, PROFILE_SECTION_SSO_SESSION, head);
	if (span_is(head, "default"))
		return default_open(file, head, prefixed);
	if (!prefixed || !is_name(head))
		return section_drop(file);
	return section_open(file, PROFILE_SECTION_PROFILE, head);
}

static bool parse_head(struct parser *parser, struct span line)
{
	struct span head = without_comment(line, false);

	if (head.size < 2 || head.at[head.size - 1] != ']')
		return fail(parser, "profile definition must end with ']'");
	head = trim((struct span){ head.at + 1, head.size - 2 });
	if (parser->kind == PROFILE_FILE_CONFIG)
		parser->section = config_section(parser->file, head);
	else if (is_name(head))
		parser->section = section_open(parser->file, PROFILE_SECTION_PROFILE, head);
	else
		parser->section = section_drop(parser->file);
	parser->key = KEY_NONE;
	return true;
}

/* The index of the key with that name (lower case), or count. */
static size_t key_find(const struct profile_section *section, const char *name)
{
	size_t i = 0;

	while (i < section->count && strcmp(section->keys[i].name, name) != 0)
		i++;
	return i;
}

/* Takes name.  The last value of a key counts. */
static bool key_put(struct parser *parser, char *name, struct span value, size_t *index)
{
	struct profile_section *section = parser->section;
	size_t i = key_find(section, name);

	if (i == LIMIT_PROFILE_SECTION_KEYS) {
		free(name);
		return fail(parser, "too many keys in one section");
	}
	if (i == section->count) {
		section->keys = xreallocarray(section->keys, section->count + 1, sizeof(*section->keys));
		section->keys[section->count++] = (struct key){ .name = name };
	} else {
		xfree_secret(section->keys[i].value);
		free(name);
	}
	section->keys[i].value = xstrndup(value.at, value.size);
	*index = i;
	return true;
}

static char *lower_case(char *text)
{
	for (char *c = text; *c != '\0'; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	return text;
}

/* Forgets the parts of a nested key that is being given anew. */
static void drop_parts(struct profile_section *section, const char *name)
{
	size_t size = strlen(name);
	size_t kept = 0;

	for (size_t i = 0; i < section->count; i++) {
		struct key *key = &section->keys[i];

		if (strncmp(key->name, name, size) == 0 && key->name[size] == ' ') {
			free(key->name);
			xfree_secret(key->value);
		} else {
			section->keys[kept++] = *key;
		}
	}
	section->count = kept;
}

static bool key_set(struct parser *parser, struct span name, struct span value)
{
	char *lower = lower_case(xstrndup(name.at, name.size));

	drop_parts(parser->section, lower);
	parser->key = value.size == 0 ? KEY_NESTED : KEY_PLAIN;
	return key_put(parser, lower, value, &parser->key_index);
}

/* A part is also kept as a key of its own, "sqs endpoint_url", a name that no line can give. */
static bool part_set(struct parser *parser, struct span part)
{
	const char *equals = memchr(part.at, '=', part.size);
	struct span name, value;
	size_t index;

	if (equals == NULL)
		return fail(parser, "expected an '=' sign defining a sub-property");
	name = trim((struct span){ part.at, (size_t)(equals - part.at) });
	value = trim((struct span){ equals + 1, part.size - (size_t)(equals - part.at) - 1 });
	if (name.size == 0)
		return fail(parser, "sub-property did not have a name");
	return key_put(parser, lower_case(xasprintf("%s %.*s", parser->section->keys[parser->key_index].name,
		(int)name.size, name.at)), value, &index);
}

static bool parse_key(struct parser *parser, struct span line)
{
	struct span text = without_comment(line, true);
	const char *equals = memchr(text.at, '=', text.size);
	struct span name, value;

	if (parser->section == NULL)
		return fail(parser, "expected a profile definition, found a key");
	if (equals == NULL)
		return fail(parser, "expected an '=' sign defining a property");
	name = trim((struct span){ text.at, (size_t)(equals - text.at) });
	value = trim((struct span){ equals + 1, text.size - (size_t)(equals - text.at) - 1 });
	if (name.size == 0)
		return fail(parser, "property did not have a name");
	if (!is_name(name)) {
		parser->key = KEY_DROPPED;
		return true;
	}
	return key_set(parser, name, value);
}

/* A comment mark in a continuation is part of the value; the SDKs agree on that. */
static bool parse_continuation(struct parser *parser, struct span line)
{
	struct span part = trim(line);
	struct key *key;
	char *longer;

	if (parser->section == NULL)
		return fail(parser, "expected a profile definition, found an indented line");
	if (parser->key == KEY_NONE)
		return fail(parser, "expected a property definition, found continuation");
	if (parser->key == KEY_DROPPED)
		return true;
	if (parser->key == KEY_NESTED && !part_set(parser, part))
		return false;
	key = &parser->section->keys[parser->key_index];
	if (strlen(key->value) + part.size > LIMIT_PROFILE_LINE_BYTES)
		return fail(parser, "value is too long");
	longer = xasprintf("%s\n%.*s", key->value, (int)part.size, part.at);
	xfree_secret(key->value);
	key->value = longer;
	return true;
}

static bool parse_line(struct parser *parser, struct span line)
{
	if (line.size > LIMIT_PROFILE_LINE_BYTES)
		return fail(parser, "line is too long");
	if (memchr(line.at, '\0', line.size) != NULL)
		return fail(parser, "NUL byte");
	if (trim(line).size == 0 || line.at[0] == '#' || line.at[0] == ';')
		return true;
	if (line.at[0] == '[')
		return parse_head(parser, line);
	if (is_blank(line.at[0]))
		return parse_continuation(parser, line);
	return parse_key(parser, line);
}

static bool parse(struct parser *parser, const char *text, size_t size)
{
	const char *end = text + size;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;              /* an editor's byte order mark */
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline != NULL ? newline : end;

		parser->line++;
		if (parser->line > LIMIT_PROFILE_FILE_LINES)
			return fail(parser, "too many lines");
		if (!parse_line(parser, (struct span){ text, (size_t)(line_end - text) }))
			return false;
		text = newline != NULL ? newline + 1 : end;
	}
	return true;
}

struct profile_file *profile_file_parse(enum profile_file_kind kind, const char *label, const char *text, size_t size,
	struct error *err)
{
	struct parser parser = { .file = xnew(struct profile_file), .kind = kind, .label = label, .err = err };

	if (!parse(&parser, text, size)) {
		profile_file_destroy(parser.file);
		return NULL;
	}
	section_empty(&parser.file->dropped);
	return parser.file;
}

static void free_section(struct table_link *link, void *arg)
{
	struct profile_section *section = container_of(link, struct profile_section, link);

	table_remove(arg, link);
	section_empty(section);
	free(section->id);
	free(section);
}

void profile_file_destroy(struct profile_file *file)
{
	if (file == NULL)
		return;
	table_each(&file->sections, free_section, &file->sections);
	table_finish(&file->sections);
	section_empty(&file->dropped);
	free(file);
}

const struct profile_section *profile_file_find(const struct profile_file *file, enum profile_section_kind kind,
	const char *name)
{
	char *id = section_id(kind, name, strlen(name));
	struct table_link *link = table_find(&file->sections, id);

	free(id);
	return link != NULL ? container_of(link, struct profile_section, link) : NULL;
}

const char *profile_section_get(const struct profile_section *section, const char *key)
{
	size_t i;

	if (section == NULL)
		return NULL;
	i = key_find(section, key);
	return i < section->count ? section->keys[i].value : NULL;
}

const char *profile_section_part(const struct profile_section *section, const char *key, const char *part)
{
	char *name = xasprintf("%s %s", key, part);
	const char *value = profile_section_get(section, name);

	free(name);
	return value;
}
