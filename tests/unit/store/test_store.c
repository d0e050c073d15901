/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - what every adapter of the store promises. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store_fixture.h"

/* -- admission ----------------------------------------------------------------------------------- */

static void new_job_is_ours_and_queued(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *found;

	job->commit = xstrdup("abc");
	job->message.group = xstrdup("g");
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_NEW);
	assert_int_equal(job->state, JOB_QUEUED);
	assert_string_equal(job->owner, "a");
	assert_int_equal(job->fence, 1);
	assert_int_equal(job->grant, 1);
	assert_true(job->seq > 0);
	found = read_job(fixture->b, "1");
	assert_non_null(found);
	assert_string_equal(found->project, "p");
	assert_string_equal(found->deployer, "d");
	assert_string_equal(found->queue, "q");
	assert_string_equal(found->lock_key, "p");
	assert_string_equal(found->commit, "abc");
	assert_null(found->ref);
	assert_string_equal(found->body, job->body);
	assert_string_equal(found->message.id, "m-1");
	assert_string_equal(found->message.receipt, "r1-1");
	assert_string_equal(found->message.group, "g");
	assert_int_equal(found->message.received_ms, job->message.received_ms);
	assert_int_equal(found->message.hidden_until_ms, job->message.hidden_until_ms);
	assert_int_equal(found->message.deliveries, 1);
	assert_int_equal(found->priority, JOB_PRIORITY_DEFAULT);
	assert_int_equal(found->exit_code, JOB_NO_EXIT_CODE);
	assert_int_equal(found->seq, job->seq);
	assert_true(found->accepted_ms > 0);
	job_destroy(found);
	assert_null(read_job(fixture->a, "2"));
	job_destroy(job);
}

static void redelivery_to_owner_renews_receipt(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *again = make_job("1", LOCK_QUEUE);
	struct job *found;

	want_admit(fixture, fixture->a, job);
	xreplace(&again->message.receipt, "r2");
	again->message.deliveries = 2;
	assert_int_equal(want_admit(fixture, fixture->a, again), STORE_ADMITTED_OURS);
	assert_int_equal(again->fence, job->fence);
	assert_int_equal(again->seq, job->seq);
	found = read_job(fixture->a, "1");
	assert_string_equal(found->message.receipt, "r2");
	assert_int_equal(found->message.deliveries, 2);
	job_destroy(found);
	job_destroy(again);
	job_destroy(job);
}

