/* SPDX-License-Identifier: Apache-2.0 */
/* test_job_message.c - what a body is understood as, and the exact words when it is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "job/job_message.h"

#define P "\"project\":\"p\""

static struct job *parse_bytes(const char *body, size_t size, const struct pairs *mapping, struct error *err)
{
	const struct job_message_source source = {
		.queue = "q", .message_id = "m1", .default_deployer = "shop", .mapping = mapping,
	};

	return job_message_parse(body, size, &source, err);
}

static struct job *parse(const char *body)
{
	struct error err = { 0 };
	struct job *job = parse_bytes(body, strlen(body), NULL, &err);

	if (job == NULL)
		fail_msg("%s: %s", body, err.text);
	return job;
}

/* 129 bytes */
#define TEN "iiiiiiiiii"
static const char id_129[] = "{" P ",\"id\":\"" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "iiiiiiiii\"}";

static const struct bad {
	const char *body;
	const char *want;
} bad[] = {
	{ "", "body: expected a JSON object, found nothing" },
	{ " \n\t ", "body: expected a JSON object, found nothing" },
	{ "shop", "body: expected a JSON object, found text that is not JSON: '[' or '{' expected near 'shop' (line 1, column 4)" },
	{ "{\"project\":\"p\"", "body: expected a JSON object, found text that is not JSON: '}' expected near end of file (line 1, column 14)" },
	{ "{" P "} tail", "body: expected a JSON object, found text that is not JSON: end of file expected near 'tail' (line 1, column 20)" },
	{ "{" P ",\033[31m}", "body: expected a JSON object, found text that is not JSON: string or '}' expected near '?' (line 1, column 16)" },
	{ "{" P ",\"project\":\"q\"}", "body: expected a JSON object, found text that is not JSON: duplicate object key near '\"project\"' (line 1, column 24)" },
	{ "[\"p\"]", "body: expected a JSON object, found an array" },
	{ "{\"project\":\"\\u0000\"}", "body: expected text without NUL, found \\u0000" },
	{ "{\"project\":\"\xff\"}", "body: expected UTF-8 text without NUL, found byte 0xff at offset 12" },
	{ "{\"project\":\"\xc0\xaf\"}", "body: expected UTF-8 text without NUL, found byte 0xc0 at offset 12" },
	{ "{\"project\":\"\xed\xa0\x80\"}", "body: expected UTF-8 text without NUL, found byte 0xed at offset 12" },
	{ "{\"project\":\"p\xe2\x82", "body: expected UTF-8 text without NUL, found byte 0xe2 at offset 13" },
	{ "{}", "project: expected a string of 1 to 256 bytes without control characters, found nothing" },
	{ "{\"project\":null}", "project: expected a string of 1 to 256 bytes without control characters, found null" },
	{ "{\"project\":7}", "project: expected a string of 1 to 256 bytes without control characters, found a number" },
	{ "{\"project\":\"\"}", "project: expected a string of 1 to 256 bytes without control characters, found \"\"" },
	{ "{\"project\":\"a\\nb\"}", "project: expected a string of 1 to 256 bytes without control characters, found \"a?b\"" },
	{ "{\"project\":\"a\\u009bb\"}", "project: expected a string of 1 to 256 bytes without control characters, found \"a\xc2\x9b" "b\"" },
	{ "{" P ",\"id\":\"\"}", "id: expected a string of 1 to 128 printable ASCII characters without spaces, found \"\"" },
	{ "{" P ",\"id\":\"a b\"}", "id: expected a string of 1 to 128 printable ASCII characters without spaces, found \"a b\"" },
	{ "{" P ",\"id\":\"\xc3\xa9\"}", "id: expected a string of 1 to 128 printable ASCII characters without spaces, found \"\xc3\xa9\"" },
	{ "{" P ",\"id\":12}", "id: expected a string of 1 to 128 printable ASCII characters without spaces, found a number" },
	{ id_129, "id: expected a string of 1 to 128 printable ASCII characters without spaces, found 129 bytes" },
	{ "{" P ",\"deployer\":{}}", "deployer: expected a string of 1 to 128 bytes without control characters, found an object" },
	{ "{" P ",\"deployer\":\"\"}", "deployer: expected a string of 1 to 128 bytes without control characters, found \"\"" },
	{ "{" P ",\"environment\":[]}", "environment: expected an object of strings, found an array" },
	{ "{" P ",\"environment\":{\"A\":1}}", "environment.A: expected a string, found a number" },
	{ "{" P ",\"environment\":{\"A=B\":\"\"}}", "environment: expected names of 1 to 256 bytes without \"=\" and control characters, not beginning with GANTRY_, found \"A=B\"" },
	{ "{" P ",\"environment\":{\"GANTRY_JOB\":\"\"}}", "environment: expected names of 1 to 256 bytes without \"=\" and control characters, not beginning with GANTRY_, found \"GANTRY_JOB\"" },
	{ "{" P ",\"command\":\"make\"}", "command: expected an array of 1 to 256 strings, found a string" },
	{ "{" P ",\"command\":[]}", "command: expected an array of 1 to 256 strings, found 0" },
	{ "{" P ",\"command\":[\"a\",true]}", "command[1]: expected a string, found true" },
	{ "{" P ",\"commands\":[null]}", "commands[0]: expected a string, found null" },
	{ "{" P ",\"command\":[\"a\"],\"commands\":[\"b\"]}", "commands: expected only one of command and commands, found both" },
	{ "{" P ",\"directory\":\"srv\"}", "directory: expected an absolute path without \"..\", found \"srv\"" },
	{ "{" P ",\"cd\":\"/srv/../etc\"}", "cd: expected an absolute path without \"..\", found \"/srv/../etc\"" },
	{ "{" P ",\"cd\":\"/a\",\"directory\":\"/b\"}", "cd: expected the same as directory or only one of them, found two values" },
	{ "{" P ",\"delay\":\"soon\"}", "delay: expected a duration such as \"30s\", or seconds, up to 366d, found \"soon\"" },
	{ "{" P ",\"delay\":-1}", "delay: expected a duration such as \"30s\", or seconds, up to 366d, found -1" },
	{ "{" P ",\"delay\":\"367d\"}", "delay: expected a duration such as \"30s\", or seconds, up to 366d, found \"367d\"" },
	{ "{" P ",\"delay\":[1]}", "delay: expected a duration such as \"30s\", or seconds, up to 366d, found an array" },
	{ "{" P ",\"priority\":10}", "priority: expected an integer from 0 to 9, found 10" },
	{ "{" P ",\"priority\":-1}", "priority: expected an integer from 0 to 9, found -1" },
	{ "{" P ",\"priority\":2.5}", "priority: expected an integer from 0 to 9, found 2.5" },
	{ "{" P ",\"priority\":\"high\"}", "priority: expected an integer from 0 to 9, found \"high\"" },
	{ "{" P ",\"commit\":1}", "commit: expected a string of 1 to 1024 bytes without control characters, found a number" },
	{ "{" P ",\"ref_name\":\"a\\tb\"}", "ref_name: expected a string of 1 to 1024 bytes without control characters, found \"a?b\"" },
	{ "{" P ",\"commit\":\"a\",\"commit_hash\":\"b\"}", "commit_hash: expected the same as commit or only one of them, found two values" },
	{ "{" P ",\"stage\":false}", "stage: expected a string of 1 to 128 bytes without control characters, found false" },
	{ "{" P ",\"notify\":\"x@y\"}", "notify: expected an array of 1 to 16 strings, found a string" },
	{ "{" P ",\"notify\":[\"ftp://h\"]}", "notify[0]: expected an http(s) URL or an e-mail address, found \"ftp://h\"" },
};

