/* SPDX-License-Identifier: Apache-2.0 */
/* What has crashed two workers is recorded and settled, not handled again. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_impl.h"
#include "ipc/in_hand.h"
#include "worker/poison.h"

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

/* As the master says it to a survivor. */
static void crash(struct bench *bench, const char *owner, const char *key)
{
	struct report report = { 0 };

	report_init(&report, REPORT_CRASHED_ON, 0);
	snprintf(report.name, sizeof(report.name), "%s", owner);
	snprintf(report.text, sizeof(report.text), "%s", key);
	assert_true(report_send(bench->master_fd, &report, -1));
	bench_turn(bench);
}

static void test_one_crash_may_be_chance_and_a_dead_worker_counts_once(void **state)
{
	struct bench *bench = *state;

	crash(bench, "dead/1", "a");
	crash(bench, "dead/1", "a");
	assert_int_equal(read_crashes(bench->worker->store, "a"), 1);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "launch", bench_one_task);
}

static void test_job_that_crashed_two_workers_is_failed_without_a_launch(void **state)
{
	struct bench *bench = *state;
	struct job *job;

	crash(bench, "dead/1", "a");
	crash(bench, "dead/2", "a");
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_turn(bench);
	bench_run_until(bench, "end", bench_idle);
	job = bench_job(bench, "a");
	assert_string_equal(job_state_name(job->state), "failed");
	assert_string_equal(job->reason, "poison");
	job_destroy(job);
	assert_int_equal(exec_memory_count(bench->exec), 0);
}

/* -- an end that is another by the time it reaches the store -- */

static bool is_screening(struct bench *bench)
{
	struct holding *holding = holding_find(bench->worker, "a");

	return holding != NULL && holding->phase == HOLDING_SCREENING;
}

static void on_cancelled(void *arg, const struct store_answer *answer, const struct error *err)
{
	assert_null(err);
	*(enum store_asked *)arg = answer->verdict;
}

/* Nobody but its owner tells of it, and the owner is about to settle it for an end of its own. */
static void test_job_that_is_cancelled_while_it_is_screened_is_told_of_as_cancelled(void **state)
{
	static const char *const events[] = { "failed", "cancelled" };
	struct bench *bench = *state;
	enum store_asked verdict = STORE_ASKED_UNKNOWN;
	struct job *job;
	char *said;

	bench_add_audience(bench, events, ARRAY_SIZE(events));
	adopt_stop_ticking(bench->worker);
	crash(bench, "dead/1", "a");
	crash(bench, "dead/2", "a");
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench_run_until(bench, "screened", is_screening);
	store_cancel(bench->worker->store, "a", "the test", on_cancelled, &verdict);
	bench_run_until(bench, "end", bench_idle);
	assert_int_equal(verdict, STORE_ASKED_DONE);
	job = bench_job(bench, "a");
	assert_string_equal(job_state_name(job->state), "cancelled");
	assert_true(job->message.settled);
	said = bench_said(bench, NULL);
	assert_string_equal(said, "cancelled ");
	job_destroy(job);
	free(said);
}

static void on_recorded(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	json_t *doc;

	(void)next_due_ms;
	assert_null(err);
	assert_int_equal(count, 1);
	assert_string_equal(deliveries[0].event, "error");
	doc = json_at_parse(deliveries[0].payload, strlen(deliveries[0].payload), NULL);
	assert_string_equal(json_at_string(doc, "kind"), "poison");
	assert_string_equal(json_at_string(doc, "queue"), "deploys");
	*(char **)arg = xstrdup(json_at_string(doc, "body"));
	json_decref(doc);
}

/* What was recorded of the message; the caller's. */
static char *recorded_body(struct bench *bench)
{
	const struct store_delivery_filter all = { .max = 10 };
	char *body = NULL;

	store_deliveries(bench->worker->store, &all, on_recorded, &body);
	bench_turn(bench);
	return body;
}

static void crash_on_message(struct bench *bench, const char *message_id)
{
	char *key = poison_message_key("deploys", message_id);

	crash(bench, "dead/1", key);
	crash(bench, "dead/2", key);
	free(key);
}

/* It is not even read: reading it was what crashed them. */
static void test_message_that_crashed_two_workers_is_recorded_with_its_body_and_deleted(void **state)
{
	static const char body[] = "{\"id\":\"a\",\"project\":\"p\"}";
	struct bench *bench = *state;
	char *recorded = NULL;
	const char *id;

	queue_set_room(bench->queue, 0);
	id = queue_memory_put(bench->queue, body, NULL);
	crash_on_message(bench, id);
	intake_update_room(&bench->worker->intakes[0]);
	bench_turn(bench);
	bench_run_until(bench, "settled", bench_idle);
	recorded = recorded_body(bench);
	assert_string_equal(recorded, body);
	assert_int_equal(exec_memory_count(bench->exec), 0);
	free(recorded);
}

