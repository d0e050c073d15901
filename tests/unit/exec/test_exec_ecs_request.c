/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/mem.h"
#include "exec_fixture.h"

static json_t *prepare(const struct conf_deployer *conf, const struct job *job)
{
	struct error err;
	char *text = ecs_request_build(conf, job, &err);
	json_t *doc;

	if (text == NULL)
		fail_msg("%s", err.text);
	doc = json_at_parse(text, strlen(text), &err);
	free(text);
	assert_non_null(doc);
	return doc;
}

static const char *environment(const json_t *doc, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_at(doc, "overrides.containerOverrides[0].environment"), i, entry) {
		if (strcmp(json_at_string(entry, "name"), name) == 0)
			return json_at_string(entry, "value");
	}
	return NULL;
}

static const char *tag(const json_t *doc, const char *key)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_at(doc, "tags"), i, entry) {
		if (strcmp(json_at_string(entry, "key"), key) == 0)
			return json_at_string(entry, "value");
	}
	return NULL;
}

static void the_smallest_request_is_exactly_this(void **state)
{
	struct fixture fixture;
	struct job *job = fixture_job("{\"project\":\"shop\"}");
	struct error err;
	char *text;

	(void)state;
	fixture_begin(&fixture);
	text = exec_prepare(fixture.exec, job, &err);
	assert_non_null(text);
	assert_string_equal(text, "{\"cluster\":\"prod\",\"taskDefinition\":\"deploy:7\",\"count\":1,\"overrides\":"
		"{\"containerOverrides\":[{\"name\":\"app\",\"environment\":[{\"name\":\"GANTRY_JOB\",\"value\":\"j1\"},"
		"{\"name\":\"GANTRY_ATTEMPT\",\"value\":\"2\"},{\"name\":\"GANTRY_PROJECT\",\"value\":\"shop\"},"
		"{\"name\":\"GANTRY_FENCE\",\"value\":\"17\"}]}]},"
		"\"startedBy\":\"gantry/95bc60a3141798905faedf3f1230\",\"enableECSManagedTags\":true,"
		"\"tags\":[{\"key\":\"gantry:job\",\"value\":\"j1\"},{\"key\":\"gantry:project\",\"value\":\"shop\"}]}");
	free(text);
	job_destroy(job);
	fixture_end(&fixture);
}

static void the_same_attempt_always_makes_the_same_text(void **state)
{
	struct fixture fixture;
	struct job *job = fixture_job("{\"project\":\"shop\"}");
	char *first, *second, *other;
	struct error err;

	(void)state;
	fixture_begin(&fixture);
	job->accepted_ms = 1;
	first = exec_prepare(fixture.exec, job, &err);
	job->accepted_ms = 999;
	job->attempt.intended_ms = 5;
	second = exec_prepare(fixture.exec, job, &err);
	assert_string_equal(first, second);
	job->attempt.number++;
	other = exec_prepare(fixture.exec, job, &err);
	assert_string_not_equal(first, other);
	free(first);
	free(second);
	free(other);
	job_destroy(job);
	fixture_end(&fixture);
}

