/* SPDX-License-Identifier: Apache-2.0 */
/* Task state changes out of a queue: heard by whoever watches the task, passed on otherwise, deleted always. */
#include "bench.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec/exec_impl.h"

/* The exec of the bench with ears. */
static struct {
	struct exec_impl impl;
	char heard[64];                 /* handles, a space behind each */
	bool with_task;                 /* the last one came with the task itself */
	bool knows;                     /* a watch here has it */
	bool come;
} ears;

static bool hear(struct exec *exec, const char *handle, const json_t *doc)
{
	size_t size = strlen(ears.heard);

	(void)exec;
	snprintf(ears.heard + size, sizeof(ears.heard) - size, "%s ", handle);
	ears.with_task = doc != NULL && json_is_object(doc);
	return ears.knows;
}

static void set_events(struct exec *exec, bool come)
{
	(void)exec;
	ears.come = come;
}

static int setup(void **state)
{
	struct bench *bench = bench_create_events();

	memset(&ears, 0, sizeof(ears));
	ears.impl = *bench->exec->impl;
	ears.impl.hear = hear;
	ears.impl.set_events = set_events;
	bench->exec->impl = &ears.impl;
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	bench_destroy(*state);
	return 0;
}

static void put_event(struct bench *bench, const char *arn, const char *status, const char *job)
{
	char *body = xasprintf("{\"version\":\"0\",\"detail-type\":\"ECS Task State Change\",\"source\":\"aws.ecs\","
		"\"detail\":{\"taskArn\":\"%s\",\"lastStatus\":\"%s\",\"overrides\":{\"containerOverrides\":[{\"name\":\"side\"},"
		"{\"name\":\"app\",\"environment\":[{\"name\":\"A\",\"value\":\"b\"},{\"name\":\"GANTRY_JOB\",\"value\":\"%s\"}]}]}}}",
		arn, status, job);

	queue_memory_put(bench->events, body, NULL);
	free(body);
}

static bool runs(struct bench *bench)
{
	return bench->worker->running == 1;
}

static bool no_events_left(struct bench *bench)
{
	return queue_memory_count(bench->events) == 0 && bench->worker->intakes[1].admitting == 0;
}

static void test_event_is_heard_with_its_task_and_deleted(void **state)
{
	struct bench *bench = *state;

	ears.knows = true;
	put_event(bench, "arn:1", "STOPPED", "a");
	bench_turn(bench);
	bench_run_until(bench, "deleted", no_events_left);
	assert_string_equal(ears.heard, "arn:1 ");
	assert_true(ears.with_task);
}

