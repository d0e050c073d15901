/* SPDX-License-Identifier: Apache-2.0 */
/* What is heard of tasks, and tasks that do not come to run. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "exec_fixture.h"

static const char describe[] = "DescribeTasks";
static const char stop[] = "StopTask";

static json_t *task_of(const char *arn, const char *status, int version)
{
	bool ended = strcmp(status, "STOPPED") == 0;
	json_t *task = json_pack("{s:s, s:s, s:i, s:[{s:s}]}", "taskArn", arn, "lastStatus", status, "version", version,
		"containers", "name", "app");

	if (ended || strcmp(status, "RUNNING") == 0)
		json_object_set_new(task, "startedAt", json_string("2026-01-02T03:04:07.500Z"));
	if (ended) {
		json_object_set_new(task, "stopCode", json_string("EssentialContainerExited"));
		json_object_set_new(json_array_get(json_object_get(task, "containers"), 0), "exitCode", json_integer(0));
	}
	return task;
}

static bool hear(struct fixture *fixture, const char *arn, const char *status, int version)
{
	json_t *doc = status != NULL ? task_of(arn, status, version) : NULL;
	bool ours = exec_hear(fixture->exec, arn, doc);

	json_decref(doc);
	return ours;
}

/* Every task is in the state that arg names. */
static json_t *all_are(const json_t *input, void *arg)
{
	json_t *tasks = json_array();
	const json_t *arn;
	size_t i;

	json_array_foreach(json_object_get(input, "tasks"), i, arn)
		json_array_append_new(tasks, task_of(json_string_value(arn), arg, 2));
	return json_pack("{s:o}", "tasks", tasks);
}

static void an_event_is_judged_like_a_look(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	fixture_watch(&fixture, &watched, "arn:aws:ecs:us-east-1:000000000000:task/prod/t1", 0);
	assert_true(hear(&fixture, "arn:aws:ecs:us-east-1:000000000000:task/prod/t1", "RUNNING", 3));
	assert_int_equal(fixture.started, 0);
	fake_aws_run();
	assert_int_equal(fixture.started, 1);
	assert_int_equal(fixture.started_ms, 1767323047500);
	assert_true(hear(&fixture, "arn:aws:ecs:us-east-1:000000000000:task/prod/t1", "STOPPED", 5));
	assert_true(hear(&fixture, "arn:aws:ecs:us-east-1:000000000000:task/prod/t1", "STOPPED", 5));
	assert_int_equal(fixture.ended, 0);
	fake_aws_run();
	assert_int_equal(fixture.ended, 1);
	assert_int_equal(fixture.end.result.state, JOB_SUCCEEDED);
	assert_int_equal(fake_aws_count(describe), 0);
	assert_false(hear(&fixture, "arn:aws:ecs:us-east-1:000000000000:task/prod/t1", "STOPPED", 6));
	fixture_end(&fixture);
}

static void what_nobody_watches_is_not_ours(void **state)
{
	struct fixture fixture;
	struct watched watched;
	struct exec_watch *watch;

	(void)state;
	fixture_begin(&fixture);
	watch = fixture_watch(&fixture, &watched, "arn/t1", 0);
	assert_false(hear(&fixture, "arn/t2", "STOPPED", 3));
	assert_false(hear(&fixture, "arn/t2", NULL, 0));
	exec_unwatch(watch);
	assert_false(hear(&fixture, "arn/t1", "STOPPED", 3));
	fake_aws_run();
	assert_int_equal(fixture.ended, 0);
	fixture_end(&fixture);
}

static void what_is_older_than_what_was_seen_counts_for_nothing(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	fixture_watch(&fixture, &watched, "arn/t1", 100);
	hear(&fixture, "arn/t1", "PENDING", 4);
	hear(&fixture, "arn/t1", "RUNNING", 3);
	fake_aws_run();
	assert_int_equal(fixture.started, 0);
	hear(&fixture, "arn/t1", "RUNNING", 4);
	fake_aws_run();
	assert_int_equal(fixture.started, 1);
	/* A look may be late too. */
	fake_aws_otherwise(describe, all_are, (void *)"STOPPED");
	fixture_pass(&fixture, 31);
	assert_int_equal(fake_aws_count(describe), 1);
	assert_int_equal(fixture.ended, 0);
	fixture_end(&fixture);
}

static const char ended_in_5[] = "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"STOPPED\",\"version\":5}]}";