static void bad_messages_are_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = { 0 };
		struct job *job = parse_bytes(bad[i].body, strlen(bad[i].body), NULL, &err);

		if (job != NULL)
			fail_msg("understood: %s", bad[i].body);
		assert_string_equal(err.text, bad[i].want);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void nul_byte_is_refused(void **state)
{
	static const char body[] = "{\"project\":\"a\0b\"}";
	struct error err = { 0 };

	(void)state;
	assert_null(parse_bytes(body, sizeof(body) - 1, NULL, &err));
	assert_string_equal(err.text, "body: expected UTF-8 text without NUL, found byte 0x00 at offset 13");
}

static void limits_are_told_with_their_size(void **state)
{
	size_t size = LIMIT_MESSAGE_BODY_BYTES + 1;
	char *body = xcalloc(size, 1);
	struct error err = { 0 };

	(void)state;
	memset(body, ' ', size);
	assert_null(parse_bytes(body, size, NULL, &err));
	assert_string_equal(err.text, "body: expected at most 1048576 bytes, found 1048577");
	snprintf(body, size, "{\"project\":\"%0300d\"}", 0);
	assert_null(parse_bytes(body, strlen(body), NULL, &err));
	assert_string_equal(err.text,
		"project: expected a string of 1 to 256 bytes without control characters, found 300 bytes");
	snprintf(body, size, "{" P ",\"environment\":{");
	for (int i = 0; i <= LIMIT_MESSAGE_ENVIRONMENT; i++)
		snprintf(body + strlen(body), size - strlen(body), "%s\"V%d\":\"\"", i > 0 ? "," : "", i);
	snprintf(body + strlen(body), size - strlen(body), "}}");
	assert_null(parse_bytes(body, strlen(body), NULL, &err));
	assert_string_equal(err.text, "environment: expected at most 256 names, found 257");
	free(body);
}

