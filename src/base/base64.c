/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - see base64.h. */
#include "base/base64.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* What may follow the last digit. */
static int is_end(const char *text, size_t bytes, size_t digits)
{
	size_t padding = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '=')
			padding++;
		else if (text[i] != '\r' && text[i] != '\n')
			return 0;
	}
	return digits % 4 != 1 && (padding == 0 || (padding <= 2 && (digits + padding) % 4 == 0));
}

char *base64_decode(const char *text, size_t text_bytes, size_t *size)
{
	char *plain = xcalloc(1, text_bytes / 4 * 3 + 4);
	uint32_t bits = 0;
	size_t digits = 0, i;

	*size = 0;
	for (i = 0; i < text_bytes && text[i] != '='; i++) {
		int value = value_of(text[i]);

		if (value < 0 && (text[i] == '\r' || text[i] == '\n'))
			continue;
		if (value < 0)
			break;
		bits = bits << 6 | (uint32_t)value;
		if (++digits % 4 != 1)
			plain[(*size)++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	if (!is_end(text + i, text_bytes - i, digits)) {
		free(plain);
		return NULL;
	}
	plain[*size] = '\0';
	return plain;
}
