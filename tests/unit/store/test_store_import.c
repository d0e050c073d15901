/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_import.c - a history that moves from one store to another, for every store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "store_fixture.h"

/* A job as another store had it at its end. */
static struct job *ended_job(const char *id)
{
	struct job *job = make_job(id, LOCK_QUEUE);

	job->state = JOB_FAILED;
	job->reason = xstrdup("exit_code");
	job->detail = xstrdup("it failed");
	job->exit_code = 3;
	job->accepted_ms = 1000;
	job->finished_ms = 5000;
	job->failures = 2;
	job->losses = 1;
	job->fence = 4;
	job->grant = 7;
	job->cancelled_by = xstrdup("somebody");
	job->message.settled = true;
	xreplace(&job->message.receipt, NULL);
	job->attempt.number = 2;
	job->attempt.token = xstrdup("token");
	job->attempt.handle = xstrdup("arn:2");
	job->attempt.intended_ms = 3000;
	job->attempt.started_ms = 4000;
	job->attempt.timeout_ms = 60000;
	return job;
}

static enum store_asked import(struct store_fixture *fixture, const struct job *job, enum error_kind kind)
{
	const struct store_attempt past[] = {
		{ .number = 1, .handle = (char *)"arn:1", .intended_ms = 1500, .started_ms = 2000, .ended_ms = 2500,
		  .exit_code = JOB_NO_EXIT_CODE, .reason = (char *)"spot" },
		{ .number = 2, .handle = (char *)"arn:2", .intended_ms = 3000, .started_ms = 4000, .ended_ms = 5000,
		  .exit_code = 3, .reason = (char *)"exit_code" },
	};
	struct heard heard = { 0 };

	store_import(fixture->a, job, past, ARRAY_SIZE(past), heard_answer, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, kind);
	return heard.verdict;
}

static void imported_job_is_as_it_was(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = ended_job("1"), *read;
	char text[256];

	assert_int_equal(import(fixture, job, ERROR_NONE), STORE_ASKED_DONE);
	read = read_job(fixture->b, "1");
	assert_string_equal(job_state_name(read->state), "failed");
	assert_string_equal(read->reason, "exit_code");
	assert_string_equal(read->detail, "it failed");
	assert_string_equal(read->body, job->body);
	assert_string_equal(read->cancelled_by, "somebody");
	assert_int_equal(read->exit_code, 3);
	assert_int_equal(read->accepted_ms, 1000);
	assert_int_equal(read->finished_ms, 5000);
	assert_int_equal(read->failures, 2);
	assert_int_equal(read->losses, 1);
	assert_int_equal(read->grant, 7);
	assert_true(read->message.settled);
	assert_null(read->owner);
	assert_int_equal(read->attempt.number, 2);
	assert_string_equal(read->attempt.handle, "arn:2");
	assert_string_equal(read->attempt.token, "token");
	assert_int_equal(read->attempt.started_ms, 4000);
	read_attempts(fixture->b, "1", text, sizeof(text));
	assert_string_equal(text, "1/0:arn:1:spot:-1 2/0:arn:2:exit_code:3 ");
	job_destroy(read);
	job_destroy(job);
}

static void import_may_be_repeated(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = ended_job("1");
	uint64_t counts[JOB_STATES];

	assert_int_equal(import(fixture, job, ERROR_NONE), STORE_ASKED_DONE);
	assert_int_equal(import(fixture, job, ERROR_NONE), STORE_ASKED_REFUSED);
	read_counts(fixture->b, counts);
	assert_int_equal(counts[JOB_FAILED], 1);
	job_destroy(job);
}

static void grants_go_on_behind_the_imported_ones(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = ended_job("1"), *next = make_job("2", LOCK_QUEUE);

	import(fixture, job, ERROR_NONE);
	want_admit(fixture, fixture->a, next);
	assert_int_equal(next->grant, 8);
	job_destroy(job);
	job_destroy(next);
}

static void job_that_is_not_at_its_end_is_not_imported(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *running = ended_job("1"), *unsettled = ended_job("2");

	running->state = JOB_RUNNING;
	unsettled->message.settled = false;
	import(fixture, running, ERROR_INVALID);
	import(fixture, unsettled, ERROR_INVALID);
	assert_null(read_job(fixture->b, "1"));
	assert_null(read_job(fixture->b, "2"));
	job_destroy(running);
	job_destroy(unsettled);
}

static void imported_job_may_be_retried_and_forgotten(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = ended_job("1"), *other = ended_job("2");
	struct heard heard = { 0 };

	import(fixture, job, ERROR_NONE);
	import(fixture, other, ERROR_NONE);
	want_asked(fixture, fixture->a, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	want_state(fixture->b, "1", JOB_QUEUED);
	store_prune(fixture->a, 6000, 10, heard_count, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.count, 1);
	assert_null(read_job(fixture->b, "2"));
	job_destroy(job);
	job_destroy(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(imported_job_is_as_it_was),
		cmocka_unit_test(import_may_be_repeated),
		cmocka_unit_test(grants_go_on_behind_the_imported_ones),
		cmocka_unit_test(job_that_is_not_at_its_end_is_not_imported),
		cmocka_unit_test(imported_job_may_be_retried_and_forgotten),
	};

	return fixture_run(tests, ARRAY_SIZE(tests));
}
