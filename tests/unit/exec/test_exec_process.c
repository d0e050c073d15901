/* SPDX-License-Identifier: Apache-2.0 */
/* test_exec_process.c - launches, watches and stops of local commands, with the real shim. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "process_fixture.h"

static struct process_status status_of(const char *handle)
{
	char *directory = process_handle_directory(handle);
	struct process_status status;
	struct error err;

	assert_non_null(directory);
	assert_true(process_dir_read(directory, &status, &err));
	free(directory);
	return status;
}

/* Launches and waits for the handle. */
static char *launched(struct fixture *fixture, const char *script, const char *token)
{
	struct answered answered;
	char *request = fixture_request(fixture, script);

	fixture_launch(fixture, request, token, &answered);
	assert_int_equal(answered.times, 0);
	fixture_run(fixture, &answered.times, 1);
	if (answered.handle == NULL)
		fail_msg("%s", answered.error.text);
	free(request);
	return answered.handle;
}

static struct exec_end ended(struct fixture *fixture, const char *handle)
{
	struct watched watched;

	fixture_watch(fixture, handle, &watched);
	assert_int_equal(watched.ended, 0);
	fixture_run(fixture, &watched.ended, 1);
	return watched.end;
}

static void touch(const struct fixture *fixture, const char *name)
{
	char *path = xasprintf("%s/%s", fixture->place, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	free(path);
}

static const char until_go[] = "echo x >> runs; while [ ! -e go ]; do sleep 0.02; done; exit 3";

static void test_command_runs_and_its_exit_status_is_the_result(void **state)
{
	static const struct { const char *name, *script, *reason; enum job_state state; int exit_code; } cases[] = {
		{ "zero", "exit 0", "", JOB_SUCCEEDED, 0 },
		{ "three", "exit 3", "exit_code", JOB_FAILED, 3 },
		{ "a signal", "kill -9 $$", "signal", JOB_FAILED, 137 },
		{ "its own group killed", "kill -9 0", "signal", JOB_FAILED, 137 },
	};
	struct fixture fixture;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *handle = launched(&fixture, cases[i].script, cases[i].name);
		struct exec_end end = ended(&fixture, handle);

		assert_int_equal(end.result.state, cases[i].state);
		assert_string_equal(end.result.reason, cases[i].reason);
		assert_int_equal(end.result.exit_code, cases[i].exit_code);
		assert_true(end.started_ms > 0 && end.stopped_ms >= end.started_ms);
		free(handle);
	}
	fixture_end(&fixture);
}

static void test_what_cannot_be_run_says_why(void **state)
{
	char *words[] = { (char *)"/nowhere/deploy" };
	struct fixture fixture;
	struct answered answered;
	struct job *job = fixture_job("{}");
	struct exec_end end;
	struct error err;
	char *request;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	fixture.conf.command = (struct texts){ .at = words, .count = 1 };
	request = exec_prepare(fixture.exec, job, &err);
	fixture_launch(&fixture, request, "t1", &answered);
	fixture_run(&fixture, &answered.times, 1);
	end = ended(&fixture, answered.handle);
	assert_int_equal(end.result.state, JOB_FAILED);
	assert_string_equal(end.result.reason, "start_failed");
	assert_string_equal(end.result.detail, "/nowhere/deploy: No such file or directory");
	answered_finish(&answered);
	free(request);
	job_destroy(job);
	fixture_end(&fixture);
}

static void test_second_launch_of_a_token_finds_the_first(void **state)
{
	struct fixture fixture;
	char *first, *again, *last, *runs;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	first = launched(&fixture, until_go, "t1");
	again = launched(&fixture, until_go, "t1");
	assert_string_equal(first, again);
	fixture_renew(&fixture);
	free(again);
	again = launched(&fixture, until_go, "t1");
	assert_string_equal(first, again);
	touch(&fixture, "go");
	assert_int_equal(ended(&fixture, first).result.exit_code, 3);
	last = launched(&fixture, until_go, "t1");
	assert_string_equal(first, last);
	assert_int_equal(ended(&fixture, last).result.exit_code, 3);
	runs = fixture_file(&fixture, "runs");
	assert_string_equal(runs, "x\n");
	free(runs);
	free(first);
	free(again);
	free(last);
	fixture_end(&fixture);
}

