/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "exec_fixture.h"

static const char describe[] = "DescribeTasks";
static const char running[] = "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"RUNNING\",\"startedAt\":1767323047.5,"
	"\"containers\":[{\"name\":\"app\"}]}]}";
static const char pending[] = "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"PENDING\"}]}";
static const char stopping[] = "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"STOPPING\",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}]}";
static const char stopped[] = "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"STOPPED\",\"stopCode\":\"EssentialContainerExited\","
	"\"startedAt\":1767323047.5,\"stoppedAt\":1767323050,\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}]}";
/* 0.4 s after it was created. */
static const char short_one[] = "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"STOPPED\",\"createdAt\":1767323049.6,"
	"\"stoppedAt\":1767323050,\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}]}";
static const char missing[] = "{\"tasks\":[],\"failures\":[{\"arn\":\"arn/t1\",\"reason\":\"MISSING\"}]}";

/* Everybody runs. */
static json_t *all_run(const json_t *input, void *arg)
{
	json_t *tasks = json_array();
	const json_t *arn;
	size_t i;

	(void)arg;
	json_array_foreach(json_object_get(input, "tasks"), i, arn)
		json_array_append_new(tasks, json_pack("{s:O, s:s}", "taskArn", arn, "lastStatus", "RUNNING"));
	return json_pack("{s:o}", "tasks", tasks);
}

static json_t *all_missing(const json_t *input, void *arg)
{
	json_t *failures = json_array();
	const json_t *arn;
	size_t i;

	(void)arg;
	json_array_foreach(json_object_get(input, "tasks"), i, arn)
		json_array_append_new(failures, json_pack("{s:O, s:s}", "arn", arn, "reason", "MISSING"));
	return json_pack("{s:[], s:o}", "tasks", "failures", failures);
}

static size_t asked(size_t call)
{
	return json_array_size(json_at(fake_aws_nth(describe, call)->input, "tasks"));
}

static void a_short_task_is_seen_through(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(describe, pending);
	fake_aws_answer(describe, running);
	fake_aws_answer(describe, running);
	fake_aws_answer(describe, stopping);
	fake_aws_answer(describe, stopped);
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 0);
	fixture_pass(&fixture, 1.01);
	assert_int_equal(fixture.started, 0);
	fixture_pass(&fixture, 1.01);
	assert_int_equal(fixture.started, 1);
	assert_int_equal(fixture.started_ms, 1767323047500);
	fixture_pass(&fixture, 1.01);
	fixture_pass(&fixture, 1.01);
	assert_int_equal(fixture.ended, 0);
	fixture_pass(&fixture, 1.01);
	assert_int_equal(fixture.started, 1);
	assert_int_equal(fixture.ended, 1);
	assert_int_equal(fixture.end.result.state, JOB_SUCCEEDED);
	assert_int_equal(fixture.end.stopped_ms, 1767323050000);
	fixture_pass(&fixture, 60);
	assert_int_equal(fake_aws_count(describe), 5);
	fixture_end(&fixture);
}

static struct ecs_watch *watch_of(struct exec_watch *face)
{
	return container_of(face, struct ecs_watch, face);
}

/* That it is looked at first so long after its launch; between two readings of the clock the machine may stand still. */
static void assert_first_look(struct fixture *fixture, const char *arn, double age_s, double first_s)
{
	double begun_s = clock_monotonic_s();
	struct watched watched;
	struct exec_watch *watch = fixture_watch(fixture, &watched, arn, age_s);
	double due_s = watch_of(watch)->entry.due_s;

	/* An age is in whole milliseconds. */
	assert_true(due_s >= begun_s + first_s - age_s - 0.01);
	assert_true(due_s <= clock_monotonic_s() + first_s - age_s + 0.001);
	exec_unwatch(watch);
}

static void what_a_task_took_tells_when_to_look_at_the_next(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	assert_first_look(&fixture, "arn/t0", 0, 1);
	fake_aws_answer(describe, short_one);
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	fixture_pass(&fixture, 1.01);
	assert_int_equal(fixture.ended, 1);
	assert_first_look(&fixture, "arn/t2", 0, 0.56);
	assert_first_look(&fixture, "arn/t3", 0.5, 0.56);
	/* A launch by a clock that is ahead of ours. */
	assert_first_look(&fixture, "arn/t4", -20, 0.56 - 20);
	fixture_end(&fixture);
}

