/* SPDX-License-Identifier: Apache-2.0 */
/* test_job_state.c - names and moves of the nine states. */
#include "../cmocka_all.h"
#include "job/job_state.h"

static void names_read_back(void **state)
{
	enum job_state parsed;

	(void)state;
	for (int i = 0; i < JOB_STATES; i++) {
		assert_true(job_state_parse(job_state_name((enum job_state)i), &parsed));
		assert_int_equal(parsed, i);
	}
	assert_false(job_state_parse("uncertain", &parsed));
	assert_string_equal(job_state_name(JOB_STATES), "unknown");
}

static void four_states_are_final(void **state)
{
	(void)state;
	for (int i = 0; i < JOB_STATES; i++)
		assert_int_equal(job_state_final((enum job_state)i), i == JOB_SUCCEEDED || i == JOB_FAILED ||
			i == JOB_CANCELLED || i == JOB_SUPERSEDED);
}

static const struct move {
	enum job_state from, to;
	bool want;
} moves[] = {
	{ JOB_WAITING, JOB_QUEUED, true },       { JOB_WAITING, JOB_LAUNCHING, false },
	{ JOB_WAITING, JOB_SUPERSEDED, true },   { JOB_QUEUED, JOB_LAUNCHING, true },
	{ JOB_QUEUED, JOB_RUNNING, false },      { JOB_QUEUED, JOB_SUCCEEDED, false },
	{ JOB_LAUNCHING, JOB_RUNNING, true },    { JOB_LAUNCHING, JOB_SUPERSEDED, false },
	{ JOB_RUNNING, JOB_QUEUED, true },       { JOB_RUNNING, JOB_CANCELLED, true },
	{ JOB_CANCELLING, JOB_CANCELLED, true }, { JOB_CANCELLING, JOB_SUCCEEDED, true },
	{ JOB_CANCELLING, JOB_QUEUED, false },   { JOB_SUCCEEDED, JOB_QUEUED, true },
	{ JOB_FAILED, JOB_QUEUED, true },        { JOB_FAILED, JOB_SUCCEEDED, false },
};

static void moves_are_those_of_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		if (job_state_may_move(moves[i].from, moves[i].to) != moves[i].want)
			fail_msg("%s to %s", job_state_name(moves[i].from), job_state_name(moves[i].to));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_read_back),
		cmocka_unit_test(four_states_are_final),
		cmocka_unit_test(moves_are_those_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