/* Two workers that believe in the same job, and neither sees the other's directory in time. */
static void test_of_two_shims_for_one_token_one_starts(void **state)
{
	struct fixture fixture;
	struct answered answered[2];
	char *request, *runs;
	unsigned handles = 0;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	request = fixture_request(&fixture, "echo x >> runs");
	fixture_launch(&fixture, request, "t1", &answered[0]);
	fixture_launch(&fixture, request, "t1", &answered[1]);
	for (int i = 0; i < 2; i++) {
		fixture_run(&fixture, &answered[i].times, 1);
		handles += answered[i].handle != NULL;
		if (answered[i].handle == NULL)
			assert_int_equal(answered[i].error.kind, ERROR_AMBIGUOUS);
	}
	assert_true(handles >= 1);
	free(launched(&fixture, "echo x >> runs", "t1"));
	ended(&fixture, answered[answered[0].handle == NULL].handle);
	runs = fixture_file(&fixture, "runs");
	assert_string_equal(runs, "x\n");
	answered_finish(&answered[0]);
	answered_finish(&answered[1]);
	free(runs);
	free(request);
	fixture_end(&fixture);
}

static void test_watch_that_comes_late_reads_the_end(void **state)
{
	struct fixture fixture;
	struct watched watched;
	char *handle;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, "exit 4", "t1");
	fixture_wait_session_gone(status_of(handle).session);
	fixture_renew(&fixture);
	fixture_watch(&fixture, handle, &watched);
	fixture_run(&fixture, &watched.ended, 1);
	assert_int_equal(watched.end.result.exit_code, 4);
	free(handle);
	fixture_end(&fixture);
}

static void test_unwatched_command_runs_on_and_nothing_is_told(void **state)
{
	struct fixture fixture;
	struct watched first, second;
	struct exec_watch *watch;
	char *handle;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, until_go, "t1");
	watch = fixture_watch(&fixture, handle, &first);
	fixture_run(&fixture, &first.started, 1);
	exec_unwatch(watch);
	fixture_watch(&fixture, handle, &second);
	fixture_run(&fixture, &second.started, 1);
	touch(&fixture, "go");
	fixture_run(&fixture, &second.ended, 1);
	assert_int_equal(second.end.result.exit_code, 3);
	assert_int_equal(first.ended, 0);
	free(handle);
	fixture_end(&fixture);
}