static void redelivery_to_another_worker_reaches_the_owner_by_sweep(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *again = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = again };
	struct heard heard = { 0 };

	want_admit(fixture, fixture->a, job);
	xreplace(&again->message.receipt, "r2");
	store_admit(fixture->b, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(admission.verdict, STORE_ADMITTED_OTHERS);
	assert_string_equal(admission.owner, "a");
	free(admission.owner);
	want_sweep(fixture, fixture->b, &heard);
	assert_int_equal(heard.count, 0);
	heard_finish(&heard);
	want_sweep(fixture, fixture->a, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_string_equal(heard.jobs[0]->message.receipt, "r2");
	assert_string_equal(heard.jobs[0]->body, job->body);
	heard_finish(&heard);
	want_sweep(fixture, fixture->a, &heard);
	assert_int_equal(heard.count, 0);
	heard_finish(&heard);
	job_destroy(again);
	job_destroy(job);
}

/* A late note of the owner's old receipt must not hide the newer one. */
static void older_receipt_does_not_replace_newer(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *again = make_job("1", LOCK_QUEUE);
	struct job *found;

	want_admit(fixture, fixture->a, job);
	again->message.received_ms = job->message.received_ms + 5;
	xreplace(&again->message.receipt, "r2");
	want_admit(fixture, fixture->b, again);
	want_note(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->a, "1");
	assert_string_equal(found->message.receipt, "r2");
	job_destroy(found);
	job_destroy(again);
	job_destroy(job);
}

static void redelivery_after_the_end_is_to_be_settled(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *again = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	want_finish(fixture, fixture->a, job, JOB_SUCCEEDED, "");
	assert_int_equal(want_admit(fixture, fixture->b, again), STORE_ADMITTED_FINISHED);
	assert_int_equal(again->state, JOB_SUCCEEDED);
	job->message.settled = true;
	want_note(fixture, fixture->a, job, ERROR_NONE);
	assert_int_equal(want_admit(fixture, fixture->a, again), STORE_ADMITTED_FINISHED);
	job_destroy(again);
	job_destroy(job);
}

static void second_message_of_an_unfinished_job_is_to_be_settled(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *other = make_job("1", LOCK_QUEUE);
	struct job *found;

	want_admit(fixture, fixture->a, job);
	xreplace(&other->message.id, "m-other");
	xreplace(&other->message.receipt, "r-other");
	assert_int_equal(want_admit(fixture, fixture->a, other), STORE_ADMITTED_FINISHED);
	assert_int_equal(other->state, JOB_QUEUED);
	found = read_job(fixture->a, "1");
	assert_string_equal(found->message.id, "m-1");
	assert_string_equal(found->message.receipt, "r1-1");
	job_destroy(found);
	job_destroy(other);
	job_destroy(job);
}

static void same_job_twice_in_a_batch(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_admission batch[3] = {
		{ .job = make_job("1", LOCK_QUEUE) }, { .job = make_job("1", LOCK_QUEUE) }, { .job = make_job("2", LOCK_QUEUE) },
	};
	struct heard heard = { 0 };
	uint64_t counts[JOB_STATES];
	struct store_totals totals;

	store_admit(fixture->a, batch, 3, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	assert_int_equal(batch[0].verdict, STORE_ADMITTED_NEW);
	assert_int_equal(batch[1].verdict, STORE_ADMITTED_OURS);
	assert_int_equal(batch[2].verdict, STORE_ADMITTED_NEW);
	assert_int_equal(batch[2].job->state, JOB_WAITING);
	read_counts(fixture->a, counts);
	assert_int_equal(counts[JOB_QUEUED], 1);
	assert_int_equal(counts[JOB_WAITING], 1);
	read_totals(fixture->a, &totals);
	assert_int_equal(totals.held_locks, 1);
	assert_true(totals.lock_waiters == 1 || totals.lock_waiters == -1);
	assert_int_equal(totals.open_deliveries, 0);
	assert_true(totals.oldest_waiting_ms == batch[0].job->accepted_ms);
	for (int i = 0; i < 3; i++)
		job_destroy(batch[i].job);
}

static void released_admission_is_nobodys(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_admission admission = { .job = make_job("1", LOCK_QUEUE), .released = true };
	struct heard heard = { 0 };

	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(admission.verdict, STORE_ADMITTED_NEW);
	assert_null(admission.job->owner);
	want_intend(fixture, fixture->a, admission.job, ERROR_LOST);
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_int_equal(heard.jobs[0]->fence, 2);
	assert_int_equal(heard.jobs[0]->grant, 1);
	heard_finish(&heard);
	job_destroy(admission.job);
}

/* -- fencing ------------------------------------------------------------------------------------- */

static void writes_need_owner_and_fence(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	want_intend(fixture, fixture->b, job, ERROR_LOST);
	job->fence = 2;
	want_intend(fixture, fixture->a, job, ERROR_LOST);
	want_started(fixture, fixture->a, job, ERROR_LOST);
	want_retry(fixture, fixture->a, job, ERROR_LOST);
	want_note_wait(fixture, fixture->a, job, ERROR_LOST);
	want_note(fixture, fixture->a, job, ERROR_LOST);
	want_finish_error(fixture, fixture->a, job, JOB_FAILED, ERROR_LOST);
	want_state(fixture->a, "1", JOB_QUEUED);
	job->fence = 1;
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	xreplace(&job->id, "unknown");
	want_started(fixture, fixture->a, job, ERROR_LOST);
	job_destroy(job);
}

/* One that is refused does not touch those made in the same turn. */
static void refused_call_leaves_its_neighbours_alone(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = make_job("1", LOCK_PARALLEL);
	struct job *second = make_job("2", LOCK_PARALLEL);
	struct heard heard[3] = { 0 };

	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->a, second);
	first->attempt.number = second->attempt.number = 1;
	second->fence = 7;
	store_intend(fixture->a, first, heard_done, &heard[0]);
	store_intend(fixture->a, second, heard_done, &heard[1]);
	second->fence = 1;
	store_intend(fixture->a, second, heard_done, &heard[2]);
	assert_false(heard[0].done || heard[1].done || heard[2].done);
	hear(fixture, &heard[2]);
	assert_true(heard[0].done && heard[1].done);
	assert_int_equal(heard[0].err.kind, ERROR_NONE);
	assert_int_equal(heard[1].err.kind, ERROR_LOST);
	assert_int_equal(heard[2].err.kind, ERROR_NONE);
	job_destroy(first);
	job_destroy(second);
}

static void moves_follow_the_table(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *waiting = make_job("2", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	want_admit(fixture, fixture->a, waiting);
	want_intend(fixture, fixture->a, waiting, ERROR_INVALID);
	want_started(fixture, fixture->a, job, ERROR_INVALID);
	want_finish_error(fixture, fixture->a, job, JOB_SUCCEEDED, ERROR_INVALID);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	want_intend(fixture, fixture->a, job, ERROR_INVALID);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_BEGUN, "1@a", "");
	want_started(fixture, fixture->a, job, ERROR_NONE);
	want_retry(fixture, fixture->a, job, ERROR_INVALID);
	want_state(fixture->a, "1", JOB_CANCELLING);
	want_finish(fixture, fixture->a, job, JOB_CANCELLED, "2@a");
	want_finish_error(fixture, fixture->a, job, JOB_FAILED, ERROR_INVALID);
	want_retry(fixture, fixture->a, job, ERROR_INVALID);
	want_state(fixture->a, "1", JOB_CANCELLED);
	job_destroy(waiting);
	job_destroy(job);
}

static void attempt_is_stored_and_dropped(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *found;

	want_admit(fixture, fixture->a, job);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_LAUNCHING);
	assert_int_equal(found->attempt.number, 1);
	assert_string_equal(found->attempt.token, "token");
	assert_string_equal(found->attempt.request, "{\"frozen\":1}");
	assert_null(found->attempt.handle);
	job_destroy(found);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_RUNNING);
	assert_string_equal(found->attempt.handle, "arn:task/1");
	assert_int_equal(found->attempt.started_ms, job->attempt.started_ms);
	job_destroy(found);
	want_finish(fixture, fixture->a, job, JOB_FAILED, "");
	found = read_job(fixture->b, "1");
	assert_null(found->attempt.request);
	assert_string_equal(found->attempt.handle, "arn:task/1");
	assert_string_equal(found->reason, "exit_code");
	assert_string_equal(found->detail, "the end");
	assert_int_equal(found->exit_code, 3);
	assert_true(found->finished_ms > 0);
	job_destroy(found);
	job_destroy(job);
}