static void begin_with_a_look_under_way(struct fixture *fixture, struct watched *watched)
{
	fixture_begin(fixture);
	fixture_watch(fixture, watched, "arn/t1", 100);
	fixture_pass(fixture, 0);
	assert_int_equal(fake_aws_open(describe), 1);
}

static void a_look_that_is_older_than_what_was_heard_counts_for_nothing(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	begin_with_a_look_under_way(&fixture, &watched);
	hear(&fixture, "arn/t1", "RUNNING", 6);
	fake_aws_reply(describe, ended_in_5);
	fake_aws_run();
	assert_int_equal(fixture.ended, 0);
	fixture_end(&fixture);
}

static void an_end_that_is_heard_during_a_look_is_told_once(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	begin_with_a_look_under_way(&fixture, &watched);
	fake_aws_reply(describe, ended_in_5);
	hear(&fixture, "arn/t1", "STOPPED", 5);
	fake_aws_run();
	assert_int_equal(fixture.ended, 1);
	assert_int_equal(fixture.end.result.state, JOB_SUCCEEDED);
	fixture_end(&fixture);
}

static void news_without_a_document_are_asked_after_together(void **state)
{
	struct fixture fixture;
	struct watched watched[3];

	(void)state;
	fixture_begin(&fixture);
	exec_set_events(fixture.exec, true);
	fake_aws_otherwise(describe, all_are, (void *)"RUNNING");
	fixture_watch(&fixture, &watched[0], "arn/t0", 100);
	fixture_watch(&fixture, &watched[1], "arn/t1", 100);
	fixture_watch(&fixture, &watched[2], "arn/t2", 100);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 1);
	fixture_pass(&fixture, 60);
	assert_true(hear(&fixture, "arn/t0", NULL, 0));
	assert_true(hear(&fixture, "arn/t2", NULL, 0));
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 1);
	fixture_pass(&fixture, 0.3);
	assert_int_equal(fake_aws_count(describe), 2);
	assert_int_equal(json_array_size(json_at(fake_aws_nth(describe, 1)->input, "tasks")), 2);
	/* News of a task that is just being asked about may be newer than the answer. */
	assert_true(hear(&fixture, "arn/t0", NULL, 0));
	fixture_pass(&fixture, 0.3);
	hear(&fixture, "arn/t0", NULL, 0);
	fixture_pass(&fixture, 0.3);
	assert_int_equal(fake_aws_count(describe), 4);
	fixture_end(&fixture);
}

static void news_during_a_look_bring_another(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	exec_set_events(fixture.exec, true);
	fixture_watch(&fixture, &watched, "arn/t1", 100);
	fixture_pass(&fixture, 0);
	hear(&fixture, "arn/t1", NULL, 0);
	assert_int_equal(fake_aws_count(describe), 1);
	fake_aws_reply(describe, "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"RUNNING\"}]}");
	fake_aws_run();
	fixture_pass(&fixture, 0.3);
	assert_int_equal(fake_aws_count(describe), 2);
	fixture_end(&fixture);
}

static void older_news_do_not_put_off_the_look_that_newer_ones_ask_for(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	exec_set_events(fixture.exec, true);
	fake_aws_otherwise(describe, all_are, (void *)"RUNNING");
	fixture_watch(&fixture, &watched, "arn/t1", 100);
	fixture_pass(&fixture, 0);
	fixture_pass(&fixture, 60);
	assert_int_equal(fake_aws_count(describe), 1);
	hear(&fixture, "arn/t1", NULL, 0);
	hear(&fixture, "arn/t1", "RUNNING", 2);
	hear(&fixture, "arn/t1", "DEACTIVATING", 3);
	fixture_pass(&fixture, 0.3);
	assert_int_equal(fake_aws_count(describe), 2);
	fixture_pass(&fixture, 60);
	assert_int_equal(fake_aws_count(describe), 2);
	fixture_end(&fixture);
}

static void rubbish_is_asked_after(void **state)
{
	static const char *const docs[] = {
		"{}", "[]", "{\"taskArn\":\"arn/other\",\"lastStatus\":\"STOPPED\"}", "{\"taskArn\":\"arn/t1\"}",
		"{\"taskArn\":7,\"lastStatus\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		struct fixture fixture;
		struct watched watched;
		json_t *doc = json_at_parse(docs[i], strlen(docs[i]), NULL);

		fixture_begin(&fixture);
		fixture_watch(&fixture, &watched, "arn/t1", 0);
		assert_true(exec_hear(fixture.exec, "arn/t1", doc));
		fixture_pass(&fixture, 0.3);
		assert_int_equal(fake_aws_count(describe), 1);
		assert_int_equal(fixture.ended, 0);
		json_decref(doc);
		fixture_end(&fixture);
	}
}

