/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a job in one worker, without network, disk or processes. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/report.h"
#include "store/store_impl.h"
#include "worker/deliver.h"
#include "worker/tell.h"

static int setup(void **state)
{
	*state = bench_create(false);
	return 0;
}

static int setup_ordered(void **state)
{
	*state = bench_create(true);
	return 0;
}

static int teardown(void **state)
{
	bench_destroy(*state);
	return 0;
}

static void check_job(struct bench *bench, const char *id, enum job_state want, const char *want_reason)
{
	struct job *job = bench_job(bench, id);

	if (job->state != want)
		fail_msg("%s is %s, not %s", id, job_state_name(job->state), job_state_name(want));
	if (want_reason != NULL)
		assert_string_equal(job->reason, want_reason);
	job_destroy(job);
}

static const struct exec_memory_task *task(struct bench *bench, size_t n)
{
	return exec_memory_task(bench->exec, n);
}

static void test_message_becomes_a_task_and_is_deleted(void **state)
{
	struct bench *bench = *state;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	check_job(bench, "a", JOB_LAUNCHING, NULL);
	assert_int_equal(queue_memory_count(bench->queue), 1);
	bench_turn(bench);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
}

static void test_failed_task_is_settled_and_recorded(void **state)
{
	struct bench *bench = *state;
	struct job *job;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 7);
	bench_run_until(bench, "end", bench_idle);
	job = bench_job(bench, "a");
	assert_int_equal(job->state, JOB_FAILED);
	assert_int_equal(job->exit_code, 7);
	assert_string_equal(job->reason, "exit_code");
	assert_true(job->message.settled);
	job_destroy(job);
}

static void test_message_that_is_no_job_is_settled(void **state)
{
	struct bench *bench = *state;

	queue_memory_put(bench->queue, "hello", NULL);
	queue_memory_put(bench->queue, "{\"project\":\"p\",\"deployer\":\"nobody\"}", NULL);
	bench_turn(bench);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

static bool asked_twice(struct bench *bench)
{
	return exec_memory_count(bench->exec) == 1 && task(bench, 0)->asked >= 2;
}

static void test_lost_answer_is_asked_again_under_the_same_token(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", true);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "second asking", asked_twice);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static void test_throttles_use_up_no_attempt(void **state)
{
	struct bench *bench = *state;
	struct job *job;

	exec_memory_fail_launches(bench->exec, 2, ERROR_THROTTLED, "RESOURCE:MEMORY", false);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	job = bench_job(bench, "a");
	assert_int_equal(job->state, JOB_SUCCEEDED);
	assert_int_equal(job->attempt.number, 1);
	job_destroy(job);
}

static void test_refused_launch_fails_the_job(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_REFUSED, "AccessDeniedException", false);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, "launch_failed");
}

static void test_parameters_that_are_refused_are_never_launched(void **state)
{
	struct bench *bench = *state;

	exec_memory_refuse(bench->exec, "command: not allowed");
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, "rejected");
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

static void test_second_attempt_has_its_own_token(void **state)
{
	struct bench *bench = *state;
	char *first;

	bench->deployer_conf->attempts = 2;
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	first = strdup(task(bench, 0)->token);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 1);
	bench_run_until(bench, "second launch", bench_two_tasks);
	assert_string_not_equal(task(bench, 1)->token, first);
	exec_memory_exit(bench->exec, task(bench, 1)->handle, 1);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, "exit_code");
	assert_int_equal(exec_memory_count(bench->exec), 2);
	free(first);
}

static void test_jobs_of_one_project_run_one_at_a_time_in_order(void **state)
{
	struct bench *bench = *state;
	bench_check_fn *const checks[] = { bench_one_task, bench_two_tasks };
	const char *const ids[] = { "a", "b" };

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	queue_memory_put(bench->queue, "{\"id\":\"b\",\"project\":\"p\"}", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		bench_run_until(bench, ids[i], checks[i]);
		bench_turn(bench);
		assert_int_equal(exec_memory_count(bench->exec), i + 1);
		exec_memory_exit(bench->exec, task(bench, i)->handle, 0);
	}
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "b", JOB_SUCCEEDED, NULL);
}

