/* SPDX-License-Identifier: Apache-2.0 */
/* test_exec_process_request.c - what a local command's request is, and what a shim is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_process.h"

static char *words(const char *name) { return (char *)(uintptr_t)name; }

static char *lines_conf[] = { (char *)"make {{ ref }}", (char *)"echo \"{{ project }}\"" };
static char *command_conf[] = { (char *)"/bin/deploy", (char *)"{{ project }}", (char *)"" };
static char *restart_globs[] = { (char *)"supervisorctl start *", (char *)"/bin/deploy *" };
static char *directory_globs[] = { (char *)"/srv/*" };
static char *name_globs[] = { (char *)"B_*" };
static char *refs_globs[] = { (char *)"refs/tags/*" };

static struct job *job_of(const char *body)
{
	struct job *job = job_create();
	json_t *doc = json_at_parse(body, strlen(body), NULL);

	job->id = xstrdup("j1");
	job->project = xstrdup("shop");
	job->deployer = xstrdup("shell");
	job->queue = xstrdup("q");
	job->body = xstrdup(body);
	job->ref = xstrdup(json_at_string(doc, "ref"));
	job->stage = xstrdup(json_at_string(doc, "stage"));
	job->attempt.number = 2;
	job->grant = 17;
	json_decref(doc);
	return job;
}

static struct conf_deployer plain_conf(void)
{
	return (struct conf_deployer){
		.name = words("shell"), .type = CONF_DEPLOYER_PROCESS,
		.process = {
			.directory = words("/srv/{{ project }}"), .umask = words("027"), .kill_after_ms = 5000, .nice = 3,
			.cgroup = words("none"), .parallel = 2, .limits = { .cpu_ms = 9000, .log_bytes = 4096 },
		},
		.allow = {
			.command = true, .directory = { .at = directory_globs, .count = 1 },
			.environment = { .at = name_globs, .count = 1 },
		},
	};
}

static json_t *built(const struct conf_deployer *conf, const char *body, struct error *err)
{
	struct job *job = job_of(body);
	char *text = process_request_build(conf, "feed", job, err);
	json_t *doc = text != NULL ? json_at_parse(text, strlen(text), NULL) : NULL;

	job_destroy(job);
	free(text);
	return doc;
}

static void test_request_says_all_that_a_repeat_needs(void **state)
{
	struct conf_deployer conf = plain_conf();
	struct pair pair = { words("REF"), words("{{ ref }}") };
	struct error err;
	json_t *request;
	char *text;

	(void)state;
	conf.command = (struct texts){ .at = command_conf, .count = 3 };
	conf.environment = (struct pairs){ .at = &pair, .count = 1 };
	request = built(&conf, "{\"project\":\"shop\",\"ref\":\"main\",\"environment\":{\"B_1\":\"x\"}}", &err);
	assert_non_null(request);
	text = json_at_dump(request);
	assert_string_equal(text,
		"{\"type\":\"process\",\"host\":\"feed\",\"deployer\":\"shell\",\"job\":\"j1\","
		"\"command\":[\"/bin/deploy\",\"shop\",\"\"],\"directory\":\"/srv/shop\","
		"\"environment\":{\"REF\":\"main\",\"B_1\":\"x\",\"GANTRY_JOB\":\"j1\",\"GANTRY_ATTEMPT\":\"2\","
		"\"GANTRY_PROJECT\":\"shop\",\"GANTRY_FENCE\":\"17\"},\"nice\":3,\"kill_after_ms\":5000,\"parallel\":2,"
		"\"limits\":[[4,0],[0,9]],\"log_limit\":4096,\"umask\":\"027\",\"cgroup\":\"none\",\"pass_environment\":[]}");
	assert_int_equal(exec_request_type(text), CONF_DEPLOYER_PROCESS);
	assert_int_equal(exec_request_type("{\"cluster\":\"prod\"}"), CONF_DEPLOYER_ECS);
	free(text);
	json_decref(request);
}

static void test_what_a_message_may_not_ask_for_is_refused(void **state)
{
	static const struct { const char *name, *body, *want; } cases[] = {
		{ "a word that a shell would read", "{\"project\":\"shop\",\"ref\":\"a b\"}", "expected a plain word for \"{{ ref }}\"" },
		{ "an option", "{\"project\":\"shop\",\"ref\":\"--all\"}", "found \"--all\"" },
		{ "a quote", "{\"project\":\"shop\",\"ref\":\"'x'\"}", "expected a plain word" },
		{ "a directory elsewhere", "{\"project\":\"shop\",\"ref\":\"m\",\"directory\":\"/etc\"}", "allow.directory" },
		{ "a name elsewhere", "{\"project\":\"shop\",\"ref\":\"m\",\"environment\":{\"PATH\":\"x\"}}", "allow.environment" },
		{ "another last line", "{\"project\":\"shop\",\"commands\":[\"supervisorctl start x\",\"true\"]}", "found \"true\"" },
		{ "another command", "{\"project\":\"shop\",\"command\":[\"/bin/rm\",\"x\"]}", "found \"/bin/rm x\"" },
		{ "a stage that is none", "{\"project\":\"shop\",\"commands\":[\"supervisorctl start x\"],\"stage\":\"s\"}",
			"stage: expected one of the deployer's stages, found \"s\"" },
	};
	struct pair pair = { words("WHERE"), words("tags") };
	struct conf_stage stage = {
		.name = words("tags"), .refs = { .at = refs_globs, .count = 1 }, .environment = { .at = &pair, .count = 1 },
	};
	struct conf_deployer conf = plain_conf();

	(void)state;
	conf.process.commands = (struct texts){ .at = lines_conf, .count = 2 };
	conf.process.require_last = (struct texts){ .at = restart_globs, .count = 2 };
	conf.process.stages = &stage;
	conf.process.stage_count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err;

		assert_null(built(&conf, cases[i].body, &err));
		assert_int_equal(err.kind, ERROR_INVALID);
		if (strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: %s", cases[i].name, err.text);
	}
}

static void test_paths_do_not_climb_by_what_is_put_in(void **state)
{
	static const struct { const char *name, *directory, *dotenv, *want; } cases[] = {
		{ "a climbing project", "/srv/{{ payload.up }}", NULL, "directory: expected an absolute path without \"..\"" },
		{ "a relative directory", "{{ project }}", NULL, "found \"shop\"" },
		{ "a climbing .env", "/srv", "x/{{ payload.up }}", "dotenv: expected a path without" },
		{ "no .env at all", "/srv", "{{ payload.none }}", "dotenv: expected a path" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_deployer conf = plain_conf();
		struct error err;

		conf.command = (struct texts){ .at = command_conf, .count = 3 };
		conf.process.directory = words(cases[i].directory);
		conf.process.dotenv = cases[i].dotenv != NULL ? words(cases[i].dotenv) : NULL;
		assert_null(built(&conf, "{\"project\":\"shop\",\"up\":\"../etc\"}", &err));
		if (strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: %s", cases[i].name, err.text);
	}
}

static void test_stage_is_chosen_by_stage_or_ref(void **state)
{
	static const struct { const char *name, *body, *want; } cases[] = {
		{ "neither", "{\"project\":\"shop\"}", "conf" },
		{ "stage", "{\"project\":\"shop\",\"stage\":\"production\",\"ref\":\"refs/tags/1\"}", "production" },
		{ "ref of its name", "{\"project\":\"shop\",\"ref\":\"production\"}", "production" },
		{ "the end of a ref", "{\"project\":\"shop\",\"ref\":\"refs/heads/production\"}", "production" },
		{ "a glob", "{\"project\":\"shop\",\"ref\":\"refs/tags/1\"}", "tags" },
		{ "a name that its globs leave out", "{\"project\":\"shop\",\"ref\":\"tags\"}", "conf" },
		{ "the message comes last", "{\"project\":\"shop\",\"stage\":\"tags\",\"environment\":{\"B_W\":\"own\"}}", "own" },
	};
	struct pair pairs[] = {
		{ words("B_W"), words("conf") }, { words("B_W"), words("production") }, { words("B_W"), words("tags") },
	};
	struct conf_stage stages[] = {
		{ .name = words("production"), .environment = { .at = &pairs[1], .count = 1 } },
		{ .name = words("tags"), .refs = { .at = refs_globs, .count = 1 }, .environment = { .at = &pairs[2], .count = 1 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_deployer conf = plain_conf();
		struct error err;
		json_t *request;

		conf.command = (struct texts){ .at = command_conf, .count = 3 };
		conf.environment = (struct pairs){ .at = &pairs[0], .count = 1 };
		conf.process.stages = stages;
		conf.process.stage_count = 2;
		request = built(&conf, cases[i].body, &err);
		assert_non_null(request);
		assert_string_equal(json_at_string(request, "environment.B_W"), cases[i].want);
		json_decref(request);
	}
}

/* The records of a call, with " | " for each NUL. */
static char *told(const char *request, const struct process_user *user, bool slot)
{
	json_t *doc = json_at_parse(request, strlen(request), NULL);
	struct buf call, text;
	struct error err;

	buf_init(&call, LIMIT_SHIM_REQUEST_BYTES);
	buf_init(&text, LIMIT_SHIM_REQUEST_BYTES);
	assert_true(process_call_build(doc, "/state/jobs/t", user, slot, &call, &err));
	for (size_t i = 0; i < call.size; i++) {
		if (call.bytes[i] == '\0')
			buf_add_text(&text, " | ");
		else
			buf_add_char(&text, call.bytes[i]);
	}
	buf_finish(&call);
	json_decref(doc);
	return buf_take(&text);
}

