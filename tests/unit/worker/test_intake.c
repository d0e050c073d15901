/* SPDX-License-Identifier: Apache-2.0 */
/* How many messages a worker takes before it has launched those that it took. */
#include "bench.h"

#include <stdio.h>

enum { MESSAGES = 90, MOST_AHEAD = 64 };

static unsigned most_ahead;
static size_t wanted_tasks;

static int setup(void **state)
{
	most_ahead = 0;
	*state = bench_create(false);
	return 0;
}

static int teardown(void **state)
{
	bench_destroy(*state);
	return 0;
}

static bool has_tasks(struct bench *bench)
{
	unsigned ahead = bench->worker->intakes[0].ahead;

	if (most_ahead < ahead)
		most_ahead = ahead;
	return exec_memory_count(bench->exec) == wanted_tasks;
}

static void put(struct bench *bench, int number, const char *project)
{
	char body[100];

	snprintf(body, sizeof(body), "{\"id\":\"j%d\",\"project\":\"%s\"}", number, project);
	queue_memory_put(bench->queue, body, NULL);
}

static void no_more_is_taken_than_a_commit_can_use(void **state)
{
	struct bench *bench = *state;
	char project[20];

	for (int i = 0; i < MESSAGES; i++) {
		snprintf(project, sizeof(project), "p%d", i);
		put(bench, i, project);
	}
	wanted_tasks = MESSAGES;
	bench_run_until(bench, "all are launched", has_tasks);
	assert_int_equal(most_ahead, MOST_AHEAD);
	bench_turn(bench);
	assert_int_equal(bench->worker->intakes[0].ahead, 0);
}

/* What waits for its lock may do so for hours. */
static void jobs_that_wait_for_others_keep_nobody_out(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < MESSAGES - 1; i++)
		put(bench, i, "busy");
	put(bench, MESSAGES, "other");
	wanted_tasks = 2;
	bench_run_until(bench, "one of each project is launched", has_tasks);
	bench_turn(bench);
	assert_int_equal(bench->worker->holdings.count, MESSAGES);
	assert_int_equal(bench->worker->intakes[0].ahead, 0);
}

/* Neither those that are refused nor those that came twice stay counted. */
static void what_becomes_no_job_is_not_counted_for_ever(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < MOST_AHEAD + 1; i++)
		queue_memory_put(bench->queue, i % 2 == 0 ? "no job" : "{\"id\":\"same\",\"project\":\"p\"}", NULL);
	put(bench, 1, "other");
	wanted_tasks = 2;
	bench_run_until(bench, "the one behind them is launched", has_tasks);
	bench_turn(bench);
	assert_int_equal(bench->worker->intakes[0].ahead, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_more_is_taken_than_a_commit_can_use, setup, teardown),
		cmocka_unit_test_setup_teardown(jobs_that_wait_for_others_keep_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(what_becomes_no_job_is_not_counted_for_ever, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
