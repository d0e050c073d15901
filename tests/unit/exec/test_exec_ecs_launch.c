/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "exec_fixture.h"

static const char run[] = "RunTask";
static const char request[] = "{\"cluster\":\"prod\",\"taskDefinition\":\"deploy:7\",\"startedBy\":\"gantry/abc\"}";
static const char started[] = "{\"tasks\":[{\"taskArn\":\"arn:t1\"}],\"failures\":[]}";
static const char no_room[] = "{\"tasks\":[],\"failures\":[{\"reason\":\"RESOURCE:FARGATE\"}]}";

static void a_launch_says_what_was_frozen_and_its_token(void **state)
{
	struct fixture fixture;
	const struct fake_call *call;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(run, started);
	exec_launch(fixture.exec, request, "token-1", fixture_launched, &fixture);
	assert_int_equal(fixture.launched, 0);
	fixture_wait(&fixture);
	assert_string_equal(fixture.handle, "arn:t1");
	assert_int_equal(fixture.error.kind, ERROR_NONE);
	call = fake_aws_nth(run, 0);
	assert_string_equal(json_at_string(call->input, "clientToken"), "token-1");
	assert_string_equal(json_at_string(call->input, "startedBy"), "gantry/abc");
	fixture_end(&fixture);
}

static void an_unanswered_launch_is_repeated_with_the_same_token(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_fail(run, ERROR_AMBIGUOUS, "", "timeout", NULL);
	fake_aws_answer(run, "{}");
	fake_aws_answer(run, started);
	exec_launch(fixture.exec, request, "token-1", fixture_launched, &fixture);
	fixture_wait(&fixture);
	assert_string_equal(fixture.handle, "arn:t1");
	assert_int_equal(fake_aws_count(run), 3);
	for (size_t i = 1; i < 3; i++)
		assert_true(json_equal(fake_aws_nth(run, i)->input, fake_aws_nth(run, 0)->input));
	fixture_end(&fixture);
}

static void a_conflict_is_a_launch_that_has_happened(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_fail(run, ERROR_INVALID, "ConflictException", "conflict", "{\"resourceIds\":[\"arn:t9\"]}");
	exec_launch(fixture.exec, request, "token-1", fixture_launched, &fixture);
	fixture_wait(&fixture);
	assert_string_equal(fixture.handle, "arn:t9");
	assert_int_equal(fixture.error.kind, ERROR_NONE);
	fixture_end(&fixture);
}

static void missing_capacity_is_believed_the_second_time(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(run, no_room);
	fake_aws_answer(run, no_room);
	exec_launch(fixture.exec, request, "token-1", fixture_launched, &fixture);
	fixture_wait(&fixture);
	assert_int_equal(fixture.error.kind, ERROR_THROTTLED);
	assert_string_equal(fixture.error.code, "RESOURCE:FARGATE");
	assert_true(exec_is_capacity(&fixture.error));
	assert_int_equal(fake_aws_count(run), 2);
	assert_true(json_equal(fake_aws_nth(run, 1)->input, fake_aws_nth(run, 0)->input));
	fixture_end(&fixture);
}

static void a_task_that_was_started_beside_a_failure_is_found(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(run, no_room);
	fake_aws_answer(run, started);
	exec_launch(fixture.exec, request, "token-1", fixture_launched, &fixture);
	fixture_wait(&fixture);
	assert_string_equal(fixture.handle, "arn:t1");
	fixture_end(&fixture);
}

