/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_read.c - what only reads: what it sees, what it does not wait for, and how it ends. */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "store_fixture.h"

struct found {
	bool done, is_there;
	enum error_kind kind;
	struct store_fixture *close;    /* the completion closes its store a; NULL: it does not */
};

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct found *found = arg;

	assert_false(found->done);
	found->done = true;
	found->is_there = job != NULL;
	found->kind = err != NULL ? err->kind : ERROR_NONE;
	if (found->close == NULL)
		return;
	store_close(found->close->a);
	found->close->a = NULL;
}

static void await(struct store_fixture *fixture, const struct found *found)
{
	assert_false(found->done);
	while (!found->done)
		ev_run(fixture->loop, EVRUN_ONCE);
}

/* Each completion asks again, of both stores, what it was told of. */
struct chain {
	struct store_fixture *fixture;
	unsigned left;
	struct job *job;
	struct store_admission admission;
	struct found found;
};

static void admit_next(struct chain *chain);

static void on_admitted(void *arg, const struct error *err)
{
	struct chain *chain = arg;

	assert_null(err);
	chain->found = (struct found){ 0 };
	store_find(chain->fixture->b, chain->job->id, on_found, &chain->found);
}

static void admit_next(struct chain *chain)
{
	char id[2] = { (char)('a' + chain->left), '\0' };

	chain->job = make_job(id, LOCK_PARALLEL);
	chain->admission = (struct store_admission){ .job = chain->job };
	store_admit(chain->fixture->a, &chain->admission, 1, on_admitted, chain);
}

static void what_was_completed_is_seen_from_then_on(void **state)
{
	struct chain chain = { .fixture = *state };

	for (chain.left = 5; chain.left > 0; chain.left--) {
		chain.found.done = false;
		admit_next(&chain);
		await(chain.fixture, &chain.found);
		assert_true(chain.found.is_there);
		job_destroy(chain.job);
	}
}

static void reads_of_a_turn_are_all_answered(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct found found[3] = { { .done = false } };
	struct heard crashes = { 0 };

	want_admit(fixture, fixture->a, job);
	store_find(fixture->a, "1", on_found, &found[0]);
	store_crashes(fixture->a, "1", heard_count, &crashes);
	store_find(fixture->a, "none", on_found, &found[1]);
	store_find(fixture->b, "1", on_found, &found[2]);
	for (int i = 0; i < 3; i++) {
		if (!found[i].done)
			await(fixture, &found[i]);
		assert_int_equal(found[i].kind, ERROR_NONE);
		assert_int_equal(found[i].is_there, i != 1);
	}
	if (!crashes.done)
		hear(fixture, &crashes);
	assert_int_equal(crashes.count, 0);
	job_destroy(job);
}

static void close_fails_reads_that_are_outstanding(void **state)
{
	struct store_fixture *fixture = *state;
	struct found found = { 0 };

	store_find(fixture->a, "1", on_found, &found);
	assert_false(found.done);
	store_close(fixture->a);
	fixture->a = NULL;
	assert_true(found.done);
	assert_false(found.is_there);
	assert_int_equal(found.kind, ERROR_TEMPORARY);
}

static void read_that_closes_the_store_leaves_none_unanswered(void **state)
{
	struct store_fixture *fixture = *state;
	struct found first = { .close = fixture }, second = { 0 };
	struct heard written = { 0 };

	store_renew(fixture->a, heard_done, &written);
	store_find(fixture->a, "1", on_found, &first);
	store_find(fixture->a, "1", on_found, &second);
	await(fixture, &first);
	assert_null(fixture->a);
	assert_true(second.done && written.done);
}

/* -- attempts ------------------------------------------------------------------------------------ */

static void want_attempts(struct store *store, const char *id, const char *want)
{
	char text[512];

	read_attempts(store, id, text, sizeof(text));
	assert_string_equal(text, want);
}

static void begin(struct store_fixture *fixture, struct job *job, unsigned number, unsigned step)
{
	job->attempt.number = number;
	job->attempt.step = step;
	job->attempt.intended_ms = 1000 * number;
	xreplace(&job->attempt.handle, NULL);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
}

static void start(struct store_fixture *fixture, struct job *job)
{
	want_started(fixture, fixture->a, job, ERROR_NONE);
}

static void attempts_are_kept_with_how_they_ended(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE), *other = make_job("2", LOCK_PARALLEL);

	want_admit(fixture, fixture->a, job);
	want_admit(fixture, fixture->a, other);
	want_attempts(fixture->b, "1", "");
	begin(fixture, job, 1, 0);
	want_attempts(fixture->b, "1", "1/0:-:-:-1:open ");
	begin(fixture, job, 1, 1);
	start(fixture, job);
	want_attempts(fixture->b, "1", "1/0:-:-:-1 1/1:arn:task/1:-:-1:open ");
	xreplace(&job->reason, "exit_code");
	job->exit_code = 7;
	job->failures = 1;
	want_retry(fixture, fixture->a, job, ERROR_NONE);
	begin(fixture, job, 2, 0);
	start(fixture, job);
	want_attempts(fixture->b, "1", "1/0:-:-:-1 1/1:arn:task/1:exit_code:7 2/0:arn:task/1:-:-1:open ");
	begin(fixture, other, 1, 0);
	want_finish(fixture, fixture->a, job, JOB_SUCCEEDED, "");
	want_attempts(fixture->b, "1", "1/0:-:-:-1 1/1:arn:task/1:exit_code:7 2/0:arn:task/1:succeeded:3 ");
	want_attempts(fixture->b, "2", "1/0:-:-:-1:open ");
	xreplace(&other->reason, "out_of_memory");
	want_retry(fixture, fixture->a, other, ERROR_NONE);
	want_finish(fixture, fixture->a, other, JOB_CANCELLED, "");
	want_attempts(fixture->b, "2", "1/0:-:out_of_memory:-1 ");
	want_attempts(fixture->b, "none", "");
	job_destroy(other);
	job_destroy(job);
}

static void attempts_go_with_their_job_when_it_is_retried(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	begin(fixture, job, 1, 0);
	start(fixture, job);
	want_finish(fixture, fixture->a, job, JOB_FAILED, "");
	job->message.settled = true;
	want_note(fixture, fixture->a, job, ERROR_NONE);
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	want_attempts(fixture->b, "1", "1/0:arn:task/1:exit_code:3 ");
	job_destroy(job);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_completed_is_seen_from_then_on),
		cmocka_unit_test(reads_of_a_turn_are_all_answered),
		cmocka_unit_test(close_fails_reads_that_are_outstanding),
		cmocka_unit_test(read_that_closes_the_store_leaves_none_unanswered),
		cmocka_unit_test(attempts_are_kept_with_how_they_ended),
		cmocka_unit_test(attempts_go_with_their_job_when_it_is_retried),
	};

	return fixture_run(tests, ARRAY_SIZE(tests));
}