static void test_message_of_a_queue_with_a_redrive_policy_is_left_to_it(void **state)
{
	struct bench *bench = *state;
	char *recorded = NULL;
	const char *id;

	bench->queue_conf->malformed = CONF_MALFORMED_DEAD_LETTER;
	queue_set_room(bench->queue, 0);
	id = queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	crash_on_message(bench, id);
	queue_set_room(bench->queue, 1);
	bench_turn(bench);
	recorded = recorded_body(bench);
	assert_non_null(recorded);
	assert_int_equal(queue_memory_count(bench->queue), 1);
	assert_int_equal(exec_memory_count(bench->exec), 0);
	free(recorded);
}

static void say(struct bench *bench, enum report_kind kind, const char *name, const char *text)
{
	struct report report = { 0 };

	report_init(&report, kind, 0);
	snprintf(report.name, sizeof(report.name), "%s", name);
	snprintf(report.text, sizeof(report.text), "%s", text);
	assert_true(report_send(bench->master_fd, &report, -1));
}

/* A worker that takes the place of one that died learns what of, and counts it, before it receives. */
static void test_worker_takes_nothing_before_the_crashes_it_was_told_of_are_counted(void **state)
{
	struct bench *bench = *state;
	char *key = poison_message_key("deploys", "message-1");

	queue_set_room(bench->queue, 0);
	queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL);
	bench->worker->state = WORKER_PARKED;
	say(bench, REPORT_GO, "", "");
	say(bench, REPORT_ORPHANS, "dead/1", "killed by signal 11");
	say(bench, REPORT_CRASHED_ON, "dead/1", key);
	say(bench, REPORT_CRASHED_ON, "dead/2", key);
	ev_run(bench->worker->loop, EVRUN_ONCE);
	assert_int_equal(bench->worker->state, WORKER_ACTIVE);
	assert_true(bench->worker->beginning);
	bench_turn(bench);
	assert_false(bench->worker->beginning);
	bench_run_until(bench, "settled", bench_idle);
	assert_int_equal(exec_memory_count(bench->exec), 0);
	free(key);
}

/* -- what is in hand -------------------------------------------------------------------------------- */

static struct in_hand *page;
static char seen[2][IN_HAND_KEY_BYTES];
static unsigned looks;

static char *prepare_and_look(struct exec *exec, const struct job *job, struct error *err)
{
	(void)exec;
	(void)job;
	assert_in_range(looks, 0, 1);
	assert_true(in_hand_read(page, seen[looks++]));
	error_set(err, ERROR_INVALID, "no");
	return NULL;
}

/* Its message, while it is not in the store yet. */
static void test_job_is_in_hand_while_it_is_prepared_and_nothing_is_afterwards(void **state)
{
	struct bench *bench = *state;
	const struct exec_impl *real = bench->exec->impl;
	struct exec_impl impl = *real;
	struct error err;
	int fd = in_hand_create(&err);
	char key[IN_HAND_KEY_BYTES], *message;

	assert_true(fd >= 0);
	page = in_hand_map(fd, &err);
	assert_non_null(page);
	bench->worker->in_hand = in_hand_map(fd, &err);
	close(fd);
	impl.prepare = prepare_and_look;
	bench->exec->impl = &impl;
	message = poison_message_key("deploys", queue_memory_put(bench->queue, "{\"id\":\"a\",\"project\":\"p\"}", NULL));
	bench_turn(bench);
	bench_run_until(bench, "end", bench_idle);
	bench->exec->impl = real;
	assert_int_equal(looks, 2);
	assert_string_equal(seen[0], message);
	assert_string_equal(seen[1], "a");
	free(message);
	assert_false(in_hand_read(page, key));
	in_hand_unmap(page);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_crash_may_be_chance_and_a_dead_worker_counts_once),
		TEST(test_job_that_crashed_two_workers_is_failed_without_a_launch),
		TEST(test_job_that_is_cancelled_while_it_is_screened_is_told_of_as_cancelled),
		TEST(test_message_that_crashed_two_workers_is_recorded_with_its_body_and_deleted),
		TEST(test_message_of_a_queue_with_a_redrive_policy_is_left_to_it),
		TEST(test_worker_takes_nothing_before_the_crashes_it_was_told_of_are_counted),
		TEST(test_job_is_in_hand_while_it_is_prepared_and_nothing_is_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
