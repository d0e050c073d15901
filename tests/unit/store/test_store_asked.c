/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_asked.c - what people ask of a store, what they see of it, and the order of those who wait. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store_fixture.h"

static void admit_all(struct store_fixture *fixture, struct store *store, struct job *const *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		want_admit(fixture, store, jobs[i]);
}

static void destroy_all(struct job *const *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		job_destroy(jobs[i]);
}

static void run(struct store_fixture *fixture, struct store *store, struct job *job)
{
	want_intend(fixture, store, job, ERROR_NONE);
	want_started(fixture, store, job, ERROR_NONE);
}

static void settle(struct store_fixture *fixture, struct store *store, struct job *job)
{
	job->message.settled = true;
	want_note(fixture, store, job, ERROR_NONE);
}

/* Runs, fails and is settled. */
static void fail_and_settle(struct store_fixture *fixture, struct store *store, struct job *job, const char *grants)
{
	run(fixture, store, job);
	want_finish(fixture, store, job, JOB_FAILED, grants);
	settle(fixture, store, job);
}

/* -- cancel -------------------------------------------------------------------------------------- */

static void job_that_was_not_launched_is_cancelled_at_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE) };
	struct heard heard;
	struct job *found;

	want_admit(fixture, fixture->a, jobs[0]);
	want_admit(fixture, fixture->b, jobs[1]);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_DONE, "1@a", "2@b");
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_CANCELLED);
	assert_string_equal(found->reason, "cancelled");
	assert_string_equal(found->detail, "cancelled by me");
	assert_string_equal(found->cancelled_by, "me");
	assert_string_equal(found->cancel_reason, "cancelled");
	assert_true(found->finished_ms > 0);
	job_destroy(found);
	/* Whatever its owner was about to do is refused; it hears why, and settles. */
	want_intend(fixture, fixture->a, jobs[0], ERROR_INVALID);
	want_retry(fixture, fixture->a, jobs[0], ERROR_INVALID);
	want_finish_error(fixture, fixture->a, jobs[0], JOB_FAILED, ERROR_INVALID);
	want_sweep(fixture, fixture->a, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_int_equal(heard.jobs[0]->state, JOB_CANCELLED);
	assert_string_equal(heard.jobs[0]->message.receipt, "r1-1");
	heard_finish(&heard);
	want_news(fixture, fixture->a, "");
	settle(fixture, fixture->a, jobs[0]);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_REFUSED, "1@a", "");
	want_asked(fixture, fixture->b, store_cancel, "3", STORE_ASKED_UNKNOWN, "-@-", "");
	destroy_all(jobs, 2);
}

static void admit_as_nobodys(struct store_fixture *fixture, struct job *job)
{
	struct store_admission admission = { .job = job, .released = true };
	struct heard heard = { 0 };

	xreplace(&job->message.id, NULL);
	xreplace(&job->message.receipt, NULL);
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	assert_int_equal(admission.verdict, STORE_ADMITTED_NEW);
}

static void want_adopted_as(struct store_fixture *fixture, const char *ids, enum job_state state)
{
	struct heard heard;

	want_adopt(fixture, fixture->b, 9, &heard);
	assert_string_equal(heard_ids(&heard), ids);
	for (size_t i = 0; i < heard.count; i++) {
		assert_int_equal(heard.jobs[i]->state, state);
		settle(fixture, fixture->b, heard.jobs[i]);
	}
	heard_finish(&heard);
	want_adopt(fixture, fixture->b, 9, &heard);
	assert_int_equal(heard.count, 0);
	heard_finish(&heard);
}