static void test_stop_ends_it_with_all_that_it_started(void **state)
{
	static const struct { const char *name, *script; bool killed; } cases[] = {
		{ "willing", "echo x > ready; sleep 300", false },
		{ "deaf", "trap '' TERM; echo x > ready; while :; do sleep 300; done", true },
		{ "with children", "sleep 300 & sleep 300 & echo x > ready; wait", false },
		{ "stopped by itself", "echo x > ready; kill -STOP $$; sleep 300", false },
		{ "with a deaf daemon", "setsid sh -c 'trap \"\" TERM; echo $$ > daemon; echo x > ready; sleep 300' & "
			"while [ ! -s ready ]; do sleep 0.02; done; sleep 300", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct watched watched;
		struct exec_watch *watch;
		char *handle, *daemon;

		fixture_begin(&fixture, "gantry-shim");
		handle = launched(&fixture, cases[i].script, "t1");
		watch = fixture_watch(&fixture, handle, &watched);
		free(fixture_wait_file(&fixture, "ready"));
		exec_stop(watch, "gantry: cancelled by a test");
		exec_stop(watch, "again");
		fixture_run(&fixture, &watched.ended, 1);
		assert_int_equal(watched.end.result.state, JOB_CANCELLED);
		assert_string_equal(watched.end.result.reason, "stopped");
		assert_memory_equal(watched.end.result.detail, "gantry: cancelled by a test; ", 29);
		assert_int_equal(strstr(watched.end.result.detail, "killed as it did not end") != NULL, cases[i].killed);
		fixture_wait_session_gone(status_of(handle).session);
		daemon = fixture_file(&fixture, "daemon");
		if (daemon != NULL)
			fixture_wait_session_gone(strtol(daemon, NULL, 10));
		free(daemon);
		free(handle);
		fixture_end(&fixture);
	}
}

static void test_what_a_command_leaves_behind_ends_with_it_but_a_daemon(void **state)
{
	struct fixture fixture;
	struct exec_end end;
	char *handle, *daemon;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, "sh -c 'trap \"\" TERM; echo x > ready; while :; do sleep 300; done' & "
		"setsid sh -c 'echo $$ > daemon; exec sleep 300 >/dev/null 2>&1' & "
		"while [ ! -s ready ] || [ ! -s daemon ]; do sleep 0.02; done; exit 6", "t1");
	end = ended(&fixture, handle);
	assert_int_equal(end.result.exit_code, 6);
	fixture_wait_session_gone(status_of(handle).session);
	daemon = fixture_file(&fixture, "daemon");
	assert_int_equal(kill((pid_t)strtol(daemon, NULL, 10), SIGKILL), 0);
	free(daemon);
	free(handle);
	fixture_end(&fixture);
}

static void test_stop_before_the_watch_has_looked_is_not_lost(void **state)
{
	struct fixture fixture;
	struct watched watched;
	char *handle;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, "sleep 300", "t1");
	exec_stop(fixture_watch(&fixture, handle, &watched), "at once");
	fixture_run(&fixture, &watched.ended, 1);
	assert_int_equal(watched.end.result.state, JOB_CANCELLED);
	free(handle);
	fixture_end(&fixture);
}

static void kill_shim(bool watched_first)
{
	struct fixture fixture;
	struct watched watched;
	struct process_status status;
	char *handle, *again;

	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, "(trap '' TERM HUP; sleep 300) & sleep 300 & echo x > ready; wait", "t1");
	free(fixture_wait_file(&fixture, "ready"));
	status = status_of(handle);
	if (watched_first) {
		fixture_watch(&fixture, handle, &watched);
		fixture_run(&fixture, &watched.started, 1);
	}
	assert_int_equal(kill(status.shim, SIGKILL), 0);
	fixture_wait_session_gone(status.session);
	if (!watched_first)
		fixture_watch(&fixture, handle, &watched);
	fixture_run(&fixture, &watched.ended, 1);
	assert_int_equal(watched.end.result.state, JOB_FAILED);
	assert_string_equal(watched.end.result.reason, "shim_killed");
	assert_int_equal(watched.end.retry, EXEC_RETRY_NO);
	again = launched(&fixture, "echo again >> ready", "t1");
	assert_string_equal(ended(&fixture, again).result.reason, "shim_killed");
	free(again);
	free(handle);
	fixture_end(&fixture);
}

/* Nobody has to be there for that. */
static void test_killed_shim_is_a_failure_and_its_group_is_gone(void **state)
{
	(void)state;
	kill_shim(true);
	kill_shim(false);
}