static void errors_end_a_launch_as_what_they_are(void **state)
{
	static const struct { const char *name; enum error_kind kind; const char *code, *text; enum error_kind want; size_t calls; } cases[] = {
		{ "invalid", ERROR_INVALID, "InvalidParameterException", "no such family", ERROR_INVALID, 1 },
		{ "refused", ERROR_REFUSED, "AccessDeniedException", "no", ERROR_REFUSED, 1 },
		{ "throttled", ERROR_THROTTLED, "ThrottlingException", "Rate exceeded", ERROR_THROTTLED, 3 },
		{ "hidden throttle", ERROR_INVALID, "InvalidParameterException", "ErrorCode: RequestLimitExceeded", ERROR_THROTTLED, 3 },
		{ "quota", ERROR_INVALID, "ClientException", "You've reached the limit on the number of tasks", ERROR_THROTTLED, 2 },
		{ "never sent", ERROR_TEMPORARY, "", "connection refused", ERROR_TEMPORARY, 3 },
		{ "server error", ERROR_AMBIGUOUS, "ServerException", "oops", ERROR_AMBIGUOUS, 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;

		fixture_begin(&fixture);
		for (int k = 0; k < 4; k++)
			fake_aws_fail(run, cases[i].kind, cases[i].code, cases[i].text, NULL);
		exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
		fixture_wait(&fixture);
		if (fixture.error.kind != cases[i].want || fake_aws_count(run) != cases[i].calls)
			fail_msg("%s: %s after %zu calls", cases[i].name, error_kind_name(fixture.error.kind), fake_aws_count(run));
		assert_string_equal(fixture.handle, "");
		fixture_end(&fixture);
	}
}

static void what_follows_a_lost_answer_stays_uncertain(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_fail(run, ERROR_AMBIGUOUS, "", "timeout", NULL);
	fake_aws_fail(run, ERROR_INVALID, "InvalidParameterException", "no such family", NULL);
	exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
	fixture_wait(&fixture);
	assert_int_equal(fixture.error.kind, ERROR_AMBIGUOUS);
	assert_non_null(strstr(fixture.error.text, "may have started"));
	fixture_end(&fixture);
}

static void a_request_that_cannot_be_read_starts_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	exec_launch(fixture.exec, "{broken", "t", fixture_launched, &fixture);
	fixture_wait(&fixture);
	assert_int_equal(fixture.error.kind, ERROR_INVALID);
	assert_int_equal(fake_aws_count(run), 0);
	fixture_end(&fixture);
}

static void a_cancelled_launch_says_nothing(void **state)
{
	struct fixture fixture;
	struct exec_launch *launch;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(run, started);
	launch = exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
	exec_launch_cancel(launch);
	fake_aws_run();
	assert_int_equal(fixture.launched, 0);
	fixture_end(&fixture);
}

static void launches_keep_to_the_rate_and_to_few_at_once(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	for (int i = 0; i < 300; i++)
		exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
	assert_int_equal(fake_aws_count(run), 20);
	clock_shift(1, 1000);
	ecs_launches_run(container_of(fixture.exec, struct exec_ecs, face)->account);
	assert_int_equal(fake_aws_count(run), 40);
	for (int i = 0; i < 10; i++) {
		clock_shift(1, 1000);
		ecs_launches_run(container_of(fixture.exec, struct exec_ecs, face)->account);
	}
	assert_int_equal(fake_aws_count(run), LIMIT_ECS_LAUNCHES);
	fixture_end(&fixture);
}

static void a_reason_that_nobody_knows_is_believed_the_third_time(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	for (int i = 0; i < 4; i++)
		fake_aws_answer(run, "{\"tasks\":[],\"failures\":[{\"reason\":\"MERCURY:RETROGRADE\"}]}");
	exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
	fixture_wait(&fixture);
	assert_int_equal(fixture.error.kind, ERROR_REFUSED);
	assert_string_equal(fixture.error.code, "MERCURY:RETROGRADE");
	assert_int_equal(fake_aws_count(run), 3);
	fixture_end(&fixture);
}