static void missing_id_and_deployer_are_named(void **state)
{
	struct job_message_source source = { .queue = "q", .default_deployer = "d" };
	struct error err = { 0 };

	(void)state;
	assert_null(job_message_parse("{" P "}", strlen("{" P "}"), &source, &err));
	assert_string_equal(err.text, "id: expected a string, found nothing");
	source.message_id = "1";
	source.default_deployer = NULL;
	assert_null(job_message_parse("{" P "}", strlen("{" P "}"), &source, &err));
	assert_string_equal(err.text, "deployer: expected a string, as the queue has no default_deployer, found nothing");
}

static void whole_message_is_understood(void **state)
{
	static const char body[] = "{\"id\":\"job-1\",\"project\":\"sh\xc3\xb6p\",\"deployer\":\"other\",\"priority\":9,"
		"\"commit_hash\":\"abc\",\"ref_name\":\"main\",\"stage\":\"prod\",\"cd\":\"/srv/a..b\",\"extra\":{\"x\":[1]},"
		"\"environment\":{\"A\":\"\"},\"commands\":[\"make\"],\"notify\":[\"a@b\",\"https://h/x\"],\"delay\":null}";
	struct job *job = parse(body);
	json_t *payload = job_message_payload(job);

	(void)state;
	assert_string_equal(job->id, "job-1");
	assert_string_equal(job->project, "sh\xc3\xb6p");
	assert_string_equal(job->deployer, "other");
	assert_string_equal(job->queue, "q");
	assert_int_equal(job->priority, 9);
	assert_int_equal(job->not_before_ms, 0);
	assert_string_equal(job->commit, "abc");
	assert_string_equal(job->ref, "main");
	assert_string_equal(job->stage, "prod");
	assert_string_equal(job->body, body);
	assert_string_equal(json_string_value(job_message_member(payload, "directory")), "/srv/a..b");
	assert_null(job_message_member(payload, "delay"));
	assert_non_null(json_object_get(payload, "extra"));
	json_decref(payload);
	job_destroy(job);
}

static void defaults_come_from_the_queue(void **state)
{
	struct job *job = parse("{" P "}");

	(void)state;
	assert_string_equal(job->id, "q:m1");
	assert_string_equal(job->deployer, "shop");
	assert_int_equal(job->priority, JOB_PRIORITY_DEFAULT);
	assert_null(job->commit);
	job_destroy(job);
}

/* An id that is not fit for a name is replaced by one that is, always by the same. */
static void unfit_message_id_becomes_its_digest(void **state)
{
	struct job_message_source source = { .queue = "q", .message_id = "a b", .default_deployer = "d" };
	struct job *one = job_message_parse("{" P "}", strlen("{" P "}"), &source, NULL);
	struct job *two = job_message_parse("{" P "}", strlen("{" P "}"), &source, NULL);

	(void)state;
	assert_non_null(one);
	assert_int_equal(strlen(one->id), 64);
	assert_string_equal(one->id, two->id);
	job_destroy(one);
	job_destroy(two);
}