/* No message brings them back: somebody adopts them to tell of their end. */
static void job_of_nobody_that_others_have_ended_is_adopted_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_LATEST), make_job("2", LOCK_LATEST), make_job("3", LOCK_LATEST),
		make_job("4", LOCK_PARALLEL), make_job("5", LOCK_PARALLEL) };

	want_admit(fixture, fixture->a, jobs[0]);
	admit_as_nobodys(fixture, jobs[1]);
	want_admit(fixture, fixture->a, jobs[2]);
	want_adopted_as(fixture, "2", JOB_SUPERSEDED);
	admit_as_nobodys(fixture, jobs[3]);
	want_asked(fixture, fixture->a, store_cancel, "4", STORE_ASKED_DONE, "4@-", "");
	/* Its end need not be told first. */
	want_asked(fixture, fixture->a, store_retry_finished, "4", STORE_ASKED_DONE, "4@-", "");
	want_asked(fixture, fixture->a, store_cancel, "4", STORE_ASKED_DONE, "4@-", "");
	want_adopted_as(fixture, "4", JOB_CANCELLED);
	want_asked(fixture, fixture->a, store_retry_finished, "4", STORE_ASKED_DONE, "4@-", "");
	want_adopted_as(fixture, "4", JOB_QUEUED);
	/* One whose owner dies before it has heard of the end. */
	xreplace(&jobs[4]->message.id, NULL);
	want_admit(fixture, fixture->a, jobs[4]);
	want_asked(fixture, fixture->b, store_cancel, "5", STORE_ASKED_DONE, "5@a", "");
	want_finish(fixture, fixture->a, jobs[0], JOB_FAILED, "3@a");
	want_finish(fixture, fixture->a, jobs[2], JOB_FAILED, "");
	settle(fixture, fixture->a, jobs[0]);
	settle(fixture, fixture->a, jobs[2]);
	want_disown(fixture, fixture->b, "a");
	want_adopted_as(fixture, "5", JOB_CANCELLED);
	destroy_all(jobs, 5);
}

static void job_between_two_attempts_is_cancelled_at_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	run(fixture, fixture->a, job);
	want_retry(fixture, fixture->a, job, ERROR_NONE);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_DONE, "1@a", "");
	job->attempt.number = 2;
	want_intend(fixture, fixture->a, job, ERROR_INVALID);
	want_state(fixture->b, "1", JOB_CANCELLED);
	job_destroy(job);
}

static struct job *grouped(const char *id, enum lock_policy policy)
{
	struct job *job = make_job(id, policy);

	job->message.group = xstrdup("g");
	return job;
}

static void cancelled_waiting_job_lets_its_group_go_on(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = {
		make_job("1", LOCK_QUEUE), grouped("2", LOCK_QUEUE), grouped("3", LOCK_PARALLEL), make_job("4", LOCK_QUEUE),
	};

	admit_all(fixture, fixture->a, jobs, 4);
	assert_int_equal(jobs[2]->state, JOB_WAITING);
	want_asked(fixture, fixture->b, store_cancel, "2", STORE_ASKED_DONE, "2@a", "3@a");
	/* It had no key to pass on. */
	want_state(fixture->b, "4", JOB_WAITING);
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "4@a");
	want_news(fixture, fixture->a, "2 3 4");
	destroy_all(jobs, 4);
}

static void cancelled_delayed_job_is_not_waited_for(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { grouped("1", LOCK_QUEUE), grouped("2", LOCK_QUEUE) };
	struct heard heard;

	jobs[0]->not_before_ms = clock_wall_ms() + 60000;
	admit_all(fixture, fixture->a, jobs, 2);
	want_asked(fixture, fixture->a, store_cancel, "1", STORE_ASKED_DONE, "1@a", "2@a");
	want_sweep(fixture, fixture->a, &heard);
	assert_string_equal(heard_ids(&heard), "1 2");
	assert_int_equal(heard.next_due_ms, 0);
	heard_finish(&heard);
	destroy_all(jobs, 2);
}