static void everything_that_is_configured_is_in_it(void **state)
{
	struct conf_deployer conf = {
		.name = (char *)"d", .cluster = (char *)"prod", .task_definition = (char *)"deploy", .container = (char *)"app",
		.launch_type = (char *)"FARGATE", .platform_version = (char *)"1.4.0", .group = (char *)"family:x",
		.cpu = (char *)"256", .memory = (char *)"512", .task_role = (char *)"arn:role", .execution_role = (char *)"arn:exec",
		.execute_command = true, .propagate_tags = true,
	};
	struct job *job = fixture_job("{\"project\":\"shop\",\"color\":\"blue\",\"n\":[1,\"a\\\"\"],\"environment\":{\"ONE\":\"1\\n\",\"COLOR2\":\"said\"}}");
	struct error err = { 0 };
	json_t *doc;
	char *text;

	(void)state;
	texts_add(&conf.allow.environment, "*");
	pairs_set(&conf.environment, "COLOR2", "{{ payload.n }}");
	pairs_set(&conf.environment, "N", "{{ payload.n }}");
	pairs_set(&conf.tags, "n\xc3\xa4*", "{{ payload.n }}");
	job->ref = xstrdup("main");
	texts_add(&conf.network.subnets, "subnet-1");
	texts_add(&conf.network.subnets, "subnet-2");
	texts_add(&conf.network.security_groups, "sg-1");
	texts_add(&conf.command, "deploy");
	texts_add(&conf.command, "{{ project }}@{{ ref }}");
	pairs_set(&conf.environment, "COLOR", "{{ payload.color }}");
	pairs_set(&conf.environment, "GANTRY_JOB", "somebody else");
	pairs_set(&conf.tags, "team", "web {{ project }}");
	text = ecs_request_build(&conf, job, &err);
	assert_non_null(text);
	/* To the byte: a launch that began before an upgrade may be repeated after it. */
	assert_string_equal(text, "{\"cluster\":\"prod\",\"taskDefinition\":\"deploy\",\"count\":1,\"launchType\":\"FARGATE\",\"networkConfiguration\":{\"awsvpcConfiguration\":"
		"{\"subnets\":[\"subnet-1\",\"subnet-2\"],\"securityGroups\":[\"sg-1\"],\"assignPublicIp\":\"DISABLED\"}},\"overrides\":"
		"{\"containerOverrides\":[{\"name\":\"app\",\"command\":[\"deploy\",\"shop@main\"],\"environment\":[{\"name\":\"COLOR2\",\"value\":\"said\"},"
		"{\"name\":\"N\",\"value\":\"[1,\\\"a\\\\\\\"\\\"]\"},{\"name\":\"COLOR\",\"value\":\"blue\"},{\"name\":\"GANTRY_JOB\",\"value\":\"j1\"},"
		"{\"name\":\"ONE\",\"value\":\"1\\n\"},{\"name\":\"GANTRY_ATTEMPT\",\"value\":\"2\"},{\"name\":\"GANTRY_PROJECT\",\"value\":\"shop\"},"
		"{\"name\":\"GANTRY_FENCE\",\"value\":\"17\"}]}],\"cpu\":\"256\",\"memory\":\"512\",\"taskRoleArn\":\"arn:role\",\"executionRoleArn\":\"arn:exec\"},"
		"\"startedBy\":\"gantry/95bc60a3141798905faedf3f1230\",\"propagateTags\":\"TASK_DEFINITION\",\"enableECSManagedTags\":true,"
		"\"enableExecuteCommand\":true,\"platformVersion\":\"1.4.0\",\"group\":\"family:x\",\"tags\":[{\"key\":\"n\xc3\xa4_\",\"value\":\"_1__a____\"},"
		"{\"key\":\"team\",\"value\":\"web shop\"},{\"key\":\"gantry:job\",\"value\":\"j1\"},{\"key\":\"gantry:project\",\"value\":\"shop\"}]}");
	free(text);
	doc = prepare(&conf, job);
	assert_string_equal(json_at_string(doc, "launchType"), "FARGATE");
	assert_string_equal(json_at_string(doc, "platformVersion"), "1.4.0");
	assert_string_equal(json_at_string(doc, "group"), "family:x");
	assert_string_equal(json_at_string(doc, "overrides.cpu"), "256");
	assert_string_equal(json_at_string(doc, "overrides.memory"), "512");
	assert_string_equal(json_at_string(doc, "overrides.taskRoleArn"), "arn:role");
	assert_string_equal(json_at_string(doc, "overrides.executionRoleArn"), "arn:exec");
	assert_string_equal(json_at_string(doc, "propagateTags"), "TASK_DEFINITION");
	assert_true(json_is_true(json_at(doc, "enableExecuteCommand")));
	assert_string_equal(json_at_string(doc, "networkConfiguration.awsvpcConfiguration.subnets[1]"), "subnet-2");
	assert_string_equal(json_at_string(doc, "networkConfiguration.awsvpcConfiguration.securityGroups[0]"), "sg-1");
	assert_string_equal(json_at_string(doc, "networkConfiguration.awsvpcConfiguration.assignPublicIp"), "DISABLED");
	assert_string_equal(json_at_string(doc, "overrides.containerOverrides[0].command[1]"), "shop@main");
	assert_string_equal(environment(doc, "COLOR"), "blue");
	assert_string_equal(environment(doc, "GANTRY_JOB"), "j1");
	assert_string_equal(tag(doc, "team"), "web shop");
	assert_null(json_at(doc, "clientToken"));
	assert_null(json_at(doc, "capacityProviderStrategy"));
	json_decref(doc);
	texts_finish(&conf.network.subnets);
	texts_finish(&conf.network.security_groups);
	texts_finish(&conf.command);
	pairs_finish(&conf.environment);
	pairs_finish(&conf.tags);
	texts_finish(&conf.allow.environment);
	job_destroy(job);
}

