/* SPDX-License-Identifier: Apache-2.0 */
/* A message that the queue takes back after its longest hold: deleted before that, while its job goes on
 * under the store's record alone. */
#include "bench.h"

#include <stdlib.h>

#include "base/mem.h"

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

static const char *put(struct bench *bench, const char *id)
{
	char *body = xasprintf("{\"id\":\"%s\",\"project\":\"p\"}", id);
	const char *message_id = queue_memory_put(bench->queue, body, NULL);

	free(body);
	return message_id;
}

/* As the queue says shortly before its hold ends. */
static void expire(struct bench *bench, const char *id)
{
	queue_memory_expire(bench->queue, holding_find(bench->worker, id)->message->id);
}

static void check(struct bench *bench, const char *id, enum job_state want, bool want_settled)
{
	struct job *job = bench_job(bench, id);

	assert_string_equal(job_state_name(job->state), job_state_name(want));
	assert_int_equal(job->message.settled, want_settled);
	job_destroy(job);
}

static bool queue_is_empty(struct bench *bench)
{
	return queue_memory_count(bench->queue) == 0;
}

static void test_message_is_deleted_early_and_the_job_goes_on(void **state)
{
	struct bench *bench = *state;

	put(bench, "a");
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	expire(bench, "a");
	bench_run_until(bench, "early delete", queue_is_empty);
	bench_turn(bench);
	check(bench, "a", JOB_RUNNING, true);
	exec_memory_exit(bench->exec, exec_memory_task(bench->exec, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check(bench, "a", JOB_SUCCEEDED, true);
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static void test_job_that_waits_for_its_lock_for_days_gives_its_message_up_too(void **state)
{
	struct bench *bench = *state;

	put(bench, "a");
	bench_run_until(bench, "launch", bench_one_task);
	put(bench, "b");
	bench_turn(bench);
	expire(bench, "b");
	bench_turn(bench);
	assert_int_equal(queue_memory_count(bench->queue), 1);
	check(bench, "b", JOB_WAITING, true);
	exec_memory_exit(bench->exec, exec_memory_task(bench->exec, 0)->handle, 0);
	bench_run_until(bench, "its turn", bench_two_tasks);
	bench_turn(bench);
	exec_memory_exit(bench->exec, exec_memory_task(bench->exec, 1)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check(bench, "b", JOB_SUCCEEDED, true);
}

/* The delete failed for good: the message comes again, finds its job, and is deleted with it. */
static void test_message_that_could_not_be_deleted_early_finds_its_job_again(void **state)
{
	struct bench *bench = *state;
	const char *message_id = put(bench, "a");

	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	queue_memory_fail_settles(bench->queue, ERROR_LOST);
	expire(bench, "a");
	bench_turn(bench);
	queue_memory_fail_settles(bench->queue, ERROR_NONE);
	check(bench, "a", JOB_RUNNING, false);
	queue_memory_redeliver(bench->queue, message_id);
	bench_turn(bench);
	exec_memory_exit(bench->exec, exec_memory_task(bench->exec, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static void test_job_without_a_message_is_handed_over_as_any_other(void **state)
{
	struct bench *bench = *state;
	struct job *job;

	put(bench, "a");
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	expire(bench, "a");
	bench_run_until(bench, "early delete", queue_is_empty);
	bench_turn(bench);
	drain_release(bench->worker);
	bench_turn(bench);
	assert_int_equal(bench->worker->holdings.count, 0);
	job = bench_job(bench, "a");
	assert_null(job->owner);
	assert_int_equal(job->state, JOB_RUNNING);
	job_destroy(job);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_message_is_deleted_early_and_the_job_goes_on),
		TEST(test_job_that_waits_for_its_lock_for_days_gives_its_message_up_too),
		TEST(test_message_that_could_not_be_deleted_early_finds_its_job_again),
		TEST(test_job_without_a_message_is_handed_over_as_any_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