static void launched_job_is_cancelling_until_its_owner_has_stopped_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE) };
	struct job *found;

	admit_all(fixture, fixture->a, jobs, 2);
	want_intend(fixture, fixture->a, jobs[0], ERROR_NONE);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_BEGUN, "1@a", "");
	want_state(fixture->b, "1", JOB_CANCELLING);
	want_news(fixture, fixture->b, "");
	want_news(fixture, fixture->a, "1");
	/* No next step, no next attempt; but what was launched is learned of. */
	jobs[0]->attempt.step = 1;
	want_intend(fixture, fixture->a, jobs[0], ERROR_INVALID);
	jobs[0]->attempt.step = 0;
	want_started(fixture, fixture->a, jobs[0], ERROR_NONE);
	want_retry(fixture, fixture->a, jobs[0], ERROR_INVALID);
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_CANCELLING);
	assert_string_equal(found->attempt.handle, "arn:task/1");
	assert_string_equal(found->cancelled_by, "me");
	job_destroy(found);
	want_state(fixture->b, "2", JOB_WAITING);
	/* It ended by itself before it was stopped. */
	want_finish(fixture, fixture->a, jobs[0], JOB_SUCCEEDED, "2@a");
	want_state(fixture->b, "1", JOB_SUCCEEDED);
	destroy_all(jobs, 2);
}

static void who_asked_first_stays_in_the_record(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard = { 0 };
	struct job *found;

	want_admit(fixture, fixture->a, job);
	run(fixture, fixture->a, job);
	store_cancel(fixture->b, "1", "somebody", heard_answer, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.verdict, STORE_ASKED_BEGUN);
	assert_int_equal(heard.state, JOB_CANCELLING);
	want_news(fixture, fixture->a, "1");
	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_BEGUN, "1@a", "");
	want_news(fixture, fixture->a, "1");
	found = read_job(fixture->b, "1");
	assert_string_equal(found->cancelled_by, "somebody");
	assert_string_equal(found->cancel_reason, "cancelled");
	job_destroy(found);
	job_destroy(job);
}

static void nobodys_job_is_cancelled_by_whoever_adopts_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE) };
	struct heard heard;

	admit_all(fixture, fixture->a, jobs, 2);
	run(fixture, fixture->a, jobs[0]);
	want_disown(fixture, fixture->b, "a");
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_BEGUN, "1@-", "");
	want_asked(fixture, fixture->b, store_cancel, "2", STORE_ASKED_DONE, "2@-", "");
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1 2");
	assert_int_equal(heard.jobs[0]->state, JOB_CANCELLING);
	assert_string_equal(heard.jobs[0]->cancelled_by, "me");
	assert_string_equal(heard.jobs[0]->cancel_reason, "cancelled");
	assert_int_equal(heard.jobs[1]->state, JOB_CANCELLED);
	assert_string_equal(heard.jobs[1]->message.receipt, "r1-2");
	heard_finish(&heard);
	want_news(fixture, fixture->b, "");
	destroy_all(jobs, 2);
}

/* -- unlock -------------------------------------------------------------------------------------- */

static void unlock_ends_the_holder(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE), make_job("3", LOCK_QUEUE) };
	struct job *found;

	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_UNKNOWN, "-@-", "");
	admit_all(fixture, fixture->a, jobs, 3);
	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_DONE, "1@a", "2@a");
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_CANCELLED);
	assert_string_equal(found->reason, "unlocked");
	assert_string_equal(found->cancel_reason, "unlocked");
	job_destroy(found);
	want_intend(fixture, fixture->a, jobs[1], ERROR_NONE);
	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_BEGUN, "2@a", "");
	want_state(fixture->b, "2", JOB_CANCELLING);
	want_state(fixture->b, "3", JOB_WAITING);
	want_finish(fixture, fixture->a, jobs[1], JOB_CANCELLED, "3@a");
	want_finish(fixture, fixture->a, jobs[2], JOB_CANCELLED, "");
	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_DONE, "-@-", "");
	destroy_all(jobs, 3);
}

/* -- retry --------------------------------------------------------------------------------------- */