static void the_step_chooses_the_capacity_provider(void **state)
{
	static const struct { unsigned step; const char *want; } cases[] = {
		{ 0, "FARGATE_SPOT" }, { 1, "FARGATE" }, { 2, "FARGATE_SPOT" }, { 7, "FARGATE" },
	};
	struct fixture fixture;
	struct job *job = fixture_job("{\"project\":\"shop\"}");

	(void)state;
	fixture_begin(&fixture);
	assert_int_equal(exec_steps(fixture.exec), 1);
	fixture.conf.launch_type = (char *)"EC2";
	texts_add(&fixture.conf.capacity_providers, "FARGATE_SPOT");
	texts_add(&fixture.conf.capacity_providers, "FARGATE");
	assert_int_equal(exec_steps(fixture.exec), 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *doc;

		fixture_attempt(job, 2, cases[i].step);
		doc = prepare(&fixture.conf, job);
		assert_string_equal(json_at_string(doc, "capacityProviderStrategy[0].capacityProvider"), cases[i].want);
		assert_null(json_at(doc, "launchType"));
		json_decref(doc);
	}
	texts_finish(&fixture.conf.capacity_providers);
	job_destroy(job);
	fixture_end(&fixture);
}

static void the_steps_walk_down_providers_and_then_subnets(void **state)
{
	static const struct { unsigned step; const char *provider; size_t subnets; const char *first; } cases[] = {
		{ 0, "FARGATE_SPOT", 2, "subnet-a" }, { 1, "FARGATE", 2, "subnet-a" },
		{ 2, "FARGATE_SPOT", 1, "subnet-a" }, { 3, "FARGATE", 1, "subnet-a" },
		{ 4, "FARGATE_SPOT", 1, "subnet-b" }, { 5, "FARGATE", 1, "subnet-b" },
		{ 6, "FARGATE_SPOT", 2, "subnet-a" }, { 6 * 1000 + 5, "FARGATE", 1, "subnet-b" },
	};
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	texts_add(&fixture.conf.network.subnets, "subnet-a");
	assert_int_equal(exec_steps(fixture.exec), 1);
	texts_add(&fixture.conf.network.subnets, "subnet-b");
	assert_int_equal(exec_steps(fixture.exec), 3);
	texts_add(&fixture.conf.capacity_providers, "FARGATE_SPOT");
	texts_add(&fixture.conf.capacity_providers, "FARGATE");
	assert_int_equal(exec_steps(fixture.exec), 6);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct job *job = fixture_job("{\"project\":\"shop\"}");
		json_t *doc;
		const json_t *subnets;

		fixture_attempt(job, 2, cases[i].step);
		doc = prepare(&fixture.conf, job);
		subnets = json_at(doc, "networkConfiguration.awsvpcConfiguration.subnets");
		assert_string_equal(json_at_string(doc, "capacityProviderStrategy[0].capacityProvider"), cases[i].provider);
		assert_int_equal(json_array_size(subnets), cases[i].subnets);
		assert_string_equal(json_string_value(json_array_get(subnets, 0)), cases[i].first);
		json_decref(doc);
		job_destroy(job);
	}
	texts_finish(&fixture.conf.capacity_providers);
	texts_finish(&fixture.conf.network.subnets);
	fixture_end(&fixture);
}

