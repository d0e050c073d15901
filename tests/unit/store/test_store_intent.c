/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_intent.c - an intent that is stored by the commit of the admission.
 *
 * Stores that are elsewhere cannot ask what it is, and leave it to store_intend(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "store_fixture.h"

struct asked {
	char ids[64];           /* "1@4 3@0 ": of which jobs, with which grants */
	bool refuses;
};

static bool is_here(const struct store_fixture *fixture)
{
	return strcmp(fixture->adapter->name, "memory") == 0 || strcmp(fixture->adapter->name, "sqlite") == 0;
}

static bool intend(const struct store_admission *admission, struct job *job)
{
	struct asked *asked = admission->intent_arg;
	size_t used = strlen(asked->ids);

	snprintf(asked->ids + used, sizeof(asked->ids) - used, "%s@%d ", job->id, (int)job->grant);
	assert_string_equal(job->body, admission->job->body);
	if (asked->refuses)
		return false;
	job->attempt.number = 1;
	job->attempt.intended_ms = 4000;
	job->attempt.timeout_ms = 60000;
	xreplace(&job->attempt.token, "token");
	free(job->attempt.request);
	job->attempt.request = xasprintf("{\"fence\":%d}", (int)job->grant);
	return true;
}

/* What each admission says then: "new:launching ". */
static const char *admit(struct store_fixture *fixture, struct store_admission *admissions, size_t count,
	struct asked *asked)
{
	static const char *const verdicts[] = {
		[STORE_ADMITTED_NEW] = "new", [STORE_ADMITTED_OURS] = "ours", [STORE_ADMITTED_OTHERS] = "others",
		[STORE_ADMITTED_FINISHED] = "finished", [STORE_ADMITTED_REJECTED] = "rejected",
	};
	static char said[256];
	struct heard heard = { 0 };

	asked->ids[0] = said[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		admissions[i].intent = intend;
		admissions[i].intent_arg = asked;
	}
	store_admit(fixture->a, admissions, count, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(said);

		snprintf(said + used, sizeof(said) - used, "%s:%s ", verdicts[admissions[i].verdict],
			job_state_name(admissions[i].job->state));
		free(admissions[i].owner);
	}
	return said;
}

static const char *if_here(const struct store_fixture *fixture, const char *here, const char *elsewhere)
{
	return is_here(fixture) ? here : elsewhere;
}

static void want_attempt(struct store_fixture *fixture, const char *id, const char *request, const char *attempts)
{
	struct job *job = read_job(fixture->b, id);
	char text[64];

	assert_int_equal(job->attempt.number, request != NULL);
	if (request != NULL) {
		assert_string_equal(job->attempt.request, request);
		assert_string_equal(job->attempt.token, "token");
		assert_int_equal(job->attempt.intended_ms, 4000);
		assert_int_equal(job->attempt.timeout_ms, 60000);
	}
	job_destroy(job);
	read_attempts(fixture->b, id, text, sizeof(text));
	assert_string_equal(text, attempts);
}

static void job_that_may_launch_is_intended_at_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = {
		make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE), make_job("3", LOCK_PARALLEL), make_job("4", LOCK_REJECT),
	};
	struct store_admission admissions[ARRAY_SIZE(jobs)] = { 0 };
	struct asked asked = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		admissions[i].job = jobs[i];
	assert_string_equal(admit(fixture, admissions, ARRAY_SIZE(jobs), &asked),
		if_here(fixture, "new:launching new:waiting new:launching rejected:failed ",
			"new:queued new:waiting new:queued rejected:failed "));
	assert_string_equal(asked.ids, if_here(fixture, "1@1 3@0 ", ""));
	want_news(fixture, fixture->a, "");
	if (is_here(fixture)) {
		/* What the store has is what is asked for. */
		assert_string_equal(jobs[0]->attempt.request, "{\"fence\":1}");
		want_attempt(fixture, "1", "{\"fence\":1}", "1/0:-:-:-1:open ");
		want_attempt(fixture, "3", "{\"fence\":0}", "1/0:-:-:-1:open ");
	} else {
		want_intend(fixture, fixture->a, jobs[0], ERROR_NONE);
	}
	want_attempt(fixture, "2", NULL, "");
	want_state(fixture->b, "1", JOB_LAUNCHING);
	want_started(fixture, fixture->a, jobs[0], ERROR_NONE);
	want_state(fixture->b, "1", JOB_RUNNING);
	want_finish(fixture, fixture->a, jobs[0], JOB_SUCCEEDED, "2@a");
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		job_destroy(jobs[i]);
}

