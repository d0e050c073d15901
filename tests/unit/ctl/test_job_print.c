/* SPDX-License-Identifier: Apache-2.0 */
/* The exit status of submit --wait. */
#include "../cmocka_all.h"

#include "ctl/job_print.h"

static const struct {
	const char *name;
	enum job_state state;
	char *reason;
	int exit_code;
	int want;
} ends[] = {
	{ "a success", JOB_SUCCEEDED, NULL, 0, 0 },
	{ "its own code", JOB_FAILED, "exit_code", 7, 7 },
	{ "the least", JOB_FAILED, "exit_code", 1, 1 },
	{ "the greatest", JOB_FAILED, "exit_code", 125, 125 },
	{ "what a shell keeps for itself", JOB_FAILED, "exit_code", 126, 125 },
	{ "a signal's", JOB_FAILED, "signal", 137, 125 },
	{ "what no process can exit with", JOB_FAILED, "exit_code", 70000, 125 },
	{ "a failure whose code says success", JOB_FAILED, "stopped", 0, JOB_STATUS_NO_CODE },
	{ "no code", JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, JOB_STATUS_NO_CODE },
	{ "no reason", JOB_FAILED, NULL, JOB_NO_EXIT_CODE, JOB_STATUS_NO_CODE },
	{ "time that is over, by a signal", JOB_FAILED, "timeout", 143, JOB_STATUS_TIMEOUT },
	{ "nobody knows", JOB_FAILED, "uncertain", JOB_NO_EXIT_CODE, JOB_STATUS_UNCERTAIN },
	{ "cancelled", JOB_CANCELLED, "cancelled", 143, JOB_STATUS_CANCELLED },
	{ "superseded", JOB_SUPERSEDED, "", JOB_NO_EXIT_CODE, JOB_STATUS_SUPERSEDED },
	{ "no end at all", JOB_RUNNING, NULL, JOB_NO_EXIT_CODE, CONTROL_FAILED },
};

static void test_exit_status_is_the_deployments(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct job job = { .state = ends[i].state, .reason = ends[i].reason, .exit_code = ends[i].exit_code };

		if (job_exit_status(&job) != ends[i].want)
			fail_msg("%s: %d", ends[i].name, job_exit_status(&job));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_exit_status_is_the_deployments) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