static void only_what_is_over_is_retried(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_REFUSED, "1@a", "");
	run(fixture, fixture->a, job);
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_REFUSED, "1@a", "");
	want_finish(fixture, fixture->a, job, JOB_FAILED, "");
	/* Its owner still has a message to settle. */
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_REFUSED, "1@a", "");
	want_state(fixture->b, "1", JOB_FAILED);
	settle(fixture, fixture->a, job);
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	want_asked(fixture, fixture->b, store_retry_finished, "2", STORE_ASKED_UNKNOWN, "-@-", "");
	want_state(fixture->b, "1", JOB_QUEUED);
	job_destroy(job);
}

static void retried_job_is_accepted_anew_and_nobodys(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_PARALLEL) };
	struct job *after = make_job("3", LOCK_PARALLEL);
	struct heard heard;
	struct job *found;

	admit_all(fixture, fixture->a, jobs, 2);
	run(fixture, fixture->a, jobs[0]);
	jobs[0]->failures = 1;
	jobs[0]->losses = 1;
	want_retry(fixture, fixture->a, jobs[0], ERROR_NONE);
	jobs[0]->attempt.number = 2;
	fail_and_settle(fixture, fixture->a, jobs[0], "");
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	want_finish_error(fixture, fixture->a, jobs[0], JOB_FAILED, ERROR_LOST);
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	found = heard.jobs[0];
	assert_int_equal(found->state, JOB_QUEUED);
	assert_true(found->seq > jobs[1]->seq);
	assert_int_equal(found->grant, 2);
	assert_int_equal(found->fence, 2);
	assert_int_equal(found->failures, 0);
	assert_int_equal(found->losses, 0);
	assert_int_equal(found->attempt.number, 2);
	assert_string_equal(found->attempt.handle, "arn:task/1");
	assert_int_equal(found->exit_code, JOB_NO_EXIT_CODE);
	assert_int_equal(found->finished_ms, 0);
	assert_null(found->reason);
	assert_string_equal(found->detail, "retried by me");
	assert_string_equal(found->body, jobs[0]->body);
	found->attempt.number = 3;
	want_intend(fixture, fixture->b, found, ERROR_NONE);
	heard_finish(&heard);
	/* Its old seq and its new one are nobody else's. */
	want_admit(fixture, fixture->a, after);
	found = read_job(fixture->b, "1");
	assert_true(after->seq > found->seq);
	assert_string_equal(found->attempt.request, "{\"frozen\":1}");
	job_destroy(found);
	job_destroy(after);
	destroy_all(jobs, 2);
}

static void retried_job_is_the_last_of_its_key_and_group(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { grouped("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE), grouped("3", LOCK_PARALLEL) };

	admit_all(fixture, fixture->a, jobs, 3);
	fail_and_settle(fixture, fixture->a, jobs[0], "3@a 2@a");
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	want_state(fixture->b, "1", JOB_WAITING);
	want_finish(fixture, fixture->a, jobs[1], JOB_CANCELLED, "");
	want_finish(fixture, fixture->a, jobs[2], JOB_CANCELLED, "1@-");
	destroy_all(jobs, 3);
}

static void cancelled_job_is_retried_without_its_delay(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *found;

	job->not_before_ms = clock_wall_ms() + 60000;
	want_admit(fixture, fixture->a, job);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_DONE, "1@a", "");
	settle(fixture, fixture->a, job);
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_QUEUED);
	assert_null(found->cancelled_by);
	assert_null(found->cancel_reason);
	job_destroy(found);
	want_news(fixture, fixture->a, "");
	job_destroy(job);
}

