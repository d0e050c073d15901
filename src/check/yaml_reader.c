/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_reader.c - see yaml_reader.h.  libyaml gives events; the recursion over them is bounded by
 * LIMIT_YAML_DEPTH, and its memory by the size of the file. */
#include "check/yaml_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/mem.h"

struct reader {
	yaml_parser_t parser;
	struct complaints *complaints;
	const char *text;
	size_t size;
	size_t nodes;
	unsigned depth;
	struct buf path;                /* of the node at hand */
	bool failed;                    /* nothing more can be read */
};

void yaml_destroy(struct yaml_node *node)
{
	if (node == NULL)
		return;
	for (size_t i = 0; i < node->count; i++) {
		free(node->entries[i].key);
		yaml_destroy(node->entries[i].node);
	}
	free(node->entries);
	xfree_secret(node->value);
	free(node);
}

static struct place place_of(yaml_mark_t mark)
{
	return (struct place){ .line = (unsigned)mark.line + 1, .column = (unsigned)mark.column + 1 };
}

static void fail(struct reader *reader, yaml_mark_t mark, const char *expected, const char *found)
{
	if (!reader->failed)
		complain(reader->complaints, place_of(mark), buf_text(&reader->path), "expected %s, found %s",
			expected, found);
	reader->failed = true;
}

/* -- what libyaml cannot read ----------------------------------------------------------------- */

/* The text of the line (from 0) that a mark is in, cut to what fits. */
static const char *line_at(const struct reader *reader, size_t line, size_t *len)
{
	const char *begin = reader->text, *end = reader->text + reader->size, *newline;

	while (line-- > 0) {
		newline = memchr(begin, '\n', (size_t)(end - begin));
		if (newline == NULL)
			break;
		begin = newline + 1;
	}
	newline = memchr(begin, '\n', (size_t)(end - begin));
	*len = (size_t)((newline != NULL ? newline : end) - begin);
	return begin;
}

