/* SPDX-License-Identifier: Apache-2.0 */
/* When a worker rests: at each tick without work, and only then. */
#include "bench.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "worker/rest.h"

static int log_fds[2];

static int setup(void **state)
{
	*state = bench_create(false);
	if (pipe2(log_fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return -1;
	log_open_fd(log_fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_DEBUG);
	return 0;
}

static int teardown(void **state)
{
	log_open_fd(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	bench_destroy(*state);
	close(log_fds[0]);
	close(log_fds[1]);
	return 0;
}

/* How often it has rested since this was asked last. */
static unsigned rests(void)
{
	static char said[65536];
	ssize_t size = read(log_fds[0], said, sizeof(said) - 1);
	unsigned count = 0;

	said[size > 0 ? size : 0] = '\0';
	for (const char *at = said; (at = strstr(at, "msg=\"nothing to do:")) != NULL; at++)
		count++;
	return count;
}

static bool has_adopted(struct bench *bench)
{
	return !bench->worker->adopting;
}

/* A whole tick: until the store has said what there is to adopt. */
static void tick(struct bench *bench)
{
	bench_run_until(bench, "the end of an earlier tick", has_adopted);
	ev_feed_event(bench->worker->loop, &bench->worker->tick, EV_TIMER);
	bench_turn(bench);
	bench_run_until(bench, "the end of a tick", has_adopted);
}

static void begin_job(struct bench *bench)
{
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
}

static void end_job(struct bench *bench)
{
	exec_memory_exit(bench->exec, exec_memory_task(bench->exec, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
}

static void each_tick_without_work_ends_with_one_rest(void **state)
{
	struct bench *bench = *state;

	bench_turn(bench);
	assert_int_equal(rests(), 0);
	for (int i = 0; i < 3; i++) {
		tick(bench);
		assert_int_equal(rests(), 1);
	}
}

static void there_is_no_rest_while_a_job_is_held(void **state)
{
	struct bench *bench = *state;

	begin_job(bench);
	rests();
	tick(bench);
	tick(bench);
	assert_int_equal(rests(), 0);
}

/* Jobs that come and go between two ticks would find nothing of what makes them quick. */
static void a_job_since_the_last_tick_puts_off_the_rest_by_one(void **state)
{
	struct bench *bench = *state;

	tick(bench);
	begin_job(bench);
	end_job(bench);
	rests();
	tick(bench);
	assert_int_equal(rests(), 0);
	tick(bench);
	assert_int_equal(rests(), 1);
}

static void a_job_that_comes_during_the_tick_prevents_the_rest(void **state)
{
	struct bench *bench = *state;

	bench_run_until(bench, "the end of an earlier tick", has_adopted);
	rest_tick(bench->worker);
	begin_job(bench);
	rests();
	rest_begin(bench->worker);
	assert_int_equal(rests(), 0);
}

static void a_job_that_ends_during_the_tick_prevents_the_rest(void **state)
{
	struct bench *bench = *state;

	begin_job(bench);
	bench_run_until(bench, "the end of an earlier tick", has_adopted);
	rest_tick(bench->worker);
	end_job(bench);
	rests();
	rest_begin(bench->worker);
	assert_int_equal(rests(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_tick_without_work_ends_with_one_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_no_rest_while_a_job_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(a_job_since_the_last_tick_puts_off_the_rest_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_job_that_comes_during_the_tick_prevents_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(a_job_that_ends_during_the_tick_prevents_the_rest, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
