/* SPDX-License-Identifier: Apache-2.0 */
/* found.c - see found.h. */
#include "check/found.h"

#include <string.h>

#include "base/mem.h"

/* Bytes to show, not ending within a UTF-8 character. */
static int shown_len(const char *value)
{
	size_t len = strlen(value);

	if (len <= LIMIT_FOUND_BYTES)
		return (int)len;
	len = LIMIT_FOUND_BYTES;
	while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
		len--;
	return (int)len;
}

char *found(const struct yaml_node *node, bool secret)
{
	int len;

	if (node == NULL || yaml_is_null(node))
		return xstrdup("nothing");
	if (node->kind != YAML_SCALAR)
		return xstrdup(node->kind == YAML_LIST ? "a list" : "a section");
	if (secret || node->file)
		return xstrdup("a value that is not shown");
	len = shown_len(node->value);
	return xasprintf("%s\"%.*s%s\"", strstr(node->value, "${") != NULL ? "the value of " : "", len, node->value,
		node->value[len] != '\0' ? "..." : "");
}
