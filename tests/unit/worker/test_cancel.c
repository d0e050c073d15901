/* SPDX-License-Identifier: Apache-2.0 */
/* A job whose end is asked for, in each phase of its way: never launched after that, stopped when it runs. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "exec/exec_impl.h"

static int setup(void **state)
{
	*state = bench_create(false);
	return 0;
}

static int teardown(void **state)
{
	bench_destroy(*state);
	return 0;
}

static void put(struct bench *bench, const char *id, const char *project)
{
	char *body = xasprintf("{\"id\":\"%s\",\"project\":\"%s\"}", id, project);

	queue_memory_put(bench->queue, body, NULL);
	free(body);
}

static void on_answer(void *arg, const struct store_answer *answer, const struct error *err)
{
	assert_null(err);
	*(enum store_asked *)arg = answer->verdict;
}

/* As somebody with gantryctl does: the store is asked, then the workers are hinted. */
static enum store_asked cancel(struct bench *bench, const char *id)
{
	enum store_asked verdict = STORE_ASKED_UNKNOWN;

	store_cancel(bench->worker->store, id, "the test", on_answer, &verdict);
	bench_turn(bench);
	adopt_sweep(bench->worker);
	bench_turn(bench);
	return verdict;
}

static void check_cancelled(struct bench *bench, const char *id, const char *want_reason)
{
	struct job *job = bench_job(bench, id);
	char *want_detail = xasprintf("%s by the test", want_reason);

	assert_string_equal(job_state_name(job->state), "cancelled");
	assert_string_equal(job->reason, want_reason);
	assert_string_equal(job->detail, want_detail);
	free(want_detail);
	job_destroy(job);
}

static const struct exec_memory_task *task(struct bench *bench, size_t n)
{
	return exec_memory_task(bench->exec, n);
}

static bool idle_but_one(struct bench *bench)
{
	return bench->worker->holdings.count == 1 && queue_memory_count(bench->queue) == 1;
}

static void run_one(struct bench *bench)
{
	put(bench, "a", "p");
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
}

static void test_waiting_job_is_cancelled_at_once_and_its_message_deleted(void **state)
{
	struct bench *bench = *state;

	run_one(bench);
	put(bench, "b", "p");
	bench_turn(bench);
	assert_int_equal(cancel(bench, "b"), STORE_ASKED_DONE);
	bench_run_until(bench, "its message is deleted", idle_but_one);
	check_cancelled(bench, "b", "cancelled");
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static void test_running_job_is_cancelled_when_its_task_has_stopped(void **state)
{
	struct bench *bench = *state;

	run_one(bench);
	assert_int_equal(cancel(bench, "a"), STORE_ASKED_BEGUN);
	bench_run_until(bench, "end", bench_idle);
	assert_true(task(bench, 0)->stop_asked);
	check_cancelled(bench, "a", "cancelled");
}

static void test_holder_of_an_unlocked_key_is_stopped_and_says_so(void **state)
{
	enum store_asked verdict = STORE_ASKED_UNKNOWN;
	struct bench *bench = *state;

	run_one(bench);
	put(bench, "b", "p");
	bench_turn(bench);
	store_unlock(bench->worker->store, "p", "the test", on_answer, &verdict);
	bench_turn(bench);
	assert_int_equal(verdict, STORE_ASKED_BEGUN);
	adopt_sweep(bench->worker);
	bench_run_until(bench, "the next has its turn", bench_two_tasks);
	check_cancelled(bench, "a", "unlocked");
}

static void test_task_that_ended_by_itself_keeps_its_own_verdict(void **state)
{
	struct bench *bench = *state;
	enum store_asked verdict;
	struct job *job;

	run_one(bench);
	store_cancel(bench->worker->store, "a", "the test", on_answer, &verdict);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 3);
	adopt_sweep(bench->worker);
	bench_run_until(bench, "end", bench_idle);
	job = bench_job(bench, "a");
	assert_string_equal(job_state_name(job->state), "failed");
	assert_string_equal(job->reason, "exit_code");
	job_destroy(job);
}