static void test_groups_run_in_order_across_projects(void **state)
{
	struct bench *bench = *state;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", "g");
	queue_memory_put(bench->queue, "{\"id\":\"b\",\"project\":\"q\"}", "g");
	bench_run_until(bench, "first launch", bench_one_task);
	bench_turn(bench);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 1);
	bench_run_until(bench, "second launch", bench_two_tasks);
	exec_memory_exit(bench->exec, task(bench, 1)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, NULL);
	check_job(bench, "b", JOB_SUCCEEDED, NULL);
}

static void test_redelivery_of_a_running_job_starts_nothing(void **state)
{
	struct bench *bench = *state;
	const char *id = queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);

	bench_run_until(bench, "launch", bench_one_task);
	queue_memory_redeliver(bench->queue, id);
	bench_turn(bench);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static void test_finished_job_settles_its_second_message(void **state)
{
	struct bench *bench = *state;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	bench_run_until(bench, "second end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static bool stop_asked(struct bench *bench)
{
	return task(bench, 0)->stop_asked;
}

static void test_timeout_stops_the_task_and_fails_the_job(void **state)
{
	struct bench *bench = *state;
	struct exec_end end = { 0 };

	bench->deployer_conf->timeout_ms = 100;
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	bench_run_until(bench, "stop", stop_asked);
	job_result_set(&end.result, JOB_CANCELLED, "stopped", JOB_NO_EXIT_CODE, "stopped");
	exec_memory_end(bench->exec, task(bench, 0)->handle, &end);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, "timeout");
}

static bool released(struct bench *bench)
{
	return bench->worker->state == WORKER_RELEASED;
}

static bool has_report(struct bench *bench, enum report_kind kind)
{
	struct report report;

	while (report_receive(bench->master_fd, &report, NULL) == REPORT_READ_ONE) {
		if (report.kind == kind)
			return true;
	}
	return false;
}

static void test_release_hands_running_jobs_over_untouched(void **state)
{
	struct bench *bench = *state;
	struct job *job;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	drain_release(bench->worker);
	bench_run_until(bench, "hand-over", released);
	assert_int_equal(bench->worker->holdings.count, 0);
	assert_int_equal(queue_memory_count(bench->queue), 1);
	assert_false(task(bench, 0)->stop_asked);
	job = bench_job(bench, "a");
	assert_int_equal(job->state, JOB_RUNNING);
	assert_null(job->owner);
	assert_string_equal(job->attempt.handle, task(bench, 0)->handle);
	assert_non_null(job->message.receipt);
	job_destroy(job);
	assert_true(has_report(bench, REPORT_RELEASED));
}

static void test_drain_waits_for_what_runs_and_takes_nothing_new(void **state)
{
	struct bench *bench = *state;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	drain_start(bench->worker, 60000, "unit");
	queue_memory_put(bench->queue, "{\"id\":\"b\",\"project\":\"q\"}", NULL);
	bench_turn(bench);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	ev_run(bench->worker->loop, 0);
	assert_int_equal(bench->worker->exit_status, 0);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
	assert_int_equal(queue_memory_count(bench->queue), 1);
}

/* -- hand-over and adoption ----------------------------------------------------------------------- */

static void on_count(void *arg, size_t count, const struct error *err)
{
	(void)arg;
	(void)count;
	assert_null(err);
}

/* As after a crash: the job is in the store, nobody's, and this worker does not know it. */
static void orphan(struct bench *bench, const char *id)
{
	struct worker *worker = bench->worker;

	store_disown(worker->store, worker->heritage.owner, on_count, NULL);
	holding_drop(holding_find(worker, id));
	bench_turn(bench);
	assert_int_equal(worker->holdings.count, 0);
}

static void run_one(struct bench *bench, const char **message_id)
{
	*message_id = queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	check_job(bench, "a", JOB_RUNNING, NULL);
}

static void test_redelivery_of_an_orphan_adopts_it_at_once(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	run_one(bench, &message_id);
	orphan(bench, "a");
	queue_memory_redeliver(bench->queue, message_id);
	bench_turn(bench);
	assert_int_equal(bench->worker->holdings.count, 1);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static void test_running_task_of_a_removed_deployer_is_followed_to_its_end(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	run_one(bench, &message_id);
	orphan(bench, "a");
	xreplace(&bench->deployer_conf->name, "other");
	adopt_start(bench->worker);
	bench_turn(bench);
	check_job(bench, "a", JOB_RUNNING, NULL);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
}

static void on_admitted(void *arg, const struct error *err)
{
	(void)arg;
	assert_null(err);
}

static bool intend(const struct store_admission *admission, struct job *job)
{
	return launch_draw_up(admission->intent_arg, job);
}

/* Admits a job of project p past the worker. */
static void admit(struct bench *bench, const char *id, const char *message_id, bool released)
{
	struct job *job = job_create();
	struct store_admission admission = {
		.job = job, .released = released, .intent = intend, .intent_arg = bench->worker,
	};

	job->id = strdup(id);
	job->project = strdup("p");
	job->deployer = strdup("mystical");
	job->queue = strdup("deploys");
	job->lock_key = strdup("p");
	job->body = strdup("{}");
	job->message.id = message_id != NULL ? strdup(message_id) : NULL;
	job->message.receipt = message_id != NULL ? strdup("old") : NULL;
	store_admit(bench->worker->store, &admission, 1, on_admitted, NULL);
	bench_turn(bench);
	assert_int_equal(admission.verdict, STORE_ADMITTED_NEW);
	job_destroy(job);
}

static void keep_first(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	(void)next_due_ms;
	assert_null(err);
	assert_true(count > 0);
	*(char **)arg = xstrdup(deliveries[0].payload);
}

/* The same whatever the store, and whether the intent came along. */
static void check_acceptance(struct bench *bench)
{
	const struct store_delivery_filter filter = { .max = 1 };
	char *payload = NULL;

	store_deliveries(bench->worker->store, &filter, keep_first, &payload);
	bench_turn(bench);
	assert_non_null(strstr(payload, "accepted"));
	assert_non_null(strstr(payload, "\"state\":\"queued\""));
	assert_null(strstr(payload, "\"attempt\""));
	free(payload);
}

static void test_job_whose_admission_was_thought_to_have_failed_is_launched(void **state)
{
	static const char *const events[] = { "accepted", "started" };
	struct bench *bench = *state;
	char *said;

	bench_add_audience(bench, events, ARRAY_SIZE(events));
	admit(bench, "a", "message-1", false);
	check_job(bench, "a", JOB_LAUNCHING, NULL);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	bench_turn(bench);
	said = bench_said(bench, NULL);
	assert_string_equal(said, "accepted started ");
	free(said);
	check_acceptance(bench);
	assert_int_equal(queue_memory_count(bench->queue), 1);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
}

/* As when the store gave it to us and said that it had not. */
static void test_redelivery_of_a_running_job_that_is_ours_and_not_held_takes_it_up(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	run_one(bench, &message_id);
	holding_drop(holding_find(bench->worker, "a"));
	queue_memory_redeliver(bench->queue, message_id);
	bench_turn(bench);
	assert_int_equal(bench->worker->holdings.count, 1);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	check_job(bench, "a", JOB_RUNNING, NULL);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	assert_int_equal(queue_memory_count(bench->queue), 0);
}

static void on_cancel(void *arg, const struct store_answer *answer, const struct error *err)
{
	(void)arg;
	assert_null(err);
	assert_int_equal(answer->verdict, STORE_ASKED_BEGUN);
}

static void on_disowned(void *arg, size_t count, const struct error *err)
{
	(void)arg;
	assert_null(err);
	assert_int_equal(count, 1);
}

static bool was_cancelled(struct bench *bench)
{
	struct job *job = bench_job(bench, "a");
	bool yes = job->state == JOB_CANCELLED;

	job_destroy(job);
	return yes;
}

/* Whoever was to tell of its acceptance died before. */
static void test_acceptance_of_a_cancelled_job_is_told_before_its_end(void **state)
{
	static const char *const events[] = { "accepted", "cancelled" };
	struct bench *bench = *state;
	struct worker *worker = bench->worker;
	char *said;

	bench_add_audience(bench, events, ARRAY_SIZE(events));
	admit(bench, "a", NULL, false);
	store_cancel(worker->store, "a", "the test", on_cancel, NULL);
	store_disown(worker->store, worker->heritage.owner, on_disowned, NULL);
	bench_turn(bench);
	adopt_start(worker);
	bench_run_until(bench, "end", was_cancelled);
	said = bench_said(bench, NULL);
	assert_string_equal(said, "accepted cancelled ");
	free(said);
	check_acceptance(bench);
}

static void test_full_batch_of_orphans_is_shared(void **state)
{
	struct bench *bench = *state;
	char id[16];

	for (unsigned i = 0; i < WORKER_ADOPT_BATCH; i++) {
		snprintf(id, sizeof(id), "%u", i);
		admit(bench, id, NULL, true);
	}
	assert_false(has_report(bench, REPORT_RELEASED));
	adopt_start(bench->worker);
	bench_turn(bench);
	assert_int_equal(bench->worker->holdings.count, WORKER_ADOPT_BATCH);
	assert_true(has_report(bench, REPORT_RELEASED));
	/* One alone is none of the others' business. */
	admit(bench, "more", NULL, true);
	adopt_start(bench->worker);
	bench_turn(bench);
	assert_int_equal(bench->worker->holdings.count, WORKER_ADOPT_BATCH + 1);
	assert_false(has_report(bench, REPORT_RELEASED));
}

static void test_drain_tells_of_what_it_granted_to_nobodys_job(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	run_one(bench, &message_id);
	admit(bench, "b", NULL, true);
	drain_start(bench->worker, 60000, "unit");
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "b", JOB_QUEUED, NULL);
	assert_true(has_report(bench, REPORT_RELEASED));
}

static bool admitting(struct bench *bench)
{
	return !list_empty(&bench->worker->intakes[0].batches);
}

static void test_release_in_the_turn_of_an_admission_holds_nothing_back(void **state)
{
	struct bench *bench = *state;
	struct job *job;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "admission", admitting);
	drain_release(bench->worker);
	bench_run_until(bench, "hand-over", released);
	assert_int_equal(bench->worker->holdings.count, 0);
	job = bench_job(bench, "a");
	assert_int_equal(job->state, JOB_QUEUED);
	assert_null(job->owner);
	job_destroy(job);
	assert_int_equal(queue_memory_count(bench->queue), 1);
}

