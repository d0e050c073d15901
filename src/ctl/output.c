/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - what gantryctl's commands print: documents for programs, members for people. */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

enum { MEMBER_COLUMNS = 20 };

void ctl_print_json(const json_t *doc)
{
	json_dumpf(doc, stdout, JSON_INDENT(2));
	putchar('\n');
}

void ctl_print_json_line(const json_t *doc)
{
	json_dumpf(doc, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
}

/* Control characters of ASCII, and those that UTF-8 writes as C2 80 to C2 9F. */
void ctl_print_text(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
		if (*at == '\n')
			printf("\\n");
		else if (*at == '\t')
			printf("\\t");
		else if (*at < 0x20 || *at == 0x7f)
			printf("\\x%02x", *at);
		else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
			printf("\\x%02x", *++at);
		else
			putchar(*at);
	}
}

void ctl_print_members(const json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		if (json_is_object(value)) {
			ctl_print_members(value, key);
			continue;
		}
		if (json_is_null(value) || json_is_array(value))
			continue;
		printf("%s%s%-*s ", prefix, prefix[0] != '\0' ? " " : "", MEMBER_COLUMNS - (int)strlen(prefix), key);
		if (json_is_string(value)) {
			ctl_print_text(json_string_value(value));
			putchar('\n');
		} else if (json_is_integer(value))
			printf("%lld\n", (long long)json_integer_value(value));
		else
			puts(json_is_true(value) ? "yes" : "no");
	}
}

void ctl_print_age(int64_t ms, char text[CTL_AGE_BYTES])
{
	long long s = ms > 0 ? ms / 1000 : 0;

	if (s < 60)
		snprintf(text, CTL_AGE_BYTES, "%llds", s);
	else if (s < 3600)
		snprintf(text, CTL_AGE_BYTES, "%lldm %llds", s / 60, s % 60);
	else
		snprintf(text, CTL_AGE_BYTES, "%lldh %lldm", s / 3600, s / 60 % 60);
}
