/* SPDX-License-Identifier: Apache-2.0 */
/* env_file.c - see env_file.h. */
#include "check/env_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct scanner {
	const char *at;
	const char *line_begin;
	unsigned line;
	struct pairs *pairs;
	struct complaints *complaints;
};

static struct place place_of(const struct scanner *scanner)
{
	return (struct place){ scanner->line, (unsigned)(scanner->at - scanner->line_begin) + 1 };
}

static void skip_blanks(struct scanner *scanner)
{
	scanner->at += strspn(scanner->at, " \t\r");
}

static void skip_line(struct scanner *scanner)
{
	scanner->at += strcspn(scanner->at, "\n");
	if (*scanner->at == '\n')
		scanner->at++;
	scanner->line_begin = scanner->at;
	scanner->line++;
}

static size_t name_len(const char *text)
{
	if (*text >= '0' && *text <= '9')
		return 0;
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

static char escaped(char c)
{
	switch (c) {
	case 'n': return '\n';
	case 't': return '\t';
	case 'r': return '\r';
	default: return c;
	}
}

/* Reads from the opening quote to behind the closing one; false when there is none. */
static bool read_quoted(struct scanner *scanner, struct buf *value)
{
	char quote = *scanner->at++;

	while (*scanner->at != '\0' && *scanner->at != quote) {
		if (quote == '"' && *scanner->at == '\\' && scanner->at[1] != '\0' &&
		    strchr("ntr\"\\$", scanner->at[1]) != NULL)
			buf_add_char(value, escaped(*++scanner->at));
		else
			buf_add_char(value, *scanner->at);
		if (*scanner->at == '\n') {
			scanner->line++;
			scanner->line_begin = scanner->at + 1;
		}
		scanner->at++;
	}
	return *scanner->at++ == quote;
}

static void read_bare(struct scanner *scanner, struct buf *value)
{
	const char *begin = scanner->at, *end;

	scanner->at += strcspn(begin, "\n");
	for (end = begin; end < scanner->at; end++) {
		if (*end == '#' && (end == begin || end[-1] == ' ' || end[-1] == '\t'))
			break;
	}
	while (end > begin && strchr(" \t\r", end[-1]) != NULL)
		end--;
	buf_add(value, begin, (size_t)(end - begin));
}

/* What may follow a closing quote. */
static bool at_end_of_line(struct scanner *scanner)
{
	skip_blanks(scanner);
	return *scanner->at == '\0' || *scanner->at == '\n' || *scanner->at == '#';
}

static bool read_value(struct scanner *scanner, const char *name, struct buf *value)
{
	struct place place = place_of(scanner);

	if (*scanner->at != '"' && *scanner->at != '\'') {
		read_bare(scanner, value);
		return true;
	}
	if (!read_quoted(scanner, value)) {
		scanner->at--;
		complain(scanner->complaints, place, name, "expected a closing quote, found the end of the file");
		return false;
	}
	if (at_end_of_line(scanner))
		return true;
	complain(scanner->complaints, place_of(scanner), name, "expected the end of the line, found more text");
	return false;
}

/* "[export ]NAME=VALUE"; stays on the line it failed in. */
static bool read_line(struct scanner *scanner)
{
	size_t len;
	char *name;
	struct buf value;
	bool ok;

	if (strncmp(scanner->at, "export ", 7) == 0) {
		scanner->at += 7;
		skip_blanks(scanner);
	}
	len = name_len(scanner->at);
	if (len == 0 || len > 128 || scanner->at[len] != '=' || scanner->pairs->count == LIMIT_ENV_FILE_NAMES) {
		complain(scanner->complaints, place_of(scanner), "", scanner->pairs->count == LIMIT_ENV_FILE_NAMES ?
			"expected at most 1024 names, found more" : "expected NAME=VALUE, found something else");
		return false;
	}
	name = xstrndup(scanner->at, len);
	scanner->at += len + 1;
	scanner->at += strspn(scanner->at, " \t");
	buf_init(&value, LIMIT_ENV_FILE_BYTES);
	ok = read_value(scanner, name, &value);
	if (ok)
		pairs_set(scanner->pairs, name, buf_text(&value));
	if (value.bytes != NULL)
		explicit_bzero(value.bytes, value.size);
	buf_finish(&value);
	free(name);
	return ok;
}

bool env_file_parse(const char *text, struct pairs *pairs, struct complaints *complaints)
{
	struct scanner scanner = {
		.at = text, .line_begin = text, .line = 1, .pairs = pairs, .complaints = complaints,
	};
	bool ok = true;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		scanner.at += 3;
	while (*scanner.at != '\0') {
		skip_blanks(&scanner);
		if (*scanner.at != '\0' && *scanner.at != '\n' && *scanner.at != '#' && !read_line(&scanner))
			ok = false;
		skip_line(&scanner);
	}
	return ok;
}