static void test_release_in_the_turn_of_an_adoption_holds_nothing_back(void **state)
{
	struct bench *bench = *state;
	const char *message_id;
	struct job *job;

	run_one(bench, &message_id);
	orphan(bench, "a");
	adopt_start(bench->worker);
	drain_release(bench->worker);
	bench_run_until(bench, "hand-over", released);
	assert_int_equal(bench->worker->holdings.count, 0);
	job = bench_job(bench, "a");
	assert_null(job->owner);
	job_destroy(job);
}

static bool deleting(struct bench *bench)
{
	struct holding *holding = holding_find(bench->worker, "a");

	return holding != NULL && holding->phase == HOLDING_SETTLING;
}

static void test_job_given_up_during_a_delete_leaves_the_message_to_the_queue(void **state)
{
	struct bench *bench = *state;
	struct queue_figures figures;
	const char *message_id;

	run_one(bench, &message_id);
	settle_message(holding_find(bench->worker, "a"));
	assert_true(deleting(bench));
	holding_drop(holding_find(bench->worker, "a"));
	bench_turn(bench);
	queue_figures(bench->queue, &figures);
	assert_int_equal(figures.settled, 1);
	assert_int_equal(figures.held, 0);
}

/* Teardown comes while all of this is under way; what it forgets is found by the leak check. */
static void test_end_in_the_middle_of_everything_is_clean(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	run_one(bench, &message_id);
	queue_memory_put(bench->queue, "{\"id\":\"b\",\"project\":\"q\"}", NULL);
	queue_memory_put(bench->queue, "no job", NULL);
	bench_run_until(bench, "admission", admitting);
	adopt_start(bench->worker);
	adopt_sweep(bench->worker);
	settle_message(holding_find(bench->worker, "a"));
	drain_release(bench->worker);
}

