/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/ecs.h"

#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/json_at.h"

static json_t *parse_wanted(const char *text, const char *const *wanted)
{
	struct error err;
	json_t *doc = json_at_parse_wanted(text, strlen(text), wanted, &err);

	if (doc == NULL)
		fail_msg("%s: %s", err.text, text);
	return doc;
}

static json_t *parse(const char *text)
{
	return parse_wanted(text, NULL);
}

static void answers_of_run_task_are_told_apart(void **state)
{
	static const struct { const char *name, *doc, *arn; enum error_kind kind; const char *code; bool capacity; } cases[] = {
		{ "started", "{\"tasks\":[{\"taskArn\":\"t1\"}],\"failures\":[]}", "t1", ERROR_NONE, "", false },
		{ "started beside a failure", "{\"tasks\":[{\"taskArn\":\"t1\"}],\"failures\":[{\"reason\":\"AGENT\"}]}", "t1", ERROR_NONE, "", false },
		{ "nothing at all", "{\"tasks\":[],\"failures\":[]}", NULL, ERROR_AMBIGUOUS, "", false },
		{ "an empty object", "{}", NULL, ERROR_AMBIGUOUS, "", false },
		{ "wrong types", "{\"tasks\":{},\"failures\":\"none\"}", NULL, ERROR_AMBIGUOUS, "", false },
		{ "a task without a name", "{\"tasks\":[{}]}", NULL, ERROR_AMBIGUOUS, "", false },
		{ "a failure without a reason", "{\"failures\":[{\"arn\":\"x\"}]}", NULL, ERROR_AMBIGUOUS, "", false },
		{ "memory", "{\"failures\":[{\"reason\":\"RESOURCE:MEMORY\"}]}", NULL, ERROR_THROTTLED, "RESOURCE:MEMORY", true },
		{ "cpu", "{\"failures\":[{\"reason\":\"RESOURCE:CPU\"}]}", NULL, ERROR_THROTTLED, "RESOURCE:CPU", true },
		{ "fargate", "{\"failures\":[{\"reason\":\"RESOURCE:FARGATE\"}]}", NULL, ERROR_THROTTLED, "RESOURCE:FARGATE", true },
		{ "ports", "{\"failures\":[{\"reason\":\"RESOURCE:PORTS\"}]}", NULL, ERROR_THROTTLED, "RESOURCE:PORTS", true },
		{ "agent", "{\"failures\":[{\"reason\":\"AGENT\"}]}", NULL, ERROR_THROTTLED, "AGENT", true },
		{ "capacity", "{\"failures\":[{\"reason\":\"Capacity is unavailable at this time. Please try again later or in a "
			"different availability zone\"}]}", NULL, ERROR_THROTTLED, "CAPACITY", true },
		{ "no instances", "{\"failures\":[{\"reason\":\"NO ACTIVE INSTANCES\"}]}", NULL, ERROR_THROTTLED, "NO ACTIVE INSTANCES", true },
		{ "empty provider", "{\"failures\":[{\"reason\":\"EMPTY CAPACITY PROVIDER\"}]}", NULL, ERROR_THROTTLED, "EMPTY CAPACITY PROVIDER", true },
		{ "attribute", "{\"failures\":[{\"reason\":\"ATTRIBUTE\"}]}", NULL, ERROR_REFUSED, "ATTRIBUTE", false },
		{ "location", "{\"failures\":[{\"reason\":\"LOCATION\"}]}", NULL, ERROR_REFUSED, "LOCATION", false },
		{ "placement", "{\"failures\":[{\"reason\":\"MemberOf placement constraint unsatisfied.\"}]}", NULL, ERROR_REFUSED,
			"MemberOf placement constraint unsatisfied.", false },
		{ "inactive", "{\"failures\":[{\"reason\":\"INACTIVE\"}]}", NULL, ERROR_REFUSED, "INACTIVE", false },
		{ "something new", "{\"failures\":[{\"reason\":\"MOON PHASE\",\"detail\":\"full\"}]}", NULL, ERROR_THROTTLED, "MOON PHASE", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *doc = parse_wanted(cases[i].doc, ecs_run_reads);
		struct error err = { 0 };
		const char *arn = ecs_run_parse(doc, &err);

		if ((arn == NULL) != (cases[i].arn == NULL) || (arn != NULL && strcmp(arn, cases[i].arn) != 0) ||
		    err.kind != cases[i].kind || (strstr(cases[i].doc, "detail") != NULL && strstr(err.text, "full") == NULL) || strcmp(err.code, cases[i].code) != 0 || ecs_is_capacity(&err) != cases[i].capacity)
			fail_msg("%s: %s, %s, %s", cases[i].name, arn, error_kind_name(err.kind), err.code);
		json_decref(doc);
	}
}

static void errors_of_run_task_mean_what_they_hide(void **state)
{
	static const struct { const char *name; enum error_kind given; const char *code, *text; enum error_kind want; bool capacity; } cases[] = {
		{ "throttled", ERROR_THROTTLED, "ThrottlingException", "Rate exceeded", ERROR_THROTTLED, false },
		{ "hidden throttle of EC2", ERROR_INVALID, "InvalidParameterException", "Error retrieving security group information for "
			"[sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)", ERROR_THROTTLED, false },
		{ "hidden rate", ERROR_INVALID, "InvalidParameterException", "Rate exceeded", ERROR_THROTTLED, false },
		{ "hidden in a ClientException", ERROR_INVALID, "ClientException", "ThrottlingException: slow down", ERROR_THROTTLED, false },
		{ "task quota", ERROR_INVALID, "ClientException", "You've reached the limit on the number of tasks you can run concurrently",
			ERROR_THROTTLED, true },
		{ "vCPU quota", ERROR_INVALID, "InvalidParameterException", "You've reached the limit on the number of vCPUs you can run "
			"concurrently", ERROR_THROTTLED, true },
		{ "provisioning quota", ERROR_INVALID, "ClientException", "The PROVISIONING task quota of the cluster is reached",
			ERROR_THROTTLED, true },
		{ "bad parameter", ERROR_INVALID, "InvalidParameterException", "TaskDefinition not found.", ERROR_INVALID, false },
		{ "client exception", ERROR_INVALID, "ClientException", "TaskDefinition is inactive", ERROR_INVALID, false },
		{ "no cluster", ERROR_REFUSED, "ClusterNotFoundException", "Cluster not found.", ERROR_REFUSED, false },
		{ "no permission", ERROR_REFUSED, "AccessDeniedException", "User is not authorized", ERROR_REFUSED, false },
		{ "blocked", ERROR_REFUSED, "BlockedException", "Your account has been blocked", ERROR_REFUSED, false },
		{ "expired token", ERROR_REFUSED, "ExpiredTokenException", "expired", ERROR_TEMPORARY, false },
		{ "unknown key", ERROR_REFUSED, "UnrecognizedClientException", "the token is invalid", ERROR_TEMPORARY, false },
		{ "no credentials", ERROR_REFUSED, "", "no credentials were found", ERROR_TEMPORARY, false },
		{ "a proxy says no", ERROR_INVALID, "HTTP 404", "<html>", ERROR_AMBIGUOUS, false },
		{ "a proxy forbids", ERROR_REFUSED, "HTTP 403", "<html>", ERROR_AMBIGUOUS, false },
		{ "lost answer", ERROR_AMBIGUOUS, "", "timeout", ERROR_AMBIGUOUS, false },
		{ "server", ERROR_AMBIGUOUS, "ServerException", "", ERROR_AMBIGUOUS, false },
		{ "never sent", ERROR_TEMPORARY, "", "connection refused", ERROR_TEMPORARY, false },
		{ "conflict without a name", ERROR_INVALID, "ConflictException", "", ERROR_INVALID, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error given, err;

		error_set(&given, cases[i].given, "%s", cases[i].text);
		error_set_code(&given, cases[i].code);
		assert_null(ecs_run_error(&given, NULL, &err));
		if (err.kind != cases[i].want || ecs_is_capacity(&err) != cases[i].capacity)
			fail_msg("%s: %s %s", cases[i].name, error_kind_name(err.kind), err.code);
	}
}

static void a_conflict_names_the_task_that_was_started(void **state)
{
	json_t *doc = parse("{\"__type\":\"ConflictException\",\"resourceIds\":[\"arn:t\",\"arn:u\"]}");
	struct error given, err;

	(void)state;
	error_set(&given, ERROR_INVALID, "conflict");
	error_set_code(&given, "ConflictException");
	assert_string_equal(ecs_run_error(&given, doc, &err), "arn:t");
	error_set_code(&given, "InvalidParameterException");
	assert_null(ecs_run_error(&given, doc, &err));
	json_decref(doc);
}

static void tasks_are_known_by_either_form_of_their_name(void **state)
{
	static const struct { const char *a, *b; bool same; } cases[] = {
		{ "arn:aws:ecs:r:1:task/prod/abc", "arn:aws:ecs:r:1:task/prod/abc", true },
		{ "arn:aws:ecs:r:1:task/prod/abc", "arn:aws:ecs:r:1:task/abc", true },
		{ "arn:aws:ecs:r:1:task/prod/abc", "abc", true },
		{ "arn:aws:ecs:r:1:task/prod/abc", "arn:aws:ecs:r:1:task/prod/abd", false },
		{ "abc", "xabc", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(ecs_same_task(cases[i].a, cases[i].b), cases[i].same);
}

static void only_final_states_are_final(void **state)
{
	static const struct { const char *status; bool ended, running; } cases[] = {
		{ "PROVISIONING", false, false }, { "PENDING", false, false }, { "ACTIVATING", false, false },
		{ "RUNNING", false, true }, { "DEACTIVATING", false, false }, { "STOPPING", false, false },
		{ "DEPROVISIONING", false, false }, { "STOPPED", true, false }, { "DELETED", true, false },
		{ "LEVITATING", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *task = json_pack("{s:s}", "lastStatus", cases[i].status);

		assert_int_equal(ecs_task_ended(task), cases[i].ended);
		assert_int_equal(ecs_task_running(task), cases[i].running);
		json_decref(task);
	}
}

static void times_are_numbers_or_texts(void **state)
{
	static const struct { const char *doc; int64_t want; } cases[] = {
		{ "{\"t\":1767323047.402}", 1767323047402 }, { "{\"t\":1767323047}", 1767323047000 },
		{ "{\"t\":\"2026-01-02T03:04:07.402Z\"}", 1767323047402 }, { "{\"t\":\"yesterday\"}", 0 },
		{ "{}", 0 }, { "{\"t\":null}", 0 }, { "{\"t\":-5}", 0 }, { "{\"t\":1e300}", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *doc = parse(cases[i].doc);

		assert_int_equal(ecs_time_ms(doc, "t"), cases[i].want);
		json_decref(doc);
	}
}

static void families_are_found_in_every_form(void **state)
{
	static const struct { const char *definition, *family; } cases[] = {
		{ "deploy", "deploy" }, { "deploy:7", "deploy" },
		{ "arn:aws:ecs:us-east-1:1:task-definition/deploy:7", "deploy" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *family = ecs_family_of(cases[i].definition);

		assert_string_equal(family, cases[i].family);
		free(family);
	}
}

static void a_long_reason_is_cut_between_characters(void **state)
{
	char reason[300];
	json_t *input;

	(void)state;
	memset(reason, 'x', sizeof(reason));
	memcpy(reason + 254, "\xc3\xa9", 2);
	reason[299] = '\0';
	input = ecs_stop_input("c", "t", reason);
	assert_int_equal(strlen(json_at_string(input, "reason")), 254);
	json_decref(input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_of_run_task_are_told_apart),
		cmocka_unit_test(errors_of_run_task_mean_what_they_hide),
		cmocka_unit_test(a_conflict_names_the_task_that_was_started),
		cmocka_unit_test(tasks_are_known_by_either_form_of_their_name),
		cmocka_unit_test(only_final_states_are_final),
		cmocka_unit_test(times_are_numbers_or_texts),
		cmocka_unit_test(families_are_found_in_every_form),
		cmocka_unit_test(a_long_reason_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
