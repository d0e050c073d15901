/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/logs.h"

#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/buf.h"
#include "base/json_at.h"

static json_t *parse(const char *text)
{
	struct error err;
	json_t *doc = json_at_parse_binary(text, strlen(text), &err);

	if (doc == NULL)
		fail_msg("%s: %s", err.text, text);
	return doc;
}

#define DEFINITION(config) "{\"taskDefinition\":{\"containerDefinitions\":[{\"name\":\"side\"},{\"name\":\"app\"" config "}]}}"
#define AWSLOGS(options) DEFINITION(",\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{" options "}}")

static void a_task_definition_tells_where_its_output_is(void **state)
{
	static const struct { const char *name, *doc, *group, *prefix, *region, *says; } cases[] = {
		{ "all of it", AWSLOGS("\"awslogs-group\":\"/g\",\"awslogs-region\":\"eu-west-1\",\"awslogs-stream-prefix\":\"p\""),
			"/g", "p", "eu-west-1", NULL },
		{ "no region", AWSLOGS("\"awslogs-group\":\"/g\",\"awslogs-stream-prefix\":\"p\""), "/g", "p", NULL, NULL },
		{ "no prefix", AWSLOGS("\"awslogs-group\":\"/g\""), NULL, NULL, NULL, "awslogs-stream-prefix" },
		{ "no group", AWSLOGS("\"awslogs-stream-prefix\":\"p\""), NULL, NULL, NULL, "awslogs-group" },
		{ "another driver", DEFINITION(",\"logConfiguration\":{\"logDriver\":\"splunk\"}"), NULL, NULL, NULL, "splunk" },
		{ "no logConfiguration", DEFINITION(""), NULL, NULL, NULL, "logConfiguration" },
		{ "no such container", "{\"taskDefinition\":{\"containerDefinitions\":[{\"name\":\"side\"}]}}", NULL, NULL, NULL,
			"no such container" },
		{ "rubbish", "{\"taskDefinition\":[]}", NULL, NULL, NULL, "no such container" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *doc = parse(cases[i].doc);
		struct logs_place place = { 0 };
		struct error err = { 0 };
		char *prefix = NULL;
		bool ok = logs_definition_parse(doc, "app", &place, &prefix, &err);

		if (ok != (cases[i].group != NULL))
			fail_msg("%s: %s", cases[i].name, err.text);
		if (ok) {
			assert_string_equal(place.group, cases[i].group);
			assert_string_equal(prefix, cases[i].prefix);
			assert_string_equal(place.region != NULL ? place.region : "-", cases[i].region != NULL ? cases[i].region : "-");
		} else {
			assert_int_equal(err.kind, ERROR_REFUSED);
			assert_string_equal(err.code, "no_awslogs");
			if (strstr(err.text, cases[i].says) == NULL)
				fail_msg("%s: %s", cases[i].name, err.text);
		}
		free(prefix);
		logs_place_finish(&place);
		json_decref(doc);
	}
}

static void a_stream_is_named_after_its_task(void **state)
{
	static const struct { const char *task, *want; } cases[] = {
		{ "arn:aws:ecs:us-east-1:1:task/prod/abc", "p/app/abc" },
		{ "arn:aws:ecs:us-east-1:1:task/abc", "p/app/abc" },
		{ "abc", "p/app/abc" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *stream = logs_stream_of("p", "app", cases[i].task);

		assert_string_equal(stream, cases[i].want);
		free(stream);
	}
}

static void add_line(void *arg, const char *line, size_t size)
{
	buf_add(arg, line, size);
	buf_add_char(arg, '|');
}

static void a_page_gives_its_lines_and_the_next_token(void **state)
{
	static const struct { const char *name, *doc, *lines, *next; size_t size; } cases[] = {
		{ "two lines", "{\"events\":[{\"message\":\"a\"},{\"message\":\"b\"}],\"nextForwardToken\":\"f/1\"}", "a|b|", "f/1", 4 },
		{ "an empty page", "{\"events\":[],\"nextForwardToken\":\"f/1\"}", "", "f/1", 0 },
		{ "a line with NUL", "{\"events\":[{\"message\":\"a\\u0000b\"}],\"nextForwardToken\":\"f/1\"}", "a\0b|", "f/1", 4 },
		{ "no token", "{\"events\":[]}", "", NULL, 0 },
		{ "wrong types", "{\"events\":[{\"message\":5},7],\"nextForwardToken\":[]}", "", NULL, 0 },
		{ "nothing", "{}", "", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *doc = parse(cases[i].doc);
		const char *next = logs_page_next(doc);
		struct buf lines;

		buf_init(&lines, 100);
		logs_page_each(doc, add_line, &lines);
		if (lines.size != cases[i].size || memcmp(buf_text(&lines), cases[i].lines, lines.size) != 0)
			fail_msg("%s: \"%s\"", cases[i].name, buf_text(&lines));
		assert_string_equal(next != NULL ? next : "-", cases[i].next != NULL ? cases[i].next : "-");
		buf_finish(&lines);
		json_decref(doc);
	}
}

static void requests_ask_from_the_head_or_for_the_tail(void **state)
{
	const struct logs_place place = { .group = "/g", .stream = "p/app/1" };
	json_t *first = logs_page_input(&place, NULL), *next = logs_page_input(&place, "f/1"), *tail = logs_tail_input(&place);

	(void)state;
	assert_string_equal(json_at_string(first, "logGroupName"), "/g");
	assert_string_equal(json_at_string(first, "logStreamName"), "p/app/1");
	assert_true(json_is_true(json_at(first, "startFromHead")));
	assert_null(json_at(first, "nextToken"));
	assert_string_equal(json_at_string(next, "nextToken"), "f/1");
	assert_true(json_is_true(json_at(next, "startFromHead")));
	assert_true(json_is_false(json_at(tail, "startFromHead")));
	json_decref(first);
	json_decref(next);
	json_decref(tail);
}

static void what_is_missing_is_told_apart(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ERROR_INVALID, "The specified log stream does not exist.");
	assert_false(logs_is_missing_stream(&err));
	error_set_code(&err, "ResourceNotFoundException");
	assert_true(logs_is_missing_stream(&err));
	assert_false(logs_is_missing_group(&err));
	error_set(&err, ERROR_INVALID, "The specified log group does not exist.");
	error_set_code(&err, "ResourceNotFoundException");
	assert_true(logs_is_missing_group(&err));
	assert_false(logs_is_missing_stream(&err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_definition_tells_where_its_output_is),
		cmocka_unit_test(a_stream_is_named_after_its_task),
		cmocka_unit_test(a_page_gives_its_lines_and_the_next_token),
		cmocka_unit_test(requests_ask_from_the_head_or_for_the_tail),
		cmocka_unit_test(what_is_missing_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