static size_t looks_within(struct fixture *fixture, double seconds)
{
	size_t before = fake_aws_count(describe);

	for (double passed_s = 0; passed_s < seconds; passed_s += 5)
		fixture_pass(fixture, 5);
	return fake_aws_count(describe) - before;
}

static void events_make_looks_a_slow_sweep(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_otherwise(describe, all_are, (void *)"RUNNING");
	exec_set_events(fixture.exec, true);
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	/* The first changes may have come before the watch. */
	assert_int_equal(looks_within(&fixture, 10), 1);
	assert_int_equal(looks_within(&fixture, 280), 0);
	assert_in_range(looks_within(&fixture, 3100), 9, 11);
	exec_set_events(fixture.exec, false);
	assert_in_range(looks_within(&fixture, 300), 9, 11);
	exec_set_events(fixture.exec, true);
	assert_in_range(looks_within(&fixture, 300), 1, 2);
	fixture_end(&fixture);
}

/* Its end was told to another worker before the watch began; an older event came late. */
static void what_is_heard_first_does_not_put_off_the_first_look(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	exec_set_events(fixture.exec, true);
	fake_aws_otherwise(describe, all_are, (void *)"STOPPED");
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	hear(&fixture, "arn/t1", "PENDING", 1);
	fixture_pass(&fixture, 0.6);
	hear(&fixture, "arn/t1", "RUNNING", 2);
	fixture_pass(&fixture, 0.6);
	assert_int_equal(fake_aws_count(describe), 1);
	assert_int_equal(fixture.ended, 1);
	fixture_end(&fixture);
}

static void a_task_that_cannot_be_seen_yet_is_no_case_for_the_sweep(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	exec_set_events(fixture.exec, true);
	fake_aws_answer(describe, "{\"tasks\":[],\"failures\":[{\"arn\":\"arn/t1\",\"reason\":\"MISSING\"}]}");
	fake_aws_otherwise(describe, all_are, (void *)"RUNNING");
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	fixture_pass(&fixture, 1.1);
	fixture_pass(&fixture, 2.1);
	assert_int_equal(fixture.started, 1);
	assert_int_equal(fake_aws_count(describe), 2);
	fixture_end(&fixture);
}

/* -- tasks that do not come to run ------------------------------------------------------------------ */

static const char given_up[] = "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"STOPPED\",\"stopCode\":\"UserInitiated\","
	"\"stoppedReason\":\"gantry: provisioning timeout: PENDING 61 s after its launch, and not running\","
	"\"containers\":[{\"name\":\"app\"}]}]}";

static void a_task_that_does_not_come_to_run_is_stopped(void **state)
{
	static const char *const states[] = { "PROVISIONING", "PENDING", "ACTIVATING" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		for (int events = 0; events < 2; events++) {
			struct fixture fixture;
			struct watched watched;

			fixture_begin(&fixture);
			fixture.conf.provisioning_timeout_ms = 60000;
			exec_set_events(fixture.exec, events);
			fake_aws_otherwise(describe, all_are, (void *)states[i]);
			fake_aws_answer(stop, "{}");
			fixture_watch(&fixture, &watched, "arn/t1", 0);
			for (int s = 0; s < 59; s++)
				fixture_pass(&fixture, 1);
			assert_int_equal(fake_aws_count(stop), 0);
			fixture_pass(&fixture, 1.2);
			assert_int_equal(fake_aws_count(stop), 1);
			assert_non_null(strstr(json_at_string(fake_aws_nth(stop, 0)->input, "reason"), states[i]));
			fake_aws_answer(describe, given_up);
			fixture_pass(&fixture, 2.1);
			assert_int_equal(fixture.ended, 1);
			assert_int_equal(fixture.end.result.state, JOB_FAILED);
			assert_string_equal(fixture.end.result.reason, "provisioning_timeout");
			assert_int_equal(fixture.end.retry, EXEC_RETRY_INFRASTRUCTURE);
			assert_non_null(strstr(fixture.end.result.detail, "not running"));
			assert_int_equal(fake_aws_count(stop), 1);
			fixture_end(&fixture);
		}
	}
}