/* -- launches that are hard to judge ---------------------------------------------------------------- */

static bool runs(struct bench *bench)
{
	return bench->worker->running == 1 || bench_idle(bench);
}

static void test_refusal_after_a_lost_answer_looks_before_it_fails(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", true);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	exec_memory_fail_launches(bench->exec, 1, ERROR_REFUSED, "AccessDeniedException", false);
	bench_run_until(bench, "look", runs);
	bench_turn(bench);
	check_job(bench, "a", JOB_RUNNING, NULL);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
}

static void test_refusal_after_an_answer_that_did_nothing_fails_with_it(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", false);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	exec_memory_fail_launches(bench->exec, 1, ERROR_REFUSED, "AccessDeniedException", false);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, "launch_failed");
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

static void test_rates_are_waited_for_beyond_the_life_of_a_token(void **state)
{
	enum { LONGER_THAN_A_TOKEN_MS = 2 * 3600 * 1000 };
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_THROTTLED, "ThrottlingException", false);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	assert_int_equal(exec_memory_count(bench->exec), 0);
	clock_shift(0, LONGER_THAN_A_TOKEN_MS);
	bench_run_until(bench, "launch", runs);
	clock_shift(0, -LONGER_THAN_A_TOKEN_MS);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	check_job(bench, "a", JOB_LAUNCHING, NULL);
	/* Under a token of its own: who had the old one may have forgotten it. */
	assert_int_equal(holding_find(bench->worker, "a")->job->attempt.step, 1);
}

