/* SPDX-License-Identifier: Apache-2.0 */
/* interpolate.c - see interpolate.h. */
#include "check/interpolate.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_VARIABLE_NAME_BYTES = 128 };

const char *variables_find(const struct variables *variables, const char *name)
{
	const char *value = getenv(name);

	if (value != NULL || variables->file == NULL)
		return value;
	return pairs_find(variables->file, name);
}

static bool fail_unset(const struct variables *variables, const char *name, struct error *err)
{
	if (variables->missing_file != NULL)
		error_set(err, ERROR_INVALID, "expected %s in the environment, found it unset, and no env_file \"%s\"",
			name, variables->missing_file);
	else
		error_set(err, ERROR_INVALID, "expected %s in the environment%s, found it unset", name,
			variables->file != NULL ? " or env_file" : "");
	return false;
}

/* Expands what stands between "${" and "}". */
static bool expand(const char *inside, size_t len, const struct variables *variables, struct buf *out,
	struct error *err)
{
	char name[LIMIT_VARIABLE_NAME_BYTES];
	size_t name_len = strspn(inside, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	bool has_default = name_len + 2 <= len && memcmp(inside + name_len, ":-", 2) == 0;
	const char *value;

	if (name_len == 0 || name_len >= sizeof(name) || (*inside >= '0' && *inside <= '9') ||
	    (name_len != len && !has_default)) {
		/* What stands there is not repeated: it may be the middle of a secret. */
		error_set(err, ERROR_INVALID, "expected ${NAME} or ${NAME:-default}, found neither after \"${\"");
		return false;
	}
	memcpy(name, inside, name_len);
	name[name_len] = '\0';
	value = variables_find(variables, name);
	if (value == NULL && !has_default)
		return fail_unset(variables, name, err);
	if (has_default && (value == NULL || *value == '\0'))
		buf_add(out, inside + name_len + 2, len - name_len - 2);
	else
		buf_add_text(out, value);
	return true;
}

bool interpolate(const char *text, const struct variables *variables, struct buf *out, bool *used, struct error *err)
{
	*used = false;
	while (*text != '\0') {
		const char *end;

		if (*text != '$' || (text[1] != '$' && text[1] != '{')) {
			buf_add_char(out, *text++);
			continue;
		}
		if (text[1] == '$') {
			buf_add_char(out, '$');
			text += 2;
			continue;
		}
		*used = true;
		end = strchr(text, '}');
		if (end == NULL) {
			error_set(err, ERROR_INVALID, "expected \"}\" after \"${\", found the end of the value");
			return false;
		}
		if (!expand(text + 2, (size_t)(end - text) - 2, variables, out, err))
			return false;
		text = end + 1;
	}
	if (out->overflowed)
		error_set(err, ERROR_INVALID, "expected at most %zu bytes, found more", out->limit);
	return !out->overflowed;
}
