/* SPDX-License-Identifier: Apache-2.0 */
/* log_line.c - see log_line.h. */
#include "ctl/log_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/mem.h"

/* Behind the quote that ends a quoted value, or NULL. */
static const char *end_of_quoted(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		if (*at == '\\')
			at++;
		else if (*at == '"')
			return at + 1;
	}
	return NULL;
}

/* One key=value from *at on; false when there is none.  A quoted value has JSON's escapes, see log.c. */
static bool take_word(const char **at, const char *end, json_t *doc)
{
	const char *equals = memchr(*at, '=', (size_t)(end - *at));
	const char *value = equals != NULL ? equals + 1 : NULL, *behind = NULL;
	char *key;
	json_t *text;
	bool ok;

	if (equals == NULL || equals == *at || memchr(*at, ' ', (size_t)(equals - *at)) != NULL)
		return false;
	if (value < end && *value == '"') {
		behind = end_of_quoted(value, end);
		text = behind != NULL ? json_loadb(value, (size_t)(behind - value), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
	} else {
		behind = memchr(value, ' ', (size_t)(end - value));
		behind = behind != NULL ? behind : end;
		text = json_stringn(value, (size_t)(behind - value));
	}
	if (text == NULL)
		return false;
	key = xstrndup(*at, (size_t)(equals - *at));
	ok = json_object_set_new(doc, key, text) == 0;
	free(key);
	*at = behind < end && *behind == ' ' ? behind + 1 : behind;
	return ok;
}

static json_t *parse_logfmt(const char *line, size_t size)
{
	json_t *doc = json_object();
	const char *at = line, *end = line + size;

	while (at < end) {
		if (!take_word(&at, end, doc)) {
			json_decref(doc);
			return NULL;
		}
	}
	return doc;
}

json_t *log_line_record(const char *line, size_t size)
{
	json_t *doc = size > 0 && line[0] == '{' ? json_loadb(line, size, 0, NULL) : parse_logfmt(line, size);
	char *text;

	if (json_is_object(doc) && json_object_get(doc, "msg") != NULL)
		return doc;
	json_decref(doc);
	text = json_at_clean(line, size);
	doc = json_pack("{s:o}", "msg", json_at_text(text));
	free(text);
	return doc;
}