static const struct delay {
	const char *body;
	int64_t want_ms;
} delays[] = {
	{ "{" P ",\"delay\":\"90s\"}", 90000 },
	{ "{" P ",\"delay\":\"2h\"}", 7200000 },
	{ "{" P ",\"delay\":15}", 15000 },
	{ "{" P ",\"delay\":1.5}", 1500 },
	{ "{" P ",\"delay\":\"0\"}", 0 },
	{ "{" P ",\"delay\":0}", 0 },
};

static void delay_counts_from_now(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
		int64_t before_ms = clock_wall_ms();
		struct job *job = parse(delays[i].body);
		int64_t after_ms = clock_wall_ms();

		if (delays[i].want_ms == 0) {
			assert_int_equal(job->not_before_ms, 0);
		} else {
			assert_in_range(job->not_before_ms, before_ms + delays[i].want_ms, after_ms + delays[i].want_ms);
		}
		job_destroy(job);
	}
}

/* -- mapping ------------------------------------------------------------------------------------- */

static const struct mapped {
	const char *name, *body;
	struct { const char *name, *value; } mapping[3];
	const char *want_project, *want_body, *want_error;
} mapped[] = {
	{ "bare id", "shop-7", { { "project", "{{ body }}" }, { "deployer", "shell" } },
		"shop-7", "{\"project\":\"shop-7\",\"deployer\":\"shell\"}", NULL },
	{ "members of a JSON body are kept", "{\"app\":\"x\",\"n\":1}", { { "project", "{{ payload.app }}" } },
		"x", "{\"app\":\"x\",\"n\":1,\"project\":\"x\"}", NULL },
	{ "deeper members and text around", "{\"a\":{\"b\":[\"x\",\"y\"]}}", { { "project", "app-{{payload.a.b[1]}}" } },
		"app-y", NULL, NULL },
	{ "a mapped number", "{\"app\":\"x\",\"prio\":7}", { { "project", "{{ payload.app }}" }, { "priority", "{{ payload.prio }}" } },
		"x", "{\"app\":\"x\",\"prio\":7,\"project\":\"x\",\"priority\":7}", NULL },
	{ "a mapped list", "{\"app\":\"x\",\"run\":[\"a\",\"b\"]}", { { "project", "{{ payload.app }}" }, { "command", "{{ payload.run }}" } },
		"x", "{\"app\":\"x\",\"run\":[\"a\",\"b\"],\"project\":\"x\",\"command\":[\"a\",\"b\"]}", NULL },
	{ "what maps to nothing is not given", "{\"app\":\"x\"}", { { "project", "{{ payload.app }}" }, { "ref", "{{ payload.branch }}" } },
		"x", "{\"app\":\"x\",\"project\":\"x\"}", NULL },
	{ "a mapped member wins over its alias", "{\"app\":\"x\",\"cd\":\"/a\"}", { { "project", "{{ payload.app }}" }, { "directory", "/b" } },
		"x", "{\"app\":\"x\",\"project\":\"x\",\"directory\":\"/b\"}", NULL },
	{ "values are no templates", "{{ queue }}", { { "project", "{{ body }}" } }, "{{ queue }}", NULL, NULL },
	{ "project maps to nothing", "{\"x\":1}", { { "project", "{{ payload.app }}" } }, NULL, NULL,
		"project: expected a string of 1 to 256 bytes without control characters, found nothing" },
	{ "a mapped text that must be a number", "{\"app\":\"x\"}", { { "project", "{{ payload.app }}" }, { "priority", "{{ payload.app }}" } },
		NULL, NULL, "priority: expected an integer from 0 to 9, found \"x\"" },
	{ "bad UTF-8", "shop\x80", { { "project", "{{ body }}" } }, NULL, NULL,
		"body: expected UTF-8 text without NUL, found byte 0x80 at offset 4" },
};

static void mapping_makes_the_job_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mapped); i++) {
		struct pairs mapping = { 0 };
		struct error err = { 0 };
		struct job *job;

		for (int k = 0; k < 3 && mapped[i].mapping[k].name != NULL; k++)
			pairs_set(&mapping, mapped[i].mapping[k].name, mapped[i].mapping[k].value);
		job = parse_bytes(mapped[i].body, strlen(mapped[i].body), &mapping, &err);
		if ((job == NULL) != (mapped[i].want_error != NULL))
			fail_msg("%s: %s", mapped[i].name, err.text);
		if (mapped[i].want_error != NULL)
			assert_string_equal(err.text, mapped[i].want_error);
		if (mapped[i].want_project != NULL)
			assert_string_equal(job->project, mapped[i].want_project);
		if (mapped[i].want_body != NULL)
			assert_string_equal(job->body, mapped[i].want_body);
		job_destroy(job);
		pairs_finish(&mapping);
	}
}