static void retry_that_would_be_rejected_changes_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *rejects = make_job("1", LOCK_REJECT);
	struct job *holder = make_job("2", LOCK_QUEUE);
	struct heard heard = { 0 };
	struct job *found;

	want_admit(fixture, fixture->a, rejects);
	fail_and_settle(fixture, fixture->a, rejects, "");
	want_admit(fixture, fixture->a, holder);
	store_retry_finished(fixture->b, "1", "me", heard_answer, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_REFUSED);
	assert_non_null(strstr(heard.err.text, "held by job 2"));
	found = read_job(fixture->b, "1");
	assert_int_equal(found->state, JOB_FAILED);
	assert_string_equal(found->reason, "exit_code");
	job_destroy(found);
	want_finish(fixture, fixture->a, holder, JOB_CANCELLED, "");
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	want_state(fixture->b, "1", JOB_QUEUED);
	job_destroy(holder);
	job_destroy(rejects);
}

/* It is the newest now, so its policy is the one that counts. */
static void retried_job_supersedes_who_waits(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_LATEST), make_job("2", LOCK_QUEUE), make_job("3", LOCK_LATEST) };
	struct job *found;

	want_admit(fixture, fixture->a, jobs[0]);
	fail_and_settle(fixture, fixture->a, jobs[0], "");
	admit_all(fixture, fixture->a, jobs + 1, 2);
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	found = read_job(fixture->b, "3");
	assert_int_equal(found->state, JOB_SUPERSEDED);
	assert_string_equal(found->detail, "superseded by job 1");
	job_destroy(found);
	want_news(fixture, fixture->a, "3");
	want_finish(fixture, fixture->a, jobs[1], JOB_CANCELLED, "1@-");
	destroy_all(jobs, 3);
}

/* -- news from elsewhere ------------------------------------------------------------------------- */

static void owner_is_told_of_its_running_job_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_told(fixture, fixture->b, "1", STORE_ASKED_UNKNOWN, "-@-");
	want_admit(fixture, fixture->a, job);
	want_told(fixture, fixture->b, "1", STORE_ASKED_DONE, "1@a");
	want_news(fixture, fixture->a, "");
	run(fixture, fixture->a, job);
	want_told(fixture, fixture->a, "1", STORE_ASKED_DONE, "1@a");
	want_news(fixture, fixture->a, "");
	want_told(fixture, fixture->b, "1", STORE_ASKED_BEGUN, "1@a");
	want_told(fixture, fixture->b, "1", STORE_ASKED_BEGUN, "1@a");
	want_news(fixture, fixture->a, "1");
	want_news(fixture, fixture->a, "");
	want_disown(fixture, fixture->b, "a");
	want_told(fixture, fixture->b, "1", STORE_ASKED_DONE, "1@-");
	job_destroy(job);
}

/* -- what a job waits for, and how often it failed --------------------------------------------------- */

static void want_wait(struct store *store, const char *waits_for, int64_t next_try_ms)
{
	struct job *found = read_job(store, "1");

	if (waits_for == NULL)
		assert_null(found->waits_for);
	else
		assert_string_equal(found->waits_for, waits_for);
	assert_int_equal(found->next_try_ms, next_try_ms);
	job_destroy(found);
}

static void noted_wait_is_seen_until_the_next_move(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	job->waits_for = xstrdup("capacity: RESOURCE:MEMORY");
	job->next_try_ms = 12345;
	want_note_wait(fixture, fixture->a, job, ERROR_NONE);
	want_wait(fixture->b, "capacity: RESOURCE:MEMORY", 12345);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_wait(fixture->b, NULL, 0);
	want_note_wait(fixture, fixture->a, job, ERROR_NONE);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	want_wait(fixture->b, NULL, 0);
	want_note_wait(fixture, fixture->a, job, ERROR_NONE);
	want_retry(fixture, fixture->a, job, ERROR_NONE);
	want_wait(fixture->b, NULL, 0);
	want_note_wait(fixture, fixture->a, job, ERROR_NONE);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_DONE, "1@a", "");
	want_wait(fixture->b, NULL, 0);
	want_note_wait(fixture, fixture->a, job, ERROR_INVALID);
	job_destroy(job);
}