static void what_waited_too_long_for_its_turn_is_given_back_unsent(void **state)
{
	static const struct { double boot_s, wall_s; bool late; } cases[] = {
		{ 601, 601, true }, { 601, -7200, true }, { 1, 601, true }, { 1, -7200, false }, { 500, 500, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct ecs_account *account;

		fixture_begin(&fixture);
		account = container_of(fixture.exec, struct exec_ecs, face)->account;
		for (int k = 0; k < 20; k++)
			exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
		exec_launch(fixture.exec, request, "late", fixture_launched, &fixture);
		clock_shift(cases[i].boot_s, (int64_t)(cases[i].wall_s * 1000));
		ecs_launches_run(account);
		assert_int_equal(fixture.launched, 0);
		fake_aws_run();
		assert_int_equal(fake_aws_count(run), cases[i].late ? 20 : 21);
		assert_int_equal(fixture.launched, cases[i].late ? 1 : 0);
		if (cases[i].late)
			assert_int_equal(fixture.error.kind, ERROR_THROTTLED);
		assert_false(exec_is_capacity(&fixture.error));
		assert_int_equal(account->waiting, 0);
		fixture_end(&fixture);
	}
}

static void a_try_that_waits_too_long_after_a_lost_answer_stays_uncertain(void **state)
{
	struct fixture fixture, others = { 0 };
	struct ecs_account *account;
	double until_s;

	(void)state;
	fixture_begin(&fixture);
	account = container_of(fixture.exec, struct exec_ecs, face)->account;
	fake_aws_fail(run, ERROR_AMBIGUOUS, "", "timeout", NULL);
	exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
	fake_aws_run();
	for (int k = 0; k < 200; k++)
		exec_launch(fixture.exec, request, "other", fixture_launched, &others);
	/* Its next try comes behind the others. */
	for (until_s = clock_monotonic_s() + 0.5; clock_monotonic_s() < until_s;)
		ev_run(fixture.loop, EVRUN_ONCE);
	clock_shift(601, 601000);
	ecs_launches_run(account);
	fake_aws_run();
	assert_int_equal(account->waiting, 0);
	assert_int_equal(fixture.launched, 1);
	assert_int_equal(fixture.error.kind, ERROR_AMBIGUOUS);
	assert_true(others.launched > 100);
	assert_int_equal(others.error.kind, ERROR_THROTTLED);
	fixture_end(&fixture);
}

static struct { char bucket[256]; unsigned want; exec_rate_fn *done; void *arg; } asked_rate;

static void take_rate(void *arg, const struct exec_rate_ask *ask, exec_rate_fn *done, void *done_arg)
{
	(void)arg;
	snprintf(asked_rate.bucket, sizeof(asked_rate.bucket), "%s", ask->bucket);
	asked_rate.want = ask->want;
	asked_rate.done = done;
	asked_rate.arg = done_arg;
}

static void launches_wait_for_the_rate_that_all_share(void **state)
{
	static const struct exec_rates rates = { .take = take_rate };
	static const char with_account[] = "{\"tasks\":[{\"taskArn\":\"arn:aws:ecs:us-east-1:123456789012:task/prod/a\"}]}";
	struct fixture fixture;

	(void)state;
	fixture_begin_sharing(&fixture, &rates);
	for (int i = 0; i < 5; i++)
		exec_launch(fixture.exec, request, "t", fixture_launched, &fixture);
	assert_int_equal(fake_aws_count(run), 0);
	assert_string_equal(asked_rate.bucket, "ecs/us-east-1/unknown/RunTask");
	/* The first ask was for the first of them; what has come since is asked for next. */
	assert_int_equal(asked_rate.want, 1);
	fake_aws_answer(run, with_account);
	asked_rate.done(asked_rate.arg, 1, 0, 20, NULL);
	assert_int_equal(fake_aws_count(run), 1);
	fixture_wait(&fixture);
	clock_shift(1, 1000);
	ecs_launches_run(container_of(fixture.exec, struct exec_ecs, face)->account);
	assert_string_equal(asked_rate.bucket, "ecs/us-east-1/123456789012/RunTask");
	assert_true(asked_rate.want >= 4);
	asked_rate.done(asked_rate.arg, 3, 0, 20, NULL);
	assert_int_equal(fake_aws_count(run), 4);
	asked_rate.done = NULL;
	clock_shift(1, 1000);
	ecs_launches_run(container_of(fixture.exec, struct exec_ecs, face)->account);
	assert_non_null(asked_rate.done);
	fixture_end(&fixture);
	/* The deployer is gone; the store answers all the same. */
	asked_rate.done(asked_rate.arg, 3, 0, 20, NULL);
}

static void list_of(const char *action, const char *first, const char *second)
{
	fake_aws_answer(action, first);
	if (second != NULL)
		fake_aws_answer(action, second);
}

static int64_t minutes_ago(int minutes)
{
	return clock_wall_ms() - (int64_t)minutes * 60000;
}

static void a_look_finds_what_runs_and_what_has_stopped(void **state)
{
	static const char none[] = "{\"taskArns\":[]}";
	static const char one[] = "{\"taskArns\":[\"arn:t1\"]}";
	static const char ours[] = "{\"tasks\":[{\"taskArn\":\"arn:t0\",\"startedBy\":\"gantry/xyz\"},"
		"{\"taskArn\":\"arn:t1\",\"startedBy\":\"gantry/abc\"}]}";
	static const char others[] = "{\"tasks\":[{\"taskArn\":\"arn:t0\",\"startedBy\":\"gantry/xyz\"},{\"taskArn\":\"arn:t2\"}]}";
	static const struct { const char *name, *running, *stopped, *first, *second; int age_min; const char *handle; enum error_kind kind; } cases[] = {
		{ "it runs", one, NULL, ours, NULL, 10, "arn:t1", ERROR_NONE },
		{ "it has stopped", none, one, ours, NULL, 10, "arn:t1", ERROR_NONE },
		{ "an emulator lists all: others run, ours stopped", one, one, others, ours, 10, "arn:t1", ERROR_NONE },
		{ "only others", none, one, others, NULL, 10, "", ERROR_NONE },
		{ "nothing", none, none, NULL, NULL, 10, "", ERROR_NONE },
		{ "nothing, too late to know", none, none, NULL, NULL, 120, "", ERROR_LOST },
		{ "listed as ours, not described yet", one, NULL, "{\"tasks\":[]}", NULL, 10, "", ERROR_TEMPORARY },
		{ "late but there", one, NULL, ours, NULL, 120, "arn:t1", ERROR_NONE },
		{ "nothing, and the clock was set back since", none, none, NULL, NULL, -30, "", ERROR_LOST },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;

		fixture_begin(&fixture);
		list_of("ListTasks", cases[i].running, cases[i].stopped);
		if (cases[i].first != NULL)
			list_of("DescribeTasks", cases[i].first, cases[i].second);
		exec_look(fixture.exec, request, "t", minutes_ago(cases[i].age_min), fixture_launched, &fixture);
		fixture_pass(&fixture, 3);
		assert_int_equal(fixture.launched, 1);
		if (strcmp(fixture.handle, cases[i].handle) != 0 || fixture.error.kind != cases[i].kind)
			fail_msg("%s: \"%s\" %s", cases[i].name, fixture.handle, fixture.error.text);
		assert_string_equal(json_at_string(fake_aws_nth("ListTasks", 0)->input, "startedBy"), "gantry/abc");
		assert_null(json_at(fake_aws_nth("ListTasks", 0)->input, "desiredStatus"));
		fixture_end(&fixture);
	}
}

static void a_look_waits_until_the_last_launch_could_be_seen(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	exec_look(fixture.exec, request, "t", minutes_ago(5), fixture_launched, &fixture);
	fake_aws_run();
	assert_int_equal(fake_aws_count("ListTasks"), 0);
	fixture_pass(&fixture, 3);
	assert_int_equal(fake_aws_count("ListTasks"), 1);
	fixture_end(&fixture);
}

static void a_look_goes_through_all_pages(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer("ListTasks", "{\"taskArns\":[]}");
	fake_aws_answer("ListTasks", "{\"taskArns\":[\"arn:a\"],\"nextToken\":\"p2\"}");
	fake_aws_answer("ListTasks", "{\"taskArns\":[\"arn:b\"]}");
	fake_aws_answer("DescribeTasks", "{\"tasks\":[]}");
	fake_aws_answer("DescribeTasks", "{\"tasks\":[{\"taskArn\":\"arn:b\",\"startedBy\":\"gantry/abc\"}]}");
	exec_look(fixture.exec, request, "t", minutes_ago(5), fixture_launched, &fixture);
	fixture_pass(&fixture, 3);
	assert_int_equal(fixture.launched, 1);
	assert_string_equal(fixture.handle, "arn:b");
	assert_string_equal(json_at_string(fake_aws_nth("ListTasks", 1)->input, "desiredStatus"), "STOPPED");
	assert_string_equal(json_at_string(fake_aws_nth("ListTasks", 1)->input, "family"), "deploy");
	assert_string_equal(json_at_string(fake_aws_nth("ListTasks", 2)->input, "nextToken"), "p2");
	fixture_end(&fixture);
}

static json_t *one_more_page(const json_t *input, void *arg)
{
	const char *desired = json_at_string(input, "desiredStatus");

	(void)arg;
	if (desired == NULL)
		return json_pack("{s:[]}", "taskArns");
	return json_pack("{s:[s],s:s}", "taskArns", "arn:a", "nextToken", "more");
}

static json_t *none_of_ours(const json_t *input, void *arg)
{
	(void)input, (void)arg;
	return json_pack("{s:[{s:s,s:s}]}", "tasks", "taskArn", "arn:a", "startedBy", "somebody");
}

static void a_look_that_never_ends_says_so_and_logs_it(void **state)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct fixture fixture;
	char said[4096] = "";

	(void)state;
	fixture_begin(&fixture);
	log_open_fd(fd, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN);
	fake_aws_otherwise("ListTasks", one_more_page, NULL);
	fake_aws_otherwise("DescribeTasks", none_of_ours, NULL);
	exec_look(fixture.exec, request, "t", minutes_ago(5), fixture_launched, &fixture);
	fixture_pass(&fixture, 3);
	log_open_fd(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	assert_int_equal(fixture.launched, 1);
	assert_int_equal(fixture.error.kind, ERROR_LOST);
	assert_non_null(strstr(fixture.error.text, "too many to look through"));
	assert_int_equal(fake_aws_count("ListTasks"), 101);
	assert_true(pread(fd, said, sizeof(said) - 1, 0) > 0);
	assert_non_null(strstr(said, "more than 10000 stopped tasks of deploy"));
	close(fd);
	fixture_end(&fixture);
}

static void a_look_that_fails_says_so(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_fail("ListTasks", ERROR_THROTTLED, "ThrottlingException", "Rate exceeded", NULL);
	exec_look(fixture.exec, request, "t", minutes_ago(5), fixture_launched, &fixture);
	fixture_pass(&fixture, 3);
	assert_int_equal(fixture.launched, 1);
	assert_int_equal(fixture.error.kind, ERROR_THROTTLED);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_launch_says_what_was_frozen_and_its_token),
		cmocka_unit_test(an_unanswered_launch_is_repeated_with_the_same_token),
		cmocka_unit_test(a_conflict_is_a_launch_that_has_happened),
		cmocka_unit_test(missing_capacity_is_believed_the_second_time),
		cmocka_unit_test(a_task_that_was_started_beside_a_failure_is_found),
		cmocka_unit_test(errors_end_a_launch_as_what_they_are),
		cmocka_unit_test(what_follows_a_lost_answer_stays_uncertain),
		cmocka_unit_test(a_request_that_cannot_be_read_starts_nothing),
		cmocka_unit_test(a_cancelled_launch_says_nothing),
		cmocka_unit_test(launches_keep_to_the_rate_and_to_few_at_once),
		cmocka_unit_test(a_reason_that_nobody_knows_is_believed_the_third_time),
		cmocka_unit_test(what_waited_too_long_for_its_turn_is_given_back_unsent),
		cmocka_unit_test(a_try_that_waits_too_long_after_a_lost_answer_stays_uncertain),
		cmocka_unit_test(launches_wait_for_the_rate_that_all_share),
		cmocka_unit_test(a_look_finds_what_runs_and_what_has_stopped),
		cmocka_unit_test(a_look_waits_until_the_last_launch_could_be_seen),
		cmocka_unit_test(a_look_goes_through_all_pages),
		cmocka_unit_test(a_look_that_never_ends_says_so_and_logs_it),
		cmocka_unit_test(a_look_that_fails_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