static bool failed_or_launched(struct bench *bench)
{
	struct job *job = bench_job(bench, "a");
	bool yes = job->state == JOB_FAILED || exec_memory_count(bench->exec) > 0;

	job_destroy(job);
	return yes;
}

static void test_lost_answer_is_not_asked_for_again_beyond_the_life_of_its_token(void **state)
{
	enum { LONGER_THAN_A_TOKEN_MS = 2 * 3600 * 1000 };
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", false);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	clock_shift(0, LONGER_THAN_A_TOKEN_MS);
	bench_run_until(bench, "its end, or a launch", failed_or_launched);
	clock_shift(0, -LONGER_THAN_A_TOKEN_MS);
	check_job(bench, "a", JOB_FAILED, "uncertain");
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

/* The worker before this one asked, and died with the answer. */
static void test_refusal_of_an_adopted_launch_looks_before_it_fails(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", true);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	orphan(bench, "a");
	check_job(bench, "a", JOB_LAUNCHING, NULL);
	exec_memory_fail_launches(bench->exec, 1, ERROR_REFUSED, "AccessDeniedException", false);
	adopt_start(bench->worker);
	bench_run_until(bench, "look", runs);
	bench_turn(bench);
	check_job(bench, "a", JOB_RUNNING, NULL);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
}

static void test_attempt_that_the_infrastructure_took_is_followed_after_a_pause(void **state)
{
	struct bench *bench = *state;
	struct exec_end end = { .retry = EXEC_RETRY_INFRASTRUCTURE };
	const char *message_id;
	struct job *job;

	run_one(bench, &message_id);
	job_result_set(&end.result, JOB_FAILED, "host_lost", JOB_NO_EXIT_CODE, "the host is gone");
	exec_memory_end(bench->exec, task(bench, 0)->handle, &end);
	bench_turn(bench);
	assert_int_equal(exec_memory_count(bench->exec), 1);
	job = bench_job(bench, "a");
	assert_int_equal(job->state, JOB_QUEUED);
	assert_true(job->not_before_ms > 0);
	job_destroy(job);
	bench_run_until(bench, "second launch", bench_two_tasks);
}

static void lose_host(struct bench *bench, size_t n)
{
	struct exec_end end = { .retry = EXEC_RETRY_INFRASTRUCTURE };

	job_result_set(&end.result, JOB_FAILED, "host_lost", JOB_NO_EXIT_CODE, "the host is gone");
	exec_memory_end(bench->exec, task(bench, n)->handle, &end);
}

static bool three_tasks(struct bench *bench)
{
	return exec_memory_count(bench->exec) == 3;
}

static void test_attempt_that_the_infrastructure_took_uses_up_none_of_its_own(void **state)
{
	struct bench *bench = *state;
	const char *message_id;
	struct job *job;

	bench->deployer_conf->attempts = 2;
	run_one(bench, &message_id);
	lose_host(bench, 0);
	bench_run_until(bench, "second launch", bench_two_tasks);
	bench_turn(bench);
	exec_memory_exit(bench->exec, task(bench, 1)->handle, 1);
	bench_run_until(bench, "third launch", three_tasks);
	bench_turn(bench);
	exec_memory_exit(bench->exec, task(bench, 2)->handle, 1);
	bench_run_until(bench, "end", bench_idle);
	job = bench_job(bench, "a");
	assert_string_equal(job->reason, "exit_code");
	assert_int_equal(job->attempt.number, 3);
	job_destroy(job);
}

static void test_infrastructure_that_takes_every_attempt_ends_the_job(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	run_one(bench, &message_id);
	holding_find(bench->worker, "a")->job->losses = 10;
	lose_host(bench, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, "infrastructure");
	assert_int_equal(exec_memory_count(bench->exec), 1);
}

static bool waits_for_capacity(struct bench *bench)
{
	struct job *job = read_job(bench->worker->store, "a");
	bool waits = job != NULL && job->waits_for != NULL;

	job_destroy(job);
	return waits;
}

static void test_record_says_what_is_waited_for_until_the_next_move(void **state)
{
	struct bench *bench = *state;
	struct job *job;

	xreplace(&bench->deployer_conf->launch_type, "FARGATE");
	exec_memory_fail_launches(bench->exec, 3, ERROR_THROTTLED, "RESOURCE:CPU", false);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "a note", waits_for_capacity);
	job = bench_job(bench, "a");
	assert_string_equal(job->waits_for, "capacity: RESOURCE:CPU on FARGATE");
	assert_true(job->next_try_ms > clock_wall_ms());
	job_destroy(job);
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	job = bench_job(bench, "a");
	assert_null(job->waits_for);
	job_destroy(job);
}