/* The attempt has ended and another one is on its way into the store when the end is asked for. */
static void test_ended_attempt_is_not_repeated_when_its_end_is_asked_for_first(void **state)
{
	struct bench *bench = *state;
	enum store_asked verdict;
	struct job *job;

	bench->deployer_conf->attempts = 2;
	run_one(bench);
	store_cancel(bench->worker->store, "a", "the test", on_answer, &verdict);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 3);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	job = bench_job(bench, "a");
	assert_string_equal(job->reason, "exit_code");
	job_destroy(job);
}

static void stop_in_vain(struct exec_watch *watch, const char *reason)
{
	(void)watch;
	(void)reason;
}

static void test_host_that_is_lost_while_cancelling_is_as_good_as_stopped(void **state)
{
	struct exec_end end = { .retry = EXEC_RETRY_INFRASTRUCTURE };
	struct bench *bench = *state;
	struct exec_impl impl = *bench->exec->impl;
	const struct exec_impl *real = bench->exec->impl;

	impl.stop = stop_in_vain;
	bench->exec->impl = &impl;
	run_one(bench);
	assert_int_equal(cancel(bench, "a"), STORE_ASKED_BEGUN);
	assert_int_equal(bench->worker->running, 1);
	job_result_set(&end.result, JOB_FAILED, "host_lost", JOB_NO_EXIT_CODE, "the host is gone");
	exec_memory_end(bench->exec, task(bench, 0)->handle, &end);
	bench_run_until(bench, "end", bench_idle);
	check_cancelled(bench, "a", "cancelled");
	assert_int_equal(exec_memory_count(bench->exec), 1);
	bench->exec->impl = real;
}

static bool launching(struct bench *bench)
{
	struct holding *holding = holding_find(bench->worker, "a");

	return holding != NULL && holding->phase == HOLDING_LAUNCHING;
}

static bool asked_in_vain(struct bench *bench)
{
	return launching(bench) && holding_find(bench->worker, "a")->launch == NULL;
}

/* The answer says that nothing was started, and there will be no other ask. */
static void test_launch_that_waits_for_a_rate_is_cancelled_without_a_task(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_THROTTLED, "ThrottlingException", false);
	put(bench, "a", "p");
	bench_run_until(bench, "the first ask", asked_in_vain);
	assert_int_equal(cancel(bench, "a"), STORE_ASKED_BEGUN);
	bench_run_until(bench, "end", bench_idle);
	check_cancelled(bench, "a", "cancelled");
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

/* The answer was lost and the task runs: it is found and stopped, not asked for again. */
static void test_launch_that_was_not_answered_is_found_and_stopped(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", true);
	put(bench, "a", "p");
	bench_run_until(bench, "the first ask", asked_in_vain);
	assert_int_equal(cancel(bench, "a"), STORE_ASKED_BEGUN);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	assert_int_equal(task(bench, 0)->asked, 1);
	assert_true(task(bench, 0)->stop_asked);
	check_cancelled(bench, "a", "cancelled");
}