static void test_shim_is_told_numbers_and_what_is_passed_through(void **state)
{
	struct process_user user = {
		.name = words("deploy"), .home = words("/home/deploy"), .shell = words("/bin/bash"), .uid = 1001, .gid = 1002,
		.groups = { 1002, 27 }, .group_count = 2, .other = true,
	};
	char *text;

	(void)state;
	setenv("PASSED_ON", "secret", 1);
	setenv("LANG", "C", 1);
	text = told("{\"job\":\"j1\",\"lines\":[\"a\",\"b c\"],\"directory\":\"/srv\",\"allowed\":[\"/srv*\"],\"umask\":\"022\","
		"\"nice\":1,\"kill_after_ms\":5,\"log_limit\":6,\"limits\":[[7,8]],\"dotenv\":\".env\",\"environment\":"
		"{\"A\":\"it's \\\"$x`\\\\\",\"B\":\"x y\",\"GANTRY_JOB\":\"j1\"},\"pass_environment\":[\"PASSED_ON\",\"NOT_SET\"],"
		"\"cgroup\":\"/no/such\"}", &user, true);
	assert_string_equal(text, "directory=/state/jobs/t | job=j1 | line=a | line=b c | allowed=/srv* | chdir=/srv | "
		"umask=022 | nice=1 | kill_after_ms=5 | log_limit=6 | limit=7:8 | identity=1001:1002:1002,27 | "
		"environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin | environment=HOME=/home/deploy | "
		"environment=USER=deploy | environment=LOGNAME=deploy | environment=SHELL=/bin/bash | environment=LANG=C | "
		"environment=PASSED_ON=secret | environment=A=it's \"$x`\\ | environment=B=x y | environment=GANTRY_JOB=j1 | "
		"environment=GANTRY_RESULT=/dev/fd/3 | dotenv=.env | dotenv_line=A=\"it's \\\"\\$x\\`\\\\\" | dotenv_line=B='x y' | "
		"slot=1 | ");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_says_all_that_a_repeat_needs),
		cmocka_unit_test(test_what_a_message_may_not_ask_for_is_refused),
		cmocka_unit_test(test_paths_do_not_climb_by_what_is_put_in),
		cmocka_unit_test(test_stage_is_chosen_by_stage_or_ref),
		cmocka_unit_test(test_shim_is_told_numbers_and_what_is_passed_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