/* -- timeouts ---------------------------------------------------------------------------------------- */

static void test_timeout_is_the_one_that_the_attempt_began_with(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	bench->deployer_conf->timeout_ms = 600000;
	run_one(bench, &message_id);
	orphan(bench, "a");
	bench->deployer_conf->timeout_ms = 1;
	adopt_start(bench->worker);
	bench_turn(bench);
	assert_true(ev_timer_remaining(bench->worker->loop, &holding_find(bench->worker, "a")->timeout) > 300);
}

static void test_deadline_of_an_adopted_task_is_counted_from_its_launch(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	bench->deployer_conf->timeout_ms = 600000;
	run_one(bench, &message_id);
	orphan(bench, "a");
	clock_shift(0, 601000);
	adopt_start(bench->worker);
	bench_run_until(bench, "stop", stop_asked);
	clock_shift(0, -601000);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_FAILED, "timeout");
}

static void test_clock_that_was_set_back_makes_no_timeout_longer_than_it_is(void **state)
{
	struct bench *bench = *state;
	const char *message_id;
	double left_s;

	bench->deployer_conf->timeout_ms = 600000;
	run_one(bench, &message_id);
	orphan(bench, "a");
	clock_shift(0, -86400000);
	adopt_start(bench->worker);
	bench_turn(bench);
	clock_shift(0, 86400000);
	left_s = ev_timer_remaining(bench->worker->loop, &holding_find(bench->worker, "a")->timeout);
	assert_true(left_s > 0 && left_s <= 600);
}

static void test_timeout_outlives_its_deployer(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	bench->deployer_conf->timeout_ms = 600000;
	run_one(bench, &message_id);
	orphan(bench, "a");
	xreplace(&bench->deployer_conf->name, "other");
	adopt_start(bench->worker);
	bench_turn(bench);
	assert_true(ev_is_active(&holding_find(bench->worker, "a")->timeout));
}

/* -- receipts that come another way -------------------------------------------------------------------- */

static void test_receipt_that_another_worker_got_deletes_the_message(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench_other_store(bench, "unit/2");
	struct job *job = job_create();
	struct store_admission admission = { .job = job };
	const char *message_id;

	run_one(bench, &message_id);
	job->id = strdup("a");
	job->project = strdup("p");
	job->deployer = strdup("mystical");
	job->queue = strdup("deploys");
	job->lock_key = strdup("p");
	job->message.id = strdup(message_id);
	job->message.receipt = strdup("newer");
	job->message.received_ms = clock_wall_ms() + 1;
	store_admit(other, &admission, 1, on_admitted, NULL);
	bench_turn(bench);
	assert_int_equal(admission.verdict, STORE_ADMITTED_OTHERS);
	assert_string_equal(admission.owner, bench->worker->heritage.owner);
	adopt_sweep(bench->worker);
	bench_turn(bench);
	assert_string_equal(holding_find(bench->worker, "a")->message->receipt, "newer");
	free(admission.owner);
	job_destroy(job);
	store_close(other);
}