static void a_message_gets_what_it_is_allowed(void **state)
{
	static const struct { const char *name, *body; bool command; const char *globs, *want_word, *want_env, *refused; } cases[] = {
		{ "environment", "{\"environment\":{\"BUILD_X\":\"1\"}}", false, "BUILD_*", NULL, "1", NULL },
		{ "environment that is not", "{\"environment\":{\"PATH\":\"1\"}}", false, "BUILD_*", NULL, NULL, "PATH" },
		{ "no environment at all", "{\"environment\":{\"BUILD_X\":\"1\"}}", false, NULL, NULL, NULL, "environment" },
		{ "command", "{\"command\":[\"make\",\"it\"]}", true, NULL, "make", NULL, NULL },
		{ "command that is not", "{\"command\":[\"make\"]}", false, NULL, NULL, NULL, "command" },
		{ "shell lines", "{\"commands\":[\"cd x\",\"make\"]}", true, NULL, "/bin/sh", NULL, NULL },
		{ "ours can't be taken", "{\"environment\":{\"GANTRY_FENCE\":\"1\"}}", false, "*", NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_deployer conf = {
			.name = (char *)"d", .cluster = (char *)"c", .task_definition = (char *)"t", .container = (char *)"app",
			.allow = { .command = cases[i].command },
		};
		struct job *job = fixture_job(cases[i].body);
		struct error err = { 0 };
		json_t *doc;
		char *text;

		if (cases[i].globs != NULL)
			texts_add(&conf.allow.environment, cases[i].globs);
		text = ecs_request_build(&conf, job, &err);
		if (cases[i].refused != NULL) {
			if (text != NULL || err.kind != ERROR_INVALID || strstr(err.text, cases[i].refused) == NULL)
				fail_msg("%s: %s", cases[i].name, err.text);
		} else {
			if (text == NULL)
				fail_msg("%s: %s", cases[i].name, err.text);
			doc = json_at_parse(text, strlen(text), NULL);
			if (cases[i].want_word != NULL)
				assert_string_equal(json_at_string(doc, "overrides.containerOverrides[0].command[0]"),
					cases[i].want_word);
			if (cases[i].want_env != NULL)
				assert_string_equal(environment(doc, "BUILD_X"), cases[i].want_env);
			assert_string_equal(environment(doc, "GANTRY_FENCE"), "17");
			json_decref(doc);
		}
		free(text);
		texts_finish(&conf.allow.environment);
		job_destroy(job);
	}
}

/* Overrides of exactly so many bytes. */
static char *build_with(size_t bytes, struct error *err)
{
	struct conf_deployer conf = {
		.name = (char *)"d", .cluster = (char *)"c", .task_definition = (char *)"t", .container = (char *)"app",
	};
	struct job *job = fixture_job("{}");
	char *filler, *text;
	json_t *doc;
	size_t empty;

	pairs_set(&conf.environment, "FILLER", "");
	doc = prepare(&conf, job);
	text = json_at_dump(json_at(doc, "overrides"));
	empty = strlen(text);
	free(text);
	json_decref(doc);
	filler = xcalloc(bytes - empty + 1, 1);
	memset(filler, 'x', bytes - empty);
	pairs_set(&conf.environment, "FILLER", filler);
	text = ecs_request_build(&conf, job, err);
	free(filler);
	pairs_finish(&conf.environment);
	job_destroy(job);
	return text;
}

static void overrides_that_are_too_large_are_refused_with_their_size(void **state)
{
	struct error err = { 0 };
	char *text = build_with(LIMIT_ECS_OVERRIDES_BYTES, &err);

	(void)state;
	assert_non_null(text);
	free(text);
	assert_null(build_with(LIMIT_ECS_OVERRIDES_BYTES + 1, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.text, "8193"));
	assert_non_null(strstr(err.text, "8192"));
}

static void shell_lines_are_never_dropped(void **state)
{
	struct conf_deployer conf = {
		.name = (char *)"d", .cluster = (char *)"c", .task_definition = (char *)"t", .container = (char *)"app",
		.allow = { .command = true },
	};
	char line[LIMIT_EXEC_REQUEST_BYTES + 100];
	struct error err = { 0 };
	struct job *job;
	char *body;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	body = xasprintf("{\"commands\":[\"%s\",\"true\"]}", line);
	job = fixture_job(body);
	assert_null(ecs_request_build(&conf, job, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.text, "8192"));
	job_destroy(job);
	free(body);
}

static void tags_are_made_acceptable(void **state)
{
	struct conf_deployer conf = {
		.name = (char *)"d", .cluster = (char *)"c", .task_definition = (char *)"t", .container = (char *)"app",
	};
	struct job *job = fixture_job("{}");
	char project[301];
	json_t *doc;

	(void)state;
	memset(project, 'p', 300);
	project[300] = '\0';
	memcpy(project, "a*b#c", 5);
	xreplace(&job->project, project);
	doc = prepare(&conf, job);
	assert_int_equal(strlen(tag(doc, "gantry:project")), LIMIT_ECS_TAG_VALUE_BYTES);
	assert_memory_equal(tag(doc, "gantry:project"), "a_b_cppp", 8);
	assert_string_equal(environment(doc, "GANTRY_PROJECT"), project);
	json_decref(doc);
	job_destroy(job);
}

static void started_by_fits_old_limits_and_names_the_attempt(void **state)
{
	struct fixture fixture;
	struct job *job = fixture_job("{}");
	json_t *first, *second;

	(void)state;
	fixture_begin(&fixture);
	first = prepare(&fixture.conf, job);
	fixture_attempt(job, 2, 1);
	second = prepare(&fixture.conf, job);
	assert_true(strlen(json_at_string(first, "startedBy")) <= LIMIT_ECS_STARTED_BY_BYTES);
	assert_string_not_equal(json_at_string(first, "startedBy"), json_at_string(second, "startedBy"));
	json_decref(first);
	json_decref(second);
	job_destroy(job);
	fixture_end(&fixture);
}

static void check_taken(char *take, const char *want)
{
	if (want == NULL)
		assert_null(take);
	else
		assert_string_equal(take, want);
	free(take);
}

/* Also behind values that hold what looks like its members, and where nothing of it is left. */
static void a_frozen_request_says_where_and_what_it_is(void **state)
{
	static const char odd[] = "{\"clu\":{\"cluster\":\"no\"},\"n\":[\"\\\\\",\"\\\"cluster\\\":\"],\"overrides\":{\"containerOverrides\":[]},"
		"\"cluster\":\"a\\u00e4\\/b\" , \"startedBy\":1}";
	struct fixture fixture;
	struct job *job = fixture_job("{\"environment\":{\"startedBy\":\"\\\"cluster\\\":\\\"x\\\"\"}}");
	struct error err = { 0 };
	json_t *doc;
	char *text;

	(void)state;
	fixture_begin(&fixture);
	texts_add(&fixture.conf.allow.environment, "*");
	text = exec_prepare(fixture.exec, job, &err);
	assert_non_null(text);
	doc = json_at_parse(text, strlen(text), NULL);
	check_taken(ecs_request_cluster(text), "prod");
	check_taken(ecs_request_definition(text), "deploy:7");
	check_taken(ecs_request_container(text), "app");
	check_taken(ecs_request_started_by(text), json_at_string(doc, "startedBy"));
	assert_memory_equal(json_at_string(doc, "startedBy"), "gantry/", 7);
	json_decref(doc);
	free(text);
	check_taken(ecs_request_cluster(odd), "a\xc3\xa4/b");
	check_taken(ecs_request_definition(odd), NULL);
	check_taken(ecs_request_container(odd), NULL);
	check_taken(ecs_request_started_by(odd), NULL);
	for (size_t size = 0; size < strlen(odd); size++) {
		text = xstrndup(odd, size);
		check_taken(ecs_request_started_by(text), NULL);
		check_taken(ecs_request_container(text), NULL);
		free(text);
	}
	texts_finish(&fixture.conf.allow.environment);
	job_destroy(job);
	fixture_end(&fixture);
}

static void what_is_not_utf8_is_refused(void **state)
{
	struct conf_deployer conf = {
		.name = (char *)"d", .cluster = (char *)"c", .task_definition = (char *)"t", .container = (char *)"app",
	};
	struct job *job = fixture_job("{}");
	struct error err = { 0 };

	(void)state;
	xreplace(&job->project, "caf\xe9");
	assert_null(ecs_request_build(&conf, job, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(err.text, "value is not valid UTF-8");
	job_destroy(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_smallest_request_is_exactly_this),
		cmocka_unit_test(the_same_attempt_always_makes_the_same_text),
		cmocka_unit_test(everything_that_is_configured_is_in_it),
		cmocka_unit_test(the_step_chooses_the_capacity_provider),
		cmocka_unit_test(the_steps_walk_down_providers_and_then_subnets),
		cmocka_unit_test(a_message_gets_what_it_is_allowed),
		cmocka_unit_test(overrides_that_are_too_large_are_refused_with_their_size),
		cmocka_unit_test(shell_lines_are_never_dropped),
		cmocka_unit_test(tags_are_made_acceptable),
		cmocka_unit_test(started_by_fits_old_limits_and_names_the_attempt),
		cmocka_unit_test(a_frozen_request_says_where_and_what_it_is),
		cmocka_unit_test(what_is_not_utf8_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