static void retry_keeps_counts_and_attempt_its_timeout(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *found;

	want_admit(fixture, fixture->a, job);
	job->attempt.timeout_ms = 90000;
	run(fixture, fixture->a, job);
	job->failures = 2;
	job->losses = 3;
	want_retry(fixture, fixture->a, job, ERROR_NONE);
	found = read_job(fixture->b, "1");
	assert_int_equal(found->failures, 2);
	assert_int_equal(found->losses, 3);
	assert_int_equal(found->attempt.timeout_ms, 90000);
	job_destroy(found);
	job_destroy(job);
}

/* -- crashes ------------------------------------------------------------------------------------- */

static void note_crash(struct store_fixture *fixture, const char *key, const char *owner)
{
	struct heard heard = { 0 };

	store_note_crash(fixture->a, key, owner, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
}

static void want_crashes(struct store *store, const char *key, unsigned want)
{
	assert_int_equal(read_crashes(store, key), want);
}

static void crash_counts_once_for_each_owner(void **state)
{
	struct store_fixture *fixture = *state;
	const int64_t week_ms = 7LL * 86400 * 1000;

	want_crashes(fixture->b, "1", 0);
	note_crash(fixture, "1", "w1");
	note_crash(fixture, "1", "w1");
	note_crash(fixture, "2", "w1");
	want_crashes(fixture->b, "1", 1);
	note_crash(fixture, "1", "w2");
	want_crashes(fixture->b, "1", 2);
	clock_shift(0, week_ms + 1);
	note_crash(fixture, "2", "w3");
	clock_shift(0, -week_ms - 1);
	want_crashes(fixture->b, "1", 0);
	want_crashes(fixture->b, "2", 1);
}

/* Else it would be quarantined again before it was tried. */
static void retried_job_has_crashed_nobody(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	fail_and_settle(fixture, fixture->a, job, "");
	note_crash(fixture, "1", "w1");
	note_crash(fixture, "2", "w1");
	want_asked(fixture, fixture->b, store_retry_finished, "1", STORE_ASKED_DONE, "1@-", "");
	want_crashes(fixture->b, "1", 0);
	want_crashes(fixture->b, "2", 1);
	job_destroy(job);
}

/* -- the order of waiters -------------------------------------------------------------------------- */

/* Jobs of no key between those that matter; returns when the last one accepted has this seq. */
static void fill_up_to(struct store_fixture *fixture, int64_t seq, int64_t last)
{
	size_t count = (size_t)(last - seq);
	struct store_admission *batch = xcalloc(count, sizeof(*batch));
	struct heard heard = { 0 };

	for (size_t i = 0; i < count; i++) {
		char id[32];

		snprintf(id, sizeof(id), "fill-%lld", (long long)seq + (long long)i);
		batch[i].job = make_job(id, LOCK_PARALLEL);
	}
	store_admit(fixture->a, batch, count, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(batch[count - 1].job->seq, last);
	for (size_t i = 0; i < count; i++)
		job_destroy(batch[i].job);
	free(batch);
}

/* One point of priority overtakes a thousand earlier ones, and no more. */
static void priority_overtakes_a_thousand_earlier_ones(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *holder = make_job("1", LOCK_QUEUE);
	struct job *early = make_job("2", LOCK_QUEUE);
	struct job *just = make_job("3", LOCK_QUEUE);
	struct job *late = make_job("4", LOCK_QUEUE);

	want_admit(fixture, fixture->a, holder);
	want_admit(fixture, fixture->a, early);
	fill_up_to(fixture, early->seq, early->seq + 998);
	just->priority = late->priority = early->priority + 1;
	want_admit(fixture, fixture->a, just);
	want_admit(fixture, fixture->a, late);
	assert_int_equal(just->seq, early->seq + 999);
	want_finish(fixture, fixture->a, holder, JOB_CANCELLED, "3@a");
	want_finish(fixture, fixture->a, just, JOB_CANCELLED, "2@a");
	want_finish(fixture, fixture->a, early, JOB_CANCELLED, "4@a");
	job_destroy(late);
	job_destroy(just);
	job_destroy(early);
	job_destroy(holder);
}

/* A stream of newer ones, with delays and beside another deployer, does not lose its place. */
static void successor_inherits_place_and_delay(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = {
		make_job("1", LOCK_QUEUE), make_job("2", LOCK_LATEST), make_job("3", LOCK_QUEUE), make_job("4", LOCK_LATEST),
		make_job("5", LOCK_LATEST),
	};
	int64_t now_ms = clock_wall_ms();
	struct job *found;
	struct heard heard;

	xreplace(&jobs[2]->deployer, "other");
	jobs[1]->not_before_ms = now_ms + 20000;
	jobs[3]->not_before_ms = now_ms + 50000;
	jobs[4]->not_before_ms = now_ms + 70000;
	admit_all(fixture, fixture->a, jobs, 5);
	assert_int_equal(jobs[3]->not_before_ms, now_ms + 20000);
	found = read_job(fixture->b, "4");
	assert_int_equal(found->state, JOB_SUPERSEDED);
	assert_string_equal(found->detail, "superseded by job 5");
	job_destroy(found);
	found = read_job(fixture->b, "5");
	assert_int_equal(found->not_before_ms, now_ms + 20000);
	job_destroy(found);
	clock_shift(0, 20001);
	want_sweep(fixture, fixture->a, &heard);
	assert_string_equal(heard_ids(&heard), "2 4");
	heard_finish(&heard);
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "5@a");
	clock_shift(0, -20001);
	want_state(fixture->b, "3", JOB_WAITING);
	destroy_all(jobs, 5);
}

/* What has no delay is not given one, and keeps its own when the other had none. */
static void delay_is_inherited_only_by_a_delayed_job(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_LATEST), make_job("3", LOCK_LATEST),
		make_job("4", LOCK_LATEST) };
	int64_t delay_ms = clock_wall_ms() + 60000;

	jobs[2]->not_before_ms = delay_ms;
	admit_all(fixture, fixture->a, jobs, 4);
	assert_int_equal(jobs[2]->not_before_ms, delay_ms);
	assert_int_equal(jobs[3]->not_before_ms, 0);
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "4@a");
	destroy_all(jobs, 4);
}