static void look_in_vain(const char *answer)
{
	struct fixture fixture;
	struct watched watched;
	struct ecs_watch *watch;
	double begun_s;

	fixture_begin(&fixture);
	fake_aws_answer(describe, short_one);
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	fixture_pass(&fixture, 1.01);
	fake_aws_answer(describe, answer);
	watch = watch_of(fixture_watch(&fixture, &watched, "arn/t2", 0));
	begun_s = clock_monotonic_s();
	fixture_pass(&fixture, 0.57);
	assert_int_equal(fake_aws_count(describe), 2);
	assert_true(watch->entry.due_s >= begun_s + 0.57 * 2 - 0.01);
	assert_true(watch->entry.due_s <= clock_monotonic_s() + 1);
	if (clock_monotonic_s() < begun_s + 0.8)
		assert_true(watch->entry.due_s < begun_s + 1.6);
	fixture_end(&fixture);
}

static void a_look_in_vain_is_followed_by_another_before_long(void **state)
{
	(void)state;
	look_in_vain("{\"tasks\":[{\"taskArn\":\"arn/t2\",\"lastStatus\":\"RUNNING\"}]}");
	look_in_vain("{\"tasks\":[],\"failures\":[{\"arn\":\"arn/t2\",\"reason\":\"MISSING\"}]}");
}

static void what_was_stopped_tells_nothing_of_others(void **state)
{
	struct fixture fixture;
	struct watched watched;
	struct exec_watch *watch;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer("StopTask", "{}");
	watch = fixture_watch(&fixture, &watched, "arn/t1", 0);
	exec_stop(watch, "enough");
	fake_aws_run();
	fake_aws_answer(describe, short_one);
	fixture_pass(&fixture, 2.01);
	assert_int_equal(fixture.ended, 1);
	assert_first_look(&fixture, "arn/t2", 0, 1);
	fixture_end(&fixture);
}

static void a_task_that_ended_unseen_is_told_as_started_first(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(describe, stopped);
	fixture_watch(&fixture, &watched, "arn/t1", 4000);
	fixture_pass(&fixture, 0);
	assert_int_equal(fixture.started, 1);
	assert_int_equal(fixture.started_ms, 1767323047500);
	assert_int_equal(fixture.ended, 1);
	fixture_end(&fixture);
}

static void a_new_task_may_be_missing_for_a_while(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	for (int i = 0; i < 3; i++)
		fake_aws_answer(describe, missing);
	fake_aws_answer(describe, stopped);
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	fixture_pass(&fixture, 1.01);
	fixture_pass(&fixture, 1.5);
	assert_int_equal(fake_aws_count(describe), 1);
	for (int i = 0; i < 3; i++)
		fixture_pass(&fixture, 2.01);
	assert_int_equal(fixture.ended, 1);
	assert_int_equal(fixture.end.result.state, JOB_SUCCEEDED);
	fixture_end(&fixture);
}

static void a_task_that_stays_missing_is_unknown(void **state)
{
	static const double ages_s[] = { 0, 3600 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ages_s); i++) {
		struct fixture fixture;
		struct watched watched;
		double waited_s = 0;

		fixture_begin(&fixture);
		fake_aws_otherwise(describe, all_missing, NULL);
		fixture_watch(&fixture, &watched, "arn/t1", ages_s[i]);
		for (; fixture.ended == 0 && waited_s < 1000; waited_s += 5)
			fixture_pass(&fixture, 5);
		assert_in_range((int)waited_s, 295, 345);
		assert_int_equal(fixture.end.result.state, JOB_FAILED);
		assert_string_equal(fixture.end.result.reason, "unknown");
		assert_true(fake_aws_count(describe) >= 2);
		fixture_end(&fixture);
	}
}

static void one_missing_among_others_proves_nothing(void **state)
{
	struct fixture fixture;
	struct watched watched;

	(void)state;
	fixture_begin(&fixture);
	fixture_watch(&fixture, &watched, "arn/t1", 3600);
	for (int i = 0; i < 30; i++) {
		fake_aws_answer(describe, i % 2 == 0 ? missing : running);
		fixture_pass(&fixture, 31);
	}
	assert_int_equal(fixture.ended, 0);
	fixture_end(&fixture);
}