static void a_task_that_came_to_run_in_time_is_left_alone(void **state)
{
	static const struct { const char *name, *status; int64_t timeout_ms; } cases[] = {
		{ "running", "RUNNING", 60000 }, { "no timeout", "PENDING", 0 }, { "a state that we don't know", "BLESSED", 60000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct watched watched;

		fixture_begin(&fixture);
		fixture.conf.provisioning_timeout_ms = cases[i].timeout_ms;
		fake_aws_otherwise(describe, all_are, (void *)cases[i].status);
		/* A new owner sees it for the first time, long after its launch. */
		fixture_watch(&fixture, &watched, "arn/t1", 600);
		for (int s = 0; s < 20; s++)
			fixture_pass(&fixture, 10);
		if (fake_aws_count(stop) != 0)
			fail_msg("%s", cases[i].name);
		fixture_end(&fixture);
	}
}

static void the_time_to_run_counts_from_the_launch_for_a_new_owner_too(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	fixture.conf.provisioning_timeout_ms = 60000;
	fake_aws_otherwise(describe, all_are, (void *)"PENDING");
	fixture_watch(&fixture, &watched, "arn/t1", 50);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(stop), 0);
	fixture_pass(&fixture, 10.2);
	assert_int_equal(fake_aws_count(stop), 1);
	fixture_end(&fixture);
}

static void a_stop_by_the_caller_wins_over_ours(void **state)
{
	struct fixture fixture;
	struct watched watched;
	struct exec_watch *watch;

	(void)state;
	fixture_begin(&fixture);
	fixture.conf.provisioning_timeout_ms = 60000;
	fake_aws_otherwise(describe, all_are, (void *)"PENDING");
	watch = fixture_watch(&fixture, &watched, "arn/t1", 70);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(stop), 1);
	exec_stop(watch, "gantry: cancelled");
	fake_aws_answer(describe, given_up);
	fixture_pass(&fixture, 3);
	assert_int_equal(fixture.ended, 1);
	assert_int_equal(fixture.end.result.state, JOB_CANCELLED);
	assert_int_equal(fixture.end.retry, EXEC_RETRY_NO);
	fixture_end(&fixture);
}

static void a_task_is_stopped_before_it_runs(void **state)
{
	static const struct { const char *code, *reason; enum job_state state; } cases[] = {
		{ "UserInitiated", "gantry: cancelled", JOB_CANCELLED },
		{ "TaskFailedToStart", "gantry: cancelled", JOB_CANCELLED },
		{ "TaskFailedToStart", "CannotPullContainerError: no such image", JOB_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct watched watched;
		struct exec_watch *watch;
		char end[512];

		fixture_begin(&fixture);
		fake_aws_otherwise(describe, all_are, (void *)"PROVISIONING");
		watch = fixture_watch(&fixture, &watched, "arn/t1", 0);
		fixture_pass(&fixture, 1.1);
		fake_aws_answer(stop, "{}");
		exec_stop(watch, "gantry: cancelled");
		fake_aws_run();
		snprintf(end, sizeof(end), "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"STOPPED\",\"stopCode\":\"%s\","
			"\"stoppedReason\":\"%s\",\"containers\":[{\"name\":\"app\"}]}]}", cases[i].code, cases[i].reason);
		fake_aws_answer(describe, end);
		fixture_pass(&fixture, 1.1);
		assert_int_equal(fixture.ended, 1);
		assert_int_equal(fixture.end.result.state, cases[i].state);
		assert_int_equal(fixture.started, 0);
		fixture_end(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_judged_like_a_look),
		cmocka_unit_test(what_nobody_watches_is_not_ours),
		cmocka_unit_test(what_is_older_than_what_was_seen_counts_for_nothing),
		cmocka_unit_test(a_look_that_is_older_than_what_was_heard_counts_for_nothing),
		cmocka_unit_test(an_end_that_is_heard_during_a_look_is_told_once),
		cmocka_unit_test(news_without_a_document_are_asked_after_together),
		cmocka_unit_test(news_during_a_look_bring_another),
		cmocka_unit_test(older_news_do_not_put_off_the_look_that_newer_ones_ask_for),
		cmocka_unit_test(rubbish_is_asked_after),
		cmocka_unit_test(events_make_looks_a_slow_sweep),
		cmocka_unit_test(what_is_heard_first_does_not_put_off_the_first_look),
		cmocka_unit_test(a_task_that_cannot_be_seen_yet_is_no_case_for_the_sweep),
		cmocka_unit_test(a_task_that_does_not_come_to_run_is_stopped),
		cmocka_unit_test(a_task_that_came_to_run_in_time_is_left_alone),
		cmocka_unit_test(the_time_to_run_counts_from_the_launch_for_a_new_owner_too),
		cmocka_unit_test(a_stop_by_the_caller_wins_over_ours),
		cmocka_unit_test(a_task_is_stopped_before_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