/* Its jobs were given up in the store and came back before it noticed. */
static void test_job_that_comes_back_to_its_holder_goes_on(void **state)
{
	struct bench *bench = *state;
	const char *message_id;

	run_one(bench, &message_id);
	store_disown(bench->worker->store, bench->worker->heritage.owner, on_count, NULL);
	adopt_start(bench->worker);
	bench_turn(bench);
	assert_int_equal(bench->worker->holdings.count, 1);
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	check_job(bench, "a", JOB_SUCCEEDED, NULL);
}

static void on_rate(void *arg, unsigned tokens, double wait_s, double per_s, const struct error *err)
{
	(void)wait_s;
	assert_null(err);
	assert_true(per_s > 0);
	*(unsigned *)arg += tokens;
}

static void test_rates_are_given_by_the_store_to_all_who_share_it(void **state)
{
	struct exec_rate_ask ask = { .bucket = "b", .initial_per_s = 0.001, .max_per_s = 0.001, .burst = 5, .want = 3 };
	struct bench *bench = *state;
	const struct exec_rates *rates = &bench->worker->rates;
	unsigned tokens = 0;

	rates->take(rates->arg, &ask, on_rate, &tokens);
	assert_int_equal(tokens, 0);
	bench_turn(bench);
	assert_int_equal(tokens, 3);
	rates->take(rates->arg, &ask, on_rate, &tokens);
	bench_turn(bench);
	assert_int_equal(tokens, 5);
}

static void test_worker_says_that_it_is_ready_until_it_is_told_to_go(void **state)
{
	struct bench *bench = *state;

	bench->worker->state = WORKER_PARKED;
	channel_send_alive(bench->worker);
	assert_true(has_report(bench, REPORT_READY));
	worker_go(bench->worker);
	channel_send_alive(bench->worker);
	assert_false(has_report(bench, REPORT_READY));
}

/* -- what is to be told ---------------------------------------------------------------------------- */

static struct {
	struct store_ops ops;
	const struct store_ops *real;
	struct store_call *call;        /* the word that is held back */
} withheld;

static void submit_all_but_words(struct store *store, struct store_call *call)
{
	if (call->kind == CALL_SAY)
		withheld.call = call;
	else
		withheld.real->submit(store, call);
}

static bool tells_nothing(struct bench *bench)
{
	return deliver_is_idle(bench->worker->deliver);
}

/* A store that makes the move and does not take the word of it. */
static void test_word_that_failed_without_its_move_is_kept(void **state)
{
	static const char *const events[] = { "succeeded" };
	struct bench *bench = *state;
	struct worker *worker = bench->worker;
	struct job_result result;
	struct job *job;
	char *said;

	bench_add_audience(bench, events, 1);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	withheld.real = worker->store->ops;
	withheld.ops = *withheld.real;
	withheld.ops.submit = submit_all_but_words;
	worker->store->ops = &withheld.ops;
	exec_memory_exit(bench->exec, task(bench, 0)->handle, 0);
	bench_run_until(bench, "end", bench_idle);
	error_set(store_call_error(withheld.call), ERROR_REFUSED, "damaged");
	store_call_complete(withheld.call);
	/* It is kept: who says it again, as for a move that is made again, has the first one said. */
	job = bench_job(bench, "a");
	job_result_set(&result, JOB_SUCCEEDED, "", 0, "%s", "said again");
	tell_result(worker, job, &result);
	assert_null(strstr(withheld.call->said[0].payload, "said again"));
	worker->store->ops = withheld.real;
	store_submit(worker->store, withheld.call);
	bench_run_until(bench, "the word", tells_nothing);
	said = bench_said(bench, NULL);
	assert_string_equal(said, "succeeded ");
	free(said);
	job_destroy(job);
}

static void hear_of_drain(struct bench *bench, bool last)
{
	struct report report = { 0 };

	report_init(&report, REPORT_DRAIN, 0);
	report.deadline_ms = 60000;
	report.drain.last = last;
	assert_true(report_send(bench->master_fd, &report, -1));
	bench_turn(bench);
}