static void fallback_step_and_retry_have_their_own_attempt(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *next = make_job("2", LOCK_QUEUE);
	struct job *found;

	want_admit(fixture, fixture->a, job);
	want_admit(fixture, fixture->a, next);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	job->attempt.step = 1;
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	job->not_before_ms = clock_wall_ms() + 5000;
	want_retry(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_QUEUED);
	assert_int_equal(found->not_before_ms, job->not_before_ms);
	assert_int_equal(found->attempt.step, 1);
	assert_int_equal(found->grant, 1);
	assert_null(found->attempt.request);
	job_destroy(found);
	want_state(fixture->a, "2", JOB_WAITING);
	job->attempt.number = 2;
	job->attempt.step = 0;
	xreplace(&job->attempt.handle, NULL);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->b, "1");
	assert_int_equal(found->attempt.number, 2);
	assert_null(found->attempt.handle);
	job_destroy(found);
	job_destroy(next);
	job_destroy(job);
}

/* -- locks, order, policies ---------------------------------------------------------------------- */

static void key_passes_in_order_of_acceptance(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[4];
	struct heard heard;

	for (int i = 0; i < 4; i++) {
		char id[2] = { (char)('1' + i), '\0' };

		jobs[i] = make_job(id, LOCK_QUEUE);
		want_admit(fixture, i == 1 ? fixture->b : fixture->a, jobs[i]);
		assert_int_equal(jobs[i]->state, i == 0 ? JOB_QUEUED : JOB_WAITING);
	}
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "2@b");
	want_sweep(fixture, fixture->a, &heard);
	assert_string_equal(heard_ids(&heard), "");
	heard_finish(&heard);
	want_sweep(fixture, fixture->b, &heard);
	assert_string_equal(heard_ids(&heard), "2");
	assert_int_equal(heard.jobs[0]->state, JOB_QUEUED);
	assert_int_equal(heard.jobs[0]->grant, 2);
	heard_finish(&heard);
	want_finish(fixture, fixture->b, jobs[1], JOB_CANCELLED, "3@a");
	/* One that ends without having held the key gives it to nobody. */
	want_finish(fixture, fixture->a, jobs[3], JOB_CANCELLED, "");
	want_state(fixture->a, "3", JOB_QUEUED);
	want_finish(fixture, fixture->a, jobs[2], JOB_FAILED, "");
	for (int i = 0; i < 4; i++)
		job_destroy(jobs[i]);
}

static void grants_of_a_key_never_repeat(void **state)
{
	struct store_fixture *fixture = *state;

	for (int i = 1; i <= 3; i++) {
		char id[2] = { (char)('0' + i), '\0' };
		struct job *job = make_job(id, LOCK_QUEUE);

		want_admit(fixture, fixture->a, job);
		assert_int_equal(job->grant, i);
		want_finish(fixture, fixture->a, job, JOB_CANCELLED, "");
		job_destroy(job);
	}
}