/* ECS promises no order; t1 it does not speak of, t3 it does not know. */
static void an_answer_may_have_any_order(void **state)
{
	static const char *const names[] = { "arn/t0", "arn/t1", "arn/t2", "arn/t3", "arn/t4" };
	static const bool ends[] = { true, false, true, false, true };
	static const char mixed[] = "{\"tasks\":[{\"taskArn\":\"arn/t4\",\"lastStatus\":\"STOPPED\"},"
		"{\"taskArn\":\"arn/t0\",\"lastStatus\":\"STOPPED\"},{\"taskArn\":\"arn/t2\",\"lastStatus\":\"STOPPED\"}],"
		"\"failures\":[{\"arn\":\"arn/t3\",\"reason\":\"MISSING\"}]}";
	struct watched watched[ARRAY_SIZE(names)];
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(describe, mixed);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		fixture_watch(&fixture, &watched[i], names[i], 100);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(watched[i].ended, ends[i]);
	fixture_end(&fixture);
}

static void a_hundred_fit_into_a_call(void **state)
{
	static struct watched watched[250];
	static char names[250][32];
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_otherwise(describe, all_run, NULL);
	for (int i = 0; i < 250; i++) {
		snprintf(names[i], sizeof(names[i]), "arn/t%d", i);
		fixture_watch(&fixture, &watched[i], names[i], 100);
	}
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 3);
	assert_int_equal(asked(0), 100);
	assert_int_equal(asked(1), 100);
	assert_int_equal(asked(2), 50);
	assert_int_equal(fixture.started, 250);
	fixture_end(&fixture);
}

static void ten_thousand_cost_seven_calls_a_second(void **state)
{
	enum { TASKS = 10000, SECONDS = 120 };
	struct fixture fixture;
	struct watched *watched = xcalloc(TASKS, sizeof(*watched));
	char name[32];
	size_t before;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_otherwise(describe, all_run, NULL);
	for (int i = 0; i < TASKS; i++) {
		snprintf(name, sizeof(name), "arn/t%d", i);
		fixture_watch(&fixture, &watched[i], name, i % 600);
	}
	for (int i = 0; i < 300; i++)
		fixture_pass(&fixture, 0.1);
	before = fake_aws_count(describe);
	for (int i = 0; i < SECONDS * 10; i++)
		fixture_pass(&fixture, 0.1);
	assert_in_range(fake_aws_count(describe) - before, 3 * SECONDS, 7 * SECONDS + 7);
	fixture_end(&fixture);
	free(watched);
}

/* A store that gives what it is asked for. */
enum { LOOKS, LAUNCHES, BUCKETS };
static struct { double most_per_s; unsigned want; exec_rate_fn *done; void *arg; } asked_rates[BUCKETS];

static void take_rate(void *arg, const struct exec_rate_ask *ask, exec_rate_fn *done, void *done_arg)
{
	int bucket = strstr(ask->bucket, "RunTask") != NULL ? LAUNCHES : LOOKS;

	(void)arg;
	if (ask->max_per_s > asked_rates[bucket].most_per_s)
		asked_rates[bucket].most_per_s = ask->max_per_s;
	asked_rates[bucket].want = ask->want;
	asked_rates[bucket].done = done;
	asked_rates[bucket].arg = done_arg;
}

static const struct exec_rates generous = { .take = take_rate };

static void give_what_was_asked_for(void)
{
	for (int i = 0; i < BUCKETS; i++) {
		exec_rate_fn *done = asked_rates[i].done;

		asked_rates[i].done = NULL;
		if (done != NULL)
			done(asked_rates[i].arg, asked_rates[i].want, 0, 1000, NULL);
	}
}

/* Each would ask for a call of its own otherwise, and for the next when the store has answered. */
static void all_that_is_due_is_asked_for_together(void **state)
{
	static struct watched watched[1550];
	char name[32];
	struct fixture fixture;

	(void)state;
	fixture_begin_sharing(&fixture, &generous);
	fake_aws_otherwise(describe, all_run, NULL);
	for (int i = 0; i < 1550; i++) {
		snprintf(name, sizeof(name), "arn/t%d", i);
		fixture_watch(&fixture, &watched[i], name, 100);
	}
	fixture_pass(&fixture, 0);
	assert_int_equal(asked_rates[LOOKS].want, 16);
	give_what_was_asked_for();
	fake_aws_run();
	assert_int_equal(fake_aws_count(describe), 16);
	fixture_end(&fixture);
}