/* Also when a later worker finds it so. */
static void test_guard_that_is_stopped_keeps_nothing_alive(void **state)
{
	(void)state;
	for (int later = 0; later < 2; later++) {
		struct fixture fixture;
		struct watched watched;
		struct process_status status;
		char *handle;

		fixture_begin(&fixture, "gantry-shim");
		handle = launched(&fixture, "echo x > ready; kill -STOP 0; sleep 300", "t1");
		free(fixture_wait_file(&fixture, "ready"));
		status = status_of(handle);
		if (later == 0)
			fixture_watch(&fixture, handle, &watched);
		fixture_run_until_stopped(&fixture, status.session);
		assert_int_equal(kill(status.shim, SIGKILL), 0);
		if (later == 1)
			fixture_watch(&fixture, handle, &watched);
		fixture_run(&fixture, &watched.ended, 1);
		assert_string_equal(watched.end.result.reason, "shim_killed");
		fixture_wait_session_gone(status.session);
		free(handle);
		fixture_end(&fixture);
	}
}

/* -- slots ------------------------------------------------------------------------------------ */

static void test_slots_are_waited_for_in_order_and_free_at_once(void **state)
{
	struct fixture fixture;
	struct answered answered[3];
	struct watched watched;
	struct exec_launch *waiting[3];
	char *request, *first;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	fixture.conf.process.parallel = 1;
	first = launched(&fixture, until_go, "first");
	request = fixture_request(&fixture, "echo $GANTRY_RESULT >> order; touch go");
	for (int i = 0; i < 3; i++) {
		char token[] = "t0";

		token[1] = (char)('0' + i);
		waiting[i] = fixture_launch(&fixture, request, token, &answered[i]);
		assert_string_equal(exec_launch_waits_for(waiting[i]), "no slot of 1 is free on this host");
	}
	exec_launch_cancel(waiting[1]);
	fixture_watch(&fixture, first, &watched);
	touch(&fixture, "go");
	fixture_run(&fixture, &watched.ended, 1);
	fixture_run(&fixture, &answered[0].times, 1);
	fixture_run(&fixture, &answered[2].times, 1);
	ended(&fixture, answered[2].handle);
	assert_int_equal(answered[1].times, 0);
	answered_finish(&answered[0]);
	answered_finish(&answered[2]);
	free(request);
	request = fixture_file(&fixture, "order");
	assert_true(strstr(request, "/t0/") != NULL && strstr(request, "/t1/") == NULL);
	assert_true(strstr(request, "/t0/") < strstr(request, "/t2/"));
	free(request);
	free(first);
	fixture_end(&fixture);
}

static void test_slot_that_another_worker_s_command_held_is_heard_of(void **state)
{
	struct fixture fixture, other;
	struct answered answered;
	char *request, *first;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	fixture.conf.process.parallel = 1;
	other = fixture;
	other.exec = NULL;
	fixture_renew(&other);
	first = launched(&other, "while [ ! -e go ]; do sleep 0.02; done", "first");
	request = fixture_request(&fixture, "true");
	assert_non_null(exec_launch_waits_for(fixture_launch(&fixture, request, "t1", &answered)));
	/* When it only looks now and then; and then not even that. */
	while (ev_timer_remaining(fixture.loop, &process_of(fixture.exec)->room_timer) < 1)
		ev_run(fixture.loop, EVRUN_ONCE);
	ev_timer_stop(fixture.loop, &process_of(fixture.exec)->room_timer);
	touch(&fixture, "go");
	fixture_run(&fixture, &answered.times, 1);
	assert_non_null(answered.handle);
	ended(&fixture, answered.handle);
	answered_finish(&answered);
	free(request);
	free(first);
	exec_destroy(other.exec);
	fixture_end(&fixture);
}

static void test_fewer_slots_count_those_that_were_taken_when_there_were_more(void **state)
{
	struct fixture fixture;
	struct error err;
	int fds[3], fd;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	for (int i = 0; i < 3; i++)
		assert_int_equal(process_slot_take(fixture.state_dir, "d", 3, &fds[i], &err), PROCESS_SLOT_TAKEN);
	assert_int_equal(process_slot_take(fixture.state_dir, "d", 3, &fd, &err), PROCESS_SLOT_NONE_FREE);
	close(fds[0]);
	assert_int_equal(process_slot_take(fixture.state_dir, "d", 2, &fd, &err), PROCESS_SLOT_NONE_FREE);
	close(fds[2]);
	assert_int_equal(process_slot_take(fixture.state_dir, "d", 2, &fd, &err), PROCESS_SLOT_TAKEN);
	close(fd);
	close(fds[1]);
	fixture_end(&fixture);
}