static void test_launch_that_did_nothing_is_looked_for_and_cancelled(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", false);
	put(bench, "a", "p");
	bench_run_until(bench, "the first ask", asked_in_vain);
	assert_int_equal(cancel(bench, "a"), STORE_ASKED_BEGUN);
	bench_run_until(bench, "end", bench_idle);
	check_cancelled(bench, "a", "cancelled");
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

/* -- a launch whose answer takes its time -- */

static struct {
	struct exec_impl impl;
	const struct exec_impl *real;
	struct exec_launch launch;
	exec_launched_fn *done;
	void *arg;
	char *handle;
} slow;

static void on_slow_answer(void *arg, const char *handle, const struct error *err)
{
	(void)arg;
	assert_null(err);
	slow.handle = xstrdup(handle);
}

static struct exec_launch *launch_slowly(struct exec *exec, const char *request, const char *token,
	exec_launched_fn *done, void *arg)
{
	slow.done = done;
	slow.arg = arg;
	slow.launch.exec = exec;
	slow.real->launch(exec, request, token, on_slow_answer, NULL);
	return &slow.launch;
}

static bool answered(struct bench *bench)
{
	(void)bench;
	return slow.handle != NULL;
}

static void cancel_under_way(struct bench *bench)
{
	slow.real = bench->exec->impl;
	slow.impl = *slow.real;
	slow.impl.launch = launch_slowly;
	bench->exec->impl = &slow.impl;
	put(bench, "a", "p");
	bench_run_until(bench, "the launch", answered);
	assert_int_equal(cancel(bench, "a"), STORE_ASKED_BEGUN);
	assert_true(launching(bench));
	bench->exec->impl = slow.real;
}

static void check_stopped(struct bench *bench)
{
	bench_run_until(bench, "end", bench_idle);
	assert_true(task(bench, 0)->stop_asked);
	assert_int_equal(task(bench, 0)->asked, 1);
	check_cancelled(bench, "a", "cancelled");
	free(slow.handle);
	slow.handle = NULL;
}

/* It is under way: only its answer says what there is to stop. */
static void test_launch_under_way_is_stopped_when_it_is_answered(void **state)
{
	struct bench *bench = *state;

	cancel_under_way(bench);
	slow.done(slow.arg, slow.handle, NULL);
	check_stopped(bench);
}

static void test_launch_under_way_is_looked_for_when_its_answer_is_lost(void **state)
{
	struct bench *bench = *state;
	struct error err;

	cancel_under_way(bench);
	error_set(&err, ERROR_AMBIGUOUS, "no answer");
	slow.done(slow.arg, NULL, &err);
	check_stopped(bench);
}

static bool looking(struct bench *bench)
{
	struct holding *holding = holding_find(bench->worker, "a");

	return holding != NULL && holding->phase == HOLDING_LOOKING;
}

static void test_job_that_waits_for_capacity_is_cancelled_without_a_task(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_THROTTLED, "RESOURCE:CPU", false);
	put(bench, "a", "p");
	bench_run_until(bench, "no room", looking);
	assert_int_equal(cancel(bench, "a"), STORE_ASKED_BEGUN);
	bench_run_until(bench, "end", bench_idle);
	check_cancelled(bench, "a", "cancelled");
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

static bool intending(struct bench *bench)
{
	struct holding *holding = holding_find(bench->worker, "a");

	return holding != NULL && holding->phase == HOLDING_INTENDING;
}

/* The end is asked for, with the news not read yet, before the intent reaches the store. */
static void test_intent_that_comes_after_the_cancel_launches_nothing(void **state)
{
	struct bench *bench = *state;
	enum store_asked verdict = STORE_ASKED_UNKNOWN;

	/* Without the tick only a refused intent makes the worker ask for news. */
	adopt_stop_ticking(bench->worker);
	bench->deployer_conf->attempts = 2;
	run_one(bench);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 1);
	bench_run_until(bench, "another attempt", intending);
	/* Its first attempt's end is on its way; the cancel comes behind it, the next intent behind that. */
	store_cancel(bench->worker->store, "a", "the test", on_answer, &verdict);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(verdict, STORE_ASKED_DONE);
	check_cancelled(bench, "a", "cancelled");
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

/* The same of a fallback step, when the first one was asked for already. */
static void test_fallback_that_comes_after_the_cancel_launches_nothing(void **state)
{
	struct bench *bench = *state;
	enum store_asked verdict = STORE_ASKED_UNKNOWN;

	adopt_stop_ticking(bench->worker);
	exec_memory_fail_launches(bench->exec, 1, ERROR_THROTTLED, "RESOURCE:CPU", false);
	put(bench, "a", "p");
	bench_run_until(bench, "no room", looking);
	store_cancel(bench->worker->store, "a", "the test", on_answer, &verdict);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(verdict, STORE_ASKED_BEGUN);
	check_cancelled(bench, "a", "cancelled");
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

/* -- after a crash or a hand-over ------------------------------------------------------------------- */

static void on_count(void *arg, size_t count, const struct error *err)
{
	(void)arg;
	(void)count;
	assert_null(err);
}

static void orphan(struct bench *bench, const char *id)
{
	struct worker *worker = bench->worker;

	store_disown(worker->store, worker->heritage.owner, on_count, NULL);
	holding_drop(holding_find(worker, id));
	bench_turn(bench);
}

static void test_adopter_of_a_cancelling_job_stops_its_task(void **state)
{
	struct bench *bench = *state;
	enum store_asked verdict;

	run_one(bench);
	orphan(bench, "a");
	store_cancel(bench->worker->store, "a", "the test", on_answer, &verdict);
	bench_turn(bench);
	assert_int_equal(verdict, STORE_ASKED_BEGUN);
	assert_false(task(bench, 0)->stop_asked);
	adopt_start(bench->worker);
	bench_run_until(bench, "end", bench_idle);
	assert_true(task(bench, 0)->stop_asked);
	check_cancelled(bench, "a", "cancelled");
}

/* It died between the launch and the note of its name. */
static void adopt_unnamed(struct bench *bench, bool started)
{
	enum store_asked verdict;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", started);
	put(bench, "a", "p");
	bench_run_until(bench, "the first ask", asked_in_vain);
	orphan(bench, "a");
	store_cancel(bench->worker->store, "a", "the test", on_answer, &verdict);
	bench_turn(bench);
	assert_int_equal(verdict, STORE_ASKED_BEGUN);
	adopt_start(bench->worker);
	bench_run_until(bench, "end", bench_idle);
	check_cancelled(bench, "a", "cancelled");
}

static void test_adopter_of_a_cancelling_job_finds_a_task_without_a_name_and_stops_it(void **state)
{
	struct bench *bench = *state;

	adopt_unnamed(bench, true);
	assert_true(task(bench, 0)->stop_asked);
	assert_int_equal(task(bench, 0)->asked, 1);
}

static void test_adopter_of_a_cancelling_job_launches_nothing(void **state)
{
	struct bench *bench = *state;

	adopt_unnamed(bench, false);
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_waiting_job_is_cancelled_at_once_and_its_message_deleted),
		TEST(test_running_job_is_cancelled_when_its_task_has_stopped),
		TEST(test_holder_of_an_unlocked_key_is_stopped_and_says_so),
		TEST(test_task_that_ended_by_itself_keeps_its_own_verdict),
		TEST(test_ended_attempt_is_not_repeated_when_its_end_is_asked_for_first),
		TEST(test_host_that_is_lost_while_cancelling_is_as_good_as_stopped),
		TEST(test_launch_under_way_is_stopped_when_it_is_answered),
		TEST(test_launch_under_way_is_looked_for_when_its_answer_is_lost),
		TEST(test_launch_that_waits_for_a_rate_is_cancelled_without_a_task),
		TEST(test_launch_that_was_not_answered_is_found_and_stopped),
		TEST(test_launch_that_did_nothing_is_looked_for_and_cancelled),
		TEST(test_job_that_waits_for_capacity_is_cancelled_without_a_task),
		TEST(test_intent_that_comes_after_the_cancel_launches_nothing),
		TEST(test_fallback_that_comes_after_the_cancel_launches_nothing),
		TEST(test_adopter_of_a_cancelling_job_stops_its_task),
		TEST(test_adopter_of_a_cancelling_job_finds_a_task_without_a_name_and_stops_it),
		TEST(test_adopter_of_a_cancelling_job_launches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