static bool tried(struct bench *bench)
{
	unsigned tries;

	free(bench_said(bench, &tries));
	return tries > 0;
}

/* The others would have told it, and now they leave, too. */
static void test_drain_that_becomes_the_last_one_tells_what_is_due(void **state)
{
	const struct store_delivery due = { .sink = "people", .event = "succeeded", .payload = "{}" };
	struct bench *bench = *state;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	hear_of_drain(bench, false);
	assert_int_equal(bench->worker->state, WORKER_DRAINING);
	deliver_say(bench->worker->deliver, &(struct deliver_words){ .deliveries = &due, .count = 1 }, NULL, NULL);
	bench_run_until(bench, "the word", tells_nothing);
	assert_false(tried(bench));
	hear_of_drain(bench, true);
	bench_run_until(bench, "a try", tried);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_message_becomes_a_task_and_is_deleted),
		TEST(test_failed_task_is_settled_and_recorded),
		TEST(test_message_that_is_no_job_is_settled),
		TEST(test_lost_answer_is_asked_again_under_the_same_token),
		TEST(test_throttles_use_up_no_attempt),
		TEST(test_refused_launch_fails_the_job),
		TEST(test_parameters_that_are_refused_are_never_launched),
		TEST(test_second_attempt_has_its_own_token),
		TEST(test_jobs_of_one_project_run_one_at_a_time_in_order),
		cmocka_unit_test_setup_teardown(test_groups_run_in_order_across_projects, setup_ordered, teardown),
		TEST(test_redelivery_of_a_running_job_starts_nothing),
		TEST(test_finished_job_settles_its_second_message),
		TEST(test_timeout_stops_the_task_and_fails_the_job),
		TEST(test_release_hands_running_jobs_over_untouched),
		TEST(test_drain_waits_for_what_runs_and_takes_nothing_new),
		TEST(test_word_that_failed_without_its_move_is_kept),
		TEST(test_drain_that_becomes_the_last_one_tells_what_is_due),
		TEST(test_redelivery_of_an_orphan_adopts_it_at_once),
		TEST(test_running_task_of_a_removed_deployer_is_followed_to_its_end),
		TEST(test_job_whose_admission_was_thought_to_have_failed_is_launched),
		TEST(test_redelivery_of_a_running_job_that_is_ours_and_not_held_takes_it_up),
		TEST(test_acceptance_of_a_cancelled_job_is_told_before_its_end),
		TEST(test_full_batch_of_orphans_is_shared),
		TEST(test_drain_tells_of_what_it_granted_to_nobodys_job),
		TEST(test_release_in_the_turn_of_an_admission_holds_nothing_back),
		TEST(test_release_in_the_turn_of_an_adoption_holds_nothing_back),
		TEST(test_job_given_up_during_a_delete_leaves_the_message_to_the_queue),
		TEST(test_end_in_the_middle_of_everything_is_clean),
		TEST(test_refusal_after_a_lost_answer_looks_before_it_fails),
		TEST(test_refusal_after_an_answer_that_did_nothing_fails_with_it),
		TEST(test_refusal_of_an_adopted_launch_looks_before_it_fails),
		TEST(test_rates_are_waited_for_beyond_the_life_of_a_token),
		TEST(test_lost_answer_is_not_asked_for_again_beyond_the_life_of_its_token),
		TEST(test_attempt_that_the_infrastructure_took_is_followed_after_a_pause),
		TEST(test_attempt_that_the_infrastructure_took_uses_up_none_of_its_own),
		TEST(test_infrastructure_that_takes_every_attempt_ends_the_job),
		TEST(test_record_says_what_is_waited_for_until_the_next_move),
		TEST(test_timeout_is_the_one_that_the_attempt_began_with),
		TEST(test_deadline_of_an_adopted_task_is_counted_from_its_launch),
		TEST(test_clock_that_was_set_back_makes_no_timeout_longer_than_it_is),
		TEST(test_timeout_outlives_its_deployer),
		TEST(test_receipt_that_another_worker_got_deletes_the_message),
		TEST(test_job_that_comes_back_to_its_holder_goes_on),
		TEST(test_rates_are_given_by_the_store_to_all_who_share_it),
		TEST(test_worker_says_that_it_is_ready_until_it_is_told_to_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