/* -- looks, and what a crash leaves ----------------------------------------------------------- */

static void test_look_says_no_for_good(void **state)
{
	static const struct { const char *name; bool directory; } cases[] = {
		{ "nothing was made", false }, { "a worker died before it had a shim", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct answered answered;
		char *request, *directory;

		fixture_begin(&fixture, "gantry-shim");
		request = fixture_request(&fixture, "echo x >> runs");
		directory = process_dir_path(fixture.state_dir, "t1");
		if (cases[i].directory)
			assert_int_equal(mkdir(directory, 0700), 0);
		fixture_look(&fixture, request, "t1", &answered);
		fixture_run(&fixture, &answered.times, 1);
		assert_null(answered.handle);
		assert_int_equal(answered.error.kind, ERROR_NONE);
		fixture_launch(&fixture, request, "t1", &answered);
		fixture_run(&fixture, &answered.times, 1);
		assert_null(answered.handle);
		assert_int_equal(answered.error.kind, ERROR_LOST);
		assert_null(fixture_file(&fixture, "runs"));
		free(directory);
		free(request);
		fixture_end(&fixture);
	}
}

static void test_directory_without_a_shim_is_launched_in(void **state)
{
	struct fixture fixture;
	char *handle, *directory;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	directory = process_dir_path(fixture.state_dir, "t1");
	assert_int_equal(mkdir(directory, 0700), 0);
	handle = launched(&fixture, "exit 2", "t1");
	assert_int_equal(ended(&fixture, handle).result.exit_code, 2);
	free(handle);
	free(directory);
	fixture_end(&fixture);
}

static void test_look_finds_what_runs_and_what_has_ended(void **state)
{
	struct fixture fixture;
	struct answered answered;
	char *request, *handle;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, until_go, "t1");
	request = fixture_request(&fixture, until_go);
	for (int i = 0; i < 2; i++) {
		fixture_look(&fixture, request, "t1", &answered);
		fixture_run(&fixture, &answered.times, 1);
		assert_string_equal(answered.handle, handle);
		answered_finish(&answered);
		touch(&fixture, "go");
		ended(&fixture, handle);
	}
	free(request);
	free(handle);
	fixture_end(&fixture);
}

static void test_command_of_another_host_is_neither_started_nor_judged(void **state)
{
	struct fixture fixture;
	struct answered answered;
	struct watched watched;
	struct exec_watch *watch;
	char *request, *host;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	request = fixture_request(&fixture, "echo x >> runs");
	host = strstr(request, "\"host\":\"") + 8;
	*host = *host == '0' ? '1' : '0';
	fixture_launch(&fixture, request, "t1", &answered);
	fixture_run(&fixture, &answered.times, 1);
	assert_int_equal(answered.error.kind, ERROR_LOST);
	fixture_look(&fixture, request, "t1", &answered);
	fixture_run(&fixture, &answered.times, 1);
	assert_int_equal(answered.error.kind, ERROR_LOST);
	watch = fixture_watch(&fixture, "/elsewhere/jobs/t1#0123", &watched);
	for (int i = 0; i < 5; i++)
		ev_run(fixture.loop, EVRUN_NOWAIT);
	assert_int_equal(watched.ended, 0);
	exec_stop(watch, "cancelled");
	fixture_run(&fixture, &watched.ended, 1);
	assert_string_equal(watched.end.result.reason, "host_lost");
	free(request);
	fixture_end(&fixture);
}

