/* SPDX-License-Identifier: Apache-2.0 */
/* quantity.c - see quantity.h.  Units are mandatory for durations, since a bare 30 has been
 * seconds to one reader and milliseconds to the next in every program that allowed it. */
#include "base/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t size;
};

/* Largest first, as the formatter looks for the first that divides. */
static const struct unit durations[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};
static const struct unit sizes[] = {
	{ "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 },
	{ "GB", 1000000000 }, { "MB", 1000000 }, { "kB", 1000 }, { "B", 1 }, { "", 1 }, { NULL, 0 },
};

static bool parse(const char *text, const struct unit *units, int64_t *value)
{
	char *end;
	int64_t number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	if (number == 0 && *end == '\0') {
		*value = 0;
		return true;
	}
	for (; units->name != NULL; units++) {
		if (strcmp(end, units->name) == 0)
			return !__builtin_mul_overflow(number, units->size, value);
	}
	return false;
}

static void format(int64_t value, const struct unit *units, char *text)
{
	while (units[1].name != NULL && (value % units->size != 0 || value == 0))
		units++;
	snprintf(text, QUANTITY_TEXT_BYTES, "%" PRId64 "%s", value / units->size, units->name);
}

bool quantity_parse_ms(const char *text, int64_t *ms)
{
	return parse(text, durations, ms);
}

bool quantity_parse_bytes(const char *text, int64_t *bytes)
{
	return parse(text, sizes, bytes);
}

void quantity_format_ms(int64_t ms, char text[QUANTITY_TEXT_BYTES])
{
	format(ms, durations, text);
}

void quantity_format_bytes(int64_t bytes, char text[QUANTITY_TEXT_BYTES])
{
	format(bytes, sizes, text);
}