/* -- allow --------------------------------------------------------------------------------------- */

static const struct allowed {
	const char *body, *environment, *directory;
	bool command, notify;
	const char *want;               /* NULL: allowed */
} allowed[] = {
	{ "{" P "}", NULL, NULL, false, false, NULL },
	{ "{" P ",\"environment\":{\"BUILD_X\":\"1\"}}", "BUILD_*", NULL, false, false, NULL },
	{ "{" P ",\"environment\":{\"BUILD_X\":\"1\",\"PATH\":\"\"}}", "BUILD_*", NULL, false, false,
		"environment: expected what the deployer's allow.environment grants, found PATH" },
	{ "{" P ",\"command\":[\"a\"]}", NULL, NULL, false, false,
		"command: expected what the deployer's allow.command grants, found a command" },
	{ "{" P ",\"commands\":[\"a\"]}", NULL, NULL, false, false,
		"commands: expected what the deployer's allow.command grants, found a command" },
	{ "{" P ",\"commands\":[\"a\"]}", NULL, NULL, true, false, NULL },
	{ "{" P ",\"cd\":\"/srv/x\"}", NULL, "/srv/*", false, false, NULL },
	{ "{" P ",\"directory\":\"/etc\"}", NULL, "/srv/*", false, false,
		"directory: expected what the deployer's allow.directory grants, found /etc" },
	{ "{" P ",\"notify\":[\"a@b\"]}", NULL, NULL, false, false,
		"notify: expected what the deployer's allow.notify grants, found addresses" },
	{ "{" P ",\"notify\":[\"a@b\"]}", NULL, NULL, false, true, NULL },
};

static void only_what_is_allowed_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		struct job_allow allow = { .command = allowed[i].command, .notify = allowed[i].notify };
		struct job *job = parse(allowed[i].body);
		json_t *payload = job_message_payload(job);
		struct error err = { 0 };

		if (allowed[i].environment != NULL)
			texts_add(&allow.environment, allowed[i].environment);
		if (allowed[i].directory != NULL)
			texts_add(&allow.directory, allowed[i].directory);
		assert_int_equal(job_message_allowed(payload, &allow, &err), allowed[i].want == NULL);
		if (allowed[i].want != NULL)
			assert_string_equal(err.text, allowed[i].want);
		texts_finish(&allow.environment);
		texts_finish(&allow.directory);
		json_decref(payload);
		job_destroy(job);
	}
}

static void sns_envelope_is_unwrapped(void **state)
{
	static const char envelope[] = "{\"Type\":\"Notification\",\"Message\":\"{\\\"project\\\":\\\"p\\\"}\"}";
	static const char other[] = "{\"Type\":\"SubscriptionConfirmation\",\"Message\":\"x\"}";
	struct error err = { 0 };
	char *inner = job_message_unwrap_sns(envelope, strlen(envelope), &err);

	(void)state;
	assert_string_equal(inner, "{" P "}");
	free(inner);
	assert_null(job_message_unwrap_sns(other, strlen(other), &err));
	assert_string_equal(err.text,
		"body: expected an SNS envelope with Type \"Notification\" and Message, found none");
	assert_null(job_message_unwrap_sns("shop", 4, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_messages_are_refused_by_name),
		cmocka_unit_test(nul_byte_is_refused),
		cmocka_unit_test(limits_are_told_with_their_size),
		cmocka_unit_test(missing_id_and_deployer_are_named),
		cmocka_unit_test(whole_message_is_understood),
		cmocka_unit_test(defaults_come_from_the_queue),
		cmocka_unit_test(unfit_message_id_becomes_its_digest),
		cmocka_unit_test(delay_counts_from_now),
		cmocka_unit_test(mapping_makes_the_job_message),
		cmocka_unit_test(only_what_is_allowed_passes),
		cmocka_unit_test(sns_envelope_is_unwrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