static json_t *a_task(const json_t *input, void *arg)
{
	unsigned *made = arg;
	char arn[32];

	(void)input;
	snprintf(arn, sizeof(arn), "arn/l%u", (*made)++);
	return json_pack("{s:[{s:s}]}", "tasks", "taskArn", arn);
}

static void on_launched(void *arg, const char *handle, const struct error *err)
{
	(void)handle;
	(void)err;
	++*(unsigned *)arg;
}

/* The looks at 5,000 tasks in 20 seconds, while per_s tasks are launched, and how many seconds these were: real
 * time goes on beside them. */
static size_t looks_while_launching(unsigned per_s, double *elapsed_s)
{
	static struct watched watched[5000];
	static const char request[] = "{\"cluster\":\"prod\",\"startedBy\":\"gantry/abc\"}";
	struct fixture fixture;
	char name[32];
	unsigned launched = 0, made = 0;
	double begun_s = clock_monotonic_s();
	size_t count;

	asked_rates[LOOKS].most_per_s = 0;
	fixture_begin_sharing(&fixture, &generous);
	fake_aws_otherwise(describe, all_run, NULL);
	fake_aws_otherwise("RunTask", a_task, &made);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "arn/t%d", i);
		fixture_watch(&fixture, &watched[i], name, 0);
	}
	for (int i = 0; i < 200; i++) {
		for (unsigned k = 0; k < per_s / 10; k++)
			exec_launch(fixture.exec, request, "t", on_launched, &launched);
		fixture_pass(&fixture, 0.1);
		give_what_was_asked_for();
		fake_aws_run();
	}
	assert_true(launched >= per_s * 19);
	*elapsed_s = clock_monotonic_s() - begun_s;
	count = fake_aws_count(describe);
	fixture_end(&fixture);
	give_what_was_asked_for();
	return count;
}

static void looks_are_as_fast_as_launches_and_not_faster_than_everybodys_without(void **state)
{
	static const unsigned usual[] = { 0, 20 };
	double elapsed_s;
	size_t looks;

	(void)state;
	/* However much the store would give: 16 a second and a first 50. */
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		looks = looks_while_launching(usual[i], &elapsed_s);
		assert_in_range(looks, 300, (size_t)(16 * elapsed_s) + 51);
		assert_true(asked_rates[LOOKS].most_per_s == 16);
	}
	/* One for twenty launches. */
	looks = looks_while_launching(600, &elapsed_s);
	assert_in_range(looks, 400, (size_t)(31 * elapsed_s) + 51);
	assert_in_range((int)asked_rates[LOOKS].most_per_s, 25, 31);
}

static void tasks_that_are_due_soon_come_along(void **state)
{
	struct fixture fixture;
	struct watched watched[2];

	(void)state;
	fixture_begin(&fixture);
	fake_aws_otherwise(describe, all_run, NULL);
	fixture_watch(&fixture, &watched[0], "arn/t1", 0);
	fixture_pass(&fixture, 0.4);
	fixture_watch(&fixture, &watched[1], "arn/t2", 0);
	fixture_pass(&fixture, 0.61);
	assert_int_equal(fake_aws_count(describe), 1);
	assert_int_equal(asked(0), 2);
	fixture_end(&fixture);
}

/* Whether less than the distance of two calls with few tasks has passed since; then nothing may have been asked. */
static bool is_within(double since_s)
{
	return clock_monotonic_s() < since_s + 0.2;
}

static void calls_with_few_tasks_keep_a_distance(void **state)
{
	static struct watched watched[60];
	char name[32];
	struct fixture fixture;
	double begun_s;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_otherwise(describe, all_run, NULL);
	begun_s = clock_monotonic_s();
	fixture_watch(&fixture, &watched[0], "arn/t0", 100);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 1);
	fixture_watch(&fixture, &watched[1], "arn/t1", 100);
	fixture_watch(&fixture, &watched[2], "arn/t2", 100);
	fixture_pass(&fixture, 0.1);
	if (is_within(begun_s))
		assert_int_equal(fake_aws_count(describe), 1);
	fixture_pass(&fixture, 0.11);
	assert_int_equal(fake_aws_count(describe), 2);
	assert_int_equal(asked(1), 2);
	/* Half a call is worth one at once. */
	for (int i = 3; i < 53; i++) {
		snprintf(name, sizeof(name), "arn/t%d", i);
		fixture_watch(&fixture, &watched[i], name, 100);
	}
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 3);
	assert_int_equal(asked(2), 50);
	fixture_end(&fixture);
}

