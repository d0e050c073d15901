/* SPDX-License-Identifier: Apache-2.0 */
/* A line of gantryd's log as a document, whatever it looks like. */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "ctl/log_line.h"

static const struct { const char *name, *line, *want; } lines[] = {
	{ "logfmt", "time=2026-01-02T03:04:05.678Z level=info from=\"worker 1: job a\" msg=\"it is done\"",
	  "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"from\":\"worker 1: job a\",\"msg\":\"it is done\"}" },
	{ "escapes", "level=warn msg=\"a \\\"b\\\" \\\\ c\\nd \\u001b[0m\"",
	  "{\"level\":\"warn\",\"msg\":\"a \\\"b\\\" \\\\ c\\nd \\u001B[0m\"}" },
	{ "an empty value", "level= msg=\"\"", "{\"level\":\"\",\"msg\":\"\"}" },
	{ "JSON", "{\"time\":\"t\",\"msg\":\"x\"}", "{\"time\":\"t\",\"msg\":\"x\"}" },
	{ "JSON of somebody else", "{\"text\":1}", "{\"msg\":\"{\\\"text\\\":1}\"}" },
	{ "broken JSON", "{\"msg\":", "{\"msg\":\"{\\\"msg\\\":\"}" },
	{ "words", "==1==ERROR: it is broken", "{\"msg\":\"==1==ERROR: it is broken\"}" },
	{ "no msg", "level=info", "{\"msg\":\"level=info\"}" },
	{ "a quote without end", "msg=\"abc", "{\"msg\":\"msg=\\\"abc\"}" },
	{ "a backslash at the end", "msg=\"abc\\", "{\"msg\":\"msg=\\\"abc\\\\\"}" },
	{ "nothing", "", "{\"msg\":\"\"}" },
	{ "no UTF-8", "msg=\"\xff\"", "{\"msg\":\"msg=\\\"\xef\xbf\xbd\\\"\"}" },
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		/* A copy of just this size: reading past the end is seen. */
		char *copy = malloc(strlen(lines[i].line) + 1);
		json_t *doc;
		char *text;

		memcpy(copy, lines[i].line, strlen(lines[i].line) + 1);
		doc = log_line_record(copy, strlen(copy));
		text = json_at_dump(doc);
		if (strcmp(text, lines[i].want) != 0)
			fail_msg("%s: %s", lines[i].name, text);
		json_decref(doc);
		free(text);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
