/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.c - see scalar.h. */
#include "check/scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "check/found.h"

char *path_from(const char *directory, const char *path)
{
	return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", directory, path);
}

/* A newline at the end is the editor's, not the secret's. */
static void cut_newline(char *text)
{
	size_t len = strlen(text);

	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len > 0 && text[len - 1] == '\r')
		text[len - 1] = '\0';
}

static char *read_secret(const struct conf_filler *filler, const struct yaml_node *node, const char *path)
{
	struct error err;
	char *file = path_from(filler->directory, node->value);
	size_t size;
	char *text = descriptor_read_file(file, LIMIT_SECRET_FILE_BYTES, &size, &err);

	if (text == NULL) {
		complain(filler->complaints, node->place, path, "expected a file of at most 64 KiB that can be read, "
			"found %s", err.text);
	} else if (strlen(text) != size || size == 0) {
		complain(filler->complaints, node->place, path, "expected a file with a text, found %s%s", file,
			size == 0 ? " empty" : " with a NUL in it");
		explicit_bzero(text, size);
		free(text);
		text = NULL;
	} else {
		cut_newline(text);
	}
	free(file);
	return text;
}

static char *with_variables(const struct conf_filler *filler, const struct yaml_node *node, const char *path)
{
	struct buf text;
	struct error err;
	bool used;

	buf_init(&text, LIMIT_CONF_TEXT_BYTES);
	if (!interpolate(node->value, filler->variables, &text, &used, &err)) {
		complain(filler->complaints, node->place, path, "%s", err.text);
		buf_finish(&text);
		return NULL;
	}
	if (used && text.size == 0) {
		buf_finish(&text);
		return NULL;
	}
	return buf_take(&text);
}

/* What a file that has no place here is called. */
static const char *misplaced(const struct conf_row *row)
{
	return row->kept ? "!file, which is for secrets that no job's record holds" : "!file, which is for secrets";
}

char *scalar_text(const struct conf_filler *filler, const struct yaml_node *node, const struct conf_row *row,
	const char *expected, const char *path)
{
	bool takes_file = row->secret && !row->kept;
	char *what;

	if (yaml_is_null(node))
		return NULL;
	if (node->kind == YAML_SCALAR && (takes_file || !node->file))
		return node->file ? read_secret(filler, node, path) : with_variables(filler, node, path);
	what = node->kind == YAML_SCALAR ? xstrdup(misplaced(row)) : found(node, row->secret);
	complain(filler->complaints, node->place, path, "expected %s, found %s", expected, what);
	free(what);
	return NULL;
}