static void higher_priority_goes_first(void **state)
{
	struct store_fixture *fixture = *state;
	static const int priorities[] = { 5, 5, 9, 0, 9 };
	struct job *jobs[5];

	for (int i = 0; i < 5; i++) {
		char id[2] = { (char)('1' + i), '\0' };

		jobs[i] = make_job(id, LOCK_QUEUE);
		jobs[i]->priority = priorities[i];
		want_admit(fixture, fixture->a, jobs[i]);
	}
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "3@a");
	want_finish(fixture, fixture->a, jobs[2], JOB_CANCELLED, "5@a");
	want_finish(fixture, fixture->a, jobs[4], JOB_CANCELLED, "2@a");
	want_finish(fixture, fixture->a, jobs[1], JOB_CANCELLED, "4@a");
	for (int i = 0; i < 5; i++)
		job_destroy(jobs[i]);
}

static void other_keys_do_not_wait(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *one = make_job("1", LOCK_QUEUE);
	struct job *two = make_job("2", LOCK_QUEUE);
	struct job *parallel = make_job("3", LOCK_PARALLEL);

	want_admit(fixture, fixture->a, one);
	xreplace(&two->lock_key, "other");
	want_admit(fixture, fixture->a, two);
	assert_int_equal(two->state, JOB_QUEUED);
	assert_int_equal(two->grant, 1);
	want_admit(fixture, fixture->a, parallel);
	assert_int_equal(parallel->state, JOB_QUEUED);
	assert_int_equal(parallel->grant, 0);
	want_finish(fixture, fixture->a, parallel, JOB_CANCELLED, "");
	job_destroy(parallel);
	job_destroy(two);
	job_destroy(one);
}

static void latest_supersedes_waiting_jobs_of_its_deployer(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *running = make_job("1", LOCK_LATEST);
	struct job *older = make_job("2", LOCK_LATEST);
	struct job *foreign = make_job("3", LOCK_QUEUE);
	struct job *newest = make_job("4", LOCK_LATEST);
	struct heard heard;

	xreplace(&foreign->deployer, "other");
	want_admit(fixture, fixture->a, running);
	want_admit(fixture, fixture->b, older);
	want_admit(fixture, fixture->a, foreign);
	want_admit(fixture, fixture->a, newest);
	assert_int_equal(newest->state, JOB_WAITING);
	want_state(fixture->a, "1", JOB_QUEUED);
	want_state(fixture->a, "3", JOB_WAITING);
	want_sweep(fixture, fixture->b, &heard);
	assert_string_equal(heard_ids(&heard), "2");
	assert_int_equal(heard.jobs[0]->state, JOB_SUPERSEDED);
	assert_string_equal(heard.jobs[0]->detail, "superseded by job 4");
	assert_string_equal(heard.jobs[0]->message.receipt, "r1-2");
	heard_finish(&heard);
	want_finish_error(fixture, fixture->b, older, JOB_FAILED, ERROR_INVALID);
	/* In the place of the one it superseded. */
	want_finish(fixture, fixture->a, running, JOB_CANCELLED, "4@a");
	want_finish(fixture, fixture->a, newest, JOB_CANCELLED, "3@a");
	job_destroy(newest);
	job_destroy(foreign);
	job_destroy(older);
	job_destroy(running);
}

static void reject_fails_when_the_key_is_taken(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *holder = make_job("1", LOCK_QUEUE);
	struct job *rejected = make_job("2", LOCK_REJECT);
	struct job *later = make_job("3", LOCK_REJECT);
	struct heard heard;

	want_admit(fixture, fixture->a, holder);
	assert_int_equal(want_admit(fixture, fixture->a, rejected), STORE_ADMITTED_REJECTED);
	assert_int_equal(rejected->state, JOB_FAILED);
	assert_string_equal(rejected->reason, "locked");
	assert_string_equal(rejected->detail, "the lock \"p\" is held by job 1");
	assert_int_equal(want_admit(fixture, fixture->a, rejected), STORE_ADMITTED_FINISHED);
	/* Nobody has to own it. */
	assert_int_equal(want_disown(fixture, fixture->b, "a"), 1);
	want_renew(fixture, fixture->a, ERROR_LOST);
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_adopt(fixture, fixture->a, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	want_finish(fixture, fixture->a, heard.jobs[0], JOB_CANCELLED, "");
	heard_finish(&heard);
	assert_int_equal(want_admit(fixture, fixture->a, later), STORE_ADMITTED_NEW);
	assert_int_equal(later->state, JOB_QUEUED);
	job_destroy(later);
	job_destroy(rejected);
	job_destroy(holder);
}

/* -- groups and delays --------------------------------------------------------------------------- */

static struct job *grouped(const char *id, const char *group, const char *key)
{
	struct job *job = make_job(id, key != NULL ? LOCK_QUEUE : LOCK_PARALLEL);

	job->message.group = xstrdup(group);
	if (key != NULL)
		xreplace(&job->lock_key, key);
	return job;
}

static void group_runs_in_order(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = grouped("1", "g", "k1");
	struct job *second = grouped("2", "g", "k2");
	struct job *third = grouped("3", "g", NULL);
	struct job *other = grouped("4", "h", NULL);

	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->b, second);
	want_admit(fixture, fixture->a, third);
	want_admit(fixture, fixture->a, other);
	assert_int_equal(second->state, JOB_WAITING);
	assert_int_equal(third->state, JOB_WAITING);
	assert_int_equal(other->state, JOB_QUEUED);
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "2@b");
	want_finish(fixture, fixture->b, second, JOB_FAILED, "3@a");
	want_finish(fixture, fixture->a, third, JOB_CANCELLED, "");
	job_destroy(other);
	job_destroy(third);
	job_destroy(second);
	job_destroy(first);
}