static void each_cluster_is_asked_about_its_own(void **state)
{
	struct fixture fixture;
	struct watched watched[2] = { { .fixture = &fixture }, { .fixture = &fixture } };
	struct exec_watch_events events = { .arg = &watched[1] };

	(void)state;
	fixture_begin(&fixture);
	fake_aws_otherwise(describe, all_run, NULL);
	fixture_watch(&fixture, &watched[0], "arn/t1", 100);
	exec_watch(fixture.exec, "arn/t2", "{\"cluster\":\"test\"}", clock_wall_ms() - 100000, &events);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 2);
	for (size_t i = 0; i < 2; i++) {
		const json_t *input = fake_aws_nth(describe, i)->input;
		bool prod = strcmp(json_at_string(input, "cluster"), "prod") == 0;

		assert_int_equal(asked(i), 1);
		assert_string_equal(json_at_string(input, "tasks[0]"), prod ? "arn/t1" : "arn/t2");
	}
	fixture_end(&fixture);
}

static void deployers_share_the_calls(void **state)
{
	struct fixture fixture;
	struct exec_env env;
	struct error err;
	struct exec *other;
	struct watched watched[2] = { { .fixture = &fixture }, { .fixture = &fixture } };
	struct exec_watch_events events = { .arg = &watched[1] };

	(void)state;
	fixture_begin(&fixture);
	fake_aws_otherwise(describe, all_run, NULL);
	env = (struct exec_env){ .loop = fixture.loop, .log = &fixture.log, .aws = fake_aws() };
	other = exec_create(&fixture.conf, &env, &err);
	fixture_watch(&fixture, &watched[0], "arn/t1", 100);
	exec_watch(other, "arn/t2", "{\"cluster\":\"prod\"}", clock_wall_ms() - 100000, &events);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_count(describe), 1);
	assert_int_equal(asked(0), 2);
	exec_destroy(other);
	fixture_pass(&fixture, 40);
	assert_int_equal(asked(1), 1);
	fixture_end(&fixture);
}