static void test_shim_that_is_gone_is_a_launch_to_be_repeated(void **state)
{
	struct fixture fixture;
	struct answered answered;
	char *request;

	(void)state;
	fixture_begin(&fixture, "/bin/true");
	request = fixture_request(&fixture, "true");
	fixture_launch(&fixture, request, "t1", &answered);
	fixture_run(&fixture, &answered.times, 1);
	assert_null(answered.handle);
	assert_int_equal(answered.error.kind, ERROR_AMBIGUOUS);
	free(request);
	fixture_end(&fixture);
}

static void test_stand_in_makes_nothing_and_follows_what_is_there(void **state)
{
	struct fixture fixture;
	struct exec_env env;
	struct error err;
	char *handle;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, "exit 8", "t1");
	env = fixture.env;
	env.state_dir = "/proc/nowhere";
	exec_destroy(fixture.exec);
	fixture.exec = exec_create(&fixture.conf, &env, &err);
	assert_non_null(fixture.exec);
	assert_int_equal(ended(&fixture, handle).result.exit_code, 8);
	exec_destroy(fixture.exec);
	fixture.conf.allow.command = true;
	fixture.exec = exec_create(&fixture.conf, &env, &err);
	assert_null(fixture.exec);
	assert_int_equal(err.kind, ERROR_REFUSED);
	free(handle);
	fixture_end(&fixture);
}

static void test_destroyed_exec_leaves_the_command_alone(void **state)
{
	struct fixture fixture;
	struct answered answered;
	struct watched watched;
	char *request, *handle, *runs;

	(void)state;
	fixture_begin(&fixture, "gantry-shim");
	handle = launched(&fixture, until_go, "t1");
	fixture_watch(&fixture, handle, &watched);
	request = fixture_request(&fixture, "echo y >> runs");
	fixture_launch(&fixture, request, "t2", &answered);
	fixture_look(&fixture, request, "t3", &answered);
	fixture_renew(&fixture);
	touch(&fixture, "go");
	assert_int_equal(ended(&fixture, handle).result.exit_code, 3);
	assert_int_equal(watched.ended, 0);
	assert_int_equal(answered.times, 0);
	runs = fixture_file(&fixture, "runs");
	assert_non_null(strstr(runs, "x\n"));
	free(runs);
	free(request);
	free(handle);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_runs_and_its_exit_status_is_the_result),
		cmocka_unit_test(test_what_cannot_be_run_says_why),
		cmocka_unit_test(test_second_launch_of_a_token_finds_the_first),
		cmocka_unit_test(test_of_two_shims_for_one_token_one_starts),
		cmocka_unit_test(test_watch_that_comes_late_reads_the_end),
		cmocka_unit_test(test_unwatched_command_runs_on_and_nothing_is_told),
		cmocka_unit_test(test_stop_ends_it_with_all_that_it_started),
		cmocka_unit_test(test_what_a_command_leaves_behind_ends_with_it_but_a_daemon),
		cmocka_unit_test(test_stop_before_the_watch_has_looked_is_not_lost),
		cmocka_unit_test(test_killed_shim_is_a_failure_and_its_group_is_gone),
		cmocka_unit_test(test_guard_that_is_stopped_keeps_nothing_alive),
		cmocka_unit_test(test_slots_are_waited_for_in_order_and_free_at_once),
		cmocka_unit_test(test_slot_that_another_worker_s_command_held_is_heard_of),
		cmocka_unit_test(test_fewer_slots_count_those_that_were_taken_when_there_were_more),
		cmocka_unit_test(test_look_says_no_for_good),
		cmocka_unit_test(test_directory_without_a_shim_is_launched_in),
		cmocka_unit_test(test_look_finds_what_runs_and_what_has_ended),
		cmocka_unit_test(test_command_of_another_host_is_neither_started_nor_judged),
		cmocka_unit_test(test_shim_that_is_gone_is_a_launch_to_be_repeated),
		cmocka_unit_test(test_stand_in_makes_nothing_and_follows_what_is_there),
		cmocka_unit_test(test_destroyed_exec_leaves_the_command_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