/* -- reading ------------------------------------------------------------------------------------- */

static void want_locks(struct store *store, const char *after, size_t max, const char *want)
{
	char text[256];

	read_locks(store, after, max, text, sizeof(text));
	assert_string_equal(text, want);
}

static void held_locks_are_listed_with_their_waiters(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE), make_job("3", LOCK_QUEUE),
		make_job("4", LOCK_QUEUE), make_job("5", LOCK_QUEUE) };

	want_locks(fixture->b, NULL, 10, "");
	xreplace(&jobs[3]->lock_key, "a");
	xreplace(&jobs[3]->project, "other");
	xreplace(&jobs[4]->lock_key, "z");
	admit_all(fixture, fixture->a, jobs, 5);
	want_locks(fixture->b, NULL, 10, "a:4:other:1:0 p:1:p:1:2 z:5:p:1:0 ");
	want_locks(fixture->b, NULL, 1, "a:4:other:1:0 ");
	want_locks(fixture->b, "a", 1, "p:1:p:1:2 ");
	want_locks(fixture->b, "z", 1, "");
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "2@a");
	want_finish(fixture, fixture->a, jobs[4], JOB_CANCELLED, "");
	want_locks(fixture->b, NULL, 10, "a:4:other:1:0 p:2:p:2:1 ");
	destroy_all(jobs, 5);
}

struct want_why {
	const char *id, *holder, *group_head;
	size_t ahead, group_ahead;
};