static void test_what_is_no_event_is_deleted_and_counted(void **state)
{
	static const char *const bodies[] = {
		"no JSON", "[]", "{}", "{\"detail-type\":\"ECS Service Action\",\"detail\":{\"taskArn\":\"t\",\"lastStatus\":\"STOPPED\"}}",
		"{\"detail-type\":\"ECS Task State Change\",\"detail\":{\"taskArn\":7,\"lastStatus\":\"STOPPED\"}}",
		"{\"detail-type\":\"ECS Task State Change\",\"detail\":[]}",
		"{\"id\":\"a\",\"project\":\"p\"}",
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		queue_memory_put(bench->events, bodies[i], NULL);
	bench_turn(bench);
	bench_run_until(bench, "deleted", no_events_left);
	assert_int_equal(bench->worker->intakes[1].strange, ARRAY_SIZE(bodies));
	assert_string_equal(ears.heard, "");
	assert_int_equal(bench->worker->holdings.count, 0);
}

static void on_admitted(void *arg, const struct error *err)
{
	(void)arg;
	assert_null(err);
}

/* A job that another worker has launched. */
static void launch_elsewhere(struct bench *bench, struct store *other, const char *id)
{
	struct job *job = job_create();
	struct store_admission admission = { .job = job };

	job->id = strdup(id);
	job->project = strdup("p");
	job->deployer = strdup("mystical");
	job->queue = strdup("deploys");
	job->lock_key = strdup("p");
	store_admit(other, &admission, 1, on_admitted, NULL);
	bench_turn(bench);
	job->attempt.number = 1;
	job->attempt.token = strdup("token");
	job->attempt.request = strdup("{}");
	job->attempt.handle = strdup("arn:9");
	store_intend(other, job, on_admitted, NULL);
	store_started(other, job, on_admitted, NULL);
	bench_turn(bench);
	job_destroy(job);
}

static bool told_to_wake(struct bench *bench, const char *owner)
{
	struct report report;

	while (report_receive(bench->master_fd, &report, NULL) == REPORT_READ_ONE) {
		if (report.kind == REPORT_WAKE && strcmp(report.name, owner) == 0)
			return true;
	}
	return false;
}

static void on_news(void *arg, struct job **jobs, size_t count, int64_t next_due_ms, const struct error *err)
{
	(void)next_due_ms;
	assert_null(err);
	*(size_t *)arg = count;
	for (size_t i = 0; i < count; i++)
		job_destroy(jobs[i]);
}

static void test_end_of_another_workers_task_is_told_to_its_owner(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench_other_store(bench, "unit/2");
	size_t news = 0;

	launch_elsewhere(bench, other, "a");
	put_event(bench, "arn:9", "RUNNING", "a");
	bench_turn(bench);
	bench_run_until(bench, "deleted", no_events_left);
	assert_false(told_to_wake(bench, "unit/2"));
	put_event(bench, "arn:9", "STOPPED", "a");
	bench_turn(bench);
	bench_run_until(bench, "deleted", no_events_left);
	assert_true(told_to_wake(bench, "unit/2"));
	store_sweep(other, on_news, &news);
	bench_turn(bench);
	assert_int_equal(news, 1);
	store_close(other);
}

static void test_end_of_a_task_that_nobody_knows_is_dropped(void **state)
{
	struct bench *bench = *state;

	put_event(bench, "arn:7", "STOPPED", "nobody");
	bench_turn(bench);
	bench_run_until(bench, "deleted", no_events_left);
	assert_false(told_to_wake(bench, "unit/2"));
}

static void on_answer(void *arg, const struct store_answer *answer, const struct error *err)
{
	assert_null(err);
	*(enum store_asked *)arg = answer->verdict;
}

/* The news that another worker's event made have the watch look at once. */
static void test_news_of_a_running_job_are_heard(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench_other_store(bench, "unit/2");
	enum store_asked verdict = STORE_ASKED_UNKNOWN;

	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	bench_turn(bench);
	store_tell_owner(other, "a", on_answer, &verdict);
	bench_turn(bench);
	assert_int_equal(verdict, STORE_ASKED_BEGUN);
	assert_string_equal(ears.heard, "");
	adopt_sweep(bench->worker);
	bench_turn(bench);
	assert_string_equal(ears.heard, "task-1 ");
	assert_false(ears.with_task);
	store_close(other);
}

/* The answer to the launch comes behind the news of its end: the watch begins with a look. */
static void test_event_before_the_launch_is_answered_is_remembered(void **state)
{
	struct bench *bench = *state;

	exec_memory_fail_launches(bench->exec, 1, ERROR_AMBIGUOUS, "", true);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
	put_event(bench, "task-1", "STOPPED", "a");
	bench_run_until(bench, "the answer", runs);
	/* Two deployers were asked about the event, the one of the job again. */
	assert_string_equal(ears.heard, "task-1 task-1 task-1 ");
}

static bool events_come(struct bench *bench)
{
	(void)bench;
	return ears.come;
}

static void test_events_are_counted_on_while_their_queue_works(void **state)
{
	struct bench *bench = *state;

	assert_false(ears.come);
	put_event(bench, "arn:1", "STOPPED", "a");
	bench_run_until(bench, "events come", events_come);
	drain_start(bench->worker, 60000, "unit");
	assert_false(ears.come);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_event_is_heard_with_its_task_and_deleted),
		TEST(test_what_is_no_event_is_deleted_and_counted),
		TEST(test_end_of_another_workers_task_is_told_to_its_owner),
		TEST(test_end_of_a_task_that_nobody_knows_is_dropped),
		TEST(test_news_of_a_running_job_are_heard),
		TEST(test_event_before_the_launch_is_answered_is_remembered),
		TEST(test_events_are_counted_on_while_their_queue_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