static void one_end_can_make_two_ready(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = grouped("1", "g", "k");
	struct job *second = grouped("2", "g", "other");
	struct job *third = grouped("3", "h", "k");

	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->a, second);
	want_admit(fixture, fixture->b, third);
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "2@a 3@b");
	job_destroy(third);
	job_destroy(second);
	job_destroy(first);
}

/* The later one of a group is not at its key while the earlier one has not ended, whatever its priority. */
static void group_comes_before_priority(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *holder = grouped("1", "h", "k");
	struct job *first = grouped("2", "g", "other");
	struct job *urgent = grouped("3", "g", "k");
	struct job *last = grouped("4", "i", "k");

	urgent->priority = 9;
	want_admit(fixture, fixture->a, holder);
	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->a, urgent);
	want_admit(fixture, fixture->a, last);
	want_finish(fixture, fixture->a, holder, JOB_CANCELLED, "4@a");
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "");
	want_finish(fixture, fixture->a, last, JOB_CANCELLED, "3@a");
	job_destroy(last);
	job_destroy(urgent);
	job_destroy(first);
	job_destroy(holder);
}

/* One key for jobs of a group and others: who waited only for the job that ended stands in the order. */
static void group_does_not_cost_its_jobs_their_place(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = grouped("1", "g", "k");
	struct job *second = grouped("2", "g", "k");
	struct job *other = make_job("3", LOCK_QUEUE);

	xreplace(&other->lock_key, "k");
	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->a, second);
	want_admit(fixture, fixture->a, other);
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "2@a");
	want_finish(fixture, fixture->a, second, JOB_CANCELLED, "3@a");
	job_destroy(other);
	job_destroy(second);
	job_destroy(first);
}

static void superseded_job_lets_its_group_go_on(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *holder = make_job("1", LOCK_QUEUE);
	struct job *older = grouped("2", "g", "p");
	struct job *follower = grouped("3", "g", NULL);
	struct job *newest = make_job("4", LOCK_LATEST);
	struct heard heard;

	want_admit(fixture, fixture->a, holder);
	want_admit(fixture, fixture->a, older);
	want_admit(fixture, fixture->b, follower);
	assert_int_equal(follower->state, JOB_WAITING);
	want_admit(fixture, fixture->a, newest);
	want_state(fixture->a, "2", JOB_SUPERSEDED);
	want_sweep(fixture, fixture->b, &heard);
	assert_string_equal(heard_ids(&heard), "3");
	assert_int_equal(heard.jobs[0]->state, JOB_QUEUED);
	heard_finish(&heard);
	job_destroy(newest);
	job_destroy(follower);
	job_destroy(older);
	job_destroy(holder);
}