static void intent_may_be_left_for_later(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct asked asked = { .refuses = true };

	assert_string_equal(admit(fixture, &admission, 1, &asked), "new:queued ");
	assert_string_equal(asked.ids, if_here(fixture, "1@1 ", ""));
	want_attempt(fixture, "1", NULL, "");
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_state(fixture->b, "1", JOB_LAUNCHING);
	job_destroy(job);
}

/* A draining worker's are nobody's; what is known already has its own intent. */
static void only_a_new_job_of_ours_is_intended(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *released = make_job("1", LOCK_PARALLEL), *job = make_job("2", LOCK_PARALLEL), *again;
	struct store_admission of_released = { .job = released, .released = true }, admission = { .job = job };
	struct asked asked = { 0 };

	assert_string_equal(admit(fixture, &of_released, 1, &asked), "new:queued ");
	assert_string_equal(asked.ids, "");
	admit(fixture, &admission, 1, &asked);
	again = make_job("2", LOCK_PARALLEL);
	admission.job = again;
	assert_string_equal(admit(fixture, &admission, 1, &asked), if_here(fixture, "ours:launching ", "ours:queued "));
	assert_string_equal(asked.ids, "");
	assert_int_equal(again->attempt.number, 0);
	job_destroy(released);
	job_destroy(job);
	job_destroy(again);
}

/* Noted by another, of which nothing was known at the admission before. */
static void job_that_has_crashed_somebody_is_left_to_its_owner(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *before = make_job("0", LOCK_PARALLEL), *job = make_job("1", LOCK_PARALLEL);
	struct store_admission admission = { .job = before };
	struct asked asked = { 0 };
	struct heard heard = { 0 };

	admit(fixture, &admission, 1, &asked);
	store_note_crash(fixture->b, "1", "dead", heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(read_crashes(fixture->a, "1"), 1);
	admission.job = job;
	assert_string_equal(admit(fixture, &admission, 1, &asked), "new:queued ");
	assert_string_equal(asked.ids, "");
	job_destroy(before);
	job_destroy(job);
}

static void crash_is_counted_right_behind_an_admission(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_PARALLEL);
	struct store_admission admission = { .job = job };
	struct asked asked = { 0 };
	struct heard heard = { 0 };

	admit(fixture, &admission, 1, &asked);
	store_note_crash(fixture->b, "q/m-2", "dead", heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(read_crashes(fixture->a, "q/m-2"), 1);
	job_destroy(job);
}

/* Who takes it over finds what is to be asked for. */
static void intended_job_may_be_adopted(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct asked asked = { 0 };
	struct heard heard = { 0 };

	admit(fixture, &admission, 1, &asked);
	if (!is_here(fixture))
		want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_disown(fixture, fixture->b, "a");
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.jobs[0]->state, JOB_LAUNCHING);
	assert_string_equal(heard.jobs[0]->attempt.token, job->attempt.token);
	assert_string_equal(heard.jobs[0]->attempt.request, job->attempt.request);
	want_started(fixture, fixture->a, job, ERROR_LOST);
	heard_finish(&heard);
	job_destroy(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(job_that_may_launch_is_intended_at_once),
		cmocka_unit_test(intent_may_be_left_for_later),
		cmocka_unit_test(only_a_new_job_of_ours_is_intended),
		cmocka_unit_test(job_that_has_crashed_somebody_is_left_to_its_owner),
		cmocka_unit_test(crash_is_counted_right_behind_an_admission),
		cmocka_unit_test(intended_job_may_be_adopted),
	};

	return fixture_run(tests, ARRAY_SIZE(tests));
}