static void compare_why(void *arg, const struct store_why *why)
{
	const struct want_why want = *(const struct want_why *)arg;

	assert_non_null(why);
	assert_string_equal(why->job->id, want.id);
	assert_non_null(why->job->body);
	assert_string_equal(why->holder != NULL ? why->holder : "", want.holder != NULL ? want.holder : "");
	assert_string_equal(why->holder_project != NULL ? why->holder_project : "", want.holder != NULL ? "p" : "");
	assert_int_equal(why->holder_since_ms > 0, want.holder != NULL);
	assert_string_equal(why->group_head != NULL ? why->group_head : "", want.group_head != NULL ? want.group_head : "");
	assert_int_equal(why->ahead, want.ahead);
	assert_int_equal(why->group_ahead, want.group_ahead);
}

static void check_why(struct store *store, const char *id, struct want_why want)
{
	want.id = id;
	read_why(store, id, compare_why, &want);
}

static void want_no_why(void *arg, const struct store_why *why)
{
	(void)arg;
	assert_null(why);
}

static void why_names_what_a_job_waits_for(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE), grouped("3", LOCK_QUEUE),
		grouped("4", LOCK_QUEUE), grouped("5", LOCK_PARALLEL) };

	jobs[2]->priority = 6;
	admit_all(fixture, fixture->a, jobs, 5);
	read_why(fixture->b, "9", want_no_why, NULL);
	check_why(fixture->b, "1", (struct want_why){ 0 });
	check_why(fixture->b, "2", (struct want_why){ .holder = "1", .ahead = 1 });
	check_why(fixture->b, "3", (struct want_why){ .holder = "1" });
	check_why(fixture->b, "4", (struct want_why){ .holder = "1", .ahead = 2, .group_head = "3", .group_ahead = 1 });
	check_why(fixture->b, "5", (struct want_why){ .group_head = "3", .group_ahead = 2 });
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "3@a");
	check_why(fixture->b, "1", (struct want_why){ 0 });
	check_why(fixture->b, "2", (struct want_why){ .holder = "3" });
	destroy_all(jobs, 5);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(job_that_was_not_launched_is_cancelled_at_once),
		cmocka_unit_test(job_of_nobody_that_others_have_ended_is_adopted_once),
		cmocka_unit_test(job_between_two_attempts_is_cancelled_at_once),
		cmocka_unit_test(cancelled_waiting_job_lets_its_group_go_on),
		cmocka_unit_test(cancelled_delayed_job_is_not_waited_for),
		cmocka_unit_test(launched_job_is_cancelling_until_its_owner_has_stopped_it),
		cmocka_unit_test(who_asked_first_stays_in_the_record),
		cmocka_unit_test(nobodys_job_is_cancelled_by_whoever_adopts_it),
		cmocka_unit_test(unlock_ends_the_holder),
		cmocka_unit_test(only_what_is_over_is_retried),
		cmocka_unit_test(retried_job_is_accepted_anew_and_nobodys),
		cmocka_unit_test(retried_job_is_the_last_of_its_key_and_group),
		cmocka_unit_test(cancelled_job_is_retried_without_its_delay),
		cmocka_unit_test(retry_that_would_be_rejected_changes_nothing),
		cmocka_unit_test(retried_job_supersedes_who_waits),
		cmocka_unit_test(owner_is_told_of_its_running_job_once),
		cmocka_unit_test(noted_wait_is_seen_until_the_next_move),
		cmocka_unit_test(retry_keeps_counts_and_attempt_its_timeout),
		cmocka_unit_test(crash_counts_once_for_each_owner),
		cmocka_unit_test(retried_job_has_crashed_nobody),
		cmocka_unit_test(priority_overtakes_a_thousand_earlier_ones),
		cmocka_unit_test(successor_inherits_place_and_delay),
		cmocka_unit_test(delay_is_inherited_only_by_a_delayed_job),
		cmocka_unit_test(held_locks_are_listed_with_their_waiters),
		cmocka_unit_test(why_names_what_a_job_waits_for),
	};

	return fixture_run(tests, ARRAY_SIZE(tests));
}