static void delayed_job_waits_for_its_time(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *delayed = make_job("1", LOCK_QUEUE);
	struct job *now = make_job("2", LOCK_QUEUE);
	struct heard heard;

	delayed->not_before_ms = clock_wall_ms() + 60000;
	want_admit(fixture, fixture->a, delayed);
	assert_int_equal(delayed->state, JOB_WAITING);
	want_admit(fixture, fixture->a, now);
	assert_int_equal(now->state, JOB_QUEUED);
	want_finish(fixture, fixture->a, now, JOB_CANCELLED, "");
	want_sweep(fixture, fixture->b, &heard);
	assert_int_equal(heard.count, 0);
	assert_int_equal(heard.next_due_ms, delayed->not_before_ms);
	heard_finish(&heard);
	clock_shift(0, 60001);
	want_sweep(fixture, fixture->b, &heard);
	assert_int_equal(heard.count, 0);
	assert_int_equal(heard.next_due_ms, 0);
	heard_finish(&heard);
	want_sweep(fixture, fixture->a, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_int_equal(heard.jobs[0]->state, JOB_QUEUED);
	assert_int_equal(heard.jobs[0]->grant, 2);
	heard_finish(&heard);
	clock_shift(0, -60001);
	job_destroy(now);
	job_destroy(delayed);
}

/* Its delay is over though no sweep has seen it: it was accepted first and stands first. */
static void due_job_stands_before_a_newcomer(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *delayed = make_job("1", LOCK_QUEUE);
	struct job *newcomer = make_job("2", LOCK_QUEUE);

	delayed->not_before_ms = clock_wall_ms() + 60000;
	want_admit(fixture, fixture->a, delayed);
	clock_shift(0, 60001);
	want_admit(fixture, fixture->a, newcomer);
	clock_shift(0, -60001);
	assert_int_equal(newcomer->state, JOB_WAITING);
	want_state(fixture->a, "1", JOB_QUEUED);
	job_destroy(newcomer);
	job_destroy(delayed);
}

static void delayed_head_holds_its_group(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *delayed = grouped("1", "g", NULL);
	struct job *follower = grouped("2", "g", NULL);
	struct heard heard;

	delayed->not_before_ms = clock_wall_ms() + 60000;
	want_admit(fixture, fixture->a, delayed);
	want_admit(fixture, fixture->a, follower);
	assert_int_equal(follower->state, JOB_WAITING);
	clock_shift(0, 60001);
	want_sweep(fixture, fixture->a, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	heard_finish(&heard);
	want_finish(fixture, fixture->a, delayed, JOB_CANCELLED, "2@a");
	clock_shift(0, -60001);
	job_destroy(follower);
	job_destroy(delayed);
}

/* -- ownership ----------------------------------------------------------------------------------- */

static void disowned_jobs_are_adopted_oldest_first(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *running = make_job("1", LOCK_QUEUE);
	struct job *waiting = make_job("2", LOCK_QUEUE);
	struct job *unsettled = make_job("3", LOCK_PARALLEL);
	struct job *settled = make_job("4", LOCK_PARALLEL);
	struct heard heard;

	want_admit(fixture, fixture->a, running);
	want_intend(fixture, fixture->a, running, ERROR_NONE);
	want_started(fixture, fixture->a, running, ERROR_NONE);
	want_admit(fixture, fixture->a, waiting);
	want_admit(fixture, fixture->a, unsettled);
	want_finish(fixture, fixture->a, unsettled, JOB_CANCELLED, "");
	want_admit(fixture, fixture->a, settled);
	want_finish(fixture, fixture->a, settled, JOB_CANCELLED, "");
	settled->message.settled = true;
	want_note(fixture, fixture->a, settled, ERROR_NONE);
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_int_equal(heard.count, 0);
	heard_finish(&heard);
	assert_int_equal(want_disown(fixture, fixture->b, "a"), 3);
	want_note(fixture, fixture->a, running, ERROR_LOST);
	want_adopt(fixture, fixture->b, 2, &heard);
	assert_string_equal(heard_ids(&heard), "1 2");
	assert_int_equal(heard.jobs[0]->fence, 2);
	assert_string_equal(heard.jobs[0]->owner, "b");
	assert_int_equal(heard.jobs[0]->state, JOB_RUNNING);
	assert_int_equal(heard.jobs[0]->grant, 1);
	assert_string_equal(heard.jobs[0]->attempt.handle, "arn:task/1");
	assert_string_equal(heard.jobs[0]->attempt.request, "{\"frozen\":1}");
	assert_string_equal(heard.jobs[0]->message.receipt, "r1-1");
	assert_string_equal(heard.jobs[0]->body, running->body);
	want_finish(fixture, fixture->b, heard.jobs[0], JOB_SUCCEEDED, "2@b");
	heard_finish(&heard);
	want_adopt(fixture, fixture->b, 2, &heard);
	assert_string_equal(heard_ids(&heard), "3");
	assert_int_equal(heard.jobs[0]->state, JOB_CANCELLED);
	heard_finish(&heard);
	want_finish_error(fixture, fixture->a, running, JOB_SUCCEEDED, ERROR_LOST);
	job_destroy(settled);
	job_destroy(unsettled);
	job_destroy(waiting);
	job_destroy(running);
}

static void grant_to_nobodys_job_says_so(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = make_job("1", LOCK_QUEUE);
	struct store_admission released = { .job = make_job("2", LOCK_QUEUE), .released = true };
	struct heard heard = { 0 };

	want_admit(fixture, fixture->a, first);
	store_admit(fixture->b, &released, 1, heard_done, &heard);
	hear(fixture, &heard);
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "2@-");
	job_destroy(released.job);
	job_destroy(first);
}

static void ended_lease_gives_the_jobs_to_others(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard;

	want_admit(fixture, fixture->a, job);
	clock_shift(FIXTURE_LEASE_MS / 2000., 0);
	want_renew(fixture, fixture->b, ERROR_NONE);
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_int_equal(heard.count, 0);
	heard_finish(&heard);
	clock_shift(FIXTURE_LEASE_MS / 2000. + 1, 0);
	/* Late, but nobody has taken anything yet: the job is still a's. */
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_int_equal(heard.jobs[0]->fence, 2);
	heard_finish(&heard);
	want_started(fixture, fixture->a, job, ERROR_LOST);
	want_renew(fixture, fixture->a, ERROR_LOST);
	want_renew(fixture, fixture->a, ERROR_NONE);
	job_destroy(job);
}

static void lost_owner_admits_nothing_before_it_knows(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };

	want_disown(fixture, fixture->b, "a");
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_LOST);
	assert_null(read_job(fixture->a, "1"));
	want_renew(fixture, fixture->a, ERROR_LOST);
	want_renew(fixture, fixture->a, ERROR_NONE);
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_NEW);
	job_destroy(job);
}

