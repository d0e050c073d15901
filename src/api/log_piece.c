/* SPDX-License-Identifier: Apache-2.0 */
/* log_piece.c - see log_piece.h. */
#include "api/log_piece.h"

#include <string.h>

enum { CHARACTER_BYTES_MAX = 4 };

/* Of the character that begins with lead; 0: none does. */
static size_t character_bytes(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if ((lead & 0xf0) == 0xe0)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

size_t log_piece_characters(const char *bytes, size_t size)
{
	for (size_t back = 1; back < CHARACTER_BYTES_MAX && back <= size; back++) {
		unsigned char byte = (unsigned char)bytes[size - back];

		if ((byte & 0xc0) != 0x80)
			return character_bytes(byte) > back ? size - back : size;
	}
	return size;
}

size_t log_piece_lines(const char *bytes, size_t size, size_t room, bool complete)
{
	const char *end;

	if (complete && size < room)
		return size;
	end = memrchr(bytes, '\n', size);
	if (end != NULL)
		return (size_t)(end - bytes) + 1;
	return size < room ? 0 : log_piece_characters(bytes, size);
}
