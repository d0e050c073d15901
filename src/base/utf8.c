/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.c - see utf8.h. */
#include "base/utf8.h"

size_t utf8_length(const char *text, size_t left)
{
	/* RFC 3629, section 4: the first byte says how many there are, and what the second may be. */
	static const struct { unsigned char first, last, low, high, length; } forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *at = (const unsigned char *)text;

	if (left > 0 && at[0] < 0x80)
		return 1;
	for (size_t i = 0; left > 0 && i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (at[0] < forms[i].first || at[0] > forms[i].last)
			continue;
		if (left < forms[i].length || at[1] < forms[i].low || at[1] > forms[i].high)
			return 0;
		for (size_t n = 2; n < forms[i].length; n++) {
			if ((at[n] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].length;
	}
	return 0;
}

bool utf8_is_valid(const char *text, size_t size)
{
	size_t length;

	for (size_t at = 0; at < size; at += length) {
		length = (unsigned char)text[at] < 0x80 ? 1 : utf8_length(text + at, size - at);
		if (length == 0)
			return false;
	}
	return true;
}