static void redelivery_of_a_dead_owners_job_frees_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = make_job("1", LOCK_QUEUE) };
	struct heard heard = { 0 };

	want_admit(fixture, fixture->a, job);
	clock_shift(FIXTURE_LEASE_MS / 1000. + 1, 0);
	xreplace(&admission.job->message.receipt, "r2");
	store_admit(fixture->b, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(admission.verdict, STORE_ADMITTED_OTHERS);
	assert_null(admission.owner);
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_string_equal(heard.jobs[0]->message.receipt, "r2");
	heard_finish(&heard);
	job_destroy(admission.job);
	job_destroy(job);
}

/* -- messages, reading --- ------------------------------------------------------------------- */

static void noted_message_is_what_the_next_owner_gets(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *found;

	want_admit(fixture, fixture->a, job);
	xreplace(&job->message.receipt, "r9");
	job->message.hidden_until_ms += 60000;
	want_note(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->b, "1");
	assert_string_equal(found->message.receipt, "r9");
	assert_int_equal(found->message.hidden_until_ms, job->message.hidden_until_ms);
	assert_false(found->message.settled);
	job_destroy(found);
	job->message.settled = true;
	want_note(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->b, "1");
	assert_true(found->message.settled);
	assert_null(found->message.receipt);
	job_destroy(found);
	job_destroy(job);
}

static void want_list(struct store *store, const struct store_filter *filter, const char *ids)
{
	struct heard heard = { 0 };

	read_jobs(store, filter, &heard.jobs, &heard.count);
	assert_string_equal(heard_ids(&heard), ids);
	read_jobs_free(heard.jobs, heard.count);
}

static void lists_are_paged_newest_first(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t seqs[6];
	uint64_t counts[JOB_STATES];

	for (int i = 0; i < 6; i++) {
		char id[2] = { (char)('1' + i), '\0' };
		struct job *job = make_job(id, LOCK_PARALLEL);

		xreplace(&job->project, i % 2 == 0 ? "even" : "odd");
		xreplace(&job->deployer, i < 3 ? "d" : "e");
		want_admit(fixture, fixture->a, job);
		if (i < 4)
			want_finish(fixture, fixture->a, job, JOB_CANCELLED, "");
		seqs[i] = job->seq;
		job_destroy(job);
	}
	want_list(fixture->b, &(struct store_filter){ .state = -1, .max = 10 }, "6 5 4 3 2 1");
	want_list(fixture->b, &(struct store_filter){ .state = -1, .max = 2 }, "6 5");
	want_list(fixture->b, &(struct store_filter){ .state = -1, .max = 2, .before_seq = seqs[4] }, "4 3");
	want_list(fixture->b, &(struct store_filter){ .state = -1, .max = 2, .before_seq = seqs[0] }, "");
	want_list(fixture->b, &(struct store_filter){ .state = -1, .max = 9, .project = "odd" }, "6 4 2");
	want_list(fixture->b, &(struct store_filter){ .state = JOB_CANCELLED, .max = 9 }, "4 3 2 1");
	want_list(fixture->b, &(struct store_filter){ .state = JOB_CANCELLED, .max = 9, .project = "odd" }, "4 2");
	want_list(fixture->b, &(struct store_filter){ .state = JOB_QUEUED, .max = 9, .deployer = "e" }, "6 5");
	want_list(fixture->b, &(struct store_filter){ .state = -1, .max = 9, .deployer = "d" }, "3 2 1");
	read_counts(fixture->b, counts);
	assert_int_equal(counts[JOB_QUEUED], 2);
	assert_int_equal(counts[JOB_CANCELLED], 4);
	assert_int_equal(counts[JOB_RUNNING], 0);
}

