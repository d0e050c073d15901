/* SPDX-License-Identifier: Apache-2.0 */
/* manual.c - see manual.h.  A key is printed with its whole path, so that what an error message
 * names can be searched for. */
#include "check/manual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf_schema.h"
#include "conf/conf_value.h"

/* Text as mdoc wants it: backslashes escaped, a sentence a line, no line that begins with a dot. */
static void print_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == ' ' && text[-1] == '.' && text[1] >= 'A' && text[1] <= 'Z')
			putchar('\n');
		else
			putchar(*text);
	}
	putchar('\n');
}

static const char *kind_name(const struct conf_row *row)
{
	switch (row->kind) {
	case CONF_UINT: return "number";
	case CONF_DURATION: return "duration";
	case CONF_SIZE: return "size";
	case CONF_BOOL: return "true or false";
	case CONF_ENUM: case CONF_WORD: return "word";
	case CONF_TEXT: return "text";
	case CONF_URL: return "URL";
	case CONF_PATH: return "path";
	case CONF_TEMPLATE: return "template";
	case CONF_TEXTS: return "list of texts";
	case CONF_TEMPLATES: return "list of templates";
	case CONF_TEMPLATE_PAIRS: return "names with templates";
	case CONF_SECTION: case CONF_MAP: case CONF_LIST: case CONF_OPTION: case CONF_ABSENT: break;
	}
	return "section";
}

/* An argument of a macro in quotes, as it may hold blanks, dots and quotes. */
static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputs("\"\"", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_bounds(const struct conf_row *row)
{
	struct buf text;

	switch (row->kind) {
	case CONF_UINT: case CONF_DURATION: case CONF_SIZE: case CONF_ENUM: case CONF_WORD: case CONF_URL:
		break;
	case CONF_TEXTS:
		if (row->words != NULL)
			break;
		/* fallthrough */
	case CONF_TEMPLATES: case CONF_TEMPLATE_PAIRS:
		printf("At most %d.\n", (int)row->max);
		return;
	default:
		return;
	}
	buf_init(&text, 1024);
	conf_value_expected(row, &text);
	printf("Takes %s.\n", buf_text(&text));
	buf_finish(&text);
}

static const char *secrecy(const struct conf_row *row)
{
	if (row->kind == CONF_URL)
		return "Its password is never shown; it may come from a file";
	return "Never shown; may come from a file";
}

static void print_item(const struct conf_row *row, const char *path)
{
	printf(".It Cm %s : Ar ", path);
	print_quoted(kind_name(row));
	if (row->required)
		fputs(" Pq required", stdout);
	if (row->def != NULL) {
		fputs(" Pq default ", stdout);
		print_quoted(row->def);
	}
	putchar('\n');
}

static void print_of(const struct conf_row *row)
{
	if (row->of != NULL)
		printf("Only with\n.Cm type : %s .\n", row->of);
}

/* One more row of a key, for another type, goes on with its item. */
static void print_key(const struct conf_row *row, const char *path, bool goes_on)
{
	if (goes_on)
		puts(".Pp");
	else
		print_item(row, path);
	print_text(row->text);
	print_bounds(row);
	if (row->kept)
		puts("Values are never shown.");
	else if (row->secret)
		printf("%s with\n.Li !file .\n", secrecy(row));
	print_of(row);
	if (row->applies == CONF_ON_RESTART)
		puts("Takes effect at a start only: a reload that changes it is refused.");
}

/* What is said of all keys in it; they follow. */
static void print_section(const struct conf_row *row, const char *path)
{
	printf(".It Cm %s :\n", path);
	print_text(row->text);
	print_of(row);
}

/* A section at the top has a heading of its own instead. */
static void print_rows(const struct conf_row *rows, const char *prefix)
{
	for (const struct conf_row *row = rows; row->key != NULL; row++) {
		char *path = xasprintf("%s%s", prefix, row->key);
		char *inner = xasprintf("%s.%s", path, row->kind == CONF_MAP ? "NAME." : row->kind == CONF_LIST ? "N." : "");

		if (row->rows != NULL && prefix[0] != '\0')
			print_section(row, path);
		if (row->rows != NULL)
			print_rows(row->rows, inner);
		else if (!row->internal && row->kind != CONF_ABSENT)
			print_key(row, path, row > rows && strcmp(row[-1].key, row->key) == 0);
		free(inner);
		free(path);
	}
}

/* A heading for each section at the top; the keys beside them have one of their own. */
void manual_print(void)
{
	for (const struct conf_row *row = conf_schema; row->key != NULL; row++) {
		const struct conf_row alone[] = { *row, { .key = NULL } };

		if (row->internal || row->kind == CONF_ABSENT)
			continue;
		printf(".Ss %s\n", row->key);
		if (row->rows != NULL)
			print_text(row->text);
		if (row->rows != NULL && row->required)
			puts("At least one.");
		fputs(".Bl -tag -width Ds\n", stdout);
		print_rows(alone, "");
		puts(".El");
	}
}
