/* SPDX-License-Identifier: Apache-2.0 */
/* json_at.c - see json_at.h. */
#include "base/json_at.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_read.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "base/utf8.h"

static json_t *parse(const char *text, size_t size, const char *const *wanted, size_t flags, struct error *err)
{
	json_t *root = json_read(text, size, wanted);
	json_error_t why;

	if (root == NULL)
		root = json_loadb(text, size, JSON_REJECT_DUPLICATES | flags, &why);
	if (root == NULL)
		error_set(err, ERROR_INVALID, "not JSON: %s (line %d, column %d)", why.text, why.line, why.column);
	return root;
}

json_t *json_at_parse(const char *text, size_t size, struct error *err)
{
	return parse(text, size, NULL, 0, err);
}

json_t *json_at_parse_wanted(const char *text, size_t size, const char *const *wanted, struct error *err)
{
	return parse(text, size, wanted, 0, err);
}

json_t *json_at_parse_binary(const char *text, size_t size, struct error *err)
{
	return parse(text, size, NULL, JSON_ALLOW_NUL, err);
}

/* Takes one step along the path: "name" or "[3]". */
static const char *step(const json_t **at, const char *path)
{
	size_t len;

	if (*path == '[') {
		char *end;
		unsigned long index = strtoul(path + 1, &end, 10);

		*at = json_array_get(*at, index);
		path = *end == ']' ? end + 1 : end;
	} else {
		len = strcspn(path, ".[");
		*at = json_object_getn(*at, path, len);
		path += len;
	}
	return *path == '.' ? path + 1 : path;
}

json_t *json_at(const json_t *root, const char *path)
{
	while (root != NULL && *path != '\0')
		path = step(&root, path);
	return (json_t *)root;
}

const char *json_at_string(const json_t *root, const char *path)
{
	return json_string_value(json_at(root, path));
}

bool json_at_number(const json_t *root, const char *path, double *value)
{
	const json_t *at = json_at(root, path);

	if (!json_is_number(at))
		return false;
	*value = json_number_value(at);
	return true;
}

bool json_at_integer(const json_t *root, const char *path, int64_t *value)
{
	const json_t *at = json_at(root, path);
	double real;

	if (json_is_integer(at)) {
		*value = json_integer_value(at);
		return true;
	}
	if (!json_is_real(at))
		return false;
	real = json_real_value(at);
	if (floor(real) != real || fabs(real) > 9e15)
		return false;
	*value = (int64_t)real;
	return true;
}

json_t *json_at_array(const json_t *root, const char *path)
{
	json_t *at = json_at(root, path);

	return json_is_array(at) ? at : NULL;
}

json_t *json_at_object(const json_t *root, const char *path)
{
	json_t *at = json_at(root, path);

	return json_is_object(at) ? at : NULL;
}

char *json_at_clean(const char *bytes, size_t size)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char *text = xcalloc(size + 1, sizeof(replacement) - 1);
	char *to = text;

	while (size > 0) {
		size_t good = *bytes != '\0' ? utf8_length(bytes, size) : 0;
		size_t used = good > 0 ? good : 1;
		size_t made = good > 0 ? good : sizeof(replacement) - 1;

		memcpy(to, good > 0 ? bytes : replacement, made);
		to += made;
		bytes += used;
		size -= used;
	}
	*to = '\0';
	return text;
}

json_t *json_at_text(const char *text)
{
	json_t *value;
	char *clean;

	if (text == NULL)
		return json_null();
	value = json_string(text);
	if (value != NULL)
		return value;
	clean = json_at_clean(text, strlen(text));
	value = json_string(clean);
	free(clean);
	return value;
}

char *json_at_dump(const json_t *root)
{
	struct buf text;
	size_t size;

	buf_init(&text, SIZE_MAX - 1);
	json_write(&text, root);
	size = text.size;
	return xreallocarray(buf_take(&text), size + 1, 1);
}
