/* SPDX-License-Identifier: Apache-2.0 */
/* test_exec_process_kill.c - a shim that is killed at every system call of its life.
 *
 * Whatever it was about to do, another worker brings the launch to an end: the command ran once at most,
 * no process of it is left, and the result says what happened.  Needs ptrace(2). */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "process_fixture.h"

/* No two lives have the same number of calls: how many in a row must get to their end before the last. */
enum { LIMIT_CALLS = 1000, LIMIT_TRIES = 200, LIVES_AT_THE_END = 12, LIMIT_PASSES = 5 };

/* How often each end was seen. */
struct seen {
	unsigned relaunched;            /* killed before it was said to have started, so started again */
	unsigned killed;                /* and nobody saw how the command ended */
	unsigned whole;                 /* and the result was there already, or it lived on */
	bool renamed_start, renamed_exit;       /* killed at the very moment of these */
	unsigned launches;              /* each has a token of its own */
};

/* Leaves a process behind, so that the shim has all its work to do. */
static const char script[] = "echo x >> runs; sleep 300 & echo y; exit 3";

/* The request's job is what the shim gets as its argument. */
static char *request_for(struct fixture *fixture, long n)
{
	char *request, *job;

	job = xasprintf("%ld:%s/killed", n, fixture->place);
	fixture->job_id = job;
	request = fixture_request(fixture, script);
	fixture->job_id = NULL;
	free(job);
	return request;
}

static void remove_file(const struct fixture *fixture, const char *name)
{
	char *path = xasprintf("%s/%s", fixture->place, name);

	unlink(path);
	free(path);
}

/* As a worker does it: asks again under the same token while nobody knows. */
static char *launch_until_known(struct fixture *fixture, const char *request, const char *token, bool *again)
{
	struct answered answered;

	for (int i = 0; i < LIMIT_TRIES; i++) {
		fixture_launch(fixture, request, token, &answered);
		fixture_run(fixture, &answered.times, 1);
		if (answered.handle != NULL)
			return answered.handle;
		assert_true(answered.error.kind == ERROR_AMBIGUOUS || answered.error.kind == ERROR_TEMPORARY);
		*again = true;
		fixture->env.shim_path = "tests/unit/shim/plain_shim";
		fixture_renew(fixture);
		poll(NULL, 0, 5);
	}
	fail_msg("%s: not known after %d tries: %s", token, LIMIT_TRIES, answered.error.text);
	return NULL;
}

static unsigned count_runs(const struct fixture *fixture)
{
	char *runs = fixture_file(fixture, "runs");
	unsigned count = runs != NULL ? (unsigned)strlen(runs) / 2 : 0;

	free(runs);
	return count;
}

static struct job_result watch_to_the_end(struct fixture *fixture, const char *handle)
{
	struct watched watched;

	fixture_watch(fixture, handle, &watched);
	fixture_run(fixture, &watched.ended, 1);
	/* Only then it is known whether the shim was killed: the tracer says so last. */
	while (!list_empty(&process_of(fixture->exec)->children))
		ev_run(fixture->loop, EVRUN_ONCE);
	return watched.end.result;
}

/* call: before which it was killed, or -1. */
static void judge(const struct fixture *fixture, const struct job_result *result, bool again, long call,
	struct seen *seen)
{
	unsigned runs = count_runs(fixture);

	assert_true(runs <= 1);
	assert_int_equal(result->state, JOB_FAILED);
	if (strcmp(result->reason, "exit_code") == 0) {
		assert_int_equal(result->exit_code, 3);
		assert_int_equal(runs, 1);
		seen->relaunched += again;
		seen->whole += !again;
		seen->renamed_start = seen->renamed_start || (again && call == SYS_renameat);
		seen->renamed_exit = seen->renamed_exit || (!again && call == SYS_renameat);
	} else {
		assert_string_equal(result->reason, "shim_killed");
		seen->killed++;
	}
}

/* False when the shim lived to its end. */
static bool kill_at(struct fixture *fixture, long n, struct seen *seen)
{
	char token[16];
	bool again = false;
	char *request = request_for(fixture, n);
	struct job_result result;
	char *handle, *killed, *after = NULL;
	long session;

	snprintf(token, sizeof(token), "t%u", ++seen->launches);
	remove_file(fixture, "runs");
	remove_file(fixture, "killed");
	fixture->env.shim_path = "tests/unit/shim/kill_at";
	fixture_renew(fixture);
	handle = launch_until_known(fixture, request, token, &again);
	result = watch_to_the_end(fixture, handle);
	killed = fixture_file(fixture, "killed");
	session = killed != NULL ? strtol(killed, &after, 10) : 0;
	if (killed != NULL && session == 0)
		fail_msg("%s", killed);
	judge(fixture, &result, again, killed != NULL ? strtol(after, NULL, 10) : -1, seen);
	if (killed != NULL)
		fixture_wait_session_gone(session);
	free(killed);
	free(handle);
	free(request);
	return session != 0;
}

static void test_shim_killed_at_any_system_call_leaves_one_run_and_a_result(void **state)
{
	struct fixture fixture;
	const char *shim;
	struct seen seen = { 0 };
	long n = 0;

	(void)state;
	fixture_begin(&fixture, "tests/unit/shim/kill_at");
	shim = fixture.env.shim_path;
	/* How often it waits differs from run to run, so that a pass may miss one call or the other. */
	for (int pass = 0; pass < LIMIT_PASSES && !(seen.renamed_start && seen.renamed_exit); pass++) {
		n = 0;
		for (int lives = 0; lives < LIVES_AT_THE_END && n < LIMIT_CALLS;)
			lives = kill_at(&fixture, ++n, &seen) ? 0 : lives + 1;
	}
	print_message("# %ld system calls: %u relaunched, %u killed, %u whole\n", n, seen.relaunched, seen.killed,
		seen.whole);
	assert_true(n > 40 && n < LIMIT_CALLS);
	assert_true(seen.relaunched > 5 && seen.killed > 5 && seen.whole > LIVES_AT_THE_END);
	assert_true(seen.renamed_start && seen.renamed_exit);
	fixture.env.shim_path = shim;
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shim_killed_at_any_system_call_leaves_one_run_and_a_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