static void a_failing_call_loses_no_watch(void **state)
{
	static const struct { enum error_kind kind; const char *code; double soon_s, late_s; } cases[] = {
		{ ERROR_TEMPORARY, "", 0.2, 1 },
		{ ERROR_THROTTLED, "ThrottlingException", 0.2, 1.1 },
		{ ERROR_REFUSED, "ClusterNotFoundException", 50, 61 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct watched watched;

		fixture_begin(&fixture);
		fake_aws_fail(describe, cases[i].kind, cases[i].code, "no", NULL);
		fake_aws_answer(describe, stopped);
		fixture_watch(&fixture, &watched, "arn/t1", 100);
		fixture_pass(&fixture, 0);
		fixture_pass(&fixture, cases[i].soon_s);
		assert_int_equal(fake_aws_count(describe), 1);
		fixture_pass(&fixture, cases[i].late_s - cases[i].soon_s);
		assert_int_equal(fixture.ended, 1);
		fixture_end(&fixture);
	}
}

static void a_name_that_is_refused_does_not_blind_the_others(void **state)
{
	struct fixture fixture;
	struct watched watched[2];

	(void)state;
	fixture_begin(&fixture);
	fake_aws_fail(describe, ERROR_INVALID, "InvalidParameterException", "taskId length", NULL);
	fake_aws_fail(describe, ERROR_INVALID, "InvalidParameterException", "taskId length", NULL);
	fake_aws_otherwise(describe, all_run, NULL);
	fixture_watch(&fixture, &watched[0], "rubbish", 100);
	fixture_watch(&fixture, &watched[1], "arn/t1", 100);
	fixture_pass(&fixture, 0);
	fixture_pass(&fixture, 0.1);
	assert_int_equal(fake_aws_count(describe), 3);
	assert_int_equal(fixture.started, 1);
	assert_int_equal(fixture.ended, 0);
	/* What was seen again is looked at with the others again. */
	fixture_pass(&fixture, 31);
	assert_int_equal(fake_aws_count(describe), 5);
	fixture_pass(&fixture, 31);
	assert_int_equal(fake_aws_count(describe), 6);
	assert_int_equal(asked(5), 2);
	fixture_end(&fixture);
}

static void a_name_that_stays_refused_is_as_good_as_missing(void **state)
{
	static const char *const codes[] = { "ClientException", "InvalidParameterException" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct fixture fixture;
		struct watched watched;

		fixture_begin(&fixture);
		for (int k = 0; k < 100; k++)
			fake_aws_fail(describe, ERROR_INVALID, codes[i], "taskId", NULL);
		fixture_watch(&fixture, &watched, "rubbish", 0);
		for (int k = 0; k < 28; k++)
			fixture_pass(&fixture, 10);
		assert_int_equal(fixture.ended, 0);
		for (int k = 0; k < 6; k++)
			fixture_pass(&fixture, 10);
		assert_int_equal(fixture.ended, 1);
		assert_string_equal(fixture.end.result.reason, "unknown");
		fixture_end(&fixture);
	}
}

static void what_ecs_did_not_say_proves_nothing(void **state)
{
	static const struct { enum error_kind kind; const char *code; } cases[] = {
		{ ERROR_INVALID, "HTTP 400" }, { ERROR_INVALID, "" }, { ERROR_INVALID, "SerializationException" },
		{ ERROR_AMBIGUOUS, "HTTP 502" }, { ERROR_REFUSED, "AccessDeniedException" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct watched watched;
		size_t failed;

		fixture_begin(&fixture);
		for (int k = 0; k < 300; k++)
			fake_aws_fail(describe, cases[i].kind, cases[i].code, "the reply is over its limit", NULL);
		fixture_watch(&fixture, &watched, "arn/t1", 0);
		for (int s = 0; s < 1000; s += 5)
			fixture_pass(&fixture, 5);
		failed = fake_aws_count(describe);
		assert_in_range(failed, 15, 90);
		assert_int_equal(fixture.ended, 0);
		fixture_end(&fixture);
	}
}

static void a_few_answers_that_cannot_be_read_are_soon_over(void **state)
{
	struct fixture fixture;
	struct watched watched;
	double waited_s = 0;

	(void)state;
	fixture_begin(&fixture);
	for (int k = 0; k < 3; k++)
		fake_aws_fail(describe, ERROR_INVALID, "", "the reply is over its limit", NULL);
	fake_aws_answer(describe, stopped);
	fixture_watch(&fixture, &watched, "arn/t1", 0);
	for (; fixture.ended == 0 && waited_s < 100; waited_s += 0.1)
		fixture_pass(&fixture, 0.1);
	assert_true(waited_s < 10);
	fixture_end(&fixture);
}

static void an_unwatched_task_is_heard_of_no_more(void **state)
{
	struct fixture fixture;
	struct watched watched[2];
	struct exec_watch *watch;

	(void)state;
	fixture_begin(&fixture);
	watch = fixture_watch(&fixture, &watched[0], "arn/t1", 100);
	fixture_watch(&fixture, &watched[1], "arn/t2", 100);
	fixture_pass(&fixture, 0);
	assert_int_equal(fake_aws_open(describe), 1);
	exec_unwatch(watch);
	fake_aws_reply(describe, stopped);
	fake_aws_run();
	assert_int_equal(fixture.ended, 0);
	fixture_end(&fixture);
}

static void a_stop_is_asked_until_it_is_answered(void **state)
{
	struct fixture fixture;
	struct watched watched;
	struct exec_watch *watch;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_fail("StopTask", ERROR_AMBIGUOUS, "", "timeout", NULL);
	fake_aws_fail("StopTask", ERROR_THROTTLED, "ThrottlingException", "Rate exceeded", NULL);
	fake_aws_fail("StopTask", ERROR_INVALID, "InvalidParameterException", "The referenced task was not found.", NULL);
	fake_aws_fail("StopTask", ERROR_INVALID, "HTTP 400", "a proxy", NULL);
	fake_aws_answer("StopTask", "{\"task\":{}}");
	fake_aws_otherwise(describe, all_run, NULL);
	watch = fixture_watch(&fixture, &watched, "arn/t1", 4000);
	fixture_pass(&fixture, 0);
	exec_stop(watch, "gantry: timeout");
	exec_stop(watch, "again");
	fake_aws_run();
	for (int i = 0; i < 8; i++)
		fixture_pass(&fixture, 31);
	assert_int_equal(fake_aws_count("StopTask"), 5);
	assert_string_equal(json_at_string(fake_aws_nth("StopTask", 2)->input, "reason"), "gantry: timeout");
	assert_string_equal(json_at_string(fake_aws_nth("StopTask", 2)->input, "cluster"), "prod");
	assert_int_equal(fixture.ended, 0);
	fixture_end(&fixture);
}

static void a_stopped_task_is_looked_at_soon(void **state)
{
	struct fixture fixture;
	struct watched watched;
	struct exec_watch *watch;
	size_t before;

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer("StopTask", "{}");
	fake_aws_otherwise(describe, all_run, NULL);
	watch = fixture_watch(&fixture, &watched, "arn/t1", 4000);
	fixture_pass(&fixture, 0);
	exec_stop(watch, "enough");
	fake_aws_run();
	before = fake_aws_count(describe);
	for (int i = 0; i < 5; i++)
		fixture_pass(&fixture, 2.01);
	assert_true(fake_aws_count(describe) >= before + 5);
	fixture_end(&fixture);
}

static void the_deployer_may_go_when_it_hears_of_an_end(void **state)
{
	struct fixture fixture;
	struct watched watched[2];

	(void)state;
	fixture_begin(&fixture);
	fake_aws_answer(describe, "{\"tasks\":[{\"taskArn\":\"arn/t1\",\"lastStatus\":\"STOPPED\"},{\"taskArn\":\"arn/t2\","
		"\"lastStatus\":\"STOPPED\"}]}");
	fixture_watch(&fixture, &watched[0], "arn/t1", 100);
	fixture_watch(&fixture, &watched[1], "arn/t2", 100);
	fixture.destroy_in_ended = true;
	fixture_pass(&fixture, 0);
	assert_int_equal(fixture.ended, 1);
	assert_null(fixture.exec);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_task_is_seen_through),
		cmocka_unit_test(what_a_task_took_tells_when_to_look_at_the_next),
		cmocka_unit_test(a_look_in_vain_is_followed_by_another_before_long),
		cmocka_unit_test(what_was_stopped_tells_nothing_of_others),
		cmocka_unit_test(a_task_that_ended_unseen_is_told_as_started_first),
		cmocka_unit_test(a_new_task_may_be_missing_for_a_while),
		cmocka_unit_test(a_task_that_stays_missing_is_unknown),
		cmocka_unit_test(one_missing_among_others_proves_nothing),
		cmocka_unit_test(an_answer_may_have_any_order),
		cmocka_unit_test(a_hundred_fit_into_a_call),
		cmocka_unit_test(ten_thousand_cost_seven_calls_a_second),
		cmocka_unit_test(all_that_is_due_is_asked_for_together),
		cmocka_unit_test(looks_are_as_fast_as_launches_and_not_faster_than_everybodys_without),
		cmocka_unit_test(tasks_that_are_due_soon_come_along),
		cmocka_unit_test(calls_with_few_tasks_keep_a_distance),
		cmocka_unit_test(each_cluster_is_asked_about_its_own),
		cmocka_unit_test(deployers_share_the_calls),
		cmocka_unit_test(a_failing_call_loses_no_watch),
		cmocka_unit_test(a_name_that_is_refused_does_not_blind_the_others),
		cmocka_unit_test(a_name_that_stays_refused_is_as_good_as_missing),
		cmocka_unit_test(what_ecs_did_not_say_proves_nothing),
		cmocka_unit_test(a_few_answers_that_cannot_be_read_are_soon_over),
		cmocka_unit_test(an_unwatched_task_is_heard_of_no_more),
		cmocka_unit_test(a_stop_is_asked_until_it_is_answered),
		cmocka_unit_test(a_stopped_task_is_looked_at_soon),
		cmocka_unit_test(the_deployer_may_go_when_it_hears_of_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
