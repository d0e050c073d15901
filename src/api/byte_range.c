/* SPDX-License-Identifier: Apache-2.0 */
/* byte_range.c - see byte_range.h. */
#include "api/byte_range.h"

#include <stdlib.h>
#include <string.h>

/* Digits at *text, which ends up behind them; what is too large for us is the largest.  -1: there are none. */
static int64_t read_number(const char **text)
{
	char *end;
	long long number;

	if (**text < '0' || **text > '9')
		return -1;
	number = strtoll(*text, &end, 10);
	*text = end;
	return number;
}

enum byte_range_verdict byte_range_parse(const char *header, int64_t size, int64_t *from, int64_t *to)
{
	static const char unit[] = "bytes=";
	const char *at = header;
	int64_t first, last;

	if (at == NULL || strncmp(at, unit, strlen(unit)) != 0)
		return BYTE_RANGE_NONE;
	at += strlen(unit);
	first = read_number(&at);
	if (*at++ != '-')
		return BYTE_RANGE_NONE;
	last = read_number(&at);
	if (*at != '\0' || (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
		return BYTE_RANGE_NONE;
	if (first < 0) {
		/* "-N": the last N. */
		first = last < size ? size - last : 0;
		last = -1;
	}
	if (first >= size)
		return BYTE_RANGE_UNSATISFIABLE;
	*from = first;
	*to = last >= 0 && last < size - 1 ? last + 1 : size;
	return BYTE_RANGE_PART;
}