/* libyaml reads ahead, and of bytes that it cannot read it knows only the offset. */
static yaml_mark_t mark_of(const struct reader *reader, size_t offset)
{
	yaml_mark_t mark = { .index = offset };

	for (size_t i = 0; i < offset && i < reader->size; i++) {
		mark.column++;
		if (reader->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

/* The column (from 0) of a "${" outside of quotes before limit, or -1. */
static int bare_variable(const char *line, size_t len)
{
	char quote = '\0';

	for (size_t i = 0; i + 1 < len; i++) {
		if (quote != '\0')
			quote = line[i] == quote ? '\0' : quote;
		else if (line[i] == '"' || line[i] == '\'')
			quote = line[i];
		else if (line[i] == '#' && i > 0 && line[i - 1] == ' ')
			return -1;
		else if (line[i] == '$' && line[i + 1] == '{')
			return (int)i;
	}
	return -1;
}

/* `{ url: ${URL} }` ends in "did not find expected ',' or '}'", which helps nobody. */
static bool fail_bare_variable(struct reader *reader, yaml_mark_t mark)
{
	size_t len, name;
	const char *line = line_at(reader, mark.line, &len);
	int column = bare_variable(line, len);
	char expected[160];

	if (column < 0 || (memchr(line, '{', (size_t)column) == NULL && memchr(line, '[', (size_t)column) == NULL))
		return false;
	mark.column = (size_t)column;
	for (name = (size_t)column; name < len && line[name] != '}'; name++)
		;
	name = name < len ? name + 1 - (size_t)column : len - (size_t)column;
	if (name > 100)
		return false;
	snprintf(expected, sizeof(expected), "\"%.*s\" in quotes, as it stands inside { } or [ ]", (int)name,
		line + column);
	fail(reader, mark, expected, "it without");
	return true;
}

/* libyaml's words as "expected X, found Y". */
static void fail_problem(struct reader *reader, yaml_mark_t mark, const char *problem)
{
	static const char *const before_expected[] = { "did not find expected ", "could not find expected ", NULL };
	char found[160];

	for (size_t i = 0; before_expected[i] != NULL; i++) {
		size_t len = strlen(before_expected[i]);

		if (strncmp(problem, before_expected[i], len) == 0) {
			fail(reader, mark, problem + len, "something else");
			return;
		}
	}
	if (strncmp(problem, "found ", 6) == 0)
		snprintf(found, sizeof(found), "%s", problem + 6);
	else
		snprintf(found, sizeof(found), "none (%s)", problem);
	fail(reader, mark, "YAML", found);
}

static void fail_syntax(struct reader *reader)
{
	yaml_mark_t mark = reader->parser.problem_mark;
	const char *problem = reader->parser.problem != NULL ? reader->parser.problem : "something else";
	size_t len;
	const char *line;

	if (reader->parser.error == YAML_READER_ERROR) {
		fail(reader, mark_of(reader, reader->parser.problem_offset), "YAML in UTF-8", "other bytes");
		return;
	}
	if (fail_bare_variable(reader, mark))
		return;
	line = line_at(reader, mark.line, &len);
	if (strcmp(problem, "found character that cannot start any token") == 0 && mark.column < len &&
	    line[mark.column] == '\t')
		fail(reader, mark, "YAML indented by blanks", "a tab");
	else
		fail_problem(reader, mark, problem);
}

/* -- nodes ------------------------------------------------------------------------------------ */

static bool next_event(struct reader *reader, yaml_event_t *event)
{
	if (reader->failed)
		return false;
	if (yaml_parser_parse(&reader->parser, event))
		return true;
	fail_syntax(reader);
	return false;
}

static void check_anchor(struct reader *reader, const yaml_event_t *event, const yaml_char_t *anchor)
{
	if (anchor != NULL)
		complain(reader->complaints, place_of(event->start_mark), buf_text(&reader->path),
			"expected no anchor, found \"&%.64s\"", (const char *)anchor);
}

static void check_tag(struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag)
{
	static const char standard[] = "tag:yaml.org,2002:";
	const char *name = (const char *)tag;

	if (name == NULL || strcmp(name, "!") == 0)
		return;
	if (strncmp(name, standard, sizeof(standard) - 1) == 0)
		complain(reader->complaints, place_of(event->start_mark), buf_text(&reader->path),
			"expected no tag but !file, found \"!!%.64s\"", name + sizeof(standard) - 1);
	else
		complain(reader->complaints, place_of(event->start_mark), buf_text(&reader->path),
			"expected no tag but !file, found \"%.64s\"", name);
}

static struct yaml_node *read_node(struct reader *reader, const yaml_event_t *event);

static size_t push(struct reader *reader, const char *component)
{
	size_t before = reader->path.size;

	if (before > 0)
		buf_add_char(&reader->path, '.');
	buf_add_text(&reader->path, component);
	return before;
}

static void pop(struct reader *reader, size_t before)
{
	reader->path.size = before;
	if (reader->path.bytes != NULL)
		reader->path.bytes[before] = '\0';
}

/* Takes key. */
static void add_entry(struct yaml_node *node, char *key, struct place place, struct yaml_node *child)
{
	/* Doubling keeps a long list linear. */
	if ((node->count & (node->count - 1)) == 0)
		node->entries = xreallocarray(node->entries, node->count > 0 ? 2 * node->count : 1,
			sizeof(*node->entries));
	node->entries[node->count++] = (struct yaml_entry){ .key = key, .place = place, .node = child };
}

static struct yaml_node *read_scalar(struct reader *reader, const yaml_event_t *event)
{
	struct yaml_node *node = xnew(struct yaml_node);
	const char *tag = (const char *)event->data.scalar.tag;

	node->kind = YAML_SCALAR;
	node->place = place_of(event->start_mark);
	node->value = xstrndup((const char *)event->data.scalar.value, event->data.scalar.length);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->file = tag != NULL && strcmp(tag, "!file") == 0;
	if (!node->file)
		check_tag(reader, event, event->data.scalar.tag);
	check_anchor(reader, event, event->data.scalar.anchor);
	if (strlen(node->value) != event->data.scalar.length)
		complain(reader->complaints, node->place, buf_text(&reader->path), "expected a text, found a NUL in it");
	return node;
}

static struct yaml_node *read_list(struct reader *reader, const yaml_event_t *start)
{
	struct yaml_node *node = xnew(struct yaml_node);
	yaml_event_t event;

	node->kind = YAML_LIST;
	node->place = place_of(start->start_mark);
	check_tag(reader, start, start->data.sequence_start.tag);
	check_anchor(reader, start, start->data.sequence_start.anchor);
	while (next_event(reader, &event)) {
		bool end = event.type == YAML_SEQUENCE_END_EVENT;

		if (!end) {
			char number[24];
			size_t before;
			struct yaml_node *child;

			snprintf(number, sizeof(number), "%zu", node->count);
			before = push(reader, number);
			child = read_node(reader, &event);
			pop(reader, before);
			if (child != NULL)
				add_entry(node, NULL, child->place, child);
		}
		yaml_event_delete(&event);
		if (end)
			break;
	}
	return node;
}

/* `key: {{ project }}` is a mapping whose key is a mapping. */
static void fail_key(struct reader *reader, const yaml_event_t *event)
{
	size_t len, column = event->start_mark.column;
	const char *line = line_at(reader, event->start_mark.line, &len);

	if (event->type == YAML_MAPPING_START_EVENT && column > 0 && column < len && line[column] == '{' &&
	    line[column - 1] == '{')
		fail(reader, event->start_mark, "\"{{ }}\" in quotes", "it without");
	else
		fail(reader, event->start_mark, "a key", event->type == YAML_ALIAS_EVENT ? "an alias" :
			event->type == YAML_MAPPING_START_EVENT ? "a mapping" : "a list");
}

static void read_entry(struct reader *reader, struct yaml_node *node, const yaml_event_t *key_event)
{
	struct place place = place_of(key_event->start_mark);
	yaml_event_t event;
	struct yaml_node *child;
	const struct yaml_entry *before;
	size_t path;
	char *key;

	key = xstrndup((const char *)key_event->data.scalar.value, key_event->data.scalar.length);
	before = yaml_find(node, key);
	path = push(reader, key);
	if (before != NULL)
		complain(reader->complaints, place, buf_text(&reader->path),
			"expected each key once, found it again after line %u", before->place.line);
	if (key_event->data.scalar.tag != NULL || key_event->data.scalar.anchor != NULL) {
		check_tag(reader, key_event, key_event->data.scalar.tag);
		check_anchor(reader, key_event, key_event->data.scalar.anchor);
	}
	child = NULL;
	if (next_event(reader, &event)) {
		child = read_node(reader, &event);
		yaml_event_delete(&event);
	}
	pop(reader, path);
	if (child != NULL && before == NULL) {
		add_entry(node, key, place, child);
		return;
	}
	free(key);
	yaml_destroy(child);
}

static struct yaml_node *read_mapping(struct reader *reader, const yaml_event_t *start)
{
	struct yaml_node *node = xnew(struct yaml_node);
	yaml_event_t event;

	node->kind = YAML_MAPPING;
	node->place = place_of(start->start_mark);
	check_tag(reader, start, start->data.mapping_start.tag);
	check_anchor(reader, start, start->data.mapping_start.anchor);
	while (next_event(reader, &event)) {
		bool end = event.type == YAML_MAPPING_END_EVENT;

		if (node->count == LIMIT_YAML_KEYS && !end)
			fail(reader, event.start_mark, "at most 1024 keys", "one more");
		else if (event.type == YAML_SCALAR_EVENT)
			read_entry(reader, node, &event);
		else if (!end)
			fail_key(reader, &event);
		yaml_event_delete(&event);
		if (end)
			break;
	}
	return node;
}

static struct yaml_node *read_alias(struct reader *reader, const yaml_event_t *event)
{
	struct yaml_node *node = xnew(struct yaml_node);

	complain(reader->complaints, place_of(event->start_mark), buf_text(&reader->path),
		"expected no alias, found \"*%.64s\"", (const char *)event->data.alias.anchor);
	node->kind = YAML_SCALAR;
	node->place = place_of(event->start_mark);
	node->value = xstrdup("");
	node->plain = true;
	return node;
}

/* The node that begins with event, which stays the caller's; NULL when no more can be read. */
static struct yaml_node *read_node(struct reader *reader, const yaml_event_t *event)
{
	struct yaml_node *node = NULL;
	char text[64];

	if (++reader->nodes > LIMIT_YAML_NODES) {
		snprintf(text, sizeof(text), "at most %d values in a file", LIMIT_YAML_NODES);
		fail(reader, event->start_mark, text, "more");
		return NULL;
	}
	if (reader->depth == LIMIT_YAML_DEPTH) {
		snprintf(text, sizeof(text), "at most %d levels", LIMIT_YAML_DEPTH);
		fail(reader, event->start_mark, text, "one more");
		return NULL;
	}
	reader->depth++;
	switch (event->type) {
	case YAML_SCALAR_EVENT: node = read_scalar(reader, event); break;
	case YAML_SEQUENCE_START_EVENT: node = read_list(reader, event); break;
	case YAML_MAPPING_START_EVENT: node = read_mapping(reader, event); break;
	case YAML_ALIAS_EVENT: node = read_alias(reader, event); break;
	default: fail(reader, event->start_mark, "a value", "the end of it"); break;
	}
	reader->depth--;
	return node;
}

static struct yaml_node *read_stream(struct reader *reader)
{
	struct yaml_node *root = NULL;
	yaml_event_t event;
	bool end = false;

	while (!end && next_event(reader, &event)) {
		end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && root != NULL)
			fail(reader, event.start_mark, "one document", "a second one");
		else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
			 event.type != YAML_DOCUMENT_END_EVENT && !end)
			root = read_node(reader, &event);
		yaml_event_delete(&event);
	}
	return root;
}

struct yaml_node *yaml_read(const char *text, size_t size, struct complaints *complaints)
{
	struct reader reader = { .complaints = complaints, .text = text, .size = size };
	struct yaml_node *root;

	if (size > LIMIT_YAML_BYTES) {
		complain(complaints, (struct place){ 1, 1 }, "", "expected at most %d bytes, found %zu",
			LIMIT_YAML_BYTES, size);
		return NULL;
	}
	if (!yaml_parser_initialize(&reader.parser)) {
		complain(complaints, (struct place){ 1, 1 }, "", "expected memory for a parser, found none");
		return NULL;
	}
	buf_init(&reader.path, 4096);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
	root = read_stream(&reader);
	yaml_parser_delete(&reader.parser);
	buf_finish(&reader.path);
	if (!reader.failed)
		return root;
	yaml_destroy(root);
	return NULL;
}

/* -- looking up ------------------------------------------------------------------------------- */

const struct yaml_entry *yaml_find(const struct yaml_node *node, const char *key)
{
	if (node == NULL || node->kind != YAML_MAPPING)
		return NULL;
	for (size_t i = 0; i < node->count; i++) {
		if (strcmp(node->entries[i].key, key) == 0)
			return &node->entries[i];
	}
	return NULL;
}

static const struct yaml_entry *find_component(const struct yaml_node *node, const char *component)
{
	char *end;
	unsigned long number;

	if (node->kind != YAML_LIST)
		return yaml_find(node, component);
	number = strtoul(component, &end, 10);
	return *end == '\0' && number < node->count ? &node->entries[number] : NULL;
}

/* The deepest entry on the way; NULL when not even the first is there. */
static const struct yaml_entry *walk(const struct yaml_node *root, const char *path, bool *whole)
{
	const struct yaml_entry *entry = NULL;
	char *rest = xstrdup(path), *state = NULL;

	*whole = root != NULL;
	for (char *at = strtok_r(rest, ".", &state); at != NULL && *whole; at = strtok_r(NULL, ".", &state)) {
		const struct yaml_entry *next = find_component(entry != NULL ? entry->node : root, at);

		*whole = next != NULL;
		if (next != NULL)
			entry = next;
	}
	free(rest);
	return entry;
}

const struct yaml_entry *yaml_find_path(const struct yaml_node *root, const char *path)
{
	bool whole;
	const struct yaml_entry *entry = walk(root, path, &whole);

	return whole ? entry : NULL;
}

struct place yaml_place(const struct yaml_node *root, const char *path)
{
	bool whole;
	const struct yaml_entry *entry = walk(root, path, &whole);

	if (entry != NULL)
		return entry->node->place;
	return root != NULL ? root->place : (struct place){ 1, 1 };
}

bool yaml_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->plain && !node->file &&
		(*node->value == '\0' || strcmp(node->value, "~") == 0 || strcmp(node->value, "null") == 0);
}