/* -- calls and completions ----------------------------------------------------------------------- */

static void completions_never_run_inside_the_call(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard heard = { 0 };

	store_renew(fixture->a, heard_done, &heard);
	assert_false(heard.done);
	hear(fixture, &heard);
}

struct chain {
	struct store_fixture *fixture;
	int left;
};

static void on_link(void *arg, const struct error *err)
{
	struct chain *chain = arg;

	assert_null(err);
	if (--chain->left > 0)
		store_renew(chain->fixture->a, on_link, chain);
}

static void completion_may_call_again(void **state)
{
	struct chain chain = { *state, 20 };

	store_renew(chain.fixture->a, on_link, &chain);
	while (chain.left > 0)
		ev_run(chain.fixture->loop, EVRUN_ONCE);
}

static void on_close(void *arg, const struct error *err)
{
	struct store_fixture *fixture = arg;

	assert_null(err);
	store_close(fixture->a);
	fixture->a = NULL;
}

static void completion_may_close_the_store(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard before = { 0 }, after = { 0 };

	store_renew(fixture->a, heard_done, &before);
	store_renew(fixture->a, on_close, fixture);
	store_renew(fixture->a, heard_done, &after);
	hear(fixture, &after);
	assert_true(before.done);
	assert_int_equal(after.err.kind, ERROR_NONE);
	assert_null(fixture->a);
}

static void close_fails_what_is_outstanding(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };

	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	store_close(fixture->a);
	fixture->a = NULL;
	assert_true(heard.done);
	assert_int_equal(heard.err.kind, ERROR_TEMPORARY);
	assert_null(read_job(fixture->b, "1"));
	assert_null(job->owner);
	job_destroy(job);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(new_job_is_ours_and_queued),
	cmocka_unit_test(redelivery_to_owner_renews_receipt),
	cmocka_unit_test(redelivery_to_another_worker_reaches_the_owner_by_sweep),
	cmocka_unit_test(older_receipt_does_not_replace_newer),
	cmocka_unit_test(redelivery_after_the_end_is_to_be_settled),
	cmocka_unit_test(second_message_of_an_unfinished_job_is_to_be_settled),
	cmocka_unit_test(same_job_twice_in_a_batch),
	cmocka_unit_test(released_admission_is_nobodys),
	cmocka_unit_test(writes_need_owner_and_fence),
	cmocka_unit_test(refused_call_leaves_its_neighbours_alone),
	cmocka_unit_test(moves_follow_the_table),
	cmocka_unit_test(attempt_is_stored_and_dropped),
	cmocka_unit_test(fallback_step_and_retry_have_their_own_attempt),
	cmocka_unit_test(key_passes_in_order_of_acceptance),
	cmocka_unit_test(grants_of_a_key_never_repeat),
	cmocka_unit_test(higher_priority_goes_first),
	cmocka_unit_test(other_keys_do_not_wait),
	cmocka_unit_test(latest_supersedes_waiting_jobs_of_its_deployer),
	cmocka_unit_test(reject_fails_when_the_key_is_taken),
	cmocka_unit_test(group_runs_in_order),
	cmocka_unit_test(one_end_can_make_two_ready),
	cmocka_unit_test(group_comes_before_priority),
	cmocka_unit_test(group_does_not_cost_its_jobs_their_place),
	cmocka_unit_test(superseded_job_lets_its_group_go_on),
	cmocka_unit_test(delayed_job_waits_for_its_time),
	cmocka_unit_test(due_job_stands_before_a_newcomer),
	cmocka_unit_test(delayed_head_holds_its_group),
	cmocka_unit_test(disowned_jobs_are_adopted_oldest_first),
	cmocka_unit_test(grant_to_nobodys_job_says_so),
	cmocka_unit_test(ended_lease_gives_the_jobs_to_others),
	cmocka_unit_test(lost_owner_admits_nothing_before_it_knows),
	cmocka_unit_test(redelivery_of_a_dead_owners_job_frees_it),
	cmocka_unit_test(noted_message_is_what_the_next_owner_gets),
	cmocka_unit_test(lists_are_paged_newest_first),
	cmocka_unit_test(completions_never_run_inside_the_call),
	cmocka_unit_test(completion_may_call_again),
	cmocka_unit_test(completion_may_close_the_store),
	cmocka_unit_test(close_fails_what_is_outstanding),
};

int main(void)
{
	return fixture_run(tests, ARRAY_SIZE(tests));
}
