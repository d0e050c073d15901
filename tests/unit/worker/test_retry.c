/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <string.h>

#include "conf/conf_job.h"

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

/* Somebody else, who has no queue: the job comes without a message. */
struct asker {
	struct store *store;
	bool done;
};

static struct asker asker;

static bool asker_is_done(struct bench *bench)
{
	(void)bench;
	return asker.done;
}

static void on_admitted(void *arg, const struct error *err)
{
	(void)arg;
	assert_null(err);
	asker.done = true;
}

static void on_retried(void *arg, const struct store_answer *answer, const struct error *err)
{
	(void)arg;
	assert_null(err);
	assert_int_equal(answer->verdict, STORE_ASKED_DONE);
	asker.done = true;
}

static bool is_noting(struct bench *bench)
{
	struct holding *holding = holding_find(bench->worker, "a");

	return holding != NULL && holding->phase == HOLDING_NOTING;
}

static void submit(struct bench *bench)
{
	static const char body[] = "{\"id\": \"a\", \"project\": \"p\"}";
	struct error err;
	struct job *job = conf_job_parse(bench->worker->conf, bench->queue_conf, NULL, body, strlen(body), &err);
	struct store_admission admission = { .job = job, .released = true };

	assert_non_null(job);
	asker = (struct asker){ .store = bench_other_store(bench, "asker/1") };
	store_admit(asker.store, &admission, 1, on_admitted, NULL);
	bench_run_until(bench, "it is admitted", asker_is_done);
	job_destroy(job);
	adopt_start(bench->worker);
	bench_run_until(bench, "it is launched", bench_one_task);
	bench_turn(bench);
}

static void test_job_that_is_retried_before_it_was_let_go_runs_again(void **state)
{
	struct bench *bench = *state;

	submit(bench);
	exec_memory_exit(bench->exec, exec_memory_task(bench->exec, 0)->handle, 0);
	bench_run_until(bench, "it has ended", is_noting);
	/* Whatever the machine is busy with: it is not let go of before. */
	ev_timer_stop(bench->worker->loop, &bench->worker->note_linger);
	asker.done = false;
	store_retry_finished(asker.store, "a", "unit", on_retried, NULL);
	bench_run_until(bench, "it is retried", asker_is_done);
	assert_true(is_noting(bench));
	adopt_start(bench->worker);
	bench_run_until(bench, "it is launched again", bench_two_tasks);
	store_close(asker.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_job_that_is_retried_before_it_was_let_go_runs_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
